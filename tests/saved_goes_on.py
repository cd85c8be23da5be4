"""Saves a joint model, loads it, trains both on, and compares bits.

    python -m tests.saved_goes_on

A line of a table for every weighting, every aggregator, every layer that draws random
numbers or counts, averages of weights, accumulated gradients and more, with a column
for each backend: "equal" where weights, slots of the optimizer, states, seeds and
history are those of the model that was not saved, to the bit; else what differs.
`--case NAME` gives one, `--backend` some. The exit code is 0 if all are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

BACKENDS = ("jax", "tensorflow", "torch")
EPOCHS = 2
"""Before the model is saved, and again afterward."""


def compare(case: str) -> list[str]:
    """Return what differs, by name; empty: nothing does.

    Args:
        case: one of `tests.saved_cases.CASES`.
    """
    import keras
    import numpy as np

    from tests import saved_cases
    from tests.checkpoint.interrupted import OTHER, SEED, number

    def trained(model, given):
        keras.utils.set_random_seed(SEED)
        return model.fit(**given, batch_size=4, epochs=EPOCHS, verbose=0).history

    def states(model):
        return [*model.variables, *model.optimizer.variables]

    def differences(one, other):
        pairs = zip(states(one), states(other), strict=True)
        return [
            f"{place} {a.path}"
            for place, (a, b) in enumerate(pairs)
            if not np.array_equal(number(a), number(b), equal_nan=True)
        ]

    keras.utils.set_random_seed(SEED)
    model, given = saved_cases.CASES[case]()
    before = trained(model, given)
    if not np.all(np.isfinite(before["loss"])):
        return ["the training itself: its loss is not finite"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "joint.keras"
        model.save(path)
        keras.utils.set_random_seed(OTHER)
        loaded = keras.saving.load_model(path)
    found = [f"when loaded: {name}" for name in differences(loaded, model)]
    if repr(trained(loaded, given)) != repr(trained(model, given)):
        found.append("history")
    return found + differences(loaded, model)


def results(backend: str, cases: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield what differs for each case, from a process with this backend."""
    command = [sys.executable, "-m", "tests.saved_goes_on", "--work", *cases]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line[:1] == "[":
                case, found = json.loads(line)
                print(backend, case, found or "equal", file=sys.stderr, flush=True)
                yield case, found


def table(backends: list[str], cases: list[str]) -> tuple[list[str], bool]:
    """Return the lines of the table, and whether all is equal."""
    cells = {backend: dict(results(backend, cases)) for backend in backends}
    lines = [f"| | {' | '.join(backends)} |", f"|---|{'---|' * len(backends)}"]
    good = True
    for case in cases:
        found = [cells[backend].get(case, ["no answer"]) for backend in backends]
        good &= not any(found)
        lines.append(f"| {case} | {' | '.join(_cell(one) for one in found)} |")
    count = sum(len(one) for one in cells.values())
    lines += ["", f"{count} comparisons of {len(cases)} cases."]
    return lines, good


def _cell(found: list[str]) -> str:
    return f"**{len(found)} differ**: {found[0]}" if found else "equal"


def main() -> int:
    """Print the table; return 0 if nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", nargs="+", default=list(BACKENDS))
    parser.add_argument("--case", nargs="+", help="some of the cases")
    parser.add_argument("--work", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        for case in given.work:
            try:
                found = compare(case)
            except Exception as error:
                found = [f"{type(error).__name__}: {error}"[:200]]
            print(json.dumps([case, found]), flush=True)
        return 0
    os.environ.setdefault("KERAS_BACKEND", given.backend[0])
    from tests import saved_cases

    lines, good = table(given.backend, given.case or list(saved_cases.CASES))
    print(*lines, sep="\n")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
