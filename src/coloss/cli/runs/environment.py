"""Where and how a run was made."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

PACKAGES = (
    "coloss",
    "keras",
    "jax",
    "jaxlib",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "ray",
)


def versions() -> dict[str, str]:
    """Return the installed versions of what has a say in results."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def memory() -> int | None:
    """Return the bytes of memory of this machine; None where nobody says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def devices() -> list[str]:
    """Return the devices that the backend sees; imports Keras."""
    import keras

    try:
        return [str(device) for device in keras.distribution.list_devices()]
    except (AttributeError, NotImplementedError, RuntimeError):
        return []


def now() -> str:
    """Return the time, with its zone."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def describe(folder: Path, seed: int) -> dict[str, Any]:
    """Return the start of `environment.json`; imports Keras.

    Args:
        folder: that paths in the configuration are relative to.
        seed: of weights and the order of rows.
    """
    import keras

    return {
        "command": ["coloss", *sys.argv[1:]],
        "folder": str(folder.absolute()),
        "status": "running",
        "error": None,
        "started": now(),
        "versions": versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "backend": keras.backend.backend(),
        "device": ", ".join(devices()) or "cpu",
        "memory": memory(),
        "seed": seed,
    }
