"""What the page says, by its text: what is there, what is left out, what is escaped."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from coloss.report import RunFolder, write_run
from coloss.report.page import render, run_page
from coloss.report.page.blocks import Heat, Table, number, wide_table
from coloss.report.page.outcome import duration, outcomes
from coloss.report.page.view import RunView, labels_of

from . import example


def text_of(path):
    """Return a page's text without plotly.js and its own script."""
    page = path.read_text(encoding="utf-8")
    return page[: page.index("<footer>")]


def test_a_run_has_every_section_but_the_study(pages):
    page = text_of(pages["run"])
    found = re.findall(r'<section id="(\w+)"', page)
    assert found == [
        "objective",
        "teaching",
        "curves",
        "terms",
        "coefficients",
        "conflicts",
        "outcome",
        "data",
        "environment",
        "absent",
    ]
    assert "<code>coloss study</code> runs them" in page
    for said in ("acoustic learns from visual", "coloss train emotions.toml", "3.15.1"):
        assert said in page


def test_the_page_is_one_file_that_loads_nothing(pages):
    page = pages["run"].read_text(encoding="utf-8")
    outside = re.findall(r'(?:src|href)="(?!#|data:)([^"]+)"', text_of(pages["run"]))
    assert outside == []
    assert page.count("plotly.js v") == 1
    assert "default-src &#39;none&#39;" in page
    assert 3e6 < pages["run"].stat().st_size < 7e6


def test_what_has_just_begun_says_what_is_missing(pages):
    page = text_of(pages["begun"])
    assert "This run is failed: &lt;b&gt;no memory&lt;/b&gt;." in page
    assert re.findall(r'<section id="(\w+)"', page) == ["environment", "absent"]
    assert page.count("<code>coloss train</code>") >= 4


def test_hostile_names_are_text(pages):
    for name in ("run", "runs", "study"):
        assert "<img" not in text_of(pages[name])
        assert "<b>paper" not in text_of(pages[name])
    assert "&lt;img src=x onerror=alert(1)&gt;" in text_of(pages["run"])
    # Inside a script element the figures' JSON cannot end it.
    scripts = re.findall(
        r'<script type="application/json"[^>]*>(.*)', pages["run"].read_text()
    )
    assert scripts and not any("<" in s.removesuffix("</script>") for s in scripts)


def test_a_study_gives_its_verdicts(pages):
    page = text_of(pages["study"])
    assert "acoustic gained with \u2018taught\u2019." in page
    assert (
        "acoustic was harmed by \u2018on &lt;b&gt;paper&lt;/b&gt; &amp; $x$\u2019."
        in page
    )
    compared = example.study_result().compare().loc["taught"]
    assert f"+{compared['gain']:.4f}" in page
    assert f"+{compared['low']:.4f} to +{compared['high']:.4f}" in page


def test_runs_are_compared(pages, runs, tmp_path):
    page = text_of(pages["runs"])
    assert page.count('class="run-name">baseline') == 9
    assert "The configurations do not differ." in page
    kept = RunFolder(runs / "baseline").history["val_acoustic_accuracy"].iloc[8]
    assert f'<td class="short">{kept:.4g}</td>' in page
    other = RunFolder(tmp_path / "baseline")
    other.write_config({**example.config(), "training": {"epochs": 7}})
    out = write_run([runs / "baseline", other.path], tmp_path / "two.html")
    page = text_of(out)
    assert re.search(
        r'training.epochs</th>\s*<td class="short">12</td><td class="short">7<', page
    )
    assert f"{runs.name}/baseline" in page  # Equal names get the folder above.


def test_a_study_in_a_run_folder(runs, tmp_path):
    result = example.study_result()
    run = RunFolder(tmp_path / "study")
    run.write_config({})
    found = {n: getattr(result, n) for n in ("main", "metric", "direction", "baseline")}
    run.write_json("study.json", {**found, "objectives": result.objectives})
    run.write_table("study_arms", result.compare().reset_index())
    run.write_table("study_history", result.history)
    page = text_of(write_run(run.path))
    assert run.report_path.exists()
    assert "acoustic gained with \u2018taught\u2019." in page
    assert "val_acoustic_accuracy by arm" in page


