"""The question's own case as files: 6373, 512 and 768 features, few rows.

Ids stand in another order in every file, and some rows are missing in some files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

WIDTHS = {"acoustic": 6373, "visual": 512, "text": 768}
CLASSES = ("angry", "happy", "neutral", "sad")
SMALL = {"acoustic": 9, "visual": 5, "text": 7}


def write_files(folder: Path, rows: int = 120, widths: dict[str, int] = WIDTHS) -> None:
    """Write labels.csv, acoustic.csv (as openSMILE does), visual.parquet, text.npz.

    Every network can learn the classes, the helpers better than the main one. Every
    fifth row has no label; every seventh is missing in the visual file and every
    eleventh in the text file.
    """
    random = np.random.default_rng(0)
    ids = np.array([f"clip_{row:03d}" for row in range(rows)])
    classes = np.arange(rows) % len(CLASSES)
    labels = [CLASSES[c] if row % 5 else "" for row, c in enumerate(classes)]
    speakers = [f"s{row % 12}" for row in range(rows)]
    columns = {"id": ids, "emotion": labels, "speaker": speakers}
    csv.write_csv(pa.table(columns), folder / "labels.csv")
    for (name, width), signal in zip(widths.items(), (2.0, 3.0, 3.0), strict=True):
        seen = min(64, width)
        centers = np.zeros((len(CLASSES), width))
        centers[:, :seen] = np.random.default_rng(width).normal(size=(4, seen))
        noise = random.normal(size=(rows, width))
        values = 5 + 3 * (signal * centers[classes] + noise)
        step = {"acoustic": rows + 1, "visual": 7, "text": 11}[name]
        kept = random.permutation([row for row in range(rows) if row % step or not row])
        kept = kept[kept > 0] if name != "acoustic" else kept
        _write(folder, name, ids[kept], values[kept].astype("float32"))


def _write(folder: Path, name: str, ids: np.ndarray, values: np.ndarray) -> None:
    columns = {f"F{column}": values[:, column] for column in range(values.shape[1])}
    if name == "acoustic":
        lines = [";".join(["name", "frameTime", *columns])]
        lines += [
            ";".join([f"'{key}'", "0.0", *map(str, row.tolist())])
            for key, row in zip(ids, values, strict=True)
        ]
        (folder / "acoustic.csv").write_text("\n".join(lines) + "\n")
    elif name == "visual":
        pq.write_table(pa.table({"id": ids, **columns}), folder / "visual.parquet")
    else:
        np.savez(folder / "text.npz", id=ids, features=values)
