"""How much memory rows may take."""

from __future__ import annotations

import os

SHARE = 0.5
"""Of the free memory that rows on the device, or a kept state, may take."""


def free_host_memory() -> int:
    """Return the bytes of memory that are free."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
