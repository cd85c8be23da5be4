"""From the file to a checked configuration, or to sentences that say what is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from coloss.checksum import DamagedFileError, read_plain
from coloss.cli.config.checks import check
from coloss.cli.config.lines import lines_of
from coloss.cli.config.problems import Problem, from_pydantic
from coloss.cli.config.root import Config
from coloss.cli.errors import CliError

MOST = 2**20
"""Bytes of a configuration."""
MOST_DOTS = 300
"""In a line: for a key of n parts, the reader of TOML takes n * n steps."""


def load(path: Path) -> Config:
    """Return the configuration in a file, checked; nothing else is read.

    Raises:
        CliError: with one sentence for everything that is wrong.
    """
    try:
        content = read_plain(path, MOST)
    except DamagedFileError as error:
        raise CliError(f"{error}.") from None
    except FileNotFoundError:
        raise CliError(
            f"there is no file '{path}'.", note="`coloss init` writes one."
        ) from None
    except OSError as error:
        raise CliError(f"'{path}' cannot be read: {error.strerror}.") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CliError(f"{path}: is no UTF-8 text ({error.reason}).") from None
    return parse(text, str(path))


def parse(text: str, name: str) -> Config:
    """Return the configuration in a text.

    Args:
        text: TOML.
        name: of the file, for messages.

    Raises:
        CliError: with one sentence for everything that is wrong.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > MOST_DOTS:
            raise CliError(f"{name}:{number}: has more than {MOST_DOTS} dots.")
    try:
        raw = tomllib.loads(text)
    except RecursionError:
        raise CliError(f"{name}: is no TOML that is read: nested too deeply.") from None
    except ValueError as error:  # Of a number with thousands of digits, too.
        raise CliError(f"{name}: is no TOML: {error}.") from None
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        problems = from_pydantic(error.errors(), raw, Config.model_json_schema())
        raise _refused(problems, text, name) from None
    problems = check(config)
    if problems:
        raise _refused(problems, text, name)
    return config


def resolved(config: Config) -> dict[str, Any]:
    """Return a configuration with every default written out."""
    return config.model_dump(mode="json")


def _refused(problems: list[Problem], text: str, name: str) -> CliError:
    lines = lines_of(text)
    return CliError(*[problem.told(name, lines) for problem in problems])
