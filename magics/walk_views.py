"""The views of a walk: what its calls look like, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial

import pandas as pd

from ktrace_nb.magics.resting import Resting
from ktrace_nb.magics.view_parts import printed, window_setter
from ktrace_nb.session import Session
from ktrace_nb.stream.calls.outputs import CALLS, EDGES, FUNCTIONS, LEFT_OUT, WalkOutputs
from ktrace_nb.widgets.source import ViewData

WALK_VIEWS = ("indent", "flame", "callgraph")
"""What ``--view`` takes for calls, besides ``auto``, ``table``, ``text`` and ``none``."""


class WalkViews:
    """What there is to see of a walk.

    Args:
        session: The walk.
        outputs: Its frames.
        view: What ``--view`` says; ``auto`` is the pictures and the table of functions.
        rows: Of a table, at most; of calls the last, else the largest.
        only: The only frame to show; empty for all.
    """

    def __init__(
        self, session: Session, outputs: WalkOutputs, view: str, rows: int, *, only: str = ""
    ) -> None:
        self._only = only
        self._session = session
        self._outputs = outputs
        self._view = view
        self._rows = rows
        self._resting = Resting()

    def views(self) -> list[ViewData]:
        """What there is to see now; while the walk runs, what is dear to make as it was a while ago."""
        # Asked first: of a walk that is over by then, what follows is the last state.
        running = self._session.state == "running"
        view, wanted = self._view, []
        if self._only and view in ("auto", "table"):
            return [self._table(self._only, running)]
        if view in ("auto", "indent"):
            wanted.append(self._indent(running))
        if view in ("auto", "flame"):
            wanted.append(self._made("flame", CALLS, self._flame, running))
        if view in ("auto", "callgraph"):
            wanted.append(self._made("callgraph", EDGES, self._callgraph, running))
        if view == "timeline":
            wanted.append(self._made("timeline", CALLS, self._timeline, running))
        if view in ("auto", "table"):
            wanted.append(self._table(FUNCTIONS, running))
        if view == "table":
            wanted += [self._table(name, running) for name in (EDGES, CALLS, LEFT_OUT)]
        if view == "text":
            wanted.append(self._printed(running))
        return wanted

    def _made(self, name: str, frame: str, make: Callable[[Hashable], ViewData], running: bool) -> ViewData:
        # Read before the frame is made: calls that come meanwhile are seen as new at the next look.
        generation = self._outputs.generation(frame), self._session.shared.version
        return self._resting.view(name, generation, lambda: make(generation), running=running)

    def _indent(self, running: bool) -> ViewData:
        feed = self._outputs.feed if running else self._outputs.last_feed()
        # Negative of a walk that is over: its feed may be another one, of as many steps.
        return ViewData(
            name="calls",
            kind="indent",
            frame=pd.DataFrame(),
            generation=feed.count() if running else ~feed.count(),
            feed=feed,
            selected=self._session.select,
        )

    def _flame(self, generation: Hashable) -> ViewData:
        return ViewData(name="flame", kind="flame", frame=self._outputs.paths(), generation=generation)

    def _timeline(self, generation: Hashable) -> ViewData:
        session = self._session
        return ViewData(
            name="timeline",
            kind="timeline",
            frame=session.frame(CALLS),
            generation=generation,
            options={"origin_ns": str(session.attached_ns), "lane": "task"},
            pick=session.select,
            marks=session.shared.marks(CALLS, session.frame(CALLS)),
            window=session.window,
            set_window=window_setter(session),
        )

    def _callgraph(self, generation: Hashable) -> ViewData:
        frame = self._session.frame(EDGES)
        return ViewData(name="callgraph", kind="callgraph", frame=frame, generation=generation)

    def _table(self, name: str, running: bool) -> ViewData:
        return self._made(name, name, partial(self._table_of, name), running)

    def _table_of(self, name: str, generation: Hashable) -> ViewData:
        frame = self._session.frame(name)
        sort = "total_ns" if name in (FUNCTIONS, EDGES) else ""
        shown = frame.nlargest(self._rows, sort) if sort else frame.tail(self._rows)
        return ViewData(
            name=name,
            kind="table",
            frame=shown,
            generation=generation,
            options={"sort": sort} if sort else {},
            pick=self._session.select if name == CALLS else partial(self._session.pick, name),
            marks=self._session.shared.marks(name, shown),
        )

    def _printed(self, running: bool) -> ViewData:
        lines = self._outputs.last_lines(self._rows)
        end = self._outputs.lines_printed
        # Of a walk that is over all lines are told anew: their order may be another one.
        begun = f"{self._session.reset_ns} {running}"
        return printed(lines, end, begun)
