"""One checkpoint: a folder with arrays, the rest as JSON, and a manifest.

`arrays.safetensors` holds arrays, `state.json` everything else, `manifest.json` the
size and the SHA-256 of both. The manifest is written in one way only and holds a
checksum of itself: a file in which one bit is another one is found.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coloss.checkpoint import arrays
from coloss.checkpoint.tree import NO_ARRAYS, Plain, pack, unpack
from coloss.writing import whole

FORMAT = 2
"""Of the files; another one is not read."""

ARRAYS, STATE, MANIFEST = "arrays.safetensors", "state.json", "manifest.json"
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


@dataclass(frozen=True)
class Packed:
    """A state as it is written; nothing in it changes when the training goes on.

    Attributes:
        rest: everything but arrays.
        arrays: by name, copies.
    """

    rest: Plain
    arrays: dict[str, np.ndarray]


def packed(state: dict[str, object], spare: Packed | None = None) -> Packed:
    """Return a state as it is written.

    Args:
        state: values of any nesting; see `coloss.checkpoint.tree.pack`.
        spare: one that is written already, and is not needed again: its memory is used.

    Raises:
        TypeError: if the state holds what cannot be written.
    """
    found: dict[str, np.ndarray] = {}
    memory = NO_ARRAYS if spare is None else spare.arrays
    return Packed(pack(state, found, "state", memory), found)


def write(path: Path, about: About, state: Packed, spare: Path | None = None) -> None:
    """Write a checkpoint beside `path`, to the disk, and move it there.

    Args:
        path: of its folder.
        about: what is said of it.
        state: what is in it.
        spare: a file that nobody needs; it is written over, which takes a seventh of
            the time that the system needs to find room for a new one.

    Raises:
        OSError: if it cannot be written, as on a full disk. Nothing is changed then.
    """
    # A folder that is there is a damaged one of the same step.
    with whole(path, replace_folder=True) as partial:
        partial.mkdir()
        text = json.dumps(state.rest, sort_keys=True).encode()
        (partial / STATE).write_bytes(text)
        if spare is not None:
            os.replace(spare, partial / ARRAYS)
        listed: dict[str, Plain] = {
            ARRAYS: _write_arrays(partial / ARRAYS, state.arrays),
            STATE: {"bytes": len(text), "sha256": _digest(text)},
        }
        content: dict[str, Plain] = {
            "format": FORMAT,
            "step": about.step,
            "epoch": about.epoch,
            "finished": about.finished,
            "fingerprint": dict(about.fingerprint),
            "versions": dict(about.versions),
            "files": listed,
        }
        (partial / MANIFEST).write_bytes(_signed(content))


def _write_arrays(file: Path, found: dict[str, np.ndarray]) -> Plain:
    """Write arrays, over what is there; return the size and the SHA-256."""
    digest = hashlib.sha256()
    with file.open("r+b" if file.exists() else "wb") as opened:
        for chunk in arrays.chunks(found):
            # Small enough to stay in the processor's own memory from one to the other.
            for begin in range(0, len(chunk), PIECE):
                piece = chunk[begin : begin + PIECE]
                digest.update(piece)
                opened.write(piece)
        opened.truncate()
        return {"bytes": opened.tell(), "sha256": digest.hexdigest()}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _signed(content: dict[str, Plain]) -> bytes:
    """Return a manifest with a checksum of itself, in the one way it is written."""
    own = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(own, sort_keys=True).encode()
    return json.dumps({**own, "sha256": _digest(text)}, indent=1).encode()


PIECE = 2**18
"""Bytes that are hashed and written in one go."""

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
        found = arrays.read(contents[ARRAYS])
        state = unpack(json.loads(contents[STATE]), found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
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
