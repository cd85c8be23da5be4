"""The same training from every source of data, and every entry point of Keras."""

from __future__ import annotations

import importlib.util

import keras
import numpy as np
import pytest

from coloss.joint import JointModel

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
ROWS, BATCH = 12, 4
XA = RNG.normal(size=(ROWS, 4)).astype("float32")
XB = RNG.normal(size=(ROWS, 5)).astype("float32")
XA[3] = np.nan
X = {"a": XA, "b": XB}
Y = (np.arange(ROWS) % 3).astype("int32")
Y[5] = -1
WEIGHTS = np.linspace(0.5, 2, ROWS).astype("float32")
SPARSE = "sparse_categorical_crossentropy"
BACKEND = keras.backend.backend()


def has(name):
    return importlib.util.find_spec(name) is not None


@pytest.fixture
def made(deep):
    def make(**options):
        model = JointModel({"a": deep(4), "b": deep(5, seed=1)}, fuse="mean")
        options.setdefault("metrics", ["accuracy"])
        model.compile(
            keras.optimizers.Adam(0.01),
            SPARSE,
            objective="a + w*b + distill(b >> a)",
            coefficients={"w": 0.5},
            **options,
        )
        return model

    return make


def pieces():
    for start in range(0, ROWS, BATCH):
        rows = slice(start, start + BATCH)
        yield {name: x[rows] for name, x in X.items()}, Y[rows], WEIGHTS[rows]


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return len(list(pieces()))

    def __getitem__(self, index):
        return list(pieces())[index]


def generator():
    while True:
        yield from pieces()


def tf_dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS)).batch(BATCH)


def torch_loader():
    import torch

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return ROWS

        def __getitem__(self, row):
            return {name: x[row] for name, x in X.items()}, Y[row], WEIGHTS[row]

    return torch.utils.data.DataLoader(Rows(), batch_size=BATCH)


SOURCES = {
    "tf.data": (tf_dataset, {}, "tensorflow"),
    "PyDataset": (Batches, {}, "keras"),
    "DataLoader": (torch_loader, {}, "torch"),
    "generator": (generator, {"steps_per_epoch": 3}, "keras"),
}


@pytest.fixture(scope="module")
def reference():
    """Return a cache for the weights after training on arrays."""
    return {}


def trained_on_arrays(made, reference):
    if not reference:
        model = made()
        history = model.fit(
            X, Y, BATCH, 2, 0, shuffle=False, sample_weight=WEIGHTS
        ).history
        reference.update(history=history, weights=model.get_weights())
    return reference["history"], reference["weights"]


def alike(found, expected, **options):
    options.setdefault("atol", 1e-6)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, **options)


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_trains_as_arrays_do(source, made, reference):
    make, options, needs = SOURCES[source]
    if not has(needs):
        pytest.skip(f"{needs} is not installed")
    expected, weights = trained_on_arrays(made, reference)
    model = made()
    history = model.fit(make(), epochs=2, shuffle=False, verbose=0, **options).history
    assert set(history) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)
    alike(model.get_weights(), weights)


def test_train_on_batch_is_one_step_of_fit(made, reference):
    _, weights = trained_on_arrays(made, reference)
    model = made()
    for _ in range(2):
        for x, y, weight in pieces():
            logs = model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
    alike(model.get_weights(), weights)
    assert {"loss", "w*b", "a_accuracy", "fused_accuracy"} <= set(logs)


@pytest.mark.parametrize(
    "options",
    [
        {"jit_compile": False},
        {"jit_compile": True},
        {"steps_per_execution": 2},
    ],
    ids=str,
)
def test_how_a_step_is_run_changes_nothing(options, made, reference):
    if BACKEND == "torch" and set(options) & {"steps_per_execution", "jit_compile"}:
        pytest.skip("Keras does not offer this on torch")
    if BACKEND == "jax" and options == {"jit_compile": False}:
        pytest.skip("the eager step, which has a test of its own")
    _, weights = trained_on_arrays(made, reference)
    model = made(**options)
    model.fit(X, Y, BATCH, 2, 0, shuffle=False, sample_weight=WEIGHTS)
    alike(model.get_weights(), weights, atol=1e-5)


def test_an_eager_step_is_a_compiled_one(made):
    x, y, weight = next(pieces())
    trained = []
    for eager in (False, True):
        model = made(run_eagerly=eager, metrics=None)
        model.train_on_batch(x, y, sample_weight=weight)
        trained.append(model.get_weights())
    alike(*trained)


def test_validation_is_that_of_evaluate(made):
    first = made()
    options = {"batch_size": BATCH, "verbose": 0, "shuffle": False}
    split = first.fit(X, Y, validation_split=1 / 3, **options).history
    second = made()
    head = {name: x[:8] for name, x in X.items()}
    tail = {name: x[8:] for name, x in X.items()}
    given = second.fit(head, Y[:8], validation_data=(tail, Y[8:]), **options).history
    alike(first.get_weights(), second.get_weights())
    found = second.evaluate(tail, Y[8:], BATCH, verbose=0, return_dict=True)
    for name, value in found.items():
        assert split[f"val_{name}"] == pytest.approx([value], rel=1e-5)
        assert given[f"val_{name}"] == pytest.approx([value], rel=1e-5)
    again = second.fit(head, Y[:8], validation_data=Batches(), **options).history
    assert set(again) == set(given)


