"""Numbers over time drawn live by bqplot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from html import escape
from math import isfinite
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from bqplot.axes import Axis
from bqplot.marks import Lines
from bqplot.scales import LinearScale
from numpy.typing import NDArray

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.bqplots import TICK_STYLE, assign, assign_ticks, plain_figure
from ktrace_nb.widgets.drawing import image_html
from ktrace_nb.widgets.models import close_tree
from ktrace_nb.widgets.picks import Change, picked_labels, picked_lines, rows_of_lines
from ktrace_nb.widgets.series_picture import MOST_LINES, SeriesPicture, view_picture
from ktrace_nb.widgets.series_still import DASHES, lines_svg, quantity, series_lines
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.talking import TalkingWidget

_MARGIN = {"top": 12, "bottom": 50, "left": 88, "right": 24}
_HEIGHT = "282px"
_COLOURS = [f"var(--kt-line-{number + 1})" for number in range(MOST_LINES)]
"""Of ``series.css``, which also gives each line its dashes; bqplot hands them on as they are."""

_FADED = 0.25


class SeriesView(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is untyped
    """One bqplot figure with a line per column or key, its legend above it.

    Args:
        view: The numbers as they stand.
        changed: Called, from any thread, when the page asks for something to be drawn.
    """

    stale = False
    """It never has to be drawn again for the same frame."""

    def __init__(self, view: ViewData, changed: Callable[[], None]) -> None:
        self._shown = view, view_picture(view)
        self._head = SeriesHead(changed, self.take)
        self._note = ipywidgets.HTML().add_class("ktrace-foot")
        self._x, self._y = LinearScale(allow_padding=False), LinearScale(allow_padding=False)
        scales = {"x": self._x, "y": self._y}
        nothing = np.empty(0)
        # A band is two lines that are not drawn and the space between them, which bqplot fills
        # from each line to the next one.
        self.bands = Lines(x=nothing, y=nothing, scales=scales, fill="between", visible=False)
        self.lines = Lines(x=nothing, y=nothing, scales=scales, colors=_COLOURS, stroke_width=2.0)
        self._time_axis = Axis(scale=self._x, grid_lines="none", tick_style=TICK_STYLE, label_offset="38px")
        self._value_axis = Axis(
            scale=self._y, side="left", grid_lines="solid", tick_style=TICK_STYLE, label_offset="74px"
        )
        self._figure = plain_figure([self.bands, self.lines], [self._time_axis, self._value_axis])
        self._figure.fig_margin = _MARGIN
        self._figure.layout.height = _HEIGHT
        super().__init__()
        self.add_class("ktrace-series")
        self.update(view)

    def update(self, view: ViewData) -> bool:
        """Show the frame; say whether anything had changed."""
        picture = view_picture(view)
        self._shown = view, picture
        picked = picked_lines(picture, view.marks)
        changed = [
            *(self._draw(picture, picked) if picture.lines else ()),
            assign(self._note, value=escape(picture.note)),
            assign(
                self._head,
                layout_of=self._layout_of(view, picture),
                latest=[quantity(line.last, line.unit) for line in picture.lines],
                picked=[number for number, is_picked in enumerate(picked or ()) if is_picked],
                window=list(view.window) if view.window else [],
            ),
            assign(
                self,
                children=(self._head, *([self._figure] if picture.lines else []), self._note),
            ),
        ]
        return any(changed)

    def _draw(self, picture: SeriesPicture, picked: tuple[bool, ...] | None) -> list[bool]:
        opacities = [_FADED if picked and not one else 1.0 for one in picked or [True] * len(picture.lines)]
        changed = [
            assign_ticks(self._time_axis, picture.ticks),
            assign_ticks(self._value_axis, picture.value_ticks),
            assign(self._time_axis, label=picture.axis_label),
            assign(self._value_axis, label=picture.value_label),
            assign(self._x, min=picture.span[0], max=picture.span[1]),
            assign(self._y, min=picture.bottom, max=picture.top),
        ]
        if picture.banded:
            ends = [end for line in picture.lines for end in (line.high, line.low)]
            changed.append(
                assign(
                    self.bands,
                    x=picture.at_s,
                    y=np.array(ends),
                    colors=[_COLOURS[number // 2] for number in range(len(ends))],
                    opacities=[0.0] * len(ends),
                    fill_opacities=[share for one in opacities for share in (0.25 * one, 0.0)],
                )
            )
        changed.append(assign(self.bands, visible=picture.banded))
        changed.append(
            assign(
                self.lines,
                x=picture.at_s,
                y=_stacked([line.mean for line in picture.lines]),
                opacities=opacities,
            )
        )
        return changed

    def _layout_of(self, view: ViewData, picture: SeriesPicture) -> dict[str, Any]:
        return {
            "name": picture.name,
            "titles": [line.title for line in picture.lines],
            "units": [line.unit for line in picture.lines],
            "lines": self.lines.model_id,
            "bands": self.bands.model_id if picture.banded else "",
            "span": list(picture.span),
            "dashes": list(DASHES),
            "pickable": view.pick is not None and picture.keyed,
            "windowed": view.set_window is not None,
        }

    def take(self, message: Mapping[str, Any]) -> None:
        """Pick lines, or a window of time, as a message of the page says; any thread."""
        view, picture = self._shown
        change = Change.read(message)
        if change is not None and view.pick is not None:
            labels, marks = picked_labels(view, rows_of_lines(picture, change.parts), change.how)
            # What is picked before this is drawn adds to it.
            self._shown = replace(view, marks=marks), picture
            view.pick(labels)
        if "window" in message and view.set_window is not None:
            window = message["window"]
            if window is None:
                view.set_window(None)
            elif _is_window(window):
                view.set_window((float(window[0]), float(window[1])))

    def close(self) -> None:
        """Take it out of the page and of the kernel, what is not shown now too."""
        for part in (self._head, self._figure, self._note):
            close_tree(part)
        super().close()


class SeriesHead(TalkingWidget):
    """The heading and the legend; the page's half lets lines and time be picked.

    Args:
        changed: Called when the page asks for something to be drawn.
        take: Given what the page asks for; any thread.
    """

    _esm = assets.module("shortcuts.js", "cursor.js", "quantity.js", "series.js")
    _css = assets.read("bars.css") + assets.read("series.css")

    layout_of = traitlets.Dict().tag(sync=True)
    """What stays while numbers come: names, unit, the models of the lines."""

    latest: traitlets.List[Any] = traitlets.List().tag(sync=True)
    """The latest number of each line, as text."""

    picked: traitlets.List[Any] = traitlets.List().tag(sync=True)
    """The numbers of the lines that are picked."""

    window: traitlets.List[Any] = traitlets.List().tag(sync=True)
    """From when to when is looked at, seconds; empty for all."""

    def __init__(self, changed: Callable[[], None], take: Callable[[Mapping[str, Any]], None]) -> None:
        self._take = take
        super().__init__(changed)

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a message of the page; any thread."""
        self._take(message)


def _is_window(window: Any) -> bool:
    return (
        isinstance(window, list)
        and len(window) == 2
        and all(isinstance(at, (int, float)) and isfinite(at) for at in window)
        and window[0] < window[1]
    )


def _stacked(lines: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Lines one below the other; bqplot makes a single one flat, so it is given flat."""
    return lines[0] if len(lines) == 1 else np.array(lines)


def series_html(view: ViewData) -> str:
    """The picture that stays, as an ``<img>``."""
    picture = view_picture(view)
    drawn = lines_svg(replace(picture, name=""), picked_lines(picture, view.marks), view.window)
    return image_html(drawn, series_text(view))


def series_text(view: ViewData) -> str:
    """The numbers as text, headed by their name: a row per line with its course in blocks."""
    lines = series_lines(view_picture(view))
    return "\n".join([*([printable(view.name)] if view.name else []), *lines])
