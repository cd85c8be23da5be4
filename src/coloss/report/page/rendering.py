"""From blocks to one HTML file that needs nothing else."""

from __future__ import annotations

import itertools
from functools import cache

import jinja2
from markupsafe import Markup, escape

from coloss._version import __version__
from coloss.report.page.blocks import Page

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'unsafe-inline'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "font-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""The page itself forbids the browser to fetch anything."""


def render(page: Page) -> str:
    """Return a page as HTML.

    All text in it is escaped; MathML, SVG and the figures' JSON are made by this
    package, which escapes what they contain. Styles, script and plotly.js are inside.

    Args:
        page: its blocks.
    """
    numbers = itertools.count(1)
    return _template().render(
        page=page,
        policy=_POLICY,
        css=_raw(_source("page.css")),
        js=_raw(_source("page.js")),
        plotly=_raw(_plotly()),
        version=__version__,
        new_id=lambda: f"figure-{next(numbers)}",
        raw=_raw,
    )


def _code(text: str) -> Markup:
    """Return text with what stands between backticks as code; all is escaped."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # A backtick without its other one.
        return escape(text)
    marked = [
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    ]
    return Markup("").join(marked)


def _raw(text: str) -> Markup:
    return Markup(text)


@cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("coloss.report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["code"] = _code
    return found


def _template() -> jinja2.Template:
    return _environment().get_template("page.html")


def _source(name: str) -> str:
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


@cache
def _plotly() -> str:
    """Return plotly.js, which the Python package brings along."""
    from plotly.offline import get_plotlyjs

    # Inside a script element its end must not occur.
    return str(get_plotlyjs()).replace("</script", "<\\/script")
