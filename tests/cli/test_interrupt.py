"""Ctrl-C ends training and leaves networks that work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np

from coloss.cli.errors import Exit
from coloss.run_folder import RunFolder

from .mistakes import write_case


def test_ctrl_c_leaves_a_usable_model(tmp_path):
    write_case(tmp_path)
    code = (
        "import sys; sys.argv = ['coloss', 'train', 'config.toml', '--epochs', "
        "'1000000', '--no-report']\nfrom coloss.cli import main\nmain()"
    )
    config = tmp_path / "config.toml"
    config.write_text(config.read_text().replace("patience = 2", "patience = 1000000"))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run = RunFolder(tmp_path / "run")
    until = time.monotonic() + 300
    while len(run.log) < 4 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=300)
    assert process.returncode == Exit.INTERRUPTED, errors
    assert "saving what was trained" in errors and "Traceback" not in errors
    assert run.environment["status"] == "interrupted"
    assert run.environment["error"] == "SIGINT"
    assert "interrupted: run" in told
    assert len(run.history) >= 2 and len(run.evaluation) > 0
    model = keras.saving.load_model(run.path / "models" / "acoustic.keras")
    outputs = model.predict(np.zeros((3, model.input_shape[1]), "float32"), verbose=0)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)
