"""Calls as they happened: a line for each entry and each return, indented by depth.

The page holds all steps as packed columns, so that scrolling, folding and
searching need no answer from Python. It asks for the steps it lacks once it has
drawn those it got: a slow page gets more at a time, a hidden or closed one
nothing, and one that comes later asks from the beginning. Where another feed takes
the place of the first, pages are told its number, forget what they have and ask anew;
what they asked of the one before is answered with the number.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import traitlets

from ktrace_nb.stream.calls.below import with_below
from ktrace_nb.stream.calls.feed import Feed, FrameFeed, Steps
from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.indent_picture import indent_html, indent_text
from ktrace_nb.widgets.publisher import Publisher
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.still import still_html
from ktrace_nb.widgets.talking import TalkingWidget

CHUNK = 65_536
"""Steps in a message: of 15 bytes each, less than a megabyte."""

AT_ONCE = 16
"""Messages that are sent before the page has to ask for more."""

MOST = 8_000_000
"""Steps that a page gets at most: some 300 MB of its memory."""

_KIND_SHIFT = 30
_EVERY_THREAD = -1


def pack(steps: Steps, origin_ns: int) -> list[bytes]:
    """Steps as the page reads them, 15 bytes each, little-endian.

    Args:
        steps: Some steps.
        origin_ns: The time that becomes 0.

    Returns:
        Four columns: nanoseconds since the origin (i64), function (u16), thread
        with the kind in its two highest bits (u32), depth (u8).
    """
    at = steps.at - np.uint64(
        origin_ns
    )  # wraps where a step lies before the origin: read as i64, it is negative
    who = steps.thread.astype("<u4") | (steps.kind.astype("<u4") << np.uint32(_KIND_SHIFT))
    columns = (at.astype("<u8"), steps.function.astype("<u2"), who, steps.depth.astype("u1"))
    return [column.tobytes() for column in columns]


@dataclass(frozen=True, slots=True)
class _Request:
    """What a page has, and wants more of."""

    steps: int
    functions: int
    threads: int


class IndentView(TalkingWidget):
    """Entries and returns of calls, with folding, searching and a cursor.

    A click selects a call, shift-click a range of lines: :attr:`selected`.

    Args:
        view: The calls; its ``feed`` is what is shown.
        changed: Called, from any thread, when a page wants something.
    """

    _esm = assets.module(
        "shortcuts.js",
        "still.js",
        "steps.js",
        "indent_tools.js",
        "indent_rows.js",
        "indent_scroll.js",
        "indent_told.js",
        "indent.js",
    )
    _css = assets.read("indent.css")

    title = traitlets.Unicode().tag(sync=True)
    follow = traitlets.Bool().tag(sync=True)
    """Whether the page stays at the end at first while steps come in."""

    most = traitlets.Int(MOST).tag(sync=True)

    selected = traitlets.List(traitlets.Int())
    """The calls (index of the frame ``calls``) whose lines are selected, in order; may be observed."""

    def __init__(self, view: ViewData, changed: Callable[[], None]) -> None:
        if view.feed is None:
            raise ValueError(f"the indent view {view.name!r} has no feed")
        self._feed: Feed = view.feed
        self._view = view
        self._lock = threading.Lock()
        self._requests: dict[str, _Request] = {}
        self._number = 0
        """Of the feed: how many there were before."""
        self._tell: int | None = None
        self._reveal: int | None = None
        self._asked = False
        self._told = True
        """Whether the pages know the feed's number, as far as is known."""
        super().__init__(changed, title=printable(view.name), follow=view.options.get("follow") != "no")

    @property
    def stale(self) -> bool:
        """Whether a page wants something."""
        return self._asked

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take what a page says; any thread."""
        with self._lock:
            feed, current = self._feed, message.get("feed", self._number) == self._number
            if not self._note(message):
                return
        match message:
            case {"select": [int(first), int(last), int(thread)]} if current:
                self.selected = _calls(feed, first, last, thread)
                if self._view.selected is not None:
                    self._view.selected(self.selected)
            case _:
                self._asked = True
                self._changed()

    def _note(self, message: Mapping[str, Any]) -> bool:
        """Note what a page wants; say whether there is something to be done."""
        match message:
            case {"view": str(page), "bye": True}:
                self._requests.pop(page, None)
                return False
            case {"feed": int(number)} if number != self._number:
                self._told = False
            case {"view": str(page), "have": int(steps), "names": int(functions), "tasks": int(threads)}:
                self._requests[page] = _Request(max(0, steps), max(0, functions), max(0, threads))
            case {"tell": int(step)}:
                self._tell = step
            case {"select": [int(), int(), int()]}:
                pass
            case _:
                return False
        return True

    def update(self, view: ViewData) -> bool:
        """Answer the pages; say whether anything was sent."""
        self._asked = False
        self._view = view
        if view.feed is not None and view.feed is not self._feed:
            self._take(view.feed)
        with self._lock:
            tell, self._tell = self._tell, None
            reveal, self._reveal = self._reveal, None
        sent = not self._told
        if not self._told:
            self._told = True
            self.send({"feed": self._number})
        sent |= self._send_steps()
        if tell is not None and 0 <= tell < self._feed.count():
            self.send({"told": tell, "text": printable(self._feed.tell(self._call(tell)))})
            sent = True
        if reveal is not None:
            self.send({"reveal": reveal})
            sent = True
        return sent

    def reveal(self, call: int) -> None:
        """Have the pages unfold, scroll to and select a call.

        Args:
            call: Its index in the frame ``calls``.

        Raises:
            KeyError: No such call.
        """
        for start in range(0, self._feed.count(), CHUNK):
            steps = self._feed.steps(start, min(start + CHUNK, self._feed.count()))
            found = np.flatnonzero((steps.call == call) & (steps.kind == 0))
            if len(found):
                with self._lock:
                    self._reveal = start + int(found[0])
                self._asked = True
                self._changed()
                return
        raise KeyError(f"no call {call}")

    def _take(self, feed: Feed) -> None:
        """Show another feed: numbers of steps, functions and threads mean something else from now on."""
        with self._lock:
            self._feed = feed
            self._number += 1
            self._told = False
            self._requests.clear()
            self._tell = self._reveal = None

    def _send_steps(self) -> bool:
        """Send what the page that has least lacks; the others pass over what they have."""
        total = self._feed.count()
        reach = min(total, self.most)
        with self._lock:
            waiting = {page: request for page, request in self._requests.items() if request.steps < reach}
            for page in waiting:
                del self._requests[page]
        if not waiting:
            return False
        start = min(request.steps for request in waiting.values())
        stop = min(reach, start + AT_ONCE * CHUNK)
        names = {
            # Names are there before steps refer to them, so they are read after the count.
            "functions": _names(self._feed.functions, min(request.functions for request in waiting.values())),
            "threads": _names(self._feed.threads, min(request.threads for request in waiting.values())),
        }
        origin_ns = int(self._feed.steps(0, 1).at[0])
        for first in range(start, stop, CHUNK):
            last = min(stop, first + CHUNK)
            head = {"start": first, "count": last - first, "total": total, "last": last == stop}
            self.send({**head, **names}, buffers=pack(self._feed.steps(first, last), origin_ns))
            names = {"functions": (0, []), "threads": (0, [])}
        return True

    def _call(self, step: int) -> int:
        return int(self._feed.steps(step, step + 1).call[0])

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, and a picture for where it does not live."""
        live = super()._repr_mimebundle_(**kwargs)
        data, metadata = live if isinstance(live, tuple) else (live or {}, {})
        still = {"text/html": indent_html(self._feed), "text/plain": indent_text(self._feed)}
        return {**data, **still}, metadata


