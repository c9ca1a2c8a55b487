"""The clocks of a script: when each of its timers is due."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ktrace_nb.ir.script import Event, Handler


@dataclass
class _Clock:
    handler: Handler
    due_ns: int


class Timers:
    """Timers measured from one start.

    A period that nobody had time for is not made up: after it a timer goes on at the
    next multiple of its period. With ``randomize`` each period is drawn anew.

    Args:
        handlers: Those of timers are taken, others left.
        start_ns: When they start, nanoseconds of any clock.
        seed: Of the random periods; None for another one each time.
    """

    def __init__(self, handlers: Sequence[Handler], start_ns: int, seed: int | None = None) -> None:
        self._start_ns = start_ns
        self._random = random.Random(seed)
        timers = [h for h in handlers if h.event is Event.TIMER and h.period_ns > 0]
        self._clocks = [_Clock(handler, start_ns + self._period(handler)) for handler in timers]

    def _period(self, handler: Handler) -> int:
        spread = handler.randomize_ns
        return max(1, handler.period_ns + (self._random.randint(-spread, spread) if spread else 0))

    def put_off(self, by_ns: int) -> None:
        """Have every timer wait so much longer."""
        self._start_ns += by_ns
        for clock in self._clocks:
            clock.due_ns += by_ns

    @property
    def next_ns(self) -> int | None:
        """When the next one is due; None without timers."""
        return min((clock.due_ns for clock in self._clocks), default=None)

    def due(self, now_ns: int) -> list[Handler]:
        """Those that are due, the one that has been for longest first; they are set for the next time."""
        ready = sorted(
            (clock for clock in self._clocks if clock.due_ns <= now_ns), key=lambda clock: clock.due_ns
        )
        for clock in ready:
            handler = clock.handler
            if handler.randomize_ns:
                clock.due_ns = now_ns + self._period(handler)
            else:
                missed = (now_ns - self._start_ns) // handler.period_ns
                clock.due_ns = self._start_ns + (missed + 1) * handler.period_ns
        return [clock.handler for clock in ready]
