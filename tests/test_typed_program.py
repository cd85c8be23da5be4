"""A program of a user's is checked strictly, as his type checker reads the package."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

import coloss
from tools.count_any import counts, other_names

TESTS = Path(__file__).parent
SOURCE = Path(coloss.__file__).parent
PROGRAM = TESTS / "typed_program.py"

# Keras and pandas ship without types; so does every user's installation.
CONFIGURATION = """
[mypy]
strict = true
follow_imports = silent
[mypy-keras.*,pandas.*,scipy.*,sklearn.*,plotly.*,pyarrow.*,jax.*,tensorflow.*,torch.*]
ignore_missing_imports = true
follow_imports = skip
"""

MISTAKES = {
    "joint.compil()": "[attr-defined]",
    "joint.fit(epochs='3')": "[arg-type]",
    "joint.compile(on_ascend='warn')": "[call-arg]",
    "joint.explain().ascend": "[attr-defined]",
    "joint.compiled_settings.objectiv": "[attr-defined]",
    "coloss.Study(build, None, arms={}, main='main')": "[arg-type]",
    "coloss.JointModel([network(3)])": "[arg-type]",
    "joint.predict({})['main'] + joint.lossess[0]": "[attr-defined]",
}


def checked(folder: Path, *files: Path) -> list[str]:
    """Return what a strict mypy says of some files, a line each."""
    configuration = folder / "mypy.ini"
    configuration.write_text(CONFIGURATION)
    found = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--no-error-summary"),
            *("--config-file", configuration),
            *("--cache-dir", TESTS.parent / ".mypy_cache" / "strict"),
            *files,
        ],
        env={**os.environ, "MYPYPATH": str(SOURCE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not found.stderr, found.stderr
    return found.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
def test_a_program_of_a_users_is_checked_strictly(tmp_path):
    # One run for both: reading the package takes longer than the programs.
    wrong = tmp_path / "wrong_program.py"
    head = f"{PROGRAM.read_text()}\njoint = build()\n"
    wrong.write_text(head + "".join(f"{line}\n" for line in MISTAKES))
    first = head.count("\n") + 1
    lines = checked(tmp_path, PROGRAM, wrong)
    found = [line for line in lines if ": note: " not in line]
    assert [line for line in found if wrong.name not in line] == []
    for number, (line, code) in enumerate(MISTAKES.items(), first):
        own = [one for one in found if f"{wrong.name}:{number}: error" in one]
        assert own, f"{line} passes"
        assert code in own[0], own
    assert len(found) == len(MISTAKES), found


def test_any_is_rare_and_no_stand_in_for_a_type_of_ours():
    whole = sum(counts().values(), Counter())
    assert 100 * whole["any"] <= 5 * whole["all"]
    text = "Spec: TypeAlias = Any\nOther = Any\nTensor: TypeAlias = Any\nText = str"
    assert other_names([ast.parse(text)]) == {"Any", "Spec", "Other"}


def test_type_checkers_read_the_package():
    assert (SOURCE / "py.typed").is_file()
