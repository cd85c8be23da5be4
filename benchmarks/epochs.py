"""What does a whole `fit` cost beside hand-written loops of the same training?

Three classifiers and two distillations, at the demo's sizes and at the question's. Ways
to train an epoch, in turn in one process, medians of the paired ratios:

* `fit`, "auto": `JointModel.fit`, steps in blocks, with its callbacks and its history;
* `fit`, 1: the same with `steps_per_execution=1`;
* Keras: `keras.Model.fit` of one model with the three outputs, the same loss by
  `compute_loss`, and the three accuracies;
* loop: a Python loop over batches cut with NumPy, loss and accuracies summed on the
  device. On JAX a hand-written jitted step (Keras's stateless call, Adam by hand); on
  PyTorch modules, losses and Adam of `torch` alone, no Keras; none on TensorFlow;
* scan: on JAX, the same step in one `lax.scan` an epoch over rows on the device.

Run: KERAS_BACKEND=jax python benchmarks/epochs.py --write benchmarks/epochs.md
     KERAS_BACKEND=tensorflow python benchmarks/epochs.py (the same for torch)
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np

import coloss

BACKEND = keras.backend.backend()
if BACKEND == "jax":
    import jax
    from jax import numpy as jnp
elif BACKEND == "torch":
    import torch

SIZES = {
    "demo": ({"pixels": 64, "strokes": 16, "zones": 20}, (64, 64), 64),
    "question": ({"acoustic": 6373, "visual": 512, "text": 768}, (256, 256), 64),
}
CLASSES, TEMPERATURE, RATE = 10, 4.0, 1e-3


def networks(size: str) -> dict[str, keras.Model]:
    """Return networks that start alike on every call."""
    widths, hidden, _ = SIZES[size]
    keras.utils.set_random_seed(0)
    return {
        name: keras.Sequential(
            [
                keras.Input((width,), name=name),
                *(keras.layers.Dense(units, "relu") for units in hidden),
                keras.layers.Dense(CLASSES),
            ]
        )
        for name, width in widths.items()
    }


def rows(size: str, steps: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return inputs by member, and labels."""
    widths, _, batch = SIZES[size]
    rng = np.random.default_rng(0)
    x = {n: rng.normal(size=(steps * batch, w)).astype("f4") for n, w in widths.items()}
    return x, rng.integers(0, CLASSES, steps * batch).astype("int32")


def joint_fit(size: str, x, y, steps_per_execution) -> Callable[[int], object]:
    """Return `fit` of a joint model, as a function of the epochs."""
    members = networks(size)
    main, *helpers = members
    terms = [f"distill({one} >> {main}, temperature={TEMPERATURE})" for one in helpers]
    model = coloss.JointModel(members)
    model.compile(
        keras.optimizers.Adam(RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        objective=" + ".join([*members, *terms]),
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
    )
    batch = SIZES[size][2]
    return lambda epochs: model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)


def hand_loss(outputs, y):
    """Return the loss of three networks, given their logits by name."""
    main, *helpers = outputs
    total = 0.0
    for logits in outputs.values():
        total += keras.ops.mean(
            keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
        )
    soft = keras.ops.log_softmax(outputs[main] / TEMPERATURE)
    for name in helpers:
        taught = keras.ops.stop_gradient(outputs[name]) / TEMPERATURE
        target = keras.ops.log_softmax(taught)
        kl = keras.ops.sum(keras.ops.exp(target) * (target - soft), axis=-1)
        total += TEMPERATURE**2 * keras.ops.mean(kl)
    return total


def keras_fit(size: str, x, y) -> Callable[[int], object]:
    """Return `keras.Model.fit` of the same loss and accuracies."""
    members = networks(size)

    class Together(keras.Model):
        def __init__(self):
            inputs = {name: net.inputs[0] for name, net in members.items()}
            outputs = {name: net.outputs[0] for name, net in members.items()}
            super().__init__(inputs, outputs)
            self.accuracies = {
                name: keras.metrics.SparseCategoricalAccuracy(f"{name}_accuracy")
                for name in members
            }

        def compute_loss(self, x=None, y=None, y_pred=None, *more, **options):
            return hand_loss(y_pred, y)

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            for name, metric in self.accuracies.items():
                metric.update_state(y, y_pred[name])
            return self.get_metrics_result()

    model = Together()
    model.compile(keras.optimizers.Adam(RATE))
    batch = SIZES[size][2]
    return lambda epochs: model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)


