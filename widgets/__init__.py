"""Live panels and static pictures of a trace. Import as ``ktrace_nb.widgets``.

:func:`show` displays a :class:`PanelSource`, which is all this package knows of
a running trace. What is drawn is a function of a frame; the widgets only assign
it; one publisher per panel decides when.
"""

from __future__ import annotations

if __name__ != "ktrace_nb.widgets":
    raise ImportError(f"import ktrace_nb.widgets, not {__name__}")

from ktrace_nb.widgets.alone import FrameView
from ktrace_nb.widgets.board_picture import health_svg
from ktrace_nb.widgets.callgraph import CallGraphView, callgraph
from ktrace_nb.widgets.callgraph_picture import callgraph_svg, callgraph_text
from ktrace_nb.widgets.calltree import flame_tree
from ktrace_nb.widgets.comparison import ComparisonView, comparison
from ktrace_nb.widgets.comparison_picture import comparison_html, comparison_text
from ktrace_nb.widgets.display import show
from ktrace_nb.widgets.flame import FlameView, flame
from ktrace_nb.widgets.flame_picture import flame_svg, flame_text
from ktrace_nb.widgets.graph import call_graph
from ktrace_nb.widgets.heatmap_picture import heatmap_svg
from ktrace_nb.widgets.indent import IndentView, indent, selected_rows
from ktrace_nb.widgets.panel import Panel
from ktrace_nb.widgets.plain import health_board, heatmap, histogram, series, states, table, timeline
from ktrace_nb.widgets.series_still import series_svg
from ktrace_nb.widgets.source import PanelSource, PanelStatus, ViewData
from ktrace_nb.widgets.states_picture import states_svg
from ktrace_nb.widgets.static import static_bundle
from ktrace_nb.widgets.svg import histogram_svg
from ktrace_nb.widgets.timeline_picture import timeline_svg

__all__ = [
    "CallGraphView",
    "ComparisonView",
    "FlameView",
    "FrameView",
    "IndentView",
    "Panel",
    "PanelSource",
    "PanelStatus",
    "ViewData",
    "call_graph",
    "callgraph",
    "callgraph_svg",
    "callgraph_text",
    "comparison",
    "comparison_html",
    "comparison_text",
    "flame",
    "flame_svg",
    "flame_text",
    "flame_tree",
    "health_board",
    "health_svg",
    "heatmap",
    "heatmap_svg",
    "histogram",
    "histogram_svg",
    "indent",
    "selected_rows",
    "series",
    "series_svg",
    "show",
    "states",
    "states_svg",
    "static_bundle",
    "table",
    "timeline",
    "timeline_svg",
]
