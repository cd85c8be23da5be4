"""What does an objective of all seventeen terms cost beside a hand-written scan of it?

Three classifiers of the demo's sizes, half of the rows unlabeled, every transfer term
once, two of them behind gates, three accuracies. By hand: one `lax.scan` an epoch over
the same functions of the terms (`coloss.transfer`), the masks, the gates' running
accuracies, the trained maps of `vid` and Adam written out; nothing of `JointModel`.
The two must begin with the same loss: that is looked at before anything is timed.

Run: KERAS_BACKEND=jax python benchmarks/terms.py [--processor]
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial

import jax
import keras
import numpy as np
from jax import numpy as jnp

import coloss
from coloss import transfer

WIDTHS = {"a": 64, "b": 16, "c": 20}
HIDDEN, CLASSES, BATCH, RATE = 64, 10, 64, 1e-3
FIRST_RAW = float(np.log(np.expm1(5.0)))
TERMS = (
    'distill(b >> a, gate="network")',
    'match_logits(c >> a, gate="network")',
    "mutual(b, c)",
    "dkd(c >> a)",
    "dist(b >> a)",
    "consensus((b, c) >> a)",
    "coteach((b, c) >> a)",
    "pseudo_label(a)",
    "hint(b.hidden >> a.hidden)",
    "vid(c.hidden >> a.hidden)",
    "attention(b.map >> a.map)",
    "contrast(c.hidden >> a.hidden, dimension=None)",
    "cka(b.hidden >> a.hidden)",
    "sp(c.hidden >> a.hidden)",
    "rkd_distance(b.hidden >> a.hidden)",
    "rkd_angle(c.hidden >> a.hidden)",
    "pkt(b.hidden >> a.hidden)",
)


def networks() -> dict[str, keras.Model]:
    """Return networks that start alike on every call."""
    keras.utils.set_random_seed(0)
    return {
        name: keras.Sequential(
            [
                keras.Input((width,), name=name),
                keras.layers.Dense(HIDDEN, "relu", name="hidden"),
                keras.layers.Reshape((8, 8), name="map"),
                keras.layers.Flatten(),
                keras.layers.Dense(CLASSES),
            ]
        )
        for name, width in WIDTHS.items()
    }


def rows(steps: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return inputs by member, and labels; -1 for half of them."""
    rng = np.random.default_rng(0)
    count = steps * BATCH
    x = {n: rng.normal(size=(count, w)).astype("f4") for n, w in WIDTHS.items()}
    y = rng.integers(0, CLASSES, count).astype("int32")
    y[rng.random(count) < 0.5] = -1
    return x, y


