"""What disks did between two readings of their kstats: the numbers that iostat(8) shows.

Of each disk, from two readings of its ``kstat_io_t`` and the nanoseconds between them, or from
one reading and its ``crtime``:

========== ========================================================================
``r/s``     reads in a second
``w/s``     writes in a second
``kr/s``    KiB read in a second
``kw/s``    KiB written in a second
``wait``    requests waiting, on the average over time: ``wlentime`` / time
``actv``    requests being served, on the average: ``rlentime`` / time
``wsvc_t``  milliseconds a request waited, by Little's law: ``wlentime`` / operations
``asvc_t``  milliseconds it was served: ``rlentime`` / operations
``%w``      percent of the time in which one waited: ``wtime`` / time
``%b``      percent of the time in which one was served: ``rtime`` / time
========== ========================================================================

Source: illumos ``usr/src/cmd/stat/iostat/iostat.c``, iostat(8).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, TypeAlias

from ktrace_nb.kstat.model import Id, Kstat

if TYPE_CHECKING:
    import pandas as pd

_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRates:
    """A line of the report; None where the kernel does not tell."""

    reads_per_s: float
    writes_per_s: float
    read_bytes_per_s: float
    written_bytes_per_s: float
    wait: float | None
    """Requests waiting, on the average over time."""
    actv: float
    """Requests being served, on the average over time."""
    wsvc_ms: float | None
    """Milliseconds that a request waited."""
    asvc_ms: float
    """Milliseconds that a request was served."""
    wait_percent: float | None
    """Percent of the time in which at least one waited."""
    busy_percent: float
    """Percent of the time in which at least one was served."""
    seconds: float
    """How long that was."""

    @property
    def is_idle(self) -> bool:
        """Whether it shows nothing but zeros, as ``-z`` has it: every number is below 0.1."""
        service = self.asvc_ms + (self.wsvc_ms or 0.0)
        shown = (
            self.reads_per_s,
            self.writes_per_s,
            self.read_bytes_per_s / 1024,
            self.written_bytes_per_s / 1024,
            self.wait or 0.0,
            self.actv,
            service,
            self.wait_percent or 0.0,
            self.busy_percent,
        )
        return all(number < 0.1 for number in shown)


def rates_of(after: Kstat, before: Kstat | None = None) -> DiskRates:
    """What a disk did between two readings, or since its numbers began.

    Args:
        after: The later reading, of kind IO.
        before: The earlier one.
    """
    since_ns = before.snaptime_ns if before else after.crtime_ns
    ns = max(0, after.snaptime_ns - since_ns) or _NS_PER_S

    def grown(name: str) -> int | None:
        if name not in after.data:
            return None
        value = int(after.data[name].value)
        if before and name in before.data:
            value -= int(before.data[name].value)
        return max(0, value)

    def per_s(name: str) -> float:
        return (grown(name) or 0) * _NS_PER_S / ns

    operations = (grown("reads") or 0) + (grown("writes") or 0)

    def over(name: str, by: int, scale: float = 1.0) -> float | None:
        value = grown(name)
        return None if value is None else value / scale / by if by else 0.0

    return DiskRates(
        reads_per_s=per_s("reads"),
        writes_per_s=per_s("writes"),
        read_bytes_per_s=per_s("nread"),
        written_bytes_per_s=per_s("nwritten"),
        wait=over("wlentime", ns),
        actv=over("rlentime", ns) or 0.0,
        wsvc_ms=over("wlentime", operations, _NS_PER_MS),
        asvc_ms=over("rlentime", operations, _NS_PER_MS) or 0.0,
        wait_percent=over("wtime", ns, 0.01),
        busy_percent=over("rtime", ns, 0.01) or 0.0,
        seconds=ns / _NS_PER_S,
    )


Reading: TypeAlias = Mapping[Id, Kstat]
"""The disks at one moment."""


def reading(kstats: Iterable[Kstat]) -> Reading:
    """The disks among kstats."""
    return {kstat.id: kstat for kstat in kstats if kstat.class_ == "disk" and not kstat.error}


def rates_between(after: Reading, before: Reading | None = None) -> dict[str, DiskRates]:
    """Every disk by its name; one that came in between since it did, or if it was removed and came anew."""
    found = {}
    for id, kstat in after.items():
        earlier = (before or {}).get(id)
        same = earlier is not None and earlier.crtime_ns == kstat.crtime_ns
        found[id.name] = rates_of(kstat, earlier if same else None)
    return found


def table(rates: Mapping[str, DiskRates]) -> pd.DataFrame:
    """Rates as a frame.

    Returns:
        Indexed by ``device`` (str); columns as the fields of :class:`DiskRates`, all float64, NaN where
        the kernel does not tell.
    """
    import pandas as pd

    names = [field.name for field in fields(DiskRates)]
    rows = {name: [getattr(one, name) for one in rates.values()] for name in names}
    return pd.DataFrame(rows, index=pd.Index(list(rates), name="device", dtype=str), dtype="float64")
