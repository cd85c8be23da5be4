"""What processes agree upon before they train, so that none waits for ever."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from coloss.distributed.processes import _backend, process_count, process_index

Plain: TypeAlias = object
"""What JSON holds."""


class LostProcessError(RuntimeError):
    """Another process of this training ended, or does not answer."""


def gather(value: Plain) -> list[Plain]:
    """Return what each process gives, in their order; all processes call this.

    Args:
        value: numbers, texts, lists and dicts of these.
    """
    backend = _backend()
    if backend is None or process_count() == 1:
        return [value]
    told = json.dumps(value).encode()
    return [json.loads(one) for one in backend.gather(told)]


def barrier() -> None:
    """Wait until every process has come here, as for a file that process 0 writes."""
    gather(None)


@contextmanager
def together() -> Iterator[None]:
    """Let what one process refuses be refused by all, instead of waited for.

    All processes enter such a block.

    Raises:
        RuntimeError: in the processes that found nothing wrong themselves.
    """
    if process_count() == 1:
        yield
        return
    own: BaseException | None = None
    try:
        yield
    except Exception as error:
        own = error
    said = gather(None if own is None else f"{type(own).__name__}: {own}")
    if own is not None:
        raise own
    for index, wrong in enumerate(said):
        if wrong is not None:
            raise RuntimeError(f"process {index} cannot go on: {wrong}")


def agree(facts: Mapping[str, Plain]) -> None:
    """Refuse to go on where the processes differ in something that they must share.

    Args:
        facts: values by what they are, such as `{"rows": 480}`; the same names in
            all processes.

    Raises:
        ValueError: in all processes, with the value of each.
    """
    every = gather(dict(facts))
    for name in facts:
        values = [told[name] for told in every if isinstance(told, dict)]
        if all(value == values[0] for value in values):
            continue
        listed = ", ".join(f"{value} in process {i}" for i, value in enumerate(values))
        numbers = [value for value in values if isinstance(value, int)]
        least = (
            f" The first that runs out would leave the others waiting: give each "
            f"{min(numbers)}, as coloss.distributed.share_of does."
            if name.startswith("number") and len(numbers) == len(values)
            else ""
        )
        raise ValueError(
            f"every process must have the same {name}; found {listed}.{least}"
        )


def check_ids(ids: Sequence[object]) -> None:
    """Refuse rows that two processes have; all processes call this.

    Args:
        ids: of this process's rows.

    Raises:
        ValueError: in all processes, naming the first of them.
    """
    marks = {
        hashlib.blake2b(str(one).encode(), digest_size=8).hexdigest(): one
        for one in ids
    }
    seen: dict[str, int] = {}
    for index, told in enumerate(gather(sorted(marks))):
        assert isinstance(told, list)
        for mark in told:
            if mark in seen:
                which = f" ({marks[mark]!r})" if mark in marks else ""
                raise ValueError(
                    f"processes {seen[mark]} and {index} have a row in common"
                    f"{which}: each row belongs to one process."
                )
            seen[mark] = index


@contextmanager
def naming_lost(what: str) -> Iterator[None]:
    """Let an error of a broken connection say that another process ended.

    The sentence is also written to the standard error output at once: JAX may end this
    process before anybody can read the error.

    Args:
        what: is being done, such as "fit".

    Raises:
        LostProcessError: in place of such an error.
    """
    try:
        yield
    except Exception as error:
        backend = _backend()
        if backend is None or process_count() == 1:
            raise
        if not backend.is_loss_of_process(error):
            raise
        said = (
            f"process {process_index()}: another of the {process_count()} processes "
            f"ended, or does not answer; `{what}` cannot go on. Start all of them "
            "again: with a Checkpoint, training goes on from the newest one."
        )
        print(said, file=sys.stderr, flush=True)
        raise LostProcessError(said) from error
