"""Which backend Keras uses when nobody said so."""

from __future__ import annotations

import difflib
import importlib.util
import json
import os
import sys
from pathlib import Path

BACKENDS = ("jax", "tensorflow", "torch")


def choose_backend() -> bool:
    """Set `KERAS_BACKEND` to the first installed backend, unless it is chosen already.

    The choice is the user's when `KERAS_BACKEND` is set, when Keras is imported
    already, or when Keras's own configuration file names a backend that is installed
    and is not "tensorflow": Keras writes that one into the file by itself.

    Returns:
        Whether there is a backend.
    """
    if os.environ.get("KERAS_BACKEND") or "keras" in sys.modules:
        return True
    configured = _configured()
    if configured not in (None, "tensorflow") and _installed(configured):
        return True
    for name in BACKENDS:
        if _installed(name):
            os.environ["KERAS_BACKEND"] = name
            return True
    return False


def quiet_tensorflow() -> None:
    """Let TensorFlow keep its remarks on the processor to itself where it is a guest.

    On other backends it is imported for TensorBoard's files and for `tf.data` only.
    Errors are still told, and what the user chose stays.
    """
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def require_backend() -> None:
    """Refuse to go on where `choose_backend` finds none, or one that cannot be used.

    Raises:
        ImportError: if no backend is installed, or `KERAS_BACKEND` names none that is.
    """
    if not choose_backend():
        raise ImportError(
            "coloss needs one of the backends jax, tensorflow or torch, and none is "
            'installed. Install one with: pip install "coloss[jax]"'
        )
    chosen = os.environ.get("KERAS_BACKEND", "")
    if "keras" in sys.modules or not chosen:
        return
    if chosen not in BACKENDS:
        close = difflib.get_close_matches(chosen.lower(), BACKENDS, 1)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise ImportError(
            f"KERAS_BACKEND={chosen}: expected {', '.join(BACKENDS[:-1])} or "
            f"{BACKENDS[-1]}{hint}"
        )
    if not _installed(chosen):
        others = [name for name in BACKENDS if _installed(name)]
        instead = f", or set KERAS_BACKEND={others[0]}" if others else ""
        raise ImportError(
            f"KERAS_BACKEND={chosen}, which is not installed. Install it with: "
            f'pip install "coloss[{chosen}]"{instead}.'
        )


def _installed(name: str | None) -> bool:
    return name is not None and importlib.util.find_spec(name) is not None


def _configured() -> str | None:
    # Not Path.home(), which raises for a user without a home, as in containers.
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    try:
        settings = json.loads((Path(home) / "keras.json").read_text())
    except (OSError, ValueError):
        return None
    name = settings.get("backend") if isinstance(settings, dict) else None
    return name if isinstance(name, str) and name else None
