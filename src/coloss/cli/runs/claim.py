"""Makes a folder a run's own, and never touches what is somebody else's.

`--force` replaces runs. It deletes the files that coloss wrote, one by one, once there
is something in their place, and is refused where the folder holds anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coloss.cli.errors import CliError
from coloss.cli.runs.replaced import drop, recover, set_aside
from coloss.owned_folder import OLD
from coloss.run_folder import CONFIG, FILES, RunFolder

_ELSEWHERE = "Choose another folder: --output, or output.folder in the configuration"


def claim(folder: Path, force: bool) -> None:
    """Make sure that a run may be written to a folder; nothing is written yet.

    Whether the folder can be made at all was looked at before.

    Args:
        folder: of the run.
        force: whether an old run in it may be replaced.

    Raises:
        CliError: if something is there that coloss did not write, or a run and `force`
            is not given, or the folder cannot be written to.
    """
    with _answering_for(folder):
        recover(folder)
        owned = RunFolder(folder).owned
        foreign = [OLD] if (folder / OLD).exists() else owned.foreign()
        if foreign:
            _refuse(folder, foreign)
        if not force and not owned.empty:
            unfinished = RunFolder(folder).can_resume
            on = "It is not finished: go on with it: --resume. Or choose"
            raise CliError(
                f"there is a run in '{folder}' already.",
                note=f"{on if unfinished else 'Choose'} another folder: --output; or "
                "replace it: --force.",
            )


def claim_again(folder: Path) -> None:
    """Make sure that a study or a run may go on in a folder; nothing is written yet.

    Files beside it stay as they are.

    Raises:
        CliError: if coloss did not make the folder, or a file that would be
            written is somebody else's.
    """
    with _answering_for(folder):
        recover(folder)
        owned = RunFolder(folder).owned
        foreign = owned.blocked(list(FILES)) if owned.marked else owned.foreign()
        if foreign:
            _refuse(folder, foreign)


@contextmanager
def cleared(folder: Path, force: bool) -> Iterator[None]:
    """Set an old run aside, and mark the folder; once everything else is well.

    The old run goes when the new one has a checkpoint or its networks, and comes back
    where the block ends by an error before.

    Args:
        folder: claimed. Reading data takes its time: what came meanwhile is looked at.
        force: as for `claim`.

    Raises:
        CliError: as `claim` does.
    """
    claim(folder, force)
    try:
        with _answering_for(folder):
            set_aside(folder)
        yield
    except BaseException:
        recover(folder)
        raise
    drop(folder)


def _refuse(folder: Path, foreign: list[str]) -> None:
    marked = RunFolder(folder).owned.marked
    shown = ", ".join(f"'{name}'" for name in foreign[:3])
    more = " and more" if len(foreign) > 3 else ""
    if marked:
        raise CliError(
            f"the folder '{folder}' holds a run, and beside it what coloss did not "
            f"write: {shown}{more}. Nothing in it was touched.",
            note=f"{_ELSEWHERE}; or move what is yours away first.",
        )
    old = (
        " Runs of earlier versions have no list of their files: if this is one, remove "
        "it yourself."
        if (folder / CONFIG).exists()
        else ""
    )
    raise CliError(
        f"the folder '{folder}' holds something that is no run: {shown}{more}. Nothing "
        "in it was touched.",
        note=f"{_ELSEWHERE}.{old}",
    )


@contextmanager
def _answering_for(folder: Path) -> Iterator[None]:
    """Tell what the system refuses in a sentence that names the folder."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CliError(
            f"the folder '{folder}' cannot be used: {reason}.", note=f"{_ELSEWHERE}."
        ) from None