def test_validation_data_may_have_weights_and_labels_by_member(made):
    model = made()
    y = {"a": Y, "b": Y}
    history = model.fit(X, Y, verbose=0, validation_data=(X, y, {"b": WEIGHTS})).history
    found = model.evaluate(X, y, sample_weight={"b": WEIGHTS}, verbose=0)
    listed = model.evaluate(X, y, verbose=0)
    assert history["val_loss"] == pytest.approx([found[0]], rel=1e-5)
    assert found[0] != pytest.approx(listed[0], rel=1e-4)


def test_predict_gives_outputs_by_member_and_nan_where_input_is_missing(made):
    model = made()
    outputs = model.predict(X, batch_size=BATCH, verbose=0)
    assert list(outputs) == ["a", "b", "fused"]
    for name in "ab":
        expected = keras.ops.convert_to_numpy(model[name](np.nan_to_num(X[name])))
        keep = ~np.isnan(X[name]).any(1)
        np.testing.assert_allclose(outputs[name][keep], expected[keep], atol=1e-6)
        assert np.isnan(outputs[name][~keep]).all()
    batch = model.predict_on_batch(X)
    for name, values in outputs.items():
        np.testing.assert_allclose(batch[name], values, atol=1e-6)
    called = model(X, training=False)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(called["fused"]), outputs["fused"], atol=1e-6
    )


def test_evaluate_and_test_on_batch_agree(made):
    model = made()
    found = model.evaluate(X, Y, batch_size=ROWS, verbose=0, return_dict=True)
    model.reset_metrics()
    batch = model.test_on_batch(X, Y, return_dict=True)
    assert {name: float(value) for name, value in batch.items()} == pytest.approx(
        found, rel=1e-5
    )
    listed = model.evaluate(X, Y, batch_size=ROWS, verbose=0)
    # As Keras: a list, the loss first, in the order of `metrics_names`.
    assert listed[0] == pytest.approx(found["loss"], rel=1e-5)
    assert len(listed) == len(found)


def test_an_uncompiled_model_predicts_and_does_not_train(deep):
    model = JointModel({"a": deep(4), "b": deep(5)})
    assert set(model.predict(X, verbose=0)) == {"a", "b"}
    with pytest.raises(ValueError, match="compile"):
        model.fit(X, Y)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_in_float32_losses(policy, made):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = made()
        scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert scaled == (policy == "mixed_float16")
        start = model.get_weights()
        history = model.fit(X, Y, BATCH, 6, 0, shuffle=False).history
        assert model["a"].compute_dtype == policy.removeprefix("mixed_")
    finally:
        keras.config.set_dtype_policy(before)
    assert history["loss"][-1] < history["loss"][0]
    assert all(weight.dtype == np.float32 for weight in model.get_weights())
    assert any(np.any(a != b) for a, b in zip(start, model.get_weights(), strict=True))


def test_data_frames_are_arrays(made, reference):
    pandas = pytest.importorskip("pandas")
    _, weights = trained_on_arrays(made, reference)
    model = made()
    x = {name: pandas.DataFrame(values) for name, values in X.items()}
    y, weight = pandas.Series(Y), pandas.Series(WEIGHTS)
    model.fit(x, y, BATCH, 2, 0, shuffle=False, sample_weight=weight)
    alike(model.get_weights(), weights)
    outputs = model.predict(x, verbose=0)
    assert outputs["a"].shape == (ROWS, 3)


def test_tensors_and_lists_of_the_backend_are_arrays(made, reference):
    _, weights = trained_on_arrays(made, reference)
    model = made()
    x = {name: keras.ops.convert_to_tensor(values) for name, values in X.items()}
    y, weight = map(keras.ops.convert_to_tensor, (Y, WEIGHTS))
    model.fit(x, y, BATCH, 2, 0, shuffle=False, sample_weight=weight)
    alike(model.get_weights(), weights)


def test_callbacks_work_as_users_know_them(made, tmp_path):
    model = made()
    stop = keras.callbacks.EarlyStopping("val_a_loss", min_delta=100)
    best = keras.callbacks.EarlyStopping("val_fused_accuracy", patience=9)
    path = tmp_path / "best.weights.h5"
    check = keras.callbacks.ModelCheckpoint(path, "val_loss", save_weights_only=True)
    log = tmp_path / "log.csv"
    history = model.fit(
        X,
        Y,
        epochs=5,
        verbose=0,
        validation_data=(X, Y),
        callbacks=[stop, best, check, keras.callbacks.CSVLogger(log)],
    ).history
    assert len(history["loss"]) == 2
    assert (stop.mode, best.mode) == ("min", "max")
    assert "distill(b >> a)" in log.read_text().splitlines()[0]
    other = made()
    other.optimizer.build(other.trainable_variables)
    other.load_weights(path)
    alike(other.get_weights(), model.get_weights(), atol=0)
