"""What the views of a session follow over time, kept once for all of them.

Frames are what a trace holds now. Heat maps, rates, timelines and state machines are
made of what it held before as well: here that is taken in as it comes, a piece at a
time, so that a look costs what is new and not what there is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary

import pandas as pd

from ktrace_nb.magics.resting import SHARE
from ktrace_nb.session import Session
from ktrace_nb.stream.event_counts import EventCounts, clock_of
from ktrace_nb.stream.growth import Growth
from ktrace_nb.stream.over_time import HeatHistory
from ktrace_nb.stream.spells import Spells
from ktrace_nb.stream.transitions import transitions_of
from ktrace_nb.widgets.pace import Rest

_STEP_NS = 450_000_000
"""Of a running session moments that are nearer than this are one."""

_Fed = TypeVar("_Fed", HeatHistory, Growth)


@dataclass(frozen=True, slots=True)
class _Kept:
    frame: pd.DataFrame
    generation: Hashable
    rest: Rest


class Followed:
    """Outputs of one session over time; any thread.

    Args:
        session: What is followed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.RLock()
        self._begin()

    def _begin(self) -> None:
        self._since_ns = self._session.since_ns
        self._heats: dict[str, HeatHistory] = {}
        self._growths: dict[str, Growth] = {}
        self._counts: dict[str, EventCounts] = {}
        self._spells: dict[str, Spells] = {}
        self._read: dict[tuple[str, str], int] = {}
        """The label of the last event that a reader has seen, -1 before the first."""
        self._frames: dict[tuple[str, str], _Kept] = {}
        self._seen_ns: dict[int, int] = {}

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Alone, and of what was counted since the session was reset last."""
        with self._lock:
            if self._since_ns != self._session.since_ns:
                self._begin()
            yield

    def heat(self, name: str) -> HeatHistory:
        """A histogram over time, brought up to date."""
        with self._current():
            return self._fed(name, self._heats.setdefault(name, HeatHistory()))

    def rates(self, name: str) -> tuple[pd.DataFrame, Hashable]:
        """How fast the numbers of a map grow, or how many events come per second; and when that changed."""
        with self._current():
            if self._session.outputs.kind(name) != "events":
                growth = self._fed(name, self._growths.setdefault(name, Growth()))
                return self._frame(name, "rates", growth.at_s, lambda: _named(growth.frame(), name))
            counts = self._counts.setdefault(name, EventCounts(self._session.attached_ns))
            new = self._new_events(name, "rates")
            clock = clock_of(new, self._session.attached_ns)
            if clock is not None:
                counts.add(clock.at_ns(new), new["comm"] if "comm" in new.columns else None)
            return self._frame(name, "rates", self._read[name, "rates"], counts.frame)

    def spells(self, name: str) -> tuple[pd.DataFrame, Hashable]:
        """What ran when, from events of the scheduler or told as it is; and when that changed."""
        with self._current():
            # Asked first: of a session that is over by then, everything is here.
            running = self._session.running
            new = self._new_events(name, "spells")
            if "duration_ns" in new.columns:
                return self._session.frame(name), self._read[name, "spells"]
            spells = self._spells.setdefault(name, Spells())
            if len(new):
                spells.add(new)
            if not running:
                spells.finish()
            return self._frame(name, "spells", (self._read[name, "spells"], running), spells.frame)

    def transitions(self, name: str, machine: str) -> tuple[pd.DataFrame, Hashable]:
        """Transitions between states; and when they changed."""
        with self._current():
            frame = self._session.frame(name)
            generation = self._session.outputs.generation(name)
            if self._session.outputs.kind(name) != "events":
                return frame, generation
            count = partial(transitions_of, frame, machine=machine)
            return self._frame(name, "transitions", generation, count)

    def _frame(
        self, name: str, what: str, generation: Hashable, make: Callable[[], pd.DataFrame]
    ) -> tuple[pd.DataFrame, Hashable]:
        """A frame that is made when something has changed, and when it is not too dear to be made again."""
        kept = self._frames.get((name, what))
        if kept is not None and (
            kept.generation == generation or (self._session.running and not kept.rest.over(1 / SHARE))
        ):
            return kept.frame, kept.generation
        rest = Rest()
        with rest.work():
            frame = make()
        self._frames[name, what] = _Kept(frame, generation, rest)
        return frame, generation

    def _new_events(self, name: str, reader: str) -> pd.DataFrame:
        """The events that one reader has not seen."""
        frame = self._session.frame(name)
        seen = self._read.get((name, reader), -1)
        # By label: the oldest events may have gone.
        first = int(frame.index.searchsorted(seen, side="right"))
        if len(frame):
            self._read[name, reader] = int(frame.index[-1])
        self._read.setdefault((name, reader), -1)
        return frame.iloc[first:]

    def _fed(self, name: str, kept: _Fed) -> _Fed:
        session = self._session
        seen_ns = self._seen_ns.get(id(kept), session.attached_ns)
        for at_ns, frame in session.outputs.moments(name, seen_ns, session.counted_ns):
            if at_ns - self._seen_ns.get(id(kept), 0) < _STEP_NS and session.running:
                continue
            kept.add((at_ns - session.attached_ns) / 1e9, frame)
            self._seen_ns[id(kept)] = at_ns
        return kept


def _named(rates: pd.DataFrame, name: str) -> pd.DataFrame:
    """A map's one number is called value; what it is the map's name says."""
    return rates.rename(columns={"value_per_s": f"{name}_per_s"})


_all: WeakKeyDictionary[Session, Followed] = WeakKeyDictionary()
_making = threading.Lock()


def followed(session: Session) -> Followed:
    """What is followed of a session, by all of its views together."""
    with _making:
        if session not in _all:
            _all[session] = Followed(session)
        return _all[session]
