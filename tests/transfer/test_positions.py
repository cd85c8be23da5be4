"""Terms on sequences and maps: positions that do not count, and outputs of any rank."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from keras import ops

from coloss import transfer

from .helpers import gradient, normal, traced, value

pytestmark = pytest.mark.backend

MASKS = {
    "steps": np.array([[1, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]], bool),
    "pixels": np.arange(24).reshape(4, 2, 3) % 5
    < np.array([3, 4, 0, 2])[:, None, None],
}
LABELS = {
    name: np.arange(mask.size).reshape(mask.shape) % 4 for name, mask in MASKS.items()
}
LABELS["steps"][0, 1] = LABELS["pixels"][0, 0, 1] = -1
RAW = normal(4, seed=9)
TERMS = {
    "distill": (transfer.distill, 2),
    "standardized": (partial(transfer.distill, standardize=True), 2),
    "match_logits": (transfer.match_logits, 2),
    "mutual": (transfer.mutual, 3),
    "dkd": (transfer.dkd, 2),
    "consensus mean": (partial(transfer.consensus, how="mean"), 3),
    "consensus best": (partial(transfer.consensus, how="best"), 3),
    "consensus gated": (partial(transfer.consensus, how="gated"), 3),
    "pseudo_label": (partial(transfer.pseudo_label, threshold=0.3), 1),
    "hint": (transfer.hint, 2),
    "vid": (lambda s, t, **options: transfer.vid(s, t, RAW, **options), 2),
    "attention": (transfer.attention, 2),
}
READS_LABELS = ("dkd", "consensus best", "consensus gated")
each_term = pytest.mark.parametrize("name", TERMS)
each_mask = pytest.mark.parametrize("kind", MASKS)


def arrays(name: str, kind: str) -> list[np.ndarray]:
    return [
        normal(*MASKS[kind].shape, 4, seed=i, scale=2) for i in range(TERMS[name][1])
    ]


def called(name: str, kind: str, **options: Any) -> Any:
    if name in READS_LABELS:
        options.setdefault("labels", LABELS[kind])
    # No `partial`: TensorFlow would take its keywords for arguments to be traced.
    return lambda *tensors, **more: TERMS[name][0](*tensors, **options, **more)


def of_rows(name: str, kind: str, sides: list[np.ndarray]) -> np.ndarray:
    """Return the term of each row alone, its positions without the padding."""
    found = []
    for row, mask in enumerate(MASKS[kind]):
        if not mask.any():
            continue
        options = {}
        if name in READS_LABELS:
            options["labels"] = LABELS[kind][row][mask][None]
        alone = [side[row][mask][None] for side in sides]
        found.append(value(called(name, kind, **options), *alone))
    return np.array(found)


@each_mask
@each_term
def test_a_padded_batch_is_the_mean_of_its_rows_without_padding(
    name: str, kind: str
) -> None:
    sides, mask = arrays(name, kind), MASKS[kind]
    want = of_rows(name, kind, sides)
    term = called(name, kind, mask=ops.convert_to_tensor(mask))
    np.testing.assert_allclose(value(term, *sides), want.mean(), rtol=1e-5, atol=1e-7)
    rows = value(partial(term, per_row=True), *sides)
    np.testing.assert_allclose(rows[mask.any(tuple(range(1, mask.ndim)))], want, 1e-5)
    assert rows[2] == 0


@each_mask
@pytest.mark.parametrize("name", READS_LABELS)
def test_labels_may_be_numbers_columns_or_vectors(name: str, kind: str) -> None:
    sides, labels = arrays(name, kind), LABELS[kind]
    want = value(called(name, kind, labels=labels), *sides)
    vectors = np.eye(4, dtype="float32")[labels]
    vectors[labels < 0] = np.nan
    for same in (labels[..., None], vectors):
        found = value(called(name, kind, labels=same), *sides)
        np.testing.assert_allclose(found, want, rtol=1e-6)


@pytest.mark.parametrize(
    "term",
    [transfer.cka, transfer.sp, transfer.pkt, transfer.rkd_distance],
    ids=["cka", "sp", "pkt", "rkd_distance"],
)
def test_terms_that_compare_rows_take_no_mask_of_positions(term: Any) -> None:
    sides = [normal(4, 4, 3, seed=i) for i in (0, 1)]
    with pytest.raises(ValueError, match=r"needs a mask of shape \(batch,\), here"):
        value(partial(term, mask=MASKS["steps"]), *sides)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
@each_term
def test_padding_reaches_neither_value_nor_gradient(name: str, bad: float) -> None:
    sides, mask = arrays(name, "steps"), MASKS["steps"]
    term = called(name, "steps", mask=ops.convert_to_tensor(mask))
    dirty = [np.where(mask[..., None], side, np.float32(bad)) for side in sides]
    np.testing.assert_array_equal(value(term, *dirty), value(term, *sides))
    for found, want in zip(gradient(term, *dirty), gradient(term, *sides), strict=True):
        np.testing.assert_array_equal(found, want)
        assert not found[~mask].any()


@each_term
def test_all_positions_masked_is_as_no_row(name: str) -> None:
    sides = arrays(name, "steps")
    term = called(name, "steps", mask=ops.zeros((4, 4), dtype="bool"))
    assert float(value(term, *sides)) == 0
    assert not any(one.any() for one in gradient(term, *sides))


@each_term
def test_a_mask_of_all_is_as_none(name: str) -> None:
    sides = arrays(name, "pixels")
    whole = called(name, "pixels", mask=ops.ones((4, 2, 3), dtype="bool"))
    want = value(called(name, "pixels"), *sides)
    np.testing.assert_allclose(value(whole, *sides), want, rtol=1e-6)


@each_term
def test_positions_in_a_compiled_step(name: str) -> None:
    sides, mask = arrays(name, "steps"), MASKS["steps"]
    term = called(name, "steps", mask=ops.convert_to_tensor(mask))
    np.testing.assert_allclose(traced(term, *sides), value(term, *sides), rtol=1e-5)


def test_a_mask_of_steps_stands_for_all_that_a_step_has() -> None:
    own, other = (normal(2, 3, 2, 4, seed=i) for i in (0, 1))
    steps = np.array([[True, False, True], [True, True, False]])
    pixels = np.repeat(steps[..., None], 2, -1)
    found = value(partial(transfer.distill, mask=steps), own, other)
    want = value(partial(transfer.distill, mask=pixels), own, other)
    np.testing.assert_array_equal(found, want)


@each_mask
def test_dist_takes_positions_as_rows(kind: str) -> None:
    sides, mask = [normal(*MASKS[kind].shape, 4, seed=i) for i in (0, 1)], MASKS[kind]
    want = value(transfer.dist, *(side[mask] for side in sides))
    dirty = [np.where(mask[..., None], side, np.float32("nan")) for side in sides]
    found = value(partial(transfer.dist, mask=ops.convert_to_tensor(mask)), *dirty)
    np.testing.assert_allclose(found, want, rtol=1e-5)


@each_mask
def test_the_gate_of_each_position(kind: str) -> None:
    own, other = (normal(*MASKS[kind].shape, 4, seed=i) for i in (0, 1))
    mask, labels = MASKS[kind], LABELS[kind]
    found = value(
        lambda s, t: transfer.row_gate(s, t, labels, ops.convert_to_tensor(mask)),
        own,
        other,
    )
    want = value(
        lambda s, t: transfer.row_gate(s, t, labels[mask]), own[mask], other[mask]
    )
    assert found.shape == mask.shape
    np.testing.assert_allclose(found[mask], want, rtol=1e-5)
    assert not found[~mask].any()


def test_a_source_that_has_only_some_positions() -> None:
    own, first, second = (normal(2, 3, 4, seed=i) for i in range(3))
    has = np.array([[True, False, False], [False, True, False]])
    some = [np.array([[True, True, False], [False, True, True]]), has]
    found = value(
        lambda *x: transfer.consensus(*x, source_masks=some, per_row=True),
        own,
        first,
        second,
    )
    for row in range(2):
        both, one = some[0][row] & has[row], some[0][row] & ~has[row]
        alone = [x[row][both][None] for x in (own, first, second)]
        total = value(transfer.consensus, *alone) * both.sum()
        alone = [x[row][one][None] for x in (own, first)]
        total += value(transfer.consensus, *alone) * one.sum()
        np.testing.assert_allclose(found[row], total / (both | one).sum(), rtol=1e-5)


def test_a_users_own_term_sees_positions_as_rows() -> None:
    own, other = (normal(4, 4, 3, seed=i) for i in (0, 1))
    mask = MASKS["steps"]

    @transfer.register(name="position_gap", level="outputs", per_row=True)
    def gap(learner: Any, source: Any) -> Any:
        return ops.mean(ops.abs(learner - source), axis=-1)

    try:
        term = partial(transfer.TERMS["position_gap"].function, mask=mask)
        rows = [np.abs(own - other)[i][mask[i]].mean() for i in (0, 1, 3)]
        np.testing.assert_allclose(value(term, own, other), np.mean(rows), rtol=1e-5)
    finally:
        transfer.unregister("position_gap")


@pytest.mark.parametrize("term", [transfer.cka, transfer.sp, transfer.contrast])
def test_rows_as_a_whole_take_no_mask_of_positions(term: Any) -> None:
    sides = [normal(4, 4, seed=i) for i in (0, 1)]
    with pytest.raises(
        ValueError, match=r"mask of shape \(batch,\), here \(4,\); found"
    ):
        value(partial(term, mask=MASKS["steps"]), *sides)


def test_a_mask_that_does_not_fit_is_refused() -> None:
    own, other = (normal(4, 3, 4, seed=i) for i in (0, 1))
    with pytest.raises(ValueError, match=r"positions, here \(4, 3\); found \(4, 4\)"):
        value(partial(transfer.distill, mask=MASKS["steps"]), own, other)
    with pytest.raises(ValueError, match="the same positions on both sides"):
        value(partial(transfer.distill, mask=MASKS["steps"][:, :3]), own, other[:, :2])
