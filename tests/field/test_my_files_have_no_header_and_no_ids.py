"""Published features as they lie there: no header, no ids, the class beside them.

Of this kind: pytorch/tutorials pull request 1708 and rixwew/pytorch-fm issue 11 (the
first row is lost as names), pandas-dev/pandas issue 51664 and milvus-io/milvus issue
33197 (an index of pandas is a column like the others). ARFF with a nominal class is
what Weka and openSMILE write; that it must go through was found by trying.
"""

from __future__ import annotations

import json

import keras
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from coloss.cli.app import app
from coloss.cli.config import load, parse
from coloss.cli.runs.rows import read_rows
from coloss.data.readers import DataError
from coloss.run_folder import RunFolder

ROWS = 60
WORDS = np.array(["calm", "None", "sad"])
CLASSES = np.arange(ROWS) % 3


def features(width, seed):
    random = np.random.default_rng(seed)
    noise = random.normal(size=(ROWS, width))
    return (noise + CLASSES[:, None]).round(4).astype("float32")


VALUES = {name: features(w, w) for name, w in {"a": 4, "b": 3, "c": 5}.items()}


def call(folder, *arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def write_headerless(folder, classes=CLASSES + 1, files="abc"):
    for name in files:
        table = pd.DataFrame(VALUES[name].astype(str))
        table["class"] = classes
        table.to_csv(folder / f"{name}.csv", header=False, index=False)


def write_arff(folder):
    for name, values in VALUES.items():
        lines = [f"@relation {name}"]
        lines += [f"@attribute F{c} numeric" for c in range(values.shape[1])]
        lines += ["@attribute class {calm,None,sad}", "@data"]
        for row, word in zip(values, WORDS[CLASSES], strict=True):
            lines.append(",".join([*map(str, row), word]))
        (folder / f"{name}.arff").write_text("\n".join(lines) + "\n")


def write_parquet(folder):
    columns = {
        f"{name}_{place}": values[:, place]
        for name, values in VALUES.items()
        for place in range(values.shape[1])
    }
    frame = pd.DataFrame(columns | {"emotion": WORDS[CLASSES]})
    # An index that is not 0, 1, 2 is written as a column.
    frame.index = np.random.default_rng(0).permutation(ROWS)
    frame.to_parquet(folder / "all.parquet")


LAYOUTS = {
    "headerless": (write_headerless, [f"{n}={n}.csv" for n in "abc"], ["1", "2", "3"]),
    "arff": (write_arff, [f"{n}={n}.arff" for n in "abc"], sorted(WORDS)),
    "parquet": (
        write_parquet,
        [*[f"{n}={n}_*" for n in "abc"], "--table", "all.parquet"],
        sorted(WORDS),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_from_files_to_predictions_without_editing_one(layout, tmp_path, monkeypatch):
    write, arguments, names = LAYOUTS[layout]
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    call(tmp_path, "init", "c.toml", *arguments)
    told = call(tmp_path, "validate", "c.toml", "--data").output
    assert "labeled)" in told and "unlabeled" not in told
    call(tmp_path, "train", "c.toml", "--epochs", 1, "--no-report", "--quiet")
    run = RunFolder(tmp_path / "run")
    widths = {name: member["width"] for name, member in run.data["members"].items()}
    assert widths == {name: v.shape[1] for name, v in VALUES.items()}
    assert sum(run.data["rows"].values()) == ROWS and run.data["classes"] == names
    table = run.evaluation
    truth = np.searchsorted(names, WORDS[CLASSES]) if names[0] != "1" else CLASSES
    assert table["label"].tolist() == truth[table["id"].astype(int)].tolist()
    file = arguments[0].replace("a=a_*", "all.parquet")
    call(tmp_path, "predict", "run", file, "-o", "p.csv")
    found = pd.read_csv("p.csv", keep_default_na=False)
    assert found["row"].tolist() == list(range(ROWS))
    network = keras.saving.load_model(run.path / "models" / "a.keras")
    expected = network.predict(VALUES["a"], verbose=0)
    columns = [f"probability_{name}" for name in names]
    np.testing.assert_allclose(found[columns].astype(float), expected, atol=1e-5)
    call(tmp_path, "report", "run")
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(folder, *arguments, code=0):
    return call(folder, "init", "c.toml", *arguments, code=code)


def rows_of(folder):
    return read_rows(load(folder / "c.toml"), folder)


def test_init_writes_what_it_saw(here):
    write_headerless(here)
    told = init(here, *LAYOUTS["headerless"][1]).output
    config = load(here / "c.toml")
    assert config.data.id == "row" and config.data.labels == "a.csv"
    assert config.data.label == "column_5" and config.data.header is False
    assert [m.header for m in config.members.values()] == [False] * 3
    assert "'column_4'" in told and "'column_6'" in told


def test_every_row_and_no_label_is_read(here):
    write_headerless(here)
    init(here, *LAYOUTS["headerless"][1])
    rows = rows_of(here)
    for name, values in VALUES.items():
        np.testing.assert_array_equal(rows.x[name], values)
    assert rows.y.tolist() == CLASSES.tolist()


@pytest.mark.parametrize("names", [WORDS, np.array(["1", "2", "3"])])
@pytest.mark.parametrize("place", ["a", "b", "all"])
def test_the_class_stands_in_one_file_or_in_all(here, names, place):
    for name, values in VALUES.items():
        table = pd.DataFrame(values.astype(str))
        if place in (name, "all"):
            table["class"] = names[CLASSES]
        table.to_csv(here / f"{name}.csv", header=False, index=False)
    numbers = names[0] == "1"
    files = LAYOUTS["headerless"][1]
    if numbers and place != "all":  # A number in one file may be a feature.
        said = init(here, *files, code=2).stderr
        assert "--labels FILE --label NAME" in said
        width = VALUES[place].shape[1] + 1
        files = [*files, "--labels", f"{place}.csv", "--label", f"column_{width}"]
    init(here, *files)
    rows = rows_of(here)
    assert [rows.classes[code] for code in rows.y] == names[CLASSES].tolist()
    for name, values in VALUES.items():
        np.testing.assert_array_equal(rows.x[name], values)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_named_label_in_a_members_file_is_no_feature(here, suffix):
    for name, values in VALUES.items():
        table = pd.DataFrame(
            values, columns=[f"{name}{c}" for c in range(len(values[0]))]
        )
        if name == "b":
            table["class"] = CLASSES
        path = here / f"{name}.{suffix}"
        table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    init(here, *[f"{name}={name}.{suffix}" for name in VALUES])
    rows = rows_of(here)
    assert rows.sources["b"].names == ["b0", "b1", "b2"]
    assert rows.y.tolist() == CLASSES.tolist()


def test_a_label_without_a_file_is_looked_for_in_those_of_members(here):
    write_arff(here)
    text = '[data]\nlabel = "class"\n[members.a]\ndata = "a.arff"\n'
    rows = read_rows(parse(text, "c.toml"), here)
    assert rows.classes == sorted(WORDS) and rows.x["a"].shape == (ROWS, 4)
    wrong = text.replace('"class"', '"clas"')
    with pytest.raises(DataError, match="did you mean 'class'"):
        read_rows(parse(wrong, "c.toml"), here)


def test_labels_need_a_file_where_members_are_arrays(here):
    text = '[data]\nlabel = "class"\n[members.a]\ndata = "a.npy"\n'
    with pytest.raises(Exception, match="which have no column 'class'"):
        parse(text, "c.toml")


def test_other_rows_in_another_file_are_seen_by_its_label(here):
    write_arff(here)
    lines = (here / "b.arff").read_text().splitlines()
    (here / "b.arff").write_text("\n".join([*lines[:-2], lines[-1], lines[-2]]) + "\n")
    text = '[data]\nlabel = "class"\nid = "row"\n'
    text += '[members.a]\ndata = "a.arff"\n[members.b]\ndata = "b.arff"\n'
    with pytest.raises(DataError, match=r"differs from that of 'a\.arff' in 2 rows"):
        read_rows(parse(text, "c.toml"), here)


def test_files_of_different_lengths_are_not_joined_by_place(here):
    write_headerless(here)
    lines = (here / "c.csv").read_text().splitlines()
    (here / "c.csv").write_text("\n".join(lines[:-1]) + "\n")
    said = init(
        here,
        *LAYOUTS["headerless"][1],
        "--labels",
        "a.csv",
        "--label",
        "column_5",
        code=2,
    ).stderr
    assert "a.csv: 60, b.csv: 60, c.csv: 59" in said and "--id NAME" in said


def test_a_column_called_row_joins_where_all_have_it(here):
    order = np.random.default_rng(0).permutation(ROWS)
    frame = pd.DataFrame({"row": np.arange(ROWS), "y": CLASSES})
    frame.to_csv(here / "labels.csv", index=False)
    other = pd.DataFrame(VALUES["a"], columns=list("efgh")).assign(row=np.arange(ROWS))
    other.iloc[order].to_csv(here / "a.csv", index=False)
    text = '[data]\nlabels = "labels.csv"\nlabel = "y"\nid = "row"\n'
    text += '[members.a]\ndata = "a.csv"\n'
    rows = read_rows(parse(text, "c.toml"), here)
    np.testing.assert_array_equal(rows.x["a"], VALUES["a"])
    frame.drop(columns="row").to_csv(here / "labels.csv", index=False)
    with pytest.raises(DataError, match="may mean the column or the place of a row"):
        read_rows(parse(text, "c.toml"), here)


@pytest.mark.parametrize("key", ["data", "members.a"])
def test_a_file_that_seems_headerless_is_asked_about(here, key):
    write_headerless(here, files="a")
    pd.DataFrame({"y": CLASSES}).to_csv(here / "labels.csv", index=False)
    labels = "a.csv" if key == "data" else "labels.csv"
    label = "column_5" if key == "data" else "y"
    text = f'[data]\nlabels = "{labels}"\nlabel = "{label}"\n'
    text += '[members.a]\ndata = "a.csv"\n'
    with pytest.raises(DataError, match=rf"{key}: .*a.csv: .*`header = false`"):
        read_rows(parse(text, "c.toml"), here)
    text = text.replace('"a.csv"\n', '"a.csv"\nheader = false\n')
    if key == "data":
        text = text.replace("header = false\nlabel", "label")
    rows = read_rows(parse(text, "c.toml"), here)
    np.testing.assert_array_equal(rows.x["a"][:, :4], VALUES["a"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("column", "kept"),
    [
        (CLASSES, False),
        (CLASSES + 7.0, False),
        (2 - CLASSES, False),
        (np.where(np.arange(ROWS) == 5, 0, CLASSES), True),
        (CLASSES // 2, True),
    ],
)
def test_a_column_that_says_the_label_is_left_out_and_told(here, column, kept, stream):
    frame = pd.DataFrame(VALUES["a"], columns=[f"f{c}" for c in range(4)])
    frame = frame.assign(code=column, y=WORDS[CLASSES])
    frame.to_parquet(here / "all.parquet", row_group_size=25)
    text = '[data]\ntable = "all.parquet"\nlabel = "y"\n'
    text += f"stream = {str(stream).lower()}\n[members.a]\n"
    (here / "c.toml").write_text(text)
    line = call(here, "validate", "c.toml", "--data", "--json").stdout.splitlines()[0]
    member = json.loads(line)["members"]["a"]
    assert member["width"] == 4 + kept
    assert [c["name"] for c in member["left_out"]] == ([] if kept else ["code"])
    (here / "c.toml").write_text(text + 'columns = ["f*", "code"]\n')
    line = call(here, "validate", "c.toml", "--data", "--json").stdout.splitlines()[0]
    assert json.loads(line)["members"]["a"]["width"] == 5
