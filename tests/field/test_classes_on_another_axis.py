"""Distillation of segmentation networks whose classes are axis 1; void pixels.

Kind: outputs of every rank and layout, and every term that reads outputs: pixels with
the classes last or first, sequences, yes/no maps, logits and probabilities, integer and
one-hot labels, of which some are missing and some are the class that the loss ignores.
Each cell is one term, against NumPy on the pixels that count.

Report: keras-team/keras#21097 (sparse cross-entropy and its `axis` on outputs with the
classes first). Void pixels and terms: found by trying.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest

import coloss
from coloss.joint.outputs.forward import run_members
from coloss.joint.values.running_accuracy import RunningAccuracy
from coloss.joint.values.transfer_terms import TransferTerms

from . import numpy_terms as terms

pytestmark = pytest.mark.backend

layers, losses = keras.layers, keras.losses
ROWS, CLASSES, VOID = 5, 4, 255
random = np.random.default_rng(5)


@dataclass(frozen=True)
class Kind:
    """What a member returns, and what its labels are."""

    shape: tuple[int, ...]
    loss: Any
    first: bool = False
    probabilities: bool = False
    labels: str = "sparse"


def sparse(**options):
    return losses.SparseCategoricalCrossentropy(**{"from_logits": True, **options})


KINDS = {
    "steps": Kind((6,), sparse()),
    "pixels": Kind((2, 3), sparse()),
    "pixels, classes first": Kind((2, 3), sparse(axis=1), first=True),
    "probabilities, classes first": Kind(
        (2, 3), sparse(axis=1, from_logits=False), first=True, probabilities=True
    ),
    "void pixels": Kind((2, 3), sparse(ignore_class=VOID)),
    "void pixels, classes first": Kind(
        (2, 3), sparse(axis=1, ignore_class=VOID), first=True
    ),
    "one-hot pixels": Kind(
        (2, 3), losses.CategoricalCrossentropy(from_logits=True), labels="dense"
    ),
    "one-hot, classes first": Kind(
        (2, 3),
        losses.CategoricalCrossentropy(from_logits=True, axis=1),
        first=True,
        labels="dense",
    ),
    "yes/no pixels": Kind(
        (2, 3), losses.BinaryCrossentropy(from_logits=True), labels="binary"
    ),
}
TERMS = {
    "distill(b >> a)": terms.distill(),
    "distill(b >> a, standardize=True)": terms.standardized_distill,
    'distill(b >> a, gate="row")': terms.gated_distill,
    "mutual(b >> a)": terms.distill(1.0),
    "match_logits(b >> a)": terms.match_logits,
    "dkd(b >> a)": terms.dkd,
    "dist(b >> a)": terms.dist,
    "consensus(b >> a)": terms.distill(),
    'consensus(b >> a, how="best")': terms.distill(),
    'consensus(b >> a, how="gated")': terms.by_rows(terms.gated_consensus),
    "coteach(b >> a)": terms.coteach,
    "pseudo_label(a, threshold=0.5)": terms.pseudo_label(0.5),
}
# Of two classes nothing is left beside the true one.
CELLS = [(k, t) for k in KINDS for t in TERMS if "yes" not in k or "dkd" not in t]


def network(kind, seed):
    keras.utils.set_random_seed(seed)
    classes = 1 if kind.labels == "binary" else CLASSES
    inputs = keras.Input((*kind.shape, 3))
    found = layers.Dense(classes, "softmax" if kind.probabilities else None)(inputs)
    if kind.first:
        axes = tuple(range(1, len(kind.shape) + 1))
        found = layers.Permute((len(kind.shape) + 1, *axes))(found)
    return keras.Model(inputs, found)


class Case:
    """One joint model evaluated once, and its logits and labels in float64."""

    def __init__(self, kind):
        members = {"a": network(kind, 1), "b": network(kind, 2)}
        self.kind = kind
        self.model = coloss.JointModel(members)
        self.x = {
            name: random.normal(0, 2, (ROWS, *kind.shape, 3)).astype("float32")
            for name in "ab"
        }
        self.classes = random.integers(0, CLASSES, (ROWS, *kind.shape))
        if kind.labels == "binary":
            self.classes %= 2
        self.classes.reshape(ROWS, -1)[:, 1] = -1
        self.classes[3] = -1
        self.void = np.zeros_like(self.classes, bool)
        if kind.loss.get_config().get("ignore_class") is not None:
            self.void.reshape(ROWS, -1)[:3, 2] = True
            self.void[4] = True  # A row of nothing else.
        objective = " + ".join(t for t in TERMS if (self.key, t) in CELLS)
        self.model.compile("sgd", kind.loss, objective=objective)
        self.logs = self.model.evaluate(
            self.x, self.labels, batch_size=ROWS, verbose=0, return_dict=True
        )

    @property
    def key(self):
        return next(key for key, kind in KINDS.items() if kind is self.kind)

    @property
    def labels(self):
        """Return the labels as the loss takes them."""
        if self.kind.labels == "sparse":
            return np.where(self.void, VOID, self.classes)
        if self.kind.labels == "binary":
            return self.classes[..., None]
        hot = np.eye(CLASSES)[self.classes].astype("float32")
        hot[self.classes < 0] = np.nan
        return np.moveaxis(hot, -1, 1) if self.kind.first else hot

    def logits(self, name):
        """Return (rows, positions, classes)."""
        found = keras.ops.convert_to_numpy(self.model[name](self.x[name])).astype(float)
        found = np.moveaxis(found, 1, -1) if self.kind.first else found
        found = found.reshape(ROWS, -1, found.shape[-1])
        if self.kind.labels == "binary":
            found = np.concatenate([0 * found, found], -1)
        return np.log(found) if self.kind.probabilities else found

    def expected(self, term):
        y = np.where(self.void, -1, self.classes).reshape(ROWS, -1)
        own, other = self.logits("a"), self.logits("b")
        if term.startswith("match") and self.kind.labels == "binary":
            own, other = own[..., 1:], other[..., 1:]
        if term.startswith("pseudo"):  # Void is neither labeled nor unlabeled.
            void = self.void.reshape(ROWS, -1)
            own = [z[~row] for z, row in zip(own, void, strict=True)]
            y = [z[~row] for z, row in zip(y, void, strict=True)]
            return TERMS[term](own, own, y)
        return TERMS[term](list(own), list(other), list(y))


CASES = {}


def case_of(kind):
    if kind not in CASES:
        CASES[kind] = Case(KINDS[kind])
    return CASES[kind]


@pytest.mark.parametrize(("kind", "term"), CELLS)
def test_terms_on_outputs_of_every_rank_and_layout(kind, term):
    case = case_of(kind)
    assert case.logs[term] == pytest.approx(case.expected(term), rel=3e-4, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_accuracy_that_a_network_gate_goes_by(kind, monkeypatch):
    case = case_of(kind)
    model = coloss.JointModel({name: case.model[name] for name in "ab"})
    model.compile("sgd", case.kind.loss, objective='distill(b >> a, gate="network")')
    seen = {}
    monkeypatch.setattr(
        RunningAccuracy,
        "observe",
        lambda self, right, training, errors: seen.update(right),
    )
    batch = model.batch_of(run_members(model.members, case.x, False, {}), case.labels)
    TransferTerms(batch, model.auxiliary).observe(training=False)
    known = (case.classes >= 0) & ~case.void
    for name in "ab":
        hit = case.logits(name).argmax(-1).reshape(known.shape) == case.classes
        right, rows = (float(value) for value in seen[name])
        assert (right, rows) == ((hit & known).sum(), known.sum())
