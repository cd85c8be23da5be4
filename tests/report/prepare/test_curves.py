"""Learning curves, stacked terms and coefficients, against numbers by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from coloss.report import prepare

HISTORY = pd.DataFrame(
    {
        "epoch": [0, 1, 2],
        "loss": [1.0, -1.0, 0.5],
        "a_loss": [3.0, 2.0, 1.0],
        "val_a_loss": [float("nan"), 2.5, float("nan")],
        "a_b_loss": [9.0, 8.0, 7.0],
        "a": [3.0, 2.0, 1.0],
        "-w*a_b": [-2.0, -3.0, -0.5],
        "w": [0.1, 0.2, 0.3],
        "weight/a": [1.0, 0.9, 0.8],
    }
)


def rows(table):
    return table.to_dict("list")


def test_a_curve_keeps_the_epochs_that_have_a_value():
    table = prepare.learning_curves(HISTORY, ["a", "a_b"], "loss")
    validation = table[table["part"] == "validation"]
    assert rows(validation) == {
        "member": ["a"],
        "part": ["validation"],
        "epoch": [2],
        "value": [2.5],
    }
    training = table[(table["part"] == "training") & (table["member"] == "a")]
    assert training["value"].tolist() == [3.0, 2.0, 1.0]


def test_a_name_that_begins_with_another_keeps_its_own_entries():
    assert prepare.metric_names(HISTORY.columns, ["a", "a_b"]) == {
        "a": ["loss"],
        "a_b": ["loss"],
    }
    known = {"a": ["a_loss"], "fused": []}
    assert prepare.metric_names(HISTORY.columns, known)["a"] == ["loss"]


def test_what_is_below_zero_hangs_below_the_axis():
    table = prepare.stacked_terms(HISTORY, ["a", "-w*a_b", "a_loss", "absent"])
    by_term = {term: rows(found) for term, found in table.groupby("term", sort=False)}
    assert list(by_term) == ["a", "-w*a_b", "a_loss"]
    assert by_term["a"]["base"] == [0.0, 0.0, 0.0]
    assert by_term["-w*a_b"]["base"] == [0.0, 0.0, 0.0]
    assert by_term["-w*a_b"]["value"] == [-2.0, -3.0, -0.5]
    assert by_term["a_loss"]["base"] == [3.0, 2.0, 1.0]
    net = table[table["term"] != "a_loss"].groupby("epoch")["value"].sum()
    assert net.tolist() == HISTORY["loss"].tolist()


def test_coefficients_and_adaptive_weights():
    table = prepare.coefficient_curves(HISTORY, ["w", "constant"])
    found = table[["kind", "name"]].drop_duplicates().to_numpy().tolist()
    assert found == [["coefficient", "w"], ["weight", "a"]]
    assert table["epoch"].tolist() == [1, 2, 3, 1, 2, 3]


def test_what_fit_returns_is_a_history_too():
    class History:
        history = {"loss": [2.0, 1.0]}  # noqa: RUF012

    for given in (History(), History.history):
        assert rows(prepare.as_history(given)) == {"epoch": [0, 1], "loss": [2.0, 1.0]}
    assert prepare.as_history(pd.DataFrame({"loss": [1.0]}))["epoch"].tolist() == [0]


def test_values_of_unknown_epochs_are_refused():
    given = {"loss": [3.0, 2.0, 1.0], "val_loss": [2.0]}
    with pytest.raises(ValueError, match="'val_loss' has 1 value for 3 epochs"):
        prepare.learning_curves(given, ["a"], "loss")
