"""The README is executed: its code runs, and prints what it says."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)


NUMBER = re.compile(r"[-+]?\d+\.\d+(?:e[-+]\d+)?")


def assert_prints(shown, said):
    """Words are the same; what was trained is so on this machine to 0.03."""
    words = [" ".join(NUMBER.sub("#", text).split()) for text in (shown, said)]
    assert words[0] == words[1]
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (shown, said)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.03)


@pytest.fixture
def blocks():
    return BLOCK.findall(README.read_text())


def test_every_block_runs_and_prints_what_follows_it(
    blocks, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    namespace, shown = {}, ""
    for language, body in blocks:
        if language == "python":
            exec(compile(body, "README.md", "exec"), namespace)
            shown = capsys.readouterr().out
        else:
            assert_prints(shown, body)
    assert isinstance(keras.saving.load_model("acoustic.keras"), keras.Sequential)


def test_every_word_in_the_tables_is_in_the_language():
    from coloss.objective import FUNCTIONS, TRANSFER_TERMS

    text = README.read_text()
    listed = set(re.findall(r"^\| `(\w+)\(", text, re.MULTILINE))
    assert listed - {"stop", "mean"} == set(TRANSFER_TERMS)
    assert listed <= set(FUNCTIONS)
