"""Memory of a training that reads a Parquet table in parts.

`python benchmarks/streaming.py` writes a table of 20 MB and one of 2 GB (1000 features
in float32), trains one epoch on each with `data.stream = true`, each in a process of
its own, and prints the largest resident memory of both. Needs about 3 GB of disk.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

WIDTH, GROUP = 1000, 16_384
CONFIG = """\
[data]
table = "{table}"
label = "y"
stream = true
[members.main]
columns = ["F*"]
layers = [{{ kind = "dense", units = 16 }}]
[members.helper]
columns = ["G*"]
layers = [{{ kind = "dense", units = 16 }}]
[objective]
text = "main + helper + distill(helper >> main)"
[training]
epochs = 1
batch_size = 1024
[output]
folder = "{name}"
checkpoint_every = 0
"""
CODE = "import sys; from coloss.cli import main; main()"


def write_table(path: Path, rows: int) -> None:
    """Write random features of two networks, and labels, group by group."""
    random = np.random.default_rng(0)
    half = WIDTH // 2
    names = [f"{letter}{n}" for letter in "FG" for n in range(half)]
    schema = pa.schema([*((name, pa.float32()) for name in names), ("y", pa.int32())])
    # Random numbers cannot be compressed; without trying, the file is what it says.
    with pq.ParquetWriter(
        path, schema, compression="none", use_dictionary=False
    ) as writer:
        for start in range(0, rows, GROUP):
            count = min(GROUP, rows - start)
            values = random.standard_normal((WIDTH, count), dtype="float32")
            columns = dict(zip(names, values, strict=True))
            columns["y"] = (values[0] > 0).astype("int32")
            writer.write_table(pa.table(columns, schema=schema))


def measure(folder: Path, name: str, rows: int) -> tuple[float, float, float]:
    """Return size of the file, largest memory of the training (bytes), and seconds."""
    table = folder / f"{name}.parquet"
    write_table(table, rows)
    (folder / f"{name}.toml").write_text(CONFIG.format(table=table.name, name=name))
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "train", f"{name}.toml", "--no-report", "--quiet"],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"the training on {name} failed")
    return table.stat().st_size, usage.ru_maxrss * 1024, time.monotonic() - start


def main() -> None:
    """Measure both, and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=524_288, help="of the large file")
    rows = parser.parse_args().rows
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, count in (("small", 5_000), ("large", rows)):
            size, memory, seconds = measure(Path(folder), name, count)
            found[name] = memory
            print(
                f"{name}: file {size / 1e9:.2f} GB, memory {memory / 1e9:.2f} GB, "
                f"{seconds:.0f} s",
                flush=True,
            )
    more = found["large"] - found["small"]
    print(f"more memory for the large one: {more / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
