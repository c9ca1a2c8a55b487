"""How the parts of a script lie in memory: what the generated C writes and the notebook reads.

Everything is made of slots whose sizes are multiples of eight bytes: an integer or
a symbol has one of eight, a string one of its size rounded up. Strings end with a
NUL; those in maps have NULs behind it, so that equal strings are equal bytes.

A record in the ring::

    u32 number      of ir.script.Record, or ERROR, ERROR_TEXT, EXIT
    u32 handler     number of the handler
    u64 ktime       bpf_ktime_get_ns(), CLOCK_MONOTONIC
    u64 faults      bit n: value n could not be read, its slot begins with the address
    slots of the values

Entries of an array have the slots of the keys as key and the slot of the value as
value. Statistics are kept per CPU, see :class:`StatisticsLayout`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ktrace_nb.ir.script import GlobalVariable, HistogramShape, KernelGlobal, Shape
from ktrace_nb.source import Place

RECORDS = "ktrace_records"
"""The ring buffer of all records."""
STATE = "ktrace_state"
"""An array of one ``struct ktrace_state_``: u64 :data:`STATE_FIELDS`."""
STACKS = "ktrace_stacks"
"""Stacks of ``backtrace()`` and ``ubacktrace()``."""
SCRATCH = "ktrace_scratch"
"""Room for what the stack of a program is too small for; of no use outside."""

STATE_FIELDS = ("stopping", "target_pid", "realtime_offset_ns", "errors")
"""Handlers leave at once while ``stopping`` is not 0. The offset is CLOCK_REALTIME less CLOCK_MONOTONIC.
Programs count ``errors``, and stop when there are more than may be."""

HEAD_SIZE = 24
"""Bytes in front of a record's values: u32, u32, u64, u64."""
ERROR, EXIT, ERROR_TEXT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
"""Numbers of records that belong to no :class:`~ktrace_nb.ir.script.Record`.

``ERROR`` goes on with u32 site, u32 0, u64 detail; ``ERROR_TEXT`` with the slot of the
message that ``error()`` was given; ``EXIT``, sent by ``exit()``, has nothing more.
"""
ERROR_SIZE = HEAD_SIZE + 16

FAULT, DIVISION, ARRAY_FULL, TOO_MANY_ACTIONS, RAISED = 1, 2, 3, 4, 5
"""What can go wrong at a site. The detail is the address that could not be read; else 0."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the kernel's part of a script where something can go wrong."""

    code: int
    """:data:`FAULT` and so on."""
    at: Place | None
    name: str = ""
    """Of the array that is full, or the text that ``error()`` was given."""


# --- slots -----------------------------------------------------------------------------------


def slot_size(shape: Shape) -> int:
    """Bytes of a value's slot."""
    return (shape.size + 7) & ~7 if is_text(shape) else 8


def is_text(shape: Shape) -> bool:
    """Whether the bytes of a string are kept, not a number."""
    return shape.text and not shape.symbol


def offsets(shapes: Iterable[Shape], start: int = 0) -> list[int]:
    """Where each slot begins, and where the last ends."""
    result = [start]
    for shape in shapes:
        result.append(result[-1] + slot_size(shape))
    return result


def record_offsets(values: Iterable[Shape]) -> list[int]:
    """Where each value of a record begins, and the record's size."""
    return offsets(values, HEAD_SIZE)


# --- maps ------------------------------------------------------------------------------------


def _identifier(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)


def map_name(variable: GlobalVariable | str) -> str:
    """The map of a global: an array of one entry for a scalar, else a hash."""
    return "g_" + _identifier(variable if isinstance(variable, str) else variable.name)


def buckets_map_name(variable: GlobalVariable | str, histogram: int) -> str:
    """The per-CPU hash with the buckets of an array's n-th histogram.

    Its keys are those of the array with an s64 bucket behind, its values u64 counts.
    """
    return f"h{histogram}_" + _identifier(variable if isinstance(variable, str) else variable.name)


# --- statistics ------------------------------------------------------------------------------

LOG_BUCKETS, LOG_ZERO = 128, 64
"""Buckets of a logarithmic histogram, and that of 0.

A value of bit length n is in bucket 64 + n, its negative in 64 - n, as in SystemTap
(runtime/stat-common.c), where bucket 65 is 1, 66 is 2 and 3, 63 is -1.
"""


@dataclass(frozen=True, slots=True)
class StatisticsLayout:
    """Offsets in the value of a statistics map, one such value per CPU.

    s64 count, sum, min, max; min and max mean something if the count is not 0. With
    ``variance`` the sum of squares follows, 128 bits, low word first. Of a scalar the
    u64 buckets of its histograms follow, those of an array are in maps of their own.
    """

    squares: int
    """0 if there are none."""
    histograms: tuple[int, ...]
    size: int


def statistics_layout(variable: GlobalVariable) -> StatisticsLayout:
    """The layout of a global's statistics."""
    at = 32
    squares = at if variable.variance else 0
    at += 16 if variable.variance else 0
    found = []
    for shape in variable.histograms if not variable.keys else ():
        found.append(at)
        at += 8 * bucket_count(shape)
    return StatisticsLayout(squares, tuple(found), at)


def bucket_count(shape: HistogramShape) -> int:
    """How many buckets a histogram has.

    A linear one has one for what is below, one per step, the last of them for the upper
    bound itself, and one for what is above (SystemTap's runtime/stat-common.c).
    """
    return LOG_BUCKETS if shape.is_log else (shape.high - shape.low) // shape.step + 3


def bucket_of(shape: HistogramShape, value: int) -> int:
    """The bucket of a value; what the C of ``codegen/script.h`` computes."""
    if shape.is_log:
        return LOG_ZERO + (value.bit_length() if value >= 0 else -value.bit_length())
    if value < shape.low:
        return 0
    return min((value - shape.low) // shape.step + 1, bucket_count(shape) - 1)


# --- sizes -----------------------------------------------------------------------------------

BUCKETS_PER_ENTRY, MOST_BUCKETS = 32, 1 << 17


def array_entries(kernel_global: KernelGlobal, default: int) -> int:
    """How many entries an array's map has room for."""
    return kernel_global.variable.size or default


def buckets_entries(kernel_global: KernelGlobal, default: int) -> int:
    """How many entries the map of an array's histogram has room for."""
    return min(array_entries(kernel_global, default) * BUCKETS_PER_ENTRY, MOST_BUCKETS)
