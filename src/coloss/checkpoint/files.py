"""One checkpoint: a folder with arrays, the rest as JSON, and a manifest.

`arrays.npz` holds arrays (NumPy's format, without pickle and without compression),
`state.json` everything else, `manifest.json` the size and the SHA-256 of both. The
manifest is written in one way only and holds a checksum of itself: a file in which one
bit is another one is found.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coloss.checkpoint.tree import Plain, pack, unpack
from coloss.writing import whole

FORMAT = 1
"""Of the files; another one is not read."""

ARRAYS, STATE, MANIFEST = "arrays.npz", "state.json", "manifest.json"
FILES = (ARRAYS, STATE, MANIFEST)


class CheckpointError(ValueError):
    """A checkpoint is damaged, or of another training."""


class DamagedError(CheckpointError):
    """A checkpoint is damaged."""


@dataclass(frozen=True)
class About:
    """What a manifest says, beside checksums.

    Attributes:
        step: training steps since the first epoch.
        epoch: finished epochs.
        finished: whether the whole `fit` is.
        fingerprint: of what is trained, by the name of each part.
        versions: of what trained it.
    """

    step: int
    epoch: int
    finished: bool
    fingerprint: dict[str, str]
    versions: dict[str, str]


def write(path: Path, about: About, state: dict[str, object]) -> None:
    """Write a checkpoint beside `path`, to the disk, and move it there.

    Args:
        path: of its folder.
        about: what is said of it.
        state: values of any nesting; see `coloss.checkpoint.tree.pack`.

    Raises:
        TypeError: if the state holds what cannot be written.
        OSError: if it cannot be written, as on a full disk. Nothing is changed then.
    """
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(pack(state, arrays, "state"), sort_keys=True).encode()
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    contents = {ARRAYS: packed.getvalue(), STATE: text}
    content: dict[str, Plain] = {
        "format": FORMAT,
        "step": about.step,
        "epoch": about.epoch,
        "finished": about.finished,
        "fingerprint": dict(about.fingerprint),
        "versions": dict(about.versions),
        "files": {
            name: {"bytes": len(content), "sha256": _digest(content)}
            for name, content in contents.items()
        },
    }
    # A folder that is there is a damaged one of the same step.
    with whole(path, replace_folder=True) as partial:
        partial.mkdir()
        for name, one in contents.items():
            (partial / name).write_bytes(one)
        (partial / MANIFEST).write_bytes(_signed(content))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _signed(content: dict[str, Plain]) -> bytes:
    """Return a manifest with a checksum of itself, in the one way it is written."""
    own = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(own, sort_keys=True).encode()
    return json.dumps({**own, "sha256": _digest(text)}, indent=1).encode()


MOST_OF_MANIFEST = 4 * 2**20
"""Bytes; a longer one is none of ours."""


def read_about(path: Path) -> About:
    """Read the manifest of a checkpoint.

    Args:
        path: of its folder.

    Raises:
        DamagedError: if it is damaged.
    """
    return _about(_manifest(path), path)


def read(path: Path) -> dict[str, object]:
    """Check every file of a checkpoint, and return its state.

    Args:
        path: of its folder.

    Raises:
        DamagedError: naming the file that is not as it was written.
    """
    listed = _manifest(path)["files"]
    contents = {name: _checked(path / name, listed) for name in (ARRAYS, STATE)}
    try:
        arrays = _arrays(contents[ARRAYS])
        state = unpack(json.loads(contents[STATE]), arrays)
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DamagedError(f"{path} holds no state ({error})") from error
    if not isinstance(state, dict):
        raise DamagedError(f"{path / STATE} holds no state")
    return state


def _manifest(path: Path) -> dict[str, Plain]:
    file = path / MANIFEST
    raw = _bytes(file, None)
    try:
        content = json.loads(raw)
        whole_text = isinstance(content, dict) and _signed(content) == raw
    except (ValueError, RecursionError):
        whole_text = False
    if not whole_text:
        raise DamagedError(f"{file} is not as it was written")
    if content.get("format") != FORMAT:
        raise CheckpointError(
            f"{file} is of format {content.get('format')}; this version of coloss "
            f"reads format {FORMAT}. Go on with the version that wrote it."
        )
    return content


def _about(content: dict[str, Plain], path: Path) -> About:
    try:
        return About(
            step=int(content["step"]),  # type: ignore[arg-type]
            epoch=int(content["epoch"]),  # type: ignore[arg-type]
            finished=bool(content["finished"]),
            fingerprint={k: str(v) for k, v in content["fingerprint"].items()},  # type: ignore[union-attr]
            versions={k: str(v) for k, v in content["versions"].items()},  # type: ignore[union-attr]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"{path / MANIFEST} lacks an entry ({error})") from error


def _checked(file: Path, listed: Plain) -> bytes:
    entry = listed.get(file.name) if isinstance(listed, dict) else None
    if not isinstance(entry, dict):
        raise DamagedError(f"{file} is not in the manifest")
    content = _bytes(file, entry.get("bytes"))
    if _digest(content) != entry.get("sha256"):
        raise DamagedError(f"{file} is not as it was written (SHA-256)")
    return content


def _bytes(file: Path, size: Plain) -> bytes:
    """Read a plain file of a size that is known before memory is taken for it."""
    try:
        if file.is_symlink() or not file.is_file():
            raise DamagedError(f"{file} is missing")
        found = file.stat().st_size
        if size is None and found > MOST_OF_MANIFEST:
            raise DamagedError(f"{file} is longer than any manifest")
        if size is not None and found != size:
            raise DamagedError(f"{file} has {found} bytes; {size} were written")
        return file.read_bytes()
    except OSError as error:
        raise DamagedError(f"{file} cannot be read ({error.strerror})") from error


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # What is not compressed takes no more memory than the file.
        if any(one.compress_type != zipfile.ZIP_STORED for one in archive.infolist()):
            raise ValueError("compressed arrays")
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}
