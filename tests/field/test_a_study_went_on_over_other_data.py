"""A study was started again with other data or networks, and mixed old and new runs.

Found by trying; that a search should refuse to go on with other settings is asked for
in p-e-w/heretic#106, too.

| neighbors | |
|---|---|
| changed data | a value, a label, a row more, order, dtype, one seed, test rows only |
| changed networks | units, activation, initial weights, a layer, a member |
| not changed | again, more seeds, fewer seeds, another arm, Keras's counted names |
| what | run, tune |
"""

from __future__ import annotations

import sqlite3

import keras
import numpy as np
import pytest

import coloss
from coloss.data import Split
from coloss.study.engines import sequential

WIDTHS = {"main": 4, "helper": 3}


def network(width, units=5, activation="tanh", initializer="glorot_uniform", extra=()):
    hidden = keras.layers.Dense(units, activation, kernel_initializer=initializer)
    out = keras.layers.Dense(3, "softmax")
    return keras.Sequential([keras.Input((width,)), hidden, *extra, out])


def builder(**options):
    return lambda: coloss.JointModel(
        {"main": network(4, **options), "helper": network(3)}
    )


def rows(seed=0):
    random = np.random.default_rng(seed)
    y = np.arange(12) % 3
    x = {n: random.normal(size=(12, w)).astype("float32") for n, w in WIDTHS.items()}
    return x, y


def split(seed=0):
    return Split(rows(seed), rows(seed + 100), rows(seed + 200))


def study(build=None, data=None, **options):
    given = {
        "arms": {"alone": "main"},
        "compile": {
            "optimizer": keras.optimizers.Adam(0.01),
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        },
        "seeds": 2,
        "epochs": 1,
        "batch_size": 12,
        "main": "main",
        **options,
    }
    return coloss.Study(build or builder(), data or split(), **given)


@pytest.fixture(autouse=True)
def untrained(monkeypatch):
    """Runs take no time: what they find is another test's business."""
    found = {"main_accuracy": 0.5, "main_loss": 1.0, "loss": 1.0}
    monkeypatch.setattr(sequential, "train_one", lambda *_: ([found], None))
    monkeypatch.setattr(sequential, "evaluate", lambda *_: found)


def run(made, path):
    return made.run("sequential", path=path, verbose=False)


def changed(part="train", what=0, at=(0, 0), add=1e-3):
    found = split()
    parts = {n: getattr(found, n) for n in ("train", "validation", "test")}
    x, y = parts[part]
    if what == 0:
        x["main"][at] += np.float32(add)
    else:
        y[0] = (y[0] + 1) % 3
    return Split(**parts)


def longer():
    x, y = rows()
    x = {n: np.concatenate([v, v[:1]]) for n, v in x.items()}
    return Split((x, np.append(y, 0)), rows(100), rows(200))


def turned():
    x, y = rows()
    return Split(({n: v[::-1] for n, v in x.items()}, y[::-1]), rows(100), rows(200))


def wider():
    x, y = rows()
    x = {n: v.astype("float64") for n, v in x.items()}
    return Split((x, y), rows(100), rows(200))


DATA = {
    "a value": changed,
    "a label": lambda: changed(what=1),
    "a row more": longer,
    "order": turned,
    "dtype": wider,
    "validation rows": lambda: changed("validation"),
    "test rows": lambda: changed("test"),
    "a value by little": lambda: changed(add=1e-6),
}
NETWORKS = {
    "units": ({"units": 6}, "parameters \\(43 there, 51 here\\)"),
    "activation": ({"activation": "relu"}, "layers"),
    "initial weights": ({"initializer": "he_normal"}, "layers, initial weights"),
    "a layer": ({"extra": (keras.layers.Dropout(0.5),)}, "layers"),
}


@pytest.mark.parametrize("what", DATA)
def test_other_data_is_refused(what, tmp_path):
    path = tmp_path / "study.sqlite"
    run(study(), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="the data differ from those of the runs"):
        run(study(data=DATA[what]()), path)
    assert path.read_bytes() == before
    assert len(run(study(), path).frame) == 2


