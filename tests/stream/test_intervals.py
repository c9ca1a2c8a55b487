"""What was counted between the moments of a histogram over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.stream.histogram import log2_hist
from ktrace_nb.stream.intervals import OverTime, exact_sum, intervals_of
from tests.stream.heat import bimodal, history_of

HAND = history_of({1.0: {4: 10, 5: 3}, 2.0: {4: 15, 5: 3, 6: 2}, 4.0: {4: 15, 5: 7, 6: 2}})


def cells(over: OverTime) -> dict[tuple[float, float, int], int]:
    """Counts by from, to and bucket, without empty cells."""
    return {
        (float(over.edges[n]), float(over.edges[n + 1]), int(over.bucket[b])): int(over.counts[n, b])
        for n, b in zip(*np.nonzero(over.counts), strict=True)
    }


def test_an_interval_has_what_was_counted_since_the_moment_before() -> None:
    over = intervals_of(HAND)
    assert cells(over) == {
        (0.0, 1.0, 4): 10,
        (0.0, 1.0, 5): 3,
        (1.0, 2.0, 4): 5,
        (1.0, 2.0, 6): 2,  # was not there before
        (2.0, 4.0, 5): 4,
    }
    assert (over.unit, over.notes, over.total()) == ("ns", (), 24)
    assert over.low.tolist() == [8, 16, 32]
    assert over.high.tolist() == [15, 31, 63]
    assert over.counts.dtype == np.uint64


def test_rates_are_per_second_of_intervals_of_any_length() -> None:
    over = intervals_of(HAND)
    assert over.seconds.tolist() == [1.0, 1.0, 2.0]
    assert over.per_s.tolist() == [[10, 3, 0], [5, 0, 2], [0, 2, 0]]


def test_the_order_of_the_rows_does_not_matter() -> None:
    frame = bimodal(40)
    shuffled = frame.sample(frac=1, random_state=1)
    assert cells(intervals_of(shuffled)) == cells(intervals_of(frame))


def test_keys_are_subtracted_one_by_one_and_added_up() -> None:
    index = pd.MultiIndex.from_tuples(
        [(1.0, "sda", 4), (1.0, "sdb", 4), (2.0, "sda", 4), (3.0, "sda", 4), (3.0, "sdb", 4)],
        names=["at_s", "device", "bucket"],
    )
    frame = pd.DataFrame({"low": 8, "high": 15, "count": [5, 7, 6, 9, 2]}, index=index)
    over = intervals_of(frame)
    # sdb was deleted after its 7 and came again with 2: together they would have fallen from 12 to 6.
    assert cells(over) == {(0.0, 1.0, 4): 12, (1.0, 2.0, 4): 1, (2.0, 3.0, 4): 3 + 2}
    assert over.notes == ("1 count fell (reset or deleted) and counts from 0 again",)


def test_a_count_that_fell_counts_from_0_again_and_that_is_said() -> None:
    over = intervals_of(history_of({1.0: {4: 10, 5: 3}, 2.0: {4: 4, 5: 1}, 3.0: {4: 5, 5: 1}}))
    assert cells(over) == {
        (0.0, 1.0, 4): 10,
        (0.0, 1.0, 5): 3,
        (1.0, 2.0, 4): 4,
        (1.0, 2.0, 5): 1,
        (2.0, 3.0, 4): 1,
    }
    assert over.notes == ("2 counts fell (reset or deleted) and counts from 0 again",)


def test_a_clock_that_did_not_start_with_the_trace_begins_at_its_first_moment() -> None:
    over = intervals_of(history_of({1e9: {4: 10}, 1e9 + 1: {4: 15}}))
    assert cells(over) == {(1e9, 1e9 + 1, 4): 5}
    assert over.notes == ("10 counted before 1e+09 s are not shown",)
    over = intervals_of(history_of({-1.0: {4: 1}, 0.0: {4: 3}, 1.0: {4: 9}}))
    assert cells(over) == {(-1.0, 0.0, 4): 2, (0.0, 1.0, 4): 6}
    # What a session gives, or says when it began, did start with the trace.
    late = history_of({50.0: {4: 10}, 50.5: {4: 15}})
    late.attrs["from_s"] = 40.0
    assert cells(intervals_of(late)) == {(40.0, 50.0, 4): 10, (50.0, 50.5, 4): 5}
    late.attrs = {"ktrace": {"every_s": 1.0}}
    assert cells(intervals_of(late)) == {(0.0, 50.0, 4): 10, (50.0, 50.5, 4): 5}
    # One moment alone is all there is.
    assert cells(intervals_of(history_of({50.0: {4: 10}}))) == {(0.0, 50.0, 4): 10}
    assert intervals_of(history_of({0.0: {4: 10}})).counts.shape == (0, 1)


def test_a_part_of_a_history_keeps_what_it_counts() -> None:
    over = intervals_of(bimodal(40).loc[10.0:20.0])
    assert over.edges.tolist() == [0.0, *np.arange(10.0, 21.0)]
    assert over.total() == int(bimodal(40)["count"].loc[20.0].sum())


def test_counts_beyond_a_float_are_exact() -> None:
    over = intervals_of(history_of({1.0: {4: 2**64 - 5}, 2.0: {4: 2**64 - 2}}))
    assert cells(over) == {(0.0, 1.0, 4): 2**64 - 5, (1.0, 2.0, 4): 3}
    assert exact_sum(np.array([2**64 - 1, 2**64 - 1], dtype=np.uint64)) == 2**65 - 2


def test_counts_that_are_none_are_taken_as_0_and_said() -> None:
    frame = HAND.astype({"count": float})
    frame.iloc[0, 2] = np.nan
    frame.iloc[1, 2] = -3
    frame.iloc[2, 2] = 1.5
    over = intervals_of(frame)
    assert over.notes == ("3 counts are no whole numbers of 0 or more: taken as 0",)
    assert over.total() == 5 - 2 + 2 + 15 + 4  # 3 and 15 come at a later moment
    moved = HAND.reset_index()
    moved.loc[0, "at_s"] = np.nan
    assert "1 rows without a time are left out" in intervals_of(moved.set_index(["at_s", "bucket"])).notes


def test_nothing_counted_is_no_interval() -> None:
    for frame in (pd.DataFrame(), HAND.iloc[:0]):
        over = intervals_of(frame)
        assert over.counts.shape == (0, 0)
        assert over.total() == 0


def test_what_is_no_histogram_over_time_is_refused_with_the_way_to_one() -> None:
    with pytest.raises(ValueError, match=r"the index is bucket, wanted at_s.*session\.history\(name\)"):
        intervals_of(log2_hist([4], [1]))
    with pytest.raises(ValueError, match="wanted low, high and count"):
        intervals_of(HAND.drop(columns="low_ns"))
    with pytest.raises(ValueError, match="wanted seconds as numbers"):
        intervals_of(pd.concat({"early": log2_hist([4], [1])}, names=["at_s"]))


@given(
    st.lists(
        st.dictionaries(st.tuples(st.sampled_from("ab"), st.integers(1, 6)), st.integers(1, 100), min_size=1),
        min_size=1,
        max_size=8,
    )
)
def test_every_cell_is_the_sum_of_what_its_keys_grew(moments: list[dict[tuple[str, int], int]]) -> None:
    rows = [
        (n + 1.0, key, bucket, 1 << (bucket - 1), (1 << bucket) - 1, count)
        for n, moment in enumerate(moments)
        for (key, bucket), count in moment.items()
    ]
    frame = pd.DataFrame(rows, columns=["at_s", "key", "bucket", "low", "high", "count"])
    expected: dict[tuple[float, float, int], int] = {}
    for n, moment in enumerate(moments):
        for (key, bucket), count in moment.items():
            before = moments[n - 1].get((key, bucket), 0) if n else 0
            grown = count - before if count >= before else count
            cell = (float(n), n + 1.0, bucket)
            expected[cell] = expected.get(cell, 0) + grown
    over = intervals_of(frame.set_index(["at_s", "key", "bucket"]))
    assert cells(over) == {cell: count for cell, count in expected.items() if count}
