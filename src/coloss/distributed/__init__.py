"""Several processes that train the same joint model, each on its share of the rows."""

from coloss.distributed.agreement import (
    LostProcessError,
    agree,
    barrier,
    check_ids,
    gather,
    naming_lost,
    together,
)
from coloss.distributed.processes import (
    initialize,
    is_main,
    leave,
    local,
    process_count,
    process_index,
    share_of,
)

__all__ = [
    "LostProcessError",
    "agree",
    "barrier",
    "check_ids",
    "gather",
    "initialize",
    "is_main",
    "leave",
    "local",
    "naming_lost",
    "process_count",
    "process_index",
    "share_of",
    "together",
]
