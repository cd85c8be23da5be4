"""Recorded predictions teach as a network with the same outputs does."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

pytestmark = pytest.mark.backend

random = np.random.default_rng(0)
ROWS = 24
MAIN = random.normal(size=(ROWS, 4)).astype("float32")
Y = random.integers(0, 3, ROWS)
RAW = random.normal(size=(ROWS, 3)).astype("float32")
P = np.exp(RAW) / np.exp(RAW).sum(axis=1, keepdims=True)
HOLES = np.where(np.arange(ROWS)[:, None] % 4 == 0, np.nan, P).astype("float32")
THERE = np.arange(ROWS) % 4 != 0


def network(units=3, activation="softmax"):
    start = keras.initializers.GlorotUniform(1)
    dense = keras.layers.Dense(units, activation, kernel_initializer=start)
    return keras.Sequential([keras.Input((4,)), dense])


def joint(term, kind="probabilities", loss=None, main=None, **options):
    members = {"main": main or network(), "expert": coloss.Recorded(kind)}
    model = coloss.JointModel(members, fuse=options.pop("fuse", None))
    model.compile(
        keras.optimizers.SGD(0.5),
        loss or "sparse_categorical_crossentropy",
        objective=f"main + {term}",
        **options,
    )
    return model


def expected_divergence(model, x, rows, temperature=4.0):
    """Return T^2 KL(expert || main) in float64."""
    p = model.predict({"main": MAIN, "expert": x}, verbose=0)["main"]

    def softened(values):
        z = np.log(values.astype("float64")) / temperature
        z = np.exp(z - z.max(axis=1, keepdims=True))
        return z / z.sum(axis=1, keepdims=True)

    teacher, learner = softened(P[rows]), softened(p[rows])
    values = (teacher * np.log(teacher / learner)).sum(axis=1)
    return temperature**2 * values.mean()


def term_of(model, x):
    data = {"main": MAIN, "expert": x}
    logs = model.evaluate(data, Y, verbose=0, return_dict=True)
    (value,) = (v for name, v in logs.items() if "expert >> main" in name)
    return value


@pytest.mark.parametrize(
    ("kind", "x", "rows"),
    [
        ("probabilities", P, np.ones(ROWS, "bool")),
        ("logits", RAW, np.ones(ROWS, "bool")),
        ("probabilities", HOLES, THERE),
    ],
    ids=["probabilities", "logits", "holes"],
)
def test_distillation_is_that_of_numpy(kind, x, rows):
    model = joint("distill(expert >> main)", kind)
    expected = expected_divergence(model, x, rows)
    np.testing.assert_allclose(term_of(model, x), expected, rtol=2e-5)
    output = model.predict({"main": MAIN, "expert": x}, verbose=0)["expert"]
    np.testing.assert_array_equal(output, x)


def test_training_is_that_with_a_frozen_network():
    frozen = keras.Sequential([keras.Input((3,)), keras.layers.Softmax()])
    frozen.trainable = False
    term = "distill(expert >> main) + dkd(expert >> main) + cka(expert >> main)"
    found = joint(term)
    members = {"main": network(), "expert": frozen}
    other = coloss.JointModel(members)
    other.compile(
        keras.optimizers.SGD(0.5),
        {name: "sparse_categorical_crossentropy" for name in members},
        objective=f"main + {term}",
    )
    options = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    found.fit({"main": MAIN, "expert": P}, Y, **options)
    other.fit({"main": MAIN, "expert": RAW}, Y, **options)
    for one, two in zip(
        found["main"].get_weights(), other["main"].get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_a_gate_measures_it_by_the_labels_of_whom_it_teaches():
    right = np.eye(3, dtype="float32")[Y]
    wrong = np.eye(3, dtype="float32")[(Y + 1) % 3]
    after = {}
    for name, x in (("right", right), ("wrong", wrong)):
        model = joint('distill(expert >> main, gate="network")')
        data = {"main": MAIN, "expert": x}
        history = model.fit(
            data, Y, batch_size=8, epochs=2, validation_data=(data, Y), verbose=0
        ).history
        after[name] = next(v[1] for n, v in history.items() if n.startswith("distill"))
    assert after["right"] > 0 and after["wrong"] == 0


def test_it_has_no_loss_unless_asked_and_is_named_in_explain():
    model = joint("distill(expert >> main)", metrics=["accuracy"])
    assert list(model.compiled_settings.losses) == ["main"]
    assert "expert: recorded predictions, not trained" in str(model.explain())
    both = dict.fromkeys(("main", "expert"), "sparse_categorical_crossentropy")
    model = joint("distill(expert >> main)", loss=both, metrics=["accuracy"])
    data = {"main": MAIN, "expert": P}
    logs = model.evaluate(data, Y, verbose=0, return_dict=True)
    np.testing.assert_allclose(
        logs["expert_accuracy"], np.mean(P.argmax(axis=1) == Y), atol=1e-6
    )


def test_values_teach_numbers_and_one_column_is_the_second_class():
    main = network(1, None)
    model = joint("match_logits(expert >> main)", "values", "mse", main)
    x = random.normal(size=(ROWS, 1)).astype("float32")
    data = {"main": MAIN, "expert": x}
    found = model.predict(data, verbose=0)["main"]
    y = np.zeros(ROWS, "float32")
    logs = model.evaluate(data, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(
        logs["match_logits(expert >> main)"], np.mean((found - x) ** 2), rtol=1e-5
    )
    model = joint(
        "distill(expert >> main, temperature=1)",
        loss="binary_crossentropy",
        main=network(1, "sigmoid"),
    )
    p = P[:, :1].astype("float64")
    data = {"main": MAIN, "expert": P[:, :1]}
    q = model.predict(data, verbose=0)["main"].astype("float64")
    logs = model.evaluate(data, Y % 2, verbose=0, return_dict=True)
    expected = np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    (value,) = (v for name, v in logs.items() if name.startswith("distill"))
    np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_it_is_fused_and_saved(tmp_path):
    model = joint("distill(expert >> main)", "logits", fuse="mean")
    data = {"main": MAIN, "expert": RAW}
    model.fit(data, Y, verbose=0)
    found = model.predict(data, verbose=0)
    np.testing.assert_allclose(
        found["fused"], (found["main"] + P) / 2, atol=1e-6, rtol=1e-5
    )
    model.save(tmp_path / "joint.keras")
    loaded = keras.saving.load_model(tmp_path / "joint.keras")
    assert loaded["expert"].kind == "logits"
    again = loaded.predict(data, verbose=0)
    np.testing.assert_array_equal(again["fused"], found["fused"])


@pytest.mark.parametrize(
    ("term", "kind", "loss", "said"),
    [
        ("mutual(main, expert)", "probabilities", None, "is recorded and learns"),
        ("distill(expert >> main)", "values", None, "has values recorded"),
        ("match_logits(expert >> main)", "values", None, "learns classes"),
        ("match_logits(expert >> main)", "logits", "mse", "learns numbers"),
        ("cka(expert.hidden >> main)", "logits", None, "has no layers"),
        ("expert", "logits", None, "has none. Add it"),
        (
            "distill(expert >> main)",
            "logits",
            dict.fromkeys(("main", "expert"), "sparse_categorical_crossentropy"),
            "expects probabilities; it has logits recorded",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(term, kind, loss, said):
    with pytest.raises(ValueError, match=said):
        joint(term, kind, loss)


def test_rows_that_are_no_probabilities_are_refused():
    with pytest.raises(ValueError, match="input of 'expert': row 0 holds no prob"):
        joint("distill(expert >> main)").fit({"main": MAIN, "expert": RAW}, Y)
    with pytest.raises(ValueError, match="did you mean 'logits'"):
        coloss.Recorded("logit")
