"""Processes of one command end together, and say why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from coloss.cli import launcher
from coloss.cli.commands import several
from coloss.cli.errors import CliError
from coloss.cli.output import Output

SOURCE = Path(__file__).parents[2] / "src"


def program(text):
    start = (
        f"import os, signal, sys, time; me = int(os.environ[{launcher.PROCESS!r}])\n"
    )
    return [sys.executable, "-c", start + textwrap.dedent(text)]


def launched(text, processes=2):
    said = []
    return launcher.launch(program(text), processes, said.append), said


def test_all_come_to_their_end(tmp_path):
    text = f"open({str(tmp_path)!r} + f'/{{me}}', 'w').write(os.environ"
    code, said = launched(text + f"[{launcher.PROCESSES!r}])", 3)
    assert (code, said) == (0, [])
    assert [file.read_text() for file in sorted(tmp_path.iterdir())] == ["3", "3", "3"]


def test_one_that_is_killed_ends_the_others(monkeypatch):
    monkeypatch.setattr(launcher, "GRACE", 0.1)
    begun = time.monotonic()
    code, said = launched(
        """
        if me == 1:
            print("my last words", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)
        """
    )
    assert code == 1
    assert said[0].startswith("process 1 of 2 was ended by SIGKILL, and the others")
    assert said[1] == "my last words"
    assert time.monotonic() - begun < 30


def test_the_exit_code_is_that_of_the_first_that_failed():
    code, said = launched("sys.exit(2 if me == 0 else 0)")
    assert code == 2
    assert "process 0 of 2 ended with exit code 2" in said[0]


def test_a_signal_reaches_all(tmp_path):
    text = f"""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    open({str(tmp_path)!r} + f"/{{me}}", "w").close()
    time.sleep(60)
    """
    script = (
        "from coloss.cli.launcher import launch; import sys; "
        "from coloss.cli import signals; signals.listen(); "
        f"sys.exit(launch({program(text)!r}, 2, print))"
    )
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    child = subprocess.Popen([sys.executable, "-c", script], env=env)
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 143


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(CliError, match="on JAX only, and the backend is torch"):
        several.launch_again(2, Output(quiet=True))
