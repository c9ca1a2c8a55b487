"""Pressure, the time that threads lost for want of something: ``psi:0:cpu``, ``memory``, ``io``, ``irq``.

``some_*`` is time in which at least one thread waited, ``full_*`` time in which none of those that
wanted to work could. ``_avg10``, ``_avg60`` and ``_avg300`` are percent of the last so many seconds,
as the kernel averages them; ``_total`` is the whole time since boot in microseconds, from which any
other average can be made. A kernel without PSI, or one started with ``psi=0``, has none of them.

Source: Linux ``Documentation/accounting/psi.rst``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ktrace_nb.kstat.builtin.parse import amount, count, decimal, is_number, kstat, rows
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Type, Value

FOLDER: Final = "/proc/pressure/"
SOURCES: Final = tuple(f"{FOLDER}{name}" for name in ("cpu", "memory", "io", "irq"))
KSTAT_MODULES: Final = ("psi",)
CLASSES: Final = ("pressure",)


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """One kstat for each thing that can be wanting."""
    for path in SOURCES:
        data = pressure(files.text(path))
        if data:
            yield kstat(files, "psi", 0, path.removeprefix(FOLDER), "pressure", data)


def pressure(text: str | None) -> dict[str, Value]:
    """The statistics of one file; also of a control group's ``*.pressure``."""
    data = {}
    for kind, *words in rows(text):
        for name, _, value in (word.partition("=") for word in words):
            average = decimal(value)
            if average is not None:
                data[f"{kind}_{name}"] = amount(average, "percent", Type.DOUBLE)
            elif is_number(value):
                data[f"{kind}_{name}"] = count(int(value), "us")
    return data
