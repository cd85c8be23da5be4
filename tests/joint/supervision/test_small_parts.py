"""The parts of a member's loss, each alone, against NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from coloss.joint.supervision.class_weights import resolve_class_weights
from coloss.joint.supervision.label_range import within_range
from coloss.joint.supervision.labels import read_labels
from coloss.joint.supervision.loss_tracker import LossTracker
from coloss.joint.supervision.member_loss import MemberLoss, resolve_losses
from coloss.joint.supervision.metrics import distinct, resolve_metrics
from coloss.joint.supervision.positions import find_positions
from coloss.joint.supervision.ranks import same_rank, uncrossed
from coloss.joint.supervision.row_losses import safe_outputs
from coloss.joint.supervision.step_report import GRADIENT, UPDATE, StepReport

pytestmark = pytest.mark.backend

NAN = float("nan")
RNG = np.random.default_rng(0)
SPARSE = "sparse_categorical_crossentropy"
BINARY = "binary_crossentropy"
DENSE = "categorical_crossentropy"


def loss_of(spec):
    return resolve_losses(spec, ("a",))["a"]


def array(value):
    return None if value is None else ops.convert_to_numpy(value)


def tensor(values, dtype=None):
    return ops.convert_to_tensor(np.asarray(values, dtype))


# --- weights of classes ------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "labels", "outputs", "expected"),
    [
        # Weights of classes 1 and 3 are 5 and 7; all others count as 1.
        (SPARSE, [0, 1, 2, 3, 4], (5, 6), [1, 5, 1, 7, 1]),
        (SPARSE, [[1], [3], [0]], (3, 6), [5, 7, 1]),
        (SPARSE, [[0, 1], [3, 9]], (2, 2, 6), [[1, 5], [7, 1]]),
        (SPARSE, [0.9, 2.6], (2, 6), [5, 7]),
        (DENSE, np.eye(4)[[1, 0, 3]], (3, 4), [5, 1, 7]),
        (BINARY, [0, 1, 1], (3, 1), [1, 5, 5]),
        (BINARY, [[0], [1]], (2, 1), [1, 5]),
        (BINARY, [0, 1], (2,), [1, 5]),
        (BINARY, [[0], [1]], (2,), [1, 5]),
        ("mse", [1.2, 2.9, -4.0], (3,), [5, 7, 1]),
        ("mse", [[1.0], [3.0]], (2, 1), [5, 7]),
        ("mse", [[0.1, 0.9, 0, 0], [0, 0, 0, 1]], (2, 4), [5, 7]),
        ("categorical_hinge", np.eye(4)[[1, 0]], (2, 4), [5, 1]),
    ],
)
def test_the_weight_of_each_class(spec, labels, outputs, expected):
    loss = loss_of(spec)
    given = {"a": {1: 5.0, 3: 7.0}}
    weights = resolve_class_weights(given, ("a",), {"a": loss})["a"]
    read = read_labels(tensor(labels), loss, outputs)
    np.testing.assert_array_equal(array(weights.of(read, loss, len(outputs))), expected)


def test_a_label_of_several_answers_has_no_class():
    loss = loss_of(BINARY)
    weights = resolve_class_weights({0: 2.0}, ("a",), {"a": loss})["a"]
    read = read_labels(tensor([[0, 1], [1, 1]]), loss, (2, 2))
    with pytest.raises(ValueError, match="'a' is 2 answers of yes or no"):
        weights.of(read, loss, 2)


def test_weights_for_all_leave_a_regression_out_and_by_member_they_do_not():
    losses = resolve_losses({"a": SPARSE, "b": "mse"}, ("a", "b", "c"))
    names = ("a", "b", "c")
    assert set(resolve_class_weights({0: 2}, names, losses)) == {"a"}
    assert set(resolve_class_weights({"b": {0: 2}}, names, losses)) == {"b"}
    assert not resolve_class_weights(None, names, losses)
    assert not resolve_class_weights({}, names, losses)
    nothing = resolve_class_weights({"a": {}}, names, losses)["a"]
    read = read_labels(tensor([0, 1]), losses["a"], (2, 3))
    np.testing.assert_array_equal(array(nothing.of(read, losses["a"], 2)), [1, 1])


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        ([1, 2], TypeError, "must be a dict"),
        ({"c": {0: 1}}, ValueError, "'c' has no loss"),
        ({"aa": {0: 1}}, ValueError, "'a'"),
        ({0.5: 1}, ValueError, "whole numbers of classes"),
        ({0: float("nan")}, ValueError, "finite weights"),
        ({0: "1"}, ValueError, "finite weights"),
        ({"0": 1}, ValueError, "whole numbers of classes"),
        ({0: 1, 1_000_001: 1}, ValueError, "at most 1000000"),
    ],
)
def test_what_is_no_weight_of_a_class_is_refused(given, error, sentence):
    losses = resolve_losses({"a": SPARSE, "b": "mse"}, ("a", "b", "c"))
    with pytest.raises(error, match=sentence):
        resolve_class_weights(given, ("a", "b", "c"), losses)


def test_the_widest_range_of_classes_is_taken_and_a_regression_alone_is_told():
    losses = resolve_losses(SPARSE, ("a",))
    found = resolve_class_weights({1: 1, 1_000_001: 2}, ("a",), losses)["a"]
    assert (found.lowest, len(found.table)) == (1, 1_000_001)
    with pytest.raises(ValueError, match="every member has the loss of a regression"):
        resolve_class_weights({0: 1}, ("a",), resolve_losses("mse", ("a",)))


# --- labels out of range -----------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "labels", "dtype", "classes", "expected", "number"),
    [
        (SPARSE, [0, 2, 3, -1, -2], "int32", 3, [0, 2, -1, -1, -1], 2),
        (SPARSE, [0, 2, 255], "uint8", 3, [0, 2, -1], 1),
        (SPARSE, [0.0, np.nan, 3.0], "float32", 3, [0, np.nan, -1], 1),
        (BINARY, [0, 1, 2, -1], "int32", 1, [0, 1, -1, -1], 1),
        (BINARY, [0, 1, 2], "int32", None, [0, 1, -1], 1),
        (keras.losses.SparseCategoricalCrossentropy(ignore_class=9), [9, 3, 1],
         "int32", 3, [9, -1, 1], 1),
        (SPARSE, [7], "int32", None, [7], None),
        (BINARY, [True, False], "bool", 1, [True, False], None),
        (DENSE, [[0, 9]], "int32", 2, [[0, 9]], None),
        ("mse", [-5.0], "float32", 1, [-5.0], None),
    ],
)  # fmt: skip
def test_labels_that_stand_for_no_class(spec, labels, dtype, classes, expected, number):
    found, bad = within_range(tensor(labels, dtype), loss_of(spec), classes)
    np.testing.assert_array_equal(array(found), expected)
    assert bad is None if number is None else float(bad) == number


# --- ranks -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "outputs", "expected"),
    [
        ((5,), (5, 1), ((5, 1), (5, 1))),
        ((5, 1), (5,), ((5, 1), (5, 1))),
        ((5, 3), (5, 3, 1), ((5, 3), (5, 3))),
        ((5, 3, 1), (5, 3), ((5, 3), (5, 3))),
        ((5, 3), (5, 3), ((5, 3), (5, 3))),
        ((5,), (5, 3), ((5,), (5, 3))),
        ((5,), (5, 1, 1), ((5,), (5, 1, 1))),
    ],
)
def test_labels_and_outputs_come_to_one_rank(labels, outputs, expected):
    found = same_rank(ops.zeros(labels), ops.zeros(outputs))
    assert tuple(tuple(one.shape) for one in found) == expected


def test_rows_never_stand_beside_other_rows():
    labels, outputs = RNG.normal(size=(2, 5)).astype("float32")
    gap = uncrossed(lambda y, p: ops.abs(y - p))
    for y, p in ((labels[:, None], outputs), (labels, outputs[:, None])):
        found = array(gap(tensor(y), tensor(p)))
        np.testing.assert_allclose(found[:, 0], np.abs(labels - outputs), rtol=1e-6)
        assert found.shape == (5, 1)
    # A function that takes them as they are is given them so.
    seen = []

    def own(y, p):
        seen.append((len(y.shape), len(p.shape)))
        return ops.square(ops.reshape(y, (-1,)) - p)

    found = array(uncrossed(own)(tensor(labels[:, None]), tensor(outputs)))
    np.testing.assert_allclose(found, (labels - outputs) ** 2, rtol=1e-5)
    assert seen[-1] == (2, 1)


# --- positions ---------------------------------------------------------------


def test_a_row_is_the_mean_of_its_positions_whatever_counts():
    values = RNG.normal(size=(3, 4)).astype("float32")
    counted = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], bool)
    weight = np.array([[1, 3, 9, 9], [0, 2, -1, 1], [5, 5, 5, 5]], "float32")
    rows, none = find_positions("a", tensor(counted), None, None).row_values(
        tensor(values)
    )
    assert none is None
    expected = [values[0, :2].mean(), values[1].mean(), 0]
    np.testing.assert_allclose(array(rows), expected, rtol=1e-5)
    for per_row in (weight[:, 0], weight[:, :1]):
        given = find_positions("a", tensor(counted), None, None, tensor(per_row))
        rows, weights = map(array, given.row_values(tensor(values)))
        np.testing.assert_allclose(rows, expected, rtol=1e-5)
        np.testing.assert_array_equal(weights, weight[:, 0])
    # One weight a position: the product is the sum of weight times loss, over their
    # number.
    given = find_positions("a", tensor(counted), None, None, tensor(weight))
    rows, weights = map(array, given.row_values(tensor(values)))
    product = [(w * v * c).sum() / max(c.sum(), 1) for w, v, c in zip(
        weight, values, counted, strict=True
    )]  # fmt: skip
    np.testing.assert_allclose(rows * weights, product, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(weights, [4 / 2, 4 / 4, 0], rtol=1e-6)


def test_what_counts_is_labeled_present_and_not_masked():
    known = np.array([[1, 1], [1, 0], [1, 1], [0, 0]], bool)
    mask = np.array([[1, 0], [1, 1], [1, 1], [1, 1]], bool)
    present = np.array([1, 1, 0, 1], bool)
    found = find_positions("a", *map(tensor, (known, present, mask)))
    np.testing.assert_array_equal(array(found.counted), known & mask & present[:, None])
    np.testing.assert_array_equal(array(found.rows), [True, True, False, False])
    assert found.masked and not find_positions("a", tensor(known), None, None).masked
    assert find_positions("a", None, None, None).rows is None


def test_a_loss_of_several_labels_cannot_leave_one_out():
    """It is NaN where some are unlabeled; a mask of Keras that does so is refused."""
    counted = np.array([[1, 1], [1, 0], [0, 0]], bool)
    values = tensor([1.0, 2.0, 3.0], "float32")
    unlabeled = find_positions("a", tensor(counted), None, None)
    np.testing.assert_array_equal(array(unlabeled.row_values(values)[0]), [1, NAN, 0])
    masked = find_positions("a", None, None, tensor(counted))
    with pytest.raises(ValueError, match=r"and a mask of shape \(3, 2\)"):
        masked.row_values(values)


@pytest.mark.parametrize("spec", [SPARSE, DENSE])
def test_outputs_that_do_not_count_are_harmless(spec):
    counted = np.array([[1, 0, 1], [0, 0, 0]], bool)
    outputs = RNG.dirichlet(np.ones(4), (2, 3)).astype("float32")
    outputs[~counted] = NAN
    positions = find_positions("a", tensor(counted), None, None)
    found = array(safe_outputs(loss_of(spec), tensor(outputs), positions))
    np.testing.assert_array_equal(found, np.where(counted[..., None], outputs, 1))
    rows = find_positions("a", tensor(counted.any(1)), None, None)
    found = array(safe_outputs(loss_of(spec), tensor(outputs[:, 0]), rows))
    np.testing.assert_array_equal(found, [outputs[0, 0], np.ones(4)])


@pytest.mark.parametrize(
    ("shape", "expected"), [((1,), (1,)), ((1, 1), (1,)), ((3, 1), (3,)), ((3,), (3,))]
)
def test_classes_in_a_column_are_classes_of_rows(shape, expected):
    """A batch of one row is no column."""
    read = read_labels(ops.zeros(shape, "int32"), loss_of(SPARSE))
    assert tuple(read.values.shape) == tuple(read.known.shape) == expected


def test_the_sample_weight_of_a_metric():
    counted = np.array([[1, 1], [1, 0]], bool)
    found = find_positions("a", tensor(counted), None, None, tensor([2.0, 3.0]))
    np.testing.assert_array_equal(array(found.for_metric(False)), counted)
    np.testing.assert_array_equal(array(found.for_metric(True)), [[2, 2], [3, 0]])
    plain = find_positions("a", None, None, None, tensor([2.0, 3.0]))
    np.testing.assert_array_equal(array(plain.for_metric(True)), [2, 3])
    assert plain.for_metric(False) is None


@pytest.mark.parametrize("shape", [(3, 2), (3, 4, 2), (3, 1, 2)])
def test_weights_that_fit_no_position_are_refused(shape):
    found = find_positions("a", None, None, None, ops.ones(shape))
    with pytest.raises(
        ValueError, match=r"loss of 'a' has values of shape \(rows, 4\)"
    ):
        found.row_values(ops.ones((3, 4)))


# --- losses and metrics ----------------------------------------------------------


def test_outputs_of_one_number_a_row_have_one_loss_a_row():
    labels, outputs = RNG.normal(size=(2, 5)).astype("float32")
    square = (labels - outputs) ** 2
    for given in (labels, labels[:, None]):
        loss = loss_of("mse")
        read = read_labels(tensor(given), loss, (5,))
        found = array(loss(read.values, tensor(outputs)))
        np.testing.assert_allclose(found, square, rtol=1e-5)
    # A user's own loss is given them as they are.
    ranks = []

    def own(y, p):
        ranks.append((len(y.shape), len(p.shape)))
        return ops.square(y - p)

    found = array(loss_of(own)(tensor(labels), tensor(outputs)))
    np.testing.assert_allclose(found, square, rtol=1e-5)
    assert ranks[-1] == (1, 1)


def test_a_loss_that_says_nothing_else_consumes_the_last_axis():
    plain = MemberLoss("a", ops.subtract, "custom", None)
    assert (plain.axis, plain.ignore_class, plain.lowest) == (-1, None, 0.0)


class Scaled(keras.metrics.Mean):
    """Has arguments that its configuration leaves out."""

    def __init__(self, first=1.0, second=2.0, name="scaled"):
        super().__init__(name=name)
        self.factor = first * second


def test_a_metric_whose_configuration_leaves_something_out_is_not_copied():
    losses = resolve_losses(SPARSE, ("a",))
    with pytest.raises(
        ValueError, match=r'leaves out first, second.*"first": self\.first'
    ):
        resolve_metrics([Scaled()], ("a",), losses, weighted=False)


@pytest.mark.parametrize("spec", [SPARSE, DENSE])
def test_a_metric_reads_the_classes_where_the_loss_does(spec):
    kinds = {
        SPARSE: keras.losses.SparseCategoricalCrossentropy,
        DENSE: keras.losses.CategoricalCrossentropy,
    }
    outputs = RNG.dirichlet(np.ones(3), (4, 5)).transpose(0, 2, 1).astype("float32")
    classes = RNG.integers(0, 3, (4, 5))
    classes[:2] = outputs[:2].argmax(1)
    labels = np.eye(3)[classes].transpose(0, 2, 1) if spec == DENSE else classes
    losses = resolve_losses(kinds[spec](axis=1), ("a",))
    (metric,) = resolve_metrics(["accuracy"], ("a",), losses, weighted=False)
    assert metric.axis == 1
    read = read_labels(tensor(labels, "float32"), losses["a"], outputs.shape)
    metric.update(
        losses["a"], read, tensor(outputs), find_positions("a", None, None, None)
    )
    expected = (outputs.argmax(1) == classes).mean()
    assert float(metric.metric.result()) == pytest.approx(expected, rel=1e-6)


def test_metrics_of_one_name_are_told_apart_as_in_keras():
    losses = resolve_losses(SPARSE, ("a", "b"))
    plain = resolve_metrics(["acc", "acc", "acc"], ("a",), losses, weighted=False)
    weighted = resolve_metrics(["acc", "acc"], ("a",), losses, weighted=True)
    other = resolve_metrics(["acc"], ("b",), losses, weighted=True)
    found = [one.metric.name for one in distinct([*plain, *weighted, *other])]
    assert found == [
        "a_acc",
        "a_acc_1",
        "a_acc_2",
        "a_weighted_acc",
        "a_weighted_acc_1",
        "b_acc",
    ]


# --- running means, and reports ----------------------------------------------


def test_running_means_are_weighted_and_start_again():
    tracker = LossTracker(["x", "y", "z"])
    tracker.update_state({"x": (1.0, 2.0), "y": (float("nan"), 0.0)})
    tracker.update_state({"x": (4.0, 1.0), "y": (3.0, 2.0)})
    found = {key: float(value) for key, value in tracker.result().items()}
    assert found == {"x": 2.0, "y": 3.0, "z": 0.0}
    tracker.reset_state()
    tracker.update_state({"x": (5.0, 1.0)})
    assert float(tracker.result()["x"]) == 5


def test_the_first_bad_step_is_reported_and_flaws_are_counted():
    report = StepReport(["a", "b"])
    assert report.place() == (0, 0) and report.flaws() == [] and report.result() == {}
    for place in ((0, 0), (GRADIENT, 5), (UPDATE, 2)):
        report.note_place(tensor(place, "float32"))
    assert report.place() == (GRADIENT, 5)
    for found in ([[0, 1], [0, 0]], [[0, 2], [4, 0]]):
        report.note_flaws(tensor(found, "float32"))
    assert report.flaws() == [
        "labels of 'b' are out of range in 3 places",
        "the input of 'a' is infinite in 4 places",
    ]
    report.reset_state()
    assert report.place() == (0, 0) and report.flaws() == []
