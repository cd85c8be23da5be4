"""Mutation testing: small faults are put into the code, and the tests must notice.

    pip install 'coloss[mutate]'
    python -m tools.mutate statistics --sample 40
    python -m tools.mutate src/coloss/objective/dual.py --tests tests/objective

The faults are cosmic-ray's, by those of its operators that make what a person could get
wrong: another sign, comparison, number, condition. With `--sample` so many are drawn,
the same ones every time. Printed are the survivors, and the share that was killed with
its 95 % interval (Wilson); the command fails below `--least` percent.

A few seconds a fault, because cosmic-ray's own way of running, a new Python for each,
is not used. The tests run once under a trace, which tells what each of them executes
and imports. What is not ours is then imported once, and for each fault this process
forks. The child imports coloss with the fault in it (the files stay as they are), and
runs the tests that execute the faulty file, those first that execute the faulty line,
quick ones first, until one fails. A test that starts a Python of its own sees no fault.

With `--log FILE` results are kept, and the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from tools.faults import (
    ROOT,
    Fault,
    FaultyFinder,
    changed,
    faults_of,
    faulty_text,
    is_fault,
)
from tools.forked_tests import (
    Order,
    Trace,
    in_child,
    preload,
    run_pytest,
    telling,
    traced,
)

SEED = 0

EVERYWHERE = "tests/test_dataclasses.py"
TARGETS = {
    "objective": ("src/coloss/objective", "tests/objective", EVERYWHERE),
    "transfer": ("src/coloss/transfer", "tests/transfer", EVERYWHERE),
    "weighting": ("src/coloss/weighting", "tests/weighting", EVERYWHERE),
    "aggregation": ("src/coloss/aggregation", "tests/aggregation", EVERYWHERE),
    "values": ("src/coloss/joint/values", "tests/joint/values", EVERYWHERE),
    "supervision": (
        "src/coloss/joint/supervision",
        "tests/joint/supervision",
        EVERYWHERE,
    ),
    "balance": ("src/coloss/joint/balance", "tests/joint/balance", EVERYWHERE),
    "statistics": ("src/coloss/study/statistics.py", "tests/study/test_statistics.py"),
}
"""Rooms by a short name: what is mutated, and the tests that must notice."""


def tried(fault: Fault, trace: Trace, tests: list[str], folder: Path) -> str:
    """Try one fault; return "survived", "not reached", or how it was killed."""
    chosen = telling(fault, trace)
    if not chosen:
        return "not reached"
    text, output = faulty_text(fault), folder / "output.txt"

    def work() -> int:
        sys.meta_path.insert(0, FaultyFinder(fault.path, text))
        files = sorted({name.partition("::")[0] for name in chosen})
        return run_pytest(files, Order(chosen))

    limit = 60.0 + 3 * sum(trace.seconds.values())
    status = in_child(work, limit, output)
    if status == 0:
        return "survived"
    return {None: "killed: too slow", 1: "killed"}.get(status, "killed: not imported")


def wilson(killed: int, tried: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, in percent; it holds for few trials, too."""
    if not tried:
        return 0.0, 100.0
    z, share = 1.959964, killed / tried
    middle = share + z**2 / (2 * tried)
    half = z * math.sqrt(share * (1 - share) / tried + (z / (2 * tried)) ** 2)
    scale = 100 / (1 + z**2 / tried)
    return scale * (middle - half), scale * (middle + half)


def report(results: dict[Fault, str]) -> float:
    """Print the survivors and the share that was killed; return it in percent."""
    kinds: dict[str, int] = defaultdict(int)
    for fault, result in results.items():
        kinds[result] += 1
        if not result.startswith("killed"):
            print(f"{result}: {fault.path}:{fault.line} {fault.operator.split('/')[1]}")
            print(*(f"    {line}" for line in changed(fault)), sep="\n")
    killed = sum(n for kind, n in kinds.items() if kind.startswith("killed"))
    low, high = wilson(killed, len(results))
    share = 100 * killed / len(results) if results else 0.0
    print(*(f"{kind}: {number}" for kind, number in sorted(kinds.items())), sep=", ")
    print(
        f"killed {killed} of {len(results)}: {share:.0f} % ({low:.0f} to {high:.0f} %)"
    )
    return share


def drawn(target: str, sample: int | None) -> list[Fault]:
    """Return the faults to be tried; a larger sample begins with the smaller one."""
    faults = faults_of(target)
    print(f"{len(faults)} faults in {target}", flush=True)
    random.Random(SEED).shuffle(faults)
    return list(itertools.islice(filter(is_fault, faults), sample))


def try_all(
    faults: list[Fault], target: str, tests: list[str], log: Path | None
) -> dict[Fault, str]:
    """Try faults one after the other; those in the log are not tried again."""
    known: dict[str, str] = {}
    if log and log.exists():
        known = dict(map(json.loads, log.read_text().splitlines()))
    results = {fault: known[fault.name] for fault in faults if fault.name in known}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trace = traced(target, tests, folder)
        print(f"{len(trace.lines)} tests, {sum(trace.seconds.values()):.0f} s traced")
        for test in sorted(trace.failed):
            print(f"left out, it fails without a fault: {test}")
        preload(trace.modules)
        order = Order([test for test in trace.lines if test not in trace.failed])
        output = folder / "output.txt"
        if in_child(lambda: run_pytest(tests, order), 3600.0, output) != 0:
            sys.exit(f"the tests fail without a fault:\n{output.read_text()}")
        for fault in faults:
            if fault in results:
                continue
            start = time.perf_counter()
            results[fault] = tried(fault, trace, tests, folder)
            took = time.perf_counter() - start
            print(f"{took:5.1f} s {results[fault]}: {fault.name}", flush=True)
            if log:
                with log.open("a") as sink:
                    sink.write(json.dumps([fault.name, results[fault]]) + "\n")
    return {fault: results[fault] for fault in faults}


def main() -> int:
    """Mutate, test, report; return 1 where too few were killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", help=f"a file, or one of {', '.join(TARGETS)}")
    parser.add_argument("--tests", nargs="*", help="tests that must notice")
    parser.add_argument("--sample", type=int, help="how many faults; default: all")
    parser.add_argument("--least", type=float, default=0.0, help="percent to be killed")
    parser.add_argument("--log", type=Path, help="where results are kept")
    given = parser.parse_args()
    target, *tests = TARGETS.get(given.target, (given.target,))
    tests = given.tests or tests
    if not tests or not (ROOT / target).exists():
        parser.error(f"{target} needs to exist, and --tests to be given")
    os.chdir(ROOT)
    # On PyTorch nothing is compiled, and a process that has imported it can be forked.
    os.environ["KERAS_BACKEND"] = "torch"
    sys.path.insert(0, str(ROOT / "src"))
    faults = drawn(target, given.sample)
    return int(report(try_all(faults, target, tests, given.log)) < given.least)


if __name__ == "__main__":
    sys.exit(main())
