"""A member of a configuration that is recorded in a file: `outputs`."""

from __future__ import annotations

import json

import keras
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from coloss.cli.app import app
from coloss.cli.config import parse
from coloss.cli.errors import CliError, Exit
from coloss.cli.runs.networks import build_joint, compile_joint
from coloss.cli.runs.open_source import open_source
from coloss.cli.runs.predict import predict_files
from coloss.cli.runs.tell import described_lines
from coloss.data.readers import DataError
from coloss.run_folder import RunFolder

CLASSES = ["angry", "happy", "sad"]
ROWS = 60
GONE = [f"r{row}" for row in range(0, ROWS, 5)]
CONFIG = """\
[data]
labels = "labels.csv"
id = "id"
label = "y"
fractions = {{ validation = 0.2, test = 0.2 }}
{data}

[members.expert]
outputs = "expert.csv"
{expert}

[members.a]
data = "a.csv"
layers = [{{ kind = "dense", units = 4, name = "hidden" }}]

{more}

[objective]
text = "{text}"

[training]
epochs = 2
"""
TAUGHT = "a + distill(expert >> a)"
QUICK = "flow_every = 0\n"


def config_text(data="", expert="", more="", text=TAUGHT):
    return CONFIG.format(data=data, expert=expert, more=more, text=text)


def probabilities(rows, classes):
    raw = np.random.default_rng(3).normal(size=(rows, classes))
    found = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    return found.round(6)


def write(folder, y, expert):
    """Write the labels, the features of `a`, and the expert's table."""
    ids = [f"r{row}" for row in range(ROWS)]
    pd.DataFrame({"id": ids, "y": y}).to_csv(folder / "labels.csv", index=False)
    x = np.random.default_rng(1).normal(size=(ROWS, 3))
    features = pd.DataFrame(x, columns=["f0", "f1", "f2"])
    features.insert(0, "id", ids)
    features[::-1].to_csv(folder / "a.csv", index=False)
    expert.insert(0, "id", ids)
    kept = expert[~expert["id"].isin(GONE)]
    kept.sample(frac=1, random_state=0).to_csv(folder / "expert.csv", index=False)
    return expert.set_index("id")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    y = [CLASSES[row % 3] for row in range(ROWS)]
    values = probabilities(ROWS, 3)
    write(folder, y, pd.DataFrame(values, columns=["sad", "angry", "happy"]))
    (folder / "config.toml").write_text(config_text())
    return folder


@pytest.fixture(scope="module")
def run(folder):
    call("train", folder / "config.toml", "--output", folder / "run")
    return RunFolder(folder / "run")


def call(*arguments, code=Exit.OK):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


def source_of(folder, **texts):
    return open_source(parse(config_text(**texts), "c.toml"), folder)


def rewritten(folder, tmp_path, change):
    """Copy the files, with another table of the expert."""
    for name in ("labels.csv", "a.csv"):
        (tmp_path / name).write_text((folder / name).read_text())
    change(pd.read_csv(folder / "expert.csv")).to_csv(
        tmp_path / "expert.csv", index=False
    )
    return tmp_path


def test_a_run_is_taught_by_the_file(run):
    assert run.environment["status"] == "finished" and run.report_path.exists()
    told = run.data["members"]["expert"]
    assert told["recorded"] == {
        "kind": "probabilities",
        "columns": CLASSES,
        "by_name": True,
    }
    assert told["files"] == ["expert.csv"] and not told["standardized"]
    assert sum(told["missing"].values()) == len(GONE) and told["width"] == 3
    assert run.explanation["main"] == "a"
    values = run.history["distill(expert >> a)"].to_numpy()
    assert np.isfinite(values).all() and (values > 0).all()
    assert sorted(p.name for p in (run.path / "models").iterdir()) == ["a.keras"]
    assert set(run.flow["learner"]) == {"a"} and set(run.flow["sources"]) == {"expert"}


