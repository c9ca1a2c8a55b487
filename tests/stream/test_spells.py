"""Spells made of scheduler events, against sequences told by hand and a plain simulation."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.stream.spells import Spells, spells_of
from tests.widgets.made_spells import made_switches

NAMES = {0: "swapper", 1: "ls", 2: "cat", 3: "cc1"}


def switches(*events: tuple[int, int, int, int] | tuple[int, int, int, int, int]) -> pd.DataFrame:
    """Events of time, CPU, who leaves, who comes, and the state that the first is left in."""
    rows = [
        (at, cpu, left, NAMES[left], state[0] if state else 0, come, NAMES[come])
        for at, cpu, left, come, *state in events
    ]
    names = ["ts", "cpu", "prev_pid", "prev_comm", "prev_state", "next_pid", "next_comm"]
    return pd.DataFrame(rows, columns=names)


def wakeups(*events: tuple[int, int]) -> pd.DataFrame:
    return pd.DataFrame(events, columns=["ts", "pid"])


def told(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Start, duration, CPU, thread and state of each spell."""
    columns = ["start_ns", "duration_ns", "cpu", "tid", "state"]
    return [
        tuple(None if value is pd.NA else value for value in row)
        for row in frame[columns].itertuples(index=False, name=None)
    ]


def by_simulation(
    events: pd.DataFrame, woken: pd.DataFrame, *, waiting: bool
) -> tuple[list[tuple[Any, ...]], int, int]:
    """The same as `told`, event by event; and nanoseconds idle and in gaps. Events are by time."""
    rows: list[Any] = [*events.itertuples()]
    everything = [(int(row.ts), 1, row) for row in rows]
    rows = [*woken.itertuples()]
    everything += [(int(row.ts), 0, row) for row in rows]
    everything.sort(key=lambda item: item[:2])
    cpus: dict[int, tuple[int, int]] = {}
    waits: dict[int, tuple[int, str]] = {}
    found, idle, gap = list[tuple[Any, ...]](), 0, 0
    for at, kind, row in everything:
        if kind == 0:
            since, state = waits.get(row.pid, (at, ""))
            if state != "runnable" and all(tid != row.pid for _, tid in cpus.values()):
                if state:
                    found.append((since, at - since, -1, row.pid, state))
                waits[row.pid] = at, "runnable"
            continue
        if row.cpu in cpus:
            since, tid = cpus[row.cpu]
            if tid != row.prev_pid:
                gap += at - since
            elif tid:
                found.append((since, at - since, row.cpu, tid, "running"))
            else:
                idle += at - since
        if row.prev_pid:
            states = {0: "runnable", 256: "runnable", 1: "sleeping", 2: "disk sleep"}
            waits[row.prev_pid] = at, states[row.prev_state]
        if row.next_pid in waits:
            since, state = waits.pop(row.next_pid)
            found.append((since, at - since, -1, row.next_pid, state))
        cpus[row.cpu] = at, row.next_pid
    found += [(since, None, cpu, tid, "running") for cpu, (since, tid) in cpus.items() if tid]
    found += [(since, None, -1, tid, state) for tid, (since, state) in waits.items()]
    return [spell for spell in found if waiting or spell[4] == "running"], idle, gap