def hand_step(members):
    """Return a train step in plain JAX, and its state."""
    weights = {n: [v.value for v in net.variables] for n, net in members.items()}
    weights = jax.tree.map(jnp.copy, weights)
    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = (weights, zeros, jax.tree.map(jnp.copy, zeros), jnp.zeros((), "float32"))

    def loss_of(weights, x, y):
        outputs = {
            name: net.stateless_call(weights[name], [], x[name])[0]
            for name, net in members.items()
        }
        right = [jnp.mean(jnp.argmax(out, -1) == y) for out in outputs.values()]
        return hand_loss(outputs, y), jnp.stack(right)

    def step(state, batch):
        weights, first, second, count = state
        (loss, right), grads = jax.value_and_grad(loss_of, has_aux=True)(
            weights, *batch
        )
        count = count + 1
        rate = RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        first = jax.tree.map(lambda m, g: m + 0.1 * (g - m), first, grads)
        second = jax.tree.map(lambda v, g: v + 0.001 * (g * g - v), second, grads)
        weights = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), weights, first, second
        )
        logs = jnp.concatenate([loss[None], right])
        return (weights, first, second, count), logs

    return step, state


def hand_loop(size: str, x, y) -> Callable[[int], object]:
    """Return the jitted step in a Python loop."""
    step, state = hand_step(networks(size))
    batch = SIZES[size][2]

    @partial(jax.jit, donate_argnums=(0, 1))
    def one(state, sums, data):
        state, logs = step(state, data)
        return state, sums + logs

    def train(epochs):
        nonlocal state
        history = []
        for _ in range(epochs):
            order, sums = np.random.permutation(len(y)), jnp.zeros((4,))
            for start in range(0, len(y), batch):
                chosen = order[start : start + batch]
                data = ({n: a[chosen] for n, a in x.items()}, y[chosen])
                state, sums = one(state, sums, data)
            history.append(np.asarray(sums) * batch / len(y))
        return history

    return train


def hand_scan(size: str, x, y) -> Callable[[int], object]:
    """Return the step in one `lax.scan` an epoch."""
    step, state = hand_step(networks(size))
    batch = SIZES[size][2]
    data = jax.device_put((x, y))

    @partial(jax.jit, donate_argnums=0)
    def epoch(state, data, order):
        def body(state, chosen):
            return step(state, jax.tree.map(lambda a: a[chosen], data))

        state, logs = jax.lax.scan(body, state, order)
        return state, jnp.mean(logs, axis=0)

    def train(epochs):
        nonlocal state
        history = []
        for _ in range(epochs):
            order = np.random.permutation(len(y)).astype("int32")
            state, logs = epoch(state, data, order.reshape(-1, batch))
            history.append(np.asarray(logs))
        return history

    return train


def torch_loop(size: str, x, y) -> Callable[[int], object]:
    """Return the step in plain PyTorch, in a Python loop."""
    widths, hidden, batch = SIZES[size]
    torch.manual_seed(0)

    def network(width):
        sizes, layers = [width, *hidden], []
        for before, after in zip(sizes, hidden, strict=False):
            layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], CLASSES))

    members = {name: network(width) for name, width in widths.items()}
    weights = [each for one in members.values() for each in one.parameters()]
    optimizer = torch.optim.Adam(weights, RATE, eps=1e-7)
    rows = {name: torch.from_numpy(array) for name, array in x.items()}
    labels = torch.from_numpy(y).long()

    def loss_of(outputs, right):
        main, *helpers = outputs
        total = sum(torch.nn.functional.cross_entropy(o, right) for o in outputs)
        soft = torch.log_softmax(main / TEMPERATURE, -1)
        for taught in helpers:
            target = torch.log_softmax(taught.detach() / TEMPERATURE, -1)
            total = total + TEMPERATURE**2 * torch.nn.functional.kl_div(
                soft, target, log_target=True, reduction="batchmean"
            )
        return total

    def train(epochs):
        history = []
        for _ in range(epochs):
            order, sums = torch.randperm(len(y)), torch.zeros(4)
            for start in range(0, len(y), batch):
                chosen = order[start : start + batch]
                right = labels[chosen]
                outputs = [net(rows[name][chosen]) for name, net in members.items()]
                loss = loss_of(outputs, right)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    accuracies = [
                        (o.argmax(-1) == right).float().mean() for o in outputs
                    ]
                    sums += torch.stack([loss.detach(), *accuracies])
            history.append(sums.numpy() * batch / len(y))
        return history

    return train


