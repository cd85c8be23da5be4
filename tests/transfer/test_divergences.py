"""Divergences, weights of several sources, and corrected sources, against NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss
from coloss import transfer

from .helpers import log_softmax, normal, softmax

pytestmark = pytest.mark.backend


def logits(rows, classes, seed):
    return normal(rows, classes, seed=seed, scale=2.0)


def value(function, *arrays, **options):
    tensors = [keras.ops.convert_to_tensor(a, "float32") for a in arrays]
    return float(keras.ops.convert_to_numpy(function(*tensors, **options)))


KINDS = ("forward", "reverse", "jsd")
LABELS = np.array([0, 2, 1, -1, 0, 1])


def divergence(log_s, log_t, kind):
    """Return the divergence of each row in float64."""

    def kl(a, b):
        return (np.exp(a) * (a - b)).sum(-1)

    if kind == "forward":
        return kl(log_t, log_s)
    if kind == "reverse":
        return kl(log_s, log_t)
    log_m = np.log((np.exp(log_s) + np.exp(log_t)) / 2)
    return (kl(log_t, log_m) + kl(log_s, log_m)) / 2


def confidences(sources, labels, present):
    """Return CA-MKD's weights, row by row, as its authors' code has them."""
    found = np.zeros((len(labels), len(sources)))
    for row, label in enumerate(labels):
        here = [k for k in range(len(sources)) if present[row, k]]
        if label < 0 or len(here) < 2:
            found[row, here] = 1 / max(len(here), 1)
            continue
        entropy = np.array([-log_softmax(sources[k][row])[label] for k in here])
        share = np.exp(entropy) / np.exp(entropy).sum()
        found[row, here] = (1 - share) / (len(here) - 1)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_each_divergence_is_numpys(kind):
    learner, source, other = logits(6, 4, 0), logits(6, 4, 1), logits(6, 4, 2)
    mask = np.array([True, True, False, True, True, True])
    weights = np.array([1.0, 2.0, 5.0, 0.5, 0.0, 1.0])
    log_s, log_t, log_u = (log_softmax(z, 3.0) for z in (learner, source, other))
    rows = 9 * divergence(log_s, log_t, kind)
    found = value(
        transfer.distill,
        learner,
        source,
        temperature=3.0,
        divergence=kind,
        mask=mask,
        weights=weights,
    )
    expected = (rows * weights)[mask].sum() / mask.sum()
    np.testing.assert_allclose(found, expected, rtol=2e-5)
    both = (rows + 9 * divergence(log_s, log_u, kind)) / 2
    options = {"temperature": 3.0, "divergence": kind, "mask": mask}
    found = value(transfer.mutual, learner, source, other, **options)
    np.testing.assert_allclose(found, both[mask].mean(), rtol=2e-5)
    log_mean = np.log((np.exp(log_t) + np.exp(log_u)) / 2)
    found = value(transfer.consensus, learner, source, other, **options)
    expected = 9 * divergence(log_s, log_mean, kind)[mask].mean()
    np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_finite_far_out_and_0_at_the_source(kind):
    far = np.array([[900.0, 0, -900], [-900, 0, 900]])
    found = value(transfer.distill, far, far[::-1], temperature=1.0, divergence=kind)
    assert np.isfinite(found) and found > 0.6
    assert abs(value(transfer.distill, far, far, divergence=kind)) < 1e-6
    if kind == "jsd":
        np.testing.assert_allclose(found, np.log(2), rtol=1e-5)


def test_confidence_weights_are_those_of_the_paper():
    sources = [logits(6, 4, seed) for seed in (1, 2, 3)]
    present = np.ones((6, 3), "bool")
    present[0, 1] = present[1, :2] = present[2] = False
    found = keras.ops.convert_to_numpy(
        transfer.confidence_weights(
            *(one.astype("float32") for one in sources),
            labels=LABELS,
            present=[present[:, k] for k in range(3)],
        )
    )
    expected = confidences(sources, LABELS, present)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    sums = found.sum(axis=1)
    np.testing.assert_allclose(sums, present.any(axis=1).astype(float), atol=1e-6)


def test_a_consensus_may_weigh_by_confidence():
    learner, *sources = (logits(6, 4, seed) for seed in (0, 1, 2))
    weights = confidences(sources, LABELS, np.ones((6, 2), "bool"))
    mean = sum(
        weights[:, [k]] * softmax(source, 4.0) for k, source in enumerate(sources)
    )
    log_s = log_softmax(learner, 4.0)
    expected = 16 * divergence(log_s, np.log(mean), "forward").mean()
    found = value(
        transfer.consensus, learner, *sources, how="confidence", labels=LABELS
    )
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_a_wrong_source_is_put_right():
    learner, source = logits(6, 4, 0), logits(6, 4, 1)
    right = source.copy()
    for row, label in enumerate(LABELS):
        first = source[row].argmax()
        if label >= 0 and first != label:
            right[row, [first, label]] = source[row, [label, first]]
    assert not np.array_equal(right, source)
    found = keras.ops.convert_to_numpy(
        transfer.corrected(source.astype("float32"), LABELS)
    )
    np.testing.assert_allclose(found, right, atol=1e-6)
    known = LABELS >= 0
    np.testing.assert_array_equal(found[known].argmax(-1), LABELS[known])
    expected = value(transfer.distill, learner, right)
    found = value(transfer.distill, learner, source, correct=True, labels=LABELS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


X = {name: logits(8, 3, seed).astype("float32") for seed, name in enumerate("abc")}
Y = np.array([0, 1, 2, -1, 0, 1, 2, 1])


def joint(term):
    members = {
        name: keras.Sequential([keras.Input((3,)), keras.layers.Softmax()])
        for name in X
    }
    start = keras.initializers.GlorotUniform(0)
    dense = keras.layers.Dense(3, "softmax", kernel_initializer=start)
    members["a"] = keras.Sequential([keras.Input((3,)), dense])
    model = coloss.JointModel(members)
    model.compile("sgd", "sparse_categorical_crossentropy", objective=f"a + {term}")
    return model


def term_of(model, x):
    logs = model.evaluate(x, Y, verbose=0, return_dict=True)
    (found,) = (v for name, v in logs.items() if ">>" in name)
    return found


def test_several_teachers_are_weighed_in_an_objective():
    model = joint('distill((b, c) >> a, weights="confidence", divergence="reverse")')
    assert 'weights="confidence", divergence="reverse"' in str(model.explain())
    x = {**X, "b": X["b"].copy()}
    x["b"][:2] = np.nan
    present = np.stack([np.arange(8) >= 2, np.ones(8, "bool")], axis=1)
    weights = confidences([X["b"], X["c"]], Y, present)
    weights = weights * present.sum(axis=1, keepdims=True)
    log_a = np.log(model.predict(x, verbose=0)["a"].astype("float64"))
    log_s, expected = log_softmax(log_a, 4.0), 0.0
    for place, name in enumerate("bc"):
        rows = 16 * divergence(log_s, log_softmax(X[name], 4.0), "reverse")
        rows = (rows * weights[:, place])[present[:, place]]
        expected += rows.mean() / 2
    np.testing.assert_allclose(term_of(model, x), expected, rtol=5e-5)


@pytest.mark.parametrize(
    "term",
    ["distill(b >> a, correct=True)", 'consensus((b, c) >> a, weights="confidence")'],
)
def test_labels_reach_the_term(term):
    model = joint(term)
    z = np.log(model.predict(X, verbose=0)["a"])
    if "correct" in term:
        expected = value(
            transfer.distill, z, X["b"].astype("float64"), correct=True, labels=Y
        )
    else:
        expected = value(
            transfer.consensus, z, X["b"], X["c"], how="confidence", labels=Y
        )
    np.testing.assert_allclose(term_of(model, X), expected, rtol=5e-5)


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ('distill(b >> a, divergence="reversed")', '"forward", "reverse" or "jsd"'),
        ('distill(b >> a, weights="confident")', '"equal" or "confidence"'),
        ('consensus((b, c) >> a, how="best", weights="confidence")', "use one of"),
    ],
)
def test_what_is_refused(term, said):
    with pytest.raises(ValueError, match=said):
        joint(term).fit(X, Y, verbose=0)


def test_what_the_functions_refuse():
    z = logits(4, 3, 0)
    with pytest.raises(ValueError, match="did you mean 'reverse'"):
        transfer.distill(z, z, divergence="revers")
    with pytest.raises(ValueError, match="needs `labels`"):
        transfer.distill(z, z, correct=True)
    with pytest.raises(ValueError, match="one mask or None for each source"):
        transfer.confidence_weights(z, z, present=[None])
