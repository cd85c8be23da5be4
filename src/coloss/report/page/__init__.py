"""One self-contained HTML page: what a run or a study found.

`run_page` and `study_page` turn files and frames into blocks of text, tables and
figures; `rendering` turns blocks into HTML, and escapes everything in them.
"""

from coloss.report.page.rendering import render
from coloss.report.page.run_page import run_page, runs_page
from coloss.report.page.study_page import study_page

__all__ = ["render", "run_page", "runs_page", "study_page"]
