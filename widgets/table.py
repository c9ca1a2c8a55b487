"""A live table of the top rows of a frame."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import traitlets

from ktrace_nb.stream.text import cells, more_rows, printable
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.rows import top_rows
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.talking import TalkingWidget

ROWS = 20


def table_state(view: ViewData, *, sort: Hashable = "", descending: bool = True) -> dict[str, Any]:
    """What the page shows: the top rows as text, so that a u64 keeps every digit.

    Args:
        view: The table.
        sort: The column to sort by; the empty name keeps the frame's order.
        descending: Largest first.
    """
    rows = top_rows(view.frame, sort, descending=descending, limit=ROWS)
    shown = cells(rows)
    left = len(view.frame) - len(rows)
    count = len(view.frame)
    total = "no rows yet" if not count else "1 row" if count == 1 else f"{count:,} rows"
    return {
        "title": printable(view.name),
        "names": list(shown.names),
        "numeric": list(shown.numeric),
        "rows": [list(row) for row in shown.rows],
        "sort": printable(str(sort)),
        "descending": descending,
        "foot": f"{total}, {more_rows(left)} not shown" if left else total,
    }


class TableView(TalkingWidget):
    """A click on a column's head sorts by it.

    The whole of the rows shown is sent when one of them changes: twenty rows are
    one to two kilobytes, and the page writes only the cells that differ.

    Args:
        view: The table as it stands.
        changed: Called, from any thread, when a click asks for another order.
    """

    _esm = assets.module("table.js")
    _css = assets.read("table.css")

    table = traitlets.Dict().tag(sync=True)

    def __init__(self, view: ViewData, changed: Callable[[], None]) -> None:
        self._sort = view.options.get("sort", "")
        self._descending = True
        self._resort = False
        super().__init__(changed, table=table_state(view, sort=self._sort))

    @property
    def stale(self) -> bool:
        """Whether it has to be drawn again although the frame is the same."""
        return self._resort

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a click; any thread."""
        if "sort" in message:
            self._sort = str(message["sort"])
            self._descending = bool(message.get("descending"))
            self._resort = True
            self._changed()

    def update(self, view: ViewData) -> bool:
        """Show the frame; say whether anything had changed."""
        self._resort = False
        names = {printable(str(name)): name for name in (*view.frame.index.names, *view.frame.columns)}
        sort = names.get(self._sort, self._sort)
        new = table_state(view, sort=sort, descending=self._descending)
        if new == self.table:
            return False
        self.table = new
        return True
