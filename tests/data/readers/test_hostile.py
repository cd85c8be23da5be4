"""Files that are made to wait for, or to fill the memory: one sentence, at once."""

from __future__ import annotations

import os
import resource
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from coloss.cli.config import load
from coloss.cli.errors import CliError
from coloss.data.readers import DataError, read_features

SUFFIXES = ["csv", "tsv", "arff", "parquet", "arrow", "feather", "npy", "npz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_is_not_waited_for(suffix, kind, tmp_path):
    path = tmp_path / f"a.{suffix}"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is no file"):
        read_features(path)


def rows(path):
    """Four columns of 2**24 equal numbers."""
    column = pa.array(np.zeros(2**24, "int8"))
    table = pa.table({f"F{n}": column for n in range(4)})
    pq.write_table(table, path, compression="zstd")


def nulls(path):
    """Columns of nothing, which take no bytes, of 2**25 rows."""
    batch = pa.record_batch([pa.nulls(2**25), pa.nulls(2**25)], ["a", "b"])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as w:
        w.write_batch(batch)


BOMBS = {"a.parquet": rows, "a.arrow": nulls}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_would_fill_the_memory_is_refused(name, tmp_path):
    BOMBS[name](tmp_path / name)
    assert (tmp_path / name).stat().st_size < 300_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="says that it takes"):
        read_features(tmp_path / name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_an_archive_that_would_fill_the_memory_is_refused(tmp_path):
    # Its list says 8 GB; nothing is unpacked to see.
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(10_000))
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match="says that it takes 4294967294 in memory"):
        read_features(path)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{a = " * 50_000,
        "a." * 100_000 + "a = 1",
        "a = " + "9" * 10_000,
        "[data]\nlabels = " + "9" * 4000,
        "a = 1e99999",
        "#" * (5 * 2**20),
    ],
    ids=["lists", "tables", "keys", "digits", "number", "infinite", "long"],
)
def test_a_configuration_that_is_hostile_is_one_sentence(text, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(CliError) as caught:
        load(path)
    for message in caught.value.messages:
        assert "\n" not in message and len(message) < 1000


def test_a_configuration_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "config.toml")
    with pytest.raises(CliError, match="is no file"):
        load(tmp_path / "config.toml")
