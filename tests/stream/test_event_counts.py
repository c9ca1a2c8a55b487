"""Events per second by their own time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ktrace_nb.stream.event_counts import OTHERS, Clock, EventCounts, clock_of

ORIGIN_NS = 5_000_000_000_000
LATER_NS = ORIGIN_NS + 10**13


def at(*seconds: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return (np.array(seconds) * 1e9).astype(np.int64) + ORIGIN_NS


def test_events_are_counted_by_second_and_process() -> None:
    counts = EventCounts(ORIGIN_NS)
    counts.add(at(0.1, 0.9, 2.5), pd.Series(["cat", "ls", "cat"], dtype="category"), until_ns=LATER_NS)
    counts.add(at(2.6), pd.Series(["cat"], dtype="category"), until_ns=LATER_NS)
    assert counts.frame(3.0)["events_per_s"].to_dict() == {
        (1.0, "cat"): 1.0,
        (1.0, "ls"): 1.0,
        (2.0, "cat"): 0.0,
        (2.0, "ls"): 0.0,
        (3.0, "cat"): 2.0,
        (3.0, "ls"): 0.0,
    }


def test_events_of_nobody_are_one_line() -> None:
    counts = EventCounts(ORIGIN_NS)
    counts.add(at(0.5, 0.6, 1.5), None, until_ns=LATER_NS)
    assert counts.frame(2.0)["events_per_s"].to_dict() == {1.0: 2.0, 2.0: 1.0}
    assert EventCounts(ORIGIN_NS).frame(1.0).empty


def test_a_long_trace_is_told_more_coarsely_and_counts_every_event() -> None:
    counts = EventCounts(ORIGIN_NS, bins=10)
    for second in range(1000):
        counts.add(at(second + 0.5), None, until_ns=LATER_NS)
    rates = counts.frame(1000.0)["events_per_s"]
    assert len(rates) <= 10
    lengths = np.diff([0.0, *rates.index])
    assert (rates * lengths).sum() == 1000


def test_the_smaller_processes_are_counted_together() -> None:
    counts = EventCounts(ORIGIN_NS)
    names = [f"p{n:02}" for n in range(20) for _ in range(n + 1)]
    counts.add(at(*[0.5] * len(names)), pd.Series(names), until_ns=LATER_NS)
    rates = counts.frame(1.0)["events_per_s"].droplevel("at_s")
    assert rates.sum() == len(names)
    assert rates[OTHERS] == sum(range(1, 9))  # p00 to p07
    assert rates["p19"] == 20


def test_the_clock_of_events_is_the_column_near_the_trace_s_time() -> None:
    now = ORIGIN_NS + 10**9
    assert clock_of(pd.DataFrame({"ts": [now]}), ORIGIN_NS) == Clock("ts", 1)
    assert clock_of(pd.DataFrame({"time": [3], "ts_ns": [now]}), ORIGIN_NS) == Clock("ts_ns", 1)
    assert clock_of(pd.DataFrame({"timestamp": [1_700_000_000]}), ORIGIN_NS * 10**6) is None
    assert clock_of(pd.DataFrame({"ts": ["now"]}), ORIGIN_NS) is None
    assert clock_of(pd.DataFrame({"ts": []}), ORIGIN_NS) is None


def test_times_of_another_clock_are_left_out_and_counted() -> None:
    counts = EventCounts(ORIGIN_NS)
    frame = pd.DataFrame({"ts": [0.0, np.nan, ORIGIN_NS + 0.5e9, 1.7e18, float(LATER_NS) * 4]})
    clock = clock_of(frame, ORIGIN_NS)
    assert clock is not None
    counts.add(clock.at_ns(frame), None, until_ns=LATER_NS)
    rates = counts.frame(1.0)
    assert rates["events_per_s"].to_dict() == {1.0: 1.0}
    assert rates.attrs["left_out"] == {"time of another clock": 4}


def test_a_process_that_calls_itself_others_is_counted_apart() -> None:
    counts = EventCounts(ORIGIN_NS)
    names = [f"p{n:02}" for n in range(15) for _ in range(2)] + ["(others)"] * 9
    counts.add(at(*[0.5] * len(names)), pd.Series(names), until_ns=LATER_NS)
    rates = counts.frame(1.0)["events_per_s"].droplevel("at_s")
    assert rates["(others)"] == 9
    assert rates.sum() == len(names)


def test_the_last_spell_is_as_long_as_it_is_and_silence_is_zero() -> None:
    counts = EventCounts(ORIGIN_NS)
    counts.add(at(0.5, 2.1, 2.2), None, until_ns=LATER_NS)
    assert counts.frame(2.5)["events_per_s"].to_dict() == {1.0: 1.0, 2.0: 0.0, 2.5: 4.0}
    assert counts.frame(4.1)["events_per_s"].to_dict() == {1.0: 1.0, 2.0: 0.0, 3.0: 2.0, 4.0: 0.0}
