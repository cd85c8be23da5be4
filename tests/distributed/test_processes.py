"""Two processes train what one trains; what one does alone makes no other wait."""

from __future__ import annotations

import json
import os
import sys

import keras
import numpy as np
import pytest

from coloss.cli.launcher import launch
from tests.devices import FLAGS, build, data
from tests.distributed.member import BATCH, FIT, TAUGHT, numbers

pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(
        keras.backend.backend() != "jax", reason="Keras joins processes on JAX only"
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place, said = tmp_path_factory.mktemp("processes"), []
    command = [sys.executable, "-m", "tests.distributed.member", str(place), "all"]
    env = {**os.environ, "XLA_FLAGS": FLAGS, "JAX_PLATFORMS": "cpu"}
    assert launch(command, 2, said.append, env) == 0, said
    return place


@pytest.fixture(scope="module")
def found(folder):
    files = [folder / f"found-{index}.json" for index in range(2)]
    return [json.loads(file.read_text()) for file in files]


@pytest.fixture(scope="module")
def alone():
    x, y = data()
    joint = build(TAUGHT)
    history = joint.fit(x, y, batch_size=2 * BATCH, **FIT).history
    kept = numbers(joint) | {"loss": np.array(history["loss"])}
    scores = joint.evaluate(x, y, batch_size=2 * BATCH, verbose=0)
    return kept, scores


@pytest.mark.parametrize("index", range(2))
def test_a_resumed_training_ends_as_an_unbroken_one_of_one_process(
    folder, alone, index
):
    with np.load(folder / f"kept-{index}.npz") as kept:
        for name, value in alone[0].items():
            np.testing.assert_allclose(kept[name], value, atol=1e-5, err_msg=name)


def test_scores_are_of_the_rows_of_all(found, alone):
    for told in found:
        np.testing.assert_allclose(told["evaluate"], alone[1], atol=1e-5)


def test_uneven_shards_are_refused_by_all_with_their_rows(found):
    for told in found:
        assert "found 20 in process 0, 21 in process 1" in told["uneven"]


def test_a_mistake_in_one_process_is_told_in_the_other(found):
    assert found[0]["mistake"].startswith("`x`: nothing for 'main'")
    assert found[1]["mistake"].startswith("process 0 cannot go on: ValueError: `x`")


def test_a_row_belongs_to_one_process(found):
    assert all("have a row in common ('a')" in told["ids"] for told in found)


def test_process_0_writes_and_all_can_read(folder, found):
    names = {path.name for path in folder.iterdir()}
    assert {"of one.keras", "joint.keras", "main.weights.h5", "main.keras"} <= names
    assert found[0]["loaded"] == 0


def test_one_process_can_explain_alone(found):
    assert found[0]["flow"]


def test_shares_are_equal(found):
    assert [told["share"] for told in found] == [[0, 2], [1, 3]]
