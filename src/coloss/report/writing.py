"""Writes the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coloss.report.page import render, run_page, runs_page, study_page
from coloss.report.page.view import RunView, labels_of
from coloss.run_folder import REPORT, RunFolder
from coloss.writing import write_text

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
        out: the HTML file, which is replaced if it exists; None: `report.html` in the
            (first) run folder.

    Returns:
        The file.

    Raises:
        FileNotFoundError: if a folder holds no run.
        FileExistsError: if the run folder holds a `report.html` of somebody else.
        ValueError: if no path was given.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise ValueError("`paths`: a report needs at least one run folder.")
    folders = [Path(path) for path in given]
    labels = labels_of(folders)
    runs = [RunView.read(f, label) for f, label in zip(folders, labels, strict=True)]
    page = run_page(runs[0]) if len(runs) == 1 else runs_page(runs)
    run = RunFolder(folders[0])
    if out is None or Path(out).resolve() == run.report_path.resolve():
        return _write_inside(run, render(page))
    write_text(out, render(page))
    return Path(out)


def write_ending(run: RunFolder, environment: Mapping[str, Any]) -> Path:
    """Write the page of a run whose end is not written down yet.

    A run says "finished" when everything else is written, its page included.

    Args:
        run: the folder.
        environment: what `environment.json` will say.

    Returns:
        The page, in the run folder.
    """
    view = replace(RunView.read(run.path), environment=environment)
    return _write_inside(run, render(run_page(view)))


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
    write_text(path, render(study_page(result, title)))
    return Path(path)


def _write_inside(run: RunFolder, text: str) -> Path:
    with run.writing(REPORT) as partial:
        partial.write_text(text, encoding="utf-8")
    return run.report_path
