"""States of the other callbacks: of Keras's own, and of those that give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras

from coloss.checkpoint.files import CheckpointError
from coloss.distributed import is_main
from coloss.joint.keras_internals import CALLBACK_STATES

States = list[tuple[str, int, dict[str, Any]]]
"""Name of the class, how many of it stand before, and the state."""


def read(callbacks: Iterable[keras.callbacks.Callback]) -> States:
    """Return the state of every callback that has one.

    A callback of the user's own has one if it has `get_state()`, which returns a dict
    (numbers, texts, None, arrays, lists and dicts), and `set_state(state)`.

    Args:
        callbacks: of a `fit`.
    """
    return [
        (name, place, dict(_state(callback)))
        for name, place, callback in _numbered(callbacks)
        if _has_state(callback)
    ]


def write(callbacks: Iterable[keras.callbacks.Callback], states: States) -> None:
    """Give callbacks the states that `read` returned.

    Args:
        callbacks: of a `fit`, already told that training begins.
        states: by class and place.

    Raises:
        CheckpointError: if a state's callback is not there.
    """
    found = {
        (name, place): callback
        for name, place, callback in _numbered(callbacks)
        if _has_state(callback)
    }
    if not is_main():  # What only process 0 has, watches and writes.
        states = [state for state in states if state[:2] in found]
    for name, place, _ in states:
        if (name, place) not in found:
            raise CheckpointError(
                f"the checkpoint holds the state of a callback {name}, which is not "
                f"among the callbacks now ({', '.join(n for n, _ in found) or 'none'} "
                "with a state). Give `fit` the callbacks that it had."
            )
    for name, place, state in states:
        _give(found[name, place], state)


def _numbered(
    callbacks: Iterable[keras.callbacks.Callback],
) -> Iterator[tuple[str, int, keras.callbacks.Callback]]:
    count: Counter[str] = Counter()
    for callback in callbacks:
        name = type(callback).__name__
        yield name, count[name], callback
        count[name] += 1


def _has_state(callback: keras.callbacks.Callback) -> bool:
    own = hasattr(callback, "get_state") and hasattr(callback, "set_state")
    return own or bool(_names(callback))


def _state(callback: keras.callbacks.Callback) -> Mapping[str, Any]:
    if hasattr(callback, "get_state"):
        return callback.get_state()
    return {name: getattr(callback, name) for name in _names(callback)}


def _give(callback: keras.callbacks.Callback, state: Mapping[str, Any]) -> None:
    if hasattr(callback, "set_state"):
        callback.set_state(state)
        return
    for name in _names(callback):
        setattr(callback, name, state[name])


def _names(callback: keras.callbacks.Callback) -> tuple[str, ...]:
    """Return the attributes in which a callback of Keras's own remembers."""
    return tuple(
        name
        for kind, names in CALLBACK_STATES.items()
        if isinstance(callback, kind)
        for name in names
    )
