"""What `test_devices.py` looks at, from a process that sees four virtual devices."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

from coloss.callbacks import Checkpoint
from tests.devices import OWN, TERMS, Case, build, data, greatest, train

STEPS, DEVICES = 10, 4
TAUGHT = f"{OWN} + {TERMS['distill']} + {TERMS['cka']}"
CASES = {
    "terms": Case(
        f"{TAUGHT} + {TERMS['sp']} + {TERMS['rkd_distance']} + {TERMS['hint']}"
        ' + distill(third >> main, gate="network")'
    ),
    "upgrad": Case(TAUGHT, {"aggregator": "upgrad"}),
    "pcgrad": Case(TAUGHT, {"aggregator": "pcgrad", "aggregation_level": "output"}),
    "dwa": Case(TAUGHT, {"weighting": "dwa"}),
}
PLAIN = Case(OWN)


def two_axes():
    """Return a distribution that cuts one layer of one member over two devices."""
    devices = keras.distribution.list_devices("cpu")[:DEVICES]
    mesh = keras.distribution.DeviceMesh((2, 2), ("batch", "model"), devices)
    layout = keras.distribution.LayoutMap(mesh)
    layout["net_helper/hidden/kernel"] = (None, "model")
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def refusals():
    """Return what is said to batches and models that cannot be used."""
    x, y = data()
    joint, first = build(PLAIN), {name: rows[:42] for name, rows in x.items()}
    some = {name: labels[:42] for name, labels in y.items()}
    late = built_before()
    calls = {
        "size": lambda: joint.fit(x, y, batch_size=30, verbose=0),
        "rows": lambda: joint.fit(first, some, batch_size=24, verbose=0),
        "validation": lambda: joint.fit(
            x, y, batch_size=24, validation_data=(first, some), verbose=0
        ),
        "evaluate": lambda: joint.evaluate(first, some, batch_size=24, verbose=0),
        "predict": lambda: joint.predict(first, batch_size=30, verbose=0),
        "train_on_batch": lambda: joint.train_on_batch(first, some),
        "built before": lambda: late.fit(x, y, batch_size=24, verbose=0),
    }
    found = {}
    for name, call in calls.items():
        try:
            call()
            found[name] = ""
        except ValueError as error:
            found[name] = str(error)
    return found


def built_before():
    """Return a model that knows nothing of the present distribution."""
    present = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        return build(PLAIN)
    finally:
        keras.distribution.set_distribution(present)


def numbers(joint):
    """Return the weights and slots of a joint model."""
    every = [*joint.variables, *joint.optimizer.variables]
    return [np.asarray(variable.value) for variable in every]


def resumed(folder):
    """Return whether a resumed training has the bits of an unbroken one."""
    (x, y), told = data(), {"batch_size": 24, "epochs": 3, "verbose": 0}
    joint = build(PLAIN)
    joint.fit(x, y, callbacks=[Checkpoint(folder, every=1, keep=9)], **told)
    expected = numbers(joint)
    for path in folder.iterdir():
        if not re.fullmatch("step-0+3", path.name):
            shutil.rmtree(path)
    again = build(PLAIN)
    keras.utils.set_random_seed(99)
    again.fit(x, y, callbacks=[Checkpoint(folder, every=1)], **told)
    pairs = zip(numbers(again), expected, strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


def saved(folder):
    """Return the greatest difference of predictions after saving, odd rows included."""
    x, _ = data()
    x = {name: rows[:42] for name, rows in x.items()}
    joint = build(PLAIN)
    expected = joint.predict(x, verbose=0)
    joint.save(folder / "joint.keras")
    loaded = keras.saving.load_model(folder / "joint.keras")
    return greatest(loaded.predict(x, verbose=0), expected)


def main():
    """Print JSON."""
    warnings.simplefilter("ignore")
    folder, found = Path(tempfile.mkdtemp()), {"gaps": {}}
    expected = {name: train(case, STEPS) for name, case in CASES.items()}
    plain = train(PLAIN, STEPS)
    devices = keras.distribution.list_devices("cpu")[:DEVICES]
    with keras.distribution.DataParallel(devices=devices).scope():
        for name, case in CASES.items():
            found["gaps"][name] = greatest(train(case, STEPS), expected[name])
        found["refused"] = refusals()
        found["resumed"] = resumed(folder / "checkpoints")
        found["saved"] = saved(folder)
    with two_axes().scope():
        joint = build(PLAIN)
        kernel = joint["helper"].get_layer("hidden").kernel
        found["shard"] = kernel.value.addressable_shards[0].data.shape
        found["gaps"]["model parallel"] = greatest(train(PLAIN, STEPS), plain)
    shutil.rmtree(folder)
    print(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main())
