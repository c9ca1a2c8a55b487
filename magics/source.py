"""A session, as the panel wants to see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Thread
from typing import cast

from ktrace_nb.errors import KTraceError, OptionError
from ktrace_nb.magics.followed import followed
from ktrace_nb.magics.session_views import TABLE_ROWS, SessionViews
from ktrace_nb.magics.walk_views import WALK_VIEWS, WalkViews
from ktrace_nb.session import Session
from ktrace_nb.stream.calls.outputs import WalkOutputs
from ktrace_nb.widgets import static_bundle
from ktrace_nb.widgets.source import Action, PanelStatus, ProbeStatus, ViewData

KINDS = {"hist": "histogram"}
"""What ``--view`` calls some kinds of view."""

VIEWS = (
    *("auto", "hist", "heatmap", "table", "series", "timeline", "states", "text"),
    *(*WALK_VIEWS, "none"),
)
"""What ``--view`` takes."""

_NOT_OF_CALLS = ("hist", "heatmap", "series", "states")


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
    if view in _NOT_OF_CALLS and calls:
        hint = f"--view {', '.join(WALK_VIEWS)}, timeline, table or text"
        raise OptionError(f"calls cannot be shown as {view}", hint=hint)


class SessionSource:
    """The :class:`~ktrace_nb.widgets.source.PanelSource` of a session.

    Args:
        session: What is shown.
        view: One of :data:`VIEWS`.
        only: The only output to show; empty for all.
    """

    def __init__(self, session: Session, view: str = "auto", only: str = "") -> None:
        self.name = session.name
        self.put_in_cell: Callable[[int], None] | None = None
        """Given the number of a snapshot that was asked for, has the page put it into a cell."""
        self._session = session
        outputs, kind = session.outputs, KINDS.get(view, view)
        self._views: WalkViews | SessionViews
        if isinstance(outputs, WalkOutputs):
            self._views = WalkViews(session, outputs, kind, TABLE_ROWS, only=only)
        else:
            self._views = SessionViews(session, followed(session), kind, only)

    def status(self) -> PanelStatus:
        """How the session stands."""
        session = self._session
        hits = sum(p.hits for p in session.outputs.programs.values())
        return PanelStatus(
            state=session.state,
            elapsed_s=max(0.0, session.elapsed - session.paused_s),  # the page's clock stands still too
            message=session.message or session.remark,
            losses=tuple(session.losses.items()),
            hits=hits,
            cost_ns=session.outputs.ran_ns / hits if hits else None,
            cpu_share=session.cpu_share if hits else None,
            paused=session.paused,
            probes=tuple(self._probes()),
            actions=cast(frozenset[Action], session.possible),
            notice=session.notice,
        )

    def _probes(self) -> Iterator[ProbeStatus]:
        session = self._session
        watched_ns = max(1, session.counted_ns - session.since_ns)
        for name, counts in session.outputs.programs.items():
            yield ProbeStatus(
                name=name,
                hits=counts.hits,
                ns_per_hit=counts.ns / counts.hits if counts.hits else None,
                cpu_share=counts.ns / watched_ns,
                missed=counts.missed,
                on=session.is_on(name),
                switchable=name in session.outputs.switches,
            )

    def view_data(self) -> Sequence[ViewData]:
        """What there is to see."""
        return self._views.views()

    def request_stop(self) -> None:
        """Set the session's flag."""
        self._session.request_stop()

    def request(self, action: Action, argument: str = "") -> None:
        """Pass it on to the session; what a snapshot is called is put into a cell."""
        if action == "snapshot" and self.put_in_cell is not None:
            # It waits for the session, which the thread that receives the click must not.
            name = f"ktrace_nb {self.name} snapshot"
            Thread(target=self._take_snapshot, args=(self.put_in_cell,), name=name, daemon=True).start()
        else:
            self._session.request(action, argument)

    def _take_snapshot(self, put_in_cell: Callable[[int], None]) -> None:
        try:
            taken = self._session.snapshot()
        except KTraceError as problem:
            self._session.notice = problem.message
        else:
            put_in_cell(taken.number)


def picture(session: Session) -> dict[str, str]:
    """A session as it stands, for a cell that ends with it: ``text/html`` and ``text/plain``."""
    source = SessionSource(session)
    return static_bundle(source.view_data(), source.status(), name=session.name)
