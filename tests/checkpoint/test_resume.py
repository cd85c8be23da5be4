"""An interrupted training, resumed, against one that was not: equal to the bit."""

from __future__ import annotations

import logging
from datetime import timedelta

import keras
import numpy as np
import pytest

import coloss
from coloss.callbacks import Checkpoint
from coloss.checkpoint import CheckpointError
from tests.checkpoint.interrupted import (
    FIT,
    OTHER,
    Kill,
    Killed,
    Script,
    X,
    Y,
    build,
    differences,
)

pytestmark = pytest.mark.backend


def adam(**options):
    return keras.optimizers.Adam(0.01, **options)


def watchers():
    return [
        keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=10, factor=0.5),
    ]


def gated():
    terms = 'distill(helper >> main, gate="network")'
    return {
        "objective": f"main + w*helper + exp(-v)*{terms} + v"
        " + hint(helper.hidden >> main.hidden, warmup=2)",
        "coefficients": {"w": coloss.Ramp(0, 1, epochs=3), "v": coloss.Trainable(0.5)},
    }


def weighed():
    average = {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 3}
    return {"weighting": "random_weights", "optimizer": adam(**average)}


def aggregated():
    return {
        "aggregator": "pcgrad",
        "optimizer": {"*": adam(gradient_accumulation_steps=4)},
        "steps_per_execution": 1,
    }


