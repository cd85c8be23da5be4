"""Padding counts in distillation: a mask is set, and terms go by every step.

Kind: Keras's masks (`Masking`, `Embedding(mask_zero=True)`, a mask that a layer
computes) and every term that reads outputs or layers. Each cell is one term at one
place under one kind of mask, against the same term in NumPy on the rows without their
padding. The learner's and the source's lengths differ; one row is padding throughout.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

from . import numpy_terms as terms

pytestmark = pytest.mark.backend

layers = keras.layers
ROWS, STEPS, CLASSES, WIDTH = 7, 5, 3, 4
random = np.random.default_rng(3)
LENGTHS = {"a": [5, 3, 1, 4, 0, 2, 3], "b": [4, 4, 2, 2, 3, 5, 1]}
REAL = {k: np.arange(STEPS) < np.array(n)[:, None] for k, n in LENGTHS.items()}
Y = random.integers(0, CLASSES, (ROWS, STEPS))
Y[:, 2] = -1
Y[1, 0] = Y[5, 1] = -1
SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@keras.saving.register_keras_serializable(package="field")
class Real(layers.Layer):
    """Computes a mask: a step is real where its first number is not 0."""

    def call(self, inputs):
        return inputs * 1.0

    def compute_mask(self, inputs, mask=None):
        return keras.ops.not_equal(inputs[..., 0], 0)


@keras.saving.register_keras_serializable(package="field")
class InPadding(layers.Layer):
    """Puts a value into the padding, where it must not matter."""

    def __init__(self, value, **options):
        super().__init__(**options)
        self.value, self.supports_masking = value, True

    def call(self, inputs, mask=None):
        mask = keras.ops.expand_dims(mask, -1)
        return keras.ops.where(mask, inputs, keras.ops.full_like(inputs, self.value))


def network(kind, seed, padding=None):
    keras.utils.set_random_seed(seed)
    if kind == "Embedding":
        inputs = keras.Input((STEPS,), dtype="int32")
        found = layers.Embedding(20, 6, mask_zero=True)(inputs)
    else:
        inputs = keras.Input((STEPS, 6))
        found = (layers.Masking() if kind == "Masking" else Real())(inputs)
    found = layers.Dense(WIDTH, "tanh", name=None if padding else "hidden")(found)
    if padding:
        found = InPadding(padding, name="hidden")(found)
        found = InPadding(0.0)(found)
    found = layers.Dense(CLASSES)(found)
    return keras.Model(inputs, InPadding(padding)(found) if padding else found)


def inputs_of(kind):
    found = {}
    for name, real in REAL.items():
        if kind == "Embedding":
            found[name] = random.integers(1, 20, (ROWS, STEPS)) * real
        else:
            values = random.normal(size=(ROWS, STEPS, 6))
            found[name] = (values * real[..., None]).astype("float32")
    return found


KINDS = ("Masking", "Embedding", "computed")
X = {kind: inputs_of(kind) for kind in KINDS}
OUTPUTS = {
    "distill(b >> a)": terms.distill(),
    "distill(b >> a, standardize=True)": terms.standardized_distill,
    'distill(b >> a, gate="row")': terms.gated_distill,
    "match_logits(b >> a)": terms.match_logits,
    "mutual(b >> a)": terms.distill(1.0),
    "dkd(b >> a)": terms.dkd,
    "dist(b >> a)": terms.dist,
    "consensus(b >> a)": None,
    'consensus(b >> a, how="best")': None,
    'consensus(b >> a, how="gated")': None,
    "coteach(b >> a)": terms.coteach,
    "pseudo_label(a, threshold=0.5)": None,
}
PLACES = ("outputs", "layers")
BY_POSITION = {"hint": terms.hint, "attention": terms.attention, "vid": None}
WHOLE = {
    "cka": terms.cka,
    "sp": terms.sp,
    "pkt": terms.pkt,
    "rkd_distance": terms.rkd_distance,
    "rkd_angle": terms.rkd_angle,
    "contrast": None,
}
EDGES = {"outputs": "b >> a", "layers": "b.hidden >> a.hidden"}
OPTIONS = {
    ("contrast", "outputs"): ", dimension=None",
    ("contrast", "layers"): ", dimension=5",
}


def spelled(name, place):
    return f"{name}({EDGES[place]}{OPTIONS.get((name, place), '')})"


FEATURES = [(name, place) for place in PLACES for name in (*BY_POSITION, *WHOLE)]
OBJECTIVE = " + ".join([*OUTPUTS, *(spelled(*cell) for cell in FEATURES)])


def joined(kind, padding=None):
    members = {"a": network(kind, 1, padding), "b": network(kind, 2, padding)}
    model = coloss.JointModel(members)
    model.compile(keras.optimizers.SGD(0.05), SPARSE, objective=OBJECTIVE)
    return model


class Case:
    """One joint model, evaluated once, and what its members compute, in float64."""

    def __init__(self, kind):
        self.model = joined(kind)
        self.logs = self.model.evaluate(
            X[kind], Y, batch_size=ROWS, verbose=0, return_dict=True
        )
        self.values = {}
        for name in "ab":
            net = self.model[name]
            both = keras.Model(net.input, [net.get_layer("hidden").output, net.output])
            for place, value in zip(
                ("layers", "outputs"), both(X[kind][name]), strict=True
            ):
                self.values[name, place] = keras.ops.convert_to_numpy(value).astype(
                    float
                )

    def positions(self, place):
        """Return both sides without the steps that are padding on either."""
        real = REAL["a"] & REAL["b"]
        return [
            [v[row] for v, row in zip(self.values[name, place], real, strict=True)]
            for name in "ab"
        ]

    def vectors(self, place):
        """Return the rows that are there on both sides: means of their real steps."""
        rows = [i for i in range(ROWS) if REAL["a"][i].any() and REAL["b"][i].any()]
        return [
            np.stack([self.values[name, place][i][REAL[name][i]].mean(0) for i in rows])
            for name in "ab"
        ]

    def own(self, name):
        """Return one side by its own mask."""
        pairs = zip(self.values[name, "outputs"], REAL[name], strict=True)
        return [values[real] for values, real in pairs]

    def projector(self, term):
        keys = [str(key[0]) for key in self.model.auxiliary.projectors._keys]
        layer = getattr(self.model.auxiliary.projectors, f"_edge_{keys.index(term)}")
        return [keras.ops.convert_to_numpy(v).astype(float) for v in layer.variables]


CASES = {}


@pytest.fixture(params=KINDS)
def case(request):
    if request.param not in CASES:
        CASES[request.param] = Case(request.param)
    return CASES[request.param]


def labels():
    real = REAL["a"] & REAL["b"]
    return [y[row] for y, row in zip(Y, real, strict=True)]


@pytest.mark.parametrize("term", OUTPUTS)
def test_terms_on_outputs(case, term):
    found = case.logs[term]
    own, other = case.positions("outputs")
    reference = OUTPUTS[term]
    if term.startswith("consensus"):
        # Of one source: it is the mean, the best, and the gated one where it leads.
        reference = terms.distill()
        if "gated" in term:
            reference = terms.by_rows(terms.gated_consensus)
    if term.startswith("pseudo_label"):
        mine = [y[real] for y, real in zip(Y, REAL["a"], strict=True)]
        expected = terms.pseudo_label(0.5)(case.own("a"), None, mine)
    elif term.startswith("coteach"):
        sides = [[y[r] for y, r in zip(Y, REAL[n], strict=True)] for n in "ab"]
        expected = coteach(case, sides)
    else:
        expected = reference(own, other, labels())
    assert found == pytest.approx(expected, rel=2e-4, abs=1e-6)


def coteach(case, sides):
    """Return co-teaching: each side's own loss, on its own steps."""
    rows = {}
    for name, mine in zip("ab", sides, strict=True):
        pairs = zip(case.own(name), mine, strict=True)
        rows[name] = np.array(
            [terms.cross_entropy(z, y) if (y >= 0).any() else np.nan for z, y in pairs]
        )
    both = ~np.isnan(rows["a"]) & ~np.isnan(rows["b"])
    weight = np.exp(-rows["b"][both])
    return (weight / weight.sum() * rows["a"][both]).sum()


