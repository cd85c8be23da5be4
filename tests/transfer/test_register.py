"""Transfer terms of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from keras import ops

from coloss import Objective, ObjectiveError, distill, loss, transfer
from coloss.objective.functions import FUNCTIONS, call
from coloss.transfer.registry import _ORIGINS

from .helpers import (
    assert_masks,
    assert_silent,
    features,
    gradient,
    logits,
    masked_by,
    traced,
    value,
)

pytestmark = pytest.mark.backend


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    for name in list(_ORIGINS):
        transfer.unregister(name)


def gap(learner: Any, source: Any, power: float = 1.0) -> Any:
    """One value a row; its gradient at equality is infinite or NaN for power < 1."""
    return ops.mean(ops.abs(learner - source) ** power, axis=-1)


def masked_gap(learner: Any, source: Any, mask: Any = None) -> Any:
    return transfer.masked_mean(gap(learner, source), mask)


def whole_gap(learner: Any, source: Any) -> Any:
    return ops.mean(ops.abs(learner - source))


def call_it(name: str, **options: Any) -> Any:
    return lambda *x, mask=None: transfer.TERMS[name].function(*x, mask=mask, **options)


def test_a_function_becomes_a_word_and_stays_itself() -> None:
    assert transfer.register(whole_gap) is whole_gap
    objective = Objective("a + 0.5*whole_gap(b.hidden >> a.hidden)")
    assert objective == Objective(str(objective))
    assert Objective.from_config(objective.get_config()) == objective
    built = loss("a") + 0.5 * call("whole_gap", loss("b").hidden >> loss("a").hidden)
    assert Objective(built) == objective
    own, other = logits()
    found = value(call_it("whole_gap"), own, other)
    np.testing.assert_allclose(found, np.abs(own - other).mean(), rtol=1e-5)


def test_the_entry_says_what_was_said() -> None:
    @transfer.register(
        name="gap2", level="outputs", scope="labeled", min_rows=3, paper="ours"
    )
    def anything(f_s: Any, f_t: Any, *, mask: Any = None, power: float = 2.0) -> Any:
        return transfer.masked_mean(gap(f_s, f_t, power), mask)

    term = transfer.TERMS["gap2"]
    assert (term.name, term.level, term.scope) == ("gap2", "outputs", "labeled")
    assert (term.min_rows, term.options, term.paper) == (3, {"power": 2.0}, "ours")
    assert (term.sources, term.labels, term.masked) == ("one", "none", True)
    assert set(FUNCTIONS["gap2"].options) == {"power", *FUNCTIONS["cka"].options}
    own, other = logits()
    np.testing.assert_allclose(
        value(call_it("gap2", power=1.0), own, other), np.abs(own - other).mean(), 1e-5
    )
    assert_silent(call_it("gap2"), own[:2], other[:2])
    assert_silent(masked_by(call_it("gap2"), np.arange(5) < 2), own, other)


def test_options_given_by_name_and_checked_by_kind() -> None:
    @transfer.register(options={"power": 1.0, "squared": False, "norm": "l1"})
    def many(learner: Any, source: Any, **options: Any) -> Any:
        assert set(options) <= {"power", "squared", "norm"}
        return ops.mean(learner - source)

    assert str(Objective('many(b >> a, power=2, squared=True, norm="l2")'))
    for wrong in ("power=True", 'power="x"', "squared=1", "norm=2", "other=1"):
        with pytest.raises(ObjectiveError, match=wrong.split("=")[0]):
            Objective(f"many(b >> a, {wrong})")
    assert Objective("many(b >> a, detach=False)")


def test_rows_that_do_not_count_have_no_influence() -> None:
    transfer.register(gap, per_row=True)
    transfer.register(masked_gap)
    assert_masks(call_it("gap", power=2.0), *logits())
    assert_masks(call_it("masked_gap"), *logits())
    nothing = np.zeros(5, bool)
    for name in ("gap", "masked_gap"):
        assert_silent(masked_by(call_it(name), nothing), *logits())


def test_a_function_that_breaks_on_zeros_is_safe_from_missing_rows() -> None:
    @transfer.register(per_row=True)
    def angle(learner: Any, source: Any) -> Any:
        norms = [ops.sqrt(ops.sum(ops.square(x), axis=-1)) for x in (learner, source)]
        return 1 - ops.sum(learner * source, axis=-1) / (norms[0] * norms[1])

    assert_masks(call_it("angle"), *logits())
    assert_silent(masked_by(call_it("angle"), np.zeros(5, bool)), *logits())


def test_rows_and_weights() -> None:
    transfer.register(gap, per_row=True)
    own, other = logits()
    term, mask = transfer.TERMS["gap"], np.arange(5) < 3
    want = np.where(mask, np.abs(own - other).mean(-1), 0)
    assert term.per_row
    found = value(masked_by(partial(term.function, per_row=True), mask), own, other)
    np.testing.assert_allclose(found, want, rtol=1e-5)
    weights = np.arange(5, dtype="float32")
    found = value(lambda *x: term.function(*x, mask=mask, weights=weights), own, other)
    np.testing.assert_allclose(found, (want * weights).sum() / 3, rtol=1e-5)


def test_a_function_without_mask_refuses_one() -> None:
    transfer.register(whole_gap)
    assert not transfer.TERMS["whole_gap"].masked
    with pytest.raises(ValueError, match="whole_gap cannot leave rows out"):
        value(masked_by(call_it("whole_gap"), np.ones(5, bool)), *logits())
    found = traced(call_it("whole_gap"), *logits())
    np.testing.assert_allclose(found, value(call_it("whole_gap"), *logits()), rtol=1e-5)


def test_in_a_compiled_step() -> None:
    transfer.register(masked_gap, min_rows=2)
    mask = np.array([True, False, True, True, False])
    for term in (call_it("masked_gap"), masked_by(call_it("masked_gap"), mask)):
        np.testing.assert_allclose(
            traced(term, *logits()), value(term, *logits()), rtol=1e-5
        )


def test_checks_of_its_level_and_of_what_it_returns() -> None:
    transfer.register(whole_gap, name="of_outputs", level="outputs")
    transfer.register(whole_gap, name="of_classes", level="classes")
    transfer.register(lambda s, t: s, name="of_rows")
    transfer.register(lambda s, t: None, name="of_nothing")
    transfer.register(lambda s, t: ops.mean(s), name="of_whole", per_row=True)
    own, other = logits()
    for name, arrays, sentence in (
        ("of_outputs", (own, other[:, :2]), "of_outputs needs outputs of equal shape"),
        ("of_classes", (own, other[:, :2]), "of_classes needs equal classes"),
        ("of_classes", (own, other[:2]), "same rows on both sides"),
        ("of_rows", features(), "must return a scalar; found shape .6, 4."),
        ("of_nothing", (own, other), "must return a scalar; found NoneType"),
        ("of_whole", (own, other), "one value a row; found shape ()"),
    ):
        with pytest.raises(ValueError, match=sentence):
            value(call_it(name), *arrays)


def test_the_same_definition_may_run_again() -> None:
    for factor in (1.0, 2.0):

        @transfer.register
        def mine(learner: Any, source: Any, factor: float = factor) -> Any:
            return factor * whole_gap(learner, source)

    assert transfer.TERMS["mine"].options == {"factor": 2.0}
    own, other = logits()
    assert gradient(call_it("mine"), own, other)[0].any()
    transfer.unregister("mine")
    with pytest.raises(ObjectiveError, match="no function 'mine'"):
        Objective("mine(b >> a)")


@pytest.mark.parametrize(
    ("function", "options", "sentence"),
    [
        (whole_gap, {"name": "distill"}, "a word of the objective language already"),
        (whole_gap, {"name": "relu"}, "a word of the objective language already"),
        (whole_gap, {"name": "two words"}, "must be an identifier"),
        (whole_gap, {"name": "class"}, "must be an identifier"),
        (lambda s, t: s, {}, "must be an identifier"),
        (whole_gap, {"level": "logits"}, "level is one of features, outputs"),
        (whole_gap, {"scope": "all"}, "scope is one of present"),
        (whole_gap, {"projector": "x"}, "projector is one of none"),
        (
            whole_gap,
            {"min_rows": 0},
            "min_rows must be .* 1 or more; found 0",
        ),
        (whole_gap, {"options": {"x": 1}}, "takes no option `x`"),
        (lambda s: s, {"name": "f"}, "must take `learner` and `source` first"),
        (lambda *x: x, {"name": "f"}, "must take `learner` and `source` first"),
        (lambda s, *, t: s, {"name": "f"}, "must take `learner` and `source` first"),
        (lambda s, mask: s, {"name": "f"}, "must take `learner` and `source` first"),
        (
            lambda s, t, u: s,
            {"name": "f"},
            "parameter `u` must be a keyword with a def",
        ),
        (lambda s, t, *u: s, {"name": "f"}, "parameter `u` must be a keyword"),
        (lambda s, t, u=None: s, {"name": "f"}, "`u` needs a number, True, False"),
        (lambda s, t, u=float("nan"): s, {"name": "f"}, "`u` needs a number"),
        (lambda s, t, labels=1: s, {"name": "f"}, "`labels` means something already"),
        (
            lambda s, t, detach=True: s,
            {"name": "f"},
            "`detach` means something already",
        ),
    ],
)
def test_refusals(function: Any, options: dict[str, Any], sentence: str) -> None:
    before = set(transfer.TERMS), set(FUNCTIONS)
    with pytest.raises(ValueError, match=sentence):
        transfer.register(function, **options)
    assert (set(transfer.TERMS), set(FUNCTIONS)) == before


def test_the_librarys_own_terms_cannot_be_forgotten() -> None:
    with pytest.raises(ValueError, match="no transfer term of a user's own"):
        transfer.unregister("distill")
    assert str(distill(loss("b") >> loss("a"))) == "distill(b >> a)"
    transfer.register(whole_gap)
    with pytest.raises(ValueError, match="a word of the objective language already"):
        transfer.register(masked_gap, name="whole_gap")
