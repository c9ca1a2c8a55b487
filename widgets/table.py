"""A live table of the top rows of a frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import traitlets
from numpy.typing import NDArray

from ktrace_nb.stream.text import more_rows, printable
from ktrace_nb.stream.text import table_text as frame_text
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.rates import Change, Rates, grows
from ktrace_nb.widgets.row_filter import Found, find_rows
from ktrace_nb.widgets.rows import columns_of, top_rows
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.table_changes import changes
from ktrace_nb.widgets.table_numbers import RowNumbers
from ktrace_nb.widgets.table_state import (
    ROWS,
    Shown,
    Wishes,
    Writer,
    choose,
    table_state,
    tooltip,
    write,
)
from ktrace_nb.widgets.talking import TalkingWidget

DEAR_S = 0.02
"""Drawing that takes longer, in seconds of CPU time, is followed by a rest while more rows come."""

REST_TIMES = 20
"""It rests so many times as long as it took."""

_ALIGNED = {side: f'align="{side}" style="text-align: {side}"' for side in ("left", "right")}


class TableView(TalkingWidget):
    """Sorts, filters and picks by what the page asks for, in the whole frame.

    The whole state is a trait, so that a page that comes later has it. After that only what
    changed is sent, as messages with a running number; the trait is kept up to date without
    being sent. A page that missed a message asks for the whole.

    Args:
        view: The table as it stands.
        changed: Called, from any thread, when the page asks for something to be drawn.
        running: Whether more will come; None if that is not known: then it never rests.
        clock: Seconds, monotonic.
        spent: What drawing costs: CPU time of the thread, seconds.
    """

    _esm = assets.module("shortcuts.js", "table_body.js", "table_picks.js", "table_tools.js", "table.js")
    _css = assets.read("table.css")

    table = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        view: ViewData,
        changed: Callable[[], None],
        running: Callable[[], bool] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._running = running
        self._clock = clock
        self._spent = spent
        self._wishes = Wishes(sort=printable(str(view.options.get("sort", ""))))
        self._rates = Rates(clock)
        self._moved = False
        self._asked = False
        self._resend = False
        self._skipped = False
        self._rest_until = float("-inf")
        self._found: tuple[pd.DataFrame, str, Found] | None = None
        self._numbers = RowNumbers()
        self._writer = Writer()
        self._own_picks: tuple[Hashable, ...] = ()
        self._view = view
        self._shown_places: NDArray[np.intp] = np.arange(0)
        super().__init__(changed, table={**self._drawn(view), "version": 0})

    @property
    def stale(self) -> bool:
        """Whether it has to be drawn again although the frame is the same."""
        return self._asked or self._resend or self._skipped or self._rates_are_old()

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take what the page asks for; any thread."""
        if "have" in message:
            if message["have"] == self.table["version"]:
                return
            self._resend = True
        elif isinstance(message.get("pick"), list):
            self._pick(message["pick"], keep=message.get("keep") is True)
            self._asked = True
        else:
            wishes = self._wishes.changed_by(message)
            if wishes == self._wishes:
                return
            self._wishes = wishes
            self._asked = True
        self._changed()

    def update(self, view: ViewData) -> bool:
        """Show the frame; say whether anything had changed."""
        asked, self._asked = self._asked, False
        resend, self._resend = self._resend, False
        self._skipped = not asked and self._live() and self._clock() < self._rest_until
        if not self._skipped:
            begun = self._spent()
            new = self._drawn(view)
            cost_s = self._spent() - begun
            self._rest_until = self._clock() + (REST_TIMES * cost_s if cost_s > DEAR_S else 0)
            return self._send_changes(new, whole=resend)
        if resend:
            self.send_state("table")
        return resend

    def _send_changes(self, new: dict[str, Any], *, whole: bool) -> bool:
        """Tell the page what is new, or all if it asked for that: a change would be lost on it."""
        old = self.table
        version = old["version"] + 1
        patch = None if whole else changes(old, new)
        if patch is None:
            self.table = {**new, "version": version}
        elif patch:
            # In place, which sends nothing: a page that comes later gets the trait.
            old.update(new, version=version)
            self.send({**patch, "version": version})
        return patch is None or bool(patch)

    def _drawn(self, view: ViewData) -> dict[str, Any]:
        wishes = self._wishes
        shown = choose(view.frame, wishes, self._find(view.frame, wishes.words))
        labels = view.frame.index.take(shown.places).tolist()
        picked, hidden = self._picks(view, shown.places, labels)
        change = self._change(view.frame, shown)
        state = table_state(
            view, wishes, shown, change=change, picked=picked, hidden=hidden, writer=self._writer
        )
        state["ids"] = self._numbers.told(labels)
        self._view, self._shown_places = view, shown.places
        return state

    def _find(self, frame: pd.DataFrame, words: str) -> Found:
        if not words.strip():
            return Found(None)
        last = self._found
        if last is None or last[0] is not frame or last[1] != words:
            last = frame, words, find_rows(frame, columns_of(frame), words)
            self._found = last
        return last[2]

    def _live(self) -> bool:
        return self._running is not None and self._running()

    def _change(self, frame: pd.DataFrame, shown: Shown) -> Change | None:
        if self._over() or not self._wishes.rates or shown.sort is None or not grows(shown.sort):
            self._rates.forget()
            self._moved = False
            return None
        self._rates.look(frame, shown.columns)
        change = self._rates.changes(shown.columns, shown.values, shown.places, shown.sort)
        # From the first change on they have their place, also while nothing changes.
        self._moved |= change is not None and (any(change.per_s) or any(change.is_new))
        return change if self._moved else None

    def _rates_are_old(self) -> bool:
        """Whether what is told of the last second is no longer so."""
        rates, fresh = self.table["rates"], bool(self.table["fresh"])
        if self._over():
            return bool(rates) or fresh  # also those of rows that did not change keep their place
        return (any(rates) or fresh) and self._rates.due()

    def _over(self) -> bool:
        return self._running is not None and not self._running()

    def _picks(
        self, view: ViewData, places: NDArray[np.intp], labels: Sequence[Hashable]
    ) -> tuple[list[int], int]:
        """Which of the rows shown are picked, and how many others are."""
        if view.marks is None:
            own = set(self._own_picks) if view.pick is None else set()
            rows = [row for row, label in enumerate(labels) if label in own]
            return rows, len(own.difference(labels))
        rows = np.flatnonzero(view.marks[places]).tolist()
        return rows, int(np.count_nonzero(view.marks)) - len(rows)

    def _pick(self, numbers: Sequence[Any], *, keep: bool) -> None:
        view, places = self._view, self._shown_places
        labels = self._numbers.labels(numbers)
        if keep:
            labels += self._hidden(view, places)
        if view.pick is None:
            self._own_picks = tuple(dict.fromkeys(labels))
        else:
            view.pick(labels)

    def _hidden(self, view: ViewData, places: NDArray[np.intp]) -> list[Hashable]:
        """Labels of picked rows that are not shown."""
        if view.pick is None:
            return list(set(self._own_picks).difference(view.frame.index.take(places).tolist()))
        if view.marks is None:
            return []
        rows = np.setdiff1d(np.flatnonzero(view.marks), places)
        return list(view.frame.index.take(rows).tolist())


