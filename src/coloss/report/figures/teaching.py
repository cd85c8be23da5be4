"""Who teaches whom, as SVG: it needs no script, prints, and can be read aloud."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coloss.report import prepare
from coloss.report.prepare.rows import Flow
from coloss.report.prepare.teaching import Diagram, Link, Node
from coloss.report.style import HARM, colors
from coloss.writing import write_text

if TYPE_CHECKING:
    from coloss.objective.explanation import Explanation

_WIDTH, _HEIGHT = 420.0, 330.0
_RADIUS_X, _RADIUS_Y = 138.0, 100.0
_BOX = (104.0, 34.0)
_LONGEST = 14


class Drawing(str):
    """SVG as text that a notebook shows."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)

    def save(self, path: str | Path) -> None:
        """Write it as an SVG file."""
        write_text(path, self)


def teaching(
    explanation: Explanation | Mapping[str, Any],
    main: str | None = None,
    flow: Flow | None = None,
    label: str = "",
) -> Drawing:
    """Draw the networks, and who learns from whom; width is gradient flow.

    Args:
        explanation: `joint.explain()`, or its `to_dict()`.
        main: the main network.
        flow: `GradientFlow.frame`; None: the norms of `joint.explain(x, y)`.
        label: what a screen reader says; None: made of the links.

    Returns:
        SVG. Its colors follow the CSS variables `--ink` and `--surface` of a page
        around it.
    """
    given = explanation if isinstance(explanation, Mapping) else explanation.to_dict()
    diagram = prepare.teaching(given, main, flow)
    return draw(diagram, label or in_words(diagram))


def in_words(diagram: Diagram) -> str:
    """Return the drawing as a sentence."""
    if not diagram.links:
        return "No network learns from another."
    said = [
        f"{link.learner} {'is pushed away from' if link.pushed else 'learns from'} "
        + ("itself" if link.source == link.learner else link.source)
        for link in diagram.links
    ]
    return "; ".join(said) + "."


def draw(diagram: Diagram, label: str) -> Drawing:
    """Return a diagram as SVG.

    Args:
        diagram: nodes and links.
        label: what a screen reader says.
    """
    nodes = {node.name: node for node in diagram.nodes}
    color = colors(nodes)
    parts = [_link(link, nodes, color[link.source]) for link in diagram.links]
    parts += [_node(node, color[node.name]) for node in diagram.nodes]
    heights = [_place(node)[1] for node in diagram.nodes] or [0.0]
    loops = any(link.source == link.learner for link in diagram.links)
    top = min(heights) - (64 if loops else 28)
    height = max(heights) + 42 - top
    return Drawing(
        '<svg xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 {top:.0f} {_WIDTH:g} {height:.0f}" '
        f'role="img" aria-label="{html.escape(label)}" class="teaching" '
        'font-family="system-ui, sans-serif">' + "".join(parts) + "</svg>"
    )


def _place(node: Node) -> tuple[float, float]:
    return _WIDTH / 2 + _RADIUS_X * node.x, _HEIGHT / 2 - _RADIUS_Y * node.y


def _node(node: Node, color: str) -> str:
    x, y = _place(node)
    width, height = _BOX
    cut = len(node.name) > _LONGEST
    short = f"{node.name[: _LONGEST - 1]}…" if cut else node.name
    dash = ' stroke-dasharray="4 3"' if node.state != "trained" else ""
    said = "main" if node.main and node.state == "trained" else node.state
    tag = (
        f'<text x="{x:.1f}" y="{y + height / 2 + 14:.1f}" text-anchor="middle" '
        f'font-size="11.5" style="fill:var(--ink,#1c2430)">{html.escape(said)}</text>'
        if said != "trained"
        else ""
    )
    return (
        f"<g><title>{html.escape(node.name)}: {html.escape(said)}</title>"
        f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:g}" '
        f'height="{height:g}" rx="{height / 2:g}" stroke="{color}" '
        f'stroke-width="{3.5 if node.main else 2}"{dash} '
        'style="fill:var(--surface,#fff)"/>'
        f'<text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="middle" font-size="13" '
        f'font-weight="{700 if node.main else 500}" '
        f'style="fill:var(--ink,#1c2430)">{html.escape(short)}</text>{tag}</g>'
    )


