"""Console text, line by line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import pandas as pd
import traitlets

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.talking import TalkingWidget

LINES = 1000

STILL_LINES = 100
"""A saved notebook keeps this many of the latest lines."""


def new_lines(frame: pd.DataFrame, after: int, most: int = LINES) -> tuple[list[str], int]:
    """The lines of a text frame that were not shown yet, printable.

    Args:
        frame: One column ``text``, indexed by line number, ascending.
        after: The number of the last line shown, -1 if none.
        most: Only so many of the latest lines are kept on screen.

    Returns:
        The lines, and the number of the last one (``after`` if there is none).
    """
    numbers = frame.index.to_numpy()
    first = max(int(numbers.searchsorted(after, side="right")), len(frame) - most)
    added = frame["text"].iloc[first:].tolist()
    last = int(numbers[-1]) if len(numbers) else after
    return [printable(str(line).expandtabs(8)) for line in added], max(last, after)


class TextView(TalkingWidget):
    """Only new lines are sent; a page that comes later asks for the others.

    After a reset (another ``begun`` in the view's options) the page forgets what it shows. The
    numbers of lines go on then, so "earlier lines not shown" are counted from the first line that
    is seen of the new spell.

    Args:
        view: The text as it stands.
        changed: Called, from any thread, when a page asks for all lines.
    """

    _esm = assets.module("shortcuts.js", "text.js")
    _css = assets.read("text.css")

    title = traitlets.Unicode().tag(sync=True)
    most = traitlets.Int(LINES).tag(sync=True)

    def __init__(self, view: ViewData, changed: Callable[[], None]) -> None:
        self._last = -1
        self._begun = view.options.get("begun")
        self._first: int | None = 0
        """The number of the first line of this spell; None until one is seen."""

        self._resend = False
        super().__init__(changed, title=printable(view.name))

    @property
    def stale(self) -> bool:
        """Whether it has to be drawn again although the frame is the same."""
        return self._resend

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take a page's request for all lines; any thread."""
        if message.get("resend"):
            self._resend = True
            self._changed()

    def update(self, view: ViewData) -> bool:
        """Send the lines that are new; say whether there were any."""
        fresh, self._resend = self._resend, False
        begun = view.options.get("begun")
        if begun != self._begun:
            self._begun, self._first = begun, None
            fresh = True
        if self._first is None and len(view.frame):
            self._first = int(view.frame.index[0])
        lines, last = new_lines(view.frame, -1 if fresh else self._last, self.most)
        if not lines and not fresh:
            return False
        # Of an empty frame nothing is known of its numbers: those of before go on.
        self._last = last if lines else self._last
        before = last + 1 - len(lines) - (self._first or 0) if lines else 0
        self.send({"lines": lines, "fresh": fresh, "before": before})
        return True


def console_html(view: ViewData) -> str:
    """The picture that stays."""
    return f"<pre>{escape(chr(10).join(_last_lines(view)))}</pre>"


def console_text(view: ViewData) -> str:
    """The latest lines, headed by the view's name."""
    return f"{printable(view.name)}\n" + "\n".join(_last_lines(view))


def _last_lines(view: ViewData) -> list[str]:
    return [printable(str(line).expandtabs(8)) for line in view.frame["text"].tail(STILL_LINES)]
