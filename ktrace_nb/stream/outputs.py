"""Everything a session's cell puts out, from collected bytes to frames.

:meth:`Outputs.ingest` takes a reply of the agent's ``collect``; frames are built
when asked for, from the latest snapshot. No clock and no connection here: the
same code serves a live session and a recorded one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ktrace_nb.diagnostics import Problem
from ktrace_nb.errors import StreamError
from ktrace_nb.ir.program import LINEAR, LOG2, Output
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import RECORDS, Kind
from ktrace_nb.stream.events import EventStream
from ktrace_nb.stream.histogram import is_log2
from ktrace_nb.stream.history import EVERY_S, History, history_frame, rates_frame
from ktrace_nb.stream.layout import Layout, layout_of, plain_layout
from ktrace_nb.stream.ledger import Entry, kernel_losses, ledger_frame, read_counts
from ktrace_nb.stream.maps import MapSchema, MapSnapshot
from ktrace_nb.stream.records import cut_perf, cut_ring
from ktrace_nb.stream.stacks import Symbolizer, stacks_frame
from ktrace_nb.stream.window import Events
from ktrace_nb.wire import bundle as b

COUNTERS = 8
"""An array of so many numbers at most is taken for counters."""

TEXT_LINES = 100_000
"""Printed lines kept at most; the oldest go."""


@dataclass(frozen=True, slots=True)
class ProgramCounts:
    """What the kernel says of one program."""

    hits: int
    ns: int
    """Nanoseconds of all runs together."""
    recursion: int
    """Runs skipped because the program was already running on that CPU."""
    missed: int
    """Probes missed because they nested or all return slots were taken."""

    def since(self, before: ProgramCounts) -> ProgramCounts:
        """What was counted after another moment."""
        return ProgramCounts(
            self.hits - before.hits,
            max(0, self.ns - before.ns),  # an estimate
            self.recursion - before.recursion,
            self.missed - before.missed,
        )


_NO_COUNTS = ProgramCounts(0, 0, 0, 0)


class Outputs:
    """Frames, text and losses of one session.

    Args:
        bundle: What was loaded.
        outputs: What the cell's text tells of its tables.
        events: Fields and types of what each output table carries.
        structs: C types of the cell's structures that may be events.
        name_addresses: Names for kernel addresses in stacks.
        every_s: Seconds between snapshots of maps that are kept.
    """

    def __init__(
        self,
        bundle: b.Bundle,
        outputs: Sequence[Output],
        events: Mapping[str, Sequence[tuple[str, str]]],
        structs: Sequence[str],
        name_addresses: Symbolizer,
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._structs = tuple(structs)
        self._btf = Btf(bundle.btf) if bundle.btf else None
        self._maps = {m.name: m for m in bundle.maps}
        self._by_fd = {m.fd: m for m in bundle.maps}
        self._declared = {o.name: o for o in outputs}
        self._name_addresses = name_addresses
        self._schemas = {m.name: MapSchema(m, self._btf) for m in bundle.maps if m.type in b.LISTABLE_TYPES}
        self.streams = {
            m.name: EventStream(self._event_layouts(m.name, events.get(m.name, ())))
            for m in bundle.maps
            if m.role in ("ring", "perf_output")
        }
        self._snapshots: dict[str, MapSnapshot] = {}
        self._every_s = every_s
        self._histories = {
            name: History(every_s)
            for name, schema in self._schemas.items()
            if schema.definition.type != b.STACK_TRACE
        }
        self._frames: dict[tuple[str, bool], tuple[int, pd.DataFrame]] = {}
        self._counts: dict[int, dict[str, int]] = {}
        """Rows of the ledger, as the kernel has them."""
        self._counts_before: dict[int, dict[str, int]] = {}
        """The same when everything was forgotten last."""
        self._lock = threading.Lock()
        self.programs = {p.name: _NO_COUNTS for p in bundle.programs}
        self._programs_before: dict[str, ProgramCounts] = {}
        self._rows = {p.name: p.hits_row for p in bundle.programs}
        self.silences: Mapping[str, str] = {}
        """Why programs may never be hit, by their names."""
        self.text: list[str] = []
        """Lines printed by the programs, as the kernel wrote them."""
        self.lines_printed = 0
        self.problems: list[Problem] = []
        """What went wrong while it ran, that the user should know."""
        self._lines_lost = self._lines_lost_before = self._lines_before = 0
        self._output_dropped: int | None = None
        """Bytes of the workload's output that the agent had no room for; None without one."""

    @property
    def names(self) -> list[str]:
        """Names of all frames: as declared, then what macros made."""
        known = [*self.streams, *self._schemas]
        first = [name for name in self._declared if name in known]
        return [*first, *(name for name in known if name not in self._declared)]

    @property
    def counted(self) -> list[str]:
        """Names of the maps that have a history and rates: all but stacks."""
        return [name for name in self.names if name in self._histories]

    @property
    def stream_names(self) -> list[str]:
        """Names of the outputs that are events."""
        return list(self.streams)

    @property
    def map_names(self) -> list[str]:
        """Maps to be collected, the ledger included."""
        return [*self._schemas, b.LEDGER]

    @property
    def emptied(self) -> list[str]:
        """Maps that are emptied in the kernel before everything is forgotten."""
        return list(self._schemas)

    @property
    def switches(self) -> Mapping[str, tuple[int, ...]]:
        """Programs that can be switched, as :attr:`programs` has them, and the rows that takes."""
        return {name: (row,) for name, row in self._rows.items() if row >= 0}

    @property
    def unswitchable(self) -> list[str]:
        """Programs that came out of macros and have no guard."""
        return [name for name, row in self._rows.items() if row < 0]

    def kind(self, name: str) -> str:
        """``histogram``, ``events``, ``stacks`` or ``map``."""
        if name in self.streams:
            return "events"
        if self._maps[name].type == b.STACK_TRACE:
            return "stacks"
        kind = self._declared[name].kind if name in self._declared else "map"
        return kind if kind != "histogram" or self._schemas[name].bucket else "map"

    def is_counters(self, name: str) -> bool:
        """Whether it is an array of a handful of numbers."""
        definition = self._maps.get(name)
        arrays = (b.ARRAY, b.PERCPU_ARRAY)
        return definition is not None and definition.type in arrays and definition.max_entries <= COUNTERS

    def scale(self, name: str) -> str:
        """Of a histogram: ``log2`` or ``linear``.

        What the text of the cell says, unless the frame has buckets that no power of two has.
        """
        if not self._declared_log2(name):
            return LINEAR
        buckets = self.frame(name).index.get_level_values("bucket").to_numpy()
        return LOG2 if is_log2(buckets) else LINEAR

    def _declared_log2(self, name: str) -> bool:
        return name in self._declared and self._declared[name].scale == LOG2

    # --- in --------------------------------------------------------------------------

    def ingest(self, head: Mapping[str, Any], blob: bytes) -> tuple[bytes, bytes]:
        """Take in what the agent collected; gives the workload's stdout and stderr in it.

        Raises:
            StreamError: A span of a ring is not whole records; what came before it is kept.
        """
        view = memoryview(blob)
        at = 0

        def take(size: int) -> memoryview:
            nonlocal at
            at += size
            return view[at - size : at]

        with self._lock:
            for fd, _cpu, size in head["spans"]:
                definition = self._by_fd[fd]
                try:
                    self._read_span(definition, take(size))
                except StreamError as error:
                    raise StreamError(f"stream {definition.name!r} is damaged: {error.message}") from None
            if "graph" in head:
                self._read_graph(head["graph"], take(head["graph"]["bytes"]))
            for name, count, stride, at_ns in head["maps"]:
                key_size = 4 if name == b.LEDGER else self._maps[name].key_size
                keys, values = bytes(take(count * key_size)), bytes(take(count * stride))
                if name == b.LEDGER:
                    self._read_ledger(values, stride)
                else:
                    self._read_map(name, MapSnapshot(keys, values, stride, at_ns))
            self._read_programs(head["programs"])
            self._read_text(bytes(take(head.get("text", 0))))
            self._lines_lost = head.get("text_lost", 0)
        workload = head.get("workload") or {}
        self._output_dropped = workload.get("dropped")
        return bytes(take(workload.get("stdout", 0))), bytes(take(workload.get("stderr", 0)))

    def _read_span(self, definition: b.MapDef, span: memoryview) -> None:
        cut = cut_ring if definition.role == "ring" else cut_perf
        self.streams[definition.name].add(cut(span))

    def _read_graph(self, head: Mapping[str, Any], pages: memoryview) -> None:
        """Take in pages of ftrace's, which only walks ask for."""

    def _read_map(self, name: str, snapshot: MapSnapshot) -> None:
        self._snapshots[name] = snapshot
        if name in self._histories:
            self._histories[name].add(snapshot)

    def _read_programs(self, counts: Mapping[str, list[int]]) -> None:
        for name, numbers in counts.items():
            self._read_program(name, ProgramCounts(*numbers))

    def _read_program(self, name: str, counts: ProgramCounts) -> None:
        self.programs[name] = counts.since(self._programs_before.get(name, _NO_COUNTS))

    def _read_ledger(self, values: bytes, stride: int) -> None:
        for number, row in enumerate(read_counts(values, stride)):
            self._counts[number] = {name: int(n) for name, n in zip(b.LEDGER_FIELDS, row, strict=True)}

    def _read_text(self, data: bytes) -> None:
        lines = data.decode("utf-8", "replace").splitlines()
        self.lines_printed += len(lines)
        self.text += lines
        del self.text[:-TEXT_LINES]

    # --- anew ------------------------------------------------------------------------

    def forget(self) -> None:
        """Begin anew: what was counted, sent and printed so far counts no more.

        The programs are off, everything they sent has been taken in, :attr:`emptied` are
        empty in the kernel and were read again. Frames handed out stay as they are.
        """
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._forget_counts()
        for stream in self.streams.values():
            stream.forget()
        for name in self._histories:
            self._histories[name] = History(self._every_s)
            if name in self._snapshots:
                self._histories[name].add(self._snapshots[name])
        self._frames.clear()
        self.text = []
        self._lines_before = self.lines_printed
        self._lines_lost_before = self._lines_lost

    def _forget_counts(self) -> None:
        before = {number: dict(row) for number, row in self._counts.items()}
        for definition in self._maps.values():
            came = self._came(definition.name)
            if came is None or definition.slot < 0:
                continue
            # A record that is under way yet counts for what comes: here, when it has come.
            number = 1 + definition.slot
            row = self._row(number)
            had = self._counts_before.get(number, {}).get("submitted", 0)
            before.setdefault(number, dict.fromkeys(b.LEDGER_FIELDS, 0))
            before[number]["submitted"] = had + came + row["dropped"] + row["capped"]
        self._counts_before = before
        for name, counts in self.programs.items():
            had_counts = self._programs_before.get(name, _NO_COUNTS)
            self._programs_before[name] = ProgramCounts(
                had_counts.hits + counts.hits,
                had_counts.ns + counts.ns,
                had_counts.recursion + counts.recursion,
                had_counts.missed + counts.missed,
            )
            self.programs[name] = _NO_COUNTS

    def _came(self, name: str) -> int | None:
        """Records of a stream that have come, given-up ones included; None of other maps."""
        stream = self.streams.get(name)
        return None if stream is None else stream.arrived + stream.discarded

    # --- out -------------------------------------------------------------------------

    def printed(self) -> str:
        """What was printed, as text."""
        return "".join(line + "\n" for line in self.text)

    def lines_after(self, seen: int) -> tuple[list[str], int]:
        """Lines printed after the first ``seen``, as far as they are kept, and how many there are by now."""
        with self._lock:
            fresh = self.lines_printed - seen
            return (self.text[-fresh:] if fresh else []), self.lines_printed

    def generation(self, name: str) -> int:
        """Changes whenever the frame may have."""
        stream = self.streams.get(name)
        if stream is not None:
            return stream.generation
        snapshot = self._snapshots.get(name)
        return snapshot.at_ns if snapshot else 0

    def frame(self, name: str, *, per_cpu: bool = False) -> pd.DataFrame:
        """A frame as it stands; the same object as long as nothing new has come.

        Raises:
            KeyError: No output of that name.
            ValueError: ``per_cpu`` of what is not counted per CPU.
        """
        with self._lock:
            generation = self.generation(name)
            kept = self._frames.get((name, per_cpu))
            if kept is None or kept[0] != generation:
                kept = generation, self._build(name, per_cpu)
                self._frames[name, per_cpu] = kept
            return kept[1]

    def _build(self, name: str, per_cpu: bool) -> pd.DataFrame:
        if name in self.streams:
            if per_cpu:
                raise ValueError(f"{name!r} is no per-CPU map")
            return self.streams[name].events().frame()
        return self._laid_out(name, self._snapshot(name), per_cpu=per_cpu)

    def _laid_out(self, name: str, snapshot: MapSnapshot, *, per_cpu: bool = False) -> pd.DataFrame:
        schema = self._schemas[name]
        if schema.definition.type == b.STACK_TRACE:
            return stacks_frame(snapshot, self._name_addresses)
        if self.kind(name) == "histogram" and not per_cpu:
            return schema.histogram(snapshot, log2=self._declared_log2(name))
        return schema.frame(snapshot, per_cpu=per_cpu)

    def events(self, name: str) -> Events:
        """The records of a stream as they stand.

        Raises:
            KeyError: No stream of that name.
        """
        with self._lock:
            return self.streams[name].events()

    def rates(self, name: str, over_s: float) -> tuple[pd.DataFrame, float]:
        """How fast a map grows, see :func:`rates_frame`, and the seconds it was watched for.

        Raises:
            KeyError: No map of that name with a history.
        """
        with self._lock:
            pair = self._histories[name].pair(round(over_s * 1e9))
            if pair is None:
                now = self._laid_out(name, self._snapshot(name))
                return rates_frame(now, now, 1.0).iloc[:0], 0.0
            before, after = (self._laid_out(name, snapshot) for snapshot in pair)
            seconds = (pair[1].at_ns - pair[0].at_ns) / 1e9
            return rates_frame(before, after, seconds), seconds

    def history(self, name: str, since_ns: int) -> tuple[pd.DataFrame, float]:
        """A map over time, see :func:`history_frame`, and the seconds between its moments.

        Raises:
            KeyError: No map of that name with a history.
        """
        with self._lock:
            history = self._histories[name]
            moments = [
                ((snapshot.at_ns - since_ns) / 1e9, self._laid_out(name, snapshot))
                for snapshot in history.snapshots
            ]
            return history_frame(moments), history.every_ns / 1e9

    def moments(self, name: str, after_ns: int, now_ns: int) -> list[tuple[int, pd.DataFrame]]:
        """A map at the moments after one, oldest first, the last as it stands.

        Args:
            name: Which map.
            after_ns: ``CLOCK_MONOTONIC`` of the target.
            now_ns: When counts were read last, on the same clock.

        Returns:
            When it was read, on the same clock, and the frame.
        """
        with self._lock:
            history = self._histories.get(name)
            snapshots = history.snapshots if history else [self._snapshot(name)]
            return [(s.at_ns, self._laid_out(name, s)) for s in snapshots if s.at_ns > after_ns]

    def _snapshot(self, name: str) -> MapSnapshot:
        empty = MapSnapshot(b"", b"", _stride(self._maps[name]), 0)
        return self._snapshots.get(name, empty)

    def snapshot_ns(self, name: str) -> int:
        """When the map behind a frame was read, ``CLOCK_MONOTONIC`` of the target; 0 for events."""
        snapshot = self._snapshots.get(name)
        return snapshot.at_ns if snapshot else 0

    def entries(self) -> list[Entry]:
        """The ledger's lines."""
        with self._lock:
            found = [self._output_entry(m) for m in self._maps.values() if m.slot >= 0]
            for name, counts in self.programs.items():
                losses = {"missed": counts.missed, "recursion": counts.recursion}
                found.append(
                    Entry(name, "probe", counts.hits + sum(losses.values()), counts.hits, losses=losses)
                )
            own = {name: self._row(0)[name] for name in b.SESSION_FIELDS}
            found.append(Entry("session", "session", losses=own))
            came = self.lines_printed - self._lines_before
            overwritten = self._lines_lost - self._lines_lost_before
            if came or overwritten:
                losses = {"overwritten": overwritten, "not_kept": came - len(self.text)}
                found.append(Entry("printed", "text", came + overwritten, came, losses=losses))
            if self._output_dropped is not None:
                found.append(Entry("command", "workload", losses={"output_dropped": self._output_dropped}))
        return found

    def entries_of(self, name: str) -> list[Entry]:
        """The ledger's lines that tell whether a frame is complete."""
        return [e for e in self.entries() if e.name == name or e.kind in ("probe", "session")]

    def _output_entry(self, definition: b.MapDef) -> Entry:
        counts = self._row(1 + definition.slot)
        stream = self.streams.get(definition.name)
        losses = kernel_losses(counts, is_stream=stream is not None)
        if stream is None:
            if definition.type in (b.LRU_HASH, b.LRU_PERCPU_HASH):
                there = len(self._snapshot(definition.name).keys) // definition.key_size
                # The counts and the entries are read one after the other.
                losses["evicted"] = max(0, counts["inserted"] - counts["deleted"] - there)
            return Entry(definition.name, "map", losses=losses)
        losses.update(unread=stream.unread, not_kept=stream.not_kept)
        return Entry(
            definition.name,
            "events",
            counts["submitted"] - stream.discarded,
            stream.arrived - stream.unread - stream.not_kept,
            stream.discarded,
            losses,
        )

    def _row(self, number: int) -> dict[str, int]:
        row = self._counts.get(number) or dict.fromkeys(b.LEDGER_FIELDS, 0)
        before = self._counts_before.get(number)
        return {name: count - before[name] for name, count in row.items()} if before else row

    @property
    def ran_ns(self) -> int:
        """Nanoseconds that all programs have run so far."""
        return sum(counts.ns for counts in self.programs.values())

    @property
    def capped(self) -> int:
        """Events refused because of a rate so far."""
        return sum(self._row(1 + m.slot)["capped"] for m in self._maps.values() if m.name in self.streams)

    def ledger(self) -> pd.DataFrame:
        """The ledger as :func:`~ktrace_nb.stream.ledger.ledger_frame` lays it out."""
        return ledger_frame(self.entries())

    # --- types of events ----------------------------------------------------------------

    def _event_layouts(self, name: str, fields: Sequence[tuple[str, str]]) -> list[Layout]:
        """What a record may be: clang's word first, then what the text suggests, then bytes."""
        btf = self._btf
        if btf is None:
            return [plain_layout(8, "value")]
        members = [field for field, _ in fields]
        wanted = self._declared[name].type_names if name in self._declared else ()
        found: dict[str, Layout] = {}
        for text in (*self._structs, *wanted):
            keyword, _, tag = text.rpartition(" ")
            kinds = RECORDS if keyword in ("struct", "union") else {Kind.TYPEDEF, Kind.INT}
            for type_id in btf.find(tag if keyword in ("struct", "union") else text, *kinds)[:1]:
                if text in wanted or (members and _members(btf, type_id) == members):
                    found[text] = layout_of(btf, type_id, "value")
        # bcc knows the fields of the structure that was submitted last in the text.
        exact = [t for t in found if members and t not in wanted]
        order = [*exact, *(t for t in wanted if t in found)]
        return [found[text] for text in dict.fromkeys(order)] or [plain_layout(8, "value")]


def _members(btf: Btf, type_id: int) -> list[str]:
    resolved = btf.resolve(type_id)
    return [member.name for member in btf.members(resolved)] if btf.kind(resolved) in RECORDS else []


def _stride(definition: b.MapDef) -> int:
    return (
        (definition.value_size + 7) // 8 * 8 if definition.type in b.PERCPU_TYPES else definition.value_size
    )
