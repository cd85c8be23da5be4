"""Projectors: made where widths differ, trained, saved, and not deployed."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import coloss

pytestmark = pytest.mark.backend

layers = keras.layers
ROWS = 16
random = np.random.default_rng(0)
Y = random.integers(0, 3, ROWS)


def array(*shape):
    return random.normal(size=(ROWS, *shape)).astype("float32")


def vector(width=4, hidden=6):
    return keras.Sequential(
        [
            keras.Input((width,)),
            layers.Dense(hidden, name="hidden"),
            layers.Dense(3, activation="softmax"),
        ]
    )


def sequence(steps=5, hidden=7):
    return keras.Sequential(
        [
            keras.Input((steps, 2)),
            layers.Dense(hidden, name="hidden"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def image(side=4, hidden=5):
    return keras.Sequential(
        [
            keras.Input((side, side, 1)),
            layers.Conv2D(hidden, 1, name="hidden"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def tokens(hidden=6):
    return keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(9, 4, mask_zero=True),
            layers.Dense(hidden, name="hidden"),
            layers.LSTM(4),
            layers.Dense(3, activation="softmax"),
        ]
    )


def joined(members, objective, optimizer="sgd"):
    model = coloss.JointModel(members)
    model.compile(optimizer, "sparse_categorical_crossentropy", objective=objective)
    return model


def test_hint_projects_the_learner_to_the_sources_width():
    keras.utils.set_random_seed(0)
    model = joined(
        {"a": vector(4, 6), "b": vector(5, 8)}, "a + b + hint(b.hidden >> a.hidden)"
    )
    x = {"a": array(4), "b": array(5)}
    assert not model.auxiliary.projectors.built
    before = model.evaluate(x, Y, verbose=0, return_dict=True)
    (matrix,) = model.auxiliary.trainable_variables
    assert tuple(matrix.shape) == (6, 8)
    start = keras.ops.convert_to_numpy(matrix.value).copy()
    model.fit(x, Y, epochs=20, verbose=0, batch_size=ROWS)
    after = model.evaluate(x, Y, verbose=0, return_dict=True)
    term = "hint(b.hidden >> a.hidden)"
    assert after[term] < before[term]
    assert np.abs(keras.ops.convert_to_numpy(matrix.value) - start).max() > 1e-4
    # The optimizer of the learner moves it.
    moved = model.auxiliary.projectors.by_learner()
    assert [(name, len(found)) for name, found in moved.items()] == [("a", 1)]
    # Neither member has gained a variable.
    assert [len(model[name].weights) for name in "ab"] == [4, 4]
    assert len(model.weights) == 9


def test_equal_widths_need_no_projector():
    model = joined({"a": vector(), "b": vector()}, "a + hint(b.hidden >> a.hidden)")
    model.test_on_batch({"a": array(4), "b": array(4)}, Y)
    assert model.auxiliary.projectors.built
    assert not model.auxiliary.trainable_variables


@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ("", [(6, 128), (8, 128)]),
        (", dimension=5", [(6, 5), (8, 5)]),
    ],
)
def test_contrast_maps_to_the_dimension_it_is_told(options, shapes, tmp_path):
    term = f"contrast(b.hidden >> a.hidden{options})"
    model = joined({"a": vector(4, 6), "b": vector(5, 8)}, f"a + b + {term}")
    x = {"a": array(4), "b": array(5)}
    before = model.test_on_batch(x, Y, return_dict=True)
    assert [tuple(v.shape) for v in model.auxiliary.trainable_variables] == shapes
    model.save(tmp_path / "joint.keras")
    again = keras.saving.load_model(tmp_path / "joint.keras")
    after = again.test_on_batch(x, Y, return_dict=True)
    assert after[term] == pytest.approx(before[term], rel=1e-5)


def test_contrast_without_maps_needs_layers_of_one_width():
    term = "contrast(b.hidden >> a.hidden, dimension=None)"
    model = joined({"a": vector(4, 6), "b": vector(5, 6)}, f"a + b + {term}")
    x = {"a": array(4), "b": array(5)}
    found = model.test_on_batch(x, Y, return_dict=True)[term]
    assert not model.auxiliary.trainable_variables
    own, other = (model[n].get_layer("hidden")(x[n]) for n in "ab")
    value = coloss.transfer.contrast(own, other)
    expected = float(keras.ops.convert_to_numpy(value))
    assert found == pytest.approx(expected, rel=1e-4)
    model = joined({"a": vector(4, 6), "b": vector(5, 8)}, f"a + b + {term}")
    with pytest.raises(ValueError, match=r"learner has 6, source has 8\. Give `dimen"):
        model.test_on_batch(x, Y)
    with pytest.raises(coloss.ObjectiveError, match=r"`dimension`.*1 or more, or None"):
        joined({"a": vector()}, "contrast(b.hidden >> a.hidden, dimension=0.5)")


def test_the_variance_of_vid_is_trained():
    model = joined(
        {"a": vector(4, 6), "b": vector(5, 8)},
        "a + b + vid(b.hidden >> a.hidden)",
        {"*": keras.optimizers.Adam(0.05)},
    )
    x = {"a": array(4), "b": array(5)}
    model.train_on_batch(x, Y)
    raw = model.auxiliary.trainable_variables[-1]
    first = keras.ops.convert_to_numpy(raw.value).copy()
    model.train_on_batch(x, Y)
    assert np.all(np.abs(keras.ops.convert_to_numpy(raw.value) - first) > 1e-4)


@pytest.mark.parametrize("term", ["hint", "contrast", "cka", "sp"])
@pytest.mark.parametrize(
    ("learner", "source"),
    [("vector", "sequence"), ("sequence", "image"), ("image", "vector")],
)
def test_edges_between_kinds_of_networks(term, learner, source):
    kinds = {
        "vector": (vector, array(4)),
        "sequence": (sequence, array(5, 2)),
        "image": (image, array(4, 4, 1)),
    }
    members = {"a": kinds[learner][0](), "b": kinds[source][0]()}
    x = {"a": kinds[learner][1], "b": kinds[source][1]}
    model = joined(members, f"a + b + {term}(b.hidden >> a.hidden)")
    found = model.train_on_batch(x, Y, return_dict=True)
    assert np.isfinite(found["loss"])
    model.reset_metrics()
    name = f"{term}(b.hidden >> a.hidden)"
    assert model.test_on_batch(x, Y, return_dict=True)[name] > 0


def test_unequal_sequences_are_pooled_for_attention():
    model = joined(
        {"a": sequence(6, 7), "b": sequence(3, 4)},
        "a + b + attention(b.hidden >> a.hidden)",
    )
    found = model.test_on_batch(
        {"a": array(6, 2), "b": array(3, 2)}, Y, return_dict=True
    )
    assert np.isfinite(found["loss"])


def test_attention_refuses_a_vector():
    model = joined(
        {"a": sequence(), "b": vector()}, "a + b + attention(b.hidden >> a.hidden)"
    )
    with pytest.raises(ValueError, match=r"attention\(b.hidden >> a.hidden\)"):
        model.test_on_batch({"a": array(5, 2), "b": array(4)}, Y)


def test_padding_has_no_influence():
    model = joined({"a": vector(), "b": tokens()}, "a + b + cka(b.hidden >> a.hidden)")
    ids = random.integers(1, 9, (ROWS, 5))
    ids[:, 3:] = 0
    x = {"a": array(4), "b": ids}
    term = "cka(b.hidden >> a.hidden)"
    found = model.test_on_batch(x, Y, return_dict=True)[term]
    embedding, dense = model["b"].layers[0], model["b"].get_layer("hidden")
    hidden = keras.ops.convert_to_numpy(dense(embedding(ids)))[:, :3].mean(1)
    own = keras.ops.convert_to_numpy(model["a"].get_layer("hidden")(x["a"]))
    expected = float(coloss.transfer.cka(own, hidden.astype("float32")))
    assert found == pytest.approx(expected, rel=1e-4)


def test_projectors_are_saved_for_resume_and_left_behind(tmp_path):
    keras.utils.set_random_seed(0)
    model = joined(
        {"a": vector(4, 6), "b": vector(5, 8)},
        "a + b + hint(b.hidden >> a.hidden)",
        {"*": keras.optimizers.Adam(0.01)},
    )
    x = {"a": array(4), "b": array(5)}
    fit = {"epochs": 2, "batch_size": ROWS, "shuffle": False, "verbose": 0}
    model.fit(x, Y, **fit)
    model.save(tmp_path / "joint.keras")
    model["a"].save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "joint.keras")
    model.fit(x, Y, **fit)
    again.fit(x, Y, **fit)
    for one, other in zip(
        [*model.weights, *model.auxiliary.variables],
        [*again.weights, *again.auxiliary.variables],
        strict=True,
    ):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(one.value),
            keras.ops.convert_to_numpy(other.value),
            atol=1e-6,
        )
    alone = keras.saving.load_model(tmp_path / "a.keras")
    assert len(alone.weights) == 4
    assert type(alone) is keras.Sequential
