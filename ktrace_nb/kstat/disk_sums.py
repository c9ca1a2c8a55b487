"""What the account of a disk sums, from the rows of its CPUs to the data of a kstat.

``struct sums`` of ``io_account.c`` in Python: pure, numbers in and numbers out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ktrace_nb.kstat.kinds import Io
from ktrace_nb.kstat.model import Value
from ktrace_nb.kstat.riemann import QueueTimes
from ktrace_nb.kstat.riemann_sums import FIELDS, added, is_whole, signed, times_of

COUNTS: Final = (
    "reads",
    "writes",
    "nread",
    "nwritten",
    "flushes",
    "discards",
    "errors",
    "merged",
    "requeued",
    "forgotten",
)
"""``struct counts`` of io_account.c, in its order."""

_MORE = COUNTS[4:]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskTimes:
    """What the account has of one disk at one moment."""

    wait: QueueTimes
    run: QueueTimes
    counts: Mapping[str, int]
    """By :data:`COUNTS`."""

    @classmethod
    def of(
        cls, cpus: Sequence[Mapping[str, int]], at_ns: int, waiting: int = 0, running: int = 0
    ) -> DiskTimes:
        """Add up what the CPUs have.

        Args:
            cpus: Of each the members of ``struct sums``, as ``wait.inside``.
            at_ns: When they were read, ``CLOCK_MONOTONIC`` of that kernel.
            waiting: Requests that wait, by the count that all CPUs share.
            running: Those that are served.
        """
        wait, run, counts = (added([_part(values, name) for values in cpus]) for name in _PARTS)
        return cls(
            wait=replace(times_of(wait, at_ns), length=max(0, signed(waiting))),
            run=replace(times_of(run, at_ns), length=max(0, signed(running))),
            counts={name: counts[name] for name in COUNTS},
        )

    @classmethod
    def idle(cls, at_ns: int) -> DiskTimes:
        """Of a disk that had no request."""
        return cls(wait=QueueTimes(at_ns=at_ns), run=QueueTimes(at_ns=at_ns), counts=dict.fromkeys(COUNTS, 0))

    def not_below(self, before: DiskTimes) -> DiskTimes:
        """The same with no sum of times less than it was.

        The CPUs are not read at one moment. What changed in between makes a sum wrong by less than that
        time, some microseconds, but a counter must not fall.
        """
        return replace(self, wait=_not_below(self.wait, before.wait), run=_not_below(self.run, before.run))

    def data(self) -> dict[str, Value]:
        """As the data of a kstat: those of ``kstat_io_t``, then those of :data:`COUNTS` that it lacks."""
        io = Io(
            nread=self.counts["nread"],
            nwritten=self.counts["nwritten"],
            reads=self.counts["reads"],
            writes=self.counts["writes"],
            wtime=self.wait.busy_ns,
            wlentime=self.wait.length_ns,
            wlastupdate=self.wait.last_ns,
            rtime=self.run.busy_ns,
            rlentime=self.run.length_ns,
            rlastupdate=self.run.last_ns,
            wcnt=self.wait.length,
            rcnt=self.run.length,
        )
        more = {name: Value(value=self.counts[name], counter=True) for name in _MORE}
        return {**dict(io.values()), **more}


_PARTS = ("wait", "run", "counts")


def is_whole_row(values: Mapping[str, int]) -> bool:
    """Whether the row of a CPU is of one moment, or caught a program between two additions.

    Args:
        values: Members of ``struct sums``, as ``wait.inside``.
    """
    return all(is_whole(_part(values, name), COUNTS if name == "counts" else FIELDS) for name in _PARTS)


Place: TypeAlias = tuple[int, int]
"""Number of a disk, and a CPU."""


def keep_whole(rows: Iterable[tuple[Place, dict[str, int]]], kept: dict[Place, dict[str, int]]) -> bool:
    """Take the rows of a reading that are of one moment; whether there is none yet for some place.

    Args:
        rows: A reading.
        kept: Rows of readings before, which newer ones replace.
    """
    torn = False
    for place, values in rows:
        if is_whole_row(values):
            kept[place] = values
        else:
            # A program was at it just then; what it had a moment before is as good.
            torn = torn or place not in kept
    return torn


def _part(values: Mapping[str, int], name: str) -> dict[str, int]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def _not_below(times: QueueTimes, before: QueueTimes) -> QueueTimes:
    return replace(
        times,
        length_ns=max(times.length_ns, before.length_ns),
        busy_ns=max(times.busy_ns, before.busy_ns),
    )
