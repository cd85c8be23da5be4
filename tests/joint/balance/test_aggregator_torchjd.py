"""Whole training runs equal a loop written with TorchJD (PyTorch only)."""

from __future__ import annotations

import keras
import numpy as np
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("TorchJD runs on PyTorch", allow_module_level=True)

import torch
from torchjd import aggregation as reference
from torchjd.autojac import backward, jac_to_grad, mtl_backward
from torchjd.linalg import QuadprogProjector

from coloss.joint import JointModel

pytestmark = pytest.mark.backend
EXACT = QuadprogProjector(norm_eps=1e-8, reg_eps=1e-7)
METHODS = {
    "upgrad": lambda: reference.UPGrad(projector=EXACT),
    "mgda": lambda: reference.MGDA(epsilon=1e-9, max_iters=20),
    "pcgrad": reference.PCGrad,
}
STEPS, ROWS, RATE = 50, 16, 0.1


def layer(size, name, seed):
    kernel = keras.initializers.RandomNormal(stddev=0.7, seed=seed)
    return keras.layers.Dense(size, name=name, kernel_initializer=kernel)


def data():
    rng = np.random.default_rng(1)
    x = {n: rng.normal(size=(STEPS * ROWS, 3)).astype("float32") for n in "ab"}
    y = {n: rng.normal(size=(STEPS * ROWS, 2)).astype("float32") for n in "ab"}
    return x, y


def shared():
    """Two heads on one trunk."""
    trunk, inputs = layer(4, "trunk", 0), keras.Input((3,))
    body = keras.activations.tanh(trunk(inputs))
    return {
        n: keras.Model(inputs, layer(2, n, i + 1)(body)) for i, n in enumerate("ab")
    }


def apart():
    """Two networks without common layers."""
    return {
        n: keras.Sequential(
            [keras.Input((3,)), layer(4, "body", i), layer(2, "out", i + 5)]
        )
        for i, n in enumerate("ab")
    }


def values(members):
    return [np.array(w) for m in members.values() for w in m.get_weights()]


def batches(x, y):
    for start in range(0, STEPS * ROWS, ROWS):
        part = slice(start, start + ROWS)
        yield (
            {n: torch.from_numpy(v[part]) for n, v in x.items()},
            {n: torch.from_numpy(v[part]) for n, v in y.items()},
        )


def by_torchjd(members, objective, method, x, y):
    mse = torch.nn.functional.mse_loss
    parameters = {
        n: [v.value for v in m.trainable_variables] for n, m in members.items()
    }
    everything = list({id(p): p for ps in parameters.values() for p in ps}.values())
    optimizer = torch.optim.SGD(everything, RATE)
    for inputs, labels in batches(x, y):
        optimizer.zero_grad()
        if objective == "a + b":
            trunk = members["a"].get_layer("trunk")
            hidden = torch.tanh(trunk(inputs["a"]))
            losses = [mse(members[n].get_layer(n)(hidden), labels[n]) for n in "ab"]
            common = [v.value for v in trunk.trainable_variables]
            mtl_backward(losses, features=hidden)
            jac_to_grad(common, method)
        else:
            outputs = {n: members[n](inputs[n]) for n in "ab"}
            own = mse(outputs["a"], labels["a"])
            taught = 3 * mse(outputs["a"], outputs["b"].detach())
            backward([own, taught], inputs=parameters["a"])
            jac_to_grad(parameters["a"], method)
            mse(outputs["b"], labels["b"]).backward(inputs=parameters["b"])
        optimizer.step()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("build", "objective"),
    [(shared, "a + b"), (apart, "a + b + 3*match_logits(b >> a)")],
    ids=["shared", "taught"],
)
def test_fifty_steps_are_those_of_torchjd(name, build, objective):
    x, y = data()
    if build is shared:
        x["b"] = x["a"]
    members, others = build(), build()
    for one, other in zip(members.values(), others.values(), strict=True):
        other.set_weights(one.get_weights())
    start = values(members)
    model = JointModel(members)
    model.compile(
        keras.optimizers.SGD(RATE), loss="mse", objective=objective, aggregator=name
    )
    model.fit(x, y, batch_size=ROWS, shuffle=False, verbose=0)
    assert any(one.share > 0.1 for one in model.conflicts)
    by_torchjd(others, objective, METHODS[name](), x, y)
    for found, expected, before in zip(
        values(members), values(others), start, strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert np.abs(found - before).max() > 1e-2
