"""`explain(x, y)` measures how each summand pulls, and changes nothing."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss.joint import JointModel

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS = 8
XA = RNG.normal(size=(ROWS, 4)).astype("float32")
XB = RNG.normal(size=(ROWS, 5)).astype("float32")
X = {"a": XA, "b": XB}
Y = np.arange(ROWS) % 3
SPARSE = "sparse_categorical_crossentropy"
TERMS = ("a", "0.5*b", "2*distill(b >> a, temperature=2)", "relu(a - stop(b))")


def log_softmax(z):
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def values(weights):
    """Return the value of each summand in float64, from [kernel, bias] by member."""
    known = np.arange(ROWS) < 6
    logs = {
        name: log_softmax(X[name] @ kernel + bias)
        for name, (kernel, bias) in weights.items()
    }
    loss = {name: -log[np.arange(ROWS), Y] for name, log in logs.items()}
    soft = {name: log_softmax(log / 2) for name, log in logs.items()}
    taught = 4 * (np.exp(soft["b"]) * (soft["b"] - soft["a"])).sum(1)
    return np.array(
        [
            loss["a"][known].mean(),
            0.5 * loss["b"].mean(),
            2 * taught.mean(),
            np.maximum(loss["a"] - loss["b"], 0)[known].mean(),
        ]
    )


def pulls(weights, member, detached):
    """Return each summand's gradient at a member by central differences."""
    found = []
    for part in range(2):
        flat = weights[member][part].ravel()
        for index in range(flat.size):
            sides = []
            for shift in (1e-6, -1e-6):
                moved = {name: [w.copy() for w in ws] for name, ws in weights.items()}
                moved[member][part].ravel()[index] += shift
                sides.append(values(moved))
            found.append((sides[0] - sides[1]) / 2e-6)
    gradients = np.array(found).T
    gradients[detached] = 0.0
    return gradients


@pytest.fixture
def model(linear):
    joint = JointModel({"a": linear(4), "b": linear(5, seed=1)})
    joint.compile("adam", SPARSE, objective=" + ".join(TERMS), on_ascent="allow")
    return joint


def labels():
    unknown = np.where(np.arange(ROWS) < 6, Y, -1)
    return {"a": unknown, "b": Y}


def test_norms_and_cosines_are_those_of_finite_differences(model):
    weights = {
        name: [np.asarray(w, "float64") for w in member.get_weights()]
        for name, member in model.members.items()
    }
    expected = {
        "a": pulls(weights, "a", detached=[]),
        "b": pulls(weights, "b", detached=[2, 3]),  # teaching does not move b
    }
    found = model.explain(X, labels())
    assert set(found.flow) == set(TERMS)
    for name, gradients in expected.items():
        norms = np.linalg.norm(gradients, axis=1)
        for term, norm in zip(TERMS, norms, strict=True):
            assert found.flow[term][name] == pytest.approx(norm, rel=1e-4, abs=1e-7)
            assert norm or found.flow[term][name] == 0.0
    cosines = {(name, one, other): c for name, one, other, c in found.cosines}
    a, norms = expected["a"], np.linalg.norm(expected["a"], axis=1)
    pairs = [("a", TERMS[i], TERMS[j]) for i, j in ((0, 2), (0, 3), (2, 3))]
    assert set(cosines) == set(pairs)
    for pair, (i, j) in zip(pairs, ((0, 2), (0, 3), (2, 3)), strict=True):
        cosine = a[i] @ a[j] / norms[i] / norms[j]
        assert cosines[pair] == pytest.approx(cosine, abs=1e-4)
    assert "flow" in str(found).lower() or "gradient" in str(found).lower()


def test_without_data_there_is_no_flow(model):
    found = model.explain()
    assert not found.flow
    assert not found.cosines


def test_sample_weights_and_coefficients_count(linear):
    model = JointModel({"a": linear(4)})
    model.compile("sgd", SPARSE, objective="w*a", coefficients={"w": 1.0})
    x = {"a": XA}
    one = model.explain(x, Y).flow["w*a"]["a"]
    model.coefficients["w"].assign(3.0)
    assert model.explain(x, Y).flow["w*a"]["a"] == pytest.approx(3 * one, rel=1e-5)
    halved = model.explain(x, Y, np.full(ROWS, 0.5, "float32"))
    assert halved.flow["w*a"]["a"] == pytest.approx(1.5 * one, rel=1e-5)


def test_nothing_is_changed():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5)(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dropout(0.5, seed=3, name="drop")(hidden)
    member = keras.Model(inputs, keras.layers.Dense(3, "softmax")(hidden))
    model = JointModel({"a": member})
    model.compile("adam", SPARSE, objective="a + pseudo_label(a)", metrics=["accuracy"])
    x = {"a": XA}
    model.train_on_batch(x, Y)

    def state():
        held = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
        held += [v for layer in model._flatten_layers() for v in layer.variables]
        return [keras.ops.convert_to_numpy(v.value).tobytes() for v in held]

    before = state()
    first, second = model.explain(x, Y), model.explain(x, Y)
    assert state() == before
    assert first.flow == second.flow


def test_data_that_does_not_fit_is_refused(model):
    with pytest.raises(ValueError, match="nothing for 'b'"):
        model.explain({"a": XA}, Y)


def test_a_gate_that_has_measured_nothing_hides_no_edge(linear):
    joint = JointModel({"a": linear(4), "b": linear(5, seed=1)})
    term = 'distill(b >> a, temperature=4, gate="network")'
    joint.compile(keras.optimizers.SGD(0.0), SPARSE, objective=f"a + b + {term}")
    assert joint.explain(X, Y).flow[term]["a"] > 0
    # What trains is still closed: nobody has shown to be the better network.
    assert joint.test_on_batch(X, Y, return_dict=True)[term] == 0
    better = keras.ops.convert_to_numpy(joint["a"](XA)).argmax(1)
    joint.fit(X, better, validation_data=(X, better), verbose=0)
    assert joint.explain(X, better).flow[term]["a"] == 0
