"""The table of functions of numbers: every entry keeps what the library relies on.

A function is added by one entry. `tanh` is, here: it is parsed, printed, evaluated,
differentiated, bounded, explained and typeset without a line elsewhere.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import coloss
from coloss.objective import FUNCTIONS, Objective, explain, parse
from coloss.objective.dual import Point, evaluate
from coloss.objective.expression import Call, Name
from coloss.objective.functions import builder, call
from coloss.objective.intervals import range_of
from coloss.objective.latex import to_latex
from coloss.objective.pointwise import TABLE, rising
from coloss.objective.words import Domain, Notation, Pointwise
from coloss.report.mathml import to_mathml

from .helpers import gradients

INF = math.inf


def _tanh(x: float) -> tuple[float, ...]:
    value = math.tanh(x)
    return value, 1.0 - value * value


TANH = Pointwise(
    name="tanh",
    value=lambda ops, x: ops.tanh(x),
    derivative=_tanh,
    interval=rising(_tanh),
    on_a_gap="one-sided",
    latex=Notation(r"\tanh\left(", r"\right)"),
)


@pytest.fixture(params=[*TABLE, TANH], ids=lambda function: function.name)
def function(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if request.param.name not in FUNCTIONS:
        monkeypatch.setitem(FUNCTIONS, request.param.name, request.param)
    return request.param


@pytest.fixture
def tanh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "tanh", TANH)


def node_of(function: Pointwise) -> Call:
    names = "abc"[: function.arguments]
    return call(function.name, *(Name(name, "member") for name in names))


def points(function: Pointwise) -> list[tuple[float, ...]]:
    """Arguments away from kinks, in the domain."""
    values = (-3.1, -0.7, 0.3, 1.0, 2.6)
    if function.domain is not None:
        values = tuple(v for v in values if v > function.domain.least)
    return [
        point
        for point in itertools.product(values, repeat=function.arguments or 1)
        if len(set(point)) == len(point)
    ]


def test_the_derivative_is_that_of_the_value(function: Pointwise) -> None:
    step = 1e-6
    for point in points(function):
        _, *slopes = function.derivative(*point)
        assert len(slopes) == function.arguments
        for place, slope in enumerate(slopes):
            ends = []
            for way in (-step, step):
                moved = list(point)
                moved[place] += way
                ends.append(function.derivative(*moved)[0])
            assert slope == pytest.approx((ends[1] - ends[0]) / (2 * step), abs=1e-5)


def test_the_range_holds_every_value(function: Pointwise) -> None:
    """Also where every argument has a range of its own."""
    ends = (-INF, -2.0, 0.0, 0.5, 3.0, INF)
    ranges = [(low, high) for low in ends for high in ends if low <= high]
    inside = np.linspace(-4.0, 4.0, 9)
    for given in itertools.product(ranges, repeat=function.arguments or 1):
        low, high = function.interval(*given)
        assert low <= high
        choices = [[x for x in inside if a <= x <= b] for a, b in given]
        for point in itertools.product(*choices):
            if function.domain is not None and point[0] <= function.domain.least:
                continue
            value = function.derivative(*map(float, point))[0]
            assert low <= value <= high, (given, point)


def test_it_is_smooth_at_1_where_unknown_rows_are_put(function: Pointwise) -> None:
    found = function.derivative(*(1.0 for _ in range(function.arguments or 1)))
    assert all(map(math.isfinite, found))


def test_outside_of_the_domain_it_is_undefined(function: Pointwise) -> None:
    node, point = node_of(function), Point({}, {"a": -1.0})
    undefined = math.isnan(evaluate(node, point).value)
    assert undefined == (function.domain is not None)
    assert (node in point.faults) == undefined


def test_it_prints_and_parses_back(function: Pointwise) -> None:
    node = node_of(function)
    text = f"{function.name}({', '.join('abc'[: function.arguments])})"
    assert str(node) == text
    assert parse(text) == node


def test_its_markup_is_closed(function: Pointwise) -> None:
    node = node_of(function)
    latex, mathml = to_latex(node), to_mathml(node)
    assert latex.count(r"\left") == latex.count(r"\right")
    assert latex.count("{") == latex.count("}")
    for tag in ("mrow", "msup", "msqrt", "mo", "mi", "mn"):
        assert len(mathml.split(f"<{tag}>")) + len(mathml.split(f"<{tag} ")) - 1 == len(
            mathml.split(f"</{tag}>")
        )


@pytest.mark.backend
def test_the_batch_has_the_value_and_slope_of_the_floats(function: Pointwise) -> None:
    from keras import ops

    columns = np.array(points(function), "float32").T
    value, slopes = gradients(
        lambda *rows: ops.sum(function.value(ops, *rows)), list(columns)
    )
    expected = [function.derivative(*point) for point in points(function)]
    assert value == pytest.approx(sum(one[0] for one in expected), rel=1e-5)
    for place, slope in enumerate(slopes):
        wanted = [one[place + 1] for one in expected]
        np.testing.assert_allclose(slope, wanted, rtol=1e-5, atol=1e-6)


def test_a_word_of_its_own_needs_one_entry_only(tanh: None) -> None:
    objective = Objective("a + w*tanh(b - a)").bind(["a", "b"], ["w"])
    assert str(objective) == "a + w*tanh(b - a)"
    assert str(builder("tanh")(coloss.loss("a"))) == "tanh(a)"
    gap = objective.summands[1]
    assert range_of(gap, {"w": (2.0, 2.0)}) == (-2.0, 2.0)
    at = Point({"w": 2.0}, {"a": 0.5, "b": 0.75})
    value, slopes = math.tanh(0.25), 1.0 - math.tanh(0.25) ** 2
    found = evaluate(gap, at)
    assert found.value == pytest.approx(2 * value)
    assert found.slopes == pytest.approx(
        {Name("b"): 2 * slopes, Name("a"): -2 * slopes}
    )
    assert r"\tanh\left(" in objective.latex()
    assert ">tanh</mi>" in to_mathml(gap)
    said = explain("b + tanh(b - a)", members=["a", "b"])
    assert said.ascended == ["a"]
    assert any("tanh(b - a) drives a to chance" in line for line in said.warnings)


@pytest.mark.backend
def test_a_word_of_its_own_trains(tanh: None) -> None:
    import keras

    x = np.linspace(-1, 1, 16, dtype="float32")[:, None]
    y = 2.0 * x
    losses = []
    for objective in ("a", "tanh(a)"):
        net = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        net.set_weights([np.array([[0.5]], "float32"), np.zeros(1, "float32")])
        joint = coloss.JointModel({"a": net})
        joint.compile(
            optimizer=keras.optimizers.SGD(0.1), loss="mse", objective=objective
        )
        joint.fit({"a": x}, y, batch_size=16, epochs=1, verbose=0)
        losses.append(joint.history.history["loss"][0])
    rows = (1.5 * x[:, 0]) ** 2
    assert losses == pytest.approx(
        [float(rows.mean()), float(np.tanh(rows).mean())], rel=1e-5
    )


def test_the_end_of_a_domain_is_told_in_words() -> None:
    assert Domain(0.0, closed=True).rule == "0 or above"
    assert Domain(-1.0, closed=False).rule == "above -1"


def test_without_a_notation_it_is_a_word_before_parentheses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = Pointwise(
        name="my_word", value=TANH.value, derivative=_tanh, interval=TANH.interval
    )
    monkeypatch.setitem(FUNCTIONS, "my_word", plain)
    node = call("my_word", Name("a", "member"))
    assert to_latex(node).startswith(r"\operatorname{my\_word}\left(")
    assert ">my_word</mi>" in to_mathml(node)
