"""Histograms drawn live by bqplot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from bqplot.axes import Axis
from bqplot.figure import Figure
from bqplot.marks import Bars
from bqplot.scales import LinearScale

from ktrace_nb.stream.text import histogram_text as frame_text
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.bqplots import TICK_STYLE, assign, assign_ticks, plain_figure
from ktrace_nb.widgets.chart import MOST_CHARTS, Chart, Picture, view_picture
from ktrace_nb.widgets.drawing import image_html
from ktrace_nb.widgets.models import close_tree
from ktrace_nb.widgets.picks import Change, picked_bars, picked_labels, rows_of_bars
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.svg import chart_height, picture_svg
from ktrace_nb.widgets.talking import TalkingWidget
from ktrace_nb.widgets.ticks import window_label
from ktrace_nb.widgets.value_axis import ValueAxis

_LEFT, _RIGHT, _AXIS, _GAP = 76, 24, 50, 6
_HEAD, _TITLED_HEAD = 12, 30
_WIDTH = 0.94
_PLAIN, _PICKED, _OTHER = "var(--kt-bar)", "var(--kt-pick)", "var(--kt-dim)"
"""Colours of ``bars.css``; bqplot hands them on as they are."""

_EXACT = 2**53
"""A page's numbers are exact below."""


class HistogramView(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is untyped
    """One bqplot figure per key of the histogram, one above the other.

    Args:
        view: The histogram as it stands.
        changed: Called, from any thread, when the page asks for something to be drawn.
    """

    stale = False
    """It never has to be drawn again for the same frame."""

    def __init__(self, view: ViewData, changed: Callable[[], None]) -> None:
        self._shown = view, view_picture(view)
        self._head = BarsHead(changed, self.take)
        self._note = ipywidgets.HTML().add_class("ktrace-foot")
        self._charts: list[_ChartView] = []
        super().__init__()
        self.add_class("ktrace-histogram")
        self.update(view)

    def update(self, view: ViewData) -> bool:
        """Show the frame; say whether anything had changed."""
        picture = view_picture(view)
        picked = picked_bars(view.frame, picture, view.marks)
        self._shown = view, picture
        while len(self._charts) < len(picture.charts):
            self._charts.append(_ChartView())
        shown = self._charts[: len(picture.charts)]
        changed = [
            drawn.update(
                picture, chart, None if view.marks is None else bars, last=chart is picture.charts[-1]
            )
            for drawn, chart, bars in zip(shown, picture.charts, picked, strict=True)
        ]
        changed += [
            assign(self._note, value=_note(view, picture)),
            assign(
                self._head,
                layout_of=_layout(picture, shown, pickable=view.pick is not None),
                exact=_exact(picture),
                picked=[list(bars) for bars in picked],
            ),
            assign(self, children=(self._head, *(drawn.figure for drawn in shown), self._note)),
        ]
        return any(changed)

    def take(self, message: Mapping[str, Any]) -> None:
        """Pick the rows of the bars that a message of the page names; any thread."""
        view, picture = self._shown
        change = Change.read(message)
        if view.pick is None or change is None:
            return
        rows = rows_of_bars(view.frame, picture, change.parts)
        labels, marks = picked_labels(view, rows, change.how)
        # What is picked before this is drawn adds to it.
        self._shown = replace(view, marks=marks), picture
        view.pick(labels)

    def close(self) -> None:
        """Take it out of the page and of the kernel, charts not shown now too."""
        for part in (self._head, *(drawn.figure for drawn in self._charts), self._note):
            close_tree(part)
        super().close()


class BarsHead(TalkingWidget):
    """The heading of a histogram; the page's half lets its bars be pointed at and picked.

    Args:
        changed: Called when the page asks for something to be drawn.
        take: Given what the page asks for; any thread.
    """

    _esm = assets.module("shortcuts.js", "cursor.js", "bars.js")
    _css = assets.read("bars.css")

    layout_of = traitlets.Dict().tag(sync=True)
    """What stays while counts grow: names, the bars' bounds, the models of the bars."""

    exact = traitlets.Dict().tag(sync=True)
    """Total and counts by bar, as digits, of each chart that a page's own numbers do not hold."""

    picked: traitlets.List[Any] = traitlets.List().tag(sync=True)
    """Per chart the numbers of the bars that are picked."""

    def __init__(self, changed: Callable[[], None], take: Callable[[Mapping[str, Any]], None]) -> None:
        self._take = take
        super().__init__(changed)

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a message of the page; any thread."""
        self._take(message)


def _layout(picture: Picture, shown: list[_ChartView], *, pickable: bool) -> dict[str, Any]:
    return {
        "name": picture.name,
        "titles": [chart.title for chart in picture.charts],
        "bars": [drawn.bars.model_id for drawn in shown],
        "labels": list(picture.labels),
        "unit": picture.unit,
        "pickable": pickable,
    }


def _exact(picture: Picture) -> dict[str, Any]:
    return {
        str(number): {
            "total": str(chart.total),
            # All of them: a few may be asked for together, and with a large one all are inexact.
            "counts": list(map(str, chart.counts.tolist())),
        }
        for number, chart in enumerate(picture.charts)
        if chart.total >= _EXACT
    }


def _note(view: ViewData, picture: Picture) -> str:
    """What is said below: without it, the counts of a window of time pass for those of the trace."""
    when = f"from {window_label(view.window)}" if view.window else "yet"
    if not picture.charts:
        return f"nothing counted {when}"
    notes = [f"counted {when}"] if view.window else []
    if picture.left_out:
        notes.append(f"{picture.left_out:,} more not drawn")
    return " · ".join(notes)


class _ChartView:
    """The bars of one key."""

    def __init__(self) -> None:
        self._x = LinearScale(allow_padding=False)
        self._y = LinearScale(min=0.0, allow_padding=False)
        self.bars = Bars(x=np.empty(0), y=np.empty(0), scales={"x": self._x, "y": self._y}, colors=[_PLAIN])
        self._value_axis = Axis(scale=self._x, grid_lines="none", tick_style=TICK_STYLE, label_offset="38px")
        self._count_axis = Axis(
            scale=self._y,
            side="left",
            grid_lines="solid",
            tick_style=TICK_STYLE,
            label="count",
            label_offset="62px",
        )
        self.figure: Figure = plain_figure([self.bars], [self._value_axis, self._count_axis])
        self._axis: ValueAxis | None = None
        self._frame: tuple[str, int, bool] | None = None
        self._top = 0.0

    def update(self, picture: Picture, chart: Chart, picked: tuple[int, ...] | None, *, last: bool) -> bool:
        """Show a chart, with the value axis under it if it is the last.

        Args:
            picture: What it is part of; not empty.
            chart: Its counts.
            picked: Which bars are picked; None if nothing is anywhere.
            last: Whether it is the lowest.
        """
        changed = self._update_frame(chart.title, len(picture.charts), last=last)
        data: dict[str, Any] = {"y": chart.heights, "colors": _colours(len(chart.counts), picked)}
        if picture.axis is not None and picture.axis is not self._axis:
            self._axis = axis = picture.axis
            first, end = axis.span
            data |= {"x": axis.centres, "padding": _padding(len(axis.labels))}
            changed |= assign(self._value_axis, label=axis.label)
            changed |= assign_ticks(self._value_axis, axis.ticks)
            changed |= assign(self._x, min=first, max=end)
        if chart.top != self._top:
            self._top = chart.top
            changed |= assign_ticks(self._count_axis, chart.ticks)
            changed |= assign(self._y, max=chart.top)
        return assign(self.bars, **data) or changed

    def _update_frame(self, title: str, count: int, *, last: bool) -> bool:
        frame = title, count, last
        if frame == self._frame:
            return False
        self._frame = frame
        foot = _AXIS if last else _GAP
        head = _TITLED_HEAD if title else _HEAD
        assign(
            self.figure,
            title=title,
            fig_margin={"top": head, "bottom": foot, "left": _LEFT, "right": _RIGHT},
        )
        assign(self.figure.layout, height=f"{head + chart_height(count) + foot}px")
        assign(self._value_axis, visible=last)
        return True


def _colours(count: int, picked: tuple[int, ...] | None) -> list[str]:
    if picked is None:
        return [_PLAIN]
    chosen = set(picked)
    return [_PICKED if bar in chosen else _OTHER for bar in range(count)]


def _padding(count: int) -> float:
    """What bqplot calls padding, so that each bar is ``_WIDTH`` of its bucket wide.

    bqplot lays ``count`` bands (d3-scale's band scale, inner padding p, outer p/2)
    over the distance between the middles of the first and the last bar, which is
    one bar too short: width = (count - 1) (1 - p) / count buckets.
    """
    return 1 - _WIDTH * count / (count - 1)


def histogram_html(view: ViewData) -> str:
    """The picture that stays, as an ``<img>``, and below it the window that it counts."""
    picture = view_picture(view)
    drawn = picture_svg(replace(picture, name=""), picked_bars(view.frame, picture, view.marks))
    shown = image_html(drawn, histogram_text(view))
    # What is left out is said in the picture itself.
    within = _note(view, replace(picture, left_out=0)) if view.window else ""
    return f"{shown}\n<p>{within}</p>" if within else shown


def histogram_text(view: ViewData) -> str:
    """The histogram as text, headed by its name."""
    shown = frame_text(view.frame, title=view.name, max_keys=MOST_CHARTS)
    return f"{shown.rstrip()}\ncounted from {window_label(view.window)}" if view.window else shown
