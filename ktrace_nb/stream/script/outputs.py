"""What comes out of a script: its globals and what it prints as frames, its text, its ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cached_property

import pandas as pd

from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.program import Output
from ktrace_nb.ir.script import GlobalVariable, Placed
from ktrace_nb.stream.history import EVERY_S
from ktrace_nb.stream.ledger import Entry, kernel_losses
from ktrace_nb.stream.maps import MapSnapshot
from ktrace_nb.stream.outputs import Outputs, ProgramCounts
from ktrace_nb.stream.script.arrays import Entries
from ktrace_nb.stream.script.frames import global_frame, histogram_frame, histogram_name
from ktrace_nb.stream.script.prints import TEXT_LINES, TextSink, sites_of
from ktrace_nb.stream.script.remote import Remote
from ktrace_nb.stream.window import Events
from ktrace_nb.wire import bundle as b


class ScriptOutputs(Outputs):
    """Frames, text and losses of a script.

    Args:
        placed: The script.
        bundle: What was loaded.
        outputs: The maps in it.
        remotes: Globals that live in the kernel.
        locals_: What tells the entries of the others.
        written: Globals that handlers beside the notebook change.
        every_s: Seconds between snapshots of maps that are kept.
    """

    def __init__(
        self,
        placed: Placed,
        bundle: b.Bundle,
        outputs: tuple[Output, ...],
        remotes: Mapping[str, Remote],
        locals_: Mapping[str, Callable[[], Entries]],
        written: frozenset[str],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        super().__init__(
            bundle, outputs, {}, (), lambda addresses: [hex(a) for a in addresses], every_s=every_s
        )
        self.changing = threading.RLock()
        """Held while handlers run; taken before the lock of what was collected, never after it."""
        self.sink = TextSink()
        self.spans: list[bytes] = []
        """Of the ring, not yet read."""
        self.runs = 0
        """How often handlers have run: frames may have changed since."""
        self.arrived = self.discarded = self.unread = 0
        """Records: those that came, were given up by a program, could not be read."""
        self.left = 0
        """Records that came after the script had ended."""
        self.strings_cut = 0
        """Strings beside the notebook that were longer than ``MAXSTRINGLEN``."""
        self._remotes = remotes
        self._locals = locals_
        self._variables = _in_order(placed)
        self._histograms = {
            histogram_name(v, i): (v, shape)
            for v in self._variables.values()
            for i, shape in enumerate(v.histograms)
        }
        taken = {*self._variables, *self._histograms}
        self.sites = sites_of(placed, taken)
        self._tables = {site.name: site for site in self.sites.values()}
        self._counted = [n for n in self._variables if n in remotes and n not in written]
        self._titles = _titles(placed)
        handlers = [h.handler for h in placed.kernel_handlers]
        self.silences = {self._titles[h.function]: h.silence for h in handlers if h.silence}
        self._map_titles = {r.codec.map: name for name, r in remotes.items()}
        for remote in remotes.values():
            for number, name in enumerate(remote.codec.bucket_maps):
                self._map_titles[name] = histogram_name(remote.variable, number)
        self.programs = {self._titles.get(p.name, p.name): ProgramCounts(0, 0, 0, 0) for p in bundle.programs}
        self._pairs = [
            (self._titles[h.handler.entry_function], self._titles[h.handler.function])
            for h in placed.kernel_handlers
            if h.entry
        ]
        self._has_stacks = layout.STACKS in self._maps

    # --- in --------------------------------------------------------------------------------

    def _read_span(self, definition: b.MapDef, span: memoryview) -> None:
        self.spans.append(bytes(span))

    def _read_programs(self, counts: Mapping[str, list[int]]) -> None:
        super()._read_programs({self._titles.get(name, name): numbers for name, numbers in counts.items()})

    def show_lines(self) -> None:
        """Make what was printed since the last time part of the text, whole lines at a time."""
        new = self.sink.printed - self.lines_printed
        if new:
            with self._lock:
                self.lines_printed += new
                self.text += self.sink.lines[-new:]
                del self.text[:-TEXT_LINES]

    def take_spans(self) -> list[bytes]:
        """What came of the ring since the last call."""
        with self._lock:
            spans, self.spans = self.spans, []
            return spans

    def snapshots(self) -> dict[str, MapSnapshot]:
        """The newest of every map."""
        with self._lock:
            return dict(self._snapshots)

    def forget(self) -> None:
        """Begin anew; of the globals the script itself sees to that."""
        with self.changing:
            self.show_lines()
            self.sink.forget()
            for site in self.sites.values():
                site.forget()
            super().forget()
            self.arrived = self.discarded = self.unread = self.left = self.strings_cut = 0
            self.runs += 1

    def _came(self, name: str) -> int | None:
        return self.arrived + self.discarded if name == layout.RECORDS else None

    # --- names -------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """Globals, their histograms, then what is printed."""
        return [*self._variables, *self._histograms, *self._tables]

    @property
    def counted(self) -> list[str]:
        """Globals that have a history and rates: those that only the kernel changes."""
        return self._counted

    @property
    def stream_names(self) -> list[str]:
        """Places that print values."""
        return list(self._tables)

    @property
    def map_names(self) -> list[str]:
        """Maps to be collected, the ledger included."""
        return [*(name for remote in self._remotes.values() for name in remote.codec.maps), b.LEDGER]

    @property
    def emptied(self) -> list[str]:
        """Maps of globals, and stacks; what programs put aside where a function is entered stays."""
        maps = [name for remote in self._remotes.values() for name in remote.codec.maps]
        return [*maps, layout.STACKS] if self._has_stacks else maps

    @cached_property
    def switches(self) -> Mapping[str, tuple[int, ...]]:
        """Probes by what the script calls them; where a function is entered and left, both or none."""
        rows = {self._titles.get(name, name): row for name, row in self._rows.items()}
        found: dict[str, tuple[int, ...]] = {name: (row,) for name, row in rows.items() if row >= 0}
        for pair in self._pairs:
            both = tuple(rows[name] for name in pair if name in found)
            found.update({name: both for name in pair if name in found})
        return found

    def kind(self, name: str) -> str:
        """``histogram``, ``events`` or ``map``."""
        return "histogram" if name in self._histograms else "events" if name in self._tables else "map"

    def _declared_log2(self, name: str) -> bool:
        found = self._histograms.get(name)
        return found is not None and found[1].is_log

    # --- out ---------------------------------------------------------------------------------

    def printed(self) -> str:
        """What was printed, as text."""
        return self.sink.text()

    def generation(self, name: str) -> int:
        """Changes whenever the frame may have."""
        if name in self._tables:
            return self._tables[name].generation
        return self.runs + self.snapshot_ns(name)

    def snapshot_ns(self, name: str) -> int:
        """When the map behind a frame was read, ``CLOCK_MONOTONIC`` of the target; 0 if none is."""
        variable = self._variable(name)
        remote = self._remotes.get(variable.name) if variable else None
        snapshot = self._snapshots.get(remote.codec.map) if remote else None
        return snapshot.at_ns if snapshot else 0

    def _variable(self, name: str) -> GlobalVariable | None:
        return self._histograms[name][0] if name in self._histograms else self._variables.get(name)

    def frame(self, name: str, *, per_cpu: bool = False) -> pd.DataFrame:
        """A frame as it stands.

        Raises:
            KeyError: No output of that name.
            ValueError: ``per_cpu``; a script's values are those of all CPUs.
        """
        with self.changing:
            return super().frame(name, per_cpu=per_cpu)

    def _build(self, name: str, per_cpu: bool) -> pd.DataFrame:
        if per_cpu:
            raise ValueError(f"{name!r} is no per-CPU map")
        if name in self._tables:
            return self._tables[name].frame()
        variable = self._variable(name)
        if variable is None:
            raise KeyError(name)
        entries = self._entries(variable)
        if name in self._histograms:
            return histogram_frame(variable, self._histograms[name][1], entries)
        return global_frame(variable, entries)

    def _entries(self, variable: GlobalVariable) -> Entries:
        remote = self._remotes.get(variable.name)
        return remote.shown(self._snapshots) if remote else self._locals[variable.name]()

    def _laid_out(self, name: str, snapshot: MapSnapshot, *, per_cpu: bool = False) -> pd.DataFrame:
        remote = self._remotes[self._map_titles[name]]  # only globals have a history
        return global_frame(remote.variable, remote.codec.decode({name: snapshot}))

    def events(self, name: str) -> Events:
        """The rows of a place that prints."""
        with self.changing:
            return Events([(name, self._tables[name].frame())])

    def rates(self, name: str, over_s: float) -> tuple[pd.DataFrame, float]:
        """How fast a global grows, and the seconds it was watched for."""
        return super().rates(layout.map_name(name), over_s)

    def history(self, name: str, since_ns: int) -> tuple[pd.DataFrame, float]:
        """A global over time, and the seconds between its moments."""
        return super().history(layout.map_name(name), since_ns)

    def moments(self, name: str, after_ns: int, now_ns: int) -> list[tuple[int, pd.DataFrame]]:
        """A global as it stands; what it was before is not kept."""
        return [(now_ns, self.frame(name))] if now_ns > after_ns else []

    # --- the ledger ----------------------------------------------------------------------------

    @property
    def capped(self) -> int:
        """Records refused because of a rate so far."""
        ring = self._maps.get(layout.RECORDS)
        return self._row(1 + ring.slot)["capped"] if ring else 0

    def _output_entry(self, definition: b.MapDef) -> Entry:
        if definition.name == layout.RECORDS:
            counts = self._row(1 + definition.slot)
            losses = {**kernel_losses(counts, is_stream=True), "unread": self.unread}
            sent = counts["submitted"] - self.discarded
            return Entry("records", "events", sent, self.arrived - self.unread, self.discarded, losses)
        entry = super()._output_entry(definition)
        entry.name = self._map_titles.get(definition.name) or self._titles.get(
            definition.name, definition.name
        )
        return entry

    def entries(self) -> list[Entry]:
        """The ledger's lines."""
        found = [e for e in super().entries() if e.name not in (layout.STATE, layout.SCRATCH)]
        own = next(e for e in found if e.kind == "session")
        own.losses["truncated"] += self.strings_cut
        for site in self.sites.values():
            kept = Entry(site.name, "events", site.arrived, site.kept, losses={"not_kept": site.not_kept})
            found.append(kept)
        return found


def _in_order(placed: Placed) -> dict[str, GlobalVariable]:
    """Globals in the order of the script."""
    there = {g.variable.name: g.variable for g in placed.kernel_globals}
    there |= {g.name: g for g in placed.user_globals}
    order = [g.name for g in placed.script.globals if g.name in there]
    return {name: there[name] for name in dict.fromkeys((*order, *there))}


def _titles(placed: Placed) -> dict[str, str]:
    """What programs, and maps of calls under way, are called by whoever wrote the script."""
    titles: dict[str, str] = {}
    used: set[str] = set()
    for kernel_handler in placed.kernel_handlers:
        handler = kernel_handler.handler
        name = handler.title if handler.title not in used else f"{handler.title} #{handler.number}"
        used.add(name)
        titles[handler.function] = name
        titles[handler.entry_function] = f"{name} (entry)"
        titles[f"calls_{handler.number}"] = f"{name} (calls)"
    return titles
