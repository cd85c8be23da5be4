"""The folder of a training's checkpoints: which is the newest that is whole."""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coloss.checkpoint import files
from coloss.checkpoint.files import About, CheckpointError, DamagedError, Packed
from coloss.writing import PARTIAL

_NAME = re.compile(r"step-(\d{8,})(-finished)?")


@dataclass(frozen=True)
class Found:
    """A checkpoint that is whole.

    Attributes:
        path: of its folder.
        about: what its manifest says.
        state: what is in it.
    """

    path: Path
    about: About
    state: dict[str, Any]


@dataclass(frozen=True)
class CheckpointFolder:
    """Writes, finds and deletes checkpoints; touches nothing else in the folder.

    Attributes:
        path: the folder; it need not exist.
        keep: how many checkpoints stay.
    """

    path: Path
    keep: int

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing, beside what is half written."""
        if not self.path.exists():
            return True
        return all(one.name.startswith(PARTIAL) for one in self.path.iterdir())

    def checkpoints(self) -> list[Path]:
        """Return the folders that are named as checkpoints, the newest first."""
        if not self.path.is_dir():
            return []
        named = [
            one
            for one in self.path.iterdir()
            if _NAME.fullmatch(one.name) and one.is_dir() and not one.is_symlink()
        ]
        return sorted(named, key=_age, reverse=True)

    def write(self, about: About, state: Packed) -> Path:
        """Write a checkpoint, and retire those beyond the newest `keep`.

        The newest of these stays as half written, for the next one to be written over
        its arrays, until `clear_partial`.

        Args:
            about: what is said of it.
            state: what is in it.

        Returns:
            The path of its folder.
        """
        ending = "-finished" if about.finished else ""
        path = self.path / f"step-{about.step:08d}{ending}"
        files.write(path, about, state, self._spare())
        older = [one for one in self.checkpoints() if _age(one) < _age(path)]
        retired = older[self.keep - 1 :]
        if retired:
            self.clear_partial()
        for one in retired:
            self._retire(one)
        return path

    def _spare(self) -> Path | None:
        found = self.path.glob(f"{PARTIAL}*/*/{files.ARRAYS}")
        return next((one for one in found if not one.is_symlink()), None)

    def newest(self) -> Found | None:
        """Return the newest checkpoint that is whole; None: there is none at all.

        Damaged ones are passed over, with a warning that names the file.

        Raises:
            CheckpointError: if all of them are damaged, or of another format.
        """
        flaws = []
        for path in self.checkpoints():
            try:
                found = _read(path)
            except DamagedError as error:
                flaws.append(str(error))
                continue
            for flaw in flaws:
                warnings.warn(
                    f"a damaged checkpoint is passed over: {flaw}. Training goes on "
                    f"from {found.path.name}.",
                    UserWarning,
                    stacklevel=2,
                )
            return found
        if flaws:
            raise CheckpointError(
                f"every checkpoint in {self.path} is damaged: {'; '.join(flaws)}. "
                "Nothing was changed. To train from the start, give another folder."
            )
        return None

    def clear_partial(self) -> None:
        """Delete what a kill left half written."""
        for one in self._partial():
            shutil.rmtree(one, ignore_errors=True)

    def _partial(self) -> Iterator[Path]:
        if self.path.is_dir():
            for one in self.path.iterdir():
                if one.name.startswith(PARTIAL) and one.is_dir():
                    yield one

    def _retire(self, checkpoint: Path) -> None:
        """Let a checkpoint be none, in one move: a kill leaves none half there."""
        if {one.name for one in checkpoint.iterdir()} - set(files.FILES):
            return  # Somebody put a file of their own into it.
        aside = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=self.path))
        checkpoint.rename(aside / checkpoint.name)


def _age(path: Path) -> tuple[int, bool]:
    """Return what is greater for the newer of two checkpoints."""
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1]), match[2] is not None


def _read(path: Path) -> Found:
    about = files.read_about(path)
    if _age(path) != (about.step, about.finished):
        raise DamagedError(f"{path} is of step {about.step}, which its name is not")
    return Found(path, about, files.read(path))
