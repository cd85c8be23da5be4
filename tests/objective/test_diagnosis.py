"""What an objective does to each network, from the expression alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings

from coloss.objective import (
    Expression,
    ObjectiveError,
)
from coloss.objective.dual import Point, evaluate
from coloss.objective.explanation import EdgeInfo
from coloss.objective.expression import Name
from coloss.objective.objective import explain

from .helpers import MEMBERS, QUESTION, VALUES, bound, lines, of, trees

# --- the question's formula ----------------------------------------------------


def test_the_question() -> None:
    found = of(QUESTION)
    assert found.coefficients == {
        "acoustic": "w1 + w2 + w3",
        "visual": "-w2",
        "text": "-w3",
    }
    assert found.values == {"acoustic": 2.0, "visual": -0.5, "text": -0.5}
    assert found.ascended == found.unbounded == ["visual", "text"]
    assert found.edges == [] and found.idle == []
    assert found.suggestion == (
        "w1*acoustic + visual + text"
        " + w2*distill(visual >> acoustic) + w3*distill(text >> acoustic)"
    )
    said = lines(found)
    assert "acoustic: trained down (c = w1 + w2 + w3 = 2.0)" in said
    assert "visual: trained UP, to fail (c = -w2 = -0.5)" in said
    assert "no network learns from another" in said
    assert (
        "the objective falls to -infinity as the loss of visual or text grows" in said
    )
    assert any("nothing moves between the networks" in line for line in said)
    assert any("Adam cancels constant factors" in line for line in said)


def test_the_uncorrected_answer() -> None:
    """`c2*(visual - text)` in place of `c2*(acoustic - text)`."""
    found = explain(
        "c0*acoustic + c1*(acoustic - visual) + c2*(visual - text)",
        members=MEMBERS,
        coefficients={"c0": 1.0, "c1": 0.5, "c2": 0.5},
    )
    assert found.coefficients["visual"] == "-c1 + c2"
    assert found.ascended == ["text"]
    assert found.suggestion == (
        "c0*acoustic + visual + text"
        " + c1*distill(visual >> acoustic) + c2*distill(text >> visual)"
    )


def test_regression_members_match_outputs_instead() -> None:
    found = of(QUESTION, regression=["text"])
    assert found.suggestion is not None
    assert found.suggestion.endswith(
        "w2*distill(visual >> acoustic) + w3*match_logits(text >> acoustic)"
    )


def test_clipping_bounds_a_helper_that_still_fails() -> None:
    found = of(QUESTION, bounds={"visual": 16.1, "acoustic": 16.1, "text": math.inf})
    assert found.ascended == ["visual", "text"]
    assert found.unbounded == ["text"]
    assert "visual: bounded only by the clipping at 16.1" in lines(found)
    assert of(QUESTION, bounds=dict.fromkeys(MEMBERS, 16.1)).unbounded == []


def test_frozen_members_are_not_trained_to_fail() -> None:
    found = of(QUESTION, frozen=["visual", "text"])
    assert found.ascended == found.unbounded == []
    assert found.suggestion is None
    assert "visual: frozen, not trained" in lines(found)
    partly = of(QUESTION, frozen=["text"])
    assert partly.ascended == ["visual"]
    assert partly.suggestion is not None and "+ text" not in partly.suggestion


# --- coefficients --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "symbol", "value"),
    [
        ("acoustic", "1", 1.0),
        ("2*acoustic", "2", 2.0),
        ("-acoustic", "-1", -1.0),
        ("w1*acoustic", "w1", 1.0),
        ("-w1*acoustic*0.5", "-0.5*w1", -0.5),
        ("w2*w1*acoustic", "w1*w2", 0.5),
        ("w2*acoustic*w2", "w2**2", 0.25),
        ("w2**2*acoustic", "w2**2", 0.25),
        ("(1 - w2)*acoustic", "1 - w2", 0.5),
        ("acoustic/w2", "1/w2", 2.0),
        ("w1*acoustic/(w2*w3)", "w1/w2/w3", 4.0),
        ("acoustic/(w1 + w2)", "1/(w1 + w2)", 1 / 1.5),
        ("exp(w1 - 1)*acoustic", "exp(w1 - 1)", 1.0),
        ("(exp(w1 - 1) + w2)*acoustic", "exp(w1 - 1) + w2", 1.5),
        ("relu(-w1)*acoustic", "relu(-w1)", 0.0),
        ("(w1 + w2)*(w1 - w2)*acoustic", "w1**2 - w2**2", 0.75),
        ("mean(w1*acoustic) - stop(acoustic)", "w1", 1.0),
        ("acoustic + (acoustic - visual)", "2", 2.0),
        ("acoustic - acoustic", "0", 0.0),
        ("0*acoustic", "0", 0.0),
        ("0.1*acoustic + 0.2*acoustic - 0.3*acoustic", "0", 0.0),
        ("stop(acoustic)", "0", 0.0),
        ("visual + w1", "0", 0.0),
        ("acoustic + relu(visual - stop(acoustic))", "1", 1.0),
        ("square(acoustic)", None, 4.6),
        ("abs(acoustic - visual)", None, -1.0),
        ("relu(acoustic - visual)", None, 1.0),
        ("acoustic*visual", None, 2.3),
        ("acoustic**1", "1", 1.0),
        ("acoustic*stop(visual)", None, 2.3),
        ("w2*relu(acoustic) - w1*acoustic", None, -0.5),
        ("max(acoustic, 5)", None, 0.0),
        ("sqrt(acoustic)", None, 0.5 / math.sqrt(0.1)),
        ("log(acoustic)", None, 10.0),
        ("softplus(50 + acoustic)", None, 1.0),
        ("clip(acoustic, 0, 1.5)", None, 1.0),
        ("min(acoustic, -acoustic)", None, -1.0),
        ("1/acoustic", None, -100.0),
        ("2**acoustic", None, 2**2.3 * math.log(2)),
        ("exp(acoustic)", None, math.exp(2.3)),
    ],
)
def test_factor_of_a_loss(text: str, symbol: str | None, value: float) -> None:
    found = of(text)
    assert found.coefficients["acoustic"] == symbol
    assert found.values["acoustic"] == pytest.approx(value)


def test_values_at_given_losses() -> None:
    found = of("square(acoustic) - acoustic*visual", at={"acoustic": 3.0})
    assert found.values["acoustic"] == pytest.approx(5.0), "a missing loss is 1"
    assert found.values["visual"] == pytest.approx(-3.0)
    assert found.ascended == ["visual"]
    assert of("relu(acoustic - visual)", at={"visual": 2.0}).ascended == []


def test_unknown_values_count_as_1_and_are_named() -> None:
    found = explain("acoustic - q*visual", members=MEMBERS)
    assert found.coefficients["visual"] == "-q"
    assert found.values["visual"] == -1.0
    assert any("no value for q: 1.0 assumed" in text for text in found.warnings)
    scheduled = explain("q*visual", members=MEMBERS, coefficients={"q": object()})
    assert any("no value for q" in text for text in scheduled.warnings)


def test_misspelt_names_are_errors_not_coefficients() -> None:
    with pytest.raises(ObjectiveError, match="did you mean 'acoustic'"):
        explain("acoutic - visual", members=MEMBERS)
    with pytest.raises(ObjectiveError, match="no member 'txt'"):
        explain("acoustic + sp(txt >> acoustic)", members=MEMBERS)
    named = explain("w_visual*visual", members=MEMBERS)
    assert named.coefficients["visual"] == "w_visual"


def test_an_endless_product_stays_short() -> None:
    """Expanded, this polynomial would have 2**60 monomials."""
    text = "*".join(f"(w1 + {number})" for number in range(1, 61)) + "*acoustic"
    found = of(text)
    assert len(found.coefficients["acoustic"] or "") < 3000
    assert found.values["acoustic"] > 0


@settings(max_examples=150, deadline=None)
@given(tree=trees())
def test_slopes_are_those_of_finite_differences(tree: Expression) -> None:
    """Where a central difference is trustworthy; `stop` is left out of it."""
    node = bound(tree).expression
    if any(getattr(below, "function", "") == "stop" for below in node.walk()):
        return
    losses = {"acoustic": 0.7, "visual": 1.1, "text": 1.9}
    found = evaluate(node, Point(VALUES, losses))

    def at(step: float) -> float:
        moved = {**losses, "acoustic": losses["acoustic"] + step}
        return evaluate(node, Point(VALUES, moved)).value

    coarse, fine = ((at(s) - at(-s)) / (2 * s) for s in (1e-4, 1e-5))
    slope = found.slopes.get(Name("acoustic"), 0.0)
    numbers = (found.value, coarse, fine, slope)
    readable = all(math.isfinite(one) and abs(one) < 1e4 for one in numbers)
    if readable and abs(coarse - fine) < 1e-5 * (1 + abs(coarse)):
        assert slope == pytest.approx(fine, rel=1e-2, abs=1e-3)


# --- growth --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "unbounded"),
    [
        ("-1e-30*visual", ["visual"]),
        ("acoustic - log(visual)", ["visual"]),
        ("acoustic - sqrt(visual)", ["visual"]),
        ("acoustic - exp(visual)", ["visual"]),
        ("acoustic - square(visual - acoustic)", ["acoustic", "visual"]),
        ("acoustic - acoustic*visual", ["acoustic", "visual"]),
        ("acoustic - square(acoustic)/1000", ["acoustic"]),
        ("min(acoustic, 3 - visual)", ["visual"]),
        ("relu(acoustic - visual)", []),
        ("softplus(acoustic - visual)", []),
        ("abs(acoustic - visual)", []),
        ("square(acoustic - visual)", []),
        ("acoustic/visual", []),
        ("exp(acoustic - visual)", []),
        ("clip(acoustic - visual, -3, 3)", []),
        ("acoustic - min(visual, 4)", []),
        ("max(acoustic - visual, -2)", []),
        ("acoustic - stop(visual)", []),
    ],
)
def test_unbounded(text: str, unbounded: list[str]) -> None:
    assert of(text).unbounded == unbounded


# --- edges, idle members -------------------------------------------------------


def test_edges() -> None:
    found = of(
        "acoustic + visual + w2*distill(visual >> acoustic, temperature=2)"
        " + (w2 - 1)*sp(text.hidden >> visual.hidden, detach=False)"
        " + pseudo_label(acoustic)"
    )
    distilled = "distill(visual >> acoustic, temperature=2)"
    similar = "sp(text.hidden >> visual.hidden, detach=False)"
    assert found.edges == [
        EdgeInfo("visual", "acoustic", distilled, "w2", 0.5, True),
        EdgeInfo("text", "visual", similar, "w2 - 1", -0.5, False),
        EdgeInfo("acoustic", "acoustic", "pseudo_label(acoustic)", "1", 1.0, True),
    ]
    said = lines(found)
    assert f"acoustic learns from visual: {distilled} (weight w2 = 0.5)" in said
    assert any("visual is pushed AWAY from text" in line for line in said)
    assert any("text is moved too" in line for line in said)
    assert any("trained to disagree with text" in text for text in found.warnings)
    assert found.suggestion is None


def test_mutual_has_an_edge_each_way() -> None:
    found = of("w2*mutual(acoustic, visual)")
    assert [(edge.source, edge.learner) for edge in found.edges] == [
        ("visual", "acoustic"),
        ("acoustic", "visual"),
    ]
    assert found.idle == ["text"]
    assert "acoustic: no own loss here; moved by transfer terms only" in lines(found)


def test_a_term_that_cancels_is_no_edge() -> None:
    text = "acoustic + sp(visual >> acoustic) - sp(visual >> acoustic)"
    assert of(text).edges == []
    assert of(text + " + 0*cka(text >> acoustic)").idle == ["visual", "text"]


def test_the_weight_of_a_term_inside_a_function_is_a_number() -> None:
    (edge,) = of("acoustic + relu(distill(visual >> acoustic) - 0.1)").edges
    assert (edge.weight, edge.weight_value) == (None, 1.0)


@pytest.mark.parametrize(
    ("text", "idle"),
    [
        ("acoustic", ["visual", "text"]),
        ("acoustic - stop(visual)", ["visual", "text"]),
        ("relu(acoustic - stop(visual))", ["text"]),
        ("acoustic + w2*sp(text >> acoustic)", ["visual"]),
        ("acoustic + 0*visual", ["visual", "text"]),
        ("acoustic + w1*visual - visual*w1", ["visual", "text"]),
        ("w1 + 2", list(MEMBERS)),
    ],
)
def test_idle(text: str, idle: list[str]) -> None:
    assert of(text).idle == idle


def test_a_coefficient_at_0_does_not_make_a_member_idle() -> None:
    found = of("acoustic + w2*visual", coefficients={"w2": 0.0})
    assert "visual" not in found.idle
    said = "visual: gradient 0 while the coefficients are as they are (c = w2 = 0.0)"
    assert said in lines(found)


# --- warnings ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "acoustic + visual + text",
            "nothing moves between the networks: each learns what it would learn alone",
        ),
        (
            "acoustic - visual",
            "learns what it would learn alone, and nothing from visual or text",
        ),
        ("2*acoustic + visual", "Adam cancels constant factors: for acoustic only"),
        (
            "relu(acoustic - visual) + text",
            "relu(acoustic - visual) drives visual to chance: without stop(visual)",
        ),
        (
            "softplus(acoustic - visual)",
            "softplus(acoustic - visual) drives visual to chance",
        ),
        ("abs(acoustic - visual)", "holds the better network back"),
        ("square(acoustic - visual)", "holds the better network back"),
        ("(acoustic - visual)**2", "holds the better network back"),
        ("log(acoustic - visual)", "its argument must be above 0"),
        ("sqrt(acoustic - visual)", "its argument must be 0 or above"),
        ("sqrt(acoustic)", "is infinite where its argument is 0"),
        ("(acoustic - visual)**0.5", "is undefined at typical losses"),
        ("acoustic/(visual - visual)", "is undefined at typical losses"),
        (
            "acoustic - distill(visual >> acoustic)",
            "acoustic is trained to disagree with visual",
        ),
        (
            "acoustic + distill(visual >> acoustic)",
            "acoustic learns from visual, which nothing trains: add + visual",
        ),
        (
            "acoustic - visual + distill(visual >> acoustic)",
            "acoustic imitates visual, which is trained to fail",
        ),
        ("pseudo_label(acoustic)", "acoustic trains on its own guesses only"),
        (
            "relu(acoustic - stop(visual))",
            "the loss of visual is read but nothing trains visual",
        ),
        ("acoustic/(w1 - 1)", "the factor of acoustic is not finite: 1/(w1 - 1)"),
        ("acoustic + visual", "text affects nothing and will not be trained"),
    ],
)
def test_warned(text: str, warning: str) -> None:
    assert any(warning in found for found in of(text).warnings)


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("acoustic + visual + text", "Adam"),
        ("acoustic + w2*distill(visual >> acoustic) + visual", "Adam"),
        ("acoustic + w2*distill(visual >> acoustic) + visual", "nothing moves"),
        ("acoustic + w2*distill(visual >> acoustic) + visual", "nothing trains"),
        ("mutual(acoustic, visual)", "nothing trains"),
        ("relu(acoustic - stop(visual)) + visual", "nothing moves"),
        ("relu(acoustic - stop(visual)) + visual", "to chance"),
        ("relu(acoustic)", "to chance"),
        ("acoustic + 0*log(acoustic - visual)", "NaN"),
    ],
)
def test_not_warned(text: str, absent: str) -> None:
    assert not any(absent in found for found in of(text).warnings)


def test_a_frozen_learner_is_named() -> None:
    found = of("acoustic + sp(acoustic >> text)", frozen=["text"])
    assert "sp(acoustic >> text) trains nobody: text is frozen" in found.warnings
