"""A full disk, at every place where a command writes: one sentence, old files whole."""

from __future__ import annotations

import contextlib
import importlib
import resource
import shutil

import keras
import pytest
from typer.testing import CliRunner

from coloss.cli.app import app
from coloss.cli.errors import Exit
from coloss.owned_folder import OLD
from coloss.run_folder import RunFolder

from .mistakes import write_case


@contextlib.contextmanager
def full_disk(size):
    """No file may grow beyond so many bytes.

    JAX writes programs as they come: half of one must not stay for other tests.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    keep_programs(False)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        keep_programs(True)


def keep_programs(on):
    """Let JAX keep what it compiled on the disk, or not."""
    if keras.backend.backend() == "jax":
        jax = importlib.import_module("jax")
        cache = importlib.import_module("jax.experimental.compilation_cache")
        jax.config.update("jax_enable_compilation_cache", on)
        cache.compilation_cache.reset_cache()  # It asks once whether it may.


def call(*arguments, code=Exit.OK):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A configuration and its files, and a run."""
    folder = tmp_path_factory.mktemp("case")
    write_case(folder)
    config = folder / "config.toml"
    call("train", config, "--epochs", 2, "--no-report", "--output", folder / "run")
    return folder


def held(folder):
    return {
        str(one.relative_to(folder)): one.read_bytes()
        for one in sorted(folder.rglob("*"))
        if one.is_file()
    }


COMMANDS = {
    "train": ("train", "{case}/config.toml", "--epochs", 2, "-o", "{case}/new"),
    "train --force": (
        *("train", "{case}/config.toml", "--epochs", 2, "--output", "{case}/run"),
        "--force",
    ),
    "study": ("study", "{case}/config.toml", "--epochs", 1, "-o", "{case}/new"),
    "study --force": (
        *("study", "{case}/config.toml", "--epochs", 1, "--output", "{case}/run"),
        "--force",
    ),
    "predict": (
        *("predict", "{case}/run", "acoustic={case}/acoustic.csv"),
        *("--force", "-o", "{case}/run/evaluation.parquet"),
    ),
    "export": ("export", "{case}/run", "{case}/run/model.keras", "--force"),
    "report": ("report", "{case}/run", "--force"),
    "init": (
        *("init", "{case}/config.toml", "acoustic={case}/acoustic.csv", "--force"),
        *("--labels", "{case}/labels.csv", "--label", "emotion", "--ids", "acoustic=x"),
    ),
    "schema": ("schema", "--output", "{case}/config.toml", "--force"),
}


SIZES = {"train": 20_000, "train --force": 20_000, "study": 20_000}
SIZES["study --force"] = 300
"""Bytes that a file may have, of commands that write small files first; else none."""


@pytest.mark.parametrize("name", COMMANDS)
def test_on_a_full_disk_old_files_stay_whole(case, name):
    before = held(case)
    arguments = [str(one).format(case=case) for one in COMMANDS[name]]
    with full_disk(SIZES.get(name, 0)):
        result = CliRunner().invoke(app, arguments)
    after = held(case)
    assert {path: after.get(path) for path in before} == before
    lines = result.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error:")]
    assert result.exit_code == Exit.WRONG and len(errors) == 1, result.output
    assert "cannot be read or written: " in errors[0] and ".coloss-" not in errors[0]
    assert lines[-1] == errors[0]
    shutil.rmtree(case / "new", ignore_errors=True)


def test_a_run_that_has_begun_takes_the_place_of_the_old_one(case):
    """The disk is full when it ends; what it has is on the disk, and goes on."""
    arguments = [str(one).format(case=case) for one in COMMANDS["train --force"]]
    with full_disk(80_000):
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == Exit.WRONG, result.output
    assert "model.keras' cannot be read or written: File too large" in result.stderr
    run = RunFolder.opened(case / "run")
    assert run.status == "failed" and run.can_resume
    assert not (run.path / OLD).exists()
    call("train", *arguments[1:-1], "--resume", "--no-report")
    assert RunFolder.opened(case / "run").status == "finished"