@pytest.mark.parametrize(("name", "place"), FEATURES)
def test_terms_on_layers(case, name, place):
    term = spelled(name, place)
    if name in BY_POSITION:
        reference, sides = BY_POSITION[name], case.positions(place)
        if name == "vid":
            reference = terms.vid(*reversed(sorted(case.projector(term), key=np.ndim)))
    else:
        reference, sides = WHOLE[name], case.vectors(place)
    if name == "contrast":
        maps = case.projector(term)
        expected = terms.contrast(*sides, maps or None)
    else:
        expected = reference(*sides)
    assert case.logs[term] == pytest.approx(expected, rel=2e-4, abs=2e-6)


@pytest.fixture(scope="module", params=[float("nan"), 1e30], ids=["nan", "huge"])
def poisoned(request):
    """Return one step with a clean padding and one with anything in it."""
    found = []
    for padding in (0.25, request.param):
        model = joined("computed", padding)
        logs = model.train_on_batch(X["computed"], Y, return_dict=True)
        weights = [np.array(w) for n in "ab" for w in model[n].get_weights()]
        found.append((logs, weights))
    return found


@pytest.mark.parametrize("term", [*OUTPUTS, *(spelled(*cell) for cell in FEATURES)])
def test_what_padding_holds_changes_no_value(poisoned, term):
    clean, dirty = (logs for logs, _ in poisoned)
    assert dirty[term] == pytest.approx(clean[term], rel=1e-5, abs=1e-7)


