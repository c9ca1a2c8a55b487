"""What comes out of a walk: frames of its calls, their text, its ledger."""

from __future__ import annotations

import errno
import struct
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.ir import calls as ir
from ktrace_nb.ir.calls import LeftOut, Walk
from ktrace_nb.ir.program import Program
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.stream.calls.feed import Feed, FrameFeed
from ktrace_nb.stream.calls.frames import (
    calls_frame,
    edges_frame,
    functions_frame,
    left_out_frame,
    paths_frame,
)
from ktrace_nb.stream.calls.functions import unique_names
from ktrace_nb.stream.calls.graph import GraphDecoder
from ktrace_nb.stream.calls.longer import Longer
from ktrace_nb.stream.calls.records import RECORD
from ktrace_nb.stream.calls.store import CallStore
from ktrace_nb.stream.calls.text import writer
from ktrace_nb.stream.calls.values import Values
from ktrace_nb.stream.history import EVERY_S
from ktrace_nb.stream.ledger import Entry, kernel_losses
from ktrace_nb.stream.outputs import TEXT_LINES, Outputs
from ktrace_nb.stream.records import cut_ring
from ktrace_nb.stream.window import Events
from ktrace_nb.wire import bundle as b

CALLS, FUNCTIONS, EDGES, LEFT_OUT = "calls", "functions", "edges", "left_out"
NAMES = (CALLS, FUNCTIONS, EDGES, LEFT_OUT)


