"""Fewer passes backwards, the same gradients: summands as combinations."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from coloss import Trainable
from coloss.joint import JointModel
from coloss.joint.balance import state as balance
from coloss.joint.balance.gradient_basis import GradientBasis

pytestmark = pytest.mark.backend
ROWS = 12
random = np.random.default_rng(0)
X = {name: random.normal(size=(ROWS, 3)).astype("float32") for name in "abc"}
Y = {name: random.normal(size=(ROWS, 2)).astype("float32") for name in "abc"}
HOLES = {**X, "a": np.where(np.arange(ROWS)[:, None] % 3 == 0, np.nan, X["a"])}
WEIGHT = random.uniform(size=ROWS).astype("float32")

OBJECTIVES = {
    "question": "a + w*(a - b) + w*(a - c)",
    "gap both ways": "w*(a + b) + a*b/2 + relu(a - b)",
    "a factor that moves": "mean(a)*b + a + 3*mean(b)*a",
    "a factor that moves beside shared losses": "mean(a)*b + a + b + w*b + 2*b + 2*a",
    "losses absent from some summands": "a*b + a + w*a + 2*a + w*b + 3*b + b",
    "a constant that moves": "2*mean(a)*3 + a + b",
    "terms": "a + b + match_logits(b >> a) + w*match_logits((b, c) >> a)",
    "a loss that cancels": "w*(a - a + b) + a + 2*a*w + b",
    "detached": "a + b*stop(a) + w*(a + stop(b))",
}


def network(seed):
    rng = np.random.default_rng(seed)
    layers = [keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)]
    made = keras.Sequential([keras.Input((3,)), *layers])
    made.set_weights([rng.normal(size=w.shape) for w in made.get_weights()])
    return made


def joint(objective, members=None, **options):
    model = JointModel(members or {name: network(ord(name)) for name in "abc"})
    given = {"w": options.pop("w", 0.5)} if "w" in objective else {}
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss="mse",
        objective=objective,
        coefficients=given,
        on_ascent="allow",
        **options,
    )
    return model


def after(model, x=X, **options):
    model.train_on_batch(x, Y, **options)
    return [np.array(w) for name in model for w in model[name].get_weights()]


@pytest.fixture
def summand_by_summand(monkeypatch):
    """Return a function that takes a step with one pass backwards a summand."""

    def plain(self, forms, values, weights, groups, reached, owners):
        self.positions = [group.summands for group in groups]
        self.tables = [None] * len(groups)

    def take(*arguments, x=X, options=None, **how):
        with monkeypatch.context() as patch:
            patch.setattr(GradientBasis, "divide", plain)
            return after(joint(*arguments, **how), x, **(options or {}))

    return take


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_step_is_that_of_one_pass_a_summand(name, summand_by_summand):
    how = {"aggregator": "upgrad", "aggregation_level": "parameter"}
    expected = summand_by_summand(OBJECTIVES[name], **how)
    found = after(joint(OBJECTIVES[name], **how))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize("weighting", ["dwa", "uncertainty", "mmpareto", None])
def test_weights_missing_rows_and_sample_weights_enter(weighting, summand_by_summand):
    objective, how = "a + 0.5*(a + b) + 0.5*(a + c)", {"weighting": weighting}
    if weighting is None:
        objective, how = "exp(-w)*(a + b) + w + a", {"w": Trainable(0.5)}
    if weighting != "mmpareto":
        how |= {"aggregator": "upgrad", "aggregation_level": "parameter"}
    options = {"sample_weight": WEIGHT}
    expected = summand_by_summand(objective, x=HOLES, options=options, **how)
    found = after(joint(objective, **how), HOLES, **options)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_shared_layers_get_the_directions_of_all_their_owners(summand_by_summand):
    def members():
        trunk = network(7)
        heads = {}
        for name in "abc":
            inputs = keras.Input((3,))
            dense = keras.layers.Dense(2, kernel_initializer="ones")
            heads[name] = keras.Model(inputs, dense(trunk(inputs)))
        return heads

    objective = OBJECTIVES["question"]
    expected = summand_by_summand(objective, members(), aggregator="upgrad")
    found = after(joint(objective, members(), aggregator="upgrad"))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize(
    ("objective", "passes"),
    [
        ("a + w*(a - b) + w*(a - c)", {"a": 1}),
        ("a + b + match_logits(b >> a) + match_logits(c >> a)", {"a": 3}),
        ("a + w*(a + b) + w*(a + b + c)", {"a": 1, "b": 1}),
        ("w*(a + b) + a*b + b", {"a": 2, "b": 2}),
        ("mean(a)*b + a + b", {"a": 2, "b": 2}),
    ],
)
def test_passes_backwards_are_counted(objective, passes, monkeypatch):
    seen = {}
    whole = balance.rows_of

    def counted(pull, needed, places):
        names = [group.name for group in model.auxiliary.balance.groups]
        met = [n for n in names if n in passes]
        seen.update(zip(met, map(len, needed), strict=True))
        return whole(pull, needed, places)

    monkeypatch.setattr(balance, "rows_of", counted)
    model = joint(objective, aggregator="upgrad")
    model.train_on_batch(X, Y)
    assert seen == passes
