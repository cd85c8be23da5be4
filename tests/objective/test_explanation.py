"""The explanation as text, as HTML and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from coloss.objective import Objective, explain

from .helpers import MEMBERS, QUESTION, VALUES, bound, lines, of


def test_objective_explain_is_the_same() -> None:
    assert bound(QUESTION).explain(members=MEMBERS, coefficients=VALUES) == of(QUESTION)
    assert of(Objective(QUESTION)) == of(QUESTION)


def test_frozen_dataclass_with_room_for_a_batch() -> None:
    found = of("acoustic + w2*distill(visual >> acoustic) + visual")
    assert found.flow is None and found.cosines is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.flow = {}  # type: ignore[misc]
    term = "w2*distill(visual >> acoustic)"
    filled = dataclasses.replace(
        found,
        flow={"acoustic": {"acoustic": 1.25}, term: {"acoustic": 0.5, "visual": 0.0}},
        cosines=[("acoustic", "acoustic", term, -0.25)],
    )
    said = lines(filled)
    assert f"{term}: acoustic 0.5, visual 0" in said
    assert f"acoustic: acoustic against {term} (cosine -0.25)" in said
    assert filled.to_dict()["flow"][term] == {"acoustic": 0.5, "visual": 0.0}
    assert "gradient norms" not in str(found)


def test_the_rows_of_a_batch_are_counted_by_member() -> None:
    counts = {"rows": 8, "positions": 8, "labeled": 5, "unlabeled": 2, "missing": 1}
    steps = {**counts, "positions": 24, "ignored": 3}
    found = dataclasses.replace(
        of("acoustic + text"),
        rows={"acoustic": {**counts, "ignored": 0}, "text": steps},
    )
    line = "8 rows, 5 labeled, 2 unlabeled, 1 without input"
    assert f"acoustic: {line}" in lines(found)
    assert f"text: {line}; 3 of 24 labels ignored" in lines(found)


def test_to_dict_is_json() -> None:
    found = of(QUESTION)
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert read["coefficients"]["visual"] == "-w2"
    assert read["ascended"] == ["visual", "text"]
    broken = dataclasses.replace(found, values={"acoustic": math.nan})
    assert broken.to_dict()["values"] == {"acoustic": None}


def test_html_is_escaped() -> None:
    text = "acoustic + sp(visual['<script>'] >> acoustic) - text"
    html = of(text)._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert "trained UP" in html and "&gt;&gt;" in html


def test_many_members_stay_readable() -> None:
    members = [f"m{index}" for index in range(60)]
    text = "m0 - " + " - ".join(f"m{i} + sp(m{i} >> m0)" for i in range(1, 60))
    found = explain(text, members=members)
    assert len(str(found).splitlines()) <= 40
    assert len(found.ascended) == 59
    assert "... and" in str(found)
    assert found.suggestion is not None


def test_a_long_list_is_cut_where_it_says_how_many_are_left_out() -> None:
    members = [f"m{index}" for index in range(12)]
    said = lines(explain(" + ".join(members), members=members))
    begin = said.index("what happens to each network") + 1
    end = said.index("who learns from whom")
    assert [line.split(":")[0] for line in said[begin:end]] == [
        *members[:7],
        "... and 5 more",
    ]
    all_of_eight = lines(explain(" + ".join(members[:8]), members=members[:8]))
    assert not any("more" in line for line in all_of_eight[begin : begin + 8])


def test_numbers_are_exact_where_they_are_whole() -> None:
    found = of("1234567*acoustic + 0.123456789*visual").to_dict()["coefficients"]
    assert found["acoustic"] == "1234567"
    assert found["visual"] == "0.123457"


def test_many_members_in_one_function() -> None:
    members = [f"m{index}" for index in range(100)]
    found = explain(f"relu(m0 - {' - '.join(members[1:])})", members=members)
    assert set(found.ascended) <= set(members[1:])


def test_nothing_is_said_twice() -> None:
    found = of("relu(acoustic - visual) + relu(acoustic - visual)")
    assert len(found.warnings) == len(set(found.warnings))
