"""Histograms drawn live by bqplot."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import ipywidgets
import numpy as np
from bqplot.axes import Axis
from bqplot.figure import Figure
from bqplot.marks import Bars
from bqplot.scales import LinearScale

from ktrace_nb.widgets.chart import Chart, Picture, view_picture
from ktrace_nb.widgets.models import close_tree
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.svg import BAR, chart_height
from ktrace_nb.widgets.ticks import Tick

_LEFT, _RIGHT, _AXIS, _GAP = 76, 24, 50, 6
_HEAD, _TITLED_HEAD = 12, 30
_WIDTH = 0.94
_TICK_STYLE = {"font-size": "13px"}


class HistogramView(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is untyped
    """One bqplot figure per key of the histogram, one above the other.

    Args:
        view: The histogram as it stands.
    """

    stale = False
    """It never has to be drawn again for the same frame."""

    def __init__(self, view: ViewData) -> None:
        self._title = ipywidgets.HTML().add_class("ktrace-title")
        self._note = ipywidgets.HTML().add_class("ktrace-foot")
        self._charts: list[_ChartView] = []
        super().__init__()
        self.add_class("ktrace-histogram")
        self.update(view)

    def update(self, view: ViewData) -> bool:
        """Show the frame; say whether anything had changed."""
        picture = view_picture(view)
        while len(self._charts) < len(picture.charts):
            self._charts.append(_ChartView())
        shown = self._charts[: len(picture.charts)]
        changed = [
            _assign(self._title, value=_title(picture)),
            _assign(self._note, value=_note(picture)),
            *(
                drawn.update(picture, chart, last=chart is picture.charts[-1])
                for drawn, chart in zip(shown, picture.charts, strict=True)
            ),
            _assign(self, children=(self._title, *(drawn.figure for drawn in shown), self._note)),
        ]
        return any(changed)

    def close(self) -> None:
        """Take it out of the page and of the kernel, charts not shown now too."""
        for drawn in self._charts:
            close_tree(drawn.figure)
        super().close()


def _title(picture: Picture) -> str:
    """The view's heading, with the total where there is only one.

    It also carries what each bar says when it is pointed at, chart by chart, for
    ``header.js``: a tooltip of bqplot knows a bar's middle but not its bounds.
    """
    said = [
        [
            f"{label}{picture.unit and ' '}{picture.unit}: {int(height):,}" if height else ""
            for label, height in zip(picture.labels, chart.heights, strict=True)
        ]
        for chart in picture.charts
    ]
    name = f'<span data-bars="{escape(json.dumps(said))}">{escape(picture.name)}</span>'
    if len(picture.charts) == 1 and not picture.charts[0].title:
        return f'{name} <span class="ktrace-total">total {picture.charts[0].total:,}</span>'
    return name


def _note(picture: Picture) -> str:
    if not picture.charts:
        return "nothing counted yet"
    return f"{picture.left_out:,} more not drawn" if picture.left_out else ""


class _ChartView:
    """The bars of one key."""

    def __init__(self) -> None:
        self._x = LinearScale(allow_padding=False)
        self._y = LinearScale(min=0.0, allow_padding=False)
        self._bars = Bars(x=np.empty(0), y=np.empty(0), scales={"x": self._x, "y": self._y}, colors=[BAR])
        self._value_axis = Axis(scale=self._x, grid_lines="none", tick_style=_TICK_STYLE, label_offset="38px")
        self._count_axis = Axis(
            scale=self._y, side="left", grid_lines="solid", tick_style=_TICK_STYLE, label_offset="62px"
        )
        self.figure = Figure(
            marks=[self._bars],
            axes=[self._value_axis, self._count_axis],
            animation_duration=0,
            display_toolbar=False,
            background_style={"fill-opacity": "0"},
            title_style={"font-size": "13px"},
            padding_y=0.0,
            max_aspect_ratio=100,
            layout={"width": "100%", "min_width": "0"},
        )

    def update(self, picture: Picture, chart: Chart, *, last: bool) -> bool:
        """Show a chart, with the value axis under it if it is the last."""
        count = len(picture.charts)
        axis = _AXIS if last else _GAP
        head = _TITLED_HEAD if chart.title else _HEAD
        height = head + chart_height(count) + axis
        first, end = picture.span
        changed = [
            _assign(
                self.figure,
                title=f"{chart.title} · total {chart.total:,}" if chart.title else "",
                fig_margin={"top": head, "bottom": axis, "left": _LEFT, "right": _RIGHT},
            ),
            _assign(self.figure.layout, height=f"{height}px"),
            _assign(self._value_axis, visible=last, label=picture.axis_label),
            _assign(self._count_axis, label="count"),
            _assign_ticks(self._value_axis, picture.ticks),
            _assign_ticks(self._count_axis, chart.ticks),
            _assign(self._x, min=first, max=end),
            _assign(self._y, max=chart.top),
            _assign(self._bars, x=picture.centres, y=chart.heights, padding=_padding(len(chart.heights))),
        ]
        return any(changed)


def _padding(count: int) -> float:
    """What bqplot calls padding, so that each bar is ``_WIDTH`` of its bucket wide.

    bqplot lays ``count`` bands (d3-scale's band scale, inner padding p, outer p/2)
    over the distance between the middles of the first and the last bar, which is
    one bar too short: width = (count - 1) (1 - p) / count buckets.
    """
    return 1 - _WIDTH * count / (count - 1)


def _assign_ticks(axis: Axis, ticks: tuple[Tick, ...]) -> bool:
    # The labels first, in a message of their own: bqplot draws new ticks in a
    # transition that keeps the labels it began with.
    labels = _assign(axis, tick_labels={_javascript(tick.at): tick.label for tick in ticks})
    values = _assign(axis, tick_values=np.array([tick.at for tick in ticks], dtype=np.float64))
    return labels or values


def _javascript(number: float) -> str:
    """A number as JavaScript writes it, for bqplot looks labels up by that text."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e21 else repr(number)


def _assign(widget: Any, **values: Any) -> bool:
    """Set the traits that differ, in one message; say whether any did."""
    different = {name: value for name, value in values.items() if not _same(getattr(widget, name), value)}
    if different:
        with widget.hold_sync():
            for name, value in different.items():
                setattr(widget, name, value)
    return bool(different)


def _same(old: Any, new: Any) -> bool:
    if isinstance(new, np.ndarray):
        return isinstance(old, np.ndarray) and np.array_equal(old, new)
    return bool(old == new)
