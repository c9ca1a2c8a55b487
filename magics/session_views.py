"""The views of a session: for each output the frame that a kind of view shows.

What is picked in one view and the window of time are the session's
(:attr:`ktrace_nb.results.Results.shared`), so they hold in all of its panels.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from ktrace_nb.magics.choice import at_first, machine_of, suiting
from ktrace_nb.magics.followed import Followed
from ktrace_nb.magics.view_parts import printed, window_setter
from ktrace_nb.session import Session
from ktrace_nb.stream.event_counts import clock_of
from ktrace_nb.stream.text import number_columns
from ktrace_nb.widgets.source import Kind, ViewData
from ktrace_nb.widgets.units import unit_of

TABLE_ROWS = 1000
"""Rows of a frame that a table gets at most: the largest, or of events the last."""

_UNITS = ("ns", "us", "ms", "s", "bytes")
_SUFFIXES: Mapping[Kind, str] = {
    "heatmap": " over time",
    "series": " per second",
    "timeline": " timeline",
    "states": " states",
}


class SessionViews:
    """What there is to see of a session that records no calls.

    Args:
        session: What is shown.
        followed: Its outputs over time.
        view: A kind, which shows all that can be shown so; ``auto`` shows each output as what suits it.
        only: The only output to show; empty for all.
    """

    def __init__(self, session: Session, followed: Followed, view: str, only: str) -> None:
        self._session = session
        self._followed = followed
        self._view = view
        self._only = only
        self._is_script = session.built.program.script is not None
        self._version = 0

    def views(self) -> list[ViewData]:
        """Of a script its text, then its globals; of C its tables, then text."""
        outputs = self._session.outputs
        # Asked first: what is picked meanwhile is seen as new at the next look.
        self._version = self._session.shared.version
        names = [name for name in outputs.names if self._is_wanted(name)]
        views = [self.view(name, kind) for name in names for kind in self._kinds(name)]
        if not self._only:
            if outputs.lines_printed and self._view in ("auto", "text"):
                views.insert(0 if self._is_script else len(views), self._printed())
            if outputs.problems and self._view in ("auto", "table", "text"):
                views.append(self._remarks())
        return views

    def _is_wanted(self, name: str) -> bool:
        """Names that begin with _ are a program's own business, and shown where they are asked for."""
        if self._only:
            return name == self._only
        return self._view != "auto" or not name.startswith("_")

    def _kinds(self, name: str) -> Sequence[Kind]:
        kinds = suiting(self._session.outputs, name)
        if self._view != "auto":
            return [kind for kind in kinds if kind == self._view]
        if self._is_script and kinds[0] == "table" and self._session.outputs.kind(name) == "events":
            # What it prints is there as text; --view table shows the tables of the places that print.
            return [] if not self._only else kinds[:1]
        return at_first(kinds)

    def view(self, name: str, kind: Kind) -> ViewData:
        """One output as one kind of view."""
        make: dict[Kind, Callable[[str], ViewData]] = {
            "histogram": self._histogram,
            "heatmap": self._heatmap,
            "series": self._series,
            "timeline": self._timeline,
            "states": self._states,
        }
        return make.get(kind, self._table)(name)

    # --- what is as it stands --------------------------------------------------------------

    def _histogram(self, name: str) -> ViewData:
        session, window = self._session, self._session.window
        generation = session.outputs.generation(name)
        frame = session.frame(name)
        if window is None:
            return self._rows(name, "histogram", frame, generation, self._axis(name))

        def pick(buckets: Sequence[Any]) -> None:
            # Of all keys: what was counted in a window is told of all of them together.
            wanted = frame.index.get_level_values("bucket").isin(list(buckets))
            session.pick(name, frame.index[wanted].tolist())

        within = self._followed.heat(name).between(*window)
        return self._made(name, "histogram", within, (generation, window), self._axis(name), pick=pick)

    def _axis(self, name: str) -> dict[str, str]:
        """Scale of a histogram's values, and their unit if the table's name says it: ``latency_ns``."""
        unit = unit_of(name.partition(".")[0])
        return {"scale": self._session.outputs.scale(name), "unit": unit if unit in _UNITS else ""}

    def _table(self, name: str) -> ViewData:
        session, kind = self._session, self._session.outputs.kind(name)
        generation = session.outputs.generation(name)
        options: dict[str, str] = {}
        if kind == "events":
            frame = self._in_window(name).tail(TABLE_ROWS)
        elif kind == "stacks":
            frame = session.frame(name)
            frame = frame.assign(frames=frame["frames"].map(" ← ".join)).drop(columns="addresses")
        else:
            frame = session.frame(name)
            numeric = number_columns(frame)
            if numeric:
                options["sort"] = numeric[0]
        return self._rows(name, "table", frame, generation, options)

    def _in_window(self, name: str) -> pd.DataFrame:
        """Events, of the window of time if there is one and they tell their time."""
        session, window = self._session, self._session.window
        frame = session.frame(name)
        clock = clock_of(frame, session.attached_ns) if window is not None else None
        if clock is None or window is None:
            return frame
        start, end = (clock.reading(session.attached_ns + round(at_s * 1e9)) for at_s in window)
        return session.events(name).between(start, end, clock.column)

    def _rows(
        self, name: str, kind: Kind, frame: pd.DataFrame, generation: Hashable, options: Mapping[str, str]
    ) -> ViewData:
        """A view whose rows are those of the session's own frame."""
        pick = partial(self._session.pick, name)
        return self._made(name, kind, frame, generation, options, pick=pick)

    # --- what was over time ------------------------------------------------------------------

    def _heatmap(self, name: str) -> ViewData:
        heat = self._followed.heat(name)
        return self._derived(name, "heatmap", heat.frame(), heat.at_s, self._axis(name))

    def _series(self, name: str) -> ViewData:
        frame, generation = self._followed.rates(name)
        return self._derived(name, "series", frame, generation, {})

    def _timeline(self, name: str) -> ViewData:
        frame, generation = self._followed.spells(name)
        origin = {"origin_ns": str(self._session.attached_ns)}
        if len(self._session.events(name).types) > 1:
            return self._derived(name, "timeline", frame, generation, origin)
        # A spell is labelled as the event that it begins with.
        return self._derived(name, "timeline", frame, generation, origin, labelled_as=name)

    def _states(self, name: str) -> ViewData:
        machine = machine_of({str(column) for column in self._session.frame(name).columns})
        frame, generation = self._followed.transitions(name, machine)
        return self._derived(name, "states", frame, generation, {"machine": machine} if machine else {})

    def _derived(
        self,
        name: str,
        kind: Kind,
        frame: pd.DataFrame,
        generation: Hashable,
        options: Mapping[str, str],
        labelled_as: str = "",
    ) -> ViewData:
        """A view whose rows are made of those of an output; they may have the labels of a frame's rows."""
        title = f"{name}{_SUFFIXES[kind]}"

        def pick(labels: Sequence[Any]) -> None:
            chosen = list(labels)
            self._session.shared.pick(title, chosen, lambda: frame[frame.index.isin(chosen)])

        if labelled_as:
            pick = partial(self._session.pick, labelled_as)
        return self._made(title, kind, frame, generation, options, pick=pick, marked_as=labelled_as or title)

    # --- what all have in common ---------------------------------------------------------------

    def _made(
        self,
        name: str,
        kind: Kind,
        frame: pd.DataFrame,
        generation: Hashable,
        options: Mapping[str, str],
        *,
        pick: Callable[[Sequence[Any]], None],
        marked_as: str = "",
    ) -> ViewData:
        shared = self._session.shared
        return ViewData(
            name=name,
            kind=kind,
            frame=frame,
            generation=(generation, self._version),
            options=options,
            pick=pick,
            marks=shared.marks(marked_as or name, frame),
            window=shared.window,
            set_window=window_setter(self._session),
        )

    def _printed(self) -> ViewData:
        outputs = self._session.outputs
        return printed(outputs.text[-TABLE_ROWS:], outputs.lines_printed, str(self._session.reset_ns))

    def _remarks(self) -> ViewData:
        problems = self._session.outputs.problems
        lines = [line for problem in problems for line in problem.lines(problem.severity)]
        frame = pd.DataFrame({"text": lines})
        return ViewData(name="remarks", kind="text", frame=frame, generation=len(lines))
