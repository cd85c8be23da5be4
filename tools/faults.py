"""The faults of `tools.mutate`: cosmic-ray's mutants, and a module loaded with one."""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).parents[1]

OPERATORS = (
    # An operator of Python for another of its kind; `|` and the like stand in
    # annotations only, and replaced by them arithmetic fails at once.
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "Mod_Mul"),
    *("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_Gt", "Gt_Lt", "Eq_NotEq", "NotEq_Eq"),
    *("AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd", "Delete_Not", "Delete_USub"),
    *("NumberReplacer", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
)


@dataclass(frozen=True)
class Fault:
    """One mutant: the file, and the how manieth place there of which operator."""

    path: str
    line: int
    operator: str
    occurrence: int

    @property
    def name(self) -> str:
        """What the log knows it by."""
        return f"{self.path}:{self.line} {self.operator} {self.occurrence}"


def cosmic_ray(part: str) -> Any:
    """Import a part of cosmic-ray, which only this tool needs."""
    try:
        return importlib.import_module(f"cosmic_ray.{part}")
    except ImportError:
        sys.exit("tools.mutate needs cosmic-ray: pip install 'coloss[mutate]'")


def operators() -> dict[str, Any]:
    """Return the chosen operators of cosmic-ray by name."""
    plugins = cosmic_ray("plugins")
    names = [name for name in plugins.operator_names() if name.endswith(OPERATORS)]
    return {name: plugins.get_operator(name)() for name in sorted(names)}


def faults_of(target: str) -> list[Fault]:
    """Return every fault that the operators make in a file or folder."""
    trees, chosen, found = cosmic_ray("ast"), operators(), []
    start = ROOT / target
    for path in sorted(start.rglob("*.py")) if start.is_dir() else [start]:
        nodes = list(trees.ast_nodes(trees.get_ast(path.read_text("utf-8"))))
        place = str(path.relative_to(ROOT))
        for name, operator in chosen.items():
            positions = (p for node in nodes for p in operator.mutation_positions(node))
            for number, ((line, _), _) in enumerate(positions):
                found.append(Fault(place, line, name, number))
    return sorted(found, key=lambda fault: (fault.path, fault.line, fault.name))


def faulty_text(fault: Fault) -> str:
    """Return the file's text with the fault in it."""
    plugins, mutating = cosmic_ray("plugins"), cosmic_ray("mutating")
    text = (ROOT / fault.path).read_text("utf-8")
    operator = plugins.get_operator(fault.operator)()
    return mutating.mutate_code(text, operator, fault.occurrence)


def is_fault(fault: Fault) -> bool:
    """Return whether there is a program, and another one.

    `*options` for `**options` is no program, and 3e38 + 1 is 3e38.
    """
    before = ast.parse((ROOT / fault.path).read_text("utf-8"))
    try:
        after = ast.parse(faulty_text(fault))
    except SyntaxError:
        return False
    return ast.dump(before) != ast.dump(after)


def changed(fault: Fault) -> list[str]:
    """Return the lines that a fault changes, before and after."""
    before = (ROOT / fault.path).read_text("utf-8").splitlines()
    after = faulty_text(fault).splitlines()
    pairs = zip(before, after, strict=False)
    # A fault may take lines away; the first that differs tells enough then.
    differing = [(old, new) for old, new in pairs if old != new]
    old, new = differing[0] if differing else ("", "")
    return [f"- {old.strip()}", f"+ {new.strip()}"]


class FaultyLoader(importlib.machinery.SourceFileLoader):
    """Loads one module from a text in place of its file's."""

    text = ""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the faulty text, whatever was compiled before."""
        return compile(self.text, self.path, "exec", dont_inherit=True)


@dataclass
class FaultyFinder:
    """Finds the one module that is loaded with a fault; goes into `sys.meta_path`."""

    path: str
    text: str

    @property
    def module(self) -> str:
        """The name that the file is imported by."""
        parts = Path(self.path).relative_to("src").with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """Return where to load the faulty module; None for all others."""
        if name != self.module:
            return None
        path = str(ROOT / self.path)
        loader = FaultyLoader(name, path)
        loader.text = self.text
        return importlib.util.spec_from_file_location(name, path, loader=loader)
