"""Interrupts and softirqs.

``linux:IRQ:interrupts``, class ``interrupts``
    An interrupt with a number: ``cpuN`` how often that CPU handled it, ``total``, ``chip`` and
    ``actions``, which is what the kernel tells of its wiring and its handlers.
``linux:0:NMI`` and the like, class ``interrupts``
    The architecture's own, by name: ``LOC`` the local timers, ``RES`` rescheduling, ``CAL``
    function calls, ``TLB`` ..., with a ``description``.
``irq:IRQ:HANDLER``, class ``controller``, of the kind INTR
    The same as a driver on illumos publishes it. Linux tells neither soft interrupts nor watchdogs
    nor multiple service apart: all are ``hard``, the others 0.
``linux:CPU:softirqs``, class ``misc``
    Softirqs that a CPU ran, by kind, and ``total``. A CPU that is off has one if it ever ran any.

The kernel counts an interrupt in 32 bits per CPU; so does ``total``, which wraps as its parts do.

Source: Linux ``kernel/irq/proc.c`` (``show_interrupts``), ``arch/x86/kernel/irq.c``
(``arch_show_interrupts``), ``fs/proc/softirqs.c``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ktrace_nb.kstat.builtin.names import name_of, printable
from ktrace_nb.kstat.builtin.parse import amount, count, integers, is_number, kstat, word
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kind, Kstat, Type, Value

INTERRUPTS: Final = "/proc/interrupts"
SOFTIRQS: Final = "/proc/softirqs"
SOURCES: Final = (INTERRUPTS, SOFTIRQS)
KSTAT_MODULES: Final = ("linux", "irq")
CLASSES: Final = ("interrupts", "controller", "misc")

INSIDE_OTHERS: Final = ("TLB",)
"""Lines of ``/proc/interrupts`` that tell more of another: a flush is asked for by a function call."""

_SINGLE = ("ERR", "Err", "MIS")  # no columns per CPU; with one CPU they look as if they had
_WRAP = 1 << 32
_CPU = re.compile(r"CPU[0-9]{1,9}")
_WIRE = re.compile(r"\d+|(\d+)?-\S+|Level|Edge")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table with a column per CPU."""

    name: str
    counts: tuple[int, ...]
    """As many as there are CPUs; one alone where the kernel keeps a single count."""

    rest: str
    """What follows the numbers."""


@dataclass(frozen=True, slots=True)
class Table:
    """``/proc/interrupts`` or ``/proc/softirqs``."""

    cpus: tuple[int, ...]
    rows: tuple[Row, ...]

    def of(self, cpu: int) -> dict[str, int]:
        """The column of a CPU; empty if it has none."""
        if cpu not in self.cpus:
            return {}
        place = self.cpus.index(cpu)
        return {row.name: row.counts[place] for row in self.rows if place < len(row.counts)}


def table(text: str | None) -> Table:
    """Read such a table; empty if there is none."""
    head, *lines = (text or "").splitlines() or [""]
    cpus = tuple(int(name[3:]) for name in head.split() if _CPU.fullmatch(name))
    found = []
    for line in lines:
        name, _, rest = line.partition(":")
        words = rest.split(None, len(cpus))
        counts = integers(words[: len(cpus)])
        about = " ".join(words[len(counts) :]).strip()
        complete = len(counts) == len(cpus) or (len(counts) == 1 and not about)
        if counts and complete and name.strip():
            found.append(Row(name.strip(), tuple(counts), about))
    return Table(cpus, tuple(found))


def of_cpu(interrupts: Table, cpu: int) -> dict[str, int]:
    """How often a CPU handled what.

    With all CPUs added up, those that are off too, it is the first number of ``intr`` in ``/proc/stat``.
    Source: Linux ``arch/x86/kernel/irq.c``, ``arch_irq_stat_cpu``.
    """
    counted = interrupts.of(cpu).items()
    return {name: value for name, value in counted if name not in (*INSIDE_OTHERS, *_SINGLE)}


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """The kstats of every interrupt, then of every CPU's softirqs."""
    interrupts = table(files.text(INTERRUPTS))
    for row in interrupts.rows:
        data = _by_cpu(interrupts.cpus, row)
        if not is_number(row.name):
            yield kstat(files, "linux", 0, row.name, "interrupts", {**data, "description": word(row.rest)})
            continue
        number, (chip, actions) = int(row.name), _wiring(row.rest)
        about = {"chip": word(chip), "actions": word(printable(actions))}
        yield kstat(files, "linux", number, "interrupts", "interrupts", {**data, **about})
        if actions:
            handler = name_of(actions.split(", ")[0])
            yield kstat(files, "irq", number, handler, "controller", _intr(data["total"]), kind=Kind.INTR)
    softirqs = table(files.text(SOFTIRQS))
    for cpu in softirqs.cpus:
        kinds = softirqs.of(cpu)
        if cpu in files.cpus or any(kinds.values()):
            yield kstat(
                files, "linux", cpu, "softirqs", "misc", {**_counts(kinds), "total": total(kinds.values())}
            )


def _by_cpu(cpus: tuple[int, ...], row: Row) -> dict[str, Value]:
    single = len(row.counts) < len(cpus) or row.name in _SINGLE
    columns = {} if single else {f"cpu{cpu}": part for cpu, part in zip(cpus, row.counts, strict=True)}
    return {**_counts(columns), "total": total(row.counts)}


def _counts(parts: Mapping[str, int]) -> dict[str, Value]:
    return {name: count(value, type=Type.UINT32) for name, value in parts.items()}


def total(parts: Iterable[int]) -> Value:
    """The sum of counts of 32 bits, which has no more: then it wraps as they do, and its rate is right."""
    return count(sum(parts) % _WRAP, type=Type.UINT32)


def _intr(total: Value) -> dict[str, Value]:
    nothing = amount(0, type=Type.UINT32)
    return {"hard": total, **dict.fromkeys(("soft", "watchdog", "spurious", "multiple_service"), nothing)}


def _wiring(text: str) -> tuple[str, str]:
    """What the kernel tells of an interrupt's wiring, and of its handlers.

    The chip's name comes first, then the number at the chip if it has one, ``Level`` or ``Edge`` on some
    architectures, and the flow's name after a hyphen on others: ``IO-APIC 9-fasteoi acpi``,
    ``GICv3 27 Level arch_timer``, ``xen-dyn -event xenbus``.
    """
    words = text.split()
    end = 1
    while end < len(words) and _WIRE.fullmatch(words[end]):
        end += 1
    return " ".join(words[:end]), " ".join(words[end:])
