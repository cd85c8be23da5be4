"""One of several processes that train; a command of its own for the launcher.

Arguments: the folder for files, and what is done: `all`, or a training that is to be
killed (`train`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import warnings
from pathlib import Path

import keras
import numpy as np

import coloss
from coloss.callbacks import Checkpoint
from tests.devices import OWN, TERMS, Case, build, data

BATCH, EPOCHS = 12, 6
TAUGHT = Case(
    f"{OWN} + {TERMS['cka']}" + ' + distill(third >> main, gate="network")',
    {"aggregator": "upgrad"},
)
FIT = {"epochs": EPOCHS, "shuffle": False, "verbose": 0}


def share(index, count):
    """Return the rows of a process: whole batches of one are parts of two."""
    x, y = data()
    blocks = np.arange(len(x["main"])).reshape(-1, count, BATCH)[:, index].ravel()
    return ({n: a[blocks] for n, a in each.items()} for each in (x, y))


def numbers(joint):
    """Return weights and slots by place."""
    every = [*joint.variables, *joint.optimizer.variables]
    return {str(i): np.asarray(one.value) for i, one in enumerate(every)}


class Broken(Exception):
    """What stands for a kill where the process is needed again."""


class BreakAtStep(keras.callbacks.Callback):
    """Breaks a training off after so many steps."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            self.at_the_end()

    def at_the_end(self):
        raise Broken


class KillAtStep(BreakAtStep):
    """Kills this process after so many steps."""

    def at_the_end(self):
        os.kill(os.getpid(), signal.SIGKILL)


def trained(x, y, folder):
    """Return what was trained, broken off, and resumed."""
    joint = build(TAUGHT)
    told = {"batch_size": BATCH, **FIT}
    with contextlib.suppress(Broken):
        joint.fit(x, y, callbacks=[Checkpoint(folder, 3), BreakAtStep(8)], **told)
    keras.utils.set_random_seed(99)
    for variable in joint.trainable_variables:
        variable.assign(np.zeros(variable.shape, "float32"))
    history = joint.fit(x, y, callbacks=[Checkpoint(folder, 3)], **told).history
    return joint, numbers(joint) | {"loss": np.array(history["loss"])}


def said_to(call):
    """Return what is said to a call that must be refused."""
    try:
        call()
    except (ValueError, RuntimeError) as error:
        return str(error)
    return ""


def everything(folder):
    """Train, save, export and be refused; process 0 and 1 write what they found."""
    index, count = coloss.distributed.process_index(), 2
    x, y = share(index, count)
    found = {}
    joint, kept = trained(x, y, folder / "checkpoints")
    np.savez(folder / f"kept-{index}.npz", **kept)
    found["evaluate"] = joint.evaluate(x, y, batch_size=BATCH, verbose=0)
    odd = {name: rows[: 20 + index] for name, rows in x.items()}
    some = {name: rows[: 20 + index] for name, rows in y.items()}
    found["uneven"] = said_to(lambda: joint.fit(odd, some, verbose=0))
    found["mistake"] = said_to(lambda: joint.fit(x if index else {}, y, verbose=0))
    found["ids"] = said_to(lambda: coloss.distributed.check_ids(["a", f"b{index}"]))
    joint.save(folder / "joint.keras")
    joint["main"].save_weights(folder / "main.weights.h5")
    joint.export(folder / "main.keras", member="main", verbose=False)
    if index == 0:  # What one does alone makes no other wait.
        joint.save(folder / "of one.keras")
        found["flow"] = bool(joint.explain(x, y).flow)
        keras.distribution.set_distribution(None)
        loaded = keras.saving.load_model(folder / "joint.keras")["main"]
        there = loaded.predict(odd["main"], verbose=0)
        here = joint.predict({"main": odd["main"]}, verbose=0)["main"]
        found["loaded"] = float(np.abs(there - here).max())
    found["share"] = coloss.distributed.share_of(np.arange(5)).tolist()
    (folder / f"found-{index}.json").write_text(json.dumps(found))


def train(folder, victim=-1, step=0):
    """Train with checkpoints; a process kills itself."""
    index = coloss.distributed.process_index()
    x, y = share(index, 2)
    callbacks = [Checkpoint(folder / "checkpoints", every=3)]
    if index == victim:
        callbacks.append(KillAtStep(step))
    joint = build(TAUGHT)
    joint.fit(x, y, batch_size=BATCH, callbacks=callbacks, epochs=EPOCHS, verbose=0)
    if index == 0:
        np.savez(folder / "left.npz", **numbers(joint))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    coloss.distributed.initialize(seed=1)
    place, what, *rest = sys.argv[1:]
    if what == "all":
        everything(Path(place))
    else:
        train(Path(place), *map(int, rest))
