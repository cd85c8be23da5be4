"""Which share of the annotations of `src` is `Any`: a line a package, and the whole.

    python -m tools.count_any [--most 5]

An annotation is that of a parameter, a result, or a variable; a parameter without one
(other than `self`) counts as `Any`, too, and so does another name for it (`Spec = Any`)
wherever it is used. One name does not: `coloss.typing.Tensor`, for Keras has no type
that the tensors of its backends share; it counts once, where it is defined. Two shares:
annotations that are `Any` altogether, and those that have it anywhere, as in
`dict[str, Any]`. With `--most` the command fails where the first share of the whole is
greater than so many percent.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

TENSOR = "Tensor"
"""The one name for `Any` that is not counted where it is used."""

SOURCE = Path(__file__).parents[1] / "src" / "coloss"


def annotations(tree: ast.AST) -> Iterator[ast.expr | None]:
    """Yield every annotation below a node; None where a parameter has none.

    Of `Name: TypeAlias = ...` it is what the name stands for.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            is_alias = isinstance(node.annotation, ast.Name) and (
                node.annotation.id == "TypeAlias"
            )
            yield node.value if is_alias else node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs]
            parameters += [extra for extra in (given.vararg, given.kwarg) if extra]
            for parameter in parameters:
                if parameter.arg not in ("self", "cls") or parameter.annotation:
                    yield parameter.annotation
            yield node.returns


def other_names(trees: Iterable[ast.Module]) -> frozenset[str]:
    """Return `Any` and the names that modules give to it, all but the tensors'."""
    found = {"Any"}
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, ast.AnnAssign):
                targets = [node.target]
            else:
                continue
            if isinstance(node.value, ast.Name) and node.value.id == "Any":
                found |= {one.id for one in targets if isinstance(one, ast.Name)}
    return frozenset(found - {TENSOR})


def is_any(node: ast.AST | None, names: Collection[str] = ("Any",)) -> bool:
    """Return whether an annotation is `Any` itself, also beside None."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return is_any(node.left, names) or is_any(node.right, names)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return is_any(ast.parse(node.value, mode="eval").body, names)
    return node is None or (isinstance(node, ast.Name) and node.id in names)


def has_any(node: ast.AST | None, names: Collection[str] = ("Any",)) -> bool:
    """Return whether an annotation has `Any` anywhere."""
    return is_any(node, names) or any(
        isinstance(below, ast.Name) and below.id in names
        for below in (ast.walk(node) if node else ())
    )


def counts() -> dict[str, Counter[str]]:
    """Return, by package, the numbers of annotations: all, any, and with any."""
    found: dict[str, Counter[str]] = {}
    trees = {
        path: ast.parse(path.read_text("utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
    }
    names = other_names(trees.values())
    for path, tree in trees.items():
        parts = path.relative_to(SOURCE).parts
        package = parts[0] if len(parts) > 1 else "coloss"
        counter = found.setdefault(package, Counter())
        for annotation in annotations(tree):
            counter["all"] += 1
            counter["any"] += is_any(annotation, names)
            counter["with"] += has_any(annotation, names)
    return found


def main() -> int:
    """Print the table; return 1 where the share is too great."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=float, help="percent of `Any` that is allowed")
    most = parser.parse_args().most
    table = counts()
    table["whole"] = sum(table.values(), Counter())
    print(f"{'':12}{'annotations':>12}{'Any':>8}{'has Any':>9}")
    for package, counter in table.items():
        shares = [100 * counter[key] / (counter["all"] or 1) for key in ("any", "with")]
        print(f"{package:12}{counter['all']:12}{shares[0]:7.1f}%{shares[1]:8.1f}%")
    whole = table["whole"]
    return int(most is not None and 100 * whole["any"] / whole["all"] > most)


if __name__ == "__main__":
    sys.exit(main())
