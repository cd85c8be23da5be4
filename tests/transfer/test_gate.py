"""Gates: how far a source is to be followed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from scipy.stats import kendalltau

from coloss import transfer

from .helpers import gradient, logits, softmax, traced, value

pytestmark = pytest.mark.backend

LABELS = np.array([0, 2, -1, 3, -1])


def test_row_gate_is_the_lead_on_the_true_class_or_the_confidence() -> None:
    own, other = logits()
    p_s, p_t = softmax(own), softmax(other)
    want = [
        max(0.0, p_t[b, y] - p_s[b, y]) if y >= 0 else p_t[b].max()
        for b, y in enumerate(LABELS)
    ]
    assert 0 < np.count_nonzero(np.array(want)[LABELS >= 0]) < 3
    for labels in (LABELS, np.where(LABELS < 0, np.nan, LABELS), LABELS[:, None]):
        gate = value(lambda s, t, y=labels: transfer.row_gate(s, t, y), own, other)
        np.testing.assert_allclose(gate, want, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        value(transfer.row_gate, own, other), p_t.max(-1), rtol=1e-5
    )
    np.testing.assert_allclose(
        traced(lambda s, t: transfer.row_gate(s, t, LABELS), own, other), want, 1e-5
    )


def test_row_gate_sends_no_gradient() -> None:
    for one in gradient(
        lambda s, t: ops.sum(transfer.row_gate(s, t, LABELS)), *logits()
    ):
        assert not one.any()


def test_row_gate_is_0_where_a_row_does_not_count() -> None:
    own, other = logits()
    mask = np.array([True, False, True, False, True])
    want = value(lambda s, t: transfer.row_gate(s, t, LABELS), own, other)
    own[1], other[3] = np.nan, np.inf
    gate = value(lambda s, t: transfer.row_gate(s, t, LABELS, mask), own, other)
    np.testing.assert_allclose(gate, np.where(mask, want, 0), rtol=1e-5)


def test_a_gated_row_teaches_nothing_where_the_source_is_no_better() -> None:
    own, other = logits()

    def gated(learner: object, source: object) -> object:
        gate = transfer.row_gate(learner, source, np.argmax(own, -1))
        return transfer.distill(learner, source, weights=gate)

    better = softmax(other)[np.arange(5), own.argmax(-1)] > softmax(own).max(-1)
    found = gradient(gated, own, other)[0]
    assert not found[~better].any()
    assert all(row.any() for row in found[better])


@pytest.mark.parametrize(
    ("learner", "source", "open_"),
    [
        (0.5, 0.6, 1.0),
        (0.6, 0.5, 0.0),
        (0.5, 0.5, 0.0),
        (float("nan"), 0.9, 0.0),
        (0.1, float("nan"), 0.0),
        (0, 1, 1.0),
    ],
)
def test_network_gate(learner: float, source: float, open_: float) -> None:
    gate = transfer.network_gate(learner, source)
    assert gate.shape == ()
    assert float(ops.convert_to_numpy(gate)) == open_
    arrays = [np.array(x, "float32") for x in (learner, source)]
    assert float(value(transfer.network_gate, *arrays)) == open_
    for one in gradient(transfer.network_gate, *arrays):
        assert not one.any()


def test_refusals() -> None:
    own, other = logits()
    with pytest.raises(ValueError, match="row_gate needs equal classes"):
        value(transfer.row_gate, own, other[:, :3])
    with pytest.raises(ValueError, match="row_gate needs labels of shape"):
        value(lambda s, t: transfer.row_gate(s, t, LABELS[:2]), own, other)
    with pytest.raises(ValueError, match=r"labels of shape \(5, 1\)"):
        value(
            lambda s, t: transfer.row_gate(s, t, LABELS), own[:, None], other[:, None]
        )


def test_rank_gate_is_open_where_kendalls_tau_is_above_0() -> None:
    rng = np.random.default_rng(3)
    own, other = (rng.normal(size=(40, 5)).astype("float32") for _ in range(2))
    own[0, :2] = own[0, 0]  # Equal classes agree with nothing.
    other[1], own[2] = own[1], -other[2]
    taus = [kendalltau(a, b).statistic for a, b in zip(own, other, strict=True)]
    want = np.greater(taus, 0).astype("float32")
    assert 0 < want.sum() < len(want)
    np.testing.assert_array_equal(value(transfer.rank_gate, own, other), want)
    np.testing.assert_array_equal(traced(transfer.rank_gate, own, other), want)


def test_rank_gate_is_closed_where_nothing_counts_and_sends_no_gradient() -> None:
    own, other = logits()
    mask = np.array([True, False, True, False, True])
    want = value(transfer.rank_gate, own, other)
    own[1], other[3] = np.nan, np.inf
    gate = value(lambda s, t: transfer.rank_gate(s, t, mask), own, other)
    np.testing.assert_array_equal(gate, np.where(mask, want, 0))
    for one in gradient(lambda s, t: ops.sum(transfer.rank_gate(s, t)), *logits()):
        assert not one.any()


def test_rank_gate_of_positions_is_that_of_rows() -> None:
    own, other = (np.random.default_rng(i).normal(size=(2, 3, 4)) for i in range(2))
    flat = value(transfer.rank_gate, own.reshape(6, 4), other.reshape(6, 4))
    found = value(transfer.rank_gate, own, other)
    np.testing.assert_array_equal(found.reshape(6), flat)


@given(st.integers(0, 2**16), st.floats(0.5, 9.0))
def test_rank_gate_reads_the_order_only(seed: int, scale: float) -> None:
    own, other = np.random.default_rng(seed).normal(size=(2, 4, 3)).astype("float32")
    found = value(transfer.rank_gate, own, other)
    stretched = value(transfer.rank_gate, np.exp(own) * scale, other - 7)
    np.testing.assert_array_equal(found, stretched)
    np.testing.assert_array_equal(found, value(transfer.rank_gate, other, own))


def test_rank_gate_needs_classes() -> None:
    with pytest.raises(ValueError, match="rank_gate"):
        transfer.rank_gate(np.ones((3, 1), "float32"), np.ones((3, 1), "float32"))
