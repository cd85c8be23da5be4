"""A script that trains, and may kill itself, for `tests.soak`.

Arguments: the folder of the checkpoints, the file for what the training leaves, and
where SIGKILL comes: `step:7`, or inside the writing of a checkpoint `fsync:3`,
`replace:2`, `rename:1`, `write:4`, `arrays:2` (the call with this number does not come
to its end); `never`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import signal
import sys
import traceback

import keras
import numpy as np

from coloss.callbacks import Checkpoint
from coloss.checkpoint import arrays
from tests.checkpoint.interrupted import FIT, SEED, X, Y, build, number


def killing(function, count):
    """Return a function that kills the process in its call with this number."""
    calls = 0

    def called(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    return called


def half_written(count):
    """Return `Path.write_bytes`, which in a certain call writes half of it."""
    whole, calls = pathlib.Path.write_bytes, 0

    def write(path, content):
        nonlocal calls
        calls += 1
        if calls == count:
            whole(path, content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(path, content)

    return write


def cut_off(count):
    """Return `arrays.chunks`, which in a certain call ends the process half way."""
    whole, calls = arrays.chunks, 0

    def chunks(found):
        nonlocal calls
        calls += 1
        pieces = list(whole(found))
        for place, piece in enumerate(pieces):
            if calls == count and place == len(pieces) // 2:
                os.kill(os.getpid(), signal.SIGKILL)
            yield piece

    return chunks


class KillAtStep(keras.callbacks.Callback):
    """Kills the process after so many steps of this start."""

    every_step = False

    def __init__(self, count):
        super().__init__()
        self.left = count

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder, left, where):
    """Train, and write what the training leaves."""
    keras.utils.set_random_seed(SEED)
    kind, _, count = where.partition(":")
    callbacks = [Checkpoint(folder, every=4)]
    if kind == "step":
        callbacks.append(KillAtStep(int(count)))
    elif kind == "write":
        pathlib.Path.write_bytes = half_written(int(count))
    elif kind == "arrays":
        arrays.chunks = cut_off(int(count))
    elif kind != "never":
        setattr(os, kind, killing(getattr(os, kind), int(count)))
    model = build()
    history = model.fit(X, Y, callbacks=callbacks, **FIT)
    kept = [*model.variables, *model.optimizer.variables]
    found = {f"{i:03d}": number(variable) for i, variable in enumerate(kept)}
    found |= {f"history {key}": value for key, value in history.history.items()}
    found["random"] = np.random.random(3)
    np.savez(left, **found)


def serve():
    """Start a process for each line that comes: what is imported is imported once.

    A line is JSON: the arguments of `main`, and the file for what the process says. The
    answer is the process's exit code, negative for a signal.
    """
    if importlib.util.find_spec("tensorflow"):
        importlib.import_module("tensorflow")  # As Keras does where seeds are set.
    if keras.backend.backend() == "torch":
        build().fit(X, Y, **FIT)  # Imports more; on the others, no copy works then.
    for line in sys.stdin:
        *given, said = json.loads(line)
        child = os.fork()
        if not child:
            os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            code = 1
            try:
                main(*given)
                code = 0
            except BaseException:
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(code)
        status = os.waitpid(child, 0)[1]
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        main(*sys.argv[1:])
