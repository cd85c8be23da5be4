"""What a run found, as figures and as one page.

`figures` and `papers` are the figures, for notebooks and for papers; `write_run` and
`write_study` write the page; `RunFolder` reads what a training left behind.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from coloss.run_folder import RunFolder

if TYPE_CHECKING:
    from coloss.report import figures, papers, prepare
    from coloss.report.writing import write_run, write_study

_MODULES = ("figures", "papers", "prepare")
_WRITING = ("write_run", "write_study", "write_ending")
"""The last one is for the command line alone."""


def __getattr__(name: str) -> Any:
    """Import on first use: the run folder alone needs neither pandas nor plotly."""
    if name not in (*_MODULES, *_WRITING):
        raise AttributeError(f"module 'coloss.report' has no attribute {name!r}")
    home = name if name in _MODULES else "writing"
    try:
        module = importlib.import_module(f"coloss.report.{home}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("coloss"):
            raise
        extra = "demo" if error.name == "matplotlib" else "report"
        raise ModuleNotFoundError(
            f"coloss.report.{name} needs {error.name!r}. Install it with: "
            f'pip install "coloss[{extra}]"',
            name=error.name,
        ) from error
    return module if name in _MODULES else getattr(module, name)


__all__ = ["RunFolder", "figures", "papers", "prepare", "write_run", "write_study"]
