"""What does a train step cost whose gradients are combined by an aggregator?

Separate networks of two equal hidden layers, batch 64, Adam; as many summands as
networks: `a`, `w*(a + b)`, `w*(a + c)` and so on, so all meet at `a`. Each
method and level in turns with the same model without an aggregator, in one process.
Counted is the process's CPU time, the least of the rounds: other work on the machine
does not enter into it. On PyTorch also TorchJD on equal networks, losses and optimizer.

Run, for each backend, on one thread:
OMP_NUM_THREADS=1 KERAS_BACKEND=jax python benchmarks/aggregation_cost.py
"""

from __future__ import annotations

import argparse
import time

import keras
import numpy as np

from coloss import JointModel, aggregation

CLASSES, BATCH = 10, 64
SIZES = {"small": (512, 256), "large": (2048, 1024)}
"""Inputs and units of each network."""


PLAIN = "no aggregator"
NAMES = "abcdefgh"


def method(name):
    return aggregation.PCD(primary=0) if name == "PCD" else aggregation.get(name)


def network(size):
    inputs, units = SIZES[size]
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(units, "relu"),
            keras.layers.Dense(units, "relu"),
            keras.layers.Dense(CLASSES),
        ]
    )


def rows(count, size, steps):
    rng, shape = np.random.default_rng(0), (BATCH * steps, SIZES[size][0])
    x = {name: rng.normal(size=shape).astype("f") for name in NAMES[:count]}
    return x, rng.integers(CLASSES, size=len(x["a"]))


def joint(count, size, name, level):
    names = NAMES[:count]
    model = JointModel({name: network(size) for name in names})
    model.compile(
        keras.optimizers.Adam(1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        " + ".join(["a", *(f"w*(a + {other})" for other in names[1:])]),
        coefficients={"w": 0.5},
        aggregator=None if name == PLAIN else method(name),
        aggregation_level=None if name == PLAIN else level,
    )
    return model


def ours(count, size, name, level, data):
    model = joint(count, size, name, level)
    return lambda: model.fit(*data, batch_size=BATCH, verbose=0, shuffle=False)


def in_turns(runs, rounds, steps):
    """Return the least CPU milliseconds a step of each run, after one to warm up."""
    least = [float("inf")] * len(runs)
    for turn in range(rounds + 1):
        for place, run in enumerate(runs):
            start = time.process_time()
            run()
            took = 1000 * (time.process_time() - start) / steps
            if turn:
                least[place] = min(least[place], took)
    return least


def torch_loop(count, size, step_of, data):
    """Return one epoch of hand-written PyTorch; `step_of` makes its backward pass."""
    import torch
    from torch import nn

    inputs, units = SIZES[size]

    def torch_network():
        return nn.Sequential(
            nn.Linear(inputs, units), nn.ReLU(),
            nn.Linear(units, units), nn.ReLU(),
            nn.Linear(units, CLASSES),
        )  # fmt: skip

    nets = [torch_network() for _ in range(count)]
    parameters = [p for net in nets for p in net.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-4)
    x = [torch.from_numpy(one) for one in data[0].values()]
    y = torch.from_numpy(data[1])
    back = step_of(nets, parameters)

    def epoch():
        for start in range(0, len(y), BATCH):
            part = slice(start, start + BATCH)
            losses = [
                nn.functional.cross_entropy(net(one[part]), y[part])
                for net, one in zip(nets, x, strict=True)
            ]
            first, *others = losses
            optimizer.zero_grad()
            back([first, *(0.5 * (first + other) for other in others)])
            optimizer.step()

    return epoch


def by_hand(nets, parameters):
    return lambda summands: sum(summands).backward()


def autojac(name):
    import torchjd.aggregation as torchjd
    from torchjd.autojac import backward, jac_to_grad

    def step_of(nets, parameters):
        options = {"c": 0.5} if name == "CAGrad" else {}
        aggregator = getattr(torchjd, name)(**options)

        def back(summands):
            backward(summands)
            jac_to_grad(parameters, aggregator)

        return back

    return step_of


def autogram(name):
    import torch
    import torchjd.aggregation as torchjd
    from torchjd.autogram import Engine

    def step_of(nets, parameters):
        options = {"c": 0.5} if name == "CAGrad" else {}
        weighting = getattr(torchjd, f"{name}Weighting")(**options)
        engine = Engine(*nets, batch_dim=None)

        def back(summands):
            losses = torch.stack(summands)
            losses.backward(weighting(engine.compute_gramian(losses)))

        return back

    return step_of


def table(count, arguments):
    """Print the cost of every method and level beside a plain step."""
    size = arguments.size
    data = rows(count, size, arguments.steps)
    print(
        f"\n{count} networks, {count} summands; CPU ms a step, and times a plain step\n"
    )
    print("| method | plain | coefficient | output | parameter |")
    print("|---|---|---|---|---|")
    for name in arguments.methods:
        if name == "PCD" or name in aggregation.AGGREGATORS:
            runs = [ours(count, size, PLAIN, None, data)]
            runs += [ours(count, size, name, level, data) for level in arguments.levels]
            plain, *found = in_turns(runs, arguments.rounds, arguments.steps)
            cells = [f"{took:.2f} ({took / plain:.2f})" for took in found]
            print(f"| {name} | {plain:.2f} | {' | '.join(cells)} |", flush=True)


def beside_torchjd(count, arguments):
    """Print both libraries' steps on PyTorch."""
    size = arguments.size
    data = rows(count, size, arguments.steps)
    print(f"\n{count} networks on PyTorch, CPU ms a step\n")
    print("| method | by hand, plain | TorchJD autojac | TorchJD autogram |", end="")
    print(" coloss, plain | coloss coefficient | coloss parameter |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.torchjd:
        steps = (by_hand, autojac(name), autogram(name))
        runs = [torch_loop(count, size, step, data) for step in steps]
        runs.append(ours(count, size, PLAIN, None, data))
        runs += [
            ours(count, size, name, level, data)
            for level in ("coefficient", "parameter")
        ]
        cells = in_turns(runs, arguments.rounds, arguments.steps)
        print(f"| {name} | {' | '.join(f'{c:.2f}' for c in cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", nargs="*", type=int, default=[3, 8])
    parser.add_argument("--size", default="small", choices=SIZES)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--methods", nargs="*", default=[*aggregation.AGGREGATORS])
    parser.add_argument("--levels", nargs="*", default=list(aggregation.LEVELS))
    parser.add_argument(
        "--torchjd",
        nargs="*",
        default=["UPGrad", "MGDA", "PCGrad", "DualProj", "CAGrad"],
    )
    arguments = parser.parse_args()
    print(f"{keras.backend.backend()}, {arguments.size}, {arguments.rounds} rounds")
    for count in arguments.counts:
        table(count, arguments)
        if keras.backend.backend() == "torch":
            beside_torchjd(count, arguments)


if __name__ == "__main__":
    main()
