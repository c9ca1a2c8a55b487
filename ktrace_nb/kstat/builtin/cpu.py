"""What the CPUs did: ``cpu:N:sys``, ``cpu_stat:N:cpu_statN``, ``linux:N:sched`` and ``linux:0:stat``.

Only CPUs that are on have kstats. Linux counts less per CPU than illumos: only these statistics of
``cpu:N:sys`` are there, and what they mean differs in places.

=================== ==================================================== ======================
statistic           what it is on Linux                                  illumos
=================== ==================================================== ======================
``cpu_nsec_user``   ``user`` + ``nice``; guests' time is in it           the same
``cpu_nsec_kernel`` ``system`` + ``irq`` + ``softirq``                   the same
``cpu_nsec_intr``   ``irq`` + ``softirq``, a part of ``_kernel``         hard interrupts only
``cpu_nsec_idle``   ``idle``                                             with time waited for I/O
``cpu_nsec_wait``   ``iowait``; the kernel warns that it may go back     –
``cpu_nsec_stolen`` ``steal``: a hypervisor ran others                   –
``cpu_nsec_guest``  ``guest`` + ``guest_nice``, a part of ``_user``      –
``cpu_ticks_*``     the same in ticks; ``_wait`` as ``wait_ticks_io``    ``_wait`` is always 0
``intr``            hard interrupts, inter-processor ones and timers too the same
``intrthread``      those with a number: of devices, as a rule           those below the clock's
``pswitch``         switches to a thread other than the idle one         and to that
``idlethread``      switches to the idle one, if they are counted        the same
=================== ==================================================== ======================

``idle`` + ``user`` + ``kernel`` + ``wait`` + ``stolen`` is all of a CPU's time. Times have the
resolution of a tick. Interrupts are counted in 32 bits and wrap. ``pswitch`` needs
``CONFIG_SCHEDSTATS``, ``idlethread`` besides that ``kernel.sched_schedstats=1``. Linux has nothing
for ``intrblk`` (no interrupt blocks there), and counts system calls, block reads and the like not at
all or not per CPU.

``cpu_stat:N:cpu_statN``, the older form, has the same under the names ``idle``, ``user``,
``kernel``, ``wait``, ``wait_io``, ``intr``, ``intrthread``, ``pswitch`` and ``idlethread``.

Source: Linux ``Documentation/filesystems/proc.rst`` (1.7), ``Documentation/scheduler/sched-stats.rst``
and ``kernel/sched/stats.c`` (the times there are nanoseconds); illumos ``sys/sysinfo.h`` and
``os/cpu.c``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from ktrace_nb.kstat.builtin.interrupts import INTERRUPTS, of_cpu, table, total
from ktrace_nb.kstat.builtin.parse import count, integers, is_number, kstat, rows
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Value

STAT: Final = "/proc/stat"
SCHEDSTAT: Final = "/proc/schedstat"
COUNTED: Final = "/proc/sys/kernel/sched_schedstats"
"""``1`` if the kernel keeps those counts of the scheduler that cost time."""

SOURCES: Final = (STAT, SCHEDSTAT, COUNTED, INTERRUPTS)
KSTAT_MODULES: Final = ("cpu", "cpu_stat", "linux")
CLASSES: Final = ("misc",)

_TIMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "idle": ("idle",),
    "user": ("user", "nice"),
    "kernel": ("system", "irq", "softirq"),
    "wait": ("iowait",),
    "intr": ("irq", "softirq"),
    "stolen": ("steal",),
    "guest": ("guest", "guest_nice"),
}
_TICKS = ("idle", "user", "kernel", "wait")
_SCHED = (
    "yld_count",
    "",  # kept for programs' sake, always 0
    "sched_count",
    "sched_goidle",
    "ttwu_count",
    "ttwu_local",
    "rq_cpu_time",
    "run_delay",
    "pcount",
)
_ALWAYS = _SCHED[6:]
_ALL = ("ctxt", "intr", "softirq")
_CPU = re.compile(r"cpu[0-9]{1,9}")


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """The kstats of each CPU that is on, then ``linux:0:stat`` with the sums that the kernel makes."""
    lines = rows(files.text(STAT))
    sched = _sched(files)
    interrupts = table(files.text(INTERRUPTS))
    for name, *words in lines:
        if _CPU.fullmatch(name):
            cpu = int(name[3:])
            ticks = _ticks(words)
            counts = {**_interrupts(of_cpu(interrupts, cpu)), **_switches(sched.get(cpu, {}))}
            yield kstat(files, "cpu_stat", cpu, f"cpu_stat{cpu}", "misc", _old(ticks, counts))
            yield kstat(files, "cpu", cpu, "sys", "misc", _sys(ticks, counts, files.hertz))
    for cpu, values in sched.items():
        data = {name: count(value, "ns" if name in _ALWAYS[:2] else "") for name, value in values.items()}
        yield kstat(files, "linux", cpu, "sched", "misc", data)
    sums = {name: count(first) for name, *words in lines if name in _ALL for first in integers(words[:1])}
    if sums:
        yield kstat(files, "linux", 0, "stat", "misc", sums)


def _ticks(words: list[str]) -> dict[str, int]:
    """Ticks by what they were spent on; an old kernel has fewer columns."""
    times = dict(zip(_TIMES, integers(words), strict=False))
    return {name: sum(times.get(part, 0) for part in parts) for name, parts in _PARTS.items()}


def _old(ticks: Mapping[str, int], counts: Mapping[str, Value]) -> dict[str, Value]:
    data = {name: count(ticks[name]) for name in _TICKS}
    return {**data, "wait_io": data["wait"], **counts}


def _sys(ticks: Mapping[str, int], counts: Mapping[str, Value], hertz: int) -> dict[str, Value]:
    in_ticks = {f"cpu_ticks_{name}": count(ticks[name]) for name in _TICKS}
    in_ns = {f"cpu_nsec_{name}": count(value * 1_000_000_000 // hertz, "ns") for name, value in ticks.items()}
    return {**in_ticks, **in_ns, "wait_ticks_io": in_ticks["cpu_ticks_wait"], **counts}


def _interrupts(counts: Mapping[str, int]) -> dict[str, Value]:
    if not counts:
        return {}  # the CPU came while the files were being read
    numbered = [value for name, value in counts.items() if is_number(name)]
    return {"intr": total(counts.values()), "intrthread": total(numbered)}


def _switches(sched: Mapping[str, int]) -> dict[str, Value]:
    names = {"pswitch": "pcount", "idlethread": "sched_goidle"}
    return {name: count(sched[own]) for name, own in names.items() if own in sched}


def _sched(files: Snapshot) -> dict[int, dict[str, int]]:
    """CPU to the counts of its scheduler, by the names they have in the kernel's source."""
    counted = (files.text(COUNTED) or "").strip() == "1"
    found = {}
    for name, *words in rows(files.text(SCHEDSTAT)):
        values = integers(words)
        if _CPU.fullmatch(name) and len(values) == len(_SCHED):
            named = zip(_SCHED, values, strict=True)
            found[int(name[3:])] = {n: value for n, value in named if n and (counted or n in _ALWAYS)}
    return found
