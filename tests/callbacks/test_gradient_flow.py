"""GradientFlow against closed forms, and that it changes nothing."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss
from coloss.callbacks import GradientFlow

pytestmark = pytest.mark.backend

RANDOM = np.random.default_rng(0)
X = {name: RANDOM.normal(size=(8, 2)).astype("float32") for name in "ab"}


def linear(seed):
    start = keras.initializers.RandomNormal(seed=seed)
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer=start, name="out")
    return keras.Sequential([keras.Input((2,)), dense])


def joined(objective, rate=0.0, **options):
    model = coloss.JointModel({"a": linear(1), "b": linear(2)})
    model.compile(keras.optimizers.SGD(rate), "mse", objective=objective, **options)
    return model


def own_targets(model):
    """Return targets for which the helper is as wrong as can be: beyond the learner.

    The helper's output lies on one side of the learner's, the target on the other.
    """
    ours, theirs = (np.asarray(model.predict(X, verbose=0)[name]) for name in "ab")
    return {"a": ours - (theirs - ours), "b": theirs}


def fitted(model, y, flow, epochs=4):
    return model.fit(X, y, epochs=epochs, batch_size=8, verbose=0, callbacks=[flow])


def test_norms_and_cosine_are_those_of_the_closed_form():
    model = joined("a + b + 0.5*match_logits(b >> a)")
    y = {name: RANDOM.normal(size=(8, 1)).astype("float32") for name in "ab"}
    flow = GradientFlow(every=2)
    history = fitted(model, y, flow).history
    weights = {n: np.array(model[n].get_weights()[0], "float64") for n in "ab"}
    ours, theirs = (X[name] @ weights[name] for name in "ab")
    pull = 0.5 * 2 / 8 * X["a"].T @ (ours - theirs)
    own = 2 / 8 * X["a"].T @ (ours - y["a"])
    cosine = (pull * own).sum() / np.linalg.norm(pull) / np.linalg.norm(own)
    term = "0.5*match_logits(b >> a)"
    assert history[f"flow/{term}/a"] == pytest.approx([np.linalg.norm(pull)] * 2, 1e-4)
    assert history[f"cosine/{term}/a"] == pytest.approx([cosine] * 2, 1e-4)
    first = flow.table[0]
    assert [row["epoch"] for row in flow.table] == [0, 2]
    assert (first["sources"], first["learner"]) == ("b", "a")
    assert first["own_norm"] == pytest.approx(np.linalg.norm(own), 1e-4)
    assert first["value"] == pytest.approx(0.5 * np.mean((ours - theirs) ** 2), 1e-4)


def test_an_edge_that_opposes_its_learner_is_told_once():
    model = joined("a + b + match_logits(b >> a)")
    with pytest.warns(coloss.ObjectiveWarning, match="opposed the own loss") as told:
        history = fitted(model, own_targets(model), GradientFlow(warn_after=2))
    assert [w.category for w in told].count(coloss.ObjectiveWarning) == 1
    assert history.history["cosine/match_logits(b >> a)/a"] == pytest.approx([-1.0] * 4)


def test_an_edge_that_agrees_is_not(recwarn):
    model = joined("a + b + match_logits(b >> a)")
    outputs = model.predict(X, verbose=0)
    y = {"a": outputs["b"], "b": outputs["b"]}
    fitted(model, y, GradientFlow(warn_after=1))
    assert not [w for w in recwarn if w.category is coloss.ObjectiveWarning]


def test_training_is_the_same_to_the_last_bit():
    def weights(callbacks):
        keras.utils.set_random_seed(3)
        members = {
            n: keras.Sequential(
                [
                    keras.Input((2,)),
                    keras.layers.Dense(4),
                    keras.layers.BatchNormalization(),
                    keras.layers.Dropout(0.5),
                    keras.layers.Dense(1),
                ]
            )
            for n in "ab"
        }
        model = coloss.JointModel(members)
        model.compile(
            "adam", "mse", objective="a + b + hint(b >> a) + match_logits(b >> a)"
        )
        y = np.ones((8, 1), "float32")
        model.fit(X, y, epochs=3, batch_size=4, verbose=0, callbacks=callbacks)
        return model.get_weights() + [np.array(v) for v in model.optimizer.variables]

    flow = GradientFlow(warn_after=None)
    for one, other in zip(weights([]), weights([flow]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(flow.flows) == 6


@pytest.mark.parametrize("expected", [0.0, [9.0, 9.0, 0.0, 0.0]])
def test_a_learner_behind_its_baseline_is_told(expected):
    """Loss is the metric: less is better."""
    model = joined("a + b + match_logits(b >> a)")
    ours, theirs = (np.asarray(model.predict(X, verbose=0)[name]) for name in "ab")
    y = {"a": theirs + (theirs - ours), "b": theirs}
    flow = GradientFlow(warn_after=2, baseline={"a": expected})
    with pytest.warns(coloss.ObjectiveWarning, match="negative transfer"):
        fitted(model, y, flow)


def test_data_sets_are_looked_into_and_generators_refused():
    class Rows(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return X, np.ones((8, 1), "float32")

    flow = GradientFlow()
    model = joined("a + b + match_logits(b >> a)")
    model.fit(Rows(), verbose=0, callbacks=[flow])
    assert len(flow.flows) == 1

    def generator():
        while True:
            yield X, np.ones((8, 1), "float32")

    model = joined("a + b + match_logits(b >> a)")
    with pytest.raises(ValueError, match=r"GradientFlow\(data=\(x, y\)\)"):
        model.fit(
            generator(), steps_per_epoch=1, shuffle=False, verbose=0, callbacks=[flow]
        )
    flow = GradientFlow(data=(X, np.ones((8, 1), "float32")))
    model.fit(
        generator(), steps_per_epoch=1, shuffle=False, verbose=0, callbacks=[flow]
    )
    assert len(flow.flows) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"every": 0}, ValueError, "`every` must be a whole number, 1 or more"),
        ({"every": 1.5}, TypeError, "`every` must be a whole number"),
        ({"warn_after": 0}, ValueError, "`warn_after`"),
        ({"data": 3}, TypeError, "`data` must be a batch"),
    ],
)
def test_refused_at_once(options, error, message):
    with pytest.raises(error, match=message):
        GradientFlow(**options)


def test_refused_before_the_first_step():
    model = joined("a + b")
    y = np.ones((8, 1), "float32")
    with pytest.raises(ValueError, match="no member 'aa'; did you mean 'a'"):
        fitted(model, y, GradientFlow(baseline={"aa": 0.5}))
    plain = linear(0)
    plain.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"watches a coloss\.JointModel"):
        plain.fit(X["a"], y, verbose=0, callbacks=[GradientFlow(data=(X, y))])
