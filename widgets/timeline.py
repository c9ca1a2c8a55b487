"""What ran when: a lane per CPU or per task, time to the right.

The page holds all spells as packed columns, so that zooming and panning need no answer from
Python. It asks for what it lacks once it has drawn what it got: a slow page gets more at a
time, a hidden or closed one nothing. Rows are only added; durations of what had not ended are
sent apart. Where a frame takes the place of another that does not go on from it, pages are
told a new number, forget what they have and ask anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.talking import TalkingWidget
from ktrace_nb.widgets.timeline_picture import remark, timeline_html, timeline_text
from ktrace_nb.widgets.timeline_rows import OPEN, Rows

__all__ = ["TimelineView", "timeline_html", "timeline_text"]

CHUNK = 32_768
"""Rows in a message: of at most 30 bytes each, less than a megabyte."""

AT_ONCE = 32
"""Messages that are sent before the page has to ask for more."""

_LONGEST = 2**32 - 2
_OPEN_U32 = 2**32 - 1


@dataclass(frozen=True, slots=True)
class _Request:
    """What a page has, and wants more of."""

    rows: int
    names: Mapping[str, int]


class TimelineView(TalkingWidget):
    """Spells of time in lanes, with zoom, a cursor and a window of time.

    Args:
        view: The spells; ``options["lane"]`` says what the lanes are, ``options["origin_ns"]``
            which time is 0.
        changed: Called, from any thread, when a page wants something.

    Raises:
        ValueError: The frame is not what :func:`ktrace_nb.widgets.timeline` asks for.
    """

    _esm = assets.module(
        "shortcuts.js",
        "timeline_axis.js",
        "timeline_track.js",
        "timeline_store.js",
        "timeline_paint.js",
        "timeline_point.js",
        "timeline_mouse.js",
        "timeline_said.js",
        "timeline.js",
    )
    _css = assets.read("timeline.css")

    about = traitlets.Dict().tag(sync=True)
    """``title``, ``lane``, ``lanes`` and ``colours`` to choose from, ``remark``, ``window``."""

    def __init__(self, view: ViewData, changed: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._requests: dict[str, _Request] = {}
        self._rows = Rows(view.options.get("lane") or "cpu")
        self._view = view
        self._frame: object = None
        self._number = 0
        """Of the frame: how often another has taken the place of one."""
        self._asked = False
        self._told = True
        self._reach = 0
        """So many rows have been sent to some page."""
        self._marks: NDArray[np.bool_] | None = None
        self._greeted = False
        """A page has come that knows no marks."""
        self._rows.read(view.frame, view.options)
        super().__init__(changed, about=self._about(view))

    @property
    def stale(self) -> bool:
        """Whether a page wants something."""
        return self._asked

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take what a page says; any thread."""
        view, rows = self._view, self._rows
        match message:
            case {"pick": list(picked), "number": int(number)} if number == self._number:
                if view.pick is not None:
                    place = rows.place
                    known = [place[row] for row in picked if isinstance(row, int) and 0 <= row < len(place)]
                    view.pick([view.frame.index[at] for at in known if at < len(view.frame)])
            case {"window": [int() | float() as start, int() | float() as end]} if start < end:
                if view.set_window is not None:
                    view.set_window((float(start), float(end)))
            case {"window": None}:
                if view.set_window is not None:
                    view.set_window(None)
            case {"view": str(page), "bye": True}:
                with self._lock:
                    self._requests.pop(page, None)
            case {"view": str(page), "have": int(have), "names": Mapping() as names, "number": int(number)}:
                with self._lock:
                    if number != self._number:
                        self._told = False
                    else:
                        counts = {str(kind): count for kind, count in names.items() if isinstance(count, int)}
                        self._requests[page] = _Request(max(0, have), counts)
                        self._greeted |= have == 0
                self._asked = True
                self._changed()

    def update(self, view: ViewData) -> bool:
        """Answer the pages; say whether anything was sent."""
        self._asked = False
        self._view = view
        sent = self._read(view)
        if not self._told:
            self._told = True
            self.send({"number": self._number})
            sent = True
        sent |= self._send_rows()
        sent |= self._send_marks(self._rows.marked(view.marks))
        about = self._about(view)
        if about != self.about:
            self.about = about
            sent = True
        return sent

    def _about(self, view: ViewData) -> dict[str, Any]:
        kinds = list(self._rows.names)
        lanes = [kind for kind in kinds if kind in ("cpu", "task", self._rows.lane)]
        colours = [kind for kind in ("function", "task", "state") if kind in kinds] or lanes
        return {
            "title": printable(view.name),
            "lane": self._rows.lane,
            "lanes": [[kind, _said(kind)] for kind in lanes],
            "colours": [[kind, _said(kind)] for kind in colours],
            "remark": remark(self._rows),
            "window": list(view.window) if view.window else None,
        }

    def _read(self, view: ViewData) -> bool:
        """Take another frame; tell pages what is no more, and what has ended."""
        if view.frame is self._frame:
            return False
        before = len(self._rows)
        change = self._rows.read(view.frame, view.options)
        self._frame = view.frame
        if change.kept == before:
            return self._send_ends(change.ended[change.ended < self._reach])
        if change.kept == 0:
            self._number += 1
            self._told = False
            with self._lock:
                self._requests.clear()
        else:
            with self._lock:
                for page, wish in self._requests.items():
                    self._requests[page] = _Request(min(wish.rows, change.kept), wish.names)
            if change.kept < self._reach:
                self.send({"number": self._number, "keep": change.kept})
            self._send_ends(change.ended[change.ended < self._reach])
        self._reach = min(self._reach, change.kept)
        self._marks = self._marks[: self._reach] if self._marks is not None else None
        return True

    def _send_ends(self, rows: NDArray[np.int64]) -> bool:
        for first in range(0, len(rows), CHUNK):
            part = rows[first : first + CHUNK]
            duration = self._rows.duration[part]
            known = np.where(duration == OPEN, np.nan, duration)
            content = {"number": self._number, "ended": len(part)}
            self.send(content, buffers=[part.astype("<u4").tobytes(), known.astype("<f8").tobytes()])
        return bool(len(rows))

    def _send_rows(self) -> bool:
        """Send what the page that has least lacks; the others pass over what they have."""
        rows, total = self._rows, len(self._rows)
        with self._lock:
            waiting = [(page, wish) for page, wish in self._requests.items() if wish.rows < total]
            for page, _ in waiting:
                del self._requests[page]
        if not waiting:
            return False
        wishes = [wish for _, wish in waiting]
        start = min(wish.rows for wish in wishes)
        stop = min(total, start + AT_ONCE * CHUNK)
        names = {
            kind: _more(known.entries, min(wish.names.get(kind, 0) for wish in wishes))
            for kind, known in rows.names.items()
        }
        for first in range(start, stop, CHUNK):
            last = min(stop, first + CHUNK)
            columns, buffers = pack(rows, first, last)
            head = {"number": self._number, "start": first, "count": last - first, "total": total}
            self.send({**head, **columns, "names": names, "last": last == stop}, buffers=buffers)
            names = {}
        self._reach = max(self._reach, stop)
        return True

    def _send_marks(self, marks: NDArray[np.bool_] | None) -> bool:
        """Send which rows are picked, or only those of new rows where the others stay."""
        marks = marks[: self._reach] if marks is not None else None
        before, self._marks = self._marks, marks
        greeted, self._greeted = self._greeted, False
        if marks is None:
            if before is None:
                return False
            self.send({"number": self._number, "marked": None})
            return True
        first = 0
        if before is not None and not greeted and np.array_equal(before, marks[: len(before)]):
            first = len(before)
            if first == len(marks):
                return False
        bits = np.packbits(marks[first:], bitorder="little").tobytes()
        self.send({"number": self._number, "marked": [first, len(marks) - first]}, buffers=[bits])
        return True


