"""What needs no network answers without Keras, and at once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .mistakes import write_case

CODE = """
import sys
from typer.testing import CliRunner
from coloss.cli.app import app
for command in (["--help"], ["train", "--help"], ["validate", "config.toml"],
                ["schema"], ["explain", "config.toml"], ["init", "new.toml"]):
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, (command, result.output)
    heavy = {"keras", "jax", "tensorflow", "torch", "pandas"} & set(sys.modules)
    assert not heavy, (command, heavy)
print("light")
"""


def start(code, folder, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
        check=False,
    )


def test_nothing_heavy_is_imported(tmp_path):
    write_case(tmp_path)
    done = start(CODE, tmp_path)
    assert done.stdout.strip() == "light", done.stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("coloss tr", "train"), ("coloss train --tens", "--tensorboard")],
)
def test_shells_complete_commands_and_options(tmp_path, typed, offered):
    code = "import sys; sys.argv = ['coloss']\nfrom coloss.cli import main\nmain()"
    words = typed.split()
    done = start(
        code,
        tmp_path,
        _COLOSS_COMPLETE="complete_bash",
        COMP_WORDS=typed,
        COMP_CWORD=str(len(words) - 1),
    )
    assert offered in done.stdout.split(), done.stderr


def test_without_an_extra_an_error_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['pydantic'] = None\n"
        "sys.argv = ['coloss', 'validate', 'config.toml']\n"
        "from coloss.cli import main\nmain()"
    )
    done = start(code, tmp_path)
    assert done.returncode == 2
    assert 'pip install "coloss[cli]"' in done.stderr
    assert "Traceback" not in done.stderr
