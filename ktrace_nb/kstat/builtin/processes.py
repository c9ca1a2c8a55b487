"""Processes and the machine as a whole: ``linux:0:proc`` and ``unix:0:system_misc``.

``linux:0:proc``: ``forks`` threads and processes made since boot, ``running`` threads that run or
could, ``blocked`` threads that wait for I/O without being interrupted, ``threads`` and ``processes``
there are, ``last_pid`` the number given last.

``unix:0:system_misc`` has the statistics of illumos but ``deficit`` and ``vac``, for which Linux has
nothing:

================= ==================================================================================
``ncpus``         CPUs that are on
``nproc``         processes, threads not counted
``lbolt``         ticks of ``USER_HZ`` since boot, time asleep included; 32 bits, wraps
``clk_intr``      the same, as there
``nsec_per_tick`` of these ticks
``avenrun_1min``  load times 256 (``FSCALE``), rounded down; ``_5min`` and ``_15min`` likewise. Unlike
                  there, threads that wait for a disk count
``boot_time``     seconds since 1970
================= ==================================================================================

Source: Linux ``fs/proc/stat.c``, ``fs/proc/loadavg.c``; illumos ``os/kstat_fr.c``, ``sys/param.h``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ktrace_nb.kstat.builtin.parse import amount, count, decimal, is_number, kstat, number, numbers
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Type, Value

STAT: Final = "/proc/stat"
LOAD: Final = "/proc/loadavg"
UPTIME: Final = "/proc/uptime"
PROC: Final = "/proc/"
SOURCES: Final = (STAT, LOAD, UPTIME, PROC)
KSTAT_MODULES: Final = ("linux", "unix")
CLASSES: Final = ("misc",)

_STAT = {"processes": "forks", "procs_running": "running", "procs_blocked": "blocked"}
_MINUTES = ("1min", "5min", "15min")
_FSCALE = 256


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """Both kstats, with what of them the kernel told."""
    stat = numbers(files.text(STAT))
    load = (files.text(LOAD) or "").split()
    processes = _processes(files)
    proc = {own: _of_stat(own, stat[name]) for name, own in _STAT.items() if name in stat}
    if len(load) == 5:
        numbered = {"threads": number(load[3].partition("/")[2]), "last_pid": number(load[4])}
        proc |= {name: amount(value) for name, value in numbered.items() if value is not None}
    if processes is not None:
        proc["processes"] = amount(processes)
    if proc:
        yield kstat(files, "linux", 0, "proc", "misc", proc)
    yield kstat(files, "unix", 0, "system_misc", "misc", _misc(files, stat, load, processes))


def _of_stat(name: str, value: int) -> Value:
    return count(value) if name == "forks" else amount(value)


def _misc(files: Snapshot, stat: dict[str, int], load: list[str], processes: int | None) -> dict[str, Value]:
    data = {"ncpus": amount(len(files.cpus), type=Type.UINT32)}
    if processes is not None:
        data["nproc"] = amount(processes, type=Type.UINT32)
    uptime = decimal((files.text(UPTIME) or "").partition(" ")[0])
    if uptime is not None:
        ticks = count(int(uptime * files.hertz) % (1 << 32), type=Type.UINT32)
        data |= {"lbolt": ticks, "clk_intr": ticks}
    data["nsec_per_tick"] = amount(1_000_000_000 // files.hertz, "ns", Type.UINT32)
    for minutes, average in zip(_MINUTES, map(decimal, load), strict=False):
        if average is not None:
            data[f"avenrun_{minutes}"] = amount(int(average * _FSCALE), type=Type.UINT32)
    if "btime" in stat:
        data["boot_time"] = amount(stat["btime"], "s", Type.UINT32)
    return data


def _processes(files: Snapshot) -> int | None:
    names = files.text(PROC)
    return None if names is None else sum(map(is_number, names.split()))
