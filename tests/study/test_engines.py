"""Every engine trains the same runs, and so does plain Keras."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import coloss

_spec = importlib.util.spec_from_file_location(
    "study_conftest", Path(__file__).with_name("conftest.py")
)
common = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(common)

jax_only = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="the population runs on JAX"
)

EVERYTHING = (
    "main + helper + w*distill(helper >> main, warmup=2, gate='network')"
    " + contrast(helper.hidden >> main.hidden) + pseudo_label(main)"
)
WEIGHED = {
    "drawn": {"weighting": "random_weights", "aggregator": "pcgrad"},
    "trained": {
        "objective": "main + helper + s*distill(helper >> main) - log(s)",
        "coefficients": {"s": coloss.Trainable(0.5)},
        "aggregator": "upgrad",
    },
}
RANDOM = {"weighting": "random_weights"}
CASES = {
    # Missing inputs and labels, dropout, a projector, a schedule, a window, a gate.
    "everything": {
        "build": common.build_with_dropout,
        "data": common.scarce,
        "arms": {
            "all": {
                "objective": EVERYTHING,
                "coefficients": {"w": coloss.Ramp(0.0, 2.0, epochs=3)},
            }
        },
        "validation_freq": 2,
    },
    "grid": {
        "build": common.build_with_statistics,
        "arms": {"taught": "main + helper + w*distill(helper >> main)"},
        "coefficients": {"w": [0.1, 2.0]},
        "learning_rates": [0.01, 0.1],
        "seeds": [3, 1],
    },
    # Random weights and orders; a trained coefficient; a history of both.
    "weights": {
        "arms": {
            name: {"objective": "main + helper + distill(helper >> main)", **how}
            for name, how in WEIGHED.items()
        },
    },
    "early stopping": {
        "compile": {**common.COMPILE, "optimizer": {"*": "sgd"}},
        "arms": {"alone": "main"},
        "learning_rates": [3.0],
        "patience": 1,
        "epochs": 6,
        "seeds": 4,
    },
}


@jax_only
@pytest.mark.parametrize("case", CASES)
def test_a_population_equals_its_runs_one_by_one(case, study, same_frames):
    made = study(**CASES[case])
    together = made.run("jax", verbose=False)
    one_by_one = made.run("sequential", verbose=False)
    same_frames(together, one_by_one)
    first, second = together.history, one_by_one.history
    assert set(first.columns) == set(second.columns)
    for name in first.columns.drop("arm"):
        np.testing.assert_allclose(first[name], second[name], atol=1e-4, err_msg=name)


@jax_only
def test_every_seed_draws_random_weights_of_its_own(study):
    """Whatever was drawn before; rows, order and starts are the same here."""

    def build():
        model = common.build()
        for member in model.members.values():
            member.set_weights([np.full(w.shape, 0.1) for w in member.get_weights()])
        return model

    found = []
    for before in (1, 2):
        keras.utils.set_random_seed(before)
        made = study(
            build=build,
            data=lambda seed: common.plain(0),
            arms={
                "random": {"objective": "main + helper", "weighting": "random_weights"}
            },
            batch_size=22,
            seeds=3,
        )
        found.append(made.run(verbose=False).frame["test_main_loss"])
    np.testing.assert_array_equal(*found)
    assert len(set(np.round(found[0], 5))) == 3


@jax_only
def test_neither_chunks_nor_the_form_change_a_result(study, same_frames):
    made = study(arms={"taught": "main + distill(helper >> main) + helper"}, seeds=3)
    whole = made.run(verbose=False)
    same_frames(whole, made.run(verbose=False, chunk=2, form="vmap"))
    same_frames(whole, made.run(verbose=False, chunk=1, form="map"))


@pytest.mark.backend
def test_a_run_is_a_plain_fit(study):
    result = study(arms={"alone": "main + helper"}, seeds=[5]).run(verbose=False)
    keras.utils.set_random_seed(5)
    joint = common.build()
    joint.compile(**common.COMPILE)
    made = common.plain(5)
    x, y = made.train
    for epoch in range(3):
        order = np.random.default_rng([5, epoch]).permutation(len(y))
        joint.fit(
            {name: values[order] for name, values in x.items()},
            y[order],
            batch_size=8,
            shuffle=False,
            verbose=0,
        )
    found = joint.evaluate(*made.test, batch_size=12, verbose=0, return_dict=True)
    row = result.frame.iloc[0]
    for name in ("loss", "main_accuracy", "helper_loss", "fused_accuracy"):
        assert row[f"test_{name}"] == pytest.approx(found[name], abs=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("case", CASES)
def test_every_backend_runs_studies_one_by_one(case, study):
    result = study(**CASES[case]).run("sequential", verbose=False)
    frame = result.frame
    assert len(frame) == len(result.records)
    assert np.isfinite(frame["test_main_accuracy"]).all()
    assert frame["error"].isna().all()


@pytest.mark.backend
def test_runs_of_one_seed_start_alike(study):
    """Members that an arm does not train end where all arms started."""

    def only_helper():
        members = {"helper": common.network(3), "main": common.network(4)}
        return coloss.JointModel(members)

    result = study(
        arms={
            "main": "main",
            "again": "main",
            "other members": {"objective": "main", "build": only_helper},
        }
    ).run(verbose=False)
    by_arm = result.frame.groupby("arm")["test_main_accuracy"].apply(list)
    assert by_arm["main"] == by_arm["again"]
    untrained = result.frame.groupby("arm")["test_helper_loss"].apply(list)
    assert untrained["main"] == pytest.approx(untrained["other members"])
    assert untrained["main"][0] != pytest.approx(untrained["main"][1])


@pytest.mark.filterwarnings("ignore:the learning rate of:coloss.ObjectiveWarning")
@pytest.mark.backend
def test_a_run_that_diverges_keeps_its_last_good_weights(study):
    def network(width):
        return keras.Sequential([keras.Input((width,)), keras.layers.Dense(3)])

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made = study(
        build=lambda: coloss.JointModel(
            {name: network(width) for name, width in common.WIDTHS.items()}
        ),
        compile={"optimizer": "sgd", "loss": loss, "metrics": ["accuracy"]},
        arms={"alone": "main", "on paper": "main + 1e30*(main - helper)"},
        learning_rates=[1e10],
    )
    result = made.run(verbose=False)
    frame = result.frame.set_index("arm")
    assert frame.loc["on paper", "error"].str.contains("not finite").all()
    assert np.isfinite(frame.loc["on paper", "test_main_accuracy"]).all()
    assert "ended early" in str(result)


@jax_only
def test_seeds_with_other_shapes_are_no_population(study, same_frames, monkeypatch):
    """Where folds are uneven, rare shapes go through `fit`, the others together."""

    def uneven(seed):
        random = np.random.default_rng(seed)
        train = common.rows(9 if seed == 1 else 8, random)
        return coloss.data.Split(train, common.rows(9, random), common.rows(9, random))

    monkeypatch.setattr("coloss.study.engines.vectorized.FEW", 2)
    made = study(data=uneven, epochs=1, arms={"alone": "main"}, seeds=3)
    together = made.run("jax", verbose=False)
    assert together.frame["seed"].tolist() == [0, 1, 2]
    same_frames(together, made.run("sequential", verbose=False))


@jax_only
def test_large_networks_on_one_cpu_are_trained_one_by_one(study, monkeypatch):
    from coloss.study.engines import programs, vectorized

    taken = []
    for name in ("sequential", "vectorized"):
        engine = getattr(vectorized, name)

        def noted(trial, runs, *rest, name=name, engine=engine):
            taken.append(name)
            return engine(trial, runs, *rest)

        monkeypatch.setattr(vectorized, name, noted)
    made = study(arms={"alone": "main"}, epochs=1)
    made.run(verbose=False)
    monkeypatch.setattr(programs, "LARGE", 1)
    made.run(verbose=False)
    made.run("jax", verbose=False)
    assert taken == ["vectorized", "sequential", "vectorized"]


@jax_only
def test_the_form_that_is_tried_first_goes_by_size_and_device():
    from coloss.study.engines.programs import LARGE, Choice, first_form

    def of(numbers):
        return SimpleNamespace(groups=[[np.zeros((numbers // 2, 2))]])

    assert first_form(of(LARGE + 2), "cpu") == "map"
    assert first_form(of(LARGE), "cpu") == "vmap"
    assert first_form(of(LARGE + 2), "gpu") == "vmap"
    choice = Choice("auto", epochs=100, first="map")
    choice.measured("map", seconds=1.0, compiled=10.0)
    assert choice.form == "vmap"  # Worth a try: 99 s are left.
    choice.measured("vmap", seconds=2.0, compiled=10.0)
    assert choice.form == "map"
    choice = Choice("auto", epochs=4, first="map")
    choice.measured("map", seconds=1.0, compiled=10.0)
    assert choice.form == "map"
