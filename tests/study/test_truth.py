"""Whole studies whose answer is known: no effect, and a planted one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

import coloss
from coloss.data import Split
from coloss.study import StudyResult

SEEDS, STUDIES = 8, 8
jax_only = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="the population runs on JAX"
)
common = Path(__file__).with_name("conftest.py")


def build():
    layers = [keras.Input((4,)), keras.layers.Dense(3, "softmax")]
    return coloss.JointModel({"main": keras.Sequential(layers)})


def rows(count, random):
    y = random.integers(0, 3, count)
    x = np.eye(4)[y] + random.normal(0.0, 0.5, (count, 4))
    return {"main": x.astype("float32")}, y.astype("int32")


def trained_on(draw, unlabeled):
    """Return splits of 30 rows; `draw` says which rows are trained on."""

    def data(seed):
        random = np.random.default_rng([seed, 99])
        validation, test = rows(60, random), rows(300, random)
        x, y = rows(30, np.random.default_rng([seed, draw]))
        y[:unlabeled] = -1
        return Split((x, y), validation, test)

    return data


def cut(result, first):
    """Return the study of some of the seeds."""
    seeds = range(first, first + SEEDS)
    return StudyResult(
        [record for record in result.records if record.run.seed in seeds],
        result.objectives,
        main=result.main,
        metric=result.metric,
        direction=result.direction,
        baseline=result.baseline,
    )


@jax_only
@pytest.mark.slow
def test_real_studies_claim_what_was_planted_and_nothing_else():
    """Other rows of the same kind are no gain; ten times the labels are one."""
    result = coloss.Study(
        build,
        trained_on(1, unlabeled=27),
        arms={
            "alone": "main",
            "other rows": {"objective": "main", "data": trained_on(2, unlabeled=27)},
            "more labels": {"objective": "main", "data": trained_on(3, unlabeled=0)},
        },
        compile={
            "optimizer": keras.optimizers.SGD(0.3),
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        },
        seeds=SEEDS * STUDIES,
        epochs=15,
        batch_size=30,
        main="main",
        validation_freq=15,
    ).run(verbose=False, form="vmap")
    tables = [cut(result, SEEDS * i).compare() for i in range(STUDIES)]
    verdicts = {
        arm: [table.loc[arm, "verdict"] for table in tables]
        for arm in ("other rows", "more labels")
    }
    # Nominal 1.25 % each, two arms being compared: two of eight come by chance once
    # in two hundred times.
    assert verdicts["other rows"].count("gained") <= 1
    assert verdicts["more labels"].count("gained") >= 7
    assert result.compare().loc["more labels", "verdict"] == "gained"
    assert result.seeds_needed("more labels", 0.05) < SEEDS * STUDIES


SCRIPT = textwrap.dedent(
    """
    import importlib.util, json, sys
    import jax
    spec = importlib.util.spec_from_file_location("common", sys.argv[1])
    common = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(common)
    import coloss

    assert jax.local_device_count() == 8
    study = coloss.Study(
        common.build, common.plain, compile=common.COMPILE, batch_size=8, main="main",
        arms={"taught": "main + helper + distill(helper >> main)"}, seeds=11, epochs=2,
    )
    result = study.run("jax", verbose=False, chunk=9, form="vmap")
    print(json.dumps(result.frame.drop(columns=["seconds", "error"]).to_dict("list")))
    """
)


@jax_only
@pytest.mark.slow
def test_eight_devices_give_what_one_gives(study):
    """Eleven runs in chunks of nine: neither fills the devices."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(common)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    spread = json.loads(done.stdout.splitlines()[-1])
    made = study(
        arms={"taught": "main + helper + distill(helper >> main)"}, seeds=11, epochs=2
    )
    one = made.run("jax", verbose=False, form="vmap").frame
    assert spread["seed"] == one["seed"].tolist()
    for name in one.columns.drop(["arm", "seconds", "error"]):
        np.testing.assert_allclose(spread[name], one[name], atol=1e-5, err_msg=name)
