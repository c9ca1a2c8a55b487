"""What a panel needs to know of a running trace.

A session offers itself as a :class:`PanelSource`. The panel asks it at most a
few times a second, from one thread, and only while somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.calls.feed import Feed
from ktrace_nb.stream.selection import Window

__all__ = ["Action", "Kind", "PanelSource", "PanelStatus", "ProbeStatus", "State", "ViewData", "Window"]

State: TypeAlias = Literal["running", "done", "failed"]
Kind: TypeAlias = Literal[
    "histogram",
    "heatmap",
    "table",
    "series",
    "timeline",
    "states",
    "health",
    "text",
    "indent",
    "flame",
    "callgraph",
]
Action: TypeAlias = Literal["pause", "resume", "reset", "on", "off", "export", "snapshot"]
"""What can be asked of a trace besides to end: ``on`` and ``off`` take the name of a probe,
``export`` a form such as ``csv``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeStatus:
    """How one probe stands."""

    name: str
    hits: int
    ns_per_hit: float | None = None
    """None if it was never hit, or not known."""

    cpu_share: float | None = None
    """Of one CPU over the whole trace, 1.0 is all of it; None if not known."""

    missed: int = 0
    on: bool = True
    switchable: bool = True
    """Whether the actions ``on`` and ``off`` work on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelStatus:
    """How a trace stands at one moment."""

    state: State
    elapsed_s: float
    """Seconds the trace has run, or ran if it is over."""

    message: str = ""
    """Why it ended or failed, one line; may be empty."""

    losses: tuple[tuple[str, int], ...] = ()
    """Reason and count of everything that did not arrive; empty is complete."""

    hits: int | None = None
    """How often the probes fired, None if not known."""

    cost_ns: float | None = None
    """What one hit cost the traced machine, nanoseconds, None if not known."""

    cpu_share: float | None = None
    """What the whole trace costs the traced machine, 1.0 is one CPU; None if not known."""

    stoppable: bool = True
    """Whether :meth:`PanelSource.request_stop` can end it."""

    paused: bool = False
    """Whether its probes see nothing for now, although they are attached."""

    probes: tuple[ProbeStatus, ...] = ()
    """Each of them, in order; empty if not known."""

    actions: frozenset[Action] = frozenset()
    """What :meth:`PanelSource.request` can be asked for now."""

    notice: str = ""
    """What came of the last action, one line, e.g. where the export was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewData:
    """One frame of a trace and how it wants to be shown."""

    name: str
    """Unique in the trace; a view is headed by it."""

    kind: Kind
    frame: pd.DataFrame
    """What it holds depends on the kind; each says so where its plain function is:
    :func:`ktrace_nb.widgets.histogram`, ``heatmap``, ``table``, ``series``, ``timeline``,
    ``states``, ``health_board``, ``flame``, ``callgraph``. For ``"text"`` one column ``text`` with a row
    per line, indexed by the line's number counted from the start of the trace
    (ascending; the oldest lines may be missing); for ``"indent"`` any frame, as only
    ``feed`` is drawn."""

    generation: Hashable
    """Changes whenever the frame, its marks or its window do: a view of the same is not drawn again."""

    options: Mapping[str, str] = field(default_factory=dict)
    """``scale``: ``"log2"`` (default) or ``"linear"``. ``unit``: of a histogram's
    value, if its columns do not say. ``label``: of a histogram's value axis.
    ``sort``: the column a table is sorted by at first, descending. ``follow``: ``"no"``
    for an indent view that is at the beginning at first, not at the end."""

    feed: Feed | None = None
    """For ``"indent"``: the entries and returns to show."""

    selected: Callable[[Sequence[int]], None] | None = None
    """For ``"indent"``: called with the calls (index of the frame ``calls``) that a
    click has selected, from the thread that receives the click."""

    pick: Callable[[Sequence[Any]], None] | None = None
    """Called with the labels of ``frame``'s index whose rows were picked in the view,
    none if nothing is picked any more; from the thread that receives the click."""

    marks: NDArray[np.bool_] | None = None
    """Of each row of ``frame`` whether it is picked, here or in a view that shares its keys;
    None if nothing is picked anywhere."""

    window: Window | None = None
    """The window of time that is looked at, None for all; of kinds with an axis of time."""

    set_window: Callable[[Window | None], None] | None = None
    """Called with the window of time that was picked in the view, or None to see all; from the
    thread that receives the click."""


class PanelSource(Protocol):
    """A running or finished trace, as the panel sees it."""

    name: str

    def status(self) -> PanelStatus:
        """Say how the trace stands; cheap, any thread."""
        ...

    def view_data(self) -> Sequence[ViewData]:
        """Return the frames to show, in order; any thread, one at a time."""
        ...

    def request_stop(self) -> None:
        """Ask the trace to end, without waiting for it.

        Called from the thread that receives the click: it may only set a flag.
        """
        ...

    def request(self, action: Action, argument: str = "") -> None:
        """Ask for one of the ``actions`` of the status, without waiting for it.

        Called from the thread that receives the click: it may only set a flag. What comes of
        it is told by :attr:`PanelStatus.notice`.
        """
        ...
