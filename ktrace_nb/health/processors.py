"""Pieces of what processors do: switches, interrupts, soft interrupts, NMIs, tasks."""

from __future__ import annotations

from collections.abc import Mapping

from ktrace_nb.health.model import TOTAL, Account, Change, Piece, ReadWords
from ktrace_nb.health.parsing import line, per_cpu
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kstat.files import Snapshot

_STAT, _INTERRUPTS, _SOFTIRQS = "/proc/stat", "/proc/interrupts", "/proc/softirqs"

# Where __schedule() really switches it adds 1 to rq->nr_switches and comes by the tracepoint, once
# each, however often it looks for a task before. Source: Linux kernel/sched/core.c.
CTXT = Piece(
    name="ctxt",
    title="context switches",
    unit="switches",
    kind="counter",
    changes=(Change(points=("raw_tracepoint:sched_switch",)),),
    account=Account(files=(_STAT,), parse=line(_STAT, "ctxt")),
)

VECTORS: Mapping[str, tuple[str, ...]] = {
    "LOC": ("local_timer_entry",),
    "RES": ("reschedule_entry",),
    "CAL": ("call_function_entry", "call_function_single_entry"),
    "IWI": ("irq_work_entry",),
    "TRM": ("thermal_apic_entry",),
    "THR": ("threshold_apic_entry",),
    "DFR": ("deferred_error_apic_entry",),
    "PLT": ("x86_platform_ipi_entry",),
    "SPU": ("spurious_apic_entry",),
}
"""Interrupts of x86 that no device has: line of ``/proc/interrupts`` to tracepoints. Source: Linux
``arch/x86/include/asm/trace/irq_vectors.h``, ``arch/x86/kernel/irq.c``."""


def _interrupt_rows(told: Mapping[str, int]) -> Mapping[str, int]:
    rows = {label: row for row, label in enumerate(VECTORS) if label in told}
    return rows | {label: len(VECTORS) + int(label) for label in told if label.isdigit()}


# An interrupt that devices share has a handler of each. All are called, and the last has no next:
# counting only that one counts interrupts, as the kernel does before it calls the first. Source:
# Linux kernel/irq/handle.c, __handle_irq_event_percpu(), kernel/irq/chip.c, kstat_incr_irqs_this_cpu().
INTERRUPTS = Piece(
    name="interrupts",
    title="interrupts",
    unit="interrupts",
    kind="counter",
    changes=(
        Change(
            points=("raw_tracepoint:irq_handler_entry",),
            given="!word(ctx->args[1] + offsetof(struct irqaction, next))",
            row=f"{len(VECTORS)} + (u32)ctx->args[0]",
        ),
        *(
            Change(points=(f"raw_tracepoint:{event}",), row=str(row), optional=True)
            for row, events in enumerate(VECTORS.values())
            for event in events
        ),
    ),
    account=Account(files=(_INTERRUPTS,), parse=per_cpu(_INTERRUPTS)),
    rows=_interrupt_rows,
    note="without those that no tracepoint tells of (PMI, RTR, TLB, MCE, MCP); NMIs are another piece."
    " The accounts differ where a driver hands an interrupt on to a thread of another (nested), where one"
    " comes again on another CPU while it is handled, and by what a CPU had counted that goes off",
)

SOFTIRQ_NAMES = ("HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU")
"""Lines of ``/proc/softirqs`` in the order of ``enum`` in Linux ``include/linux/interrupt.h``."""

SOFTIRQS = Piece(
    name="softirqs",
    title="soft interrupts",
    unit="softirqs",
    kind="counter",
    changes=(Change(points=("raw_tracepoint:softirq_entry",), row="(u32)ctx->args[0]"),),
    account=Account(files=(_SOFTIRQS,), parse=per_cpu(_SOFTIRQS)),
    rows=lambda told: {name: row for row, name in enumerate(SOFTIRQ_NAMES) if name in told},
)


def _nmis(files: Snapshot) -> Mapping[str, int]:
    sums = per_cpu(_INTERRUPTS)(files)
    return {TOTAL: sums["NMI"]} if "NMI" in sums else {}


def _asked_first(facts: KernelFacts, _: ReadWords) -> Mapping[str, int]:
    return {"HANDLER": next(iter(facts.symbols.addresses("nmi_cpu_backtrace_handler")), 0)}


# The tracepoint tells of every handler of an NMI. All those for CPUs' own are asked about each, and
# one of them is always there, the one that prints a CPU's stack: its calls are the NMIs. Source:
# Linux arch/x86/kernel/nmi.c, nmi_handle(), arch/x86/kernel/apic/hw_nmi.c.
NMI = Piece(
    name="nmi",
    title="NMIs",
    unit="NMIs",
    kind="counter",
    changes=(Change(points=("raw_tracepoint:nmi_handler",), given="ctx->args[0] == HANDLER"),),
    account=Account(files=(_INTERRUPTS,), parse=_nmis),
    rows=lambda told: dict.fromkeys(told, 0),
    constants=_asked_first,
)

# sched_process_fork does not tell of threads that the kernel makes in a process, such as io_uring's;
# task_newtask is where copy_process() ends. Source: Linux kernel/fork.c.
FORKS = Piece(
    name="forks",
    title="forks",
    unit="tasks",
    kind="counter",
    changes=(Change(points=("raw_tracepoint:task_newtask",)),),
    account=Account(files=(_STAT,), parse=line(_STAT, "processes")),
    note="processes and threads, of users and of the kernel",
)

# Since Linux 5.9, "sched: nr_running tracepoints". Source: kernel/sched/sched.h, add_nr_running().
RUNNABLE = Piece(
    name="runnable",
    title="runnable tasks",
    unit="tasks",
    kind="level",
    changes=(Change(points=("raw_tracepoint:sched_update_nr_running_tp",), by="(s32)ctx->args[1]"),),
    account=Account(files=(_STAT,), parse=line(_STAT, "procs_running")),
    least=0,
    note="running or waiting for a CPU; who reads the number is one of them",
)

PIECES = (CTXT, INTERRUPTS, SOFTIRQS, NMI, RUNNABLE, FORKS)
