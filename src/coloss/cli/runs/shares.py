"""One of several processes of `coloss train`: its rows, and what process 0 does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from coloss import distributed
from coloss.callbacks import Checkpoint
from coloss.cli.config import Config
from coloss.cli.errors import CliError, Exit
from coloss.cli.output import Output
from coloss.cli.runs.interrupt import Interrupt
from coloss.cli.runs.source_base import Source
from coloss.joint import NonFiniteLossError


def fit_arguments(config: Config, source: Source) -> dict[str, Any]:
    """Return what `JointModel.fit` takes as data, in this process.

    Of several processes each has every n-th row, and its part of `batch_size`.

    Args:
        config: checked.
        source: of all rows.

    Raises:
        CliError: for data that is read while training, or a batch that processes
            cannot share.
    """
    size, seed = config.training.batch_size, config.training.seed
    arguments = source.fit_arguments(size, seed)
    count = distributed.process_count()
    if count == 1:
        return arguments
    if not isinstance(arguments["x"], dict):
        raise CliError(
            "data.stream: rows are read by one process.",
            note="Leave out --processes, or data.stream if the rows fit into memory.",
        )
    if size % count:
        raise CliError(
            f"training.batch_size = {size}: {count} processes cannot share it; it must "
            f"be a multiple of {count}, such as {size + -size % count}."
        )
    larger = arguments["validation_batch_size"]
    return {
        "x": distributed.share_of(arguments["x"]),
        "y": distributed.share_of(arguments["y"]),
        "batch_size": size // count,
        "validation_data": distributed.share_of(arguments["validation_data"]),
        "validation_batch_size": larger // count,
    }


@contextmanager
def by_process_0() -> Iterator[bool]:
    """Let what process 0 refuses in the block end all of them.

    Yields:
        Whether this is process 0, and the block's work is its own.
    """
    with distributed.together():
        yield distributed.is_main()


def best_epoch(config: Config) -> keras.callbacks.EarlyStopping:
    """Return what ends training, and brings the best epoch back; in each process."""
    return keras.callbacks.EarlyStopping(
        config.monitor,
        patience=config.training.patience or config.training.epochs,
        restore_best_weights=True,
    )


def take_part(session: Any, output: Output, keeper: Checkpoint) -> Exit:
    """Train as process 0 does, and leave the writing to it.

    Args:
        session: ready, as that of process 0.
        output: for words on the way.
        keeper: of the run's checkpoints.

    Returns:
        How it ended.
    """
    interrupt = Interrupt(output, keeper.leave)
    config, code = session.config, Exit.OK
    with interrupt.listening():
        try:
            session.joint.fit(
                **fit_arguments(config, session.source),
                epochs=config.training.epochs,
                callbacks=[best_epoch(config), keeper],
                verbose=0,
            )
        except NonFiniteLossError:
            code = Exit.FAILED
    distributed.barrier()  # Process 0 has written what there is to write.
    return code
