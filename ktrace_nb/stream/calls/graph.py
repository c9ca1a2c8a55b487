"""Records of calls out of what ftrace's ``function_graph`` writes.

::

    decoder = GraphDecoder(walk.functions)
    records = decoder.add(reply.head["graph"], pages)   # NDArray[RECORD], in order
    rest = decoder.flush()                              # when nothing more comes
    decoder.lost, decoder.gaps, decoder.foreign, decoder.too_deep

``head["graph"]`` of a ``collect`` describes ``head["graph"]["bytes"]`` bytes of its
blob, right behind the spans of rings; :mod:`ktrace_nb.agent.graph` tells what is
in it. The formats of pages and events come with the first of them.

Every CPU has a buffer of its own, and each is in order of time. A record is given
out once nothing can come any more that belongs before it: up to the time at which
the agent began to read, or that of the last event read from a CPU that had more
than was taken, if that is earlier. For one thread that is exact: an event is in the buffer before the
thread runs on, let alone on another CPU.

The kernel numbers calls by their depth among the recorded ones; ``frame`` of a
record is 0xFFFFFFFF less that depth. Where it shows results (since Linux 6.5, if
built with CONFIG_FUNCTION_GRAPH_RETVAL), they are the first of ``values``.

Sources: ``events/ftrace/funcgraph_entry/format`` and ``funcgraph_exit/format``;
Linux ``kernel/trace/trace_functions_graph.c`` and ``fgraph.c``. Times are those of
the ring buffer: ``calltime`` and ``rettime`` go by a clock that is not the trace's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.errors import StreamError
from ktrace_nb.ir.calls import ENTRY, RETURN, Traced
from ktrace_nb.kernel.errors import FactError
from ktrace_nb.kernel.tracefs import Field, parse_format
from ktrace_nb.stream.calls.pages import (
    Events,
    PageLayout,
    check_number,
    count_gaps,
    cut_pages,
    parse_page_layout,
)
from ktrace_nb.stream.calls.records import PID_MAX_LIMIT, RECORD

_PROLOGUE = 16
"""Bytes from a function's begin within which the call to ftrace lies: behind
``endbr64`` on x86, behind ``bti c`` and two instructions on arm64."""

_MOST_CPUS = 1 << 15
"""Numbers of CPUs are smaller: a frame has an int16 for them, the largest ``NR_CPUS`` is 8192."""

_LARGEST_PAGE = 1 << 20
"""Bytes; the kernel's sub-buffers are of 128 pages at most. Source: Linux ``kernel/trace/ring_buffer.c``."""

_ROW = np.dtype(
    [
        ("at", "<u8"),
        ("result", "<u8"),
        ("tid", "<u4"),
        ("frame", "<u4"),
        ("function", "<u2"),
        ("cpu", "<u2"),
        ("kind", "<u4"),
    ]
)
"""What of a record is not always 0: less to be moved while it is brought into order."""

_OUTERMOST = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class _Event:
    """Where one of the two events has what is needed, in bytes from its start."""

    kind: int
    id: int
    tid: Field
    address: Field
    depth: Field
    result: Field | None = None
    overrun: Field | None = None

    @property
    def words(self) -> int:
        """How many words at least an event takes."""
        fields = (self.tid, self.address, self.depth, self.result, self.overrun)
        return max(field.offset + field.size for field in fields if field is not None) // 4


