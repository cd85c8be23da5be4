"""Who teaches whom: links, widths and places."""

from __future__ import annotations

import math

import pytest

import coloss
from coloss.report import prepare
from coloss.report.prepare.teaching import THICKEST, THINNEST

OBJECTIVE = (
    "main + a + b - w*distill(a >> main) + 2*distill(b >> main) + sp(b >> main) "
    "+ pseudo_label(a)"
)


def explained(objective, members, coefficients):
    found = coloss.Objective(objective)
    return found.explain(members=members, coefficients=coefficients).to_dict()


@pytest.fixture
def explanation():
    return explained(OBJECTIVE, ["a", "main", "b"], {"w": 0.5})


def link(diagram, source, learner):
    return next(x for x in diagram.links if (x.source, x.learner) == (source, learner))


def test_one_link_a_pair_with_all_its_terms(explanation):
    diagram = prepare.teaching(explanation, "main")
    pairs = {(x.source, x.learner) for x in diagram.links}
    assert pairs == {("a", "main"), ("b", "main"), ("a", "a")}
    assert link(diagram, "b", "main").terms == ("distill(b >> main)", "sp(b >> main)")
    assert link(diagram, "a", "main").pushed and not link(diagram, "a", "a").pushed
    assert not diagram.measured
    assert len({x.width for x in diagram.links}) == 1


def test_widths_are_linear_in_the_flow(explanation):
    def row(term, norm, cosine, epoch=0):
        return {
            "epoch": epoch,
            "term": term,
            "learner": "main",
            "norm": norm,
            "cosine": cosine,
        }

    flow = [
        row("-w*distill(a >> main)", 1.0, 0.5),
        row("-w*distill(a >> main)", 3.0, 0.1, epoch=1),
        row("2*distill(b >> main)", 3.0, -0.2),
        row("sp(b >> main)", 1.0, 0.9),
    ]
    diagram = prepare.teaching(explanation, "main", flow)
    half, full = link(diagram, "a", "main"), link(diagram, "b", "main")
    assert (half.flow, full.flow) == (2.0, 4.0)
    assert (half.cosine, full.cosine) == (pytest.approx(0.3), -0.2)
    assert full.width == THICKEST
    assert half.width == pytest.approx((THICKEST + THINNEST) / 2)
    assert math.isnan(link(diagram, "a", "a").flow)
    assert link(diagram, "a", "a").width == THINNEST
    assert diagram.measured


def test_norms_of_one_batch_serve_where_training_was_not_watched(explanation):
    given = {**explanation, "flow": {"sp(b >> main)": {"main": 0.5, "b": 0.1}}}
    diagram = prepare.teaching(given, "main")
    assert link(diagram, "b", "main").flow == 0.5
    assert diagram.measured


def test_the_main_network_stands_on_the_right(explanation):
    nodes = prepare.teaching(explanation, "main").nodes
    assert [(n.name, n.main) for n in nodes] == [
        ("main", True),
        ("a", False),
        ("b", False),
    ]
    assert (nodes[0].x, nodes[0].y) == (1.0, 0.0)
    assert nodes[1].x == nodes[2].x == pytest.approx(-0.5)
    assert nodes[1].y == -nodes[2].y


def test_states():
    given = explained("main - a + 0*b", ["main", "a", "b"], {})
    nodes = prepare.teaching(given).nodes
    states = {node.name: node.state for node in nodes}
    assert states == {"main": "trained", "a": "trained to fail", "b": "idle"}
