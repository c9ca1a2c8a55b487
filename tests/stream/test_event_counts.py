"""Events per second by their own time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ktrace_nb.stream.event_counts import Clock, EventCounts, clock_of

ORIGIN_NS = 5_000_000_000_000


def at(*seconds: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return (np.array(seconds) * 1e9).astype(np.int64) + ORIGIN_NS


def test_events_are_counted_by_second_and_process() -> None:
    counts = EventCounts(ORIGIN_NS)
    counts.add(at(0.1, 0.9, 2.5), pd.Series(["cat", "ls", "cat"], dtype="category"))
    counts.add(at(2.6), pd.Series(["cat"], dtype="category"))
    assert counts.frame()["events_per_s"].to_dict() == {
        (1.0, "cat"): 1.0,
        (1.0, "ls"): 1.0,
        (2.0, "cat"): 0.0,
        (2.0, "ls"): 0.0,
        (3.0, "cat"): 2.0,
        (3.0, "ls"): 0.0,
    }


def test_events_of_nobody_are_one_line() -> None:
    counts = EventCounts(ORIGIN_NS)
    counts.add(at(0.5, 0.6, 1.5), None)
    assert counts.frame()["events_per_s"].to_dict() == {1.0: 2.0, 2.0: 1.0}
    assert EventCounts(ORIGIN_NS).frame().empty


def test_a_long_trace_is_told_more_coarsely_and_counts_every_event() -> None:
    counts = EventCounts(ORIGIN_NS, bins=10)
    for second in range(1000):
        counts.add(at(second + 0.5), None)
    rates = counts.frame()["events_per_s"]
    assert len(rates) <= 10
    width_s = rates.index[1] - rates.index[0]
    assert (rates * width_s).sum() == 1000


def test_the_smaller_processes_are_counted_together() -> None:
    counts = EventCounts(ORIGIN_NS)
    names = [f"p{n:02}" for n in range(20) for _ in range(n + 1)]
    counts.add(at(*[0.5] * len(names)), pd.Series(names))
    rates = counts.frame()["events_per_s"].droplevel("at_s")
    assert rates.sum() == len(names)
    assert rates["(others)"] == sum(range(1, 9))  # p00 to p07
    assert rates["p19"] == 20


def test_the_clock_of_events_is_the_column_near_the_trace_s_time() -> None:
    now = ORIGIN_NS + 10**9
    assert clock_of(pd.DataFrame({"ts": [now]}), ORIGIN_NS) == Clock("ts", 1)
    assert clock_of(pd.DataFrame({"time": [3], "ts_ns": [now]}), ORIGIN_NS) == Clock("ts_ns", 1)
    assert clock_of(pd.DataFrame({"timestamp": [1_700_000_000]}), ORIGIN_NS * 10**6) is None
    assert clock_of(pd.DataFrame({"ts": ["now"]}), ORIGIN_NS) is None
    assert clock_of(pd.DataFrame({"ts": []}), ORIGIN_NS) is None
