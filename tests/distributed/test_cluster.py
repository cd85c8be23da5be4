"""The recipes for clusters tell each process where the others are."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from coloss.cli.launcher import ADDRESS, PROCESS, PROCESSES

FOLDER = Path(__file__).parents[2] / "examples" / "cluster"
TELL = f'echo "$KERAS_BACKEND ${ADDRESS} ${PROCESSES} ${PROCESS} $*"'
STUBS = {
    "scontrol": "printf 'first\\nsecond\\n'",
    # As srun: once for each task, with its place.
    "srun": 'shift; for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; done',
    "coloss": TELL,
}


@pytest.fixture
def said(tmp_path):
    """Run a script where the cluster's programs say what they are told."""
    for name, text in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)

    def run(*command, **env):
        path = f"{tmp_path}:{os.environ['PATH']}"
        told = {"PATH": path, "SLURM_NTASKS": "2", "SLURM_JOB_NODELIST": "x", **env}
        done = subprocess.run(
            command, env={**os.environ, **told}, capture_output=True, check=True
        )
        return done.stdout.decode().splitlines()

    return run


def test_slurm(said, tmp_path):
    script = str(FOLDER / "slurm.sh")
    run = str(tmp_path / "a run")
    line = "jax first:29400 2 {} train config.toml --output " + run
    assert said("bash", script, "config.toml", run) == [line.format(i) for i in (0, 1)]
    (tmp_path / "a run" / "resume" / "step-00000004").mkdir(parents=True)
    again = said("bash", script, "config.toml", run)
    assert again == [f"{line.format(i)} --resume" for i in (0, 1)]


def test_kubernetes(said):
    text = (FOLDER / "kubernetes.yaml").read_text()
    script = re.search(r"- \|\n((?: {14}.*\n)+)", text)[1]
    given = dict(re.findall(r"\{name: (KERAS_\w+), value: \"?([^}\"]*)\"?\}", text))
    assert f"- name: {PROCESS}" in text
    [line] = said("bash", "-ec", script, **given, **{PROCESS: "1"})
    where = "jax coloss-0.coloss:29400 2 1"
    assert line == f"{where} train /shared/config.toml --output /shared/run"
