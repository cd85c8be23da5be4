"""Every problem that `coloss doctor` sees comes with what to do."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from coloss.cli import health
from coloss.cli.app import app
from coloss.cli.errors import Exit


def test_a_sound_installation():
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == Exit.OK, result.output
    found = {line["what"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert found["backend"]["state"] == found["self-test"]["state"] == "ok"
    assert "accuracy" in found["self-test"]["found"]


@pytest.mark.parametrize(
    ("backend", "installed", "mend"),
    [
        ("jaxx", ("jax",), "set it to one of jax, or unset it"),
        ("torch", ("jax",), 'pip install "coloss[torch]", or KERAS_BACKEND=jax'),
        ("jax", (), 'pip install "coloss[jax]"'),
    ],
)
def test_a_wrong_backend_is_told_without_importing_it(
    monkeypatch, backend, installed, mend
):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr(
        health.importlib.util, "find_spec", lambda name: name in installed or None
    )
    found = {finding.what: finding for finding in health.findings(quick=True)}
    assert found["backend"].state == "broken" and found["backend"].mend == mend
    assert "keras" not in found
    result = CliRunner().invoke(app, ["doctor", "--quick"])
    assert result.exit_code == Exit.FAILED
    assert "something is broken" in result.stdout


def test_a_self_test_that_fails_is_a_finding(monkeypatch):
    def broken():
        raise RuntimeError("no device")

    monkeypatch.setattr(health, "_trained", broken)
    found = health.self_test()
    assert found.state == "broken" and "no device" in found.found and found.mend
    monkeypatch.setattr(health, "_trained", lambda: (0.1, True))
    assert health.self_test().state == "broken"
