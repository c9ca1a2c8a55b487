"""A session, as the panel wants to see it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ktrace_nb.errors import OptionError
from ktrace_nb.magics.walk_views import WALK_VIEWS, WalkViews
from ktrace_nb.session import Session
from ktrace_nb.stream.calls.outputs import WalkOutputs
from ktrace_nb.stream.text import number_columns
from ktrace_nb.widgets import static_bundle
from ktrace_nb.widgets.source import Kind, PanelStatus, ViewData

TABLE_ROWS = 1000
"""Rows of a frame that a table gets at most: the largest, or of events the last."""

VIEWS = ("auto", "hist", "table", "text", *WALK_VIEWS, "none")
"""What ``--view`` takes."""


def check_view(view: str, *, calls: bool) -> None:
    """Refuse a view that would show nothing.

    Args:
        view: What ``--view`` says.
        calls: Whether calls are recorded.

    Raises:
        OptionError: It shows only what the cell does not record.
    """
    if view in WALK_VIEWS and not calls:
        raise OptionError(f"--view {view} shows calls", hint="--calls 'ext4_*' records them")
    if view == "hist" and calls:
        raise OptionError("calls have no histogram", hint=f"--view {', '.join(WALK_VIEWS)}, table or text")


class SessionSource:
    """The :class:`~ktrace_nb.widgets.source.PanelSource` of a session.

    Args:
        session: What is shown.
        view: ``auto`` shows each output as what it is; ``hist``, ``table`` and
            ``text`` only what can be shown so, as do ``indent``, ``flame`` and ``callgraph`` of calls.
    """

    def __init__(self, session: Session, view: str = "auto") -> None:
        self.name = session.name
        self._session = session
        self._view = view
        self._is_script = session.built.program.script is not None
        outputs = session.outputs
        self._walk = (
            WalkViews(session, outputs, view, TABLE_ROWS) if isinstance(outputs, WalkOutputs) else None
        )

    def status(self) -> PanelStatus:
        """How the session stands."""
        session = self._session
        programs = session.outputs.programs.values()
        hits = sum(p.hits for p in programs)
        return PanelStatus(
            state=session.state,
            elapsed_s=session.elapsed,
            message=session.message or session.remark,
            losses=tuple(session.losses.items()),
            hits=hits,
            cost_ns=session.outputs.ran_ns / hits if hits else None,
            cpu_share=session.cpu_share if hits else None,
        )

    def view_data(self) -> Sequence[ViewData]:
        """What there is to see: of a script its text, then its globals; of C its tables, then text."""
        if self._walk is not None:
            return self._walk.views()
        outputs = self._session.outputs
        views = [self._data(name) for name in outputs.names if self._wanted(outputs.kind(name))]
        if outputs.lines_printed and self._view in ("auto", "text"):
            views.insert(0 if self._is_script else len(views), self._printed())
        if outputs.problems and self._view != "hist":
            views.append(self._remarks())
        return views

    def request_stop(self) -> None:
        """Set the session's flag."""
        self._session.request_stop()

    def _wanted(self, kind: str) -> bool:
        if self._view == "hist":
            return kind == "histogram"
        if self._is_script and self._view == "auto":
            # What it prints is there as text; --view table shows the tables of the places that print.
            return kind != "events"
        return self._view in ("auto", "table")

    def _data(self, name: str) -> ViewData:
        outputs = self._session.outputs
        kind = outputs.kind(name)
        frame = self._session.frame(name)
        shown: Kind = "table"
        options: dict[str, str] = {}
        if kind == "histogram" and self._view != "table":
            shown = "histogram"
            options["scale"] = outputs.scale(name)
        elif kind == "events":
            frame = frame.tail(TABLE_ROWS)
        elif kind == "stacks":
            frame = frame.assign(frames=frame["frames"].map(" ← ".join)).drop(columns="addresses")
        else:
            numeric = number_columns(frame)
            if numeric:
                options["sort"] = numeric[0]
                frame = frame.nlargest(TABLE_ROWS, numeric[0]) if len(frame) > TABLE_ROWS else frame
        return ViewData(
            name=name, kind=shown, frame=frame, generation=outputs.generation(name), options=options
        )

    def _printed(self) -> ViewData:
        outputs = self._session.outputs
        lines = outputs.text[-TABLE_ROWS:]
        end = outputs.lines_printed
        frame = pd.DataFrame({"text": lines}, index=pd.RangeIndex(end - len(lines), end))
        return ViewData(name="printed", kind="text", frame=frame, generation=end)

    def _remarks(self) -> ViewData:
        lines = [
            line for problem in self._session.outputs.problems for line in problem.lines(problem.severity)
        ]
        return ViewData(
            name="remarks", kind="text", frame=pd.DataFrame({"text": lines}), generation=len(lines)
        )


def picture(session: Session) -> dict[str, str]:
    """A session as it stands, for a cell that ends with it: ``text/html`` and ``text/plain``."""
    source = SessionSource(session)
    return static_bundle(source.view_data(), source.status(), name=session.name)
