"""The runs on a local Ray cluster are those of `sequential`, also if a worker dies."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import coloss
from coloss.data import Split
from coloss.study.engines.choice import choose

ray = pytest.importorskip("ray")

jax_only = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="once is enough; the engine knows none"
)


def make(folder):
    """Return a study whose data kills the process that first asks for seed 1."""
    driver = os.getpid()

    def build():
        widths = {"main": 3, "helper": 2}
        return coloss.JointModel(
            {
                name: keras.Sequential(
                    [keras.Input((width,)), keras.layers.Dense(2, "softmax")]
                )
                for name, width in widths.items()
            }
        )

    def data(seed):
        mark = Path(folder) / "killed"
        if seed == 1 and os.getpid() != driver and not mark.exists():
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        random = np.random.default_rng(seed)

        def part(rows):
            y = random.integers(0, 2, rows)
            names = {"main": 3, "helper": 2}
            x = {n: random.normal(y[:, None], 1.0, (rows, w)) for n, w in names.items()}
            return {n: v.astype("float32") for n, v in x.items()}, y

        return Split(part(16), part(8), part(8))

    return coloss.Study(
        build,
        data,
        arms={"taught": "main + helper + w*distill(helper >> main)"},
        compile={"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        coefficients={"w": [0.5, 2.0]},
        seeds=2,
        epochs=2,
        batch_size=8,
        main="main",
    )


@jax_only
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_a_worker_that_is_killed_is_started_again(tmp_path, same_frames):
    study = make(tmp_path)
    path = tmp_path / "study.sqlite"
    spread = study.run("ray", path=path, verbose=False, workers=1, num_cpus=1)
    assert int((tmp_path / "killed").read_text()) != os.getpid()
    assert len(spread.frame) == 4
    same_frames(spread, study.run("sequential", verbose=False))
    assert not ray.is_initialized()


def test_room_for_workers():
    from coloss.study.engines.ray import _room

    assert _room({"CPU": 8.0}, 2, 0) == 4
    assert _room({"CPU": 8.0, "GPU": 2.0}, 1, 0.5) == 4
    with pytest.raises(ValueError, match="needs 1 GPUs; the cluster has 0"):
        _room({"CPU": 8.0}, 1, 1)


def test_without_ray_the_engine_is_refused(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ray" else found(name)
    )
    monkeypatch.delitem(sys.modules, "coloss.study.engines.ray", raising=False)
    with pytest.raises(ImportError, match=r'pip install "coloss\[ray\]"'):
        choose("ray", {})