def pack(rows: Rows, first: int, last: int) -> tuple[dict[str, Any], list[bytes]]:
    """Some rows as the page reads them, little-endian, in as few bytes as they need.

    Returns:
        What is where: ``base`` and ``columns`` of names and types; and the columns. ``start`` is
        in nanoseconds since the origin and ``base``; ``duration`` is the largest number,
        or NaN, of what has not ended; names are counted from 1, 0 is none.
    """
    start, duration = rows.start[first:last], rows.duration[first:last]
    base = int(start.min())
    columns: list[tuple[str, NDArray[Any]]] = []
    narrow = int(start.max()) - base < 2**32
    columns.append(("start", (start - base).astype("<u4") if narrow else start.astype("<f8")))
    if int(duration.max()) <= _LONGEST:
        columns.append(("duration", np.where(duration == OPEN, _OPEN_U32, duration).astype("<u4")))
    else:
        columns.append(("duration", np.where(duration == OPEN, np.nan, duration).astype("<f8")))
    for kind, numbers in rows.numbers.items():
        count = len(rows.names[kind].entries) + 1
        size = "<u1" if count < 2**8 else "<u2" if count < 2**16 else "<u4"
        columns.append((kind, (numbers[first:last] + 1).astype(size)))
    depth = rows.depth[first:last]
    if depth.any():
        columns.append(("depth", depth))
    told = [[name, values.dtype.str.lstrip("<|")] for name, values in columns]
    return (
        {"base": base if narrow else 0, "columns": told},
        [np.ascontiguousarray(values).tobytes() for _, values in columns],
    )


def _more(entries: list[Any], first: int) -> tuple[int, list[tuple[str, str, float | None]]]:
    return first, [(entry.name, entry.colour, entry.order) for entry in entries[first:]]


def _said(kind: str) -> str:
    return "CPU" if kind == "cpu" else printable(kind)
