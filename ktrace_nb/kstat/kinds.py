"""The kinds of kstats whose fields are fixed: INTR, IO and TIMER.

The fields are those of the structures of illumos ``sys/kstat.h``, in their order. What is
an ``uint_t`` there is a UINT64 here if it counts: a disk of today does more than 2**32
operations, and a counter that wraps every few hours tells less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ktrace_nb.kstat.model import Kind, Type, Value


def _count(value: int, unit: str = "") -> Value:
    return Value(value=value, counter=True, unit=unit)


def _moment(value: int) -> Value:
    return Value(value=value, unit="ns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intr:
    """Interrupts by their kind, ``kstat_intr_t``; the statistics are named as kstat(8) prints them."""

    hard: int = 0
    soft: int = 0
    watchdog: int = 0
    spurious: int = 0
    multiple_service: int = 0

    def values(self) -> Iterator[tuple[str, Value]]:
        """Names and values in order."""
        for name in ("hard", "soft", "watchdog", "spurious", "multiple_service"):
            yield name, _count(getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Io:
    """A device with a queue of requests that wait and one of those it works on, ``kstat_io_t``."""

    nread: int = 0
    """Bytes read."""
    nwritten: int = 0
    """Bytes written."""
    reads: int = 0
    writes: int = 0
    wtime: int = 0
    """Nanoseconds in which at least one request waited."""
    wlentime: int = 0
    """Sum of nanoseconds times requests that waited."""
    wlastupdate: int = 0
    """When the queue changed last, ``CLOCK_MONOTONIC``, nanoseconds."""
    rtime: int = 0
    """Nanoseconds in which at least one request was worked on."""
    rlentime: int = 0
    """Sum of nanoseconds times requests that were worked on."""
    rlastupdate: int = 0
    """When that queue changed last."""
    wcnt: int = 0
    """Requests that wait now."""
    rcnt: int = 0
    """Requests that are worked on now."""

    def values(self) -> Iterator[tuple[str, Value]]:
        """Names and values in order."""
        for name in ("nread", "nwritten"):
            yield name, _count(getattr(self, name), "bytes")
        for name in ("reads", "writes"):
            yield name, _count(getattr(self, name))
        for queue in "wr":
            for name in ("time", "lentime"):
                yield queue + name, _count(getattr(self, queue + name), "ns")
            yield f"{queue}lastupdate", _moment(getattr(self, f"{queue}lastupdate"))
        for name in ("wcnt", "rcnt"):
            yield name, Value(value=getattr(self, name), type=Type.UINT32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """An event that is timed, ``kstat_timer_t``."""

    name: str
    """What the event is called."""
    num_events: int = 0
    elapsed_time: int = 0
    """Nanoseconds of all events together."""
    min_time: int = 0
    """Nanoseconds of the shortest."""
    max_time: int = 0
    """Nanoseconds of the longest."""
    start_time: int = 0
    """When the last one began, ``CLOCK_MONOTONIC``, nanoseconds."""
    stop_time: int = 0
    """When the last one ended."""

    def values(self) -> Iterator[tuple[str, Value]]:
        """Names and values in order."""
        yield "name", Value(value=self.name, type=Type.STRING)
        yield "num_events", _count(self.num_events)
        yield "elapsed_time", _count(self.elapsed_time, "ns")
        for name in ("min_time", "max_time", "start_time", "stop_time"):
            yield name, _moment(getattr(self, name))


FIXED: dict[Kind, type[Intr | Io | Timer]] = {Kind.INTR: Intr, Kind.IO: Io, Kind.TIMER: Timer}
"""What a provider of these kinds gives."""
