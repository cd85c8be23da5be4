"""Kills trainings with SIGKILL, resumes them, and compares bits.

    python -m tests.soak --kills 50

Each start of the script is a process of its own. It is killed at a random step, or
inside the writing of a checkpoint, and started again, until it comes to its end; then
what it leaves is compared with a run that nobody killed. After every fourth kill or so,
one bit of the newest checkpoint is turned: it must be passed over by name.
"""

from __future__ import annotations

import argparse
import json
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
SHARE = 0.25
"""Of the kills after which a bit is turned."""


@dataclass
class Count:
    """What came of the kills.

    Attributes:
        kills: starts that were killed.
        writing: of these, inside the writing of a checkpoint.
        runs: that came to their end.
        lost: that could not be resumed, with what was said.
        different: whose bits were others, with what differed.
        damaged: checkpoints in which a bit was turned.
        taken: of these, those that nobody complained of.
    """

    kills: int = 0
    writing: int = 0
    runs: int = 0
    lost: int = 0
    different: int = 0
    damaged: int = 0
    taken: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, different or taken."""
        return not (self.lost or self.different or self.taken)


class Starter:
    """Starts the script in processes of their own, copies of one that is ready.

    Args:
        backend: of Keras.
        folder: for what they say.
    """

    def __init__(self, backend: str, folder: Path) -> None:
        """Import everything, once."""
        self._said = folder / "said.txt"
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.checkpoint.killed_script", "--serve"],
            cwd=ROOT,
            env={**os.environ, "KERAS_BACKEND": backend},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Starter:
        """Be used in a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process that the others are copies of."""
        self._server.communicate()

    def start(self, folder: Path, left: Path, where: str) -> tuple[int, str]:
        """Start the script; return how it ended, and what it said.

        Args:
            folder: of the checkpoints.
            left: file for what the training leaves.
            where: SIGKILL comes; see `tests.checkpoint.killed_script`.
        """
        assert self._server.stdin is not None and self._server.stdout is not None
        line = json.dumps([str(folder), str(left), where, str(self._said)])
        print(line, file=self._server.stdin, flush=True)
        code = int(self._server.stdout.readline())
        return code, self._said.read_text(errors="replace")


def damage(folder: Path, chance: random.Random) -> Path | None:
    """Turn a bit of the newest checkpoint; None: there is no older one."""
    checkpoints = sorted(folder.glob("step-*"))
    if len(checkpoints) < 2:
        return None
    file = chance.choice(sorted(checkpoints[-1].iterdir()))
    content = bytearray(file.read_bytes())
    place = chance.randrange(8 * len(content))
    content[place // 8] ^= 1 << (place % 8)
    file.write_bytes(content)
    return file


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
    with Starter(backend, folder) as starter:
        code, said = starter.start(folder / "whole", expected, "never")
        if code:
            raise RuntimeError(f"the run that nobody kills ends with {code}: {said}")
        while count.kills < kills:
            run = folder / f"run-{count.runs + count.lost}"
            _one_run(starter, run, kills, chance, count)
            left = run / "left.npz"
            if left.exists() and (names := differences(left, expected)):
                count.different += 1
                print("different:", *names)
    return count


def _one_run(
    starter: Starter, run: Path, kills: int, chance: random.Random, count: Count
) -> None:
    """Start a run again and again, until it comes to its end."""
    code, bad = -9, None
    while code == -9:
        kind = chance.choice(list(KINDS)) if count.kills < kills else "never"
        where = f"{kind}:{chance.randint(1, KINDS.get(kind, 1))}"
        code, said = starter.start(run / "checkpoints", run / "left.npz", where)
        count.kills += code == -9
        count.writing += code == -9 and kind != "step"
        if bad is not None and f"{bad} " in " ".join(said.split()):
            bad = None  # It was named, and passed over.
        elif bad is None and code == -9 and chance.random() < SHARE:
            bad = damage(run / "checkpoints", chance)
            count.damaged += bad is not None
        print(run.name, where, "killed" if code == -9 else code, flush=True)
    count.taken += bad is not None
    count.runs += not code
    if code:
        count.lost += 1
        print(said[-2000:])


def main() -> int:
    """Run, print the counts, and return 0 if nothing was lost, different or taken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each backend")
    parser.add_argument("--backend", nargs="+", default=["jax", "tensorflow", "torch"])
    parser.add_argument("--seed", type=int, default=0)
    given, lines, good = parser.parse_args(), [], True
    for backend in given.backend:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            count = soak(backend, given.kills, given.seed, Path(folder))
        good &= count.is_good
        lines.append(
            f"{backend}: {count.kills} kills with SIGKILL ({count.writing} inside "
            f"writing), {count.runs} runs came to their end; lost {count.lost}, "
            f"different {count.different}; {count.damaged} checkpoints damaged, taken "
            f"{count.taken}; {time.monotonic() - begun:.0f} s"
        )
        print(lines[-1], flush=True)
    print("", *lines, sep="\n")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
