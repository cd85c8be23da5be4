"""What a study accepts, which runs it makes, and what it refuses before training."""

from __future__ import annotations

import keras
import pytest
from scipy import stats

import coloss


def test_an_arm_has_a_run_for_each_seed_and_point_that_its_objective_names(study):
    made = study(
        arms={
            "alone": "main",
            "one": "main + w*helper",
            "two": "main + w*helper + v*distill(helper >> main)",
        },
        coefficients={"w": [0.1, 1.0], "v": [1, 2, 3]},
        seeds=5,
    )
    counts = {name: 0 for name in made.arms}
    for run in made.runs:
        counts[run.arm] += 1
    assert counts == {"alone": 5, "one": 10, "two": 30}
    assert len({run.key for run in made.runs}) == 45


def test_distributions_are_sampled_alike_in_every_arm(study):
    made = study(
        arms={"a": "main + w*helper", "b": "main - w*helper"},
        coefficients={"w": stats.loguniform(0.1, 10.0)},
        samples=4,
        seeds=1,
    )
    points = {arm: [r.values for r in made.runs if r.arm == arm] for arm in "ab"}
    assert points["a"] == points["b"]
    assert len(set(points["a"])) == 4
    assert all(0.1 <= point[0][1] <= 10.0 for point in points["a"])


def test_an_objective_may_be_built_with_operators(study):
    made = study(arms={"alone": coloss.loss("main"), "both": None})
    assert made.arms["alone"].objective == "main"
    assert made.arms["both"].objective is None
    assert made.baseline == "alone"


def _no_metric_of_main():
    return {"metrics": {"helper": ["accuracy"]}}


REFUSED = [
    ({"controls": ["alonee"]}, ValueError, "did you mean 'alone'"),
    ({"controls": ["alone"]}, ValueError, "there is an arm 'alone' already"),
    ({"controls": {"equal weights": "tauht"}}, ValueError, "did you mean 'taught'"),
    ({"arms": {"a": "main"}, "controls": ["random weights"]}, ValueError, "has a sum"),
    ({"arms": {}}, ValueError, "`arms` must map names"),
    ({"arms": {"a": "main +"}}, ValueError, "column"),
    ({"arms": {"a": {"objetive": "main"}}}, ValueError, "did you mean 'objective'"),
    ({"arms": {"a": lambda: "main"}}, TypeError, "objective or a dict"),
    ({"build": "model"}, TypeError, "`build` must be a function"),
    ({"data": 3}, TypeError, "`data` must be a coloss.data.Split"),
    ({"coefficients": {"v": 1.0}}, ValueError, "in no arm's objective"),
    ({"seeds": 0}, ValueError, "`seeds`"),
    ({"seeds": [1, 1]}, ValueError, "each once"),
    ({"seeds": 2.0}, TypeError, "`seeds`"),
    ({"epochs": 0}, ValueError, "`epochs` must be a whole number, 1 or more"),
    ({"batch_size": 2.5}, TypeError, "`batch_size` must be a whole number"),
    ({"patience": 0}, ValueError, "`patience`"),
    ({"baseline": "alnoe"}, ValueError, "did you mean 'alone'"),
]


@pytest.mark.parametrize(("options", "error", "message"), REFUSED)
def test_refused_without_a_network(options, error, message, study):
    with pytest.raises(error, match=message):
        study(**options)


def test_a_coefficient_list_must_hold_numbers(study):
    arms = {"a": "main + w*helper"}
    with pytest.raises(ValueError, match="expected a list of numbers"):
        study(arms=arms, coefficients={"w": ["x"]})
    with pytest.raises(ValueError, match="`samples` must say"):
        study(arms=arms, coefficients={"w": stats.uniform()})


REFUSED_BY_RUN = [
    ({"main": "mian"}, {}, "did you mean 'main'"),
    ({"metric": "main_acuracy"}, {}, "did you mean 'main_accuracy'"),
    ({"arms": {"alone": "main", "b": "main + helpr"}}, {}, "arm 'b'.*helpr"),
    ({}, {"engine": "jaxx"}, "did you mean 'jax'"),
    ({}, {"engine": "sequential", "chunk": 3}, "no option 'chunk'"),
    ({"build": lambda: keras.Sequential()}, {}, "must return a coloss.JointModel"),
    ({"data": lambda seed: None}, {}, "must return a coloss.data.Split"),
]


@pytest.mark.parametrize(("options", "how", "message"), REFUSED_BY_RUN)
def test_refused_before_any_training(options, how, message, study, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("trained")

    monkeypatch.setattr(coloss.JointModel, "train_step", never)
    with pytest.raises((ValueError, TypeError), match=message):
        study(**options).run(verbose=False, **how)


def test_arms_do_not_share_an_optimizer(study):
    """It belongs to the variables that it was built with."""
    given = keras.optimizers.Adam(0.2, weight_decay=0.1)
    given.exclude_from_weight_decay(var_names=["bias"])
    joint = coloss.JointOptimizer({"*": keras.optimizers.SGD(0.3)})
    for optimizer in (given, {"main": given, "*": "sgd"}, joint):
        made = study(
            compile={
                "optimizer": optimizer,
                "loss": "sparse_categorical_crossentropy",
            }
        )
        trials, _ = made.prepare()
        first, second = (trial.joint.optimizer for trial in trials.values())
        assert first is not second
        assert not {id(v) for v in first.variables} & {id(v) for v in second.variables}
    assert not given.built
    trials, _ = study(
        compile={**made.arms["alone"].compile, "optimizer": given}
    ).prepare()
    found = trials["taught"].joint.optimizer
    assert float(found.learning_rate) == pytest.approx(0.2)
    assert found._exclude_from_weight_decay == given._exclude_from_weight_decay


def test_a_learning_rate_cannot_replace_a_schedule(study):
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    made = study(
        compile={
            "optimizer": keras.optimizers.SGD(schedule),
            "loss": "sparse_categorical_crossentropy",
        },
        learning_rates=[0.1],
    )
    with pytest.raises(ValueError, match="has a schedule"):
        made.run(verbose=False)


def test_arms_that_were_looked_at_are_trained_as_they_are_and_once(study, monkeypatch):
    made = study(arms={"alone": "main"}, seeds=2)
    looked_at, _ = made.prepare()
    with_look = made.run("sequential", verbose=False).frame
    built = []
    monkeypatch.setattr(
        type(made), "_trials", lambda self, *more: built.append(1) or looked_at
    )
    again = made.run("sequential", verbose=False).frame
    assert built == [1], "a second run compiles arms of its own"
    columns = [name for name in with_look if name != "seconds"]
    assert with_look[columns].equals(again[columns])


def test_settings_that_change_after_a_look_hold(study):
    made = study(arms={"alone": "main"}, seeds=1)
    made.prepare()
    made.epochs += 2
    [record] = made.run("sequential", verbose=False).records
    assert record.epochs == made.epochs