def test_a_page_is_replaced_whole(runs, tmp_path):
    out = tmp_path / "new" / "page.html"
    write_run(runs / "begun", out)
    first = out.read_bytes()
    assert write_run([str(runs / "begun")], str(out)).read_bytes() == first
    assert [p.name for p in out.parent.iterdir()] == ["page.html"]
    with pytest.raises(ValueError, match="at least one run folder"):
        write_run([])
    with pytest.raises(FileNotFoundError, match="holds no run"):
        write_run(tmp_path)


def test_a_term_of_the_users_own_leaves_the_text(runs):
    view = RunView.read(runs / "emotions")
    own = {**view.explanation["explanation"], "objective": "acoustic + mine(text)"}
    changed = RunView("x", explanation={**view.explanation, "explanation": own})
    page = render(run_page(changed))
    assert "<code>acoustic + mine(text)</code>" in page
    assert "<math>" not in page and "No formula" in page


def test_a_network_of_numbers_has_errors_and_no_classes():
    frame = pd.DataFrame(
        {
            "id": ["r1", "r2", "r3"],
            "split": "test",
            "label": [1.0, 2.0, np.nan],
            "predicted": [1.5, 2.5, 9.0],
        }
    )
    facts, plot = outcomes(RunView("x", evaluation=frame, data={"classes": None}))
    assert facts.items[0] == ("mean absolute error", "0.5")
    assert plot.table.rows[2] == ["r3", "\u2013", "9"]
    many = pd.concat([frame] * 2000)
    _, plot = outcomes(RunView("x", evaluation=many))
    assert len(json.loads(plot.figure)["data"][0]["x"]) == 3000
    assert plot.note == "Every 2 rows of 6000."
    page = render(run_page(RunView("x", evaluation=frame)))
    assert "mean absolute error" in page


def test_of_many_classes_the_most_frequent_mistakes_are_told():
    labels = np.repeat(np.arange(25), 3)
    predicted = labels.copy()
    predicted[[0, 1]], predicted[3] = 7, 8
    frame = pd.DataFrame(
        {"split": "validation", "label": labels, "predicted": predicted}
    )
    names = [f"class {i}" for i in range(25)]
    blocks = outcomes(RunView("x", evaluation=frame, data={"classes": names}))
    table = next(block for block in blocks if isinstance(block, Table))
    assert table.rows == [["class 0", "class 7", "2"], ["class 1", "class 8", "1"]]
    few = frame[frame["label"] < 4].assign(predicted=0)
    blocks = outcomes(RunView("x", evaluation=few, data={"classes": names[:4]}))
    heat = next(block for block in blocks if isinstance(block, Heat))
    assert [cell.text for cell in heat.rows[1][1]] == ["3", "0", "0", "0"]
    assert heat.rows[1][1][0].level == 1.0


def test_long_tables_are_thinned_to_the_last_row():
    frame = pd.DataFrame({"epoch": range(1, 201), "term": "t", "value": range(200)})
    table = wide_table("T", frame, "epoch", ["term"], "value")
    assert table.columns == ["epoch", "t"]
    assert len(table.rows) == 50 and table.rows[-1] == ["200", "199"]
    assert table.note == "Every 4 rows of 200."


def test_figures_in_words():
    assert [
        number(v) for v in (None, float("nan"), -0.12345, 7, float("inf"), 12345.0)
    ] == [
        "\u2013",
        "\u2013",
        "\u22120.1235",
        "7",
        "inf",
        "12345",
    ]
    assert [duration(s) for s in (4.21, 200, 7300)] == [
        "4.21 s",
        "3 min 20 s",
        "2 h 1 min",
    ]


def test_runs_of_one_name_can_be_told_apart(tmp_path):
    one, two = tmp_path / "a" / "run", tmp_path / "b" / "run"
    assert labels_of([one, tmp_path / "other"]) == ["run", "other"]
    assert labels_of([one, two]) == ["a/run", "b/run"]
    assert labels_of([one, one]) == ["1: a/run", "2: a/run"]
