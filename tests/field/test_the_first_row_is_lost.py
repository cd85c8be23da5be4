"""A CSV without a header: its first row was taken for names, and lost.

Sources: pytorch/tutorials#1708 ("Missing first sample when loading csv file"),
langchain-ai/langchain#6460 ("Issue: how to load csv without headers"),
apache/superset#9874 ("Upload csv that does not contain headers still treats first row
as header").

What is right is the array that `numpy.savetxt` wrote.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from coloss.data.readers import (
    DataError,
    column_as_text,
    column_names,
    looks_headerless,
    read_features,
    read_table,
)

random = np.random.default_rng(1)
VALUES = random.normal(size=(60, 4)).round(4)
CLASSES = np.array(["setosa", "virginica"])[np.arange(60) % 2]

HEADERLESS = {
    "numbers": lambda: pd.DataFrame(VALUES),
    "class last": lambda: pd.DataFrame(VALUES).assign(y=CLASSES),
    "class number last": lambda: pd.DataFrame(VALUES).assign(y=np.arange(60) % 2),
    "id first": lambda: pd.DataFrame(
        {"id": [f"u{n}" for n in range(60)], "x": VALUES[:, 0], "y": VALUES[:, 1]}
    ),
    "id and class": lambda: pd.DataFrame(
        {"id": [f"u{n}" for n in range(60)], "x": np.arange(60) % 3}
    ),
    "gaps": lambda: pd.DataFrame(np.where(VALUES > 1, np.nan, VALUES)),
    "whole numbers": lambda: pd.DataFrame(random.integers(0, 255, size=(60, 9))),
    "one column": lambda: pd.DataFrame(VALUES[:, :1]),
    "rising in each row": lambda: pd.DataFrame(np.sort(VALUES, axis=1)),
}
WITH_NAMES = {
    "words": lambda: pd.DataFrame(VALUES, columns=list("abcd")),
    "0, 1, 2, 3": lambda: pd.DataFrame(VALUES),
    "1, 2, 3, 4": lambda: pd.DataFrame(VALUES, columns=range(1, 5)),
    "wavelengths": lambda: pd.DataFrame(VALUES, columns=[400.0, 402.5, 405.0, 407.5]),
    "uneven wavelengths": lambda: pd.DataFrame(
        random.normal(size=(60, 9)),
        columns=[350, 351, 353, 360, 361, 370, 390, 400, 401],
    ),
    "years": lambda: pd.DataFrame(VALUES, columns=range(2019, 2023)).assign(z=CLASSES),
    "an id and numbers": lambda: pd.DataFrame(VALUES[:, :1]).assign(id=CLASSES),
    "text alone": lambda: pd.DataFrame({"id": CLASSES, "label": CLASSES}),
}


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("kind", list(HEADERLESS))
def test_no_row_is_lost(tmp_path, kind, sign):
    frame, path = HEADERLESS[kind](), tmp_path / "a.csv"
    frame.to_csv(path, sep=sign, header=False, index=False)
    assert looks_headerless(path)
    with pytest.raises(DataError, match="`header = false`"):
        read_table(path)
    table = read_table(path, header=False)
    assert table.num_rows == 60
    names = [f"column_{n + 1}" for n in range(frame.shape[1])]
    assert table.column_names == names == column_names(path, header=False)
    right = frame.select_dtypes("number").to_numpy("float32")
    np.testing.assert_allclose(read_features(path, header=False).values, right, 1e-6)
    assert read_table(path, names, header=True).num_rows == 59  # As it is said.


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("kind", list(WITH_NAMES))
def test_a_header_stays_one(tmp_path, kind, index):
    frame, path = WITH_NAMES[kind](), tmp_path / "a.csv"
    frame.to_csv(path, index=index)
    assert not looks_headerless(path)
    assert read_table(path).num_rows == 60
    with_index = ["Unnamed: 0"] if index else []
    names = [*with_index, *map(str, frame.columns)]
    assert read_table(path).column_names == names == column_names(path)


def test_the_class_in_the_last_column_is_read_by_its_name(tmp_path):
    path = tmp_path / "iris.csv"
    HEADERLESS["class last"]().to_csv(path, header=False, index=False)
    table = read_table(path, ("column_5",), header=False)
    assert column_as_text(table, "column_5", path) == CLASSES.tolist()
    found = read_features(path, reserved=["column_5"], header=False)
    np.testing.assert_allclose(found.values, VALUES.astype("float32"), 1e-6)


@pytest.mark.parametrize("suffix", ["npy", "npz", "parquet", "arff", "feather"])
def test_files_that_name_their_columns_are_not_asked_about(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"1,2\n3,4\n")
    assert not looks_headerless(path)