def test_columns_go_by_class_and_missing_ids_are_masked(folder):
    rows = source_of(folder).rows
    table = pd.read_csv(folder / "expert.csv", index_col="id")[CLASSES]
    expected = table.reindex(rows.ids).to_numpy("float32")
    np.testing.assert_array_equal(rows.x["expert"], expected)
    assert np.isnan(expected).all(axis=1).sum() == len(GONE)
    assert not source_of(folder).standardizers().keys() & {"expert"}


def test_the_term_counts_the_rows_that_have_a_prediction(folder, run):
    joint = keras.saving.load_model(run.path / "model.keras")
    x, y = source_of(folder).rows.part("test")
    logs = joint.evaluate(x, y, verbose=0, return_dict=True)
    there = ~np.isnan(x["expert"]).any(axis=1)
    assert 0 < there.sum() < len(there)

    def softened(values):
        z = np.log(values.astype("float64")) / 4
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    p, q = softened(x["expert"][there]), softened(joint["a"].predict(x["a"][there]))
    expected = 16 * (p * np.log(p / q)).sum(axis=1).mean()
    assert logs["distill(expert >> a)"] == pytest.approx(expected, rel=1e-4)


def test_the_commands_on_such_a_run(folder, run, tmp_path):
    said = json.loads(call("explain", folder / "config.toml", "--json").stdout)
    assert said["frozen"] == said["recorded"] == ["expert"]
    assert said["edges"][0]["learner"] == "a"
    said = json.loads(
        call("explain", folder / "config.toml", "--batch", "--json").stdout
    )
    assert said["flow"]["distill(expert >> a)"]["a"] > 0
    said = call("validate", folder / "config.toml", "--data").output
    assert "expert: recorded probabilities\n" in said
    figures = call("evaluate", run.path, "--json").stdout
    assert "distill(expert >> a)" in figures
    call("report", run.path, "--force")
    call("export", run.path, tmp_path / "a.keras")
    out = tmp_path / "out.csv"
    call("predict", run.path, f"a={folder / 'a.csv'}", "--output", out)
    found = pd.read_csv(out).filter(like="probability").to_numpy()
    x = pd.read_csv(folder / "a.csv").filter(like="f").to_numpy("float32")
    network = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_allclose(found, network.predict(x, verbose=0), atol=1e-5)
    new = tmp_path / "new.csv"
    for command in (
        ("export", run.path, tmp_path / "e.keras", "--member", "expert"),
        ("predict", run.path, "expert=e.csv", "--member", "expert", "-o", new),
    ):
        said = call(*command, code=Exit.WRONG).output
        assert "'expert' is recorded, and is no network" in said.replace("\n", " ")


def test_what_predict_writes_is_a_recorded_teacher(folder, run, tmp_path):
    rewritten(folder, tmp_path, lambda table: table)
    files = ("predict", run.path, f"a={folder / 'a.csv'}", "--force", "-o")
    call(*files, tmp_path / "expert.csv", "--probabilities")
    found = pd.read_csv(tmp_path / "expert.csv", index_col="id")
    assert list(found.columns) == [f"probability_{name}" for name in CLASSES]
    rows = source_of(tmp_path).rows
    expected = found.loc[rows.ids].to_numpy("float32")
    np.testing.assert_allclose(rows.x["expert"], expected, rtol=1e-6)


def test_probabilities_of_numbers_are_refused(folder):
    text = config_text(data='task = "regression"', text="a + match_logits(expert >> a)")
    config = parse(text, "c.toml")
    with pytest.raises(CliError, match="--probabilities is for classes"):
        predict_files(None, config, [], None, False, only_probabilities=True)


