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
from weakref import WeakKeyDictionary, ref

import pandas as pd

from ktrace_nb.magics.choice import SWITCH
from ktrace_nb.magics.resting import SHARE
from ktrace_nb.session import Session
from ktrace_nb.stream.event_counts import Clock, EventCounts, clock_of
from ktrace_nb.stream.growth import Growth
from ktrace_nb.stream.over_time import HeatHistory
from ktrace_nb.stream.spells import Spells
from ktrace_nb.stream.transitions import transitions_of
from ktrace_nb.widgets.pace import Rest

_LATE_NS = 1_000_000_000
"""Events may be so much later than the counts that were read with them."""

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
        # Not held: what is followed of a session goes with it.
        self._of = ref(session)
        self._lock = threading.RLock()
        self._begin()

    @property
    def _session(self) -> Session:
        session = self._of()
        assert session is not None, "whoever asks holds the session"
        return session

    def _begin(self) -> None:
        self._since_ns = self._session.since_ns
        self._heats: dict[str, HeatHistory] = {}
        self._growths: dict[str, Growth] = {}
        self._counts: dict[str, EventCounts] = {}
        self._spells: dict[str, Spells] = {}
        self._read: dict[tuple[str, str, str], int] = {}
        """Of each stream and type of record how many events a reader has taken."""
        self._clocks: dict[tuple[str, str], Clock] = {}
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
            since_s = (self._since_ns - self._session.attached_ns) / 1e9
            return self._fed(name, self._heats.setdefault(name, HeatHistory(from_s=since_s)))

    def rates(self, name: str) -> tuple[pd.DataFrame, Hashable]:
        """How fast the numbers of a map grow, or how many events come per second; and when that changed."""
        with self._current():
            session = self._session
            if session.outputs.kind(name) != "events":
                growth = self._fed(name, self._growths.setdefault(name, Growth()))
                return self._frame(name, "rates", growth.at_s, lambda: _named(growth.frame(), name))
            counts = self._counts.setdefault(name, EventCounts(session.attached_ns))
            until_ns = session.counted_ns
            for kind, new in self._new_events(name, "rates"):
                clock = self._clock(name, kind, new)
                if clock is not None:
                    names = new["comm"] if "comm" in new.columns else None
                    # What came with the last look may be a little later than that look.
                    counts.add(clock.at_ns(new), names, until_ns=until_ns + _LATE_NS)
            until_s = (until_ns - session.attached_ns) / 1e9
            return self._frame(name, "rates", until_ns, lambda: counts.frame(until_s))

    def spells(self, name: str) -> tuple[pd.DataFrame, Hashable]:
        """What ran when, from events of the scheduler or told as it is; and when that changed."""
        with self._current():
            # Asked first: of a session that is over by then, everything is here.
            running = self._session.running
            generation = self._session.outputs.generation(name)
            if "duration_ns" in self._session.outputs.frame(name).columns:
                return self._session.frame(name), generation
            spells = self._spells.setdefault(name, Spells())
            for _, new in self._new_events(name, "spells"):
                if set(new.columns) >= SWITCH:
                    spells.add(new)
            if not running:
                spells.finish()
            return self._frame(name, "spells", (generation, running), spells.frame)

    def transitions(self, name: str, machine: str) -> tuple[pd.DataFrame, Hashable]:
        """Transitions between states; and when they changed."""
        with self._current():
            # Asked first: what comes meanwhile is seen as new at the next look.
            generation = self._session.outputs.generation(name)
            if self._session.outputs.kind(name) != "events":
                return self._session.frame(name), generation
            count = partial(transitions_of, self._session.outputs.frame(name), machine=machine)
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

    def _new_events(self, name: str, reader: str) -> Iterator[tuple[str, pd.DataFrame]]:
        """The events that one reader has not seen, by their type."""
        events = self._session.events(name)
        for kind in events.types:
            frame = events.of(kind).frame()
            seen = self._read.get((name, reader, kind), 0)
            if len(frame) > seen:
                yield kind, frame.iloc[seen:]
                self._read[name, reader, kind] = len(frame)

    def _clock(self, name: str, kind: str, events: pd.DataFrame) -> Clock | None:
        """The clock of a type of event, as the first that tell their time show it."""
        clock = self._clocks.get((name, kind)) or clock_of(events, self._session.attached_ns)
        if clock is not None:
            self._clocks[name, kind] = clock
        return clock

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
