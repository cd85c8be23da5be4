"""The house holds: imports go downward, in no circle, and backends stay in their files.

Every import counts, those inside functions and under TYPE_CHECKING included: what reads
as an arrow in the code is an arrow. `python -m tests.test_layers` prints the table.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

FLOORS = (
    ("__init__",),
    ("cli",),
    ("report",),
    ("run_folder",),
    ("study",),
    ("callbacks", "losses", "recipes"),
    ("joint",),
    ("transfer", "weighting", "aggregation", "data"),
    ("objective",),
    ("_backend", "_version"),
)
"""From the top: a room imports rooms below it, and those beside it never."""

ROOMS_OF_JOINT = (
    ("__init__",),
    ("model",),
    ("fit", "compute_loss", "serialization"),
    ("epoch_callback",),
    ("steps", "explain", "saving", "export"),
    ("compiled", "step_context", "auxiliary"),
    ("checks",),
    ("optimizers", "balance"),
    ("values",),
    ("supervision",),
    ("outputs", "inputs"),
    ("autodiff", "keras_internals", "members"),
)
"""The same inside `joint/`."""

BACKENDS = {"jax": "jax", "jaxlib": "jax", "tensorflow": "tensorflow", "torch": "torch"}


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path
    return found


MODULES = modules()


@cache
def imports(module: str) -> frozenset[str]:
    """Return the names that a module imports: modules, whole."""
    return frozenset(_imports(ast.parse(MODULES[module].read_text("utf-8"))))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where a name lives"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)


def inside(module: str) -> set[str]:
    """Return the modules of the package that a module imports."""
    return {name for name in imports(module) if name in MODULES and name != module}


def floor(room: str, floors: tuple[tuple[str, ...], ...]) -> int:
    found = [index for index, rooms in enumerate(floors) if room in rooms]
    assert found, f"{room!r} stands on no floor: add it to the table"
    return found[0]


def room(module: str, depth: int) -> str:
    parts = module.split(".")
    return parts[depth] if len(parts) > depth else "__init__"


def upward(depth: int, floors: tuple[tuple[str, ...], ...], where: str) -> list[str]:
    """Return the imports that go up or sideways, between the rooms of a folder."""
    found = []
    for module in MODULES:
        if not module.startswith(where):
            continue
        here = room(module, depth)
        for other in sorted(inside(module)):
            there = room(other, depth)
            if not other.startswith(where) or here == there:
                continue
            if floor(there, floors) <= floor(here, floors):
                found.append(f"{module} -> {other}")
    return found


def circles() -> list[list[str]]:
    """Return the groups of modules that import each other in a circle (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in inside(module):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in MODULES:
        if module not in index:
            visit(module)
    return found


def test_imports_between_rooms_go_downward():
    assert upward(1, FLOORS, "coloss") == []


def test_imports_inside_joint_go_downward():
    assert upward(2, ROOMS_OF_JOINT, "coloss.joint") == []


def test_no_modules_import_each_other_in_a_circle():
    assert circles() == []


@pytest.mark.parametrize("module", MODULES)
def test_a_backend_is_imported_in_its_own_files_only(module):
    found = {name.split(".")[0] for name in imports(module)} & set(BACKENDS)
    if not module.startswith("coloss.study.engines."):
        found = {n for n in found if MODULES[module].stem != BACKENDS[n]}
    assert not found


@pytest.mark.parametrize("module", MODULES)
def test_kerass_private_side_is_behind_one_module(module):
    if module != "coloss.joint.keras_internals":
        assert not [name for name in imports(module) if name.startswith("keras.src")]


if __name__ == "__main__":
    print("modules:", len(MODULES))
    for title, broken in (
        ("upward or sideways", upward(1, FLOORS, "coloss")),
        ("the same inside joint", upward(2, ROOMS_OF_JOINT, "coloss.joint")),
        ("circles", [" <-> ".join(group) for group in circles()]),
    ):
        print(f"{title}: {len(broken)}", *broken, sep="\n  ")
