"""How long a queue is, summed over time, as kstat_io(9S) has it for disks: a Riemann sum.

kstat adds, at each change of state, the time since the last one times the length the queue had
in it (``wlentime``, ``rlentime``), and that time itself where the length was not 0 (``wtime``,
``rtime``); when it is read, also for the state that still goes on. That takes one account of the
state, and a lock. The same sums can be had without either. Something that is inside from *a* to
*b* adds ``b - a`` to the length times time up to any later moment, something still inside adds
``now - a``; so over all of them it is::

    length x time = sum of times of leaving - sum of times of entering + inside x now

Sums of times may be kept apart, one per CPU, and be added up by whoever reads. For the time with
a length other than 0 the same holds of the spells of such time: where they begin and end is told
by a count of what is inside, which all CPUs share and which becomes 1 from 0, and 0 from 1, for
one of them only.

The header ``<ktrace_nb/riemann.h>`` keeps such sums in the kernel and
:mod:`ktrace_nb.kstat.riemann_sums` reads them; :class:`RiemannQueue` is the same for times that are
at hand::

    calls = session.events().frame()
    queue = RiemannQueue.of(calls["begin_ns"], calls["end_ns"])   # end: NA if it has not ended
    queue.at(now_ns).since(earlier).length                        # outstanding calls, on the average

What is exact. The length times time is, whatever the order in which CPUs get to add. The time
with a length other than 0 is as exact as the order of the shared count is that of the clock: a
program reads the clock and then counts, and where another does both in between, the spell
errs by the time from the one to the other, some hundred nanoseconds, to either side. Spells do
not pile such errors up: the time of a spell is that of its two ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTimes:
    """What a queue was like from its beginning to one moment."""

    at_ns: int
    """The moment, nanoseconds."""

    length: int = 0
    """How many are inside then."""

    length_ns: int = 0
    """Sum of length times time, nanoseconds; ``wlentime`` or ``rlentime`` of kstat_io(9S)."""

    busy_ns: int = 0
    """Time in which at least one was inside; ``wtime`` or ``rtime``."""

    left: int = 0
    """How many have left."""

    last_ns: int = 0
    """When the length changed last; 0 if never."""

    def since(self, before: QueueTimes) -> QueueInterval:
        """What it was like from an earlier moment to this one."""
        return QueueInterval(
            ns=self.at_ns - before.at_ns,
            length_ns=max(0, self.length_ns - before.length_ns),
            busy_ns=max(0, self.busy_ns - before.busy_ns),
            left=self.left - before.left,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInterval:
    """What a queue was like between two moments."""

    ns: int
    """Nanoseconds between them."""

    length_ns: int
    """Sum of length times time, nanoseconds."""

    busy_ns: int
    """Nanoseconds in which at least one was inside."""

    left: int
    """How many left."""

    @property
    def length(self) -> float:
        """How many were inside, on the average over time; 0 for no time."""
        return self.length_ns / self.ns if self.ns else 0.0

    @property
    def busy(self) -> float:
        """Share of the time in which at least one was inside, 1.0 is all of it."""
        return self.busy_ns / self.ns if self.ns else 0.0

    @property
    def per_s(self) -> float:
        """How many left in a second."""
        return self.left * _NS_PER_S / self.ns if self.ns else 0.0

    @property
    def stay_ns(self) -> float:
        """How long one was inside, on the average, by Little's law; 0 if none left.

        As iostat(8) computes ``asvc_t``: exact where as many were inside at the end as at the
        beginning, and near to it where many more left than that differs.
        """
        return self.length_ns / self.left if self.left else 0.0


class RiemannQueue:
    """The sums of one queue, by the times at which things enter and leave it.

    They may come in any order, as from several CPUs; whatever has come is in :meth:`at`.
    """

    def __init__(self) -> None:
        self._inside = 0
        self._stamps = 0
        self._busy = 0
        self._busy_stamps = 0
        self._left = 0
        self._last_ns = 0

    @classmethod
    def of(cls, entered_ns: Times, left_ns: Times) -> RiemannQueue:
        """A queue by all its times at once.

        Args:
            entered_ns: When each entered, integer nanoseconds.
            left_ns: When each left, in the same order; missing (NA, NaN, NaT) where it has not yet.

        Raises:
            ValueError: One left before it entered, or one has no time of entering.
        """
        import numpy as np

        entered, is_in = _integers(entered_ns)
        left, is_out = _integers(left_ns)
        if len(entered) != len(left) or not is_in.all():
            raise ValueError(f"{len(entered)} times of entering for {len(left)}, {(~is_in).sum()} missing")
        if (left < entered)[is_out].any():
            raise ValueError("one left before it entered")
        queue = cls()
        queue._inside = int((~is_out).sum())
        queue._left = int(is_out.sum())
        queue._stamps = _sum(left[is_out]) - _sum(entered)
        queue._last_ns = int(max(entered.max(initial=0), left[is_out].max(initial=0)))
        # A spell begins where all that came before had left.
        order = np.argsort(entered, kind="stable")
        starts = entered[order]
        ends = np.maximum.accumulate(np.where(is_out, left, np.iinfo(np.int64).max)[order])
        first = np.ones(len(starts), bool)
        first[1:] = starts[1:] > ends[:-1]
        last = np.append(first[1:], True)[: len(starts)]
        ended = ends[last & (ends != np.iinfo(np.int64).max)]
        queue._busy = int(first.sum()) - len(ended)
        queue._busy_stamps = _sum(ended) - _sum(starts[first])
        return queue

    def enter(self, at_ns: int) -> None:
        """One enters."""
        self._change(1, at_ns, changes_busy=self._inside == 0)

    def leave(self, at_ns: int) -> None:
        """One leaves.

        Raises:
            ValueError: None is inside.
        """
        if not self._inside:
            raise ValueError("none is inside that could leave")
        self._change(-1, at_ns, changes_busy=self._inside == 1)
        self._left += 1

    def _change(self, by: int, at_ns: int, *, changes_busy: bool) -> None:
        self._inside += by
        self._stamps -= by * at_ns
        if changes_busy:
            self._busy += by
            self._busy_stamps -= by * at_ns
        self._last_ns = max(self._last_ns, at_ns)

    def at(self, now_ns: int) -> QueueTimes:
        """The sums up to a moment that is not before the last change."""
        return QueueTimes(
            at_ns=now_ns,
            length=self._inside,
            length_ns=self._stamps + self._inside * now_ns,
            busy_ns=self._busy_stamps + self._busy * now_ns,
            left=self._left,
            last_ns=self._last_ns,
        )


# --- arrays -----------------------------------------------------------------------------------

Times: TypeAlias = "pd.Series[Any] | NDArray[Any] | list[int] | list[int | None]"
"""Nanoseconds: an array, a column (``Int64`` if some are missing) or a list (``None`` for those).

Floats are taken, but beyond 104 days since boot they do not tell one nanosecond from the next."""


def _integers(times: Times) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Times as integers, and which of them are there."""
    import numpy as np
    import pandas as pd

    # A list with a None in it would become floats, which have 53 bits.
    values = pd.Series(times, dtype=object if isinstance(times, list) else None)
    there = values.notna().to_numpy(bool)
    numbers = np.zeros(len(values), np.int64)
    numbers[there] = values[there].to_numpy().astype(np.int64)
    return numbers, there


def _sum(values: NDArray[np.int64]) -> int:
    # Times since boot fit in 64 bits, their sum may not.
    high, low = values >> 32, values & 0xFFFFFFFF
    return (int(high.sum()) << 32) + int(low.sum())