def test_a_fused_prediction_reads_new_recorded_ones(folder, tmp_path):
    """What `coloss predict` has written can teach, and be fused."""

    def renamed(table):
        named = table.rename(columns={name: f"probability_{name}" for name in CLASSES})
        return named.assign(predicted="angry")

    rewritten(folder, tmp_path, renamed)
    text = config_text().replace("[objective]", '[objective]\nfuse = "mean"')
    (tmp_path / "config.toml").write_text(text + QUICK)
    call("train", tmp_path / "config.toml", "--output", tmp_path / "run", "--no-report")
    files = [f"{name}={tmp_path / name}.csv" for name in ("a", "expert")]
    out = tmp_path / "out.csv"
    call("predict", tmp_path / "run", *files, "--fused", "--output", out)
    found = pd.read_csv(out, index_col="id").filter(like="probability")
    x = pd.read_csv(tmp_path / "a.csv", index_col="id")
    network = keras.saving.load_model(tmp_path / "run" / "models" / "a.keras")
    alone = network.predict(x.to_numpy("float32"), verbose=0)
    expert = pd.read_csv(folder / "expert.csv", index_col="id")[CLASSES]
    both = np.stack([alone, expert.reindex(x.index).to_numpy()])
    np.testing.assert_allclose(
        found.loc[x.index].to_numpy(), np.nanmean(both, axis=0), atol=1e-5
    )


@pytest.mark.parametrize(
    ("column", "kind", "of"),
    [
        ("p", "probabilities", 1),
        ("no", "probabilities", 0),
        ("yes", "probabilities", 1),
        ("z", "logits", 1),
    ],
)
def test_one_column_is_enough_for_two_classes(tmp_path, column, kind, of):
    p = probabilities(ROWS, 2)[:, 0]
    values = np.log(p / (1 - p)) if kind == "logits" else p
    y = ["no" if row % 2 else "yes" for row in range(ROWS)]
    write(tmp_path, y, pd.DataFrame({column: values}))
    source = source_of(tmp_path, expert=f'kind = "{kind}"')
    told = "is of the second class" in " ".join(described_lines(source.describe()))
    assert told == (column in ("p", "z"))
    there = ~np.isnan(source.rows.x["expert"]).any(axis=1)
    found = source.rows.x["expert"][there].astype("float64")
    if kind == "logits":
        found = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[:, of], p[there], atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_a_regression_reads_values(tmp_path):
    y = np.random.default_rng(0).normal(size=ROWS).round(4)
    table = write(tmp_path, y, pd.DataFrame({"guess": y + 1}))
    text = config_text(data='task = "regression"', text="a + match_logits(expert >> a)")
    (tmp_path / "config.toml").write_text(text + QUICK)
    call("train", tmp_path / "config.toml", "--output", tmp_path / "run", "--no-report")
    run = RunFolder(tmp_path / "run")
    assert run.data["members"]["expert"]["recorded"]["kind"] == "values"
    rows = open_source(parse(text, "c.toml"), tmp_path).rows
    expected = table["guess"].drop(GONE).reindex(rows.ids).to_numpy("float32")
    np.testing.assert_array_equal(rows.x["expert"][:, 0], expected)


def test_rows_that_only_the_expert_has_are_no_rows(folder, tmp_path):
    def more(table):
        extra = table.iloc[:2].assign(id=["x0", "x1"])
        return pd.concat([extra, table])

    rewritten(folder, tmp_path, more)
    with pytest.raises(DataError, match=r'expert: 2 ids .* = "drop" leaves them'):
        source_of(tmp_path)
    for unlisted in ("unlabeled", "drop"):
        source = source_of(tmp_path, data=f'unlisted = "{unlisted}"')
        assert len(source.rows.ids) == ROWS
        said = list(described_lines(source.describe()))
        assert "expert: left out 2 predictions for ids that no row has" in said


def test_a_study_trains_beside_it(folder, tmp_path):
    text = config_text() + (
        f'\n[study]\nseeds = 2\n[study.arms]\nalone = "a"\ntaught = "{TAUGHT}"\n'
    )
    (folder / "study.toml").write_text(text)
    call("study", folder / "study.toml", "--output", tmp_path / "s", "--no-report")
    frame = pd.read_parquet(tmp_path / "s" / "study.parquet")
    losses = frame.pivot(index="seed", columns="arm", values="validation_a_loss")
    assert losses.shape == (2, 2) and (losses["taught"] != losses["alone"]).all()


