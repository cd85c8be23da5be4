"""Several processes of one command on this machine, which end together.

Imports nothing but Python's own and what listens to signals.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from coloss.cli import signals

ADDRESS = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"
PROCESS = "KERAS_DISTRIBUTION_PROCESS_ID"
"""What `coloss.distributed.initialize` reads."""

GRACE = 5.0
"""Seconds that the others have after one has died, before they are killed."""

ASKED = (0, 130, 143)
"""Exit codes of a process that came to its end, or was asked to."""


def launch(
    command: Sequence[str],
    processes: int,
    tell: Callable[[str], object],
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a command in several processes, and return the exit code.

    What process 0 writes is shown; what the others wrote, where one of them fails.
    Ctrl-C and SIGTERM go to all of them.

    Args:
        command: and its arguments.
        processes: how many.
        tell: given a sentence when one dies.
        env: of the processes, beside where they find each other; None: as here.

    Returns:
        That of process 0, or of the first that failed; 1 where a signal ended it.
    """
    address = f"127.0.0.1:{_free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/{index}" for index in range(1, processes)]
        logs = [open(name, "w+b") for name in names]  # noqa: SIM115
        children = [
            _start(command, env, address, processes, index, log)
            for index, log in enumerate([None, *logs])
        ]
        try:
            with signals.answered(lambda number: _send(children, number)):
                failed = _first_failure(children)
            if failed is None:
                return children[0].returncode
            code = children[failed].returncode
            tell(
                f"process {failed} of {processes} {_ended(code)}, and the others "
                "cannot go on without it."
            )
            if failed:
                tell(_last_words(logs[failed - 1]))
            _end(children)
            return code if code > 0 else 1
        finally:
            _send(children, signal.SIGKILL)
            for log in logs:
                log.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _start(
    command: Sequence[str],
    env: Mapping[str, str] | None,
    address: str,
    processes: int,
    index: int,
    log: IO[bytes] | None,
) -> subprocess.Popen[bytes]:
    place = {ADDRESS: address, PROCESSES: str(processes), PROCESS: str(index)}
    return subprocess.Popen(
        command,
        env={**(os.environ if env is None else env), **place},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        # A terminal's Ctrl-C would reach it twice: from there, and from here.
        start_new_session=True,
    )


def _first_failure(children: list[subprocess.Popen[bytes]]) -> int | None:
    """Wait for one that fails; None: all came to their end."""
    while True:
        codes = [child.poll() for child in children]
        for index, code in enumerate(codes):
            if code is not None and code not in ASKED:
                return index
        if None not in codes:
            return None
        time.sleep(0.05)


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    """Let the others end by themselves, and kill those that do not."""
    until = time.monotonic() + GRACE
    while time.monotonic() < until and any(c.poll() is None for c in children):
        time.sleep(0.05)
    _send(children, signal.SIGKILL)
    for child in children:
        child.wait()


def _send(children: list[subprocess.Popen[bytes]], number: int) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(number)


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"


def _last_words(log: IO[bytes]) -> str:
    """Return the end of what a process wrote."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - 2000))
    return log.read().decode(errors="replace").strip()
