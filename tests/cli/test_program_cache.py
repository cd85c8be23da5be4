"""Compiled programs are kept where the user keeps such things, or says."""

from __future__ import annotations

import os
import stat

import platformdirs
import pytest

from coloss.cli import program_cache
from coloss.cli.program_cache import FOLDER, keep_programs

NAMES = (
    FOLDER,
    "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_COMPILATION_CACHE_MAX_SIZE",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
)


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Return a home for caches; what is set in the environment is taken back."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(
        platformdirs, "user_cache_dir", lambda name, appauthor: str(tmp_path / name)
    )
    return tmp_path


def test_a_folder_of_the_user_that_nobody_else_may_write(environment):
    keep_programs()
    folder = environment / "coloss" / "programs"
    assert os.environ[FOLDER] == str(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert int(os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"]) == program_cache.LARGEST


@pytest.mark.parametrize(
    ("name", "value"), [(FOLDER, "mine"), ("JAX_ENABLE_COMPILATION_CACHE", "false")]
)
def test_what_the_user_says_is_left(environment, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    keep_programs()
    assert os.environ[name] == value
    assert not (environment / "coloss").exists()


def test_other_backends_have_none(environment, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keep_programs()
    assert not (environment / "coloss").exists()


def test_without_a_place_programs_are_not_kept(environment):
    (environment / "coloss").write_text("a file in the way")
    keep_programs()
    assert FOLDER not in os.environ
