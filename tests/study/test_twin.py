"""The control "twin": helpers replaced by networks like the main one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

import coloss
from coloss.data import Split
from coloss.study import controls, twin
from coloss.study.trial import Rows, Starts

common = Path(__file__).with_name("conftest.py")
spec = importlib.util.spec_from_file_location("study_conftest", common)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
COMPILE, build, network = module.COMPILE, module.build, module.network
plain, rows = module.plain, module.rows

TAUGHT = "main + helper + distill(helper >> main)"


def test_a_twin_is_like_the_main_network_and_reads_its_input(study):
    made = study(controls=["twin"])
    assert list(made.arms) == ["twin", "alone", "taught"]
    trials, _ = made.prepare()
    joint = trials["twin"].joint
    assert joint.assembly.keys == ("main",)
    assert joint.fuse == "mean"
    main, helper = joint["main"], joint["helper"]
    assert [v.shape for v in helper.variables] == [v.shape for v in main.variables]
    # Main begins as in every arm, the twin elsewhere; each seed anew.
    starts = [
        dict(zip(map(id, trial.groups[0]), trial.start(run)[0], strict=True))
        for trial, run in (
            (trials["twin"], made._runs["twin"][0]),
            (trials["taught"], made._runs["taught"][0]),
        )
    ]
    kernel = id(main.trainable_variables[0])
    other = id(trials["taught"].joint["main"].trainable_variables[0])
    np.testing.assert_array_equal(starts[0][kernel], starts[1][other])
    assert (starts[0][id(helper.trainable_variables[0])] != starts[0][kernel]).any()


def test_the_arm_is_the_one_made_by_hand(study):
    def by_hand():
        first, second = build(), build()
        members = {"main": first["main"], "helper": second["main"]}
        reads = {"helper": coloss.Inputs("main")}
        return coloss.JointModel(members, fuse="mean", inputs=reads)

    hand = {"objective": TAUGHT, "build": by_hand}
    made = controls.twin({"objective": TAUGHT}, "main", build, COMPILE)
    arms = {"by hand": hand, "twin": made}
    found = study(arms=arms).run(verbose=False).frame
    pair = [
        found[found["arm"] == arm].drop(columns=["arm", "seconds", "error"])
        for arm in ("twin", "by hand")
    ]
    np.testing.assert_allclose(*(one.astype(float) for one in pair), rtol=1e-5)


def test_a_twin_has_the_main_network_s_labels_and_loss(study):
    """The helper measures another thing: its twin classifies."""

    def builds():
        output = keras.layers.Dense(1)
        measuring = keras.Sequential([keras.Input((3,)), output])
        return coloss.JointModel({"main": network(4), "helper": measuring})

    random = np.random.default_rng(0)

    def part():
        x, y = rows(16, random)
        return x, {"main": y, "helper": random.normal(size=(16, 1))}

    split = Split(part(), part(), part())
    compile = {
        "loss": {"main": "sparse_categorical_crossentropy", "helper": "mse"},
        "metrics": {"main": ["accuracy"]},
        "optimizer": {"main": "sgd", "helper": "adam"},
    }
    taught = "main + helper + cka(helper.out >> main.out)"
    arm = controls.twin({"objective": taught}, "main", builds, compile)
    assert arm["compile"]["loss"]["helper"] == "sparse_categorical_crossentropy"
    assert arm["compile"]["optimizer"]["helper"] == "sgd"
    made = study(
        build=builds,
        data=split,
        compile=compile,
        arms={"alone": "main + helper", "twin": arm},
    )
    trials, _ = made.prepare(["twin"])
    _, y, _ = trials["twin"].part(0, "train")
    np.testing.assert_array_equal(y["helper"], y["main"])


def test_a_twin_of_what_is_not_trained_learns_from_labels():
    arm = controls.twin(
        {"objective": "main + w*distill(expert >> main)"}, "main", build, COMPILE, ["w"]
    )
    assert arm["objective"] == "main + w*distill(expert >> main) + expert"
    same = twin.objective_of("0.5*(main + helper) + mutual(main, helper)", "main")
    assert same == "0.5*(main + helper) + mutual(main, helper)"


def test_a_twin_that_starts_as_the_main_network_is_refused():
    def seeded():
        start = keras.initializers.GlorotUniform(seed=1)
        layer = keras.layers.Dense(3, "softmax", kernel_initializer=start)
        members = {
            "main": keras.Sequential([keras.Input((4,)), layer]),
            "helper": network(3),
        }
        return coloss.JointModel(members)

    with pytest.raises(ValueError, match="starts from the weights of 'main'"):
        twin.TwinBuild(seeded, "main")()
    with pytest.raises(ValueError, match="did you mean 'main'"):
        twin.TwinBuild(build, "mian")()


def test_a_twin_needs_an_arm_in_which_somebody_teaches(study):
    with pytest.raises(ValueError, match="another network teaches 'main'"):
        study(arms={"alone": "main + pseudo_label(main)"}, controls=["twin"])
    with pytest.raises(ValueError, match="which is no arm; did you mean 'taught'"):
        study(controls={"twin": "tought"})
    # Not the last arm, but the last that teaches.
    arms = {"taught": TAUGHT, "both": "main + 2*helper"}
    assert str(study(arms=arms, controls=["twin"]).arms["twin"].objective) == TAUGHT


def test_layers_that_the_main_network_lacks_are_told_before_training(study):
    def builds():
        helper = network(3)
        helper.layers[0].name = "features"
        return coloss.JointModel({"main": network(4), "helper": helper})

    arms = {"taught": "main + helper + cka(helper.features >> main.hidden)"}
    made = study(build=builds, arms=arms, controls=["twin"])
    with pytest.raises(ValueError, match=r"arm 'twin': .*features"):
        made.run(verbose=False)


def test_starts_are_kept_by_seed():
    build_twins = twin.TwinBuild(build, "main")
    arm = twin.TwinBuild(build, "main")
    assert build_twins is not arm
    starts, x = Starts(build), Rows(plain)(0).train[0]
    first = starts(build_twins, 0, x)
    again = Starts(build)(arm, 0, x)
    np.testing.assert_array_equal(first["helper"][0], again["helper"][0])
    other = starts(build_twins, 1, x)
    assert (other["helper"][0] != first["helper"][0]).any()
