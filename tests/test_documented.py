"""Every public name says what it is, and what each of its arguments is."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

import coloss

MODULES = sorted(coloss._MODULES)


def public(module):
    """Return the functions and classes that a module offers, by name."""
    found = importlib.import_module(f"coloss.{module}")
    named = {name: getattr(found, name) for name in getattr(found, "__all__", ())}
    return {
        name: value
        for name, value in named.items()
        if inspect.isfunction(value) or inspect.isclass(value)
    }


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_documented_and_typed(module):
    assert importlib.import_module(f"coloss.{module}").__doc__
    for name, value in public(module).items():
        text = inspect.getdoc(value) or ""
        assert text, f"coloss.{module}.{name} has no docstring"
        # `cka_rows` takes what `cka` takes, and says so.
        if inspect.isfunction(value) and f"`{name.removesuffix('_rows')}`" not in text:
            parameters = inspect.signature(value).parameters
            for parameter in parameters.values():
                assert parameter.annotation is not parameter.empty, (name, parameter)
                assert f"{parameter.name}:" in text, f"{name}: {parameter.name} untold"


@pytest.mark.parametrize("module", MODULES)
def test_every_public_method_is_documented(module):
    for name, value in public(module).items():
        if not inspect.isclass(value) or not value.__module__.startswith("coloss"):
            continue
        for key, member in vars(value).items():
            if key.startswith("_") or not inspect.isfunction(member):
                continue
            assert inspect.getdoc(member), f"coloss.{module}.{name}.{key}"


def test_make_docs_can_fail():
    """mkdocs counts the warnings that it logs; `--quiet` logs none, and none fails."""
    lines = (Path(__file__).parents[1] / "Makefile").read_text().splitlines()
    (build,) = [line for line in lines if "mkdocs build" in line]
    assert "--strict" in build and "quiet" not in build and "-q" not in build.split()


def test_examples_are_read_as_examples():
    """`Example:` is a note to mkdocstrings: its brackets were taken for links."""
    source = Path(__file__).parents[1] / "src"
    for path in source.rglob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert "Example:" not in [line.strip() for line in lines], path
