"""What came of a trace: frames, events, text, the ledger.

Nothing here asks the target for anything: it reads what has been collected, so it
serves a session that runs, one that is over, and one whose target is gone.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd
import pyarrow as pa

from ktrace_nb.compiler.build import Built
from ktrace_nb.diagnostics import near_hint
from ktrace_nb.errors import OptionError
from ktrace_nb.stream.calls.below import with_below
from ktrace_nb.stream.calls.export import write_calls
from ktrace_nb.stream.calls.folded import Weight
from ktrace_nb.stream.ledger import summary
from ktrace_nb.stream.outputs import Outputs
from ktrace_nb.stream.selection import Shared, Window
from ktrace_nb.stream.window import Events
from ktrace_nb.targets.base import Target

SILENT_NS = 2_000_000_000
"""A probe that has not been hit for so long after everything was attached is explained."""

State = Literal["running", "done", "failed"]


class Results:
    """Everything a trace has put out so far.

    Frames are attributes (``session.bytes``), items (``session["bytes"]``) and
    entries of :attr:`frames`; each is a fresh look at the latest data with
    ``df.attrs["ktrace"]`` telling when, where and what was lost.
    """

    viewer: ClassVar[Callable[[Results, str, str, bool], None] | None] = None
    """Shows a trace; there is one where there is a notebook."""

    def __init__(self, name: str, target: Target, built: Built, outputs: Outputs) -> None:
        self.name = name
        self.target = target
        self.built = built
        self.outputs = outputs
        self.started_at = datetime.datetime.now(datetime.UTC)
        self.state: State = "running"
        self.message = ""
        """Why the session ended; empty while it runs."""
        self.attached_ns = 0
        """``CLOCK_MONOTONIC`` of the target when everything was attached."""
        self.reset_ns = 0
        """``CLOCK_MONOTONIC`` of the target when it was begun anew last, 0 if never."""
        self.reset_at: datetime.datetime | None = None
        """The same as a date; None if never."""
        self.shared = Shared()
        """What is picked in its views, and the window of time they look at."""
        self.counted_ns = 0
        """The same when its counts were read last."""

    def frame(self, name: str, *, per_cpu: bool = False) -> pd.DataFrame:
        """One output as a frame.

        Args:
            name: As declared in the cell.
            per_cpu: Of a per-CPU map, one row per key and CPU instead of the sum.

        Returns:
            Columns and dtypes as :mod:`ktrace_nb.stream.layout` describes;
            histograms as :func:`ktrace_nb.stream.histogram.log2_hist`, stacks as
            :func:`ktrace_nb.stream.stacks.stacks_frame`. ``attrs["ktrace"]`` is
            a dict: ``session``, ``target``, ``kernel``, ``started_at`` and
            ``taken_at`` (ISO 8601, UTC), ``state``, ``lost`` (reason to count)
            and ``complete``; after a reset ``reset_at``.

        Raises:
            KeyError: No such output.
            ValueError: ``per_cpu`` of what is not counted per CPU.
        """
        if name not in self.outputs.names:
            hint = near_hint(name, self.outputs.names)
            raise KeyError(f"session {self.name!r} has no frame {name!r}" + (f"; {hint}" if hint else ""))
        frame = self.outputs.frame(name, per_cpu=per_cpu).copy(deep=False)
        frame.attrs["ktrace"] = self._provenance(name)
        return frame

    def events(self, name: str | None = None) -> Events:
        """The events of a stream: ``.tail(20)``, ``.between(...)``, ``.sorted()``, ``.arrow()``.

        Args:
            name: Which stream; may be left out if the cell has one.

        Raises:
            KeyError: No such stream.
        """
        return self.outputs.events(self._named(name, self.outputs.stream_names, "stream"))

    def rates(self, name: str | None = None, *, over_s: float = 1.0) -> pd.DataFrame:
        """How fast the numbers of a map grow now.

        Args:
            name: Which map; may be left out if the cell has one.
            over_s: Seconds to look back, at least; less if the session is younger.

        Returns:
            As :func:`ktrace_nb.stream.history.rates_frame`; ``attrs["ktrace"]["over_s"]``
            are the seconds really looked back.

        Raises:
            KeyError: No such map.
        """
        name = self._named(name, self.outputs.counted, "map")
        frame, seconds = self.outputs.rates(name, over_s)
        frame.attrs["ktrace"] = {**self._provenance(name), "over_s": seconds}
        return frame

    def history(self, name: str | None = None) -> pd.DataFrame:
        """A map at the moments of the session that were kept.

        Args:
            name: Which map; may be left out if the cell has one.

        Returns:
            As :func:`ktrace_nb.stream.history.history_frame`; ``attrs["ktrace"]["every_s"]``
            are the seconds between moments, which grow in a long session;
            ``attrs["from_s"]`` is when counting began: later than 0 after a reset.

        Raises:
            KeyError: No such map.
        """
        name = self._named(name, self.outputs.counted, "map")
        frame, every_s = self.outputs.history(name, self.attached_ns)
        frame.attrs["ktrace"] = {**self._provenance(name), "every_s": every_s}
        frame.attrs["from_s"] = (self.since_ns - self.attached_ns) / 1e9
        return frame

    def arrow(self, name: str) -> pa.Table:
        """One output as an Arrow table, its index as columns.

        Raises:
            KeyError: No such output.
        """
        return pa.Table.from_pandas(self.frame(name).reset_index())

    def export(self, path: str | Path, *, weight: Weight = "ns") -> Path:
        """Write the recorded calls to a file for another program: Perfetto, a flame graph, Graphviz.

        Args:
            path: Where to; its end says in which form, ``walk.json`` for Perfetto; see
                :func:`ktrace_nb.stream.calls.export.write_calls`.
            weight: Of folded stacks: ``"ns"``, self time, or ``"count"``, calls.

        Returns:
            The file written.

        Raises:
            OptionError: The session records no calls, or there is no such form.
            MissingError: Graphviz is asked for and not installed.
            KTraceError: The file cannot be written.
        """
        if "calls" not in self.outputs.names:
            raise OptionError(
                f"session {self.name!r} recorded no calls", hint="%%ktrace --calls 'ext4_*' records them"
            )
        return write_calls(self.frame("calls"), path, weight=weight)

    def view(self, kind: str = "auto", name: str = "", *, big: bool = False) -> None:
        """Show it once more, where the cell that runs puts its output.

        All views of a trace share what is picked and the window of time.

        Args:
            kind: As what: ``heatmap``, ``series`` or what else ``--view`` takes; ``auto`` is what suits best.
            name: The only output to show; by default all that can be shown so.
            big: Whether it is to be read from the last row of a lecture hall.

        Raises:
            OptionError: There is no such kind, it suits nothing that is put out, or there is no notebook.
            KeyError: No such output.
        """
        if Results.viewer is None:
            raise OptionError(
                "a view needs a notebook with ktrace_nb in it",
                hint=f"%load_ext ktrace_nb; elsewhere {self.name}.frames has what it would show",
            )
        if name:
            self.frame(name)
        Results.viewer(self, kind, name, big)

    def select(self, calls: Sequence[int]) -> None:
        """Have some calls be :attr:`selected`; what a click in a view of calls does.

        Args:
            calls: Index of the frame ``calls``.
        """
        self.shared.pick("calls", calls, lambda: with_below(self.frame("calls"), calls))

    def pick(self, name: str, labels: Sequence[Any]) -> None:
        """Have some rows of a frame be :attr:`selected`; what a click in a view of it does.

        Args:
            name: The frame.
            labels: Labels of its index; none to pick nothing.

        Raises:
            KeyError: No such output.
            ValueError: Labels that no index of the frame's levels has.
        """
        self._labelled(name, labels)  # tells what is wrong with them here
        self.shared.pick(name, labels, lambda: self._labelled(name, labels))

    def _labelled(self, name: str, labels: Sequence[Any]) -> pd.DataFrame:
        frame = self.frame(name)
        return frame[frame.index.isin(list(labels))]

    @property
    def selected(self) -> pd.DataFrame:
        """The rows that were picked in a view last, as they stand; no rows and no columns if none are.

        Of ``calls`` the calls that were clicked and what they called.
        """
        rows = self.shared.rows()
        return pd.DataFrame() if rows is None else rows

    @property
    def window(self) -> Window | None:
        """The window of time that its views look at, seconds since everything was attached; None for all.

        Setting it raises ValueError if it is empty.
        """
        return self.shared.window

    @window.setter
    def window(self, window: Window | None) -> None:
        self.shared.window = window

    def _named(self, name: str | None, names: list[str], what: str) -> str:
        if name is None and len(names) == 1:
            return names[0]
        if name not in names:
            which = f"no {what} {name!r}" if name else f"{len(names)} {what}s"
            raise KeyError(f"session {self.name!r} has {which}; {what}s: {', '.join(names) or 'none'}")
        return name

    def _provenance(self, name: str) -> dict[str, Any]:
        lost = summary(self.outputs.entries_of(name))
        reset = {"reset_at": self.reset_at.isoformat()} if self.reset_at else {}
        return {
            "session": self.name,
            "target": self.target.name,
            "kernel": self.target.hello.kernel,
            "started_at": self.started_at.isoformat(),
            "taken_at": self._taken_at(name).isoformat(),
            "state": self.state,
            "lost": lost,
            "complete": not lost,
            **reset,
        }

    def _taken_at(self, name: str) -> datetime.datetime:
        at_ns = self.outputs.snapshot_ns(name)
        if not at_ns:
            return datetime.datetime.now(datetime.UTC)
        hello = self.target.hello
        wall_s = (hello.realtime_ns + at_ns - hello.monotonic_ns) / 1e9
        return datetime.datetime.fromtimestamp(wall_s, datetime.UTC)

    @property
    def since_ns(self) -> int:
        """Since when its counts count, ``CLOCK_MONOTONIC`` of the target: everything attached, or reset."""
        return self.reset_ns or self.attached_ns

    @property
    def frames(self) -> Mapping[str, pd.DataFrame]:
        """Every output by name."""
        return _Frames(self)

    @property
    def ledger(self) -> pd.DataFrame:
        """What was sent, what arrived, what was lost and why; see :mod:`ktrace_nb.stream.ledger`."""
        return self.outputs.ledger()

    @property
    def cpu_share(self) -> float:
        """What the session's programs cost the traced machine: share of one CPU, 1.0 is all of it.

        The time the kernel spent in them, by its own run statistics, over the time of the session, or
        since its last reset.
        """
        watched_ns = self.counted_ns - self.since_ns
        return self.outputs.ran_ns / watched_ns if watched_ns > 0 else 0.0

    @property
    def losses(self) -> dict[str, int]:
        """Losses by reason; empty if everything is there."""
        return summary(self.outputs.entries())

    @property
    def probes(self) -> pd.DataFrame:
        """What each program cost.

        Returns:
            Indexed by ``program`` (str): ``hits`` (uint64), ``ns_per_hit``
            (float64, nanoseconds; NaN if never hit), ``cpu_share`` (float64,
            of one CPU over the whole session, or since its last reset), ``missed`` and
            ``recursion`` (uint64), ``on`` (bool, whether it runs when the session is not paused).
        """
        programs = self.outputs.programs
        hits = pd.Series([p.hits for p in programs.values()], dtype="uint64").array
        watched_ns = max(1, self.counted_ns - self.since_ns)
        cost = [p.ns / p.hits if p.hits else float("nan") for p in programs.values()]
        columns = {
            "hits": hits,
            "ns_per_hit": cost,
            "cpu_share": [p.ns / watched_ns for p in programs.values()],
            "missed": pd.Series([p.missed for p in programs.values()], dtype="uint64").array,
            "recursion": pd.Series([p.recursion for p in programs.values()], dtype="uint64").array,
            "on": pd.array([self.is_on(name) for name in programs], dtype="bool"),
        }
        return pd.DataFrame(columns, index=pd.Index(list(programs), name="program", dtype=object).astype(str))

    def is_on(self, program: str) -> bool:
        """Whether a program runs when the session is not paused."""
        return True

    @property
    def text(self) -> str:
        """What a script printed; of C, what ``bpf_trace_printk`` did, as the kernel wrote it."""
        return self.outputs.printed()

    @property
    def notes(self) -> list[str]:
        """Remarks worth reading: compiler warnings, silent probes."""
        problems = (*self.built.problems, *self.outputs.problems)
        found = [line for problem in problems for line in problem.lines(problem.severity)]
        walk = self.built.program.walk
        if walk is not None:
            found.append(f"note: {walk.why}")
        found += [
            f"note: every session has something named {name!r}; the table is {self.name}[{name!r}]"
            for name in self.outputs.names
            if name in self.__dict__ or hasattr(type(self), name)
        ]
        if self.state == "done" and walk is None:
            reasons = self.outputs.silences
            for name in self._silent:
                why = f": {reasons[name]}" if reasons.get(name) else ""
                found.append(f"note: program {name!r} was attached and never hit{why}")
        return found

    @property
    def silence(self) -> str:
        """What has not happened in the first two seconds, and why it may never; or empty."""
        if self.counted_ns - self.since_ns < SILENT_NS:
            return ""
        reasons = self.outputs.silences
        told = [f"{name} has not happened yet: {reasons[name]}" for name in self._silent if reasons.get(name)]
        return "; ".join(told)

    @property
    def _silent(self) -> list[str]:
        programs = self.outputs.programs.items()
        return [name for name, counts in programs if not counts.hits and self.is_on(name)]

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.frame(name)

    def __getattr__(self, name: str) -> pd.DataFrame:
        # Only reached for what the class does not have; a table called "text" is session["text"].
        if name.startswith("_") or "outputs" not in self.__dict__:
            raise AttributeError(name)
        try:
            return self.frame(name)
        except KeyError as error:
            raise AttributeError(str(error.args[0])) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.outputs.names]


class _Frames(Mapping[str, pd.DataFrame]):
    def __init__(self, results: Results) -> None:
        self._results = results

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._results.frame(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._results.outputs.names)

    def __len__(self) -> int:
        return len(self._results.outputs.names)

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} ({len(frame)} rows)" for name, frame in self.items())
        return f"<frames {rows}>"
