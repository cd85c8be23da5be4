"""MathML of an objective: it is well formed, and says what the text says."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

import coloss
from coloss.report.mathml import formula, to_mathml

NAMES = (["a", "b", "text"], ["w", "w1", "v_2"])
SEEN = str.maketrans({"\u2061": "", "\u2062": "", "\u2112": "L"})


def read(parts):
    """Return what a reader sees, without layout."""
    trees = [ET.fromstring(part) for part in parts]
    return " ".join("".join(tree.itertext()) for tree in trees).translate(SEEN)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a", "La"),
        ("w1*a + w*(a - b)", "w1La +w(La\u2212Lb)"),
        ("-a - 2*b", "\u2212La \u22122Lb"),
        ("a*2", "La\u22c52"),
        ("w*distill(b >> a, temperature=4)", "wdistill(b→a;temperature=4)"),
        ("sp((text, b).hidden >> a)", None),
        ("consensus((b, text) >> a, how='best')", "consensus((b,text)→a;how=best)"),
        ("sp(text['block/1'] >> a.hidden)", "sp(text.block/1→a.hidden)"),
        ("mutual(a, b)", "mutual(a,b)"),
        ("relu(a - stop(b))", "relu(La\u2212stop(Lb))"),
        ("abs(a)", "|La|"),
        ("(a + b)**2", "(La+Lb)2"),
        ("(-a)*b", "(\u2212La)Lb"),
        ("a - (b - text)", "La \u2212(Lb\u2212Ltext)"),
        ("v_2*a", "v2La"),
        ("1e-7*a", "1\u22c510\u22127La"),
    ],
)
def test_what_is_seen(text, seen):
    if seen is None:
        with pytest.raises(coloss.ObjectiveError):
            formula(text, *NAMES)
        return
    assert read(formula(text, *NAMES)) == seen


def structure(text):
    bound = coloss.Objective(text).bind(*NAMES)
    return to_mathml(bound.expression)


def test_layout():
    assert "<msup><mrow><mrow>" in structure("(a + b)**2")
    assert "<mfrac><mrow>" in structure("a/b")
    assert "<msqrt>" in structure("sqrt(a)")
    assert "<msup>" in structure("square(a)")
    assert "<msub><mi>w</mi><mn>1</mn></msub>" in structure("w1*a")


def test_names_are_escaped():
    made = structure('sp(text["<b>&"] >> a.hidden)')
    assert "&lt;b&gt;&amp;" in made and "<b>" not in made
    ET.fromstring(made)


def test_a_name_that_is_unknown_is_told():
    with pytest.raises(coloss.ObjectiveError, match="did you mean 'text'"):
        formula("txt", *NAMES)