def scaled(table):
    table.loc[3, "happy"] += 0.5
    return table


def holed(table):
    table.loc[3, "happy"] = np.nan
    return table


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: t.drop(columns="sad"),
            "expert.csv has 2 columns of numbers ('angry', 'happy'); expected 3 "
            "columns, one a class ('angry', 'happy', 'sad')",
        ),
        (lambda t: t.assign(more=0.5), "has 4 columns of numbers"),
        (
            lambda t: t.rename(columns={"sad": "Sad"}),
            "have the names of classes, and 'sad' has none",
        ),
        (scaled, 'If these are logits, say so: members.expert.kind = "logits"'),
        (holed, "has 1 row with single values missing"),
    ],
    ids=["few", "many", "names", "no probabilities", "gap"],
)
def test_files_that_do_not_fit(folder, tmp_path, change, said):
    rewritten(folder, tmp_path, change)
    (tmp_path / "config.toml").write_text(config_text())
    output = tmp_path / "run"
    result = call("train", tmp_path / "config.toml", "--output", output, code=2)
    assert said in result.stderr and "members.expert.outputs" in result.stderr
    assert not output.exists()


def test_other_names_count_in_their_order(folder, tmp_path):
    names = {"sad": "p0", "angry": "p1", "happy": "p2"}
    rewritten(folder, tmp_path, lambda table: table.rename(columns=names))
    source = source_of(tmp_path)
    table = pd.read_csv(tmp_path / "expert.csv", index_col="id")
    expected = table.reindex(source.rows.ids).to_numpy("float32")
    np.testing.assert_array_equal(source.rows.x["expert"], expected)
    (line,) = [one for one in described_lines(source.describe()) if "expert" in one]
    assert line == (
        "expert: recorded probabilities; by their order the columns 'p0', 'p1', 'p2' "
        "are 'angry', 'happy', 'sad'"
    )


def test_it_may_be_an_array_in_the_order_of_the_rows(folder, tmp_path):
    rewritten(folder, tmp_path, lambda table: table)
    values = probabilities(ROWS, 3).astype("float32")
    values[4] = np.nan
    np.save(tmp_path / "expert.npy", values)
    pd.read_csv(tmp_path / "a.csv")[["f0", "f1"]].to_csv(
        tmp_path / "a.csv", index=False
    )
    pd.read_csv(tmp_path / "labels.csv")[["y"]].to_csv(
        tmp_path / "labels.csv", index=False
    )
    text = config_text().replace('id = "id"', 'id = "row"')
    text = text.replace("expert.csv", "expert.npy")
    rows = open_source(parse(text, "c.toml"), tmp_path).rows
    np.testing.assert_array_equal(rows.x["expert"], values)


def test_beside_one_table_its_file_may_be_another_or_the_same(folder, tmp_path):
    names = ("labels.csv", "a.csv", "expert.csv")
    parts = [pd.read_csv(folder / name, index_col="id") for name in names]
    pd.concat(parts, axis=1).to_csv(tmp_path / "all.csv")
    (tmp_path / "expert.csv").write_text((folder / "expert.csv").read_text())
    text = config_text().replace('labels = "labels.csv"', 'table = "all.csv"')
    text = text.replace('data = "a.csv"', 'columns = ["f*"]')
    expected = source_of(folder).rows
    for file in ("expert.csv", "all.csv"):
        columns = f'"{file}"\ncolumns = ["sad", "happy", "angry"]'
        config = parse(text.replace('"expert.csv"', columns), "c.toml")
        rows = open_source(config, tmp_path).rows
        assert rows.ids == expected.ids
        for name in ("a", "expert"):
            np.testing.assert_array_equal(rows.x[name], expected.x[name])
    (tmp_path / "config.toml").write_text(text + QUICK)
    call("train", tmp_path / "config.toml", "--output", tmp_path / "run", "--no-report")
    out = tmp_path / "out.csv"
    call("predict", tmp_path / "run", tmp_path / "all.csv", "--output", out)
    assert len(pd.read_csv(out)) == ROWS
    streamed = text.replace("all.csv", "all.parquet")
    streamed = streamed.replace("[members.expert]", "stream = true\n[members.expert]")
    with pytest.raises(CliError, match=r"outputs is not for `data\.stream`"):
        parse(streamed, "c.toml")


