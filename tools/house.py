"""The rooms of the package, who stands above whom, and a drawing of it.

Every import counts, those inside functions and under TYPE_CHECKING included: what reads
as an arrow in the code is an arrow. `python -m tools.house` draws `docs/house*.svg` and
prints what breaks the rules that `tests/test_layers.py` holds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

Floors = tuple[tuple[str, ...], ...]

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"

FLOORS: Floors = (
    ("__init__",),
    ("cli",),
    ("report",),
    ("run_folder",),
    ("study",),
    ("callbacks", "losses", "recipes"),
    ("checkpoint",),
    ("joint",),
    ("transfer", "weighting", "aggregation", "data"),
    ("objective", "owned_folder", "digest"),
    ("registry", "doubts", "checksum", "distributed"),
    ("_backend", "_pages", "_version", "names", "checking", "writing", "typing"),
)
"""From the top: a room imports rooms below it, and those beside it never."""

FLOORS_OF_JOINT: Floors = (
    ("__init__",),
    ("model",),
    ("fit", "predict", "compute_loss", "serialization"),
    ("epoch_callback", "epochs", "checked_data"),
    ("steps", "explain", "saving", "export"),
    ("base", "protocols"),
    ("compiled", "step_context", "auxiliary"),
    ("optimizers", "balance"),
    ("values",),
    ("checks",),
    ("outputs",),
    ("supervision",),
    ("inputs", "alone"),
    ("autodiff", "keras_internals", "keras_model", "members", "recorded"),
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
            if node.level:
                raise ValueError("a relative import hides where a name lives")
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)


def inside(module: str) -> set[str]:
    """Return the modules of the package that a module imports."""
    return {name for name in imports(module) if name in MODULES and name != module}


def floor(room: str, floors: Floors) -> int:
    """Return on which floor a room stands, from the top.

    Raises:
        LookupError: if it stands on none.
    """
    for index, rooms in enumerate(floors):
        if room in rooms:
            return index
    raise LookupError(f"{room!r} stands on no floor: add it to tools/house.py")


def room(module: str, depth: int) -> str:
    """Return the room of a module: a part of its name, or `__init__`."""
    parts = module.split(".")
    return parts[depth] if len(parts) > depth else "__init__"


def upward(depth: int, floors: Floors, where: str) -> list[str]:
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


def arrows(depth: int, where: str) -> dict[tuple[str, str], int]:
    """Return how many imports go from room to room of a folder."""
    found: dict[tuple[str, str], int] = {}
    for module in MODULES:
        if not module.startswith(where):
            continue
        here = room(module, depth)
        for other in inside(module):
            there = room(other, depth)
            if other.startswith(where) and here != there:
                found[here, there] = found.get((here, there), 0) + 1
    return found


def drawing(depth: int, floors: Floors, where: str) -> str:
    """Return the rooms of a folder as SVG: floors from the top, imports as lines."""
    files, places = {}, {}
    for module, path in MODULES.items():
        if module.startswith(where):
            files.setdefault(room(module, depth), []).append(path)
    shown = [[name for name in rooms if name in files] for rooms in floors]
    shown = [[n for n in rooms if n != "__init__"] for rooms in shown]
    shown = [rooms for rooms in shown if rooms]
    for row, rooms in enumerate(shown):
        for column, name in enumerate(rooms):
            middle = WIDTH / 2 + (column - (len(rooms) - 1) / 2) * (BOX + 24)
            places[name] = (middle, 16 + row * STEP)
    height = 16 + len(shown) * STEP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13" text-anchor="middle">',
        "<title>Rooms from the top; a line is an import, which goes down.</title>",
    ]
    for (here, there), number in sorted(arrows(depth, where).items()):
        if here in places and there in places:
            parts.append(_line(places[here], places[there], number))
    parts += [_box(name, *place, files[name]) for name, place in places.items()]
    return "\n".join([*parts, "</svg>", ""])


WIDTH, BOX, TALL, STEP = 760, 132, 40, 78
"""Of the drawing, in its own units."""


def _line(start: tuple[float, float], end: tuple[float, float], number: int) -> str:
    (x, y), (u, v) = start, end
    width = 0.6 + min(number, 12) / 8
    bend = (v - y - TALL) / 2
    curve = (
        f"M{x:g} {y + TALL:g} C{x:g} {y + TALL + bend:g} {u:g} {v - bend:g} {u:g} {v:g}"
    )
    return (
        f'<path d="{curve}" fill="none" stroke="#8a8f98" stroke-width="{width:.2f}"/>'
    )


def _box(name: str, x: float, y: float, paths: list[Path]) -> str:
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in paths)
    files = "1 file" if len(paths) == 1 else f"{len(paths)} files"
    return (
        f'<rect x="{x - BOX / 2:g}" y="{y:g}" width="{BOX}" height="{TALL}" rx="5" '
        f'fill="#eef2f7" stroke="#31435c"/>'
        f'<text x="{x:g}" y="{y + 17:g}" fill="#14202f" font-weight="600">{name}</text>'
        f'<text x="{x:g}" y="{y + 33:g}" fill="#4a5868" font-size="11">{files}, '
        f"{round(lines, -1)} lines</text>"
    )


PICTURES = {
    "house.svg": (1, FLOORS, "coloss"),
    "house_joint.svg": (2, FLOORS_OF_JOINT, "coloss.joint"),
}
"""Drawings in `docs/`, and what they show."""


def main() -> None:
    """Write the drawings, and print what breaks the rules."""
    for name, what in PICTURES.items():
        (ROOT / "docs" / name).write_text(drawing(*what), "utf-8")
    sizes = [len(p.read_text("utf-8").splitlines()) for p in MODULES.values()]
    print("modules:", len(MODULES), "lines:", sum(sizes), "longest:", max(sizes))
    for title, broken in (
        ("imports upward or sideways", upward(1, FLOORS, "coloss")),
        ("the same inside joint", upward(2, FLOORS_OF_JOINT, "coloss.joint")),
        ("circles", [" <-> ".join(group) for group in circles()]),
    ):
        print(f"{title}: {len(broken)}", *broken, sep="\n  ")


if __name__ == "__main__":
    main()
