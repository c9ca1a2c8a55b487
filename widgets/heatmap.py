"""A histogram over time on a canvas: what was counted when, the darker the more.

The page holds the counts of all cells, and colours, points and reads them out by
itself. It is sent the columns that changed: while a trace runs these are the newest
one, which grows, and one more now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from ktrace_nb.widgets import assets
from ktrace_nb.widgets.heatgrid import Grid, heat_grid, marked_cells, rows_between
from ktrace_nb.widgets.heatmap_picture import heatmap_html, heatmap_text
from ktrace_nb.widgets.source import ViewData, Window
from ktrace_nb.widgets.talking import TalkingWidget

__all__ = ["HeatmapView", "heatmap_html", "heatmap_text"]


class HeatmapView(TalkingWidget):
    """Cells of time and value; a drag picks cells, along the axis of time a window.

    Args:
        view: The histogram over time as it stands.
        changed: Called, from any thread, when a page has to be told something.
    """

    _esm = assets.module(
        "shortcuts.js",
        "heatmap_scale.js",
        "heatmap_cells.js",
        "heatmap_drawn.js",
        "heatmap_legend.js",
        "heatmap.js",
    )
    _css = assets.read("heatmap.css")

    title = traitlets.Unicode().tag(sync=True)

    def __init__(self, view: ViewData, changed: Callable[[], None]) -> None:
        self._view = view
        self._grid = heat_grid(view)
        self._sent: Grid | None = None
        """What all pages have, None if one of them may not."""
        self._number = 0
        """Of the axis of values that pages were sent."""
        self._said: dict[str, Any] = {}
        self._marked: NDArray[np.uint32] = np.empty(0, dtype=np.uint32)
        self._pages = False
        self._asked = False
        super().__init__(changed, title=self._grid.title)

    @property
    def stale(self) -> bool:
        """Whether a page wants something."""
        return self._asked

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take what a page says; any thread."""
        match message:
            case {"have": [int(number), int(columns)]}:
                sent = self._sent
                if sent is None or (number, columns) != (self._number, sent.columns):
                    self._sent = None
                self._pages = self._asked = True
                self._changed()
            case {"pick": None}:
                self._pick([])
            case {"pick": {"from": float() | int() as start, "to": float() | int() as end, **cells}}:
                self._pick_cells(float(start), float(end), cells)
            case {"window": None}:
                self._set_window(None)
            case {"window": [float() | int() as start, float() | int() as end]} if start < end:
                self._set_window((float(start), float(end)))
            case _:
                pass

    def _pick_cells(self, from_s: float, to_s: float, cells: Mapping[Any, Any]) -> None:
        """Pick the rows of the frame in a rectangle; ``how``: ``only`` them, ``add`` or ``remove``."""
        view = self._view
        try:
            low, high = int(cells["low"]), int(cells["high"])
        except (KeyError, TypeError, ValueError):
            return
        rows = rows_between(view.frame, from_s, to_s, low, high)
        before = view.marks if view.marks is not None else np.zeros(len(rows), dtype=bool)
        match cells.get("how"):
            case "add":
                rows |= before
            case "remove":
                rows = before & ~rows
        self._pick(view.frame.index[rows].tolist())

    def _pick(self, labels: list[Any]) -> None:
        if self._view.pick is not None:
            self._view.pick(labels)

    def _set_window(self, window: Window | None) -> None:
        if self._view.set_window is not None:
            self._view.set_window(window)

    def update(self, view: ViewData) -> bool:
        """Send pages what changed; say whether anything did."""
        # Before what is sent is looked at: a page that asks meanwhile asks for the next update.
        self._asked = False
        grid = heat_grid(view)
        self._view, self._grid = view, grid
        if not self._pages:
            return False  # a page asks when it is there
        message: dict[str, Any] = {}
        buffers: list[bytes] = []
        whole = self._sent is None
        before = self._sent
        if before is None or before.rows != grid.rows:
            self._number += 1
            before = None
            message["axis"] = _axis(grid)
        first = 0 if before is None else _first_new(before, grid)
        if before is None or first < max(grid.columns, before.columns):
            message |= {"from": first, "columns": grid.columns}
            buffers += [
                grid.edges[first:].astype("<f8").tobytes(),
                grid.counts[first:].astype("<u8").tobytes(),
            ]
        marked = (
            marked_cells(grid, view.frame, view.marks) if view.marks is not None else np.empty(0, np.uint32)
        )
        if whole or not np.array_equal(marked, self._marked):
            message["marks"] = len(marked)
            buffers.append(marked.astype("<u4").tobytes())
        said = {"foot": grid.foot(), "window": list(view.window) if view.window else None}
        message |= {name: value for name, value in said.items() if whole or self._said.get(name) != value}
        self._sent, self._marked, self._said = grid, marked, said
        if not message:
            return False
        self.send({**message, "grid": self._number}, buffers=buffers)
        return True


def _axis(grid: Grid) -> dict[str, Any]:
    """The axis of values as a page wants it; numbers as text, for JavaScript's have 53 bits."""
    rows = grid.rows
    return {
        "lows": list(map(str, rows.lows)),
        "highs": list(map(str, rows.highs)),
        "bounds": [rows.bounds(row) for row in range(len(rows))],
        "ticks": [[tick.at, tick.label] for tick in rows.ticks],
        "label": rows.label,
    }


def _first_new(before: Grid, now: Grid) -> int:
    """The first column that is not what it was."""
    both = min(before.columns, now.columns)
    same = before.edges[: both + 1] == now.edges[: both + 1]
    same[1:] &= (before.counts[:both] == now.counts[:both]).all(axis=1)
    if not same[0]:
        return 0
    different = np.flatnonzero(~same[1:])
    return int(different[0]) if len(different) else both
