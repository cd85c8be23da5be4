"""Kills trainings with SIGKILL, resumes them, and compares bits.

    python -m tests.soak --kills 50 --backend jax

Each start of the script is a process of its own. It is killed at a random step, or
inside the writing of a checkpoint, and started again, until it comes to its end; then
what it leaves is compared with a run that nobody killed.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
KINDS = {"step": 9, "fsync": 14, "replace": 6, "rename": 2, "write": 6, "arrays": 3}
"""Where SIGKILL comes, and the greatest number of the call in which it does."""


@dataclass
class Count:
    """What came of the kills.

    Attributes:
        kills: starts that were killed.
        writing: of these, inside the writing of a checkpoint.
        runs: that came to their end.
        lost: that could not be resumed, with what was said.
        different: whose bits were others, with what differed.
    """

    kills: int = 0
    writing: int = 0
    runs: int = 0
    lost: int = 0
    different: int = 0


def start(backend: str, folder: Path, left: Path, where: str) -> tuple[int, str]:
    """Start the script; return how it ended, and what it said."""
    command = [sys.executable, "-m", "tests.checkpoint.killed_script"]
    done = subprocess.run(
        [*command, str(folder), str(left), where],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr[-2000:]


def differences(found: Path, expected: Path) -> list[str]:
    """Return the names of the arrays that differ in a bit."""
    with np.load(found) as one, np.load(expected) as other:
        if sorted(one) != sorted(other):
            return ["names"]
        return [n for n in one if one[n].tobytes() != other[n].tobytes()]


def soak(backend: str, kills: int, seed: int, folder: Path) -> Count:
    """Kill until it is enough, and let the last run come to its end.

    Args:
        backend: of Keras.
        kills: how many at the least.
        seed: of where they come.
        folder: for all files.
    """
    chance, count = random.Random(seed), Count()
    expected = folder / "expected.npz"
    code, said = start(backend, folder / "whole", expected, "never")
    if code:
        raise RuntimeError(f"the run that nobody kills ends with {code}: {said}")
    while count.kills < kills:
        run = folder / f"run-{count.runs + count.lost}"
        code = -9
        while code == -9:
            kind = chance.choice(list(KINDS)) if count.kills < kills else "never"
            where = f"{kind}:{chance.randint(1, KINDS.get(kind, 1))}"
            code, said = start(backend, run / "checkpoints", run / "left.npz", where)
            count.kills += code == -9
            count.writing += code == -9 and kind != "step"
            print(
                backend, run.name, where, "killed" if code == -9 else code, flush=True
            )
        if code:
            count.lost += 1
            print(said)
            continue
        count.runs += 1
        if names := differences(run / "left.npz", expected):
            count.different += 1
            print("different:", *names)
    return count


def main() -> int:
    """Run, print the counts, and return 0 if nothing was lost or different."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        count = soak(given.backend, given.kills, given.seed, Path(folder))
    print(
        f"{given.backend}: {count.kills} kills with SIGKILL ({count.writing} inside "
        f"writing), {count.runs} runs came to their end; lost {count.lost}, different "
        f"{count.different}; {time.monotonic() - begun:.0f} s"
    )
    return int(bool(count.lost or count.different))


if __name__ == "__main__":
    sys.exit(main())
