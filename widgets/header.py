"""The head of a panel: name, state, clock, counts, losses, and the controls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import anywidget
import traitlets
from ipywidgets import Widget

from ktrace_nb.widgets import assets
from ktrace_nb.widgets.headline import Headline, probe_row
from ktrace_nb.widgets.pace import Tick
from ktrace_nb.widgets.source import ProbeStatus

COUNTS_S = 0.5
"""While nothing but counts changes, they are sent so many seconds apart at least."""

MOST_PROBES = 500
"""The list of probes shows the first so many."""


class Header(anywidget.AnyWidget):
    """The page's half keeps the clock running and acknowledges ticks, see ``header.js``.

    What seldom changes is a trait. What always does travels with a tick, twice a second; a
    page that comes later reads it as a trait. A tick that is not to be acknowledged and has
    nothing to tell is not sent.

    Args:
        address: Where the page's messages go, see :mod:`ktrace_nb.widgets.direct`.
        head: What it says at first.
        headed: Whether it can be seen.
        clock: Seconds, monotonic.
    """

    _esm = assets.module(
        "shortcuts.js",
        "header_words.js",
        "header_notebook.js",
        "header_toolbar.js",
        "header_probes.js",
        "header_facts.js",
        "header.js",
    )
    _css = assets.read("header.css") + assets.read("controls.css")

    address = traitlets.Unicode().tag(sync=True)
    """Names the panel in messages and in the page."""

    state = traitlets.Dict().tag(sync=True)
    """As :meth:`Headline.standing` says."""

    # Never assigned to, so it is not sent by itself.
    counts = traitlets.Dict().tag(sync=True, to_json=lambda _value, header: header.now)

    headed = traitlets.Bool(True).tag(sync=True)
    """Whether it can be seen; it keeps the pace of the panel all the same."""

    def __init__(
        self,
        *,
        address: str,
        head: Headline,
        headed: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now: Mapping[str, Any] = head.counts()
        """As :meth:`Headline.counts` says."""

        self._told_now = True
        self._told_at = float("-inf")
        self._clock = clock
        self._rows: list[list[Any]] | None = None
        self._news: dict[str, Any] | None = None
        super().__init__(address=address, state=head.standing(), headed=headed)

    def update(self, head: Headline) -> bool:
        """Show a headline; say whether the page is to be told now of more than the clock."""
        standing, now = head.standing(), head.counts()
        turned = standing != self.state
        if turned or {**self.now, "elapsed_s": 0} != {**now, "elapsed_s": 0}:
            self.now = now
            self._told_now = False
        if turned or head.state != "running":
            self._told_at = float("-inf")  # what it ends with, or stops at, is told at once
        if turned:
            self.state = standing
            return True
        return self._counts_due()

    def list_probes(self, probes: Sequence[ProbeStatus], *, fresh: bool) -> bool:
        """Show how each probe stands; say whether anything had changed.

        Args:
            probes: Each of them, in order.
            fresh: Whether a page is there that knows none of them.
        """
        rows = [probe_row(probe) for probe in probes[:MOST_PROBES]]
        old = self._rows
        self._rows = rows
        untold = self._news is not None
        if fresh or untold or old is None or [row[0] for row in rows] != [row[0] for row in old]:
            self._news = {"all": rows, "more": len(probes) - len(rows)}
            return True
        changed = {number: row for number, (row, was) in enumerate(zip(rows, old, strict=True)) if row != was}
        if changed:
            self._news = {"changed": changed}
        return bool(changed)

    def fail(self, message: str) -> bool:
        """Show that the panel itself failed; say whether that was news."""
        new = {**self.state, "state": "failed", "message": message, "stoppable": False}
        if new == self.state:
            return False
        self.state = new
        return True

    def keep(self, picture: Mapping[str, str]) -> None:
        """Have the page write the final picture into the notebook, if nobody else did."""
        self.send({"picture": picture})

    def insert(self, view: str, source: str, picture: Mapping[str, str]) -> None:
        """Have a page put a new cell below the panel's.

        Args:
            view: Which page, by what it calls its view of the panel.
            source: The cell's text.
            picture: What its output shows.
        """
        self.send({"snapshot": {"view": view, "source": source, "bundle": picture}})

    def forget(self, closing: Iterable[Widget]) -> None:
        """Have the page keep nothing of widgets that are about to be closed."""
        # What is closed already has no comm, nor a page that knows it.
        self.send({"closing": [widget.model_id for widget in closing if widget.comm is not None]})

    def tick(self, tick: Tick) -> None:
        """End an update; the page acknowledges everything sent so far unless the tick is quiet."""
        message: dict[str, Any] = {"tick": tick.number}
        if self._counts_due():
            message["now"] = self.now
            self._told_now = True
            self._told_at = self._clock()
        if self._news is not None:
            message["probes"] = self._news
            self._news = None
        if tick.quiet:
            if len(message) == 1:
                return
            message["quiet"] = True
        self.send(message)

    def _counts_due(self) -> bool:
        # A count alone is not worth a message, nor bytes of another, five times a second.
        return not self._told_now and self._clock() - self._told_at >= COUNTS_S
