"""Words, figures and errors, for people and for machines."""

from __future__ import annotations

import json

import pytest
import typer

from coloss.cli.commands.options import TRACEBACK, answering
from coloss.cli.errors import CliError, Exit
from coloss.cli.output import Output, told_figures


def test_lines_for_machines_are_strict_json(capsys):
    output = Output(json=True)
    output.event("epoch", loss=float("nan"), at=[1, float("inf")])
    output.say("for people")
    output.note("careful")
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first) == {"event": "epoch", "loss": None, "at": [1, None]}
    assert json.loads(second) == {"event": "warning", "message": "careful"}


def test_quiet_shows_errors_only(capsys):
    output = Output(quiet=True)
    output.say("x")
    output.note("y")
    with output.progress(2, "epoch") as tracker:
        tracker.step(1, {"loss": 1.0})
    output.error(CliError("broken", note="mend it"))
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err == "error: broken\nmend it\n"


def test_plain_lines_where_there_is_no_terminal(capsys):
    with Output().progress(10, "epoch") as tracker:
        tracker.step(0.5)  # Within an epoch: no line.
        tracker.step(1, {"loss": 2.0})
        tracker.step(2, {"loss": 1.5})  # Too soon after the last one.
        tracker.step(10, {"loss": 0.25})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("epoch 1/10, ")
    assert lines[1] == "epoch 10/10, 0 s left: loss 0.25"
    assert told_figures({"a": 1 / 3, "b": 2.0}) == "a 0.3333  b 2"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (CliError("wrong"), Exit.WRONG, "error: wrong"),
        (CliError("failed", code=Exit.FAILED), Exit.FAILED, "error: failed"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, "interrupted"),
        (MemoryError("8 GB"), Exit.FAILED, "batch_size"),
        (RuntimeError("[odd] bracket"), Exit.FAILED, "RuntimeError: [odd] bracket"),
    ],
)
def test_every_error_is_a_sentence_and_a_code(capsys, monkeypatch, error, code, said):
    monkeypatch.delenv(TRACEBACK, raising=False)
    with pytest.raises(typer.Exit) as ended, answering():
        raise error
    assert ended.value.exit_code == code
    assert said in capsys.readouterr().err


def test_where_an_error_happened_can_be_asked_for(monkeypatch):
    monkeypatch.setenv(TRACEBACK, "1")
    with pytest.raises(RuntimeError), answering():
        raise RuntimeError