def _link(link: Link, nodes: Mapping[str, Node], color: str) -> str:
    color = HARM if link.pushed else color
    path, tip, angle, middle, side = (
        _loop(nodes[link.learner])
        if link.source == link.learner
        else _arc(nodes[link.source], nodes[link.learner], link.width)
    )
    head = _head(link.width)
    x, y = tip
    corners = [
        (x, y),
        *(
            (x - head * math.cos(angle + turn), y - head * math.sin(angle + turn))
            for turn in (0.45, -0.45)
        ),
    ]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    dash = ' stroke-dasharray="6 4"' if link.pushed else ""
    words = ", ".join(dict.fromkeys(term.partition("(")[0] for term in link.terms))
    flow = f"; flow {link.flow:.3g}" if math.isfinite(link.flow) else ""
    title = f"{link.source} to {link.learner}: {', '.join(link.terms)}{flow}"
    return (
        f"<g><title>{html.escape(title)}</title>"
        f'<path d="{path}" fill="none" stroke="{color}" stroke-linecap="butt" '
        f'stroke-width="{link.width:.2f}"{dash}/>'
        f'<polygon points="{points}" fill="{color}"/>'
        f'<text x="{middle[0]:.1f}" y="{middle[1]:.1f}" text-anchor="{side}" '
        'font-size="11.5" style="fill:var(--ink,#1c2430);paint-order:stroke;'
        f'stroke:var(--surface,#fff);stroke-width:4px">{html.escape(words)}</text></g>'
    )


_Shape = tuple[str, tuple[float, float], float, tuple[float, float], str]


def _head(width: float) -> float:
    """Return the length of an arrow's head."""
    return 8 + 1.1 * width


def _arc(source: Node, learner: Node, width: float) -> _Shape:
    """Return path, tip, its direction and the label's place, from node to node."""
    (x0, y0), (x1, y1) = _place(source), _place(learner)
    length = math.hypot(x1 - x0, y1 - y0)
    # Bent to one side, so that both directions of a pair can be seen.
    bend = 0.14 * length
    cx = (x0 + x1) / 2 + bend * (y1 - y0) / length
    cy = (y0 + y1) / 2 - bend * (x1 - x0) / length
    start, end = _edge_of(x0, y0, cx, cy, 3), _edge_of(x1, y1, cx, cy, 5)
    angle = math.atan2(end[1] - cy, end[0] - cx)
    # The line ends inside the head, whose point it would blunt.
    back = 0.8 * _head(width)
    inner = (end[0] - back * math.cos(angle), end[1] - back * math.sin(angle))
    path = (
        f"M{start[0]:.1f},{start[1]:.1f} Q{cx:.1f},{cy:.1f} "
        f"{inner[0]:.1f},{inner[1]:.1f}"
    )
    # The label stands on the outer side of the bend.
    nx, ny = (y1 - y0) / length, -(x1 - x0) / length
    away = width / 2 + 5
    middle = (
        0.25 * start[0] + 0.5 * cx + 0.25 * end[0] + away * nx,
        0.25 * start[1] + 0.5 * cy + 0.25 * end[1] + away * ny + 4 + 4 * ny,
    )
    side = "start" if nx > 0.35 else "end" if nx < -0.35 else "middle"
    return path, end, angle, middle, side


def _loop(node: Node) -> _Shape:
    """Return the shape of a network that learns from itself."""
    x, y = _place(node)
    top = y - _BOX[1] / 2
    path = f"M{x - 16:.1f},{top:.1f} C{x - 40:.1f},{top - 42:.1f} "
    path += f"{x + 40:.1f},{top - 42:.1f} {x + 17:.1f},{top - 8:.1f}"
    return path, (x + 14, top - 2), math.atan2(6, -3), (x, top - 36), "middle"


def _edge_of(
    x: float, y: float, to_x: float, to_y: float, gap: float
) -> tuple[float, float]:
    """Return where the line from a node's middle leaves its box."""
    dx, dy = to_x - x, to_y - y
    width, height = _BOX[0] / 2 + gap, _BOX[1] / 2 + gap
    scale = min(
        width / abs(dx) if dx else math.inf, height / abs(dy) if dy else math.inf
    )
    return x + dx * scale, y + dy * scale
