"""What does a train step cost whose weights adapt, or whose gradients are combined?

Separate networks of two equal hidden layers, batch 64, Adam, as many summands as
networks, all meeting at the first. Two objectives: `losses`, `a + w*(a + b) + ...`,
whose gradients at `a` are multiples of one, and `terms`,
`a + w*(b + distill(b >> a)) + ...`, whose gradients have directions of their own.

Every method and level in turns with the same model without one, in one process.
Counted is the process's CPU time, the least of the rounds.

Run, for each backend, on one thread:
OMP_NUM_THREADS=1 KERAS_BACKEND=jax python benchmarks/aggregation_cost.py
"""

from __future__ import annotations

import argparse
import time

import keras
import numpy as np

from coloss import JointModel, aggregation
from coloss.weighting.methods import METHODS

CLASSES, BATCH, RATE = 10, 64, 1e-4
SIZES = {"small": (512, 256), "large": (2048, 1024)}
"""Inputs and units of each network."""

PLAIN = "equal weights"
NAMES = "abcdefgh"
TEMPERATURE = 4.0
SUMMANDS = {
    "losses": "w*(a + {})",
    "terms": f"w*({{0}} + distill({{0}} >> a, temperature={TEMPERATURE}))",
}


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


def joint(count, arguments, method, level=None):
    """Return a compiled model; `method` is a weighting, an aggregator, or neither."""
    names = NAMES[:count]
    model = JointModel({name: network(arguments.size) for name in names})
    others = [SUMMANDS[arguments.objective].format(other) for other in names[1:]]
    aggregator = None
    if method == "PCD":
        aggregator = aggregation.PCD(primary=0)
    elif method in aggregation.AGGREGATORS:
        aggregator = aggregation.get(method)
    model.compile(
        keras.optimizers.Adam(RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        " + ".join(["a", *others]),
        coefficients={"w": 0.5},
        weighting=method if method in METHODS else None,
        aggregator=aggregator,
        aggregation_level=level,
    )
    return model


def fits(model, data, **options):
    """Return a function that trains for an epoch."""
    options = {"batch_size": BATCH, "verbose": 0, "shuffle": False, **options}
    return lambda: model.fit(*data, **options)


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


def levels_of(arguments):
    # Of terms, coefficients alone do not say where a gradient points.
    unfit = ("coefficient",) if arguments.objective == "terms" else ()
    return [level for level in aggregation.LEVELS if level not in unfit]


def row(name, runs, plain, arguments):
    """Return a line of the table: milliseconds, and times a plain step."""
    base, *found = in_turns([plain, *runs], arguments.rounds, arguments.steps)
    cells = [f"{took:.2f} ({took / base:.2f})" for took in found]
    return f"| {name} | {base:.2f} | {' | '.join(cells)} |"


def aggregators(count, arguments, data, plain):
    levels = levels_of(arguments)
    print(f"\n| aggregator | {PLAIN} | {' | '.join(levels)} |")
    print("|---|---|" + "---|" * len(levels))
    for name in arguments.aggregators:
        models = [joint(count, arguments, name, level) for level in levels]
        runs = [fits(model, data) for model in models]
        print(row(name, runs, plain, arguments), flush=True)


def weightings(count, arguments, data, plain):
    print(f"\n| weighting | {PLAIN} | weighed |\n|---|---|---|")
    for name in arguments.weightings:
        # GradientBlending weighs by losses on validation rows: as many as a batch.
        held = ({n: x[:BATCH] for n, x in data[0].items()}, data[1][:BATCH])
        options = {"validation_data": held} if name == "gradient_blending" else {}
        run = fits(joint(count, arguments, name), data, **options)
        shown = METHODS[name].__name__
        print(row(shown, [run], plain, arguments), flush=True)


def options(parser):
    parser.add_argument("--counts", nargs="*", type=int, default=[3, 8])
    parser.add_argument("--size", default="small", choices=SIZES)
    parser.add_argument("--objective", default="losses", choices=SUMMANDS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options(parser)
    parser.add_argument("--aggregators", nargs="*", default=[*aggregation.AGGREGATORS])
    parser.add_argument("--weightings", nargs="*", default=[*METHODS])
    arguments = parser.parse_args()
    for count in arguments.counts:
        print(
            f"\n### {keras.backend.backend()}, {count} networks, {arguments.size}, "
            f"objective of {arguments.objective}\n\nCPU milliseconds a step, and times "
            f"{PLAIN}; the least of {arguments.rounds} rounds, {arguments.steps} steps."
        )
        data = rows(count, arguments.size, arguments.steps)
        plain = fits(joint(count, arguments, PLAIN), data)
        aggregators(count, arguments, data, plain)
        weightings(count, arguments, data, plain)


if __name__ == "__main__":
    main()
