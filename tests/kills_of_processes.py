"""Kills one of two processes with SIGKILL, starts both again, and compares weights.

    python -m tests.kills_of_processes --kills 20

One of two processes of a training on JAX is killed at a random step, over and over; the
other must end by itself, with a sentence, and the start after the last kill must leave
the weights of a run that nobody killed.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.devices import FLAGS, ROOT

STEPS, CHECKPOINTS, BOUND, PATIENCE = 12, 3, 1e-6, 30.0
"""Of a training; between two checkpoints; of a difference; in seconds, of the other."""

SENTENCE = "another of the 2 processes ended"


@dataclass
class Count:
    """What came of the kills.

    Attributes:
        kills: starts in which a process was killed.
        runs: that came to their end, with their greatest difference.
        slow: seconds from a kill to the end of the other process.
        hung: of which that took too long.
        silent: ends without the sentence.
        lost: starts that failed without a kill, with what was said.
    """

    kills: int = 0
    runs: list[float] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)
    hung: int = 0
    silent: int = 0
    lost: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, hung or different."""
        return not (self.hung or self.lost or self.silent) and max(self.runs) <= BOUND


def start(folder: Path, port: int, *where: int) -> list[subprocess.Popen[bytes]]:
    """Start both processes; one kills itself where it is told to.

    Args:
        folder: of the checkpoints and of what is left.
        port: free.
        where: the process, and after how many steps of this start; nothing: never.
    """
    command = [sys.executable, "-W", "ignore", "-m", "tests.distributed.member"]
    env = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": FLAGS,
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    }
    return [
        subprocess.Popen(
            [*command, str(folder), "train", *map(str, where)],
            cwd=ROOT,
            env={**env, "KERAS_DISTRIBUTION_PROCESS_ID": str(index)},
            stdout=subprocess.DEVNULL,
            stderr=(folder / f"said-{index}").open("wb"),
        )
        for index in range(2)
    ]


def killed(folder: Path, port: int, chance: random.Random, count: Count) -> bool:
    """Start both and kill one; return whether the training came to its end before."""
    victim = chance.randrange(2)
    children = start(folder, port, victim, chance.randint(1, STEPS - 1))
    if children[victim].wait() != -9:
        codes = [child.wait() for child in children]
        count.lost += any(codes)
        return True
    begun, other = time.monotonic(), children[1 - victim]
    count.kills += 1
    try:
        other.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        count.hung += 1
        other.kill()
        other.wait()
    count.slow.append(time.monotonic() - begun)
    said = (folder / f"said-{1 - victim}").read_text(errors="replace")
    count.silent += SENTENCE not in said
    return False


def difference(folder: Path, expected: Path) -> float:
    """Return the greatest difference of what two runs left."""
    with np.load(folder / "left.npz") as one, np.load(expected / "left.npz") as other:
        return max(float(np.abs(one[name] - other[name]).max()) for name in other)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    from coloss.cli.launcher import _free_port

    return _free_port()


def whole(folder: Path) -> list[int]:
    """Run to the end; return the exit codes."""
    folder.mkdir(exist_ok=True)
    return [child.wait() for child in start(folder, free_port())]


def main() -> int:
    """Run, print the counts, and return 0 if all is as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--a-run", type=int, default=4, help="kills before a run ends")
    parser.add_argument("--seed", type=int, default=0)
    given, count = parser.parse_args(), Count()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:
        expected = Path(place) / "expected"
        if any(whole(expected)):
            raise RuntimeError((expected / "said-0").read_text()[-2000:])
        while count.kills < given.kills and not count.hung:
            folder = Path(place) / f"run-{len(count.runs)}"
            folder.mkdir()
            over = False
            for _ in range(min(given.a_run, given.kills - count.kills)):
                over = over or killed(folder, free_port(), chance, count)
            if not over and any(whole(folder)):
                count.lost += 1
                print((folder / "said-0").read_text()[-2000:])
                break
            count.runs.append(difference(folder, expected))
            print(f"{count.kills} kills, difference {count.runs[-1]:.1e}", flush=True)
    print(
        f"{count.kills} kills with SIGKILL, {len(count.runs)} runs resumed; greatest "
        f"difference {max(count.runs):.1e}; the other process ended after at most "
        f"{max(count.slow):.1f} s; hung {count.hung}, without a sentence "
        f"{count.silent}, lost {count.lost}"
    )
    return int(not count.is_good)


if __name__ == "__main__":
    sys.exit(main())
