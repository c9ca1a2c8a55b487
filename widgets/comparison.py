"""Two runs side by side: what is new, what is gone, what took longer.

Draws the frame of :func:`ktrace_nb.compare`; see there for its columns.
"""

from __future__ import annotations

import pandas as pd
import traitlets

from ktrace_nb.stream.text import more_rows, printable
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.comparison_picture import comparison_html, comparison_text
from ktrace_nb.widgets.sides import side_by_side
from ktrace_nb.widgets.still import StandingView, headed, module


def comparison(frame: pd.DataFrame, *, title: str = "") -> ComparisonView:
    """Show two runs side by side: a click on a head sorts, a menu picks new or gone rows.

    Args:
        frame: As :func:`ktrace_nb.compare` returns it, or any part of its rows.
        title: A heading.

    Raises:
        ValueError: It is not a comparison.
    """
    return ComparisonView(frame, title=title)


class ComparisonView(StandingView):
    """A table of two runs.

    Args:
        frame: As :func:`ktrace_nb.compare` returns it.
        title: A heading.
    """

    _esm = module("shortcuts.js", "comparison.js")
    _css = assets.read("calls.css") + assets.read("comparison.css")

    table = traitlets.Dict().tag(sync=True)

    def __init__(self, frame: pd.DataFrame, *, title: str = "") -> None:
        side = side_by_side(frame)
        self._still = headed(title, comparison_html(frame)), comparison_text(frame, title=title)
        super().__init__(
            table={
                "title": printable(title),
                "head": side.head,
                "columns": [{"group": column.group, "side": column.side} for column in side.columns],
                "names": list(side.names),
                "marks": list(side.marks),
                "numbers": [list(row) for row in side.numbers],
                "texts": [list(row) for row in side.texts],
                "changes": side.changes,
                "foot": "; ".join(
                    [*side.notes, *([f"{more_rows(side.left)} not shown"] if side.left else [])]
                ),
            }
        )

    def still(self) -> tuple[str, str]:
        """The table as HTML and as text."""
        return self._still
