"""Who calls whom: a graph of functions, drawn by the page from places found here.

The page gets texts and numbers, never markup, so there is nothing in what a kernel
calls its functions that it could take for HTML or SVG.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import traitlets

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.callgraph_picture import (
    NAME_SIZES,
    Shape,
    curve,
    detail,
    graph_html,
    graph_text,
    lay_out,
    said,
    shades,
    shape,
    short_count,
    sizes,
    tell_edge,
    tell_node,
    widths,
)
from ktrace_nb.widgets.graph import MOST_NODES, CallGraph, call_graph
from ktrace_nb.widgets.layers import Layout
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.still import DearView, headed, module


def graph_state(graph: CallGraph, form: Shape, layout: Layout, *, title: str = "") -> dict[str, Any]:
    """What the page draws."""
    nodes = [
        {
            "name": name,
            "x": round(x, 1),
            "y": round(y, 1),
            "width": round(width, 1),
            "height": round(height, 1),
            "letter": NAME_SIZES[step],
            "step": step,
            "shade": -1 if node.merged else shade,
            "errors": node.errors / max(node.count, 1),
            "detail": detail(node),
            "tell": tell_node(graph, node),
        }
        for node, name, step, shade, (x, y), (width, height) in zip(
            graph.nodes, form.names, form.steps, shades(graph), layout.centres, sizes(form), strict=True
        )
    ]
    edges = [
        {
            "caller": edge.caller,
            "callee": edge.callee,
            "curve": curve(path),
            "x": round(x, 1),
            "y": round(y, 1),
            "wide": wide,
            "total": float(edge.total_ns),
            "label": short_count(edge.count),
            "tell": tell_edge(graph, edge),
        }
        for edge, path, (x, y), wide in zip(
            graph.edges, layout.paths, layout.labels, widths(graph), strict=True
        )
    ]
    foot = f"{said(graph)} · laid out by {layout.engine}" if layout.engine == "Graphviz" else said(graph)
    return {
        "title": printable(title),
        "foot": foot,
        "width": round(layout.width, 1),
        "height": round(layout.height, 1),
        "nodes": nodes,
        "edges": edges,
    }


def callgraph(edges: pd.DataFrame, *, most: int = MOST_NODES, title: str = "") -> CallGraphView:
    """Show who calls whom: point at a function for its calls, click to select it.

    Args:
        edges: A frame of edges; see :func:`ktrace_nb.widgets.call_graph` for the
            columns that are read.
        most: How many functions get a node of their own.
        title: A heading.

    Returns:
        A widget; its ``selected`` is the name of the selected function, or empty.

    Raises:
        ValueError: An index level or a column is missing, or ``most`` is below 1.
    """
    return CallGraphView(ViewData(name=title, kind="callgraph", frame=edges, generation=0), most=most)


class CallGraphView(DearView):
    """A call graph.

    Args:
        view: The edges as they stand.
        running: Whether more will come. While it does, updates are at least a second apart.
        most: How many functions get a node of their own.
    """

    _esm = module("shortcuts.js", "picture.js", "callgraph.js")
    _css = assets.read("calls.css") + assets.read("callgraph.css")

    shown = "graph"
    least_s = 1.0  # a graph is read, not watched
    graph = traitlets.Dict().tag(sync=True)
    selected = traitlets.Unicode().tag(sync=True)
    """The function that was clicked, empty if none."""

    def __init__(
        self,
        view: ViewData,
        running: Callable[[], bool] = lambda: False,
        *,
        most: int = MOST_NODES,
    ) -> None:
        self._most = most
        self._form: Shape | None = None
        super().__init__(view, running, spent=time.monotonic)  # Graphviz does its part elsewhere

    def draw(self, view: ViewData) -> dict[str, Any]:
        """The nodes and edges with their places, which stay as long as the shape does."""
        self._last = call_graph(view.frame, most=self._most)
        form = shape(self._last)
        if form != self._form:
            self._form, self._layout = form, lay_out(form)
        return graph_state(self._last, form, self._layout, title=view.name)

    def still(self) -> tuple[str, str]:
        """The picture as it stands, as HTML and as text."""
        title = str(self.graph["title"])
        html = graph_html(self._last, self._layout)
        return headed(title, html), graph_text(self._last, title=title)