class GraphDecoder:
    """Makes records of pages, batch by batch.

    Args:
        functions: What is traced; the place of each is its number. Addresses must be known.
    """

    def __init__(self, functions: Sequence[Traced]) -> None:
        addresses = np.array([f.address for f in functions], np.uint64)
        order = np.argsort(addresses, kind="stable")
        self._addresses = addresses[order]
        self._numbers = order.astype(np.uint16)
        self._layout: PageLayout | None = None
        self._events: tuple[_Event, ...] = ()
        self._waiting = np.empty(0, _ROW)
        self._reached: dict[int, int] = {}
        self._overruns: dict[int, list[int]] = {}
        self._began_at_0 = np.zeros(PID_MAX_LIMIT, bool)
        self.lost = 0
        """Events that the kernel overwrote before they were read, or had no room for."""
        self.gaps = 0
        """How many times events are missing between two pages."""
        self.foreign = 0
        """Events that are none of these functions' entries and returns."""

    @property
    def too_deep(self) -> int:
        """Calls not seen because too many of the thread's were open: more than 50 in Linux 6.1."""
        return sum(last - first for first, last in self._overruns.values())

    @property
    def reached_ns(self) -> int:
        """Up to when all events of all CPUs have come; 0 before the first have."""
        return min(self._reached.values(), default=0)

    def add(self, head: Mapping[str, Any], pages: bytes | memoryview) -> NDArray[np.void]:
        """Take in what one ``collect`` brought.

        Args:
            head: Its ``head["graph"]``.
            pages: The bytes it describes.

        Returns:
            Records (:data:`RECORD`) in order of time, each function's address made its number.

        Raises:
            StreamError: Not pages of a kernel whose formats are known.
        """
        if "formats" in head:
            self._learn(head["formats"])
        self.lost = check_number("a count of lost events", head["lost"], 1 << 64)
        new = self._decode(head, pages)
        before = self.reached_ns
        rows = _sorted(np.concatenate((self._waiting, new)) if len(self._waiting) else new)
        ready = int(np.searchsorted(rows["at"], np.uint64(before), side="right"))
        self._waiting = rows[ready:].copy()
        return _as_records(rows[:ready])

    def flush(self) -> NDArray[np.void]:
        """What waits for events that might have come before it; when the last ``add`` has been."""
        rest, self._waiting = self._waiting, np.empty(0, _ROW)
        return _as_records(rest)

    def _learn(self, formats: Mapping[str, str]) -> None:
        self._layout = parse_page_layout(formats["header_page"])
        try:
            self._events = (
                _event(ENTRY, formats["funcgraph_entry"]),
                _event(RETURN, formats["funcgraph_exit"]),
            )
        except FactError as error:
            raise StreamError(f"ftrace's function_graph cannot be read: {error}") from None

    def _decode(self, head: Mapping[str, Any], pages: bytes | memoryview) -> NDArray[np.void]:
        """Rows of the pages, CPU by CPU; notes how far each CPU's are known."""
        if self._layout is None:
            raise StreamError("pages of ftrace's came before their format")
        size = check_number("a page's size", head["page"], _LARGEST_PAGE + 1)
        layout = self._layout
        if size % 4 or size // 4 < max(layout.timestamp + 2, layout.commit + 1, layout.data + 1):
            raise StreamError(f"pages of ftrace's cannot have {size} bytes")
        before_ns = check_number("a time", head["before_ns"], 1 << 64)
        for cpu, count, _ in head["cpus"]:
            check_number("a CPU", cpu, _MOST_CPUS)
            check_number("a count of pages", count, 1 << 32)
        if len(pages) % size or len(pages) // size != sum(count for _, count, _ in head["cpus"]):
            raise StreamError("not whole pages of ftrace's")
        words = np.frombuffer(pages, "<u4").reshape(-1, size // 4)
        found = cut_pages(words, self._layout)
        self.gaps += count_gaps(words, self._layout)
        cpus = np.repeat(
            np.array([cpu for cpu, _, _ in head["cpus"]], np.uint16),
            np.array([count for _, count, _ in head["cpus"]], np.int64),
        )
        first = 0
        for cpu, count, drained in head["cpus"]:
            reached = self._reached.get(cpu, 0)
            begin, end = np.searchsorted(found.page, (first, first + count))
            if drained:
                reached = max(reached, before_ns)
            elif end > begin:
                # What the ring tells of threads is known up to before_ns only.
                reached = max(reached, min(int(found.at[end - 1]), before_ns))
            self._reached[cpu] = reached
            first += count
        return self._rows(words, found, cpus[found.page])

    def _rows(self, pages: NDArray[np.uint32], events: Events, cpu: NDArray[np.uint16]) -> NDArray[np.void]:
        words, page = pages.reshape(-1), pages.shape[1]
        at, place = events.at, events.place
        types = words[place] & 0xFFFF
        address = np.zeros(len(at), np.uint64)
        which = [np.flatnonzero(types == event.id) for event in self._events]
        for event, rows in zip(self._events, which, strict=True):
            if (place[rows] % page + event.words > page).any():
                raise StreamError("an event of ftrace's does not end where its page does")
            address[rows] = _read(words, place[rows], event.address)
        number = np.searchsorted(self._addresses, address, side="right") - 1
        known = number >= 0
        if len(self._addresses):
            known &= address - self._addresses[number] <= _PROLOGUE
        out = np.zeros(len(at), _ROW)
        out["at"] = at
        out["cpu"] = cpu
        out["function"] = self._numbers[number] if len(self._numbers) else 0
        for event, rows in zip(self._events, which, strict=True):
            where = place[rows]
            out["kind"][rows] = event.kind
            out["tid"][rows] = _read(words, where, event.tid)
            out["frame"][rows] = _OUTERMOST - _read(words, where, event.depth).astype(np.uint32)
            if event.result is not None:
                out["result"][rows] = _read(words, where, event.result)
            if event.overrun is not None:
                self._note_overruns(out["tid"][rows], _read(words, where, event.overrun))
        self.foreign += len(known) - int(np.count_nonzero(known))
        return out if known.all() else out[known]

    def _note_overruns(self, tids: NDArray[np.uint32], overruns: NDArray[np.uint64]) -> None:
        """The kernel counts for as long as a thread lives; what it counted before we looked is not ours."""
        self._began_at_0[tids[overruns == 0] % PID_MAX_LIMIT] = True
        for row in np.flatnonzero(overruns):
            tid, count = int(tids[row]), int(overruns[row])
            first = 0 if self._began_at_0[tid % PID_MAX_LIMIT] else count
            self._overruns.setdefault(tid, [first, count])[1] = count


def _event(kind: int, text: str) -> _Event:
    """Read the format of one of the two events.

    Raises:
        FactError: Not a format, or one without what is needed.
    """
    layout = parse_format(text)
    fields = {field.name: field for field in layout.fields}
    missing = [name for name in ("common_pid", "func", "depth") if name not in fields]
    if missing:
        raise FactError(f"event {layout.name!r} has no {missing[0]!r}")
    if odd := [
        f.name for f in fields.values() if f.name in _NEEDED and (f.offset % 4 or f.size not in (4, 8))
    ]:
        raise FactError(f"event {layout.name!r} has {odd[0]!r} at an odd place")
    return _Event(
        kind,
        layout.id,
        fields["common_pid"],
        fields["func"],
        fields["depth"],
        fields.get("retval"),
        fields.get("overrun"),
    )


_NEEDED = ("common_pid", "func", "depth", "retval", "overrun")


def _read(words: NDArray[np.uint32], place: NDArray[np.int64], field: Field) -> NDArray[np.uint64]:
    """A field of every event whose data begins at these words."""
    low = words[place + field.offset // 4].astype(np.uint64)
    if field.size == 4:
        return low
    return low | (words[place + (field.offset // 4 + 1)].astype(np.uint64) << np.uint64(32))


def _sorted(rows: NDArray[np.void]) -> NDArray[np.void]:
    """In order of time; those of one time stay in the order they came in."""
    at = rows["at"]
    if (at[1:] >= at[:-1]).all():
        return rows
    return rows[np.argsort(at, kind="stable")]


def _as_records(rows: NDArray[np.void]) -> NDArray[np.void]:
    records = np.zeros(len(rows), RECORD)
    for name in ("at", "tid", "frame", "function", "cpu", "kind"):
        records[name] = rows[name]
    records["values"][:, 0] = rows["result"]
    return records
