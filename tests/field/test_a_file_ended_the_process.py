"""Damaged and hostile files ended the process, or were "not foreseen".

Sources: apache/arrow#34314 ("[Python] SIGABRT: terminate called without an active
exception"), apache/arrow#50229 (out-of-bounds read in the Feather V1 reader),
wesm/feather#266 ("segfault opening old data file (R)").

What is right: one `DataError` that names the file, or the file's own numbers.
"""

from __future__ import annotations

import ast
import io
import random
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather
from pyarrow import parquet as pq

import coloss.data
from coloss.data.readers import DataError, column_names, read_features
from coloss.data.row_groups import RowGroups

from . import exits

ROWS = 20
TABLE = pa.table(
    {
        "id": [f"clip_{n}" for n in range(ROWS)],
        "x": np.arange(ROWS) * 2.0,
        "kind": pa.array(["a", "b"] * (ROWS // 2)).dictionary_encode(),
        "bert": [[1.0, 2.0]] * ROWS,
    }
)
KINDS = ["csv", "arff", "parquet", "feather", "arrow", "npy", "npz"]


def written(path):
    kind = path.suffix[1:]
    if kind == "csv":
        path.write_text("id,x\n" + "".join(f"clip_{n},{n}.5\n" for n in range(ROWS)))
    elif kind == "arff":
        rows = "".join(f"clip_{n},{n}.5\n" for n in range(ROWS))
        path.write_text(
            f"@relation r\n@attribute id string\n@attribute x real\n@data\n{rows}"
        )
    elif kind == "parquet":
        pq.write_table(TABLE, path)
    elif kind == "feather":
        feather.write_feather(TABLE, path, compression="uncompressed")
    elif kind == "arrow":
        with (
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_stream(file, TABLE.schema) as w,
        ):
            w.write_table(TABLE)
    elif kind == "npy":
        np.save(path, np.arange(ROWS * 2.0).reshape(ROWS, 2))
    else:
        np.savez_compressed(
            path,
            x=np.arange(ROWS * 2.0).reshape(ROWS, 2),
            id=TABLE["id"].to_numpy().astype(str),
        )
    return path.read_bytes()


SCRIPT = """
import random, sys
from pathlib import Path
from coloss.data.readers import DataError, column_names, read_features
path, start = Path(sys.argv[1]), int(sys.argv[2])
whole = path.read_bytes()
told = 0
for seed in range(start, start + 100):
    chance = random.Random(seed)
    data = bytearray(whole)
    for _ in range(chance.choice([1, 1, 2, 5])):
        place = chance.randrange(len(data))
        data[place] = chance.choice([0, 127, 128, 255, chance.randrange(256)])
    if chance.random() < 0.15:
        data = data[: chance.randrange(len(data))]
    path.write_bytes(data)
    try:
        read_features(path, id=None if path.suffix == ".npy" else "id")
    except DataError as error:
        told += 1
        assert str(error).startswith(str(path)), error
        assert "\\n" not in str(error), error
print(told)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_with_wrong_bytes_is_one_sentence(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    written(path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), "0"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("csv", "arff")])
def test_a_file_that_is_cut_is_told(tmp_path, kind, share):
    path = tmp_path / f"a.{kind}"
    whole = written(path)
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError) as caught:
        read_features(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_no_file(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    path.mkdir()
    with pytest.raises(DataError, match=r"a directory|cannot be read"):
        read_features(path)


def test_offsets_outside_of_the_file_are_not_followed(tmp_path):
    offsets = pa.py_buffer(np.array([0, 10**9, 5, 7], "int32"))
    wrong = pa.Array.from_buffers(
        pa.string(), 3, [None, offsets, pa.py_buffer(b"abcdefg")]
    )
    path = tmp_path / "a.arrow"
    batch = pa.record_batch([wrong, pa.array([1.0, 2, 3])], ["id", "x"])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as w:
        try:
            w.write_batch(batch)
        except pa.ArrowInvalid:
            pytest.skip("this pyarrow does not write such a file")
    with pytest.raises(DataError, match="cannot be read"):
        read_features(path, id="id")


def test_indices_of_classes_outside_of_the_classes_are_told(tmp_path):
    codes = pa.DictionaryArray.from_arrays(
        pa.array([0, 99, 1], "int32"), pa.array(["a", "b"]), safe=False
    )
    path = tmp_path / "a.feather"
    feather.write_feather(pa.table({"id": codes, "x": [1.0, 2, 3]}), path)
    with pytest.raises(DataError, match="cannot be read"):
        read_features(path, id="id")


def test_feather_of_version_1_is_refused_with_the_mend(tmp_path):
    path = tmp_path / "a.feather"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        feather.write_feather(TABLE.select(["id", "x"]), path, version=1)
    with pytest.raises(DataError, match=r"version 1.*to_feather"):
        read_features(path)


@pytest.mark.parametrize("shape", [(10**12, 4), (2**62, 2**3), (3, 2)])
def test_an_array_that_says_it_is_larger_takes_no_memory(tmp_path, shape):
    header = io.BytesIO()
    about = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    head = header.getvalue()
    (tmp_path / "a.npy").write_bytes(head + bytes(16))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", head + bytes(16))
    for suffix in ("npy", "npz"):
        with pytest.raises(DataError, match="is damaged"):
            read_features(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("kind", ["csv", "tsv", "txt", "arff"])
@pytest.mark.parametrize("what", ["parquet", "feather", "npy", "npz"])
def test_a_file_under_another_name_is_called_by_its_own(tmp_path, what, kind):
    path = tmp_path / f"a.{what}"
    whole = written(path)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"call it|no line @data"):
        read_features(path)


@pytest.mark.parametrize("kind", ["csv", "txt"])
@pytest.mark.parametrize("start", ["", "\ufeff", "% written by openSMILE\n\n"])
def test_arff_under_another_name_is_read(tmp_path, start, kind):
    path = tmp_path / "a.arff"
    written(path)
    other = tmp_path / f"a.{kind}"
    other.write_text(start + path.read_text(), encoding="utf-8")
    assert column_names(other) == ["id", "x"]
    found, right = read_features(other, id="id"), read_features(path, id="id")
    assert found.ids == right.ids
    np.testing.assert_array_equal(found.values, right.values)


def test_row_groups_of_a_damaged_file_are_one_sentence(tmp_path):
    path = tmp_path / "a.parquet"
    whole = bytearray(written(path))
    chance = random.Random(0)
    for place in chance.sample(range(4, len(whole) - 8), 60):
        whole[place] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(DataError):
        RowGroups(path, {"a": ["x"]}).read(0)


def test_pyarrow_never_gets_a_file_of_python():
    """Its threads would call back into Python while the process ends: exit code 134."""
    folder = Path(coloss.data.__file__).parent
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        opened = {
            item.optional_vars.id
            for node in ast.walk(tree)
            if isinstance(node, ast.With)
            for item in node.items
            if isinstance(item.context_expr, ast.Call)
            and ast.unparse(item.context_expr.func).endswith(".open")
            and isinstance(item.optional_vars, ast.Name)
        }
        readers = ("read_csv", "open_csv", "open_stream", "open_file", "ParquetFile")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                name = ast.unparse(node.func).rsplit(".", 1)[-1]
                if name in (*readers, "parsed", "read_table", "read_schema"):
                    assert ast.unparse(node.args[0]) not in opened, (path, name)


def test_train_without_its_label_column_ends_with_code_2_each_time(tmp_path):
    """Five of the runs that `python -m tests.field.exits --runs 200` makes."""
    exits.write(tmp_path)
    processes = [exits.started(tmp_path) for _ in range(5)]
    assert [exits.ended(process) for process in processes] == [(2, True)] * 5
    assert not (tmp_path / "run").exists()
