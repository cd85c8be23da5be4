"""A member of a configuration that reads the data of others."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet as pq
from typer.testing import CliRunner

from coloss.cli.app import app
from coloss.cli.config import parse
from coloss.cli.errors import CliError, Exit
from coloss.cli.runs.networks import build_joint
from coloss.data import Standardizer
from coloss.run_folder import RunFolder

CONFIG = """\
[data]
table = "all.parquet"
id = "id"
label = "y"
stream = {stream}

[members.a]
columns = ["a_*"]

[members.b]
columns = ["b_*"]

[members.all]
inputs = ["b", "a"]
missing = "zero"
input_dropout = 0.2
{more}

[objective]
text = "a + b + all + distill(all >> a) + cka(all.hidden >> a.hidden)"
main = "all"

[training]
epochs = 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    random = np.random.default_rng(0)
    columns = {"id": [f"r{row}" for row in range(90)]}
    columns |= {f"a_{n}": 5 + random.normal(size=90) for n in range(3)}
    columns |= {f"b_{n}": random.normal(size=90) for n in range(2)}
    for n in range(2):
        columns[f"b_{n}"][::6] = np.nan
    columns["y"] = ["uvw"[row % 3] for row in range(90)]
    pq.write_table(pa.table(columns), folder / "all.parquet", row_group_size=40)
    for stream in ("true", "false"):
        text = CONFIG.format(stream=stream, more="")
        (folder / f"{stream}.toml").write_text(text)
    return folder


def call(*arguments, code=Exit.OK):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("stream", ["true", "false"])
def test_it_trains_and_predicts_from_the_inputs_of_others(folder, tmp_path, stream):
    call("train", folder / f"{stream}.toml", "--output", tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    told = run.data["members"]
    assert told["all"]["width"] == 5 and told["all"]["files"] == ["all.parquet"]
    assert sum(told["all"]["missing"].values()) == 0
    assert sum(told["b"]["missing"].values()) == 15
    table = folder / "all.parquet"
    out = tmp_path / "out.csv"
    call("predict", tmp_path / "run", table, "--output", out)
    found = pd.read_csv(out).filter(like="probability").to_numpy()
    network = keras.saving.load_model(tmp_path / "run" / "models" / "all.keras")
    values = pd.read_parquet(table)
    x = {key: values.filter(like=f"{key}_").fillna(0).to_numpy() for key in "ab"}
    expected = network.predict([x["b"], x["a"]], verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    wrong = (
        "predict",
        tmp_path / "run",
        f"all={table}",
        "--output",
        tmp_path / "no.csv",
    )
    assert "no data of its own" in call(*wrong, code=Exit.WRONG).output


def config_of(more=""):
    return parse(CONFIG.format(stream="false", more=more), "c.toml")


def test_it_standardizes_each_input_as_its_owner_does(tmp_path):
    x = {"a": 5 + np.random.default_rng(0).normal(size=(30, 3)), "b": np.eye(2)}
    spread = {key: Standardizer.of_last_axis(values) for key, values in x.items()}
    joint = build_joint(config_of(), tmp_path, {"a": (3,), "b": (2,)}, 3, spread)
    layer = joint["all"].get_layer("standardize_a")
    np.testing.assert_allclose(
        np.asarray(layer(x["a"])).mean(axis=0), np.zeros(3), atol=1e-5
    )


def test_a_saved_network_may_take_several_inputs(tmp_path):
    inputs = [keras.Input((3,), name="a"), keras.Input((2,), name="b")]
    joined = keras.layers.Concatenate()(inputs)
    network = keras.Model(inputs, keras.layers.Dense(3, "softmax")(joined))
    network.save(tmp_path / "all.keras")
    config = config_of('model = "all.keras"')
    shapes = {"a": (3,), "b": (2,)}
    joint = build_joint(config, tmp_path, shapes, 3, {})
    assert joint.assembly.inputs["all"].dropout == 0.2
    with pytest.raises(CliError, match=r"rows of shape \(3,\) as 'a'"):
        build_joint(config, tmp_path, {"a": (4,), "b": (2,)}, 3, {})
    alone = parse(
        '[data]\nlabels = "l.csv"\nlabel = "y"\n'
        '[members.a]\ndata = "a.csv"\nmodel = "all.keras"\n',
        "c.toml",
    )
    with pytest.raises(CliError, match="takes 2 inputs; say which"):
        build_joint(alone, tmp_path, {"a": (3,)}, 3, {})
