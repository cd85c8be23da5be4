"""Binding, summands, reach, and serialization of objectives."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings

from coloss.objective import (
    Expression,
    Objective,
    ObjectiveError,
    coefficient,
    loss,
    reach,
)
from coloss.objective.functions import builder

from .helpers import COEFFICIENTS, MEMBERS, QUESTION, bound, trees


def summands(text: str) -> list[str]:
    return [str(summand) for summand in Objective(text).summands]


def test_the_question_has_three_summands() -> None:
    assert summands(QUESTION) == [
        "w1*acoustic",
        "w2*(acoustic - visual)",
        "w3*(acoustic - text)",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ["a"]),
        ("a - b - c", ["a", "-b", "-c"]),
        ("a - (b - c)", ["a", "-(b - c)"]),
        ("-a + b", ["-a", "b"]),
        ("a - -2", ["a", "2"]),
        ("w*(a + b)", ["w*(a + b)"]),
        ("mean(a + b) + relu(a - b)", ["mean(a + b)", "relu(a - b)"]),
    ],
)
def test_summands_are_as_written(text: str, expected: list[str]) -> None:
    assert summands(text) == expected


def test_a_long_sum_has_all_its_summands() -> None:
    assert len(Objective(" + ".join(["a"] * 150)).summands) == 150


@pytest.mark.parametrize(
    ("text", "sentence", "column"),
    [
        ("acoutic", "no member 'acoutic'; did you mean 'acoustic'?", 0),
        ("acoustic + Visual", "no member 'Visual'; did you mean 'visual'?", 11),
        ("sp(visul.x >> text)", "no member 'visul'; did you mean 'visual'?", 3),
        ("sp(visual >> txt)", "no member 'txt'; did you mean 'text'?", 13),
        ("mutual(visual, txt)", "no member 'txt'; did you mean 'text'?", 15),
        ("w11*acoustic", "no coefficient 'w11'; did you mean 'w1'?", 0),
        ("w4*acoustic", "no member and no coefficient 'w4'", 0),
        ("q*acoustic", "no member and no coefficient 'q'", 0),
        ("q*acoustic", "coefficients={'q': 1.0}", 0),
        ("pseudo_label(w1)", "no member 'w1'", 13),
        ("distill(w1 >> acoustic)", "no member 'w1'", 8),
    ],
)
def test_unknown_names_are_pointed_at(text: str, sentence: str, column: int) -> None:
    with pytest.raises(ObjectiveError) as caught:
        bound(text)
    assert sentence in str(caught.value)
    assert caught.value.column == column
    assert "^" in str(caught.value)


def test_unknown_names_in_trees_have_no_column() -> None:
    with pytest.raises(ObjectiveError, match="did you mean 'acoustic'") as caught:
        bound(loss("acoutic"))
    assert caught.value.column is None


def test_a_name_is_used_as_what_it_was_made() -> None:
    with pytest.raises(ObjectiveError, match="'w1' is used as a member, and is none"):
        bound(loss("w1"))
    with pytest.raises(ObjectiveError, match="'text' is used as a coefficient"):
        bound(coefficient("text") * loss("visual"))


@pytest.mark.parametrize(
    ("members", "coefficients", "sentence"),
    [
        (["a"], ["a"], "both a member and a coefficient"),
        (["relu"], [], "member 'relu' has the name of a function"),
        (["a"], ["distill"], "coefficient 'distill' has the name of a function"),
        (["not ok"], [], "must be an identifier"),
        (["class"], [], "must be an identifier"),
        (["a"], ["1w"], "must be an identifier"),
    ],
)
def test_clashing_and_impossible_names(
    members: list[str], coefficients: list[str], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Objective("2").bind(members, coefficients)


def test_binding_leaves_the_original_alone() -> None:
    objective = Objective("w1*acoustic")
    assert objective.learners == frozenset()
    assert bound("w1*acoustic").learners == {"acoustic"}
    assert objective.bind(MEMBERS, COEFFICIENTS) == objective
    assert objective.learners == frozenset()


def test_sources_of_an_objective() -> None:
    text = Objective("a + w*b")
    assert (
        Objective(text) == text == Objective(loss("a") + coefficient("w") * loss("b"))
    )
    assert hash(Objective(text)) == hash(text)
    assert repr(text) == "Objective('a + w*b')"
    assert text != "a + w*b"
    for wrong in (None, ["a"], {"a": 1}):
        with pytest.raises(TypeError):
            Objective(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a place in a network"):
        Objective(loss("a") >> loss("b"))
    with pytest.raises(ObjectiveError, match="no finite value"):
        Objective(loss("a") / 0)
    deep = loss("a")
    for _ in range(200):
        deep = -deep
    with pytest.raises(ObjectiveError, match="nested deeper"):
        Objective(deep)


@settings(max_examples=100, deadline=None)
@given(tree=trees())
def test_serialized_as_text(tree: Expression) -> None:
    objective = Objective(tree)
    config = json.loads(json.dumps(objective.get_config()))
    assert Objective.from_config(config) == objective
    assert objective.bind(MEMBERS, COEFFICIENTS) == objective


@pytest.mark.parametrize(
    ("text", "learners", "losses"),
    [
        (QUESTION, set(MEMBERS), set(MEMBERS)),
        ("acoustic - stop(visual)", {"acoustic"}, {"acoustic", "visual"}),
        ("acoustic + 0*visual", {"acoustic"}, {"acoustic"}),
        ("acoustic + (1 - 1)*visual", {"acoustic"}, {"acoustic"}),
        ("acoustic + visual*0/3", {"acoustic"}, {"acoustic"}),
        ("distill(visual >> acoustic)", {"acoustic"}, set()),
        ("distill(visual >> acoustic, detach=False)", {"acoustic", "visual"}, set()),
        ("0*distill(visual >> acoustic) + text", {"text"}, {"text"}),
        ("mutual(acoustic, visual)", {"acoustic", "visual"}, set()),
        ("visual + mutual(acoustic, visual)", {"acoustic", "visual"}, {"visual"}),
        ("pseudo_label(text)", {"text"}, set()),
        ("w1*2", set(), set()),
    ],
)
def test_who_is_reached(text: str, learners: set[str], losses: set[str]) -> None:
    objective = bound(text)
    assert objective.learners == learners
    assert reach.losses(objective.expression) == losses


def test_edges_are_spelled_out() -> None:
    objective = bound(
        "mutual(acoustic, visual, text) + sp((text.x, visual) >> acoustic.y)"
        " + pseudo_label(text) + 0*cka(text >> visual)"
    )
    assert [str(edge) for edge in objective.edges] == [
        "(visual, text) >> acoustic",
        "(acoustic, text) >> visual",
        "(acoustic, visual) >> text",
        "(text.x, visual) >> acoustic.y",
        "text >> text",
    ]
    ports = [str(port) for port in reach.ports(objective.expression)]
    assert ports == ["visual", "text", "acoustic", "text.x", "acoustic.y"]
    assert objective.names == ("acoustic", "visual", "text")


def test_repeated_terms_count_once() -> None:
    term = builder("sp")(loss("visual") >> loss("acoustic"))
    assert len(reach.transfer_calls(bound(term + 2 * term).expression)) == 1


def test_parsing_and_explaining_import_no_keras() -> None:
    program = f"""
import sys
from coloss.objective import Objective
objective = Objective({QUESTION!r}).bind({MEMBERS!r}, {COEFFICIENTS!r})
text = str(objective.explain(members={MEMBERS!r})) + objective.latex()
Objective.from_config(objective.get_config())
heavy = {{"keras", "jax", "tensorflow", "torch", "numpy"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