def table_html(view: ViewData) -> str:
    """The picture that stays; aligned by attribute, because a page that does not trust it drops
    styles, and by style, because one that trusts it has a style of its own. What is written to
    three digits has all of them in its tooltip."""
    shown = choose(view.frame, Wishes(sort=printable(str(view.options.get("sort", "")))))
    left = len(view.frame) - len(shown.places)
    return _html(shown) + (f"\n<p>… {more_rows(left)}</p>" if left else "")


def table_text(view: ViewData) -> str:
    """The top rows as text with every digit, headed by the table's name."""
    rows = top_rows(view.frame, view.options.get("sort", ""), limit=ROWS)
    left = len(view.frame) - len(rows)
    more = f"\n... {more_rows(left)}" if left else ""
    return f"{printable(view.name)}\n{frame_text(rows, max_rows=ROWS)}{more}"


def _html(shown: Shown) -> str:
    columns = shown.columns
    sides = [_ALIGNED["right" if column.is_number else "left"] for column in columns]
    head = "".join(
        f"<th {side}>{escape(column.name)}</th>" for side, column in zip(sides, columns, strict=True)
    )
    written = [
        write(column, values, exact=False) for column, values in zip(columns, shown.values, strict=True)
    ]
    lines = []
    for row in range(len(shown.places)):
        cells = []
        for side, column, part in zip(sides, columns, written, strict=True):
            said = tooltip(column, part.exact[row])
            title = f' title="{escape(said)}"' if said else ""
            cells.append(f"<td {side}{title}>{escape(part.texts[row])}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(lines)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