def ways_of(size: str, x, y) -> dict[str, Callable[[int], object]]:
    """Return the ways to train that there are on this backend."""
    ways = {'fit, "auto"': joint_fit(size, x, y, "auto")}
    if BACKEND != "torch":  # There "auto" is 1.
        ways["fit, 1"] = joint_fit(size, x, y, 1)
    ways["Keras"] = keras_fit(size, x, y)
    if BACKEND == "jax":
        return {**ways, "loop": hand_loop(size, x, y), "scan": hand_scan(size, x, y)}
    return {**ways, "loop": torch_loop(size, x, y)} if BACKEND == "torch" else ways


def measured(
    size: str, steps: int, epochs: int, rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Return seconds a step of each way, one number a round."""
    x, y = rows(size, steps)
    ways = ways_of(size, x, y)
    for train in ways.values():
        train(3)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        names = list(ways)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = clock()
            ways[name](epochs)
            found[name].append((clock() - start) / (epochs * steps))
    return found


def ratio(seconds: list[float], rival: list[float] | None) -> str:
    """Return the median of paired ratios; a dash where there is no such rival."""
    if rival is None:
        return "-"
    pairs = zip(seconds, rival, strict=True)
    return f"{statistics.median(one / other for one, other in pairs):.2f}"


def table(arguments) -> str:
    """Return the measurements as a table in Markdown."""
    lines = [
        "| sizes | steps an epoch | way | ms a step | of the scan | of the loop |"
        " of Keras |",
        "|---|---|---|---|---|---|---|",
    ]
    clock = time.process_time if arguments.processor else time.perf_counter
    for size in arguments.sizes:
        for steps in arguments.steps:
            epochs = max(1, arguments.total[size] // steps)
            found = measured(size, steps, epochs, arguments.rounds, clock)
            for name, seconds in found.items():
                cells = [size, str(steps), name, f"{1000 * min(seconds):.3f}"]
                cells += [
                    ratio(seconds, found.get(rival))
                    for rival in ("scan", "loop", "Keras")
                ]
                lines.append(f"| {' | '.join(cells)} |")
                print(lines[-1], flush=True)
    return "\n".join(lines)


def device() -> str:
    """Return what the work is done on."""
    if BACKEND == "torch":
        return "GPU" if torch.cuda.is_available() else "CPU"
    if BACKEND == "jax":
        return jax.local_devices()[0].device_kind
    return ", ".join(keras.distribution.list_devices())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--steps", nargs="+", type=int, default=[16, 128])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scale", type=float, default=1.0, help="of the steps timed")
    parser.add_argument(
        "--processor",
        action="store_true",
        help="measure processor time, for a machine that others use",
    )
    parser.add_argument("--write", type=Path, help="the file of the table")
    arguments = parser.parse_args()
    total = {"demo": 1024, "question": 512}
    arguments.total = {n: int(arguments.scale * count) for n, count in total.items()}
    text = table(arguments)
    where = f"{BACKEND}, {device()}, {os.cpu_count()} cores"
    versions = f"Python {platform.python_version()}, Keras {keras.__version__}"
    what = "processor time" if arguments.processor else "wall time"
    head = f"{what}, {arguments.rounds} rounds, in turn, on {where}; {versions}."
    columns = "ms a step: the fastest round; ratios: medians over the rounds."
    print(f"{head} {columns}")
    if arguments.write:
        arguments.write.write_text(
            f"# Whole epochs, beside hand-written loops\n\n{head} {columns}\n\n{text}\n"
        )


if __name__ == "__main__":
    main()
