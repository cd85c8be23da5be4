"""What the other examples share: paired runs of one joint model, and their table.

A gain is only a gain against the same network trained without help, from the same
weights, on the same rows in the same order, over several seeds. Two things make this
cheap: an arm (alone, taught, ...) is a set of coefficients, and those are variables,
so that all arms run in one compiled program; and a new run only needs new weights.
"""

from __future__ import annotations

from collections import defaultdict

import keras
import numpy as np

from coloss.study.statistics import paired_gain


def started(build, x, seed):
    """Return a new joint model with all its variables, ready to be trained."""
    keras.utils.set_random_seed(seed)
    joint = build()
    # One call makes the projectors of layer edges, which are trained as well.
    joint({name: rows[:2] for name, rows in x.items()})
    joint.optimizer.build(joint.trainable_variables)
    return joint


def restart(joint, fresh):
    """Give a joint model the state of a fresh one, keeping its compiled program."""
    joint.set_weights(fresh.get_weights())
    pairs = zip(joint.optimizer.variables, fresh.optimizer.variables, strict=True)
    for variable, new in pairs:
        # A copy: JAX's train step takes the arrays it is given as its own.
        variable.assign(np.array(keras.ops.convert_to_numpy(new)))


def runs(build, arms, seeds, x):
    """Yield (arm, seed, joint model ready to fit), for every arm and seed.

    Args:
        build: returns a compiled joint model.
        arms: coefficients by name, by arm.
        seeds: how many.
        x: a few rows of input, by member.
    """
    joint = started(build, x, seed=0)
    for seed in range(seeds):
        fresh = started(build, x, seed)
        for arm, coefficients in arms.items():
            # Again for each arm: the order of the rows comes from this seed, too.
            keras.utils.set_random_seed(seed)
            restart(joint, fresh)
            for name, value in coefficients.items():
                joint.coefficients[name].assign(value)
            yield arm, seed, joint


def accuracy(network, x, y):
    """Return how many rows (0 to 1) a network alone, without helpers, gets right."""
    predicted = network.predict(x, batch_size=len(y), verbose=0)
    return float(np.mean(predicted.argmax(axis=-1) == y))


def compare(found, baseline):
    """Print mean and paired gain of each arm; return the gains.

    Args:
        found: {(arm, what): figures, one a seed}. With many arms chance alone would
            let one win, so the intervals are widened to hold for all of them at once.
        baseline: the arm that the others are paired with.
    """
    others = [key for key in found if key[0] != baseline]
    gains = {}
    for (arm, what), figures in found.items():
        line = f"  {what:24s} {arm:16s} {np.mean(figures):.3f}"
        if arm != baseline:
            gain = paired_gain(figures, found[baseline, what], comparisons=len(others))
            gains[arm, what] = gain
            # Two differences that happen to be equal would look like certainty.
            verdict = gain.verdict() if len(figures) > 2 else "too few seeds"
            line += (
                f"   {100 * gain.mean:+5.1f} points "
                f"[{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]  {verdict}"
            )
        print(line)
    seeds = len(next(iter(found.values())))
    print(f"  ({seeds} seeds; the 95 % hold for all {len(others)} intervals at once)")
    return gains


def figures():
    """Return an empty collection of figures, one list for each (arm, what)."""
    return defaultdict(list)