def test_what_padding_holds_changes_no_gradient(poisoned):
    clean, dirty = (weights for _, weights in poisoned)
    for one, other in zip(clean, dirty, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_mask_of_rows_leaves_rows_out():
    """`Masking` of plain vectors: a row of zeros is no row."""
    inputs = keras.Input((6,))
    outputs = layers.Dense(CLASSES)(layers.Masking()(inputs))
    member = keras.Model(inputs, outputs)
    other = keras.Model(inputs, layers.Dense(CLASSES)(inputs))
    model = coloss.JointModel({"a": member, "b": other})
    both = "distill(b >> a) + cka(b >> a)"
    model.compile("sgd", SPARSE, objective=both)
    x, y = random.normal(size=(ROWS, 6)).astype("float32"), Y[:, 0].clip(0)
    x[[1, 4]] = 0
    rows = [0, 2, 3, 5, 6]
    found = model.test_on_batch({"a": x, "b": x}, y, return_dict=True)
    found = {key: float(value) for key, value in found.items()}
    model.reset_metrics()
    x = x[rows]
    expected = model.test_on_batch({"a": x, "b": x}, y[rows], return_dict=True)
    for term in both.split(" + "):
        assert found[term] == pytest.approx(float(expected[term]), rel=1e-4)


def test_a_mask_that_no_longer_fits_is_refused():
    @keras.saving.register_keras_serializable(package="field")
    class EverySecond(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.supports_masking = True

        def call(self, inputs):
            return inputs[:, ::2]

    inputs = keras.Input((STEPS, 6))
    found = EverySecond(name="half")(layers.Masking()(inputs))
    head = layers.Dense(CLASSES)(layers.Dense(2, name="hidden")(found)[:, 0])
    members = {"a": keras.Model(inputs, head), "b": keras.Model(inputs, head)}
    model = coloss.JointModel({"a": members["a"], "b": network("Masking", 1)})
    model.compile("sgd", SPARSE, objective="a + cka(b.hidden >> a.half)")
    with pytest.raises(ValueError, match=r"mask of `a\.half` is .*compute_mask"):
        model.test_on_batch(X["Masking"], {"a": Y[:, 0].clip(0), "b": Y})
