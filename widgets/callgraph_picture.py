"""A call graph laid out, as SVG and as text: for the page, saved notebooks and reports."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import pandas as pd

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets.drawing import INK, image_html, opening
from ktrace_nb.widgets.flame_picture import ERROR, FILLS, TEXTS, calls_said, share
from ktrace_nb.widgets.graph import MOST_NODES, CallGraph, Edge, Node, call_graph
from ktrace_nb.widgets.graphviz import graphviz_layout
from ktrace_nb.widgets.layers import Layout, Point, layered_layout
from ktrace_nb.widgets.ticks import time_label

LINES = 30
"""Text shows so many edges."""

NAME_SIZES = (12, 14, 17)
"""Pixels of a name, by the function's share of self time."""

REST_FILL = "#e4e6e9"
_DETAIL_WIDTH = 148.0
"""Room for the second line of a node, whatever it says, so that places stay when numbers grow."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a layout depends on: as long as it stays, so do the places."""

    names: tuple[str, ...]
    steps: tuple[int, ...]
    """Of each node, which of :data:`NAME_SIZES`."""

    links: tuple[tuple[int, int], ...]


def shape(graph: CallGraph) -> Shape:
    """What the layout of a graph depends on."""
    most = max((node.self_ns for node in graph.nodes if not node.merged), default=0) or 1
    steps = [
        0 if node.merged else min(int(3 * math.sqrt(max(node.self_ns, 0) / most)), 2) for node in graph.nodes
    ]
    return Shape(
        tuple(printable(node.name) for node in graph.nodes),
        tuple(steps),
        tuple((edge.caller, edge.callee) for edge in graph.edges),
    )


def sizes(form: Shape) -> list[Point]:
    """Width and height of each node's box, pixels."""
    found = []
    for name, step in zip(form.names, form.steps, strict=True):
        letter = NAME_SIZES[step]
        found.append((max(len(name) * letter * 0.6 + 18, _DETAIL_WIDTH), letter + 28.0))
    return found


def lay_out(form: Shape) -> Layout:
    """Find the places: by Graphviz where it is installed, else by our own layers."""
    boxes = sizes(form)
    return graphviz_layout(boxes, form.links) or layered_layout(boxes, form.links)


def shades(graph: CallGraph) -> list[int]:
    """Which fill each node gets: by the root of its self time."""
    most = max((node.self_ns for node in graph.nodes), default=0) or 1
    return [
        min(int(len(FILLS) * math.sqrt(max(node.self_ns, 0) / most)), len(FILLS) - 1) for node in graph.nodes
    ]


def widths(graph: CallGraph) -> list[float]:
    """How wide each edge is drawn, pixels: by the root of its time."""
    most = max((edge.total_ns for edge in graph.edges), default=0) or 1
    return [round(1 + 3.5 * math.sqrt(max(edge.total_ns, 0) / most), 1) for edge in graph.edges]


def detail(node: Node) -> str:
    """The second line of a node."""
    return f"self {time_label(node.self_ns * 1e-9)} · {short_count(node.count)}×"


def tell_node(graph: CallGraph, node: Node) -> str:
    """One line about a node."""
    failed = f" ({node.errors:,} with an error)" if node.errors else ""
    return (
        f"{printable(node.name)} · {calls_said(node.count)}{failed} · "
        f"self {time_label(node.self_ns * 1e-9)}, {share(node.self_ns, graph.whole_ns)} · "
        f"total {time_label(node.total_ns * 1e-9)}"
    )


def tell_edge(graph: CallGraph, edge: Edge) -> str:
    """One line about an edge."""
    failed = f" ({edge.errors:,} with an error)" if edge.errors else ""
    ends = " → ".join(printable(graph.nodes[number].name) for number in (edge.caller, edge.callee))
    return f"{ends} · {calls_said(edge.count)}{failed} · total {time_label(edge.total_ns * 1e-9)}"


def short_count(count: int) -> str:
    """A count of six characters at most."""
    if count < 100_000:
        return f"{count:,}"
    size, prefix = next(
        step for step in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")) if count >= step[0]
    )
    return f"{count / size:.3g}{prefix}" if count / size < 999.5 else f"{count / size:.0f}{prefix}"


def said(graph: CallGraph) -> str:
    """The foot of a view: how much is in it, and what is not drawn."""
    if not graph.nodes:
        return "no calls yet"
    functions = "1 function" if graph.functions == 1 else f"{graph.functions:,} functions"
    parts = [f"{functions}, self time {time_label(graph.whole_ns * 1e-9)}"]
    merged = sum(node.merged for node in graph.nodes)
    if merged:
        parts.append(f"{merged:,} in one node")
    if graph.hidden:
        parts.append(f"{graph.hidden:,} {'edge' if graph.hidden == 1 else 'edges'} not drawn")
    return "; ".join(parts)


def curve(path: tuple[Point, ...]) -> str:
    """A line as the ``d`` of an SVG path."""
    (x, y), *rest = path
    bends = " ".join(f"{x:.1f},{y:.1f}" for x, y in rest)
    return f"M{x:.1f},{y:.1f}C{bends}"


