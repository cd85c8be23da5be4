"""Recipes are objectives like any other."""

from __future__ import annotations

import pytest

import coloss


def test_learn_from_prints_as_text():
    found = coloss.recipes.learn_from("acoustic", ["visual", "text"])
    assert str(found) == (
        "acoustic + visual + text"
        ' + 0.5*distill(visual >> acoustic, temperature=4, gate="network")'
        ' + 0.5*distill(text >> acoustic, temperature=4, gate="network")'
    )
    assert coloss.Objective(str(found)) == found


def test_learn_from_takes_a_coefficient():
    found = coloss.recipes.learn_from("a", ["b"], weight="w", temperature=2, gate=None)
    assert str(found) == "a + b + w*distill(b >> a, temperature=2)"


def test_a_fused_teacher_teaches_alone():
    found = coloss.recipes.learn_from("a", ["b", "c"], fused="all")
    term = 'distill(all >> a, temperature=4, gate="network")'
    assert str(found) == f"a + b + c + all + {term}"
    with pytest.raises(ValueError, match="`helpers` and `fused` must differ"):
        coloss.recipes.learn_from("a", ["b"], fused="b")


def test_a_regression_is_taught_by_values():
    found = coloss.recipes.learn_from("a", ["b", "c"], fused="all", task="regression")
    assert str(found) == 'a + b + c + all + match_logits(all >> a, gate="network")'
    with pytest.raises(ValueError, match="did you mean 'regression'"):
        coloss.recipes.learn_from("a", ["b"], task="regresion")
    with pytest.raises(ValueError, match="compares probabilities"):
        coloss.recipes.learn_from("a", ["b"], task="regression", gate="row")


def test_nobody_is_trained_to_fail():
    found = coloss.recipes.learn_from("a", ["b", "c"]).explain(members=["a", "b", "c"])
    assert found.ascended == []
    assert found.unbounded == []
    assert {(edge.source, edge.learner) for edge in found.edges} == {
        ("b", "a"),
        ("c", "a"),
    }


@pytest.mark.parametrize(
    ("main", "helpers", "message"),
    [
        ("a", [], "`helpers` is empty"),
        ("a", ["a"], "must differ"),
        ("a", ["b", "b"], "must differ"),
        ("a b", ["c"], "must be an identifier"),
    ],
)
def test_learn_from_refuses(main, helpers, message):
    with pytest.raises(ValueError, match=message):
        coloss.recipes.learn_from(main, helpers)


def test_self_training_has_no_edge_between_networks():
    found = coloss.recipes.self_training(["a", "b"])
    assert str(found) == (
        "a + b + pseudo_label(a, threshold=0.95) + pseudo_label(b, threshold=0.95)"
    )
    with pytest.raises(ValueError, match="empty"):
        coloss.recipes.self_training([])
