"""Adaptive weights in training: refusals, history, files, trained coefficients."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss import aggregation, weighting
from coloss.joint import JointModel
from coloss.weighting import Trainable

OBJECTIVE = "a + b + 0.5*distill(b >> a)"


def network(units=3, activation="softmax", seed=0):
    rng = np.random.default_rng(seed)
    layer = keras.layers.Dense(units, activation, name="out")
    made = keras.Sequential([keras.Input((4,)), layer])
    made.set_weights([rng.normal(size=(4, units)), rng.normal(size=units)])
    return made


def joint(**options):
    model = JointModel({"a": network(seed=1), "b": network(seed=2)})
    compile_(model, **options)
    return model


def compile_(model, **options):
    defaults = {
        "optimizer": keras.optimizers.SGD(0.1),
        "loss": "sparse_categorical_crossentropy",
        "objective": OBJECTIVE,
    }
    model.compile(**{**defaults, **options})


def data(rows=12):
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(rows, 4)).astype("float32") for name in "ab"}
    return x, rng.integers(0, 3, rows)


def fit(model, epochs=2, **options):
    x, y = data()
    return model.fit(
        x, y, batch_size=6, epochs=epochs, shuffle=False, verbose=0, **options
    ).history


# --- refusals -------------------------------------------------------------------------


REFUSED = {
    "signed": (
        {"objective": "a + 0.5*(a - b)", "weighting": "dwa", "on_ascent": "allow"},
        r"DWA assumes positive losses.*`0.5\*\(a - b\)`",
    ),
    "subtracted": (
        {"objective": "a - b", "weighting": "uncertainty", "on_ascent": "allow"},
        "the summand `-b` can be negative",
    ),
    "falling schedule": (
        {
            "objective": "a + w*b",
            "coefficients": {"w": lambda epoch: 1.0 - epoch},
            "weighting": "famo",
        },
        r"`w\*b` can be negative",
    ),
    "signed loss": (
        {
            "loss": {"a": "sparse_categorical_crossentropy", "b": "poisson"},
            "objective": "a + b",
            "weighting": "imtll",
        },
        "the summand `b` can be negative",
    ),
    "window": (
        {"objective": "a + distill(b >> a, start=2)", "weighting": "geometric_mean"},
        "outside of its window",
    ),
    "one summand": ({"objective": "a", "weighting": "minimax"}, "has one only"),
    "both combine": (
        {"weighting": "gradnorm", "aggregator": "upgrad"},
        "both decide how gradients are combined",
    ),
    "nothing meets": (
        {"objective": "a + b", "aggregator": "upgrad"},
        "no network gets a gradient from two summands",
    ),
    "coefficient": (
        {"aggregator": "upgrad", "aggregation_level": "coefficient"},
        "needs an objective that adds up losses",
    ),
    "level": (
        {"aggregator": "upgrad", "aggregation_level": "parameters"},
        "did you mean 'parameter'",
    ),
    "level alone": ({"aggregation_level": "output"}, "there is no aggregator"),
    "regression": (
        {
            "loss": {"a": "sparse_categorical_crossentropy", "b": "mse"},
            "objective": "a + b",
            "weighting": "ogmge",
        },
        "'b' is no classifier",
    ),
    "one network": (
        {
            "objective": "a",
            "loss": {"a": "sparse_categorical_crossentropy"},
            "weighting": "agm",
        },
        "found 1 trained network",
    ),
    "name": ({"weighting": "dva"}, "did you mean 'dwa'"),
    "aggregator": ({"aggregator": "upgrat"}, "did you mean 'UPGrad'"),
    "primary": (
        {"aggregator": aggregation.PCD("c")},
        "must be one of the summands",
    ),
    "trained weight": (
        {"objective": "a + w*b", "coefficients": {"w": Trainable(1.0)}},
        "drive it to 0",
    ),
    "float16": (
        {
            "optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
            "aggregator": "upgrad",
        },
        "float16",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_before_training(case):
    options, reason = REFUSED[case]
    model = joint(objective="a + b")
    with pytest.raises((ValueError, TypeError), match=reason):
        compile_(model, **options)
    # The model is as it was before.
    assert str(model.objective) == "a + b"


def test_shared_layers_need_the_level_of_parameters():
    layer = keras.layers.Dense(3, "softmax")
    inputs = keras.Input((4,))
    outputs = layer(inputs)
    members = {n: keras.Model(inputs, outputs) for n in "ab"}
    model = JointModel(members)
    with pytest.raises(ValueError, match="'a' and 'b' share layers"):
        compile_(model, aggregator="upgrad", aggregation_level="output")
    before = layer.get_weights()
    compile_(model, objective="a + b", aggregator="mean")
    assert model.auxiliary.balance.level == "parameter"
    x, y = data()
    model.train_on_batch(x, y)
    halved = [a - b for a, b in zip(before, layer.get_weights(), strict=True)]
    layer.set_weights(before)
    compile_(model, objective="a + b")
    model.train_on_batch(x, y)
    plain = [a - b for a, b in zip(before, layer.get_weights(), strict=True)]
    for one, other in zip(halved, plain, strict=True):
        np.testing.assert_allclose(2 * one, other, atol=1e-6)


def test_gradient_blending_needs_validation_rows():
    model = joint(objective="a + b", weighting="gradient_blending")
    with pytest.raises(ValueError, match="validation_split"):
        fit(model)


# --- history --------------------------------------------------------------------------


def test_weights_and_conflicts_enter_the_history():
    model = joint(
        objective="a + b + 4*distill(b >> a)", weighting="minimax", aggregator="upgrad"
    )
    history = fit(model, epochs=3)
    names = ["a", "b", "4*distill(b >> a)"]
    total = sum(np.array(history[f"weight/{name}"]) for name in names)
    np.testing.assert_allclose(total, 3.0, rtol=1e-5)
    assert len(history["conflict/a"]) == 3
    assert "conflict/b" not in history
    (conflict,) = model.conflicts
    assert (conflict.member, conflict.first) == ("a", "a")
    assert conflict.share == pytest.approx(np.mean(history["conflict/a"]))
    assert -1 <= conflict.cosine <= 1


def test_rates_of_networks_enter_the_history_and_evaluation_is_no_training():
    model = joint(objective="a + b", weighting="gradient_blending")
    x, y = data()
    history = fit(model, epochs=4, validation_data=(x, y))
    rates = np.array([history["rate/a"], history["rate/b"]])
    np.testing.assert_allclose(rates[:, :2], 1.0)
    np.testing.assert_allclose(rates.sum(0), 2.0, rtol=1e-5)
    assert abs(rates[:, 2:] - 1).max() > 1e-3
    before = model.auxiliary.balance.weighting_state.numpy()
    model.fit(x, y, epochs=1, verbose=0, validation_split=0.5)
    assert (
        before["finished"]
        <= model.auxiliary.balance.weighting_state.numpy()["finished"]
    )


def test_the_loss_is_the_objective_as_written():
    x, y = data()
    found = {}
    for name in (None, "uncertainty", "famo"):
        found[name] = joint(weighting=name).evaluate(x, y, verbose=0)
        logs = joint(weighting=name).train_on_batch(x, y)
        assert logs == pytest.approx(found[None], rel=1e-5)
    assert found["uncertainty"] == pytest.approx(found[None], rel=1e-6)


# --- files ----------------------------------------------------------------------------


@pytest.mark.backend
@pytest.mark.parametrize(
    "options",
    [
        {"weighting": "famo", "aggregator": aggregation.NashMTL()},
        {"weighting": weighting.OGMGE(alpha=0.5)},
    ],
    ids=["famo and nash", "noise"],
)
def test_a_run_that_is_saved_goes_on_as_if_it_had_not_been(tmp_path, options):
    model = joint(**options)
    fit(model, epochs=1)
    model.save(tmp_path / "joint.keras")
    loaded = keras.saving.load_model(tmp_path / "joint.keras")
    fit(model, epochs=1)
    fit(loaded, epochs=1)
    for one, other in zip(model.variables, loaded.variables, strict=True):
        if "seed" in one.path and "balance" not in one.path:
            continue
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one.value),
            keras.ops.convert_to_numpy(other.value),
            err_msg=one.path,
        )


# --- trained coefficients -------------------------------------------------------------


@pytest.mark.backend
def test_a_trained_coefficient_moves_is_logged_and_saved(tmp_path):
    model = joint(
        objective="exp(-s)*a + s + b",
        coefficients={"s": Trainable(0.5)},
        optimizer={"a": keras.optimizers.SGD(0.1), "*": keras.optimizers.SGD(0.2)},
    )
    x, y = data()
    loss = float(model.evaluate(x, y, return_dict=True, verbose=0)["a_loss"])
    model.train_on_batch(x, y)
    # d/dv (exp(-s) L + s) = (1 - exp(-s) L) sigmoid(v), s = softplus(v).
    raw = Trainable(0.5).raw
    step = 0.2 * (1 - np.exp(-0.5) * loss) / (1 + np.exp(-raw))
    expected = np.log1p(np.exp(raw - step))
    assert float(model.coefficients["s"]) == pytest.approx(expected, rel=1e-5)
    history = fit(model)
    assert history["s"][1] != history["s"][0] > 0
    model.coefficients["s"].assign(0.7)
    model.save(tmp_path / "joint.keras")
    loaded = keras.saving.load_model(tmp_path / "joint.keras")
    assert float(loaded.coefficients["s"]) == pytest.approx(0.7)
    assert loaded.coefficient_layer.trained == ("s",)


# --- populations ----------------------------------------------------------------------


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="jax.vmap")
def test_states_of_several_runs_live_side_by_side():
    import jax

    model = joint(weighting="dwa", aggregator="upgrad")
    x, y = data()
    model.train_on_batch(x, y)
    state = [
        [v.value for v in group]
        for group in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    ]
    scaled = [
        [np.stack([v, 0.5 * v]) if g == 0 else np.stack([v, v]) for v in group]
        for g, group in enumerate(state)
    ]
    with model._step_context.open():
        step = jax.jit(jax.vmap(model.train_step, in_axes=(0, None)))
        _, both = step(tuple(scaled), (x, y))
        for run in range(2):
            one = tuple([v[run] for v in group] for group in scaled)
            _, alone = jax.jit(model.train_step)(one, (x, y))
            for many, single in zip(both, alone, strict=True):
                for a, b in zip(many, single, strict=True):
                    np.testing.assert_allclose(a[run], b, rtol=1e-4, atol=1e-5)
