"""Gradients combined inside each member: equal to NumPy's, at every level."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss import Trainable
from coloss.aggregation import MGDA, UPGrad
from coloss.joint import JointModel
from coloss.joint.balance.parameter_groups import sharing
from coloss.joint.steps import NonFiniteLossError
from coloss.weighting import AGM

pytestmark = pytest.mark.backend
ROWS = 12
# A regression of its own, and one toward the other network.
OBJECTIVE = "a + b + 2*match_logits(b >> a)"


def network(seed, units=2, width=3):
    rng = np.random.default_rng(seed)
    layer = keras.layers.Dense(units, name="out")
    made = keras.Sequential([keras.Input((width,)), layer])
    made.set_weights([rng.normal(size=(width, units)), rng.normal(size=units)])
    return made


def data(seed=0):
    rng = np.random.default_rng(seed)
    x = {name: rng.normal(size=(ROWS, 3)).astype("float32") for name in "ab"}
    return x, {n: rng.normal(size=(ROWS, 2)).astype("float32") for n in "ab"}


def compiled(objective=OBJECTIVE, members=None, **options):
    made = JointModel(members or {"a": network(1), "b": network(2)})
    options = {"optimizer": keras.optimizers.SGD(1.0), "loss": "mse", **options}
    made.compile(objective=objective, **options)
    return made


def pulls(member, x, target):
    """Return the gradient of mean (x W + c - target)^2, flat."""
    kernel, bias = (np.asarray(w, "float64") for w in member.get_weights())
    error = 2 * (x @ kernel + bias - target) / target.size
    return np.concatenate([(x.T @ error).ravel(), error.sum(0)]), error.ravel()


def moved(model, x, y, **options):
    """Return what one step of SGD(1) takes from each member: its gradient."""
    before = {n: [w.copy() for w in model[n].get_weights()] for n in model}
    model.train_on_batch(x, y, **options)
    return {
        n: np.concatenate(
            [(b - a).ravel() for b, a in zip(before[n], m.get_weights(), strict=True)]
        )
        for n, m in model.members.items()
    }


def weights_of(method, gramian):
    return np.asarray(
        keras.ops.convert_to_numpy(method.weights(gramian.astype("float32")))
    )


@pytest.mark.parametrize("level", ["parameter", "output"])
@pytest.mark.parametrize("method", [UPGrad(), MGDA()], ids=["upgrad", "mgda"])
def test_one_step_is_the_weighted_sum_of_the_terms_gradients(level, method):
    x, y = data()
    model = compiled(aggregator=method, aggregation_level=level)
    outputs = model.predict_on_batch(x)["b"]
    own, cotangent = pulls(model["a"], x["a"], y["a"])
    taught, other = pulls(model["a"], x["a"], np.asarray(outputs, "float64"))
    rows = np.stack([own, 2 * taught])
    seen = rows if level == "parameter" else np.stack([cotangent, 2 * other])
    alone, _ = pulls(model["b"], x["b"], y["b"])
    found = moved(model, x, y)
    expected = weights_of(method, seen @ seen.T) @ rows
    np.testing.assert_allclose(found["a"], expected, atol=1e-5)
    # One summand alone reaches b.
    np.testing.assert_allclose(found["b"], alone, atol=1e-5)


@pytest.mark.parametrize(
    ("objective", "factors"),
    [
        ("a + b + 0.5*(a - 3*b)", {"a": [1.0, 0.5], "b": [1.0, -1.5]}),
        # Three summands reach b.
        (
            "a + b + 0.5*(a - 3*b) + 0.2*b",
            {"a": [1.0, 0.5], "b": [1.0, -1.5, 0.2]},
        ),
    ],
)
def test_coefficients_alone_decide_for_a_sum_of_losses(objective, factors):
    x, y = data()
    model = compiled(
        objective,
        aggregator="upgrad",
        aggregation_level="coefficient",
        on_ascent="allow",
    )
    expected = {}
    for name, c in factors.items():
        c = np.array(c)
        loss, _ = pulls(model[name], x[name], y[name])
        expected[name] = weights_of(UPGrad(), np.outer(c, c)) @ c * loss
    found = moved(model, x, y)
    for name in "ab":
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    # Of b one pair is in conflict in every step, or two of three; of a none.
    shares = [c.share for c in model.conflicts if c.member == "b"]
    assert shares == [1.0] if len(factors["b"]) == 2 else [1.0, 1.0, 0.0]
    assert [c.share for c in model.conflicts if c.member == "a"] == [0.0]


@pytest.mark.parametrize("level", ["parameter", "output", "coefficient"])
def test_a_trained_coefficient_moves_as_if_nothing_were_combined(level):
    x, y = data()
    model = compiled(
        "exp(-s)*a + s + b + 0.5*(a - 3*b)",
        coefficients={"s": Trainable(0.5)},
        aggregator="upgrad",
        aggregation_level=level,
        on_ascent="allow",
        optimizer=keras.optimizers.SGD(0.1),
    )
    loss = float(model.evaluate(x, y, return_dict=True, verbose=0)["a_loss"])
    model.train_on_batch(x, y)
    # s = softplus(v), d/dv (exp(-s) L + s) = (1 - exp(-s) L) sigmoid(v).
    raw = Trainable(0.5).raw
    step = 0.1 * (1 - np.exp(-0.5) * loss) / (1 + np.exp(-raw))
    expected = np.log1p(np.exp(raw - step))
    assert float(model.coefficients["s"]) == pytest.approx(expected, rel=1e-5)


def test_who_shares_layers_is_named_by_the_first_that_do():
    def member(*layers):
        return keras.Sequential([keras.Input((3,)), *layers])

    first, second = keras.layers.Dense(3), keras.layers.Dense(3)
    members = {"a": member(first), "b": member(first, second), "c": member(second)}
    assert sharing(members) == ("a", "b")
    assert sharing({"a": member(keras.layers.Dense(2))}) is None


def test_shared_layers_are_combined_once_and_heads_keep_their_gradient():
    x, y = data()
    x["b"] = x["a"]
    keras.utils.set_random_seed(0)
    trunk = keras.layers.Dense(4, name="trunk")
    inputs = keras.Input((3,))
    heads = {n: keras.layers.Dense(2, name=f"head_{n}") for n in "ab"}
    members = {n: keras.Model(inputs, heads[n](trunk(inputs))) for n in "ab"}
    model = compiled("a + b", members, aggregator="upgrad")
    kernels = {
        n: [np.asarray(w, "float64") for w in m.get_weights()]
        for n, m in members.items()
    }
    rows, head = [], {}
    for n in "ab":
        w, c, v, d = kernels[n]
        hidden = x["a"] @ w + c
        error = 2 * (hidden @ v + d - y[n]) / y[n].size
        back = error @ v.T
        rows.append(np.concatenate([(x["a"].T @ back).ravel(), back.sum(0)]))
        head[n] = np.concatenate([(hidden.T @ error).ravel(), error.sum(0)])
    rows = np.stack(rows)
    found = moved(model, x, y)
    shared = weights_of(UPGrad(), rows @ rows.T) @ rows
    for n in "ab":
        np.testing.assert_allclose(found[n][: shared.size], shared, atol=1e-5)
        np.testing.assert_allclose(found[n][shared.size :], head[n], atol=1e-5)
    assert [one.member for one in model.conflicts] == ["a+b"]


@pytest.mark.parametrize("level", ["parameter", "output"])
def test_the_sum_is_plain_training_with_regularizers_projectors_and_adam(level):
    x, y = data()

    def members():
        keras.utils.set_random_seed(3)
        return {
            n: keras.Sequential(
                [
                    keras.Input((3,)),
                    keras.layers.Dense(
                        4 + (n == "b"), "tanh", name="hidden", kernel_regularizer="l2"
                    ),
                    keras.layers.BatchNormalization(),
                    keras.layers.Dense(2),
                ]
            )
            for n in "ab"
        }

    found = []
    for options in ({}, {"aggregator": "sum", "aggregation_level": level}):
        keras.utils.set_random_seed(4)
        optimizer = {"a": keras.optimizers.Adam(0.01), "*": "sgd"}
        model = compiled(
            "a + b + 0.5*hint(b.hidden >> a.hidden)",
            members(),
            optimizer=optimizer,
            **options,
        )
        keras.utils.set_random_seed(5)
        logs = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        found.append(([w.value for w in model.weights], logs.history["loss"]))
    for one, other in zip(*(weights for weights, _ in found), strict=True):
        one, other = map(keras.ops.convert_to_numpy, (one, other))
        np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5)


def test_a_bad_step_changes_nothing_not_even_what_methods_remember():
    x, y = data()
    model = compiled(
        "a + b + match_logits(b >> a)", aggregator="nashmtl", weighting="imtll"
    )
    model.fit(x, y, batch_size=4, epochs=1, verbose=0)
    kept = [v for v in model.variables if "ledger" not in v.path]
    before = [np.array(keras.ops.convert_to_numpy(v.value)) for v in kept]
    y["a"][:] = 1e30
    with pytest.raises(NonFiniteLossError):
        model.fit(x, y, batch_size=4, epochs=1, verbose=0)
    for variable, old in zip(kept, before, strict=True):
        now = keras.ops.convert_to_numpy(variable.value)
        np.testing.assert_array_equal(now, old, err_msg=variable.path)


def test_a_network_s_update_is_scaled_whatever_the_optimizer():
    rng = np.random.default_rng(0)
    x = {n: rng.normal(size=(ROWS, 3)).astype("float32") for n in "ab"}
    y = rng.integers(0, 2, ROWS)
    steps = {}
    for weighting in (None, AGM(alpha=0.7)):
        members = {n: network(i) for i, n in enumerate("ab")}
        model = compiled(
            "a + b",
            members,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=keras.optimizers.Adam(0.1),
            weighting=weighting,
        )
        model.train_on_batch(x, y)  # The first step has the rates 1.
        half = {n: v[ROWS // 2 :] for n, v in x.items()}
        steps[weighting is None] = moved(model, half, y[ROWS // 2 :])
    steering = model.auxiliary.balance.steering
    rates = steering.numpy()["rates"]
    assert abs(rates - 1).max() > 1e-3
    for rate, name in zip(rates, "ab", strict=True):
        np.testing.assert_allclose(
            steps[False][name], rate * steps[True][name], rtol=1e-3, atol=1e-6
        )
