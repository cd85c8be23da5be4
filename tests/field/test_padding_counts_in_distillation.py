"""Padding counts in distillation: a mask is set, and terms go by every step.

Kind: Keras's masks (`Masking`, `Embedding(mask_zero=True)`, a mask that a layer
computes) and every term that reads outputs or layers. Each cell is one term at one
place under one kind of mask, against the same term in NumPy on the rows without their
padding. The learner's and the source's lengths differ; one row is padding throughout.

Reports: peremartra/optipfair#34 ("Padding tokens are not masked in distillation
losses": methods that differed no longer do), tensorflow/tensorflow#34491 and
keras-team/keras#15323 (losses with `Masking`).
"""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest

import coloss
from coloss.joint.keras_internals import attach_mask
from coloss.joint.outputs.forward import Forward, run_members
from coloss.objective.rows import evaluate

from ..transfer.compiling import compiled
from ..transfer.helpers import gradient
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


def network(kind, seed):
    keras.utils.set_random_seed(seed)
    if kind == "Embedding":
        inputs = keras.Input((STEPS,), dtype="int32")
        found = layers.Embedding(20, 6, mask_zero=True)(inputs)
    else:
        inputs = keras.Input((STEPS, 6))
        found = (layers.Masking() if kind == "Masking" else Real())(inputs)
    found = layers.Dense(WIDTH, "tanh", name="hidden")(found)
    return keras.Model(inputs, layers.Dense(CLASSES)(found))


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


def joined(kind, objective):
    members = {"a": network(kind, 1), "b": network(kind, 2)}
    model = coloss.JointModel(members)
    model.compile("sgd", SPARSE, objective=objective)
    return model


class Terms:
    """Every term at every place on one batch, compiled once for all kinds of masks."""

    def __init__(self):
        self.model = joined("Masking", OBJECTIVE)
        self.tapped = self.model.compiled_settings.tapped
        self.model(X["Masking"])  # Makes the projectors.
        self.measure = compiled(self.values)

    def values(self, *parts, names=None):
        outputs, taps, masks = parts[:2], parts[2:4], parts[4:]
        forward = Forward()
        for name, output, tap, mask in zip("ab", outputs, taps, masks, strict=True):
            forward.outputs[name], forward.present[name] = output, None
            forward.masks[name] = mask
            tap = keras.ops.copy(tap)
            attach_mask(tap, mask)
            forward.taps[name, ("hidden",)] = tap
        batch = self.model.batch_of(forward, Y)
        return {
            name: evaluate(summand, batch).value()
            for summand, name in self.model.compiled_settings.summands
            if names is None or name in names
        }


@functools.cache
def all_terms():
    return Terms()


class Case:
    """The terms on the members of one kind, whose values are kept in float64."""

    def __init__(self, kind):
        self.kind = kind
        members = {"a": network(kind, 1), "b": network(kind, 2)}
        found = run_members(members, X[kind], False, all_terms().tapped)
        self.members = members
        self.parts = [
            *(found.outputs[name] for name in "ab"),
            *(found.taps[name, ("hidden",)] for name in "ab"),
            *(found.masks[name] for name in "ab"),
        ]
        for name in "ab":
            mask = keras.ops.convert_to_numpy(found.masks[name])
            np.testing.assert_array_equal(mask, REAL[name])
        self.arrays = [keras.ops.convert_to_numpy(part) for part in self.parts]
        keys = [(name, place) for place in PLACES for name in "ab"]
        pairs = zip(keys, self.arrays[:4], strict=True)
        self.values = {key: array.astype(float) for key, array in pairs}
        self.logs = self.measured(*self.arrays)

    def measured(self, *arrays):
        """Return every term of these outputs, layers and masks."""
        tensors = map(keras.ops.convert_to_tensor, arrays)
        found = all_terms().measure(*tensors)
        return {name: float(keras.ops.convert_to_numpy(v)) for name, v in found.items()}

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
        projectors = all_terms().model.auxiliary.projectors
        keys = [str(key[0]) for key in projectors._keys]
        layer = getattr(projectors, f"_edge_{keys.index(term)}")
        return [keras.ops.convert_to_numpy(v).astype(float) for v in layer.variables]


@functools.cache
def case_of(kind):
    return Case(kind)


@pytest.fixture(params=KINDS)
def case(request):
    return case_of(request.param)


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


def poisoned(arrays, bad):
    """Return outputs and layers with something in the padding."""
    masks = arrays[4:] * 2
    pairs = zip(arrays[:4], masks, strict=True)
    return [np.where(mask[..., None], v, np.float32(bad)) for v, mask in pairs]


@functools.cache
def terms_of_poison(bad):
    arrays = case_of("computed").arrays
    return case_of("computed").measured(*poisoned(arrays, bad), *arrays[4:])


@pytest.mark.parametrize("bad", [np.nan, 1e30], ids=["nan", "huge"])
@pytest.mark.parametrize("term", [*OUTPUTS, *(spelled(*cell) for cell in FEATURES)])
def test_what_padding_holds_changes_no_value(term, bad):
    clean = case_of("computed").logs[term]
    assert terms_of_poison(bad)[term] == pytest.approx(clean, rel=1e-5, abs=1e-7)


SOME = (
    'distill(b >> a, gate="row")',
    "dist(b >> a)",
    "vid(b.hidden >> a.hidden)",
    "attention(b.hidden >> a.hidden)",
    "sp(b.hidden >> a.hidden)",
    "cka(b.hidden >> a.hidden)",
    "contrast(b.hidden >> a.hidden, dimension=5)",
    "coteach(b >> a)",
)


def test_what_padding_holds_changes_no_gradient():
    arrays = case_of("computed").arrays
    masks = [keras.ops.convert_to_tensor(mask) for mask in arrays[4:]]

    @compiled
    def total(*values):
        return sum(all_terms().values(*values, *masks, names=SOME).values())

    clean = gradient(total, *arrays[:4])
    dirty = gradient(total, *poisoned(arrays, np.nan))
    for one, other, mask in zip(clean, dirty, arrays[4:] * 2, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-7)
        assert not other[~mask].any()
    assert clean[0].any()
    assert clean[2].any()


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_step_of_a_joint_model(kind):
    case = case_of(kind)
    model = coloss.JointModel(case.members)
    model.compile("sgd", SPARSE, objective=" + ".join(IN_A_STEP))
    logs = model.evaluate(X[kind], Y, batch_size=ROWS, verbose=0, return_dict=True)
    for term in IN_A_STEP:
        assert logs[term] == pytest.approx(case.logs[term], rel=1e-5)


IN_A_STEP = ("distill(b >> a)", "hint(b.hidden >> a.hidden)", "sp(b >> a)")


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
