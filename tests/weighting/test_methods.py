"""Weightings as pure functions: their papers' formulas, over 50 steps."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from keras import ops

from coloss import weighting
from coloss.weighting import METHODS, Summand, Uncertainty
from coloss.weighting.adam import start, step
from tests.weighting.references import REFERENCES, Adam

pytestmark = pytest.mark.backend
STEPS, K = 50, 4
METHOD = sorted(METHODS)


def data():
    rng = np.random.default_rng(5)
    trend = np.linspace(2.0, 0.5, STEPS)[:, None] ** rng.uniform(0.5, 2.0, K)
    losses = trend * rng.uniform(0.7, 1.3, (STEPS, K)) * [1.0, 0.1, 5.0, 1.0]
    jacobians = rng.normal(size=(STEPS, K, 6))
    gramians = jacobians @ jacobians.transpose(0, 2, 1)
    return losses, np.repeat(np.arange(5), 10), gramians


def tensors(arrays):
    return {key: ops.convert_to_tensor(value) for key, value in arrays.items()}


def run(method, losses, epochs, gramians):
    state = tensors(method.init(losses.shape[1]))
    for row, epoch, gramian in zip(losses, epochs, gramians, strict=True):
        weights, state = method.update(
            state,
            ops.convert_to_tensor(row.astype("float32")),
            epoch=ops.convert_to_tensor(float(epoch), dtype="float32"),
            gramian=ops.convert_to_tensor(gramian.astype("float32")),
        )
        yield ops.convert_to_numpy(weights)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_fifty_steps_are_those_of_the_paper(name):
    found = list(run(METHODS[name](), *data()))
    expected = list(REFERENCES[name](*data()))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_adam_is_adam():
    rng = np.random.default_rng(0)
    mine, state, reference = ops.ones((3,)), tensors(start(3)), Adam(0.1)
    value = np.ones(3)
    for gradient in rng.normal(size=(20, 3)):
        value = reference(value, gradient)
        g = ops.convert_to_tensor(gradient.astype("float32"))
        mine, state = step(mine, g, state, 0.1)
    np.testing.assert_allclose(ops.convert_to_numpy(mine), value, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "entry", "kinds", "optimum"),
    [
        (Uncertainty(), "log_variance", ["mixed"] * 2, lambda loss: 1 / (2 * loss)),
        (Uncertainty(), "log_variance", ["regression"] * 2, lambda x: 1 / (2 * x)),
        (weighting.IMTLL(), "log_scale", None, lambda loss: 1 / loss),
    ],
)
def test_trained_weights_have_the_optimum_of_the_paper(method, entry, kinds, optimum):
    losses = np.array([0.2, 3.0], "float32")
    state = method.init(2, kinds)
    # The gradient of sum w L + penalty, by central differences, is 0 there.
    factor = state.get("factor", np.ones(2, "float32"))
    sign = -1.0 if entry == "log_variance" else 1.0
    state[entry] = (sign * np.log(optimum(losses) / factor)).astype("float32")

    def total(shift):
        moved = tensors({**state, entry: (state[entry] + shift).astype("float32")})
        values = ops.convert_to_tensor(losses)
        weights, _ = method.update(moved, values)
        return float(ops.sum(weights * values) + method.penalty(moved))

    weights, _ = method.update(tensors(state), ops.convert_to_tensor(losses))
    np.testing.assert_allclose(
        ops.convert_to_numpy(weights), optimum(losses), rtol=1e-5
    )
    for shift in ([0.05, 0.0], [0.0, 0.05]):
        shift = np.array(shift, "float32")
        assert total(shift) > total(0.0 * shift) < total(-shift)


def test_random_weights_have_mean_1_and_differ_from_step_to_step():
    method, seed = weighting.RandomWeights(), keras.random.SeedGenerator(1)
    values = ops.ones((3,))
    found = [
        ops.convert_to_numpy(method.update({}, values, seed=seed)[0]) for _ in range(3)
    ]
    np.testing.assert_allclose(np.sum(found, axis=1), 3.0, rtol=1e-5)
    assert not np.allclose(found[0], found[1])


def pareto(own, other):
    jacobian = np.array([own, other], "float32")
    gramian = ops.convert_to_tensor(jacobian @ jacobian.T)
    mask = ops.convert_to_tensor(np.array([1.0, 0.0], "float32"))
    weights, _ = weighting.MMPareto().update({}, mask, gramian=gramian)
    return ops.convert_to_numpy(weights), jacobian


def test_mmpareto_adds_where_gradients_agree():
    weights, _ = pareto([1.0, 0.0], [1.0, 2.0])
    np.testing.assert_allclose(weights, [1.5, 1.5], rtol=1e-6)


def test_mmpareto_goes_between_gradients_that_conflict_and_keeps_the_size():
    weights, jacobian = pareto([1.0, 0.0], [-2.0, 1.0])
    combined = weights @ jacobian
    # The point of least norm is at right angles to the difference of both.
    assert abs(combined @ (jacobian[0] - jacobian[1])) < 1e-5
    assert (jacobian @ combined > 0).all()
    size = np.linalg.norm(jacobian.sum(0))
    assert np.linalg.norm(combined) == pytest.approx(1.5 * max(size, 2 * 0.1**0.5))


def test_mmpareto_does_not_blow_up_rounding_where_nothing_can_be_gained():
    weights, _ = pareto([1.0, 0.0], [-2.0, 0.0])
    assert np.isfinite(weights).all()
    assert np.abs(weights).max() < 10


def blend(train, held):
    """Run GradientBlending over epochs of two batches each."""
    method = weighting.GradientBlending()
    state, found = tensors(method.init(2)), []
    for epoch, (now, later) in enumerate(zip(train, held, strict=True)):
        for shift in (0.1, -0.1):
            values = ops.convert_to_tensor(np.array(now, "float32") + shift)
            time = ops.convert_to_tensor(float(epoch), dtype="float32")
            weights, state = method.update(state, values, epoch=time)
        values = ops.convert_to_tensor(np.array(later, "float32"))
        state = tensors(method.validate(state, values, 3.0))
        found.append(ops.convert_to_numpy(weights))
    return found


def test_gradient_blending_weighs_gain_by_squared_overfitting():
    train = [[1.0, 1.0], [0.5, 0.5], [0.4, 0.4]]
    held = [[1.2, 1.2], [0.9, 1.1], [0.9, 1.1]]
    found = blend(train, held)
    np.testing.assert_array_equal(found[:2], np.ones((2, 2)))
    gain = np.array([0.3, 0.1])
    spread = np.array([0.9 - 0.5, 1.1 - 0.5]) - 0.2
    raw = gain / spread**2
    np.testing.assert_allclose(found[2], 2 * raw / raw.sum(), rtol=1e-4)


def test_gradient_blending_gives_no_weight_to_a_network_that_gains_nothing():
    found = blend([[1, 1], [0.5, 0.5], [0.4, 0.4]], [[1.2, 1.2], [0.9, 1.5], [1, 1]])
    np.testing.assert_allclose(found[2], [2.0, 0.0])
    found = blend([[1, 1], [0.5, 0.5], [0.4, 0.4]], [[1.2, 1.2], [1.3, 1.5], [1, 1]])
    np.testing.assert_allclose(found[2], [1.0, 1.0])


def test_a_nan_is_not_lost():
    for name in ("geometric_mean", "famo", "minimax", "dwa", "agm"):
        values = ops.convert_to_tensor(np.array([1.0, np.nan], "float32"))
        state = tensors(METHODS[name]().init(2))
        epoch = ops.zeros(())
        weights, new = METHODS[name]().update(state, values, epoch=epoch)
        seen = [weights, *new.values()]
        assert any(np.isnan(ops.convert_to_numpy(v)).any() for v in seen), name


@pytest.mark.parametrize("name", METHOD)
def test_a_method_goes_to_json_and_back(name):
    method = METHODS[name]()
    saved = json.loads(json.dumps(METHODS.to_config(method)))
    assert (
        METHODS.resolve(saved)
        == method
        == METHODS.resolve(name)
        == METHODS.resolve(METHODS[name])
    )


@pytest.mark.parametrize("name", METHOD)
def test_state_keeps_its_names_and_shapes(name):
    method = METHODS[name]()
    state = method.init(2)
    known = {
        "epoch": ops.ones(()),
        "seed": keras.random.SeedGenerator(0),
        "gramian": ops.eye(2),
    }
    weights, new = method.update(tensors(state), ops.ones((2,)), **known)
    assert tuple(weights.shape) == (2,)
    assert set(new) == set(state)
    for key, value in new.items():
        assert tuple(value.shape) == state[key].shape, key


@pytest.mark.parametrize("name", [n for n in METHOD if METHODS[n].positive])
def test_a_signed_summand_is_refused_by_name(name):
    method = METHODS[name]()
    method.check([Summand("a"), Summand("w*b", 0.0)])
    with pytest.raises(ValueError, match=r"`w\*\(a - b\)` can be negative"):
        method.check([Summand("a"), Summand("w*(a - b)", -np.inf)])
    with pytest.raises(ValueError, match="window"):
        method.check([Summand("a"), Summand("distill(a >> b)", windowed=True)])


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="did you mean 'uncertainty'"):
        METHODS.resolve("uncertanty")
    with pytest.raises(TypeError, match="or its name"):
        METHODS.resolve(3)
    for make in (
        lambda: weighting.DWA(temperature=0),
        lambda: weighting.FAMO(rate=-1),
        lambda: weighting.OGMGE(noise=1),
        lambda: weighting.AGM(most="7"),
        lambda: weighting.GradNorm(alpha=float("nan")),
    ):
        with pytest.raises((TypeError, ValueError), match="must be"):
            make()
