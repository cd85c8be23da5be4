"""`coloss train` on files that lack the label column, again and again.

`python -m tests.field.exits --runs 200` starts as many processes, one after the other,
and counts how they ended. A process that hands a Python file to a reader with threads
of its own may abort at its end, some of the time only; see
`test_a_file_ended_the_process.py`, which runs a few.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

CONFIG = """\
[data]
labels = "labels.csv"
id = "id"
label = "emotion"

[members.acoustic]
data = "acoustic.csv"

[members.visual]
data = "visual.csv"
"""
SAID = "data: labels.csv: has no column 'emotion'"
ROWS = 200


def write(folder: Path) -> None:
    """Write a configuration, features, and labels without their column."""
    (folder / "config.toml").write_text(CONFIG)
    ids = [f"clip_{row:03d}" for row in range(ROWS)]
    (folder / "labels.csv").write_text("id,mood\n" + "".join(f"{n},x\n" for n in ids))
    rows = "".join(f"{n},{place}.5,{place % 7}\n" for place, n in enumerate(ids))
    for name in ("acoustic", "visual"):
        (folder / f"{name}.csv").write_text(f"id,F0,F1\n{rows}")


def started(folder: Path) -> subprocess.Popen[str]:
    """Start `coloss train` in a process of its own."""
    run = "from coloss.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", run, "train", "config.toml", "--output", "run"],
        cwd=folder,
        env={**os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, bool]:
    """Wait for a process.

    Returns:
        Its exit code, and whether it said which column is not there and nothing else.
    """
    wrong = process.communicate()[1]
    said = wrong.startswith(f"error: {SAID}") and "Traceback" not in wrong
    return process.returncode, said and "terminate" not in wrong


def main() -> None:
    """Count exit codes, and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    runs, begun = parser.parse_args().runs, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        found: Counter[tuple[int, bool]] = Counter()
        for run in range(1, runs + 1):
            found[ended(started(Path(folder)))] += 1
            print(f"{run} of {runs}: {dict(found)}", file=sys.stderr, flush=True)
    for (code, said), number in sorted(found.items()):
        words = "with the sentence" if said else "with other words"
        print(f"exit code {code}, {words}: {number} of {runs}", flush=True)
    print(f"{time.monotonic() - begun:.0f} s", flush=True)
    sys.exit(set(found) != {(2, True)})


if __name__ == "__main__":
    main()
