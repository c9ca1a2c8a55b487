"""What the views of sessions and those of walks have in common."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from ktrace_nb.session import Session
from ktrace_nb.stream.selection import Window
from ktrace_nb.widgets.source import ViewData


def printed(lines: list[str], end: int, begun: str) -> ViewData:
    """The last lines of what was printed.

    Args:
        lines: These.
        end: How many there were by then, those that are not shown included.
        begun: Changes whenever what is shown is told anew.
    """
    frame = pd.DataFrame({"text": lines}, index=pd.RangeIndex(end - len(lines), end))
    return ViewData(
        name="printed", kind="text", frame=frame, generation=(end, begun), options={"begun": begun}
    )


def window_setter(session: Session) -> Callable[[Window | None], None]:
    """What a view calls with the window of time that was picked in it."""

    def set_window(window: Window | None) -> None:
        session.window = window

    return set_window