def callgraph_svg(edges: pd.DataFrame, *, most: int = MOST_NODES, title: str = "") -> str:
    """Draw a frame of edges as a stand-alone SVG document.

    Raises:
        ValueError: See :func:`ktrace_nb.widgets.call_graph`.
    """
    graph = call_graph(edges, most=most)
    return graph_svg(graph, lay_out(shape(graph)), title=title)


def callgraph_text(edges: pd.DataFrame, *, most: int = MOST_NODES, title: str = "") -> str:
    """Write the edges that took longest, one per line.

    Raises:
        ValueError: See :func:`ktrace_nb.widgets.call_graph`.
    """
    return graph_text(call_graph(edges, most=most), title=title)


def callgraph_html(edges: pd.DataFrame) -> str:
    """Draw a frame of edges into an ``<img>``."""
    graph = call_graph(edges)
    return graph_html(graph, lay_out(shape(graph)))


def graph_svg(graph: CallGraph, layout: Layout, *, title: str = "", footed: bool = True) -> str:
    """Draw a graph as a stand-alone SVG document; ``footed`` says below how much is in it."""
    head, foot = 26 if title else 0, 22 if footed else 0
    width, height = max(layout.width, 300), head + max(layout.height, 4) + foot
    lines = [
        opening(width, height, font_size=11),
        '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0.5L8 4L0 7.5z" fill="{INK}"/></marker>',
    ]
    if title:
        lines.append(f'<text x="0" y="15" font-size="14" font-weight="600">{escape(printable(title))}</text>')
    lines.append(f'<g transform="translate(0 {head})">')
    for edge, path, label, wide in zip(graph.edges, layout.paths, layout.labels, widths(graph), strict=True):
        lines.append(
            f'<path d="{curve(path)}" fill="none" stroke="{INK}" stroke-width="{wide}" stroke-opacity=".7" '
            f'marker-end="url(#tip)"><title>{escape(tell_edge(graph, edge))}</title></path>'
        )
        lines.append(
            f'<text x="{label[0]:.1f}" y="{label[1] + 4:.1f}" text-anchor="middle">'
            f"{short_count(edge.count)}</text>"
        )
    form = shape(graph)
    for number in range(len(graph.nodes)):
        lines += _node(graph, layout, form, number)
    lines += [
        "</g>",
        f'<text x="0" y="{height - 6:.0f}" font-size="12">{escape(said(graph))}</text>',
        "</svg>",
    ]
    return "\n".join(lines)


def _node(graph: CallGraph, layout: Layout, form: Shape, number: int) -> Iterator[str]:
    node, (x, y), (width, height) = graph.nodes[number], layout.centres[number], sizes(form)[number]
    shade = shades(graph)[number]
    fill, text = (REST_FILL, TEXTS[0]) if node.merged else (FILLS[shade], TEXTS[shade])
    left, top, letter = x - width / 2, y - height / 2, NAME_SIZES[form.steps[number]]
    yield (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4" fill="{fill}" '
        f'stroke="{INK}"><title>{escape(tell_node(graph, node))}</title></rect>'
    )
    if node.errors:
        wide = max(2.0, (width - 8) * node.errors / max(node.count, 1))
        yield (
            f'<rect x="{left + 4:.1f}" y="{top + height - 4:.1f}" width="{wide:.1f}" height="3" '
            f'fill="{ERROR}"/>'
        )
    yield (
        f'<text x="{x:.1f}" y="{top + letter + 3:.1f}" text-anchor="middle" font-size="{letter}" '
        f'fill="{text}">{escape(form.names[number])}</text>'
    )
    yield (
        f'<text x="{x:.1f}" y="{top + letter + 18:.1f}" text-anchor="middle" fill="{text}">'
        f"{escape(detail(node))}</text>"
    )


def graph_html(graph: CallGraph, layout: Layout) -> str:
    """The picture as an ``<img>``, and below it how much is in it."""
    # What is said below stands outside, for a page makes the picture as small as itself.
    drawn = graph_svg(graph, layout, footed=False)
    image = image_html(drawn, graph_text(graph), style="max-width: 100%")
    return f"{image}\n<p>{escape(said(graph))}</p>"


def graph_text(graph: CallGraph, *, title: str = "") -> str:
    """The edges that took longest, one per line."""
    lines = [printable(title)] if title else []
    lines.append(f"{'calls':>11} {'total':>9}  caller → callee")
    longest = sorted(graph.edges, key=lambda edge: -edge.total_ns)
    for edge in longest[:LINES]:
        ends = " → ".join(printable(graph.nodes[number].name) for number in (edge.caller, edge.callee))
        lines.append(f"{edge.count:>11,} {time_label(edge.total_ns * 1e-9):>9}  {ends}")
    left = len(longest) - LINES + graph.hidden if len(longest) > LINES else graph.hidden
    if left:
        lines.append(f"... {left:,} more {'edge' if left == 1 else 'edges'}")
    if not longest:
        lines.append("(no calls of one function by another)")
    return "\n".join([*lines, said(graph)])