def _calls(feed: Feed, first: int, last: int, thread: int) -> list[int]:
    """The calls of the steps from ``first`` to ``last``, of one thread or of all."""
    last = min(last, feed.count() - 1)
    if first < 0 or last < first:
        return []
    steps = feed.steps(first, last + 1)
    calls = steps.call if thread == _EVERY_THREAD else steps.call[steps.thread == thread]
    return [int(call) for call in np.unique(calls)]


def _names(names: Sequence[str], first: int) -> tuple[int, list[str]]:
    return first, [printable(name) for name in names[first:]]


class _FrameView(IndentView):
    """An indent view that stands alone."""

    def __init__(self, view: ViewData) -> None:
        self._publisher = Publisher(lambda: False, lambda: self.update(view), lambda _number: None)
        super().__init__(view, self._publisher.poke)

    def close(self) -> None:
        """Take it out of the page and of the kernel."""
        self._publisher.close()
        super().close()

    def _ipython_display_(self, **kwargs: Any) -> None:
        from ktrace_nb.widgets.display import show_alone

        html = still_html(self.address, indent_html(self._feed))
        show_alone(self.model_id, {"text/html": html, "text/plain": indent_text(self._feed)})


def indent(calls: pd.DataFrame, *, title: str = "") -> IndentView:
    """Show calls as they happened, indented by depth.

    Click selects (``.selected``, see :func:`selected_rows`), Enter folds, ``/``
    searches; ``.reveal(call)`` goes to a call.

    Args:
        calls: A frame of calls, or any part of its rows; see
            :class:`ktrace_nb.stream.calls.feed.FrameFeed` for the columns that are read.
        title: A heading.

    Raises:
        KeyError: A column is missing.
    """
    options = {"follow": "no"}
    feed = FrameFeed(calls)
    return _FrameView(
        ViewData(name=title, kind="indent", frame=calls, feed=feed, generation=0, options=options)
    )


def selected_rows(calls: pd.DataFrame, view: IndentView | Sequence[int]) -> pd.DataFrame:
    """The rows of selected calls and of everything they called.

    Args:
        calls: The frame ``calls``, or any part of its rows.
        view: An indent view, or its :attr:`~IndentView.selected`.

    Returns:
        Rows of the frame, in its order; none if nothing is selected.

    Raises:
        KeyError: The frame has no column ``parent``.
    """
    return with_below(calls, view.selected if isinstance(view, IndentView) else view)
