"""How each kind of weighting acts on a step, and what it leaves behind."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from coloss import aggregation, weighting
from coloss.joint import JointModel
from coloss.joint.balance.plan import PLAIN
from coloss.joint.balance.state import Balance
from coloss.joint.balance.weighers import Scores

pytestmark = pytest.mark.backend
random = np.random.default_rng(0)


def network(name):
    dense = keras.layers.Dense(3, "softmax")
    return keras.Sequential([keras.Input((2,)), dense], name=name)


def balance_of(objective="a + b", **options):
    model = JointModel({"a": network("a"), "b": network("b")})
    model.compile(
        keras.optimizers.SGD(0.1),
        loss="sparse_categorical_crossentropy",
        objective=objective,
        **options,
    )
    return model.auxiliary.balance


def scores(numbers, rows):
    return Scores(
        ops.convert_to_tensor(numbers, dtype="float32"),
        ops.convert_to_tensor(rows, dtype="float32"),
    )


@pytest.mark.parametrize("rows", [(3.0, 0.0), (0.0, 3.0), (0.0, 0.0)])
def test_a_batch_in_which_one_network_has_no_labels_sets_no_pace(rows):
    balance = balance_of(weighting=weighting.AGM())
    # Of the first step nothing is known yet; in the second the lead changes.
    balance.weigher.pace(scores((0.9, 0.3), (4.0, 4.0)), None)
    balance.weigher.pace(scores((0.4, 0.5), (4.0, 4.0)), None)
    before = balance.weighting_state.numpy()
    assert not np.allclose(ops.convert_to_numpy(balance.rates()), 1.0)
    balance.weigher.pace(scores((0.1, 0.8), rows), None)
    np.testing.assert_array_equal(ops.convert_to_numpy(balance.rates()), [1.0, 1.0])
    for key, value in balance.weighting_state.numpy().items():
        np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize("rows", [(2.0, 5.0), (5.0, 2.0)])
def test_validation_weighs_as_much_as_the_network_with_the_fewest_rows(rows):
    balance = balance_of(weighting=weighting.GradientBlending())
    balance.weigher.forget_validation()
    balance.set_gate(True)
    balance.weigher.validate(scores((0.5, 2.0), rows))
    found = balance.weighting_state.numpy()
    np.testing.assert_allclose(found["validation_rows"], 2.0)
    np.testing.assert_allclose(found["validation"], [1.0, 4.0], rtol=1e-6)


def test_an_evaluation_that_is_no_validation_counts_nothing():
    balance = balance_of(weighting=weighting.GradientBlending())
    balance.set_gate(False)
    balance.weigher.validate(scores((0.5, 2.0), (2.0, 5.0)))
    assert not np.any(balance.weighting_state.numpy()["validation_rows"])


def test_noise_moves_kernels_and_no_biases():
    balance = balance_of(weighting=weighting.OGMGE(noise=True))
    kernel = ops.convert_to_tensor(random.normal(size=(40, 30)).astype("float32"))
    bias = ops.convert_to_tensor(random.normal(size=30).astype("float32"))
    moved, still = balance.weigher.noised([kernel, bias])
    np.testing.assert_array_equal(
        ops.convert_to_numpy(still), ops.convert_to_numpy(bias)
    )
    noise = ops.convert_to_numpy(moved) - ops.convert_to_numpy(kernel)
    # Normal, as wide as the gradient's own values.
    assert abs(noise.std() / ops.convert_to_numpy(kernel).std() - 1) < 0.1
    assert abs(noise.mean()) < 0.1


def test_without_a_weighting_nothing_is_weighed():
    balance = Balance(PLAIN)
    values = ops.ones((2,))
    assert balance.weigher.weigh(values, None).weights is None
    assert balance.weigher.in_groups([], [], values) == []
    assert balance.weigher.noised([values])[0] is values
    assert balance.rates() is None
    assert not balance.own_step
    assert balance.variables == []


def test_what_an_aggregator_remembers_goes_into_its_next_step():
    objective = "a + b + match_logits(b >> a) + match_logits(a >> b)"
    method = aggregation.GradVac()
    balance = balance_of(objective, aggregator=method)
    states = [one.numpy() for one in balance.aggregator_states]
    assert any(states)
    values = ops.ones((4,), dtype="float32")
    for step in range(3):
        gramians = []
        for group in balance.groups:
            rows = random.normal(size=(len(group.summands), 5)).astype("float32")
            gramians.append(ops.convert_to_tensor(rows @ rows.T))
        found = balance.aggregate(gramians, values)
        for index, (group, gramian) in enumerate(
            zip(balance.groups, gramians, strict=True)
        ):
            bound = method.bind([balance.plan.names[k] for k in group.summands])
            expected, states[index] = bound.update(states[index], gramian, seed=step)
            if not method.draws:
                np.testing.assert_allclose(
                    ops.convert_to_numpy(found[index]),
                    ops.convert_to_numpy(expected),
                    rtol=1e-5,
                )
            for key, value in balance.aggregator_states[index].numpy().items():
                np.testing.assert_allclose(
                    value, ops.convert_to_numpy(states[index][key]), rtol=1e-5
                )
    started = method.init(len(balance.groups[0].summands))
    assert any(not np.allclose(states[0][key], started[key]) for key in started)
