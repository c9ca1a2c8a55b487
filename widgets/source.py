"""What a panel needs to know of a running trace.

A session offers itself as a :class:`PanelSource`. The panel asks it at most a
few times a second, from one thread, and only while somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import pandas as pd

from ktrace_nb.stream.calls.feed import Feed

State: TypeAlias = Literal["running", "done", "failed"]
Kind: TypeAlias = Literal["histogram", "table", "text", "indent", "flame", "callgraph"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewData:
    """One frame of a trace and how it wants to be shown."""

    name: str
    """Unique in the trace; a view is headed by it."""

    kind: Kind
    frame: pd.DataFrame
    """For ``"histogram"`` as :func:`ktrace_nb.stream.histogram.log2_hist` returns
    it; for ``"table"`` any frame; for ``"text"`` one column ``text`` with a row
    per line, indexed by the line's number counted from the start of the trace
    (ascending; the oldest lines may be missing); for ``"indent"`` any frame, as only
    ``feed`` is drawn; for ``"flame"`` a frame of calls
    (:func:`ktrace_nb.widgets.flame_tree` says which columns); for ``"callgraph"``
    a frame of edges (:func:`ktrace_nb.widgets.call_graph`)."""

    generation: int
    """Changes whenever the frame does; a view of the same generation is not drawn again."""

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
