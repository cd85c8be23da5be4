"""What a run has that did not come to its end, or has not yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coloss.cli.errors import CliError
from coloss.cli.output import Output
from coloss.names import counted
from coloss.run_folder import BEGUN, RESUME, RunFolder

if TYPE_CHECKING:
    from coloss.checkpoint.folder import Found
    from coloss.joint import JointModel

_ON = "Go on with it: the same `coloss train`, with --resume."


def is_cut_off(run: RunFolder) -> bool:
    """Return whether networks are in checkpoints only: it was killed, or is running."""
    return run.status == "running" and run.can_resume


def tell_unfinished(run: RunFolder, output: Output) -> None:
    """Say it in a sentence where a run is not finished, and what is taken of it.

    Args:
        run: opened.
        output: told of it.

    Raises:
        CliError: if all of its checkpoints are damaged.
    """
    if is_cut_off(run):
        found = _newest(run)
        best = _best(found)
        which = f"the best of them (epoch {best[0] + 1})" if best else "the last one"
        output.note(
            f"the run in '{run.path}' is not finished (it was killed, or is running): "
            f"after {counted(found.about.epoch, 'epoch')}, the networks are those of "
            f"{which}, from its checkpoint {found.path.name}. {_ON}"
        )
    elif run.status in ("interrupted", "failed"):
        on = f" {_ON}" if run.can_resume else ""
        output.note(f"the run in '{run.path}' is {run.status}, not finished.{on}")


def cut_off_joint(run: RunFolder) -> JointModel:
    """Return the joint model of a run that is cut off: its best, or else its last.

    Args:
        run: see `is_cut_off`.

    Raises:
        CliError: if it cannot be read.
    """
    import coloss.joint  # noqa: F401  # Registers the joint model with Keras.
    from coloss.checkpoint import CheckpointError, variables
    from coloss.joint.saving.foreign import ForeignFileError, load_foreign

    found = _newest(run)
    path = run.path / BEGUN
    try:
        joint: Any = load_foreign(path)
        states = found.state["variables"]
        left_out = {variables.OPTIMIZER, variables.METRICS}
        kept = {name: one for name, one in states.items() if name not in left_out}
        variables.write(joint, kept)
        best = _best(found)
        if best:
            joint.set_weights(best[1])
    except ForeignFileError as error:
        raise CliError(f"{error}.") from None
    except (OSError, LookupError, ValueError, TypeError, CheckpointError) as error:
        raise CliError(f"'{path}' cannot be loaded: {error}") from None
    return joint


def _newest(run: RunFolder) -> Found:
    from coloss.checkpoint import CheckpointError
    from coloss.checkpoint.folder import CheckpointFolder

    try:
        found = CheckpointFolder(run.path / RESUME, 2).newest()
    except CheckpointError as error:
        raise CliError(str(error)) from None
    if found is None:
        raise CliError(f"there is no checkpoint in '{run.path / RESUME}'.")
    return found


def _best(found: Found) -> tuple[int, list[Any]] | None:
    """Return the best epoch so far and its weights, which early stopping keeps."""
    for name, _, state in found.state["callbacks"]:
        if name == "EarlyStopping" and state.get("best_weights") is not None:
            return int(state["best_epoch"]), state["best_weights"]
    return None
