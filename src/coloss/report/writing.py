"""Writes the page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coloss.report.page import render, run_page, runs_page, study_page
from coloss.report.page.view import RunView, labels_of

if TYPE_CHECKING:
    from coloss.study.result import StudyResult


def write_run(
    paths: str | Path | Sequence[str | Path], out: str | Path | None = None
) -> Path:
    """Write the page of one run, or of several runs side by side.

    One HTML file of about 5 MB that needs no network. What a run did not write is
    left out, and the page says what would give it.

    Args:
        paths: a run folder, or several.
        out: the HTML file; None: `report.html` in the (first) run folder. A file that
            is there is replaced, whole or not at all.

    Returns:
        The file.

    Raises:
        FileNotFoundError: if a folder holds no run.
        ValueError: if no path was given.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise ValueError("`paths`: a report needs at least one run folder.")
    folders = [Path(path) for path in given]
    labels = labels_of(folders)
    runs = [RunView.read(f, label) for f, label in zip(folders, labels, strict=True)]
    page = run_page(runs[0]) if len(runs) == 1 else runs_page(runs)
    target = folders[0] / "report.html" if out is None else Path(out)
    return _write(target, render(page))


def write_study(result: StudyResult, path: str | Path, title: str = "Study") -> Path:
    """Write the page of a study: verdicts, forest plot, curves, and every run.

    Args:
        result: what `Study.run` returned.
        path: the HTML file; replaced, whole or not at all.
        title: of the page.

    Returns:
        The file.

    Raises:
        ValueError: if the arms cannot be compared, see `StudyResult.compare`.
    """
    return _write(Path(path), render(study_page(result, title)))


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return path
