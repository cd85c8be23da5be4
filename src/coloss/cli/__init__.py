"""The command line."""

from __future__ import annotations

import sys

_EXTRAS = {"pydantic", "pyarrow", "tomlkit", "plotly", "jinja2", "pandas", "scipy"}
"""What a command may find missing that the extra `cli` brings."""


def main() -> None:
    """Run the command line; installed as `coloss`."""
    from coloss.cli import signals

    signals.listen()
    try:
        from coloss.cli.app import app

        app()
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich", *_EXTRAS}:
            raise
        print(
            f"coloss: the command line needs {error.name!r}. Install it with: "
            'pip install "coloss[cli]"',
            file=sys.stderr,
        )
        sys.exit(2)


__all__ = ["main"]
