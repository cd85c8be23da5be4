"""A run, opened again: its configuration, networks and rows."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coloss.cli.config import Config
from coloss.cli.errors import CliError
from coloss.cli.runs.unfinished import cut_off_joint, is_cut_off
from coloss.names import unknown
from coloss.run_folder import CONFIG, MODEL, RunFolder

if TYPE_CHECKING:
    import keras

    from coloss.joint import JointModel


def open_run(path: Path) -> tuple[RunFolder, Config]:
    """Return a run and its configuration, complete.

    Raises:
        CliError: if there is none, or it is not from this version.
    """
    from pydantic import ValidationError

    try:
        run = RunFolder.opened(path)
        return run, Config.model_validate(run.config)
    except (FileNotFoundError, tomllib.TOMLDecodeError) as error:
        raise CliError(str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CliError(
            f"'{path / CONFIG}' is none that this version wrote: {place}: "
            f"{first['msg']}"
        ) from None


def origin(run: RunFolder) -> Path:
    """Return the folder that the configuration's paths are relative to."""
    folder = (run.environment or {}).get("folder")
    return Path(folder) if folder else run.path


def load_joint(run: RunFolder) -> JointModel:
    """Return the trained joint model.

    Raises:
        CliError: if the run holds none.
    """
    return cut_off_joint(run) if is_cut_off(run) else _loaded(run.path / MODEL)


def check_member(name: str, config: Config) -> None:
    """Refuse a name that no member has.

    Raises:
        CliError: which names the nearest one.
    """
    if name not in config.members:
        raise CliError(f"{unknown('member', name, config.members)}.")


def check_network(name: str, config: Config) -> None:
    """Refuse a name that no network has: of no member, or of recorded predictions.

    Raises:
        CliError: which names those that there are.
    """
    check_member(name, config)
    if name in config.recorded:
        raise CliError(
            f"{name!r} is recorded, and is no network (networks: "
            f"{', '.join(config.networks)})."
        )


def load_member(run: RunFolder, config: Config, name: str) -> keras.Model:
    """Return one trained network.

    Raises:
        CliError: if there is no such member, or no file.
    """
    check_member(name, config)
    if is_cut_off(run):
        return cut_off_joint(run)[name]
    return _loaded(run.path / "models" / f"{name}.keras")


def _loaded(path: Path) -> Any:
    if not path.exists():
        raise CliError(
            f"there is no '{path}': the run was ended before its first checkpoint, or "
            "is a study."
        )
    import coloss.joint  # noqa: F401  # Registers the joint model with Keras.
    from coloss.joint.saving.foreign import ForeignFileError, load_foreign

    try:
        return load_foreign(path)
    except ForeignFileError as error:
        raise CliError(f"{error}.") from None