@pytest.mark.parametrize("what", NETWORKS)
def test_other_networks_are_refused(what, tmp_path):
    path = tmp_path / "study.sqlite"
    run(study(), path)
    options, told = NETWORKS[what]
    with pytest.raises(ValueError, match=f"the network 'main' differs in .*{told}"):
        run(study(builder(**options)), path)
    assert len(run(study(), path).frame) == 2


def test_the_same_layers_with_other_weights_are_refused(tmp_path):
    def loaded(factor):
        def build():
            joint = builder()()
            for weight in joint["main"].weights:
                weight.assign(weight * factor)
            return joint

        return build

    path = tmp_path / "study.sqlite"
    run(study(loaded(1.0)), path)
    with pytest.raises(ValueError, match="the network 'main' differs in initial weigh"):
        run(study(loaded(1.001)), path)
    # Another device may round the last digit differently.
    run(study(loaded(1.0 + 2e-7)), path)


def test_one_seed_of_several_is_seen(tmp_path):
    path = tmp_path / "study.sqlite"
    run(study(data=split), path)
    other = lambda seed: split(seed + 7 * (seed == 1))  # noqa: E731
    with pytest.raises(ValueError, match="the data, seed 1 differ from"):
        run(study(data=other), path)
    run(study(data=split), path)


@pytest.mark.parametrize("data", [split, split()], ids=["by seed", "one split"])
def test_what_did_not_change_goes_on(data, tmp_path):
    path = tmp_path / "study.sqlite"
    run(study(data=data), path)
    keras.layers.Dense(2)  # Keras counts names on: dense_7 is no other layer.
    assert len(run(study(data=data), path).frame) == 2
    assert len(run(study(data=data, seeds=3), path).frame) == 3
    assert len(run(study(data=data, seeds=2), path).frame) == 2
    arms = {"alone": "main", "both": "main + helper"}
    assert len(run(study(data=data, arms=arms), path).frame) == 4


def test_an_arm_that_was_added_is_held_to_what_it_was(tmp_path):
    path = tmp_path / "study.sqlite"
    run(study(), path)
    arms = {"alone": "main", "both": "main + helper"}
    run(study(arms=arms), path)
    with pytest.raises(ValueError, match="arm both"):
        run(study(arms={**arms, "both": "main + 2*helper"}), path)


def test_data_and_networks_of_one_arm(tmp_path):
    path = tmp_path / "study.sqlite"

    def made(data=None, **options):
        both = {"objective": "main + helper"}
        own = {**both, "data": data or split(1), "build": builder(**options)}
        return study(arms={"alone": "main", "both": own})

    # A function is told by its name.
    run(made(), path)
    run(made(), path)
    with pytest.raises(ValueError, match="the data of arm 'both' differ"):
        run(made(data=split(2)), path)
    with pytest.raises(ValueError, match="the network 'main' of arm 'both' differs"):
        run(made(units=7), path)


def test_tuning_is_held_to_it_and_reads_no_test_row(tmp_path):
    path = tmp_path / "tune.sqlite"
    options = {"arms": {"both": "main + w*helper"}, "coefficients": {"w": [1.0, 2.0]}}

    def tune(data):
        made = study(data=data, **options)
        made.tune("both", engine="sequential", path=path, verbose=False)

    tune(split())
    tune(changed("test"))
    with pytest.raises(ValueError, match="the data differ"):
        tune(changed("validation"))


def test_a_file_without_fingerprints_is_not_trusted(tmp_path):
    path = tmp_path / "study.sqlite"
    with sqlite3.connect(path) as connection:
        for table in ("study (name", "runs (key"):
            connection.execute(f"CREATE TABLE {table} TEXT PRIMARY KEY, value TEXT)")
    connection.close()
    with pytest.raises(ValueError, match="earlier version"):
        run(study(), path)
