"""A live board of a kernel's health: a lamp for each piece, its level, rate, drift and past.

The page gets texts and numbers, never markup. It is sent the whole board once; from then on
the fields that changed and the newest rates, as long as the rows are the same. What is sent is
counted: a page that missed something, such as what was sent while it loaded, asks for the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import traitlets

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.board_past import SECONDS
from ktrace_nb.widgets.board_rows import Board, BoardRow, board_of
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.talking import TalkingWidget

Sent = dict[str, Any]


class BoardView(TalkingWidget):
    """A board.

    Args:
        view: The health as it stands.
        changed: Called, from any thread, when the page asks for something to be drawn.
    """

    _esm = assets.module("shortcuts.js", "still.js", "board_cells.js", "board.js")
    _css = assets.read("board.css")

    board = traitlets.Dict().tag(sync=True)
    """The whole, kept up to date without being sent; ``seq`` counts how many changes it has seen."""

    def __init__(self, view: ViewData, changed: Callable[[], None]) -> None:
        self._resend = False
        super().__init__(changed, board={**_whole(view), "seq": 0})

    @property
    def stale(self) -> bool:
        """Whether it has to be drawn again although the frame is the same."""
        return self._resend

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take which state a page has; any thread."""
        if "have" in message and message["have"] != self.board["seq"]:
            self._resend = True
            self._changed()

    def update(self, view: ViewData) -> bool:
        """Show the frame; say whether anything had changed."""
        resend, self._resend = self._resend, False
        old, new = self.board, _whole(view)
        new["seq"] = old["seq"] + 1
        change = _difference(old, new)
        if change == {}:
            if resend:
                self.send_state("board")
            return resend
        if change is None or resend:
            self.board = new
            return True
        # Beside the trait's own way, which would send the whole: a page that comes later gets it.
        self._trait_values["board"] = new
        self.send({**change, "seq": new["seq"]})
        return True


def _whole(view: ViewData) -> Sent:
    board = board_of(view.frame)
    return {
        "title": printable(view.name),
        "foot": board.foot,
        "seconds": SECONDS,
        "at": list(board.at_s),
        "rows": [_row(board, row) for row in board.rows],
    }


def _row(board: Board, row: BoardRow) -> Sent:
    band = row.band
    return {
        "key": list(row.label),
        "name": row.name,
        "title": row.title,
        "under": row.under,
        "parts": row.parts,
        "troubled": row.troubled,
        "state": row.state,
        "level": row.level,
        "rate": row.rate,
        "drift": row.drift,
        "band": None if band is None else [band.start, band.end, band.at],
        "bandText": row.band_text,
        "tell": row.tell,
        "past": list(board.past[row.label]),
    }


def _difference(old: Sent, new: Sent) -> Sent | None:
    """What of the board is new; empty if nothing is, None if it is another board."""
    if [row["key"] for row in old["rows"]] != [row["key"] for row in new["rows"]]:
        return None
    moved = _moved(old["at"], new["at"])
    if moved is None:
        return None
    drop, come = moved
    change: Sent = {name: new[name] for name in ("title", "foot") if new[name] != old[name]}
    rows = {}
    for place, (before, after) in enumerate(zip(old["rows"], new["rows"], strict=True)):
        differs = {name: value for name, value in after.items() if name != "past" and value != before[name]}
        if differs:
            rows[str(place)] = differs
    if rows:
        change["rows"] = rows
    if drop or come:
        keep = len(new["at"]) - come
        change["drop"] = drop
        change["at"] = new["at"][keep:]
        change["past"] = [row["past"][keep:] for row in new["rows"]]
    return change


def _moved(old: list[float], new: list[float]) -> tuple[int, int] | None:
    """How many moments went in front and came behind; None if the two have nothing in common."""
    if not old or not new:
        return (0, 0) if old == new else None
    drop = next((place for place, at in enumerate(old) if at == new[0]), None)
    if drop is None or new[: len(old) - drop] != old[drop:]:
        return None
    return drop, len(new) - (len(old) - drop)
