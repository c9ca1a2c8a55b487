"""Keeps a session within ``--max-rate`` and ``--max-cpu``.

The rate is kept by the programs themselves, which admit so many events per tenth
of a second. The share of CPU is kept from here: the kernel says how long the
programs ran, and they are told for which part of each :data:`PERIOD_NS` to run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ktrace_nb.wire.bundle import PERIOD_NS, WINDOW_S, Control

Over = Literal["sample", "stop"]

EXPIRE_S = 1800.0
"""After this a session that nobody told to end ends itself."""

LEAST_ON_NS = PERIOD_NS // 64
"""Less than this is not worth calling a sample: then the session stops."""

_LOOK_NS = 200_000_000
_MARGIN = 0.9
_ALL = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a session ends by itself, and what it may cost."""

    seconds: float | None = None
    """``--for``; None is until stopped, but see ``expire_s``."""
    command: str | None = None
    """``-c``: run once everything is attached; the session ends with it."""
    expire_s: float = EXPIRE_S
    """``--expire``: when a session ends that nobody told to end."""
    max_rate: float | None = None
    """Events per second, all streams and CPUs together."""
    max_cpu: float | None = None
    """Share of one CPU that all programs together may take, 1.0 is one CPU."""
    over: Over = "sample"
    """What happens over one of the two."""


class Governor:
    """Decides from what the kernel counted. Not thread-safe.

    Args:
        limits: What to keep.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._on_ns = PERIOD_NS
        self._seen: tuple[int, int] | None = None

    @property
    def control(self) -> Control:
        """What the programs have to be told."""
        rate = self._limits.max_rate
        return Control(_ALL if rate is None else max(1, round(rate * WINDOW_S)), self._on_ns)

    @property
    def remark(self) -> str:
        """What the user has to know of it; empty while nothing is held back."""
        if self._on_ns == PERIOD_NS:
            return ""
        return f"runs {self._on_ns / PERIOD_NS:.0%} of the time to stay below --max-cpu"

    def restart(self) -> None:
        """What was counted before counts no more."""
        self._seen = None

    def look(self, at_ns: int, ran_ns: int, capped: int) -> str:
        """Take note of the counts; gives the reason to stop, if there is one.

        Args:
            at_ns: When they were read, nanoseconds.
            ran_ns: How long all programs have run so far, nanoseconds.
            capped: Events refused so far because of the rate.
        """
        limits = self._limits
        if capped and limits.over == "stop":
            return f"over --max-rate ({limits.max_rate:,.0f} events a second)"
        if limits.max_cpu is None:
            return ""
        if self._seen is None:
            self._seen = at_ns, ran_ns
            return ""
        seconds_ns = at_ns - self._seen[0]
        if seconds_ns < _LOOK_NS:
            return ""
        share = (ran_ns - self._seen[1]) / seconds_ns
        self._seen = at_ns, ran_ns
        return self._adjust(share, limits.max_cpu)

    def _adjust(self, share: float, most: float) -> str:
        if share <= most:
            # Back up in small steps: the load that made it too much may be there still.
            if share < 0.7 * most:
                self._on_ns = min(PERIOD_NS, self._on_ns * 5 // 4)
            return ""
        if self._limits.over == "stop" or self._on_ns == LEAST_ON_NS:
            return f"over --max-cpu ({most:.0%} of a CPU): programs took {share:.0%}"
        self._on_ns = max(LEAST_ON_NS, int(self._on_ns * most / share * _MARGIN))
        return ""
