"""Gives damaged and random input to coloss, and counts how each ends.

    python -m tests.fuzz csv --count 20000 --seed 0

Formats: csv, arff, parquet, arrow, feather, npy, npz, keras, toml, json, study,
objective. Each input is read as the commands read it, in a process beside this one,
and may end in two ways: it is read, or refused by one sentence. Anything else (another
error, the end of the process, more than a second) is told with its number; `--only
NUMBER` gives that one again. The line says how each ended, the slowest one in seconds
of processor time, by how many MB the memory grew, and the seconds of all.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz_inputs import KINDS, RefusedError

SECONDS = 1.0


def work(kind: str, first: int, last: int, seed: int) -> None:
    """Try inputs, and print each that ends as it must not; at the end, the counts."""
    ended: Counter[str] = Counter()
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        case = KINDS[kind](Path(name))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        mark = open("at", "w")  # noqa: SIM115  # Of the process, to its end.
        for number in range(first, last):
            mark.seek(0)
            mark.write(f"{number:12d}")
            mark.flush()
            begun, how, told = time.process_time(), "read", ""
            try:
                case(random.Random(f"{seed} {kind} {number}"))
            except RefusedError as error:
                how, told = "refused", str(error)
                if "\n" in told:
                    how = "refused in several lines"
            except BaseException as error:
                how, told = "failed", f"{type(error).__name__}: {error}"
            spent = time.process_time() - begun
            worst = max(worst, spent if number > first else 0.0)
            ended[how] += 1
            if how not in ("read", "refused") or (spent > SECONDS and number > first):
                line = {"number": number, "how": how, "s": spent, "told": told[:300]}
                print(json.dumps(line), flush=True)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts = {"ended": ended, "worst": worst, "grown": (after - before) / 1000}
    print(json.dumps(counts), flush=True)


def fuzz(
    kind: str, count: int, seed: int, only: int | None = None
) -> dict[str, object]:
    """Return how so many inputs ended.

    Args:
        kind: of the input, one of `KINDS`.
        count: how many.
        seed: of what is done to them.
        only: the number of one of them; None: all.
    """
    ended: Counter[str] = Counter()
    worst = grown = 0.0
    found: list[dict[str, object]] = []
    first, last = (0, count) if only is None else (only, only + 1)
    while first < last:
        with tempfile.TemporaryDirectory() as place:
            command = [sys.executable, "-m", "tests.fuzz", kind, "--work"]
            command += [str(first), str(last), "--seed", str(seed)]
            done = subprocess.run(
                [sys.executable, "-c", IN, place, *command[3:]],
                capture_output=True,
                text=True,
                check=False,
            )
            lines = [json.loads(x) for x in done.stdout.splitlines() if x[:1] == "{"]
            found += [line for line in lines if "number" in line]
            for line in lines:
                if "ended" in line:
                    ended.update(line["ended"])
                    worst, grown = max(worst, line["worst"]), max(grown, line["grown"])
                    first = last
            if first < last:
                mark = Path(place) / "at"
                if not mark.exists():
                    raise RuntimeError(done.stderr[-2000:])
                at = int(mark.read_text())
                ended["ended the process"] += 1
                ended["not counted"] += at - first
                found.append({"number": at, "how": f"exit code {done.returncode}"})
                first = at + 1
    return {"ended": dict(ended), "worst": worst, "grown": grown, "found": found}


IN = """
import os, sys
sys.path[:0] = [os.getcwd()]
os.chdir(sys.argv[1])
from tests import fuzz
sys.argv[1:] = sys.argv[2:]
fuzz.main()
"""


def main() -> None:
    """Fuzz one format, and print a line of a table, and what must not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("format", choices=list(KINDS))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work is not None:
        work(given.format, *given.work, given.seed)
        return
    begun = time.monotonic()
    found = fuzz(given.format, given.count, given.seed, given.only)
    ended = ", ".join(f"{number} {how}" for how, number in found["ended"].items())
    spent = time.monotonic() - begun
    print(
        f"| {given.format} | {given.seed} | {given.count} | {ended} | "
        f"{found['worst']:.2f} | {found['grown']:.0f} | {spent:.0f} |"
    )
    for one in found["found"]:
        print(one)
    sys.exit(bool(found["found"]))


if __name__ == "__main__":
    main()