def test_a_network_may_read_it_as_an_input(folder, tmp_path):
    more = '[members.both]\ninputs = ["a", "expert"]\nmissing = "zero"'
    text = config_text(more=more, text="a + both + distill(expert >> a)") + QUICK
    (folder / "both.toml").write_text(text)
    call("train", folder / "both.toml", "--output", tmp_path / "run", "--no-report")
    run, out = RunFolder(tmp_path / "run"), tmp_path / "out.csv"
    assert run.data["members"]["both"]["width"] == 6
    files = [f"{name}={folder / name}.csv" for name in ("a", "expert")]
    call("predict", run.path, *files, "--member", "both", "--output", out)
    found = pd.read_csv(out, index_col="id").filter(like="probability")
    network = keras.saving.load_model(run.path / "models" / "both.keras")
    x = pd.read_csv(folder / "a.csv", index_col="id").loc[found.index]
    p = pd.read_csv(folder / "expert.csv", index_col="id")[CLASSES]
    both = [x.to_numpy(), p.reindex(found.index).fillna(0).to_numpy()]
    np.testing.assert_allclose(found, network.predict(both, verbose=0), atol=1e-5)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        *[
            ({"expert": line}, f"members.expert.{line.split()[0]} is not for a member")
            for line in (
                'data = "a.csv"',
                "layers = []",
                'model = "m.keras"',
                'inputs = ["a"]',
                "learning_rate = 0.1",
                "frozen = true",
                'fill = "mean"',
                "input_dropout = 0.1",
            )
        ],
        ({"expert": 'kind = "values"'}, "does not fit a classification: 'values'"),
        ({"expert": 'kind = "odds"'}, "members.expert.kind"),
        (
            {"more": '[members.b]\ndata = "a.csv"\nkind = "logits"'},
            "members.b.kind is for a member with `outputs`",
        ),
        ({"text": "a + expert"}, "reads the loss of 'expert'"),
        ({"text": "a + distill(a >> expert)"}, "teaches 'expert'"),
        ({"text": "a + mutual(a, expert)"}, "teaches 'expert'"),
        ({"text": "a + cka(expert.hidden >> a)"}, "names a layer of 'expert'"),
    ],
)
def test_what_a_configuration_cannot_say(texts, said):
    with pytest.raises(CliError) as caught:
        parse(config_text(**texts), "c.toml")
    assert said in str(caught.value) and caught.value.code == Exit.WRONG


def test_networks_may_all_have_their_own_learning_rate(folder):
    text = config_text().replace(
        'data = "a.csv"', 'data = "a.csv"\nlearning_rate = 0.1'
    )
    config = parse(text, "c.toml")
    joint = build_joint(config, folder, {"expert": (3,), "a": (3,)}, 3, {})
    assert compile_joint(config, joint) == []
    assert list(joint) == ["expert", "a"]


def test_the_configuration_in_a_run_can_be_used_again(folder, run):
    (folder / "again.toml").write_text((run.path / "config.toml").read_text())
    call("validate", folder / "again.toml", "--data")


def test_it_is_not_the_main_one_nor_alone():
    text = config_text().replace("[objective]", '[objective]\nmain = "expert"')
    with pytest.raises(CliError, match=r"objective\.main is recorded, and learns"):
        parse(text, "c.toml")
    alone = '[data]\nlabels = "l.csv"\nlabel = "y"\n[members.e]\noutputs = "e.csv"\n'
    with pytest.raises(CliError, match="members are all recorded"):
        parse(alone, "c.toml")
    assert parse(config_text(), "c.toml").main == "a"
