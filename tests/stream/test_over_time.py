"""A histogram over time that grows while it is looked at."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.stream.histogram import linear_hist, log2_hist
from ktrace_nb.stream.intervals import intervals_of
from ktrace_nb.stream.over_time import MOST_BUCKETS, HeatHistory
from tests.stream.heat import history_of


def grown(history: HeatHistory) -> dict[tuple[float, float, int], int]:
    over = intervals_of(history.frame())
    return {
        (float(over.edges[n]), float(over.edges[n + 1]), int(over.bucket[b])): int(over.counts[n, b])
        for n, b in zip(*np.nonzero(over.counts), strict=True)
    }


def test_what_is_added_between_two_looks_is_one_interval() -> None:
    history = HeatHistory(every_s=1.0)
    history.add(1.0, log2_hist([4], [10], unit="ns"))
    history.add(2.0, log2_hist([4, 6], [12, 5], unit="ns"))
    assert grown(history) == {(0.0, 1.0, 4): 10, (1.0, 2.0, 4): 2, (1.0, 2.0, 6): 5}
    assert list(history.frame().columns) == ["low_ns", "high_ns", "count"]
    assert history.frame().index.names == ["at_s", "bucket"]
    assert history.frame()["count"].dtype == np.uint64


def test_the_newest_interval_grows_until_it_is_long_enough() -> None:
    history = HeatHistory(every_s=1.0)
    for tenth in range(2, 25, 2):
        history.add(tenth / 10, log2_hist([4], [tenth]))
    assert grown(history) == {(0.0, 1.0, 4): 10, (1.0, 2.0, 4): 10, (2.0, 2.4, 4): 4}


def test_a_late_look_makes_a_long_interval() -> None:
    history = HeatHistory(every_s=1.0)
    history.add(1.0, log2_hist([4], [1]))
    history.add(600.0, log2_hist([4], [100]))
    history.add(601.0, log2_hist([4], [101]))
    assert grown(history) == {(0.0, 1.0, 4): 1, (1.0, 600.0, 4): 99, (600.0, 601.0, 4): 1}


def test_what_is_not_later_is_passed_over() -> None:
    history = HeatHistory(every_s=1.0)
    history.add(1.0, log2_hist([4], [1]))
    history.add(1.0, log2_hist([4], [5]))
    history.add(0.5, log2_hist([4], [9]))
    assert grown(history) == {(0.0, 1.0, 4): 1}
    assert history.at_s == 1.0


def test_the_frame_is_the_same_object_until_something_is_added() -> None:
    history = HeatHistory()
    history.add(1.0, log2_hist([4], [1]))
    frame = history.frame()
    assert history.frame() is frame
    history.add(1.2, log2_hist([4], [1]))
    assert history.frame() is not frame


@given(
    st.integers(2, 9), st.lists(st.tuples(st.integers(1, 30), st.integers(1, 40)), min_size=1, max_size=80)
)
def test_a_long_trace_is_told_coarsely_and_never_cut_off(most: int, looks: list[tuple[int, int]]) -> None:
    history = HeatHistory(every_s=1.0, most=most)
    counts = np.zeros(41, dtype=np.int64)
    at_s = 0
    for seconds, bucket in looks:
        at_s += seconds
        counts[bucket] += bucket
        history.add(float(at_s), log2_hist(np.arange(41), counts))
    over = intervals_of(history.frame())
    assert len(history) <= most
    assert (over.edges[0], over.edges[-1]) == (0.0, at_s)
    assert dict(zip(over.bucket.tolist(), over.counts.sum(axis=0).tolist(), strict=True)) == {
        int(bucket): int(counts[bucket]) for bucket in np.flatnonzero(counts)
    }
    # Every look is in the interval that ends at or after it.
    ends, at_s = over.edges[1:], 0
    for seconds, bucket in looks:
        at_s += seconds
        column = int(np.searchsorted(ends, at_s))
        assert over.counts[column, over.bucket.tolist().index(bucket)] > 0


def test_neighbours_are_added_up_two_by_two_when_there_is_no_room() -> None:
    history = HeatHistory(every_s=1.0, most=4)
    for second in range(1, 6):
        history.add(float(second), log2_hist([4], [second * second]))
    assert grown(history) == {(0.0, 2.0, 4): 4, (2.0, 4.0, 4): 12, (4.0, 5.0, 4): 9}
    assert history.every_s == 2.0


def test_keys_are_subtracted_one_by_one() -> None:
    def devices(**counts: int) -> pd.DataFrame:
        return log2_hist([4] * len(counts), list(counts.values()), keys={"device": list(counts)})

    history = HeatHistory(every_s=1.0)
    history.add(1.0, devices(sda=5, sdb=7))
    history.add(2.0, devices(sda=6))
    history.add(3.0, devices(sdb=2, sda=9))
    assert grown(history) == {(0.0, 1.0, 4): 12, (1.0, 2.0, 4): 1, (2.0, 3.0, 4): 5}
    assert history.fell == 1
    assert intervals_of(history.frame()).notes == ("1 count fell (reset or deleted) and counts from 0 again",)


def test_a_reset_counts_from_0_again() -> None:
    history = HeatHistory(every_s=1.0)
    history.add(1.0, log2_hist([4, 5], [10, 20]))
    history.add(2.0, log2_hist([], []))
    history.add(3.0, log2_hist([4], [3]))
    assert grown(history) == {(0.0, 1.0, 4): 10, (0.0, 1.0, 5): 20, (2.0, 3.0, 4): 3}
    assert history.fell == 2


def test_a_window_is_a_histogram_of_what_was_counted_in_it() -> None:
    history = HeatHistory(every_s=1.0)
    for second, counts in enumerate(([1, 0, 0], [1, 5, 0], [4, 5, 0], [4, 6, 2]), start=1):
        history.add(float(second), log2_hist([4, 5, 7], counts, unit="ns"))
    pd.testing.assert_frame_equal(history.between(1.0, 3.0), log2_hist([4, 5], [3, 5], unit="ns"))
    pd.testing.assert_frame_equal(history.between(3.0, 9.0), log2_hist([5, 7], [1, 2], unit="ns"))
    # Narrower than an interval: the one it lies in.
    pd.testing.assert_frame_equal(history.between(1.1, 1.2), log2_hist([5], [5], unit="ns"))
    # Those whose middle is in it: neither the first nor the last.
    pd.testing.assert_frame_equal(history.between(0.8, 3.4), log2_hist([4, 5], [3, 5], unit="ns"))
    for window in ((0.0, 4.0), (-5.0, 99.0)):
        pd.testing.assert_frame_equal(history.between(*window), log2_hist([4, 5, 7], [4, 6, 2], unit="ns"))


def test_a_window_of_a_linear_histogram_is_one() -> None:
    history = HeatHistory(every_s=1.0)
    history.add(1.0, linear_hist([0, 3], [1, 1], step=10, start=-5, unit="ms"))
    history.add(2.0, linear_hist([0, 3, 5], [1, 4, 2], step=10, start=-5, unit="ms"))
    expected = linear_hist([3, 5], [3, 2], step=10, start=-5, unit="ms")
    pd.testing.assert_frame_equal(history.between(1.0, 2.0), expected)


@pytest.mark.parametrize("wide", [0, 2**60, 2**64 - 4000])
def test_more_buckets_than_there_is_room_for_are_added_up(wide: int) -> None:
    history = HeatHistory(every_s=1.0)
    buckets = np.arange(3000, dtype=np.uint64) + np.uint64(wide)
    history.add(1.0, linear_hist([5], [1]))
    history.add(2.0, linear_hist(buckets, np.ones(3000, dtype=np.int64)))
    over = intervals_of(history.frame())
    assert len(over.bucket) <= MOST_BUCKETS
    assert history.merged == 20  # 3,000 in 256 are 12 each
    assert over.total() == 3001 - (wide == 0)  # bucket 5 was counted before
    row = int(np.searchsorted(over.low, np.uint64(wide + 1000), side="right")) - 1
    assert int(over.low[row]) == (wide + 1000) // 20 * 20
    assert int(over.counts[:, row].sum()) == 20
    assert int(over.high[-1]) <= 2**64 - 1
    assert int(history.between(0.0, 2.0)["count"].sum()) == over.total()


def test_bucket_1_stays_what_it_was() -> None:
    for bcc in (True, False):
        history = HeatHistory(every_s=1.0)
        history.add(1.0, log2_hist([1, 2], [3, 4], bcc=bcc))
        pd.testing.assert_frame_equal(history.between(0.0, 1.0), log2_hist([1, 2], [3, 4], bcc=bcc))


def test_a_history_of_the_session_is_taken_in_as_far_as_it_is_later() -> None:
    whole = history_of({1.0: {4: 1}, 2.0: {4: 3}, 3.0: {4: 3, 5: 2}})
    history = HeatHistory(every_s=1.0)
    history.take(whole.loc[:2.0])
    history.take(whole)
    assert grown(history) == {(0.0, 1.0, 4): 1, (1.0, 2.0, 4): 2, (2.0, 3.0, 5): 2}


def test_nothing_counted_yet_is_an_empty_frame() -> None:
    history = HeatHistory()
    assert not len(history.frame())
    history.add(1.0, log2_hist([], [], unit="ns"))
    assert not len(history.frame())
    assert intervals_of(history.frame()).total() == 0
    assert not len(history.between(0.0, 1.0))
    history.add(2.0, log2_hist([4], [1], unit="ns"))
    assert grown(history) == {(1.0, 2.0, 4): 1}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="wanted 2 or more"):
        HeatHistory(most=1)
    with pytest.raises(ValueError, match="not a histogram"):
        HeatHistory().add(1.0, pd.DataFrame({"value": [1]}))