def ordered(spells: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(spells, key=lambda spell: (*spell[:1], spell[3], spell[4]))


def test_a_task_runs_from_its_coming_to_its_leaving() -> None:
    frame = spells_of(switches((10, 0, 0, 1), (25, 0, 1, 2), (31, 1, 0, 3), (40, 0, 2, 0), (45, 0, 0, 1)))
    assert told(frame) == [
        (10, 15, 0, 1, "running"),
        (25, 15, 0, 2, "running"),
        (31, None, 1, 3, "running"),
        (45, None, 0, 1, "running"),
    ]
    assert frame["comm"].tolist() == ["ls", "cat", "cc1", "ls"]
    assert frame.index.name == "event"
    assert frame.index.tolist() == [0, 1, 2, 4]
    assert frame.dtypes.astype(str).to_dict() == {
        "start_ns": "int64",
        "duration_ns": "Int64",
        "cpu": "int16",
        "tid": "int32",
        "comm": "category",
        "state": "category",
    }


def test_what_a_task_waits_for_is_told_from_when_it_left_until_it_runs() -> None:
    events = switches((10, 0, 1, 2, 1), (30, 0, 2, 1, 256), (50, 0, 1, 2, 2), (70, 0, 2, 1, 16))
    frame = spells_of(events, wakeups((22, 1), (24, 1), (60, 1)), waiting=True)
    assert ordered(told(frame)) == [
        (10, 12, -1, 1, "sleeping"),
        (10, 20, 0, 2, "running"),
        (22, 8, -1, 1, "runnable"),
        (30, 20, 0, 1, "running"),
        (30, 20, -1, 2, "runnable"),
        (50, 10, -1, 1, "disk sleep"),
        (50, 20, 0, 2, "running"),
        (60, 10, -1, 1, "runnable"),
        (70, None, 0, 1, "running"),  # and 2 is dead: it waits for nothing
    ]
    assert frame["start_ns"].is_monotonic_increasing
    assert frame.index.tolist() == list(range(9))
    assert sorted(frame["event"].tolist()) == [-1, -1, 0, 0, 1, 1, 2, 2, 3]


def test_without_wakeups_a_task_sleeps_until_it_runs() -> None:
    frame = spells_of(switches((10, 0, 1, 2, 1), (30, 0, 2, 1, 0)), waiting=True)
    assert (10, 20, -1, 1, "sleeping") in told(frame)
    assert (30, None, -1, 2, "runnable") in told(frame)


def test_a_wakeup_of_a_task_that_runs_or_could_run_changes_nothing() -> None:
    events = switches((10, 0, 0, 1), (20, 0, 1, 2, 0), (40, 0, 2, 1, 0))
    with_them = spells_of(events, wakeups((15, 1), (25, 1), (45, 1)), waiting=True)
    assert told(with_them) == told(spells_of(events, waiting=True))


def test_states_are_those_of_the_tracepoint() -> None:
    # include/linux/sched.h; 0x102 is TASK_KILLABLE and 0x402 TASK_IDLE as task->__state has them.
    states = {0: "runnable", 1: "sleeping", 2: "disk sleep", 4: "stopped", 8: "tracing stop", 64: "parked"}
    states |= {128: "idle", 256: "runnable", 0x102: "disk sleep", 0x402: "idle"}
    for bits, name in states.items():
        frame = spells_of(switches((10, 0, 1, 0, bits)), waiting=True)
        assert told(frame) == [(10, None, -1, 1, name)]
    for gone in (16, 32):
        assert spells_of(switches((10, 0, 1, 0, gone)), waiting=True).empty


def test_lost_events_leave_a_gap_and_never_a_wrong_spell() -> None:
    # Between 20 and 50 it is not known until when cat ran, nor since when cc1.
    frame = spells_of(switches((10, 0, 0, 1), (20, 0, 1, 2), (50, 0, 3, 1), (60, 0, 1, 0)))
    assert told(frame) == [(10, 10, 0, 1, "running"), (50, 10, 0, 1, "running")]
    assert frame.attrs["spells"] == {
        "gaps": 1,
        "gap_ns": 30,
        "unsure": 0,
        "refused": 0,
        "late": 0,
        "dropped": 0,
    }


def test_a_task_seen_on_two_cpus_at_once_was_lost_on_the_first() -> None:
    # CPU 0 seems to agree with itself, but ls was on CPU 1 meanwhile.
    frame = spells_of(switches((10, 0, 0, 1), (20, 1, 0, 1), (30, 1, 1, 0), (50, 0, 1, 0)))
    assert told(frame) == [(20, 10, 1, 1, "running")]
    assert frame.attrs["spells"]["gaps"] == 1
    assert frame.attrs["spells"]["gap_ns"] == 40


def test_a_task_may_have_run_in_a_gap_so_its_waiting_is_not_told() -> None:
    events = switches((10, 1, 3, 0, 1), (20, 0, 0, 2), (50, 0, 1, 0), (60, 1, 0, 3), (70, 1, 3, 0, 1))
    frame = spells_of(events, waiting=True)
    assert (10, 50, -1, 3, "sleeping") not in told(frame)
    assert (70, None, -1, 3, "sleeping") in told(frame)
    assert frame.attrs["spells"]["unsure"] == 1


def test_cpus_may_be_out_of_order() -> None:
    events = switches((10, 0, 0, 1), (25, 0, 1, 2), (12, 1, 0, 3), (40, 0, 2, 0), (30, 1, 3, 0))
    assert told(spells_of(events)) == [
        (10, 15, 0, 1, "running"),
        (12, 18, 1, 3, "running"),
        (25, 15, 0, 2, "running"),
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("waiting", [False, True])
def test_random_sequences_agree_with_a_simulation(seed: int, waiting: bool) -> None:
    events, woken = made_switches(700, cpus=1 + seed, tasks=3 + 4 * seed, seed=seed, wakeups=True)
    frame = spells_of(events.sample(frac=1, random_state=seed), woken, waiting=waiting)
    expected, idle, gap = by_simulation(events, woken, waiting=waiting)
    assert ordered(told(frame)) == ordered(expected)
    assert frame["start_ns"].is_monotonic_increasing
    assert gap == frame.attrs["spells"]["gap_ns"] == 0
    running = frame[frame["state"] == "running"]
    span = sum(int(part["ts"].max() - part["ts"].min()) for _, part in events.groupby("cpu"))
    assert int(running["duration_ns"].sum()) == span - idle
    label = frame.index if not waiting else frame["event"]
    for event, start in zip(label, frame["start_ns"], strict=True):
        assert event == -1 or events["ts"][event] == start


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_lost_the_time_of_a_cpu_is_spells_idle_and_gaps(seed: int) -> None:
    events, _ = made_switches(900, cpus=3, tasks=12, seed=seed)
    whole = set(told(spells_of(events)))
    kept = events.sample(frac=0.9, random_state=seed).sort_index()
    frame = spells_of(kept)
    ends = {(start, cpu, tid): length for start, length, cpu, tid, _ in whole}
    wrong = [
        spell
        for spell in told(frame)
        if spell[1] is not None and ends.get((spell[0], spell[2], spell[3])) != spell[1]
    ]
    # What is wrong lies over events that were lost as pairs, so that what is left fits.
    lost = events.drop(kept.index)
    for start, length, cpu, _, _ in wrong:
        inside = lost[(lost["cpu"] == cpu) & lost["ts"].between(start, start + length)]
        assert len(inside) >= 2
    idle = 0
    for _, part in kept.groupby("cpu"):
        fits = part["next_pid"].to_numpy()[:-1] == part["prev_pid"].to_numpy()[1:]
        none = part["next_pid"].to_numpy()[:-1] == 0
        idle += int(np.diff(part["ts"])[fits & none].sum())
    span = sum(int(part["ts"].max() - part["ts"].min()) for _, part in kept.groupby("cpu"))
    ended = int(frame["duration_ns"].sum())
    assert ended == span - idle - frame.attrs["spells"]["gap_ns"]
    assert frame.attrs["spells"]["gaps"] > 0


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize("lossy", [False, True])
def test_events_taken_in_piece_by_piece_give_the_same(waiting: bool, lossy: bool) -> None:
    events, woken = made_switches(2000, cpus=3, tasks=20, seed=3, wakeups=True)
    if lossy:
        events = events.drop(events.index[[400, 401, 1500]])
    # Each CPU's ring is read on its own: within a batch the order is any.
    rng = random.Random(5)
    spells = Spells(waiting=waiting)
    since = -1
    for first in range(0, len(events), 50):
        part = events.iloc[first : first + 50]
        until = part["ts"].max() if first + 50 < len(events) else woken["ts"].max()
        more = woken[(woken["ts"] > since) & (woken["ts"] <= until)]
        since = until
        spells.add(part.iloc[rng.sample(range(len(part)), len(part))], more)
    spells.finish()
    frame, expected = spells.frame(), spells_of(events, woken, waiting=waiting)
    assert ordered(told(frame)) == ordered(told(expected))
    assert frame.attrs == expected.attrs
    assert (frame.attrs["spells"]["gaps"] > 0) == lossy


def test_an_open_spell_is_told_and_ends_where_it_stands() -> None:
    spells = Spells(settle_ns=0)
    spells.add(switches((10, 0, 0, 1), (20, 1, 0, 2)))
    spells.finish()
    before = spells.frame()
    assert told(before) == [(10, None, 0, 1, "running"), (20, None, 1, 2, "running")]
    spells.add(switches((30, 0, 1, 0)).set_axis([2]))
    spells.finish()
    assert told(spells.frame()) == [(10, 20, 0, 1, "running"), (20, None, 1, 2, "running")]
    assert told(before) == [(10, None, 0, 1, "running"), (20, None, 1, 2, "running")]


def test_events_wait_for_those_of_other_cpus_and_later_ones_are_counted() -> None:
    spells = Spells(settle_ns=100)
    spells.add(switches((1000, 0, 0, 1), (1080, 0, 1, 2)))
    assert spells.frame().empty
    spells.add(switches((1300, 0, 2, 0)))
    assert told(spells.frame()) == [(1000, 80, 0, 1, "running"), (1080, None, 0, 2, "running")]
    spells.add(switches((1100, 1, 0, 3)))
    assert spells.frame().attrs["spells"]["late"] == 1


def test_memory_is_bounded_and_what_was_dropped_is_said() -> None:
    events, _ = made_switches(3000, cpus=2, tasks=9, seed=2)
    spells = Spells(most=400, settle_ns=0)
    for first in range(0, len(events), 100):
        spells.add(events.iloc[first : first + 100])
    spells.finish()
    frame, whole = spells.frame(), spells_of(events)
    assert len(frame) <= 400
    assert frame.attrs["spells"]["dropped"] == len(whole) - len(frame)
    assert told(frame) == told(whole)[-len(frame) :]
    assert frame.index.tolist() == whole.index.tolist()[-len(frame) :]


def test_events_that_tell_nothing_are_refused_and_counted() -> None:
    events = switches((10, 0, 0, 1), (20, 0, 1, 2), (30, 0, 2, 0))
    events["ts"] = pd.array([10, None, 30], dtype="Int64")
    assert spells_of(events).attrs["spells"]["refused"] == 1
    events["ts"] = np.array([10, 2**63 + 1, 30], np.uint64)
    frame = spells_of(events)
    assert frame.attrs["spells"]["refused"] == 1
    assert told(frame) == []
    events["ts"] = [10.0, np.nan, np.inf]
    assert spells_of(events).attrs["spells"]["refused"] == 2


def test_a_missing_column_is_named() -> None:
    events = switches((10, 0, 0, 1))
    with pytest.raises(ValueError, match="no column 'prev_pid'; events sched_switch have"):
        spells_of(events.drop(columns="prev_pid"))
    with pytest.raises(ValueError, match="no column tells the time; say by="):
        spells_of(events.rename(columns={"ts": "moment"}))
    assert len(spells_of(events.rename(columns={"ts": "moment"}), by="moment")) == 1
    with pytest.raises(ValueError, match="no column 'prev_state'"):
        spells_of(events.drop(columns="prev_state"), waiting=True)
    with pytest.raises(ValueError, match="column 'ts' holds"):
        spells_of(events.assign(ts="now"))


def test_no_events_are_no_spells() -> None:
    for waiting in (False, True):
        frame = spells_of(switches(), waiting=waiting)
        assert frame.empty
        assert list(frame.columns[:6]) == ["start_ns", "duration_ns", "cpu", "tid", "comm", "state"]
