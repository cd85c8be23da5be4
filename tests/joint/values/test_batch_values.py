"""What names mean on one batch, on outputs and labels that are given."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from coloss.joint.outputs.forward import Forward
from coloss.joint.supervision.member_loss import resolve_losses
from coloss.joint.supervision.metrics import resolve_metrics
from coloss.joint.values.batch_values import BatchValues
from coloss.joint.values.coefficients import Coefficients
from coloss.joint.values.metric_values import _fused_mask, update_metrics
from coloss.joint.values.transfer_terms import _rows_in

pytestmark = pytest.mark.backend

OUTPUTS = np.random.default_rng(0).dirichlet(np.ones(3), 6).astype("float32")
LABELS = np.array([0, 1, 2, -1, 0, 5])
KNOWN = np.array([1, 1, 1, 0, 1, 0], bool)
PRESENT = np.array([0, 1, 1, 1, 1, 1], bool)


def batch(labels, labeled=(), loss="sparse_categorical_crossentropy"):
    members = ("a", "b")
    losses = resolve_losses(loss, members)
    outputs = {name: ops.convert_to_tensor(OUTPUTS) for name in members}
    forward = Forward(outputs, {"a": ops.convert_to_tensor(PRESENT)})
    given = {name: ops.convert_to_tensor(value) for name, value in labels.items()}
    # The networks themselves are not asked for classes, losses and metrics.
    return BatchValues(
        forward, dict.fromkeys(members), losses, given, {}, {}, labeled=labeled
    )


def array(value):
    return ops.convert_to_numpy(value)


def test_classes_and_what_counts_of_them():
    values = batch({"a": LABELS})
    np.testing.assert_array_equal(array(values.classes("a")), [0, 1, 2, -1, 0, -1])
    assert float(values.out_of_range["a"]) == 1
    np.testing.assert_array_equal(array(values.unlabeled("a")), ~KNOWN)
    classes, counted = map(array, values.counted_classes("a"))
    np.testing.assert_array_equal(counted, KNOWN & PRESENT)
    np.testing.assert_array_equal(classes, [0, 1, 2, 0, 0, 0] * counted)
    assert values.classes("b") is values.counted_classes("b") is None
    assert values.unlabeled("b") is values.labels("b") is None


def test_labels_that_are_known_to_be_complete_are_not_looked_at():
    values = batch({"a": LABELS[:3].repeat(2), "b": LABELS[:3].repeat(2)}, ("a",))
    assert values.labels("a").known is None
    assert array(values.labels("b").known).all()
    assert set(values.out_of_range) == {"b"}
    assert not array(values.unlabeled("a")).any()


def test_the_class_of_a_yes_or_no_and_of_a_vector():
    yes = batch({"a": LABELS.clip(-1, 1)}, loss="binary_crossentropy")
    yes.forward.outputs["a"] = ops.convert_to_tensor(OUTPUTS[:, :1])
    np.testing.assert_array_equal(array(yes.classes("a")), [0, 1, 1, -1, 0, 1])
    hot = np.eye(3, dtype="float32")[LABELS.clip(0, 2)]
    hot[~KNOWN] = np.nan
    dense = batch({"a": hot}, loss="categorical_crossentropy")
    np.testing.assert_array_equal(array(dense.classes("a")), [0, 1, 2, -1, 0, -1])
    assert batch({"a": hot}, loss="mse").classes("a") is None


@pytest.mark.parametrize("every", [True, False])
def test_rows_of_which_a_position_counts(every):
    mask = np.array([[1, 1], [1, 0], [0, 0]], bool)
    found = array(_rows_in(ops.convert_to_tensor(mask), every=every))
    np.testing.assert_array_equal(found, mask.all(1) if every else mask.any(1))
    rows = ops.convert_to_tensor(mask[:, 0])
    np.testing.assert_array_equal(array(_rows_in(rows, every=every)), mask[:, 0])


def test_the_fused_prediction_is_masked_where_all_that_see_the_row_are():
    masks = {
        "a": np.array([[1, 0, 0], [1, 0, 0]], bool),
        "b": np.array([[1, 1, 0], [1, 1, 0]], bool),
    }
    tensors = {name: ops.convert_to_tensor(mask) for name, mask in masks.items()}
    present = {"b": ops.convert_to_tensor(np.array([True, False]))}
    found = array(_fused_mask(Forward({}, present, masks={**tensors, "c": None})))
    absent = np.array([[False], [True]])
    np.testing.assert_array_equal(found, masks["a"] & (masks["b"] | absent))
    assert _fused_mask(Forward({}, masks={"a": None})) is None


def test_a_schedule_starts_at_epoch_0():
    found = Coefficients()
    found.reset({"w": lambda epoch: 2.0 + epoch, "v": 3})
    assert found.numbers() == {"w": 2.0, "v": 3.0}
    assert found.move(4) == {"w": 6.0}
    assert found.numbers() == {"w": 6.0, "v": 3.0}


def test_the_loss_of_each_row():
    atom = batch({"a": LABELS}).atom("a")
    counted = KNOWN & PRESENT
    np.testing.assert_array_equal(array(atom.mask), counted)
    picked = OUTPUTS[np.arange(6), np.clip(LABELS, 0, 2)]
    np.testing.assert_allclose(
        array(atom.values)[counted], -np.log(picked[counted]), rtol=1e-5
    )
    with pytest.raises(ValueError, match="loss of 'b', which has no labels"):
        batch({"a": LABELS}).atom("b")


def test_metrics_take_in_who_has_labels_and_no_one_else():
    names = ("a", "b", "fused")
    values = batch({"a": LABELS})
    losses = {**values.losses, "fused": values.losses["a"]}
    found = resolve_metrics(["accuracy"], names, losses, weighted=False)
    update_metrics(found, values, ops.convert_to_tensor(OUTPUTS))
    hits = OUTPUTS.argmax(1) == LABELS
    numbers = {one.member: float(one.metric.result()) for one in found}
    expected = {
        "a": hits[KNOWN & PRESENT].mean(),
        "b": 0.0,
        "fused": hits[KNOWN].mean(),  # With the labels of the first that has some.
    }
    assert numbers == pytest.approx(expected)
    fused = [one for one in found if one.member == "fused"]
    fused[0].metric.reset_state()
    update_metrics(fused, values, None)
    assert float(fused[0].metric.result()) == 0
