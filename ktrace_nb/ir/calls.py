"""What is recorded of calls: which functions, by what means, and which of their calls.

A :class:`Walk` is a program's wish to see every entry and return of many functions.
The language of patterns makes it, code generation and the agent carry it out, the
stream makes calls of what arrives.
"""

from __future__ import annotations

from dataclasses import dataclass, field

KPROBE_MULTI, FENTRY, GRAPH, KPROBE = "kprobe_multi", "fentry", "function_graph", "kprobe"
"""Means of seeing functions, see :attr:`Walk.means`."""

RING = "calls_ring"
"""Name of the BPF ring that records arrive by."""

TRACKED = "calls_tracked"
"""Name of the hash of thread groups (u32) whose calls are recorded, where not all are; the value is a u8."""

SWITCH_ROW = 0
"""Row of the switch map that all programs at functions look at.

Entries and returns must be on and off at one moment, or calls would be seen by halves.
"""

ENTRY, RETURN, THREAD, END = 0, 1, 2, 3
"""Kinds of records, ``struct calls_record.kind``."""


OPEN, THREADS, FOLLOWED = "calls_open", "calls_threads", "calls_followed"
"""Maps that programs keep for themselves: open calls, how many a thread has, the followed object."""

ENTRY_PROGRAM, RETURN_PROGRAM = "calls_entry", "calls_return"
"""Programs at functions; of trampolines each function has its own, see :func:`own_program`."""

THREAD_PROGRAMS = {
    "calls_fork": "sched_process_fork",
    "calls_exec": "sched_process_exec",
    "calls_rename": "task_rename",
    "calls_free": "sched_process_free",
}
"""Programs that tell of threads, and the tracepoint of each.

A thread has gone when the kernel frees it: after ``sched_process_exit`` it still closes its files.
Source: ``do_exit`` in Linux ``kernel/exit.c``.
"""


def own_program(program: str, number: int) -> str:
    """The name of a program that is for one function alone."""
    return f"{program}_{number}"


RESULT_NONE, RESULT_INT, RESULT_LONG = 0, 1, 2
"""What a function returns: nothing that can be an error, or one of 32 or of 64 bits."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A function whose calls are recorded; its place in :attr:`Walk.functions` is its number."""

    name: str
    module: str = ""
    """Empty for the kernel itself."""
    address: int = 0
    """Where it begins; 0 if the kernel hides addresses."""
    result: int = RESULT_NONE
    """What it returns, as far as it matters for :attr:`Focus.errors`: one of the ``RESULT_`` above."""
    pointers: int = 0
    """Which of the six argument registers have pointers, bit 0 the first."""
    followed: int = 0
    """Which argument has the object that :attr:`Focus.follow` names, counted from 1; 0 for none."""
    is_root: bool = False
    """Whether it is one of :attr:`Focus.roots`."""

    def cookie(self, number: int) -> int:
        """What the kernel keeps with the attachment for programs to read, see ``codegen/calls.h``.

        Bits 0-15 the number, 16-17 :attr:`result`, 18-23 :attr:`pointers`, 24-26 :attr:`followed`, 27 root.
        """
        flags = self.result | self.pointers << 2 | self.followed << 8 | self.is_root << 11
        return number | flags << 16


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A function that a pattern matches and that is not recorded."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """Which calls are wanted."""

    roots: tuple[str, ...] = ()
    """Only what happens below calls of these functions, themselves included; empty is everything."""
    depth: int = 0
    """Only so many levels, 1 is the outermost (below a root: the root's own); 0 is all."""
    errors: bool = False
    """Only calls that returned an error: -4095 to -1 as a number, or as a pointer."""
    longer_ns: int = 0
    """Only calls that took at least so long."""
    follow: str = ""
    """Only calls with one object among their arguments: ``PARAMETER``, ``FUNCTION:PARAMETER``, an address."""
    followed: int = 0
    """The address that :attr:`follow` is; 0 where the first call that has the parameter tells it."""
    tracked: bool = False
    """Only threads of the processes in the map :data:`TRACKED`, and of their children."""

    @property
    def stateful(self) -> bool:
        """Whether programs must know which calls of a thread are open."""
        return bool(self.roots or self.depth or self.follow) or self.completed

    @property
    def completed(self) -> bool:
        """Whether only at its return is known that a call is wanted.

        Both its records are then sent at its return, one right behind the other.
        """
        return self.errors or self.longer_ns > 0


@dataclass(frozen=True, kw_only=True)
class Walk:
    """The functions, the means, and what is wanted of them."""

    functions: tuple[Traced, ...]
    left_out: tuple[LeftOut, ...] = ()
    means: str = KPROBE_MULTI
    why: str = ""
    """One sentence for the user: which means, and why this one."""
    focus: Focus = field(default_factory=Focus)

    @property
    def has_values(self) -> bool:
        """Whether arguments and results are recorded."""
        return self.means != GRAPH
