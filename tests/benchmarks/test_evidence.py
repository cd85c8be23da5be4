"""The scripts of `benchmarks/`, in short: they run, and point where the papers do."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

import coloss
from coloss.objective import TRANSFER_TERMS

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="the scripts are written for JAX"
)
FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    # As when they are run: a script finds what lies beside it.
    monkeypatch.syspath_prepend(str(FOLDER / "evidence"))

    def load_script(path):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield lambda name: load_script(FOLDER / f"{name}.py")
    for name in ("population", "digit_arms", "digit_tables"):
        sys.modules.pop(name, None)


def test_privileged_information_helps_where_labels_are_noisy(load, tmp_path):
    table = load("evidence/lopez_paz").main(["--quick", "--out", str(tmp_path)])
    mean = table.set_index("arm")["mean"]
    assert mean["distilled"] > mean["plain"] + 2
    assert mean["distilled_jointly"] > mean["plain"] + 2
    assert (tmp_path / "lopez_paz.csv").read_text().count("\n") == 1 + 4 * 10
    assert "Not met" in (tmp_path / "lopez_paz.md").read_text()


def test_a_teacher_harms_or_helps_by_what_both_see(load, tmp_path):
    table = load("evidence/mfh_gaussian").main(["--quick", "--out", str(tmp_path)])
    assert list(table["gamma"]) == [0, 1]
    assert table["high"].iloc[0] < 0 < table["low"].iloc[1]
    assert "changes its sign" in (tmp_path / "mfh_gaussian.md").read_text()
    assert (tmp_path / "mfh_gaussian.png").stat().st_size > 1000


def test_what_a_missing_input_costs(load):
    script = load("evidence/missing_inputs")
    found = script.accuracies(0, epochs=1)
    assert found.shape == (2, 5, 3)
    # The main network has nothing left to read; the other input does not concern it.
    assert found[0, -1, 0] == 0
    assert np.ptp(found[1, :, 0]) == 0


def test_the_bar_of_modality_dropout_is_told_as_it_is(load):
    script = load("evidence/missing_inputs")
    # Above and below in turn: the interval about a loss of exactly half has 0 inside.
    noise = np.resize([0.001, -0.001], 12)[:, None, None]
    for lost, said in ((0.04, "met"), (0.1, "not shown"), (0.16, "missed")):
        runs = np.full((12, 2, 5, 3), 0.9)
        runs[:, :, 2, 1:] -= np.add([0.2, lost], noise)
        assert script.table(runs).count(f"Less than half: {said}.") == 2


def test_every_transfer_term_has_an_arm(load):
    arms = load("evidence/digit_arms").arms
    text = str(arms("fou", ("kar", "pix"), data=lambda seed: None))
    named = {term for term in TRANSFER_TERMS if f"{term}(" in text}
    assert set(TRANSFER_TERMS) - named == {"attention"}


def test_the_table_of_digits_is_written_as_it_is_committed(load, tmp_path):
    script = load("evidence/multiple_features")
    options = {
        "--seeds": ["2"],
        "--epochs": ["2"],
        "--cases": ["100 labels", "40 % wrong labels"],
        "--pairs": ["zer <- mor"],
        "--arms": ["alone", "recipe"],
        "--out": [str(tmp_path)],
    }
    script.main([word for name, words in options.items() for word in (name, *words)])
    short, whole = (
        pd.read_csv(folder / "multiple_features.csv")
        for folder in (tmp_path, FOLDER / "evidence")
    )
    assert list(short) == list(whole)
    assert len(short) == 2 * 2 * 2
    assert set(short["arm"]) < set(whole["arm"])
    assert set(whole["seeds"].dropna()) == {20}
    page = (tmp_path / "multiple_features.md").read_text()
    assert "## What the recipe is chosen by" in page


def test_the_objectives_of_the_fused_teacher_compile(load):
    script = load("evidence/fused_teacher")
    study = script.study_of("kar", 2, 1)
    assert list(study.arms)[:2] == ["self-training", "twin"]
    recipe = coloss.recipes.learn_from("kar", ["zer", "mor"], fused=script.FUSED)
    assert study.arms["fused"].objective == str(recipe)
    joint = script.build(("kar", "zer", "mor"))
    for arm in study.arms.values():
        joint.compile(loss="sparse_categorical_crossentropy", objective=arm.objective)
    x, y = script.rows(("kar", "zer", "mor"), 0).train
    right = x[script.EXPERT].argmax(axis=1) == y
    # No row was predicted by a model that had seen it: some are wrong.
    assert 0.6 < right[y >= 0].mean() < 1.0


def test_every_gate_is_an_arm_of_its_study(load):
    gates = load("evidence/gates")
    for views in gates.CASES.values():
        arms = gates.study(views, 1).arms
        written = [str(arm.objective) for arm in arms.values()]
        for gate in filter(None, gates.GATES):
            assert sum(f'gate="{gate}"' in text for text in written) == 1
        assert len(arms) == len(gates.GATES) + 1


def test_other_data_are_split_and_predicted(load, tmp_path):
    script, random = load("evidence/other_data"), np.random.default_rng(0)
    steps = [random.normal(size=(1500, 3))]
    for _ in range(4):
        steps.append(steps[-1] @ np.diag([0.9, 0.8, 0.5]) + 1)
    arrays = {
        "hours_0": steps[0],
        "hours_2_to_8": np.stack(steps[1:], axis=1),
        "pm25_after_10_hours": steps[-1].sum(axis=1) + random.normal(0, 0.1, 1500),
    }
    np.savez(tmp_path / "pm25_beijing.npz", **arrays)
    split = script.pollution(tmp_path, "beijing", 0, 100)
    x, y = split.train
    assert np.isfinite(y).sum() == 100 and len(y) == 300
    assert np.nanmean(y) == pytest.approx(0, abs=1e-6)
    # Least squares on the first step alone, of what is linear.
    plain = np.linalg.lstsq(
        np.c_[x["now"], np.ones(300)][:100], y[:100].astype("float64"), rcond=None
    )[0]
    test, truth = split.test
    error = truth - np.c_[test["now"], np.ones(1000)] @ plain
    expected = 1 - (error**2).mean() / truth.var()
    assert script.lupts(split) == pytest.approx([expected] * 2, abs=0.02)


def test_distiller_makes_the_same_step_with_more_operations(load, tmp_path):
    script = load("distiller")
    try:
        case = {**script.CASES["small"], "dropout": 0.1}
        times, (ours, theirs) = script.measure(case, rows=128, rounds=1)
        assert times.shape == (1, 2)
        assert theirs > 1.2 * ours
        difference = script.step_difference(case, steps=2)
        assert difference < 1e-6
        row, ratio = script.row_of("small", times, (ours, theirs), difference)
        assert row in script.markdown([row], {"small": ratio}, rounds=1)
    finally:
        coloss.transfer.unregister("layer_mse")


def test_the_compiled_runs_are_those_of_fit(load):
    """On all rows at once the order of rows has no say."""
    load("evidence/mfh_gaussian")
    population = sys.modules["population"]
    random = np.random.default_rng(0)
    x = {n: random.normal(size=(2, 20, w)).astype("float32") for n, w in WIDTHS.items()}
    y = random.integers(0, 2, size=(2, 20)).astype("int32")
    start = population.initial_weights(networks, 2)
    found = population.train(
        networks,
        OBJECTIVE,
        keras.optimizers.RMSprop(0.01),
        (x, y),
        start,
        epochs=7,
        batch_size=20,
        frozen=("a",),
    )
    for run in range(2):
        members = networks()
        for name, member in members.items():
            member.set_weights([value[run] for value in start[name]])
        joint = coloss.JointModel(members)
        joint["a"].trainable = False
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        joint.compile(keras.optimizers.RMSprop(0.01), loss=loss, objective=OBJECTIVE)
        one = {name: rows[run] for name, rows in x.items()}
        joint.fit(one, y[run], batch_size=20, epochs=7, verbose=0)
        for name in members:
            for ours, theirs in zip(
                found[name], joint[name].get_weights(), strict=True
            ):
                np.testing.assert_allclose(ours[run], theirs, atol=1e-5)


WIDTHS = {"a": 3, "b": 5}
OBJECTIVE = "b + 0.5*distill(a >> b, temperature=2)"


def networks():
    return {
        name: keras.Sequential([keras.Input((width,)), keras.layers.Dense(2)])
        for name, width in WIDTHS.items()
    }