class WalkOutputs(Outputs):
    """Frames, text and losses of a walk.

    Args:
        bundle: What was loaded.
        program: Its :attr:`~ktrace_nb.ir.program.Program.walk` says what is recorded.
        facts: Types of the kernel.
        every_s: Seconds between snapshots of maps that are kept; a walk has none.
        text: How calls are written: ``indent`` (also if empty), ``tree`` or ``none``.
    """

    def __init__(
        self,
        bundle: b.Bundle,
        program: Program,
        facts: KernelFacts,
        *,
        every_s: float = EVERY_S,
        text: str = "",
    ) -> None:
        super().__init__(bundle, (), {}, (), lambda addresses: [hex(a) for a in addresses], every_s=every_s)
        assert program.walk is not None
        self._bundle = bundle
        self.walk: Walk = program.walk
        # Rings and maps of its own programs are nobody's frames.
        self.streams.clear()
        self._schemas.clear()
        self._histories.clear()
        self._values = Values([facts.signature(f.name, f.module) for f in self.walk.functions])
        self.store = CallStore(
            unique_names(self.walk.functions),
            self._values if self.walk.has_values else None,
            arguments=self.walk.has_values,
            completed=self.walk.focus.completed,
        )
        self._generation = 0
        self._graph = GraphDecoder(self.walk.functions) if self.walk.means == ir.GRAPH else None
        longer_ns = self.walk.focus.longer_ns
        self._longer = Longer(longer_ns) if self._graph is not None and longer_ns else None
        self._graph_before = (0, 0)
        """Events lost and calls too deep when everything was forgotten last."""
        self._early: list[NDArray[Any]] = []
        """Of threads, that came before the calls of their time."""
        self._handed_ns = 0
        self._left_out = list(self.walk.left_out)
        self._last_feed: tuple[pd.DataFrame, FrameFeed] | None = None
        self._arrived = self._discarded = self._unread = 0
        self._form = text
        self._writer = writer(text, self.store)
        self._lines: Iterator[str] = iter(())
        self._in_order: list[str] = []

    # --- in --------------------------------------------------------------------------------

    def add_threads(self, blob: bytes) -> None:
        """Take in the threads that were there before: a line ``TID TGID PPID COMM`` for each.

        Raises:
            StreamError: A line is something else.
        """
        with self._lock:
            self.store.add_threads(blob)

    def refuse(self, refused: Sequence[Sequence[int]]) -> None:
        """Take in what the kernel would not attach.

        Args:
            refused: For each the number of the attach point, the place in it, the error's number.
        """
        reasons: dict[str, str] = {}
        for point, place, number in refused:
            attach = self._bundle.attach[point]
            cookie = attach.cookie
            if attach.cookies:
                (cookie,) = struct.unpack_from("<Q", attach.cookies, 8 * place)
            name = self.walk.functions[cookie & 0xFFFF].name
            reasons.setdefault(
                name, f"the kernel refused to attach to it ({errno.errorcode.get(number, number)})"
            )
        self.leave_out([LeftOut(name, reason) for name, reason in reasons.items()])

    def leave_out(self, functions: Sequence[LeftOut]) -> None:
        """Take in that some functions are not recorded after all."""
        with self._lock:
            self._left_out += functions

    def finish(self, at_ns: int) -> None:
        """No more will come.

        Args:
            at_ns: When recording stopped, ``CLOCK_MONOTONIC``.
        """
        with self._lock:
            self._flush()
            self.store.finish(at_ns)

    def _read_span(self, definition: b.MapDef, span: memoryview) -> None:
        if definition.name != ir.RING:
            return
        cut = cut_ring(span)
        self._discarded += cut.discarded
        for payloads in cut.batches:
            self._arrived += len(payloads)
            if payloads.shape[1] != RECORD.itemsize:
                self._unread += len(payloads)
                continue
            records = payloads.view(RECORD)[:, 0]
            if self._graph is None:
                self.store.add(records)
            else:
                self._early.append(records)

    def _read_graph(self, head: Mapping[str, Any], pages: memoryview) -> None:
        assert self._graph is not None
        if "retval" in head.get("formats", {}).get("funcgraph_exit", "") and not self.store.counts.calls:
            self.store.values = self._values
        self._add_graph(self._graph.add(head, pages), last=False)

    def _add_graph(self, records: NDArray[Any], *, last: bool) -> None:
        """Take in calls, and what the ring told of threads until then."""
        assert self._graph is not None
        reached_ns = self._graph.reached_ns
        # While nothing is known of a CPU, what comes is put aside as it is.
        if reached_ns <= self._handed_ns and not len(records) and not last:
            return
        self._handed_ns = reached_ns
        early = np.concatenate([np.empty(0, RECORD), *self._early])
        early = early[np.argsort(early["at"], kind="stable")]
        count = len(early) if last else int(np.searchsorted(early["at"], np.uint64(reached_ns), side="right"))
        merged = np.concatenate([early[:count], records])
        self._early = [early[count:]]
        merged = merged[np.argsort(merged["at"], kind="stable")]
        self.store.add(self._longer.add(merged) if self._longer else merged)

    # --- pause and reset ---------------------------------------------------------------------

    @property
    def emptied(self) -> list[str]:
        """What programs keep of open calls; which processes and object are followed stays."""
        return [name for name in (ir.THREADS, ir.OPEN) if name in self._maps]

    @property
    def switches(self) -> Mapping[str, tuple[int, ...]]:
        """Programs at functions, all together; those that tell of threads stay on."""
        return {name: (ir.SWITCH_ROW,) for name in self._rows if name not in ir.THREAD_PROGRAMS}

    def cut(self, at_ns: int) -> None:
        """What went on for a while is not known: calls that are open did not return in it.

        Args:
            at_ns: Until when, ``CLOCK_MONOTONIC``.
        """
        with self._lock:
            self._flush()
            self.store.cut(at_ns)

    def _flush(self) -> None:
        """Give out what waits for others; there are none."""
        if self._graph is not None:
            self._add_graph(self._graph.flush(), last=True)
        if self._longer is not None:
            self._longer.finish()

    def _forget(self) -> None:
        self._flush()
        super()._forget()
        old = self.store
        self._generation = self.generation(CALLS) + 1
        self.store = CallStore(
            old.functions,
            old.values,
            arguments=old.has_arguments,
            completed=self.walk.focus.completed,
            roster=old.roster,
        )
        if self._graph is not None:
            self._graph_before = max(self._graph.lost, self._graph.gaps), self._graph.too_deep
        if self._longer is not None:
            self._longer = Longer(self.walk.focus.longer_ns)
        self._arrived = self._discarded = self._unread = 0
        self._last_feed = None
        self._writer = writer(self._form, self.store)
        self._lines = iter(())
        self._in_order = []

    def _came(self, name: str) -> int | None:
        return self._arrived + self._discarded if name == ir.RING else None

    # --- names -------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """``calls``, ``functions``, ``edges``, ``left_out``."""
        return list(NAMES)

    @property
    def counted(self) -> list[str]:
        """Nothing: a walk has no maps to show."""
        return []

    @property
    def stream_names(self) -> list[str]:
        """The outputs that are events."""
        return [CALLS]

    @property
    def map_names(self) -> list[str]:
        """Maps to be collected: the ledger."""
        return [b.LEDGER]

    def kind(self, name: str) -> str:
        """``events`` of calls, else ``map``."""
        return "events" if name == CALLS else "map"

    # --- out ---------------------------------------------------------------------------------

    @property
    def feed(self) -> Feed:
        """Entries and returns as they come, for views."""
        return self.store

    def last_feed(self) -> CallStore | FrameFeed:
        """Entries and returns of a walk that is over, in the order they happened."""
        if not self.walk.focus.completed:
            return self.store
        frame = self.frame(CALLS)
        with self._lock:
            if self._last_feed is None or self._last_feed[0] is not frame:
                self._last_feed = frame, FrameFeed(frame)
            return self._last_feed[1]

    def paths(self) -> pd.DataFrame:
        """What a picture of paths reads, see :func:`ktrace_nb.stream.calls.frames.paths_frame`."""
        with self._lock:
            return paths_frame(self.store)

    def generation(self, name: str) -> int:
        """Changes whenever the frame may have."""
        return len(self._left_out) if name == LEFT_OUT else self._generation + self.store.generation

    def snapshot_ns(self, name: str) -> int:
        """0: no frame is that of a map."""
        return 0

    def _build(self, name: str, per_cpu: bool) -> pd.DataFrame:
        if per_cpu:
            raise ValueError(f"{name!r} is no per-CPU map")
        if name == CALLS:
            return calls_frame(self.store)
        if name == FUNCTIONS:
            return functions_frame(self.store)
        if name == EDGES:
            return edges_frame(self.store)
        if name == LEFT_OUT:
            return left_out_frame(self._left_out)
        raise KeyError(name)

    def events(self, name: str) -> Events:
        """The calls as they stand.

        Raises:
            KeyError: Another output.
        """
        if name != CALLS:
            raise KeyError(name)
        return Events([("call", self.frame(CALLS))])

    def printed(self) -> str:
        """Calls as text, see :mod:`ktrace_nb.stream.calls.text`; the last lines of them."""
        return "".join(f"{line}\n" for line in self.last_lines())

    def last_lines(self, count: int = TEXT_LINES) -> list[str]:
        """The last lines of the text, as many as are kept.

        Calls that are sent when they are over stand there in that order, children first; as soon as
        recording has stopped in the order of their entries.
        """
        seen = self.lines_printed
        while (now := self.lines_after(seen)[1]) > seen:
            seen = now
        if not (self.walk.focus.completed and self.store.stopped_ns):
            return self.text[-count:]
        if not self._in_order:
            ordered = writer(self._form, self.last_feed())
            self._in_order = list(deque(chain(ordered.lines(), ordered.rest()), TEXT_LINES))
        return self._in_order[-count:]

    def lines_after(self, seen: int) -> tuple[list[str], int]:
        """Lines after the first ``seen``, as far as they are kept, and how many there are by now.

        At most as many come at once as are kept: who asks until nothing comes misses none.
        """
        with self._lock:
            fresh = list(islice(self._lines, TEXT_LINES))
            if not fresh:
                self._lines = self._written()
                fresh = list(islice(self._lines, TEXT_LINES))
            self.lines_printed += len(fresh)
            self.text += fresh
            del self.text[:-TEXT_LINES]
            count = min(self.lines_printed - seen, len(self.text))
            return (self.text[-count:] if count > 0 else []), self.lines_printed

    def _written(self) -> Iterator[str]:
        """What has come and is not among the lines."""
        yield from self._writer.lines()
        if self.store.stopped_ns:
            yield from self._writer.rest()

    # --- the ledger ----------------------------------------------------------------------------

    @property
    def capped(self) -> int:
        """Records refused because of a rate so far."""
        ring = self._maps.get(ir.RING)
        return self._row(1 + ring.slot)["capped"] if ring and ring.slot >= 0 else 0

    def _output_entry(self, definition: b.MapDef) -> Entry:
        if definition.name == ir.RING:
            counts = self._row(1 + definition.slot)
            losses = {**kernel_losses(counts, is_stream=True), "unread": self._unread}
            sent = counts["submitted"] - self._discarded
            return Entry("records", "events", sent, self._arrived - self._unread, self._discarded, losses)
        return super()._output_entry(definition)

    def entries(self) -> list[Entry]:
        """The ledger's lines.

        ``records`` are entries, returns and what threads told, ``calls`` the rows of the frame: of as
        many calls as were ``submitted``, each one's entry arrived.
        """
        # Maps of its own programs matter if they were full.
        found = [e for e in super().entries() if e.name != "printed" and (e.kind != "map" or e.lost)]
        if self.walk.focus.completed:
            # The programs keep open calls themselves then, and count those that they see to be gone.
            for entry in found:
                if entry.kind == "session":
                    entry.losses["no_return"] = entry.losses.pop("unmatched")
        counts, store = self.store.counts, self.store
        losses = {"no_return": counts.no_return, "unmatched": counts.unmatched, "not_kept": store.not_kept}
        if self._longer is not None:
            losses["no_return"] += self._longer.no_return
            losses["unmatched"] += self._longer.unmatched
        if self._graph is not None:
            lost, too_deep = self._graph_before
            losses["ring_full"] = max(self._graph.lost, self._graph.gaps) - lost
            losses["too_deep"] = self._graph.too_deep - too_deep
        return [Entry(CALLS, "calls", counts.calls, store.calls.rows, losses=losses), *found]

    def entries_of(self, name: str) -> list[Entry]:
        """The ledger's lines that tell whether a frame is complete: all frames are made of the same calls."""
        return [] if name == LEFT_OUT else self.entries()
