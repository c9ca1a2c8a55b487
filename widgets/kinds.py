"""The kinds of views, in one table: how each is shown live, as HTML that stays, and as text.

A new kind is a line here, a literal in :mod:`ktrace_nb.widgets.source` and a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ktrace_nb.stream.calls.feed import Feed
from ktrace_nb.stream.text import printable
from ktrace_nb.widgets.board import BoardView
from ktrace_nb.widgets.board_picture import board_html, board_text
from ktrace_nb.widgets.callgraph import CallGraphView
from ktrace_nb.widgets.callgraph_picture import callgraph_html, callgraph_text
from ktrace_nb.widgets.console import TextView, console_html, console_text
from ktrace_nb.widgets.flame import FlameView
from ktrace_nb.widgets.flame_picture import flame_html, flame_text
from ktrace_nb.widgets.heatmap import HeatmapView, heatmap_html, heatmap_text
from ktrace_nb.widgets.histogram import HistogramView, histogram_html, histogram_text
from ktrace_nb.widgets.indent import IndentView
from ktrace_nb.widgets.indent_picture import indent_html, indent_text
from ktrace_nb.widgets.series import SeriesView, series_html, series_text
from ktrace_nb.widgets.source import Kind, ViewData
from ktrace_nb.widgets.states import StatesView, states_html, states_text
from ktrace_nb.widgets.table import TableView, table_html, table_text
from ktrace_nb.widgets.timeline import TimelineView, timeline_html, timeline_text


class View(Protocol):
    """What shows one frame, a widget."""

    @property
    def stale(self) -> bool:
        """Whether it has to be drawn again although the frame is the same."""
        ...

    def update(self, view: ViewData) -> bool:
        """Show a frame; say whether anything had changed."""
        ...

    def close(self) -> None:
        """Take it out of the page and of the kernel."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """What a view knows of whom it is shown by."""

    changed: Callable[[], None]
    """To be called, from any thread, when a message of the page asks for something to be drawn."""

    running: Callable[[], bool]
    """Whether more will come."""


@dataclass(frozen=True, slots=True)
class Looks:
    """How a kind is shown."""

    live: Callable[[ViewData, Host], View]
    html: Callable[[ViewData], str]
    """The picture that stays, without its name and without scripts; a page that does not
    trust the notebook drops styles and inline SVG."""

    text: Callable[[ViewData], str]
    """The same in 80 columns, headed by its name."""


def _feed(view: ViewData) -> Feed:
    if view.feed is None:
        raise ValueError(f"view {view.name!r} is of entries and returns and has none")
    return view.feed


LOOKS: Mapping[Kind, Looks] = {
    "histogram": Looks(
        lambda view, host: HistogramView(view, host.changed),
        histogram_html,
        histogram_text,
    ),
    "heatmap": Looks(lambda view, host: HeatmapView(view, host.changed), heatmap_html, heatmap_text),
    "table": Looks(lambda view, host: TableView(view, host.changed, host.running), table_html, table_text),
    "series": Looks(lambda view, host: SeriesView(view, host.changed), series_html, series_text),
    "timeline": Looks(
        lambda view, host: TimelineView(view, host.changed),
        timeline_html,
        timeline_text,
    ),
    "states": Looks(
        lambda view, host: StatesView(view, host.changed, host.running), states_html, states_text
    ),
    "health": Looks(lambda view, host: BoardView(view, host.changed), board_html, board_text),
    "text": Looks(lambda view, host: TextView(view, host.changed), console_html, console_text),
    "indent": Looks(
        lambda view, host: IndentView(view, host.changed),
        lambda view: indent_html(_feed(view)),
        lambda view: f"{printable(view.name)}\n{indent_text(_feed(view))}",
    ),
    "flame": Looks(
        lambda view, host: FlameView(view, host.running),
        lambda view: flame_html(view.frame),
        lambda view: flame_text(view.frame, title=view.name),
    ),
    "callgraph": Looks(
        lambda view, host: CallGraphView(view, host.running),
        lambda view: callgraph_html(view.frame),
        lambda view: callgraph_text(view.frame, title=view.name),
    ),
}
