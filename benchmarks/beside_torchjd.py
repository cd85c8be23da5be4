"""How fast is a combined step beside TorchJD's, of the same method?

The networks, data, objectives and optimizer of `aggregation_cost`, on PyTorch, in
turns in one process:

- in Keras's trainer, the same Keras networks: coloss beside a `train_step` that hands
  its summands to TorchJD's `autojac` (what a Keras user would write). Before anything
  is timed, both must give the same loss on the same weights;
- by hand, `torch.nn` networks of the same shapes in a bare loop without metrics:
  `autojac`, and `autogram`, which finds no parameters in Keras's layers.

Run, on one thread:
OMP_NUM_THREADS=1 KERAS_BACKEND=torch python benchmarks/beside_torchjd.py
"""

from __future__ import annotations

import argparse

import keras
import torch
import torchjd.aggregation as torchjd
from aggregation_cost import (
    BATCH,
    CLASSES,
    NAMES,
    PLAIN,
    RATE,
    SIZES,
    TEMPERATURE,
    fits,
    in_turns,
    joint,
    levels_of,
    network,
    options,
    rows,
)
from torch import nn
from torch.nn import functional
from torchjd.autogram import Engine
from torchjd.autojac import backward, jac_to_grad

METHODS = {
    "UPGrad": {},
    "MGDA": {},
    "PCGrad": {},
    "DualProj": {},
    "IMTLG": {},
    "AlignedMTL": {},
    "CAGrad": {"c": 0.5},
}


def summands(outputs, y, objective):
    """Return the objective's summands, of logits by name."""
    losses = {n: functional.cross_entropy(out, y) for n, out in outputs.items()}
    first, *others = outputs
    if objective == "losses":
        return [losses[first], *(0.5 * (losses[first] + losses[n]) for n in others)]
    return [
        losses[first],
        *(
            0.5 * (losses[n] + distilled(outputs[n].detach(), outputs[first]))
            for n in others
        ),
    ]


def distilled(source, learner):
    soft = functional.softmax(source / TEMPERATURE, dim=-1)
    own = functional.log_softmax(learner / TEMPERATURE, dim=-1)
    return TEMPERATURE**2 * functional.kl_div(own, soft, reduction="batchmean")


# --- backward passes: from networks and parameters to what takes the summands --------


def by_hand(nets, parameters):
    return lambda values: sum(values).backward()


def autojac(name):
    def make(nets, parameters):
        aggregator = getattr(torchjd, name)(**METHODS[name])

        def back(values):
            backward(values)
            jac_to_grad(parameters, aggregator)

        return back

    return make


def autogram(name):
    def make(nets, parameters):
        weighting = getattr(torchjd, f"{name}Weighting")(**METHODS[name])
        engine = Engine(*nets, batch_dim=None)

        def back(values):
            losses = torch.stack(values)
            losses.backward(weighting(engine.compute_gramian(losses)))

        return back

    return make


# --- the two loops -------------------------------------------------------------------


class InKeras(keras.Model):
    """Networks trained by a `train_step` of the user's own, with the same metrics."""

    def __init__(self, nets, objective, make):
        super().__init__()
        self.nets, self.objective, self.make, self.back = nets, objective, make, None
        self.trackers = [keras.metrics.Mean(f"part_{i}") for i in range(2 * len(nets))]

    def call(self, x, training=None):
        return {
            name: net(x[name], training=training) for name, net in self.nets.items()
        }

    def train_step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        self.zero_grad()
        outputs = self(x, training=True)
        values = summands(outputs, y, self.objective)
        variables = self.trainable_variables
        if self.back is None:
            self.back = self.make(None, [v.value for v in variables])
        self.back(values)
        with torch.no_grad():
            self.optimizer.apply([v.value.grad for v in variables], variables)
            self._loss_tracker.update_state(sum(values), sample_weight=len(y))
            losses = [functional.cross_entropy(out, y) for out in outputs.values()]
            for tracker, value in zip(self.trackers, [*values, *losses], strict=True):
                tracker.update_state(value, sample_weight=len(y))
        return {metric.name: metric.result() for metric in self.metrics}


def in_keras(count, arguments, make, data):
    nets = {name: network(arguments.size) for name in NAMES[:count]}
    model = InKeras(nets, arguments.objective, make)
    model.compile(optimizer=keras.optimizers.Adam(RATE))
    return model, fits(model, data)


def in_a_loop(count, arguments, make, data):
    """Return one epoch of hand-written PyTorch."""
    inputs, units = SIZES[arguments.size]
    nets = [
        nn.Sequential(
            nn.Linear(inputs, units), nn.ReLU(),
            nn.Linear(units, units), nn.ReLU(),
            nn.Linear(units, CLASSES),
        )
        for _ in range(count)
    ]  # fmt: skip
    parameters = [p for net in nets for p in net.parameters()]
    optimizer = torch.optim.Adam(parameters, RATE)
    x = {name: torch.from_numpy(values) for name, values in data[0].items()}
    y = torch.from_numpy(data[1])
    back = make(nets, parameters)

    def epoch():
        for start in range(0, len(y), BATCH):
            part = slice(start, start + BATCH)
            outputs = {
                name: net(x[name][part]) for name, net in zip(x, nets, strict=True)
            }
            optimizer.zero_grad()
            back(summands(outputs, y[part], arguments.objective))
            optimizer.step()

    return epoch


def check_same_work(count, arguments, data):
    """Refuse to compare two trainers that do not minimize the same."""
    ours = joint(count, arguments, PLAIN)
    theirs, _ = in_keras(count, arguments, by_hand, data)
    for name, net in theirs.nets.items():
        net.set_weights(ours[name].get_weights())
    found = [fits(model, data)().history["loss"][0] for model in (ours, theirs)]
    if abs(found[0] - found[1]) > 1e-4 * abs(found[0]):
        raise SystemExit(f"not the same work: losses {found}")


def beside(count, arguments, data):
    """Print the milliseconds of both libraries' steps."""
    levels = levels_of(arguments)
    head = ["method", "plain", "autojac", "autogram"]
    head += ["Keras: plain", "autojac", "coloss: plain", *levels]
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for name in arguments.methods:
        kinds = (by_hand, autojac(name), autogram(name))
        runs = [in_a_loop(count, arguments, kind, data) for kind in kinds]
        kinds = (by_hand, autojac(name))
        runs += [in_keras(count, arguments, kind, data)[1] for kind in kinds]
        runs.append(fits(joint(count, arguments, PLAIN), data))
        runs += [fits(joint(count, arguments, name, level), data) for level in levels]
        cells = in_turns(runs, arguments.rounds, arguments.steps)
        print(f"| {name} | {' | '.join(f'{c:.2f}' for c in cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options(parser)
    parser.add_argument("--methods", nargs="*", default=[*METHODS])
    arguments = parser.parse_args()
    for count in arguments.counts:
        print(
            f"\n### {count} networks, {arguments.size}, objective of "
            f"{arguments.objective}\n\nCPU milliseconds a step, the least of "
            f"{arguments.rounds} rounds of {arguments.steps} steps."
        )
        data = rows(count, arguments.size, arguments.steps)
        check_same_work(count, arguments, data)
        beside(count, arguments, data)


if __name__ == "__main__":
    main()
