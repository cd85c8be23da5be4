"""What does a study save over fitting one network after the other?

Runs of one arm as a population (engine "jax"), as fits of one compiled joint model
(engine "sequential"), and as a user writes them: a new model, `compile` and `fit` for
every run. The three alternate in one process. Times are from nothing compiled to all
metrics known, compilation included, as a user waits for them.

Run: KERAS_BACKEND=jax python benchmarks/studies.py
On a GPU: KERAS_BACKEND=jax python benchmarks/studies.py --gpu
The table is written to `benchmarks/studies.md`, or to `--out`.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import time
from pathlib import Path

import jax
import keras
import numpy as np

import coloss
from coloss.cli.demo_runs import ARMS, BATCH_SIZE, N_LABELED, VIEWS, networks
from coloss.data import Split

COMPILE = {
    "optimizer": "adam",
    "loss": "sparse_categorical_crossentropy",
    "metrics": ["accuracy"],
}
QUESTION = {"acoustic": 6373, "visual": 512, "text": 768}


QUARTER = 4
"""Fits by hand take longest, each compiles anew: every fourth run is one."""


@functools.cache
def digits(seed):
    return coloss.data.load_digits_views(VIEWS, N_LABELED, seed)


def demo_build():
    return coloss.JointModel(networks())


def question_build():
    def network(width):
        return keras.Sequential(
            [
                keras.Input((width,)),
                keras.layers.Dense(256, activation="relu"),
                keras.layers.Dense(5, activation="softmax"),
            ]
        )

    return coloss.JointModel({name: network(w) for name, w in QUESTION.items()})


def question_rows():
    random = np.random.default_rng(0)

    def part(rows):
        y = random.integers(0, 5, rows).astype("int32")
        x = {n: random.normal(size=(rows, w)) for n, w in QUESTION.items()}
        return {n: values.astype("float32") for n, values in x.items()}, y

    return Split(part(1024), part(256), part(256))


def cases(runs, epochs):
    """Return the studies by title."""
    shared = {"compile": COMPILE, "validation_freq": 4}
    demo = coloss.Study(
        demo_build,
        digits,
        arms={"taught": ARMS["taught"]},
        seeds=runs,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        main="fou",
        **shared,
    )
    objective = (
        "acoustic + visual + text + 0.5*distill(visual >> acoustic)"
        " + 0.5*distill(text >> acoustic)"
    )
    question = coloss.Study(
        question_build,
        question_rows(),
        arms={"taught": objective},
        seeds=max(2, runs // 4),
        epochs=max(1, epochs // 10),
        batch_size=64,
        main="acoustic",
        **shared,
    )
    made = {"the demo's networks": demo, "the question's sizes": question}
    return {
        f"{name}, {len(study.seeds)} runs of {study.epochs} epochs": study
        for name, study in made.items()
    }


def by_hand(study):
    """Train a quarter of the runs as a user writes them: build, compile, fit."""
    for run in study.runs[: -(-len(study.runs) // QUARTER)]:
        arm = study.arms[run.arm]
        split = study.data if isinstance(study.data, Split) else study.data(run.seed)
        keras.utils.set_random_seed(run.seed)
        joint = study.build()
        joint.compile(objective=arm.objective, **arm.compile)
        joint.fit(
            *split.train,
            epochs=study.epochs,
            batch_size=study.batch_size,
            validation_data=split.validation,
            validation_batch_size=1024,
            validation_freq=study.validation_freq,
            verbose=0,
        )
        joint.evaluate(*split.test, batch_size=1024, verbose=0)


def seconds(action):
    """Return the time that passed, and the processor time of all threads."""
    begun, used = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - begun, time.process_time() - used


def measure(study, rounds, hand):
    """Return (time, processor time) a run, by way and round; the ways alternate."""
    all_runs = len(study.runs)
    ways = {
        "engine jax": (lambda: study.run("jax", verbose=False), all_runs),
        "engine sequential": (lambda: study.run("sequential", verbose=False), all_runs),
    }
    if hand:
        ways["fits by hand"] = (lambda: by_hand(study), -(-all_runs // QUARTER))
    found = {name: [] for name in ways}
    for turn in range(rounds):
        for name in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            action, runs = ways[name]
            found[name].append(tuple(value / runs for value in seconds(action)))
            passed, used = found[name][-1]
            print(f"{name}: {passed:.2f} s a run, processor {used:.2f} s", flush=True)
    return found


def table(title, found):
    """Return medians, and medians of the paired ratios, as a table."""
    ours = found["engine jax"]
    lines = [f"## {title[0].upper()}{title[1:]}", ""]
    lines += ["| way | seconds a run | times engine jax | processor seconds | times |"]
    lines += ["|---|---|---|---|---|"]
    for name, pairs in found.items():
        cells = []
        for column in (0, 1):
            times = [pair[column] for pair in pairs]
            ratios = [t / o[column] for t, o in zip(times, ours, strict=True)]
            cells += [f"{statistics.median(times):.2f}"]
            cells += [f"{statistics.median(ratios):.1f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=None, help="32, or 256 with --gpu")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--no-hand", action="store_true", help="leave them out")
    parser.add_argument("--gpu", action="store_true", help="demand a GPU")
    out = Path(__file__).with_suffix(".md")
    parser.add_argument("--out", type=Path, default=out)
    arguments = parser.parse_args()
    device = jax.local_devices()[0]
    if arguments.gpu and device.platform != "gpu":
        parser.error(f"--gpu: there is none; JAX runs on {device.platform}")
    runs = arguments.runs or (256 if arguments.gpu else 32)
    text = [
        "# Studies: a population against one fit after the other",
        "",
        f"{jax.local_device_count()} device ({device.device_kind}), load "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the start, "
        f"{arguments.rounds} alternating rounds, compilation included; medians, and "
        "medians of the paired ratios. Written by `benchmarks/studies.py`.",
        "",
    ]
    for title, study in cases(runs, arguments.epochs).items():
        text.append(
            table(title, measure(study, arguments.rounds, not arguments.no_hand))
        )
        print(text[-1], flush=True)
    arguments.out.write_text("\n".join(text))


if __name__ == "__main__":
    main()
