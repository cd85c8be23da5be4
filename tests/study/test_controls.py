"""Controls and references: what a gain has to beat."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from coloss.data import Split
from coloss.objective import Objective
from coloss.study import controls
from coloss.study.references import STRENGTHS, references
from coloss.study.trial import Rows

TAUGHT = "main + w*helper - 0.5*distill(helper >> main)/2"


def test_equal_weights_keep_every_summand_and_its_sign():
    found = controls.equal_weights(TAUGHT, ["w"])["objective"]
    assert Objective(found) == Objective("main + helper - distill(helper >> main)")
    signed = controls.equal_weights("w1*a + w2*(a - b) - -3*c", ["w1", "w2"])
    assert Objective(signed["objective"]) == Objective("a + (a - b) + c")


def test_random_weights_are_drawn_anew_each_epoch_with_mean_one():
    arm = controls.random_weights(TAUGHT, ["w"])
    assert len(Objective(arm["objective"]).summands) == 3
    weights = list(arm["coefficients"].values())
    drawn = np.array([[weight(epoch) for weight in weights] for epoch in range(200)])
    np.testing.assert_allclose(drawn.mean(axis=1), 1.0)
    assert (drawn > 0).all()
    assert len(np.unique(drawn[:, 0])) == 200
    # No summand is preferred; the standard error of each mean is about 0.05.
    np.testing.assert_allclose(drawn.mean(axis=0), 1.0, atol=0.2)
    again = controls.random_weights(TAUGHT, ["w"])["coefficients"]["random_2"]
    assert again(7) == drawn[7, 1]


def test_one_summand_has_no_random_weight():
    with pytest.raises(ValueError, match="at least 2 summands"):
        controls.random_weights("main")


@pytest.mark.parametrize(
    ("objective", "is_one"),
    [
        ("main", False),
        ("main + pseudo_label(main)", True),
        ("main + pseudo_label(main) + distill(helper >> main)", False),
        (None, False),
    ],
)
def test_self_training_is_recognized(objective, is_one):
    assert controls.is_control(objective) is is_one


def test_controls_are_arms_by_name(study):
    made = study(
        arms={"taught": TAUGHT}, coefficients={"w": 2.0}, controls=controls.CONTROLS
    )
    assert list(made.arms) == [*controls.CONTROLS, "taught"]
    assert made.baseline == "alone"
    marked = [name for name, arm in made.arms.items() if arm.control]
    assert marked == list(controls.CONTROLS[1:])


def test_random_weights_move_in_a_study(study):
    made = study(arms={"taught": "main + helper"}, controls=["random weights"], seeds=1)
    result = made.run(verbose=False, references=True)
    rows = result.history[result.history["arm"] == "random weights"]
    expected = [controls.RandomWeight(1, 2)(epoch) for epoch in range(3)]
    np.testing.assert_allclose(rows["random_2"], expected, rtol=1e-6)
    assert result.controls == ("random weights",)
    assert result.references["mean"].between(0, 1).all()


def _blobs(seed):
    random = np.random.default_rng(seed)

    def part(rows, unlabeled=0):
        y = random.integers(0, 3, rows)
        x = {
            "main": random.normal(y[:, None], 2.0, (rows, 2)),
            "helper": random.normal(y[:, None, None], 1.0, (rows, 2, 2)),
        }
        y[:unlabeled] = -1
        return x, y

    return Split(part(60, unlabeled=20), part(30), part(40))


def test_references_are_those_of_scikit_learn():
    table = references(Rows(_blobs), [0, 1, 2], "main")
    assert list(table.index) == [
        "logistic regression, all inputs",
        "SVM, all inputs",
        "logistic regression, inputs of main",
        "SVM, inputs of main",
    ]
    found = []
    for seed in range(3):
        split = _blobs(seed)
        (x, y), validation, test = split.train, split.validation, split.test
        scale = StandardScaler().fit(x["main"][y >= 0])
        models = [
            LogisticRegression(C=c).fit(scale.transform(x["main"][y >= 0]), y[y >= 0])
            for c in STRENGTHS
        ]

        def score(model, part, scale=scale):
            return model.score(scale.transform(part[0]["main"]), part[1])

        best = max(models, key=lambda m: score(m, validation))
        found.append(score(best, test))
    mean = table.loc["logistic regression, inputs of main", "mean"]
    assert mean == pytest.approx(np.mean(found))
    # The helper's inputs say more.
    assert table.loc["SVM, all inputs", "mean"] > mean


def test_references_take_one_hot_labels_and_missing_inputs():
    def changed(seed):
        split = _blobs(seed)

        def part(x, y):
            x["helper"][:5] = np.nan
            one_hot = np.eye(3)[y]
            one_hot[y < 0] = np.nan
            return x, {"main": one_hot, "helper": y}

        return Split(*(part(*p) for p in (split.train, split.validation, split.test)))

    assert references(Rows(changed), [0, 1], "main")["mean"].between(0, 1).all()


def test_references_of_numbers_are_ridge_regressions():
    random = np.random.default_rng(0)

    def part(rows):
        x = random.normal(size=(rows, 2))
        y = x @ [1.0, -2.0] + random.normal(0, 1, rows) + 50.0
        y[::5] = np.nan
        return {"main": x}, y

    split = Split(part(30), part(20), part(25))
    table = references(Rows(split), [0, 1], "main")
    assert list(table.index) == ["ridge regression, inputs of main"]
    kept = [(x["main"][~np.isnan(y)], y[~np.isnan(y)]) for x, y in vars(split).values()]
    (x, y), validation, test = kept
    scale = StandardScaler().fit(x)
    found = []
    for strength in STRENGTHS:
        design = scale.transform(x)
        center = y.mean()
        # In closed form: scaled columns have mean 0.
        gram = design.T @ design + np.eye(2) / strength
        slope = np.linalg.solve(gram, design.T @ (y - center))

        def r2(part, slope=slope, center=center):
            guess = scale.transform(part[0]) @ slope + center
            residual = ((part[1] - guess) ** 2).sum()
            return 1 - residual / ((part[1] - part[1].mean()) ** 2).sum()

        found.append((r2(validation), r2(test)))
    assert table["mean"].iloc[0] == pytest.approx(max(found)[1])
