"""What ran when: spells of time made of the scheduler's events.

A switch says which task left a CPU and which came. Between two switches of a CPU the task
that came ran, provided that the second one says that it is this task that left, and that the
task did not show up elsewhere meanwhile: otherwise events between them were lost, and what ran
there is not known. Such a gap is left empty and counted; a spell that is told is one whose
both ends were seen.

States are those of ``prev_state`` as the tracepoint ``sched_switch`` tells it: 0 for a task
that could have gone on, 256 for one that was preempted, else a bit: 1 (``TASK_INTERRUPTIBLE``)
sleeping, 2 (``TASK_UNINTERRUPTIBLE``) disk sleep, 4 (``__TASK_STOPPED``) stopped, 8
(``__TASK_TRACED``) tracing stop, 16 and 32 (``EXIT_DEAD``, ``EXIT_ZOMBIE``) gone, 64
(``TASK_PARKED``) parked, 128 (``TASK_REPORT_IDLE``) idle. Source: ``include/linux/sched.h`` and
``__trace_sched_switch_state()`` in ``include/trace/events/sched.h``; the words are those of
``task_state_array`` in ``fs/proc/array.c``, as ``/proc/PID/status`` shows them.
"""

from __future__ import annotations

import pandas as pd

from ktrace_nb.stream.spell_events import Held, Names, Switches, Wakeups
from ktrace_nb.stream.spell_line import Carry
from ktrace_nb.stream.spell_store import Store
from ktrace_nb.stream.spell_turns import follow

SETTLE_NS = 10_000_000
"""Events that are younger than this wait for those of other CPUs: ring buffers are read CPU by CPU."""

MOST = 2_000_000
"""Spells that are kept at most: some 80 MB."""


def spells_of(
    switches: pd.DataFrame,
    wakeups: pd.DataFrame | None = None,
    *,
    waiting: bool = False,
    by: str | None = None,
) -> pd.DataFrame:
    """Make spells of scheduler events.

    Args:
        switches: A row per ``sched_switch``: a time in nanoseconds (one of
            :data:`ktrace_nb.stream.window.TIME_NAMES`), ``cpu``, ``prev_pid``, ``next_pid``, and
            if there are any ``prev_comm``, ``next_comm``; ``prev_state`` for ``waiting``. Events
            of several CPUs may be out of order.
        wakeups: A row per ``sched_wakeup`` or ``sched_wakeup_new``: the time, ``pid`` and perhaps
            ``comm``; only read for ``waiting``. Without them a task sleeps until it runs.
        waiting: Also what each task was about when it did not run: ``runnable`` from when it was
            preempted or woken until it ran, or asleep.
        by: The column that tells the time, by default the first of ``TIME_NAMES``.

    Returns:
        A row per spell, by start. The index, ``event``, is the label of the row of ``switches``
        that it begins with. With ``waiting`` a switch begins two spells, so the index is
        ``spell`` (int64), and ``event`` a column, -1 (None if labels are no numbers) of what
        begins with a wakeup.

        =============== ======== =================================================
        ``start_ns``     int64    of the clock of the events
        ``duration_ns``  Int64    missing if it has not ended
        ``cpu``          int16    -1 of a task that does not run
        ``tid``          int32    the thread; the idle task, 0, has no spells
        ``comm``         category its name; missing if the events do not tell
        ``state``        category ``running``; with ``waiting`` also ``runnable``,
                                  ``sleeping``, ``disk sleep``, ``stopped``,
                                  ``tracing stop``, ``parked``, ``idle``
        =============== ======== =================================================

        ``attrs["spells"]`` counts what cannot be told: ``gaps`` (how often it is not known
        until when a task ran; where what was lost leaves a sequence that fits, only
        the trace's ledger knows), ``gap_ns`` (how long that was between events, over all
        CPUs), ``unsure`` (spells of waiting tasks left out because they lie over
        a gap: the task may have run in it), ``refused`` (events without a time, a CPU or a
        task), and ``late`` and ``dropped``, see :class:`Spells`.

    Raises:
        ValueError: A column is missing, or does not hold numbers.
    """
    spells = Spells(waiting=waiting, by=by, most=2 * len(switches) + (0 if wakeups is None else len(wakeups)))
    spells.add(switches, wakeups)
    spells.finish()
    return spells.frame()


class Spells:
    """Spells of events that keep coming. Not thread-safe.

    Args:
        waiting: As for :func:`spells_of`.
        by: As for :func:`spells_of`.
        most: Keep so many spells. When there are more, a quarter goes, the oldest; those that
            have not ended stay. ``attrs["spells"]["dropped"]`` counts them.
        settle_ns: How late events of a CPU may come, nanoseconds; until then events wait.
            Later ones are left out; ``attrs["spells"]["late"]`` counts them.
    """

    def __init__(
        self,
        *,
        waiting: bool = False,
        by: str | None = None,
        most: int = MOST,
        settle_ns: int = SETTLE_NS,
    ) -> None:
        self._waiting = waiting
        self._by = by
        self._most = most
        self._names = Names()
        self._held = Held(settle_ns)
        self._store = Store(self._names)
        self._carry = Carry.none()
        self._told = {"gaps": 0, "gap_ns": 0, "unsure": 0, "refused": 0, "late": 0, "dropped": 0}

    def add(self, switches: pd.DataFrame, wakeups: pd.DataFrame | None = None) -> None:
        """Take in what has come since the last time.

        Raises:
            ValueError: A column is missing, or does not hold numbers.
        """
        woken = wakeups if self._waiting else None
        new = Switches.of(switches, self._names, by=self._by, states=self._waiting)
        more = Wakeups.of(woken, self._names, by=self._by)
        self._told["refused"] += len(switches) - len(new.at)
        self._told["refused"] += (0 if woken is None else len(woken)) - len(more.at)
        self._told["late"] += self._held.put(new, more)
        self._take()

    def finish(self) -> None:
        """Take in what still waits for late events: the trace is over."""
        self._take(all_of_them=True)

    def frame(self) -> pd.DataFrame:
        """The spells as they stand, as :func:`spells_of` returns them."""
        frame = self._store.frame(events_as_index=not self._waiting)
        frame.attrs["spells"] = dict(self._told)
        return frame

    def _take(self, *, all_of_them: bool = False) -> None:
        settled = self._held.settled(all_of_them=all_of_them)
        if settled is None:
            return
        switches, wakeups = settled
        turns = follow(self._carry, switches, wakeups, self._store.count, waiting=self._waiting)
        self._carry = turns.carry
        self._store.append(turns.begun, switches.label)
        self._store.end(turns.ended)
        self._told["gaps"] += turns.count
        self._told["gap_ns"] += int((turns.gaps.end - turns.gaps.start).sum())
        if self._waiting and len(turns.gaps.start):
            self._told["unsure"] += self._store.lose_over(turns.gaps)
        if self._store.count > self._most:
            moved, dropped = self._store.compact(self._most - self._most // 4)
            self._carry = self._carry.moved(moved)
            self._told["dropped"] += dropped
