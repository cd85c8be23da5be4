"""Steps in blocks are the steps of the plain path, whatever is trained, and how."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import coloss
from coloss.aggregation.registry import AGGREGATORS
from coloss.weighting import METHODS

if keras.backend.backend() != "jax":
    pytest.skip("blocks of steps are JAX's", allow_module_level=True)

import jax

from coloss.joint.epochs.jax import rows_from, run_steps

pytestmark = pytest.mark.backend

ROWS, BATCH = 12, 4
RNG = np.random.default_rng(0)
X = {
    "main": RNG.normal(size=(ROWS, 4)).astype("float32"),
    "help": RNG.normal(size=(ROWS, 3)).astype("float32"),
}
Y = RNG.integers(0, 3, ROWS)


def network(width, seed, *more):
    def dense(units, activation, name, number):
        start = keras.initializers.GlorotUniform(number)
        return layers.Dense(units, activation, kernel_initializer=start, name=name)

    return keras.Sequential(
        [
            keras.Input((width,)),
            dense(4, "tanh", "hidden", seed),
            *more,
            dense(3, "softmax", "out", seed + 1),
        ]
    )


def trained(steps, objective, *, data=(X, Y), more=(), fit=None, **compile):
    """Return the history and the weights after two epochs."""
    keras.utils.set_random_seed(5)
    members = {
        "main": network(4, 1, *(make() for make in more)),
        "help": network(3, 3),
    }
    joint = coloss.JointModel(members)
    joint.compile(
        keras.optimizers.Adam(0.05),
        loss="sparse_categorical_crossentropy",
        objective=objective,
        steps_per_execution=steps,
        **compile,
    )
    x, y = data
    options = {"epochs": 2, "batch_size": BATCH, "verbose": 0, **(fit or {})}
    history = joint.fit(x, y, **options).history
    return history, [np.array(weight) for weight in joint.get_weights()]


def assert_equal(one, other):
    (history, weights), (expected, expected_weights) = one, other
    assert history.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(
            history[name], values, rtol=1e-5, atol=1e-6, err_msg=name
        )
    for found, right in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-6, atol=1e-6)


def assert_auto_is_plain(objective, **options):
    plain = trained(1, objective, **options)
    assert_equal(trained("auto", objective, **options), plain)


TERMS = {
    "outputs": "distill(help >> main) + dkd(help >> main) + mutual(main, help)"
    " + pseudo_label(main)",
    "layers": "hint(help.hidden >> main.hidden) + cka(help.hidden >> main.hidden)"
    " + sp(help.hidden >> main.hidden) + rkd_distance(help.hidden >> main.hidden)",
}


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_terms(terms):
    assert_auto_is_plain(f"main + help + {terms}")


def test_gates_schedules_trained_coefficients_and_validation():
    options = {
        "objective": "main + w*help - log(w) + v*distill(main >> help, warmup=2)"
        " + distill(help >> main, gate='network', start=1)",
        "coefficients": {
            "w": coloss.Trainable(0.5),
            "v": coloss.Ramp(0, 1, epochs=2),
        },
        "metrics": ["accuracy"],
        "fit": {"validation_split": 0.3, "epochs": 3, "validation_freq": 2},
    }
    plain = trained(1, **options)
    assert_equal(trained("auto", **options), plain)
    assert_equal(trained(5, **options), plain)


def test_missing_rows_unlabeled_rows_class_weights_and_a_small_last_batch():
    x = {"main": np.vstack([X["main"]] * 2)[:22], "help": np.vstack([X["help"]] * 2)}
    x["help"] = x["help"][:22].copy()
    x["help"][[1, 5, 6]] = np.nan
    y = np.concatenate([Y, Y])[:22].copy()
    y[[0, 9]] = -1
    assert_auto_is_plain(
        "main + help + distill(help >> main)",
        data=(x, y),
        fit={"class_weight": {0: 2.0}, "initial_epoch": 1, "epochs": 3},
    )


def test_dropout_normalization_and_sample_weights():
    weight = np.linspace(0.5, 1.5, ROWS).astype("float32")
    assert_auto_is_plain(
        "main + help",
        more=(
            lambda: layers.Dropout(0.5, seed=7),
            layers.BatchNormalization,
        ),
        fit={"sample_weight": weight, "shuffle": "batch"},
    )


@pytest.mark.parametrize(
    "method", [{"weighting": "famo"}, {"aggregator": "upgrad"}], ids=str
)
def test_methods(method):
    assert_auto_is_plain("main + help + distill(help >> main)", **method)


METHOD = [{"weighting": name} for name in sorted(METHODS)]
METHOD += [{"aggregator": name} for name in AGGREGATORS if name != "PCD"]
METHOD += [{"aggregator": coloss.aggregation.PCD(primary="main")}]


@pytest.mark.parametrize("method", METHOD, ids=str)
def test_a_block_holds_the_step_of_every_method(method):
    # That it can be a loop is all that a method can change: its step is the same.
    joint = coloss.JointModel({"main": network(4, 1), "help": network(3, 3)})
    joint.compile(
        "adam",
        loss="sparse_categorical_crossentropy",
        objective="main + help + distill(help >> main)",
        **method,
    )
    joint(X)
    joint.optimizer.build(joint.trainable_variables)
    groups = (
        joint.trainable_variables,
        joint.non_trainable_variables,
        joint.optimizer.variables,
        joint.metrics_variables,
    )
    state = tuple([variable.value for variable in group] for group in groups)

    def block(state, stop):
        rows = jax.tree.map(jax.numpy.asarray, (X, Y))
        return run_steps(
            joint.train_step,
            state,
            lambda i: rows_from(rows, i * BATCH, BATCH),
            0,
            stop,
        )

    after, good = jax.eval_shape(block, state, np.int32(3))
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), (state, after))
    assert shapes[0] == shapes[1]
    assert good.shape == ()
