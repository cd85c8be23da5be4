"""Ctrl-C and SIGTERM at any instant of a command: its exit code, and what is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from coloss.checkpoint.folder import CheckpointFolder
from coloss.run_folder import RunFolder

from .mistakes import write_case

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def start(folder, *arguments, patch=""):
    """Start the command as users do, in a process of its own."""
    code = f"import sys\n{patch}\nfrom coloss.cli import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def wait_for(process, reached):
    until = time.monotonic() + 300
    while not reached() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()


def ended(process):
    told, errors = process.communicate(timeout=300)
    assert "Traceback" not in errors, errors
    return process.returncode, told, errors


@pytest.fixture
def case(tmp_path):
    write_case(tmp_path)
    config = tmp_path / "config.toml"
    config.write_text(config.read_text().replace("patience = 2", "patience = 1000000"))
    return tmp_path


AT = """
import builtins, importlib, time
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            print("reached", flush=True)
            {wait}
sys.meta_path.insert(0, Finder())
"""
"""Says so when a module is about to be imported, and waits there."""

IN_PYTHON = "[time.sleep(0.01) for _ in range(6000)]"
SWALLOWED = (
    "\n            try: [time.sleep(0.01) for _ in range(6000)]"
    "\n            except BaseException: raise ImportError('swallowed') from None"
)


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize(
    ("name", "wait"),
    [
        ("coloss.cli.app", IN_PYTHON),
        ("keras", IN_PYTHON),
        ("keras", SWALLOWED),
    ],
    ids=["commands", "library", "swallowed"],
)
def test_an_import_is_ended(case, number, name, wait):
    patch = AT.format(name=name, wait=wait)
    process = start(case, "train", "config.toml", patch=patch)
    assert process.stdout.readline() == "reached\n"
    process.send_signal(number)
    code, _, errors = ended(process)
    assert code == CODES[number] and ("ended by" in errors or "interrupted" in errors)
    assert not (case / "run").exists()


STEPS = ["--epochs", 10**6, "--no-report"]


def check_checkpoint(run):
    """Look for the checkpoint of the step after the signal; others come later."""
    found = CheckpointFolder(run.path / "resume", 2).newest()
    assert found.about.epoch >= 3 and not found.about.finished
    assert run.can_resume
    return found.about.epoch


def test_training_leaves_a_checkpoint_of_the_last_step(case):
    process = start(case, "train", "config.toml", *STEPS)
    run = RunFolder(case / "run")
    wait_for(process, lambda: len(run.log) > 4)
    process.send_signal(signal.SIGINT)
    code, told, errors = ended(process)
    assert code == 130 and "interrupted: run" in told
    assert "saving what was trained" in errors
    assert run.environment["status"] == "interrupted"
    assert run.environment["error"] == "SIGINT"
    assert len(run.history) - check_checkpoint(run) in (0, 1)
    assert len(run.evaluation) > 0
    model = keras.saving.load_model(run.path / "models" / "acoustic.keras")
    outputs = model.predict(np.zeros((3, model.input_shape[1]), "float32"), verbose=0)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)


WAITS = """
import time
import {module} as module
def waits(*arguments, **options):
    print("reached", flush=True)
    {wait}
module.{name} = waits
"""
"""Waits where something is called."""
NOT_PYTHON = "import ctypes; ctypes.CDLL(None).sleep(60)"


def test_the_second_signal_ends_at_once(case):
    wait = NOT_PYTHON  # Python answers no signal meanwhile.
    patch = WAITS.format(
        module="coloss.cli.runs.session", name="save_models", wait=wait
    )
    process = start(case, "train", "config.toml", *STEPS, patch=patch)
    run = RunFolder(case / "run")
    wait_for(process, lambda: len(run.log) > 4)
    process.send_signal(signal.SIGINT)
    assert any(line == "reached\n" for line in process.stdout)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, _, errors = ended(process)
    assert code == 143 and time.monotonic() - begun < 40  # Else it sleeps for 60.
    assert "ended by SIGTERM; what was on the disk is whole" in errors
    check_checkpoint(run)


def test_a_signal_while_the_report_is_written(case):
    patch = WAITS.format(module="coloss.report", name="write_ending", wait=IN_PYTHON)
    process = start(case, "train", "config.toml", "--epochs", 2, patch=patch)
    assert any(line == "reached\n" for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143
    run = RunFolder(case / "run")
    assert run.environment["status"] == "finished" and len(run.evaluation) > 0


def test_a_study_ends_with_what_is_finished(case):
    patch = "from coloss.study import Study" + WAITS.format(
        module="coloss.study.design", name="Study.run", wait=IN_PYTHON
    )
    process = start(case, "study", "config.toml", "--epochs", 1, patch=patch)
    assert any(line == "reached\n" for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    code, _, errors = ended(process)
    assert code == 143 and "0 of 6 runs kept" in errors
    run = RunFolder(case / "run-study")
    assert run.environment["status"] == "interrupted"


def test_a_copy_of_the_process_ends_alone():
    code = (
        "import os, signal, time\nfrom coloss.cli import signals\nsignals.listen()\n"
        "child = os.fork()\n"
        "if not child: time.sleep(60)\n"
        "time.sleep(0.2); os.kill(child, signal.SIGTERM)\n"
        "assert os.waitpid(child, 0)[1] == signal.SIGTERM\n"
        "time.sleep(0.3); print('here')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "here\n", done.stderr