def joint(x, y):
    """Return `fit` as a function of the epochs, and the loss before it."""
    model = coloss.JointModel(networks())
    model.compile(
        keras.optimizers.Adam(RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        objective=" + ".join([*WIDTHS, *TERMS]),
        metrics=["accuracy"],
    )
    batch = {name: values[:BATCH] for name, values in x.items()}
    first = model.evaluate(batch, y[:BATCH], batch_size=BATCH, verbose=0)
    projectors = model.auxiliary.projectors.variables
    return model, first[0], [np.array(v.value) for v in projectors]


def hand_loss(weights, maps, gates, x, y):
    """Return the loss of all terms, and (3,) how many rows each network has right."""
    hidden, logits = {}, {}
    for name, (kernel, bias, out, shift) in weights.items():
        hidden[name] = jax.nn.relu(x[name] @ kernel + bias)
        logits[name] = hidden[name] @ out + shift
    stop = jax.lax.stop_gradient
    known = y >= 0
    classes = jnp.where(known, y, 0)
    count = jnp.maximum(jnp.sum(known), 1)
    losses = {
        name: -jnp.take_along_axis(
            jax.nn.log_softmax(values), classes[:, None], axis=1
        )[:, 0]
        for name, values in logits.items()
    }
    a, b, c = logits["a"], logits["b"], logits["c"]
    ha, hb, hc = hidden["a"], stop(hidden["b"]), stop(hidden["c"])
    t = transfer
    total = sum(jnp.sum(jnp.where(known, one, 0)) / count for one in losses.values())
    total += gates[0] * t.distill(a, stop(b)) + gates[1] * t.match_logits(a, stop(c))
    total += t.mutual(b, stop(c)) + t.mutual(c, stop(b))
    total += t.dkd(a, stop(c), classes, mask=known) + t.dist(a, stop(b))
    total += t.consensus(a, stop(b), stop(c), labels=y)
    total += t.coteach(losses["a"], stop(losses["b"]), stop(losses["c"]), mask=known)
    total += t.pseudo_label(a, mask=~known)
    total += t.hint(ha, hb) + t.vid(ha @ maps[0], hc, maps[1])
    total += t.attention(ha.reshape(-1, 8, 8), hb.reshape(-1, 8, 8))
    total += t.contrast(ha, hc) + t.cka(ha, hb) + t.sp(ha, hc)
    total += t.rkd_distance(ha, hb) + t.rkd_angle(ha, hc) + t.pkt(ha, hb)
    right = [jnp.sum((jnp.argmax(v, -1) == y) & known) for v in logits.values()]
    return total, jnp.stack(right).astype("float32")


def hand_scan(x, y, maps):
    """Return a scan an epoch as a function of the epochs, and the loss before it."""
    weights = {n: [v.value for v in net.variables] for n, net in networks().items()}
    trained = jax.tree.map(jnp.copy, (weights, maps))
    zeros = jax.tree.map(jnp.zeros_like, trained)
    data = jax.device_put((x, y))

    def loss_of(trained, gates, x, y):
        return hand_loss(*trained, gates, x, y)

    def step(state, batch):
        trained, first, second, number, sums = state
        shares = sums["right"] / jnp.maximum(sums["rows"], 1)
        running = dict(zip(WIDTHS, shares, strict=True))
        helpers = ("b", "c")
        gates = [transfer.network_gate(running["a"], running[n]) for n in helpers]
        (loss, right), grads = jax.value_and_grad(loss_of, has_aux=True)(
            trained, gates, *batch
        )
        number = number + 1
        rate = RATE * jnp.sqrt(1 - 0.999**number) / (1 - 0.9**number)
        first = jax.tree.map(lambda m, g: m + 0.1 * (g - m), first, grads)
        second = jax.tree.map(lambda v, g: v + 0.001 * (g * g - v), second, grads)
        trained = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), trained, first, second
        )
        sums = {
            "right": sums["right"] + right,
            "rows": sums["rows"] + jnp.sum(batch[1] >= 0),
            "loss": sums["loss"] + loss,
        }
        return (trained, first, second, number, sums), None

    @partial(jax.jit, donate_argnums=0)
    def epoch(state, data, order):
        def body(state, chosen):
            return step(state, jax.tree.map(lambda a: a[chosen], data))

        return jax.lax.scan(body, state, order)[0]

    start = {"right": jnp.zeros(3), "rows": jnp.zeros(()), "loss": jnp.zeros(())}
    state = (trained, zeros, jax.tree.map(jnp.copy, zeros), jnp.zeros(()), start)
    batch = ({n: a[:BATCH] for n, a in x.items()}, y[:BATCH])
    before = float(jax.jit(loss_of)(trained, [0.0, 0.0], *batch)[0])

    def train(epochs):
        nonlocal state
        history = []
        for _ in range(epochs):
            order = np.random.permutation(len(y)).astype("int32")
            state = epoch(state, data, order.reshape(-1, BATCH))
            history.append(jax.device_get(state[-1]))
        return history

    return train, before


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--processor", action="store_true", help="time of processors")
    arguments = parser.parse_args()
    x, y = rows(arguments.steps)
    model, ours, maps = joint(x, y)
    train, theirs = hand_scan(x, y, maps)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    fit = partial(model.fit, x, y, batch_size=BATCH, verbose=0)
    ways = {"fit": lambda epochs: fit(epochs=epochs), "scan": train}
    clock = time.process_time if arguments.processor else time.perf_counter
    found: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(2)
    for turn in range(arguments.rounds):
        for name in sorted(ways, reverse=bool(turn % 2)):
            start = clock()
            ways[name](arguments.epochs)
            steps = arguments.epochs * arguments.steps
            found[name].append(1000 * (clock() - start) / steps)
    ratios = [f / s for f, s in zip(found["fit"], found["scan"], strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    what = "processor" if arguments.processor else "wall"
    print(
        f"{len(TERMS)} terms, {arguments.steps} steps an epoch, {what} time: fit "
        f"{min(found['fit']):.3f} ms a step, scan {min(found['scan']):.3f}; ratio "
        f"{statistics.median(ratios):.2f} ({quartiles[0]:.2f} to {quartiles[2]:.2f})"
    )


if __name__ == "__main__":
    main()
