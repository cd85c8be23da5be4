"""The figures, with plotly and with matplotlib: they draw the prepared numbers."""

from __future__ import annotations

import inspect
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib import colors
from matplotlib.figure import Figure

from coloss.report import figures, papers, prepare, style

from . import example

ARGUMENTS = {
    "learning_curves": (example.history(), example.MEMBERS, "accuracy"),
    "terms": (example.history(), example.summands()),
    "coefficients": (example.history(), ["w"]),
    "conflicts": (example.conflicts().query("when == 'end'"), "acoustic"),
    "cosines": (example.flow(),),
    "confusion": ([0, 1, 2, 1], [0, 1, 1, -1], ["x", "$y$", "<b>z</b>"]),
    "calibration": ([0, 1, 1], [[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]]),
    "predictions": ([1.0, 2.0, float("nan")], [1.5, 1.5, 2.0]),
    "data_summary": (example.data(),),
    "teaching": (example.explanation(), "acoustic", example.flow()),
}
ESCAPED = "on &lt;b&gt;paper&lt;/b&gt; &amp; &#36;x&#36;"
"""A name that plotly would read as HTML, and MathJax as a formula."""


@pytest.fixture(scope="module")
def study():
    return example.study_result()


def test_both_ways_of_drawing_have_the_same_figures(study):
    own = set(figures.__all__) - {"Drawing"}
    functions = inspect.getmembers(papers, inspect.isfunction)
    public = {
        n for n, f in functions if f.__module__ == papers.__name__ and n[0] != "_"
    }
    assert public - {"save"} == own == set(ARGUMENTS) | {"forest", "arm_curves"}
    for name in own - {"teaching"}:
        first, second = getattr(figures, name), getattr(papers, name)
        assert list(inspect.signature(first).parameters) == list(
            inspect.signature(second).parameters
        )


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_every_paper_figure_is_drawn(name, tmp_path):
    figure = getattr(papers, name)(*ARGUMENTS[name])
    assert isinstance(figure, Figure)
    path = papers.save(figure, tmp_path / f"{name}.png", dpi=60)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_paper_figure_as_svg_keeps_letters_and_repeats(tmp_path):
    saved = [
        papers.save(papers.learning_curves(*ARGUMENTS["learning_curves"]), path)
        for path in (tmp_path / "one.svg", tmp_path / "two.svg")
    ]
    text = saved[0].read_text()
    assert "acoustic, validation" in text
    assert text == saved[1].read_text()


def test_curves_draw_the_prepared_values():
    table = prepare.learning_curves(*ARGUMENTS["learning_curves"])
    drawn = figures.learning_curves(*ARGUMENTS["learning_curves"])
    assert [t.name for t in drawn.data[:2]] == ["acoustic", "acoustic"]
    assert [t.showlegend for t in drawn.data[:2]] == [False, True]
    expected = table.query("member == 'acoustic' and part == 'validation'")["value"]
    assert list(drawn.data[1].y) == expected.tolist()
    lines = papers.learning_curves(*ARGUMENTS["learning_curves"]).axes[0].lines
    np.testing.assert_array_equal(lines[1].get_ydata(), expected)


def test_terms_are_bars_from_base_to_top():
    drawn = figures.terms(*ARGUMENTS["terms"])
    table = prepare.stacked_terms(*ARGUMENTS["terms"])
    for trace, (term, rows) in zip(
        drawn.data, table.groupby("term", sort=False), strict=True
    ):
        assert trace.name.startswith(term[:40].replace(">", "&gt;"))
        assert list(trace.base) == rows["base"].tolist()


def test_heat_maps_hold_shares_and_cosines():
    drawn = figures.confusion(*ARGUMENTS["confusion"])
    heat = drawn.data[0]
    assert [list(row) for row in heat.z] == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert list(heat.y) == ["x", "&#36;y&#36;", "&lt;b&gt;z&lt;/b&gt;"]
    cosines = figures.cosines(example.flow()).data[0]
    expected = prepare.cosines_over_time(example.flow()).to_numpy()
    np.testing.assert_array_equal(np.array(cosines.z, float), expected)


def test_the_forest_has_a_mark_a_verdict(study, tmp_path):
    compared = study.compare()
    drawn = figures.forest(compared, "accuracy")
    assert [t.name for t in drawn.data] == ["gained", "no evidence", "harmed"]
    gained = drawn.data[0]
    row = compared.loc["taught"]
    assert gained.x[0] == row["gain"]
    assert gained.error_x.array[0] == pytest.approx(row["high"] - row["gain"])
    assert drawn.data[2].y[0] == ESCAPED
    papers.save(papers.forest(compared, "accuracy"), tmp_path / "forest.svg")
    text = (tmp_path / "forest.svg").read_text()
    assert "on &lt;b&gt;paper&lt;/b&gt; &amp; $x$" in text
    curves = figures.arm_curves(study.history, "val_acoustic_accuracy")
    assert [t.name for t in curves.data if t.name] == [
        "alone",
        ESCAPED,
        "self-training",
        "taught",
    ]
    papers.arm_curves(study.history, "val_acoustic_accuracy")


def test_the_drawing_is_an_svg_that_says_who_learns():
    drawing = figures.teaching(*ARGUMENTS["teaching"])
    tree = ET.fromstring(drawing)
    assert tree.get("role") == "img"
    assert "acoustic learns from visual; acoustic learns from text" in tree.get(
        "aria-label"
    )
    space = "{http://www.w3.org/2000/svg}"
    links = [p for p in tree.iter(f"{space}path")]
    widths = [float(p.get("stroke-width")) for p in links]
    assert len(links) == 4 and max(widths) == 11.0 and min(widths) > 1.5
    assert drawing._repr_svg_() == drawing


def test_names_cannot_leave_the_drawing(tmp_path):
    given = example.explanation("acoustic + distill(acoustic >> text)").to_dict()
    hostile = '"><script>'
    given["values"] = {hostile: 1.0, "acoustic": 1.0, "text": 0.0}
    drawing = figures.teaching(given)
    assert "<script" not in drawing
    drawing.save(tmp_path / "drawing.svg")
    titles = ET.parse(tmp_path / "drawing.svg").iterfind(".//{*}title")
    assert any(title.text.startswith(hostile) for title in titles)


def contrast(one, other):
    def light(color):
        parts = np.array(colors.to_rgb(color))
        linear = np.where(
            parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("color", [*style.SERIES, style.GAIN, style.HARM])
def test_series_can_be_seen_on_both_grounds(color):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert min(contrast(color, ground) for ground in (style.LIGHT, style.DARK)) >= 3
