"""When the picture that stays in a notebook is renewed: the kernel may not live to the end."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from ktrace_nb.widgets.headline import Headline
from ktrace_nb.widgets.pace import Rest
from ktrace_nb.widgets.source import ViewData

SAVE_S = 10.0
"""How often it is renewed while the trace runs, seconds, at most."""

SAVE_LATE_S = 1.0
"""How often it is renewed when the trace is over, e.g. because rows were picked, seconds, at most."""

SAVE_REST = 100
"""Between two of them it rests so many times as long as the last one took."""

_Drawn: TypeAlias = tuple[str, tuple[tuple[str, Hashable], ...]]
"""What a picture shows: the word for the state, and each view's name and generation."""


class Keeping:
    """What the picture that was kept last shows, and whether there should be another."""

    def __init__(self) -> None:
        self._rest = Rest()
        self._kept: _Drawn = "", ()
        self.owed = False
        """Whether the trace is over and shows what no picture does yet, as the last one is too recent."""

    def turned(self, head: Headline) -> bool:
        """Whether the state is another than in the picture, so that a notebook saved now should show it.

        A click that pauses counts: the notebook may be saved right after it.
        """
        kept = self._kept[0]
        return head.word != kept and (head.state != "running" or "paused" in (head.word, kept))

    def is_due(self, head: Headline, views: Sequence[ViewData]) -> bool:
        """Whether there should be another picture now.

        Args:
            head: What the panel says of the trace.
            views: What it shows of it.
        """
        over = head.state != "running"
        # What is over may be shown otherwise: rows are picked, or a frame is replaced.
        stale = not over or _drawn(head, views) != self._kept
        due = self.turned(head) or (stale and self._rest.over(SAVE_REST, SAVE_LATE_S if over else SAVE_S))
        self.owed = over and stale and not due
        return due

    @contextmanager
    def work(self, head: Headline, views: Sequence[ViewData]) -> Iterator[None]:
        """Make and keep a picture, then rest."""
        with self._rest.work():
            yield
        self._kept = _drawn(head, views)


def _drawn(head: Headline, views: Sequence[ViewData]) -> _Drawn:
    return head.word, tuple((view.name, view.generation) for view in views)
