"""How fast a page is sent updates: as fast as it draws them.

Jupyter has no back-pressure: whatever is sent to a slow or closed page piles up
in the server or the browser. So every update ends with a numbered tick, the page
acknowledges the tick when it has drawn a frame, and the next update waits for
that. A hidden tab says that it is hidden, a closed page acknowledges nothing: it
gets a few updates at most and then none.

An acknowledgement costs the kernel as much as two small updates: it is a request
of its own, with an answer and two messages about the kernel's state. A page that
is prompt is asked for every second one only, then for every third, then for every
fifth; the first late answer has it asked for every one again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MOST_HZ = 5.0
PROMPT_S = 0.1
"""A page that has acknowledged in this time keeps up easily."""

QUIET = (0, 1, 2, 4)
"""How many updates go out between two acknowledgements after none, one, two, and more
prompt ones in a row."""

MOST_BEHIND = QUIET[-1] + 1
"""So many updates may be on the way to a page that was prompt and is not any more."""

PATIENCE_S = 5.0
"""A page that has not acknowledged for so long is not waited for."""

BLIND_HZ = 1.0
BLIND_TICKS = 30
"""A page that cannot reach the control channel is silent while a cell runs; it
gets this many updates, at ``BLIND_HZ``, before that counts as silence."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The end of an update."""

    number: int
    quiet: bool
    """Whether the page need not acknowledge it."""


@dataclass(slots=True)
class _View:
    acknowledged: int
    direct: bool
    prompt: int
    """How many of the last acknowledgements in a row were prompt."""


class Rest:
    """When something dear may be done again: the later, the longer it took the last time.

    Args:
        clock: Seconds, monotonic.
        spent: Seconds that the work takes of what is to be spared: by default CPU time of the thread.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock = clock
        self._spent = spent
        self._ended = clock()
        self._cost_s = 0.0

    @contextmanager
    def work(self) -> Iterator[None]:
        """Do it, and begin to rest."""
        begun = self._spent()
        yield
        self._cost_s = self._spent() - begun
        self._ended = self._clock()

    def over(self, times: float, least_s: float = 0.0) -> bool:
        """Whether it may be done again.

        Args:
            times: Rest so many times as long as the work took.
            least_s: And so long at least, seconds.
        """
        return self._clock() - self._ended >= max(least_s, times * self._cost_s)


class Pace:
    """The acknowledgements of every view of one panel. Not thread-safe.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._views: dict[str, _View] = {}
        self._sent = 0
        self._sent_at = float("-inf")
        self._asked = 0
        """The last tick that is to be acknowledged."""

        self._asked_at = float("-inf")

    def hear(self, view: str, tick: int | None, *, direct: bool) -> None:
        """Note that a view drew a tick, or is new and shows all there is (``None``)."""
        known = self._views.get(view)
        acknowledged = self._sent if tick is None else min(tick, self._sent)
        prompt = 0
        if tick is not None and acknowledged >= self._asked and self._clock() - self._asked_at < PROMPT_S:
            prompt = 1 + (known.prompt if known is not None else 0)
        if known is not None:
            # A message that took the slow way may arrive late.
            prompt = known.prompt if known.acknowledged >= acknowledged else prompt
            acknowledged = max(acknowledged, known.acknowledged)
            direct = direct or known.direct
        self._views[view] = _View(acknowledged, direct, prompt)

    def leave(self, view: str) -> None:
        """Forget a view that was closed or cannot be seen."""
        self._views.pop(view, None)

    def sent(self) -> Tick:
        """Note that an update goes out now and return its tick."""
        now = self._clock()
        # A page that was reloaded or lost its network never says that it is gone. Each
        # tick asked of the others would start its time anew, and hold them up by it.
        for name in [name for name, view in self._views.items() if self._wait_s(view, now) is None]:
            del self._views[name]
        quiet = self._sent - self._asked < min(map(self._quiet, self._views.values()), default=0)
        self._sent += 1
        self._sent_at = now
        if not quiet:
            self._asked = self._sent
            self._asked_at = self._sent_at
        return Tick(self._sent, quiet)

    def due_s(self) -> float | None:
        """Seconds until the next update may go out, None if nobody is looking."""
        now = self._clock()
        waits = [wait for view in self._views.values() if (wait := self._wait_s(view, now)) is not None]
        if not waits:
            return None
        return max(0.0, self._sent_at + 1 / MOST_HZ - now, *waits)

    def _quiet(self, view: _View) -> int:
        """How many updates may go out after the last one that is to be acknowledged."""
        if not view.direct or view.acknowledged < self._asked:
            return 0
        return QUIET[min(view.prompt, len(QUIET) - 1)]

    def _wait_s(self, view: _View, now: float) -> float | None:
        """How long to wait for one view; None if it fell silent."""
        behind = self._asked - view.acknowledged
        if behind <= 0:
            return 0.0
        if not view.direct and behind < BLIND_TICKS:
            return max(0.0, self._sent_at + 1 / BLIND_HZ - now)
        left = self._asked_at + PATIENCE_S - now
        return left if left > 0 else None
