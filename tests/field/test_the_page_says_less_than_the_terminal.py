"""The page of a study left out the caveat, and showed a gain of `+9.93e-09`.

Found by trying: what the terminal says was compared with what the page says.

| neighbors | |
|---|---|
| controls | none, one that gains nothing, one that gains as much |
| where | page of a study, page of its run folder |
| gains | nothing beside the mean, of the size of the mean, tiny means, large means |
"""

from __future__ import annotations

import html
import re

import numpy as np
import pandas as pd
import pytest

from coloss.cli.runs.study import write_result
from coloss.report import write_run, write_study
from coloss.report.page import learning
from coloss.report.page.study_page import study_tiles
from coloss.report.page.view import RunView
from coloss.run_folder import RunFolder
from coloss.study.arms import Run
from coloss.study.result import StudyResult
from coloss.study.settings import Record

SEEDS = 8


def result(gains, controls=(), level=0.6):
    """Return a study of planted gains, in units of the level."""
    random = np.random.default_rng(5)
    base = level * (1 + random.normal(0, 0.02, SEEDS))
    records = []
    for arm, gain in gains.items():
        for seed in range(SEEDS):
            noise = random.normal(0, 0.005 * min(1, abs(gain) * 100))
            test = float(base[seed] + level * (gain + noise))
            records.append(
                Record(
                    run=Run(arm, seed),
                    validation={"main_accuracy": test},
                    test={"main_accuracy": test},
                    seconds=1.0,
                    epochs=1,
                    error=None,
                    history=[{"loss": 1.0, "val_main_accuracy": test}],
                )
            )
    return StudyResult(
        records,
        dict.fromkeys(gains, "main"),
        main="main",
        metric="main_accuracy",
        direction="max",
        baseline="alone",
        controls=controls,
    )


def text_of(path):
    page = path.read_text(encoding="utf-8")
    body = page[page.index("<main") : page.rindex("</main>")]
    body = re.sub(r"<(script|style).*?</\1>", " ", body, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", body)))


def on_a_page(found, folder):
    return text_of(write_study(found, folder / "study.html"))


def in_a_run_folder(found, folder):
    run = RunFolder(folder / "run")
    run.write_config({})
    write_result(run, found)
    return text_of(write_run(run.path))


CONTROLS = {
    "none": ({"alone": 0.0, "taught": 0.1}, ()),
    "gains nothing": ({"alone": 0.0, "self": 0.0, "taught": 0.1}, ("self",)),
    "gains as much": ({"alone": 0.0, "self": 0.1, "taught": 0.1}, ("self",)),
}


@pytest.mark.parametrize("show", [on_a_page, in_a_run_folder])
@pytest.mark.parametrize("case", CONTROLS)
def test_the_page_says_what_the_terminal_says(case, show, tmp_path):
    gains, controls = CONTROLS[case]
    found = result(gains, controls)
    page, said = show(found, tmp_path), found.verdict
    nothing = "that a gain comes from the other networks is not shown"
    assert (nothing in page) == (nothing in said) == (not controls)
    for than in ("gains over", "no gain over"):
        assert (f"{than} the control" in page) == (f"{than} the control" in said)
    rivals = "beats 'alone'"
    assert (rivals.replace("'alone'", "\u2018alone\u2019") in page) == (rivals in said)
    if controls:
        gain = found.compare("self").loc["taught", "gain"]
        told = f"{gain:+.4f}".replace("-", "\u2212")
        assert told.replace("+0.0000", "0.0000") in page


@pytest.mark.parametrize("show", [on_a_page, in_a_run_folder])
def test_a_page_that_shows_its_objectives_does_not_say_there_is_none(show, tmp_path):
    page = show(result(CONTROLS["none"][0]), tmp_path)
    assert "Objectives" in page and "No objective" not in page


@pytest.mark.parametrize(
    ("level", "gain", "shown"),
    [
        (0.6, 0.0, "0.0000"),
        (0.6, 1.6e-8, "0.0000"),
        (0.6, -1.6e-8, "0.0000"),
        (0.6, 0.1, r"\+0\.0\d\d\d"),
        (1.0, -0.1, "\u22120\\.[01]\\d{3}"),
        (1e-5, 0.1, r"\+0\.00000[01]\d\d"),
        (3000.0, 0.1, r"\+[23]\d\d"),
        (3000.0, 1e-9, "0"),
    ],
)
def test_a_gain_is_told_beside_the_means(level, gain, shown, tmp_path):
    found = result({"alone": 0.0, "taught": gain}, level=level)
    compared = found.compare().reset_index()
    tiles = study_tiles(vars(found), compared)
    assert re.fullmatch(shown, tiles[1][0]), tiles
    page = on_a_page(found, tmp_path)
    before_runs = page[: page.index("One row a run")]
    told = re.findall(r"gain in [^\]]*\]|by [^.]*\]", before_runs)
    assert not re.search(r"\de[-\u2212+]\d", " ".join([*tiles[1], *told]))


@pytest.mark.parametrize("measured", [True, False])
def test_a_cosine_is_explained_where_there_is_one(measured, tmp_path):
    from tests.report import example

    run = example.write_run(tmp_path / "run")
    flow = example.flow()
    if not measured:
        flow["cosine"] = np.nan
    run.write_table("flow", pd.DataFrame(flow))
    (picture,) = learning.teaching(RunView.read(run.path))
    assert ("Cosine:" in picture.note) == measured
