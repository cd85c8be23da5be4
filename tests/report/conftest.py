"""A browser for the tests of the page, and the pages that they open."""

from __future__ import annotations

import os
import shutil

import pytest

from coloss.report import RunFolder, write_run, write_study

from . import example

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser():
    """Start one browser for all tests. It is missing on some machines, never in CI."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        said = "no Chromium on this machine; tools/install_browser.sh gets it"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Return two whole runs, one of numbers, and one that has just begun."""
    folder = tmp_path_factory.mktemp("runs")
    whole = example.write_run(folder / "emotions")
    example.write_run(folder / "baseline", seed=1, level=0.7)
    begun = RunFolder(folder / "begun")
    begun.write_config({"objective": {"text": "acoustic"}})
    begun.write_json(
        "environment.json", {"status": "failed", "error": "<b>no memory</b>"}
    )
    assert whole.history is not None
    return folder


@pytest.fixture(scope="session")
def pages(runs, tmp_path_factory):
    """Return the pages by name, written once."""
    out = tmp_path_factory.mktemp("pages")
    return {
        "run": write_run(runs / "emotions", out / "run.html"),
        "runs": write_run([runs / "emotions", runs / "baseline"], out / "runs.html"),
        "study": write_study(example.study_result(), out / "study.html", "Emotions"),
        "begun": write_run(runs / "begun", out / "begun.html"),
    }
