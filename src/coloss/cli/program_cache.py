"""Compiled programs are kept between commands, where JAX can keep them."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

FOLDER = "JAX_COMPILATION_CACHE_DIR"
"""Environment variable of JAX; what a user sets there is left as it is."""

LARGEST = 1 << 30
"""Bytes that the folder may take; JAX drops what was used least lately."""


def keep_programs() -> None:
    """Ask JAX to keep compiled programs in the user's folder for such things.

    To be called before JAX is imported. A second `coloss train` of the same networks
    then compiles nothing. A program is found by its text, the versions and the machine.
    """
    if os.environ.get("KERAS_BACKEND", "jax") != "jax":
        return
    if FOLDER in os.environ or os.environ.get("JAX_ENABLE_COMPILATION_CACHE"):
        return
    folder = Path(platformdirs.user_cache_dir("coloss", appauthor=False)) / "programs"
    try:
        # Programs are code that later commands run: nobody else may write there.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return  # No home to write to: programs are compiled each time.
    os.environ[FOLDER] = str(folder)
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(LARGEST)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
