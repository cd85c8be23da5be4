"""`coloss train --processes`: one run, whoever trained it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from coloss.cli.commands.several import START
from coloss.run_folder import RunFolder
from tests.cli.mistakes import write_case
from tests.devices import FLAGS

pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(
        keras.backend.backend() != "jax", reason="Keras joins processes on JAX only"
    ),
]

SOURCE = Path(__file__).parents[2] / "src"


def train(folder, *options):
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "XLA_FLAGS": FLAGS}
    told = ["train", "config.toml", "--no-report", "--processes", "2", *options]
    return subprocess.run(
        [sys.executable, "-c", START, *told],
        cwd=folder,
        env={**env, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_processes_write_one_run(tmp_path):
    write_case(tmp_path)
    done = train(tmp_path, "--output", "run")
    assert not done.returncode, done.stderr
    run = RunFolder.opened(tmp_path / "run")
    assert run.environment["status"] == "finished"
    assert len(run.history) == 2
    assert set(run.evaluation["split"]) == {"validation", "test"}
    assert done.stdout.count("finished: ") == 1
