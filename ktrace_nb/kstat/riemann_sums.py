"""Riemann sums that programs keep in the kernel: ``struct riemann`` of ``<ktrace_nb/riemann.h>``.

A program adds to several numbers, one after the other, and whoever reads a map may find it
half way. Then ``check`` is not what it should be, and the row is not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ktrace_nb.kstat.riemann import QueueTimes

if TYPE_CHECKING:
    import pandas as pd

FIELDS = ("inside", "stamps", "busy", "busy_stamps", "left")
"""What ``struct riemann`` of riemann.h adds up, in the order of their weights."""

_WORD = 1 << 64


def weight(field: int) -> int:
    """What ``RIEMANN_WEIGHT`` of riemann.h gives for the field of that number."""
    n = field + 1
    return (n * 0x9E3779B97F4A7C15 ^ n * n * 0xD1B54A32D192ED03) % _WORD | 1


def is_whole(values: Mapping[str, int], fields: tuple[str, ...] = FIELDS) -> bool:
    """Whether values are of one moment: ``check`` is the sum of the others, each times its weight.

    Args:
        values: Of the fields and of ``check``, of one CPU or added up over several.
        fields: Their names, in the order of the weights.
    """
    total = sum(values[name] * weight(number) for number, name in enumerate(fields))
    return (total - values["check"]) % _WORD == 0


def times_of(values: Mapping[str, int], at_ns: int) -> QueueTimes:
    """What a ``struct riemann`` tells, added up over all CPUs.

    Args:
        values: Of its fields.
        at_ns: When they were read, ``CLOCK_MONOTONIC`` of that kernel.
    """
    inside, busy = signed(values["inside"]), signed(values["busy"])
    return QueueTimes(
        at_ns=at_ns,
        # One CPU may be read before something enters there, another after it has left.
        length=max(0, inside),
        length_ns=max(0, signed(values["stamps"] + inside * at_ns)),
        busy_ns=max(0, signed(values["busy_stamps"] + busy * at_ns)),
        left=values["left"],
        last_ns=values["last"],
    )


def signed(word: int) -> int:
    """A number as a word of 64 bits has it, with its sign."""
    return (word + _WORD // 2) % _WORD - _WORD // 2


class Session(Protocol):
    """What is needed of a :class:`ktrace_nb.session.Session`."""

    @property
    def outputs(self) -> Any:
        """Where its snapshots are."""
        ...

    def frame(self, name: str, *, per_cpu: bool = False) -> pd.DataFrame:
        """A map."""
        ...


def lengths(session: Session, name: str) -> pd.DataFrame:
    """The queues of a session's map of ``struct riemann``, as read last.

    Args:
        session: A session of a cell that includes ``<ktrace_nb/riemann.h>``.
        name: A ``BPF_PERCPU_HASH``, ``BPF_PERCPU_ARRAY`` or the like with ``struct riemann`` as its leaf.

    Returns:
        Indexed as the map's frame is; all Int64, and missing where a program was at it:

        ============== ==================================================================
        ``length``      how many are inside
        ``length_ns``   sum of length times time, nanoseconds
        ``busy_ns``     time in which at least one was inside, nanoseconds
        ``left``        how many have left
        ``last_ns``     when the length changed last, ``CLOCK_MONOTONIC``
        ============== ==================================================================

        ``attrs["at_ns"]`` is when, on the same clock.

    Raises:
        KeyError: No such map, or one of something else.
    """
    import pandas as pd

    frame = session.frame(name, per_cpu=True)
    missing = {*FIELDS, "check", "last"} - set(frame.columns)
    if missing:
        raise KeyError(f"{name!r} is no map of struct riemann: no {', '.join(sorted(missing))}")
    at_ns = int(session.outputs.snapshot_ns(name))
    keys = [level for level in frame.index.names if level != "cpu"]
    grouped = frame.groupby(level=keys, sort=False, observed=True)
    columns = ("length", "length_ns", "busy_ns", "left", "last_ns")
    found: dict[Any, list[int | None]] = {}
    for key, rows in grouped:
        cpus = [dict(zip(rows.columns, map(int, row), strict=True)) for row in rows.to_numpy()]
        times = times_of(added(cpus), at_ns)
        whole = all(map(is_whole, cpus))
        found[key] = [getattr(times, column) if whole else None for column in columns]
    index = frame.groupby(level=keys, sort=False, observed=True).size().index
    table = pd.DataFrame(list(found.values()), index=index, columns=list(columns), dtype="Int64")
    table.attrs = {**frame.attrs, "at_ns": at_ns}
    return table


def added(cpus: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Values of several CPUs added up; of ``last`` the latest."""
    total = {name: sum(values[name] for values in cpus) % _WORD for name in cpus[0]}
    if "last" in total:
        total["last"] = max(values["last"] for values in cpus)
    return total