CASES = {
    "watchers": {"callbacks": watchers},
    "gates": {"compiled": gated, "fit": {"validation_split": 0.3}},
    "weighting": {"compiled": weighed, "fit": {"shuffle": "batch"}},
    "aggregator": {"compiled": aggregated, "fit": {"shuffle": False}},
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return Script(**CASES[request.param])


def test_a_training_that_is_killed_goes_on_to_the_same_bits(case, tmp_path):
    case.check(tmp_path, Kill(1), Kill(2))


def test_a_training_goes_on_in_the_middle_of_an_epoch(case, tmp_path):
    case.check(tmp_path, Kill(0, 3), Kill(1), Kill(2, 2), every=3)


@pytest.fixture(scope="module")
def script():
    return Script()


def test_checkpoints_are_written_at_multiples_of_steps(script, tmp_path):
    script.run(tmp_path, every=4, keep=9)
    names = [one.name.removeprefix("step-0000") for one in sorted(tmp_path.iterdir())]
    assert names == ["0004", "0008", "0012", "0016", "0018-finished"]


def test_time_may_tell_when_a_checkpoint_is_due(script, tmp_path):
    every = timedelta(microseconds=1)
    script.check(tmp_path, Kill(0, 3), Kill(1, 1), every=every, keep=1)
    script.run(tmp_path / "seldom", every=timedelta(days=1))
    assert [one.name for one in (tmp_path / "seldom").iterdir()] == [
        "step-00000018-finished"
    ]


def test_steps_that_were_taken_before_are_told_to_nobody(script, tmp_path):
    class Told(keras.callbacks.Callback):
        every_step = False
        steps: list[int] = []  # noqa: RUF012

        def on_train_batch_end(self, batch, logs=None):
            self.steps.append(batch)

    script.run(tmp_path, kill=Kill(1, 3), every=4)
    script.run(tmp_path, OTHER, kill=Told(), every=4)
    # Blocks are told by their last step.
    blocks = script.model.takes_blocks and keras.backend.backend() == "jax"
    first, *others = Told.steps
    assert first == (3 if blocks else 2)
    assert max(others) == 5


def test_what_is_killed_before_the_first_checkpoint_begins_anew(script, tmp_path):
    assert script.run(tmp_path / "killed", kill=Kill(0)) is None
    found = script.run(tmp_path / "killed")
    assert not differences(found, script.run(tmp_path / "whole"))


def test_a_finished_fit_is_not_repeated_and_leaves_the_same(script, tmp_path, caplog):
    class Count(keras.callbacks.Callback):
        epochs = 0

        def on_epoch_begin(self, epoch, logs=None):
            Count.epochs += 1

    expected = script.run(tmp_path)
    with caplog.at_level(logging.INFO, "coloss"):
        found = script.run(tmp_path, OTHER, kill=Count())
    assert not differences(found, expected)
    assert Count.epochs == 0
    assert "step-00000018-finished: finished, and not repeated" in caplog.text


def test_a_fit_that_stopped_early_stays_stopped(script, tmp_path):
    class Last(keras.callbacks.Callback):
        """Is killed after the last checkpoint of an epoch."""

        def on_train_end(self, logs=None):
            raise KeyboardInterrupt

    def stops():
        return [keras.callbacks.EarlyStopping("loss", min_delta=9, patience=1)]

    script.callbacks = stops
    try:
        expected = script.run(tmp_path / "whole")
        assert expected["epochs"] == [0, 1]
        with pytest.raises(KeyboardInterrupt):
            script.run(tmp_path / "killed", kill=Last())
        found = script.run(tmp_path / "killed", OTHER)
    finally:
        script.callbacks = lambda: []
    assert not differences(found, expected)


def test_the_newest_that_is_whole_is_taken(script, tmp_path):
    expected = script.run(tmp_path / "whole")
    script.run(tmp_path / "killed", kill=Kill(2))
    (newest, _) = sorted((tmp_path / "killed").iterdir(), reverse=True)
    arrays = newest / "arrays.safetensors"
    content = bytearray(arrays.read_bytes())
    content[len(content) // 2] ^= 1
    arrays.write_bytes(content)
    with pytest.warns(UserWarning, match="step-00000012/arrays.safetensors is not as"):
        found = script.run(tmp_path / "killed", OTHER)
    assert not differences(found, expected)
    names = [one.name for one in sorted((tmp_path / "killed").iterdir())]
    assert names == ["step-00000018", "step-00000018-finished"]


def refused(script, folder, error=CheckpointError, match="", **options):
    before = [np.array(weight) for weight in script.model.get_weights()]
    given = {**script.options, **options}
    every = given.pop("every", "epoch")
    callbacks = [Checkpoint(folder, every), *given.pop("callbacks", [])]
    with pytest.raises(error, match=match):
        script.model.fit(callbacks=callbacks, **given)
    for one, other in zip(before, script.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_training_is_refused_with_what_differs(script, tmp_path):
    script.run(tmp_path, kill=Kill(1))
    script.begin(OTHER)
    refused(script, tmp_path, match=r"fit\(epochs=\) \(3 there, 5 here\)", epochs=5)
    refused(script, tmp_path, match=r"fit\(batch_size=\)", batch_size=5)
    refused(script, tmp_path, match="the data, y", y=Y[::-1])
    refused(script, tmp_path, match="the data, x", x={**X, "main": X["main"] + 1})
    refused(script, tmp_path, match=r"class_weight", class_weight={0: 2.0})
    for options, what in (
        ({"objective": "main + helper"}, r"the objective \(main"),
        ({"optimizer": keras.optimizers.Adam(0.5)}, r"compile\(optimizer=\)"),
        ({"weighting": "dwa"}, "the weighting"),
        ({"loss": "kl_divergence", "objective": "main"}, r"compile\(loss=\)"),
    ):
        other = Script.__new__(Script)
        other.model, other.options = build(**options), script.options
        if "loss" in options:
            other.options = {**script.options, "y": keras.utils.to_categorical(Y)}
        refused(other, tmp_path, match=what)


def test_a_state_without_its_callback_is_refused(script, tmp_path):
    script.callbacks = watchers
    try:
        script.run(tmp_path, kill=Kill(1))
    finally:
        script.callbacks = lambda: []
    with pytest.raises(CheckpointError, match="a callback EarlyStopping, which is not"):
        script.run(tmp_path)


def test_a_fit_may_be_called_again_in_the_same_process(script, tmp_path):
    """In a notebook: interrupted, and the cell run once more, on the moved model."""
    expected = script.run(tmp_path / "whole")
    script.run(tmp_path / "killed", kill=Kill(1))
    script.model.optimizer.learning_rate = 0.5
    history = script.model.fit(
        callbacks=[Checkpoint(tmp_path / "killed")], **script.options
    )
    assert not differences(script.bits(history), expected)


def test_resume_false_takes_an_empty_folder_only(script, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="in an empty folder only"):
        script.run(tmp_path, resume=False)
    assert script.run(tmp_path / "mine", resume=False)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"every": "step"}, ValueError),
        ({"every": 0}, ValueError),
        ({"every": 1.5}, TypeError),
        ({"every": timedelta(0)}, ValueError),
        ({"keep": 0}, ValueError),
        ({"keep": 1.5}, TypeError),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(arguments, error, tmp_path):
    with pytest.raises(error, match=next(iter(arguments))):
        Checkpoint(tmp_path / "never", **arguments)
    assert not (tmp_path / "never").exists()


def test_what_it_cannot_keep_is_refused(script, tmp_path):
    twice = [Checkpoint(tmp_path / "b")]
    refused(script, tmp_path / "a", ValueError, "several callbacks", callbacks=twice)
    refused(script, tmp_path / "a", ValueError, "steps_per_epoch", steps_per_epoch=2)
    listed = keras.callbacks.CallbackList([Checkpoint(tmp_path / "a")])
    with pytest.raises(TypeError, match="a list of callbacks instead of"):
        script.model.fit(X, Y, callbacks=listed, **FIT)
    with pytest.raises(TypeError, match="found Sequential"):
        plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        plain.compile("sgd", "mse")
        plain.fit(X["main"], Y, verbose=0, callbacks=[Checkpoint(tmp_path / "a")])
    assert not (tmp_path / "a").exists()


class Batches(keras.utils.PyDataset):
    """Batches in an order that only this object knows."""

    def __init__(self):
        super().__init__()
        self.epoch = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = np.random.default_rng((self.epoch, index)).permutation(len(Y))[:4]
        return {name: values[rows] for name, values in X.items()}, Y[rows]

    def on_epoch_begin(self):
        self.epoch += 1


class Placed(Batches):
    """The same, and it can be asked."""

    def get_state(self):
        return {"epoch": self.epoch}

    def set_state(self, state):
        self.epoch = state["epoch"]


def test_data_that_knows_its_place_is_told_it(script, tmp_path):
    def fit(seed, folder, kill=None):
        script.begin(seed)
        told = [Checkpoint(tmp_path / folder), *([kill] if kill else [])]
        history = script.model.fit(Placed(), epochs=3, verbose=0, callbacks=told)
        return script.bits(history)

    expected = fit(1, "whole")
    with pytest.raises(Killed):
        fit(1, "killed", Kill(1))
    assert not differences(fit(OTHER, "killed"), expected)


def test_data_that_nobody_can_ask_is_told_of(script, tmp_path):
    match = r'must be "epoch" for data of type Batches'
    refused(script, tmp_path, ValueError, match, x=Batches(), y=None, every=2)
    options = {"epochs": 3, "verbose": 0}
    with pytest.raises(Killed):
        told = [Checkpoint(tmp_path), Kill(1)]
        script.model.fit(Batches(), callbacks=told, **options)
    with pytest.warns(UserWarning, match="Batches decides the order of its rows"):
        history = script.model.fit(
            Batches(), callbacks=[Checkpoint(tmp_path)], **options
        )
    assert history.epoch == [0, 1, 2]


def test_a_flow_of_gradients_goes_on(script, tmp_path):
    script.callbacks = lambda: [coloss.callbacks.GradientFlow(warn_after=None)]
    try:
        found = script.check(tmp_path, Kill(1))
    finally:
        script.callbacks = lambda: []
    assert len(next(v for k, v in found.items() if "flow/" in k)) == 3
