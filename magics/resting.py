"""Views of a walk that are made anew as seldom as they are dear.

A walk's frames are made of all its calls, and something new comes with every record: the
frames of a million calls, made for each of a panel's looks, would take more than a CPU.
So a view rests after it was made, the longer the longer that took; of a walk that is over
nothing rests, and what is shown last is exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from ktrace_nb.widgets.pace import Rest
from ktrace_nb.widgets.source import ViewData

SHARE = 0.01
"""Of a CPU, what making one view may take while a walk runs."""


@dataclass(frozen=True, slots=True)
class _Made:
    view: ViewData
    generation: Hashable
    rest: Rest


class Resting:
    """The views that were made last.

    Args:
        clock: Seconds, monotonic.
        spent: CPU seconds of the calling thread.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock = clock
        self._spent = spent
        self._made: dict[str, _Made] = {}

    def view(
        self, name: str, generation: Hashable, make: Callable[[], ViewData], *, running: bool
    ) -> ViewData:
        """A view as it stands, or as it stood when it was made last.

        Args:
            name: Which.
            generation: Changes whenever the view may have.
            make: Makes it.
            running: Whether more will come; if not, nothing is shown that has changed since.
        """
        made = self._made.get(name)
        if made is not None and (
            made.generation == generation or (running and not made.rest.over(1 / SHARE))
        ):
            return made.view
        rest = Rest(self._clock, self._spent)
        with rest.work():
            view = make()
        self._made[name] = _Made(view, generation, rest)
        return view
