from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ktrace_nb.stream.histogram import (
    MOST_EMPTY_ROWS,
    hist_columns,
    linear_bars,
    linear_hist,
    log2_bounds,
    log2_hist,
    nice_step,
)

values = st.lists(st.integers(0, 2**64 - 1), max_size=60)


def bpf_log2l(value: int) -> int:
    """bcc's helper, as its source computes it: 1 for 0 and for 1."""
    return max(1, value.bit_length())


def bounds_of(frame: pd.DataFrame, bucket: int) -> tuple[int, int]:
    row = frame.index.get_loc(bucket)
    return int(frame["low"].to_numpy()[row]), int(frame["high"].to_numpy()[row])


@given(values)
def test_every_value_lies_within_the_bounds_of_the_bucket_it_was_counted_in(sample: list[int]) -> None:
    buckets = [bpf_log2l(value) for value in sample]
    frame = log2_hist(np.array(buckets, dtype=np.int64), np.ones(len(sample), dtype=np.int64))
    assert int(frame["count"].sum()) == len(sample)
    for value, bucket in zip(sample, buckets, strict=True):
        low, high = bounds_of(frame, bucket)
        assert low <= value <= high


@given(values, st.booleans())
def test_neighbouring_buckets_leave_no_gap(sample: list[int], bcc: bool) -> None:
    buckets = np.array([bpf_log2l(value) if bcc else value.bit_length() for value in sample], dtype=np.int64)
    frame = log2_hist(buckets, np.ones(len(buckets), dtype=np.uint64), bcc=bcc)
    highs, lows = frame["high"].to_numpy()[:-1], frame["low"].to_numpy()[1:]
    assert (highs + np.uint64(1) == lows).all()


def test_bucket_one_means_zero_and_one_where_bcc_filled_it() -> None:
    assert [int(bound[0]) for bound in log2_bounds(np.array([1]))] == [0, 1]
    assert [int(bound[0]) for bound in log2_bounds(np.array([1]), bcc=False)] == [1, 1]
    assert [int(bound[0]) for bound in log2_bounds(np.array([0]), bcc=False)] == [0, 0]


def test_the_last_bucket_ends_at_the_largest_unsigned_integer() -> None:
    low, high = log2_bounds(np.array([64]))
    assert (int(low[0]), int(high[0])) == (2**63, 2**64 - 1)


def test_rows_run_from_the_first_to_the_last_bucket_hit() -> None:
    frame = log2_hist([7, 4, 9, 2], [3, 1, 0, 0], unit="ns")
    assert frame.index.tolist() == [4, 5, 6, 7]
    assert frame["count"].tolist() == [1, 0, 0, 3]
    assert frame.columns.tolist() == ["low_ns", "high_ns", "count"]
    assert frame.index.name == "bucket"
    assert frame.index.dtype == np.int64
    assert set(frame.dtypes) == {np.dtype(np.uint64)}


def test_a_bucket_named_twice_is_added_up() -> None:
    assert log2_hist([5, 5], [2, 3])["count"].tolist() == [5]


def test_a_count_beyond_signed_integers_keeps_every_digit() -> None:
    frame = log2_hist([3], np.array([2**64 - 1], dtype=np.uint64))
    assert frame["count"].tolist() == [2**64 - 1]


@pytest.mark.parametrize("make", [log2_hist, linear_hist])
def test_nothing_counted_gives_no_rows_and_the_same_columns(make: object) -> None:
    assert callable(make)
    for frame in (make([], []), make([3], [0])):
        assert len(frame) == 0
        assert set(frame.dtypes) == {np.dtype(np.uint64)}
        assert frame.index.dtype == np.int64
    keyed = make([], [], keys={"comm": []})
    assert keyed.index.names == ["comm", "bucket"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["cat", "dd", "ls"]), st.integers(0, 2), st.integers(0, 64), st.integers(0, 9)
        )
    )
)
def test_a_keyed_histogram_is_each_key_s_own_histogram(rows: list[tuple[str, int, int, int]]) -> None:
    comm, cpu, bucket, count = zip(*rows, strict=True) if rows else ((), (), (), ())
    frame = log2_hist(
        np.array(bucket, dtype=np.int64),
        np.array(count, dtype=np.int64),
        keys={"comm": list(comm), "cpu": np.array(cpu, dtype=np.int64)},
    )
    hit = Counter[tuple[str, int]]()
    for name, number, _, counted in rows:
        hit[name, number] += counted
    keys = list(dict.fromkeys((row[0], row[1]) for row in rows if row[3]))
    assert list(dict.fromkeys(entry[:2] for entry in frame.index.tolist())) == keys
    for name, number in keys:
        own = [row for row in rows if row[:2] == (name, number)]
        alone = log2_hist([row[2] for row in own], [row[3] for row in own])
        chosen = [entry[:2] == (name, number) for entry in frame.index.tolist()]
        pd.testing.assert_frame_equal(frame[chosen].droplevel(["comm", "cpu"]), alone)
        assert int(alone["count"].sum()) == hit[name, number]


@given(
    st.lists(st.integers(0, 1000), min_size=1),
    st.integers(1, 50),
    st.integers(-(2**40), 2**40),
    st.booleans(),
)
def test_linear_bounds_are_start_plus_whole_steps(
    buckets: list[int], step: int, start: int, unsigned: bool
) -> None:
    start = abs(start) if unsigned else start
    frame = linear_hist(buckets, [1] * len(buckets), step=step, start=start)
    for number in set(buckets):
        assert bounds_of(frame, number) == (start + number * step, start + number * step + step - 1)
    lowest = start + min(buckets) * step
    assert frame["low"].dtype == (np.int64 if lowest < 0 else np.uint64)


def test_linear_bounds_reach_the_largest_unsigned_integer() -> None:
    frame = linear_hist([2**60 - 1], [1], step=16)
    assert frame[["low", "high"]].to_numpy().tolist() == [[2**64 - 16, 2**64 - 1]]


@pytest.mark.parametrize(
    ("buckets", "counts", "why"),
    [
        ([65], [1], "wanted 0 to 64"),
        ([-1], [1], "wanted 0 to 64"),
        ([1], [-1], "a count of -1"),
        ([1, 2], [1], "unequal length"),
        ([1.5], [1], "wanted integers"),
    ],
)
def test_what_is_no_histogram_is_refused(buckets: list[int], counts: list[int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        log2_hist(buckets, counts)


def test_bounds_that_64_bits_do_not_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit in 64 bits"):
        linear_hist([2**60], [1], step=16)
    with pytest.raises(ValueError, match="step 0"):
        linear_hist([1], [1], step=0)


def test_stray_buckets_far_apart_do_not_fill_the_memory() -> None:
    assert len(linear_hist([0, MOST_EMPTY_ROWS + 1], [1, 1])) == MOST_EMPTY_ROWS + 2
    frame = linear_hist(np.array([2**64 - 1, 0, 5], dtype=np.uint64), [1, 2, 3])
    assert frame["count"].to_dict() == {0: 2, 5: 3, 2**64 - 1: 1}
    assert frame["low"].tolist() == frame["high"].tolist() == frame.index.tolist()
    keyed = linear_hist([0, 2**40, 7], [1, 2, 3], keys={"disk": ["a", "a", "b"]})
    assert keyed["count"].to_dict() == {("a", 0): 1, ("a", 2**40): 2, ("b", 7): 3}


@given(
    st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.integers(1, 1000), min_size=1, max_size=20),
    st.integers(2, 200),
)
@example({-(2**63): 1, 2**62: 1}, 2)
def test_bars_take_neighbours_together_and_lose_nothing(counts: dict[int, int], most: int) -> None:
    bars = linear_bars([linear_hist(list(counts), list(counts.values()))], most)
    assert len(bars.counts[0]) <= most + 1
    assert bars.step == bars.merged
    expected: dict[int, int] = {}
    for bucket, count in counts.items():
        expected[bucket // bars.merged] = expected.get(bucket // bars.merged, 0) + count
    drawn = {bars.first + place: int(count) for place, count in enumerate(bars.counts[0]) if count}
    assert drawn == expected
    for bar in drawn:
        assert bars.bounds(bar) == (bar * bars.merged, (bar + 1) * bars.merged - 1)


@given(st.integers(0, 2**64), st.integers(2, 200))
def test_a_nice_step_is_1_2_or_5_and_no_smaller_one_would_do(span: int, most: int) -> None:
    step = nice_step(span, most)
    assert str(step).rstrip("0") in ("1", "2", "5")
    assert step * most >= span
    smaller = step // 2 if str(step)[0] != "5" else step // 5 * 2
    assert smaller * most < span or step == 1


def test_the_bound_columns_are_found_with_and_without_a_unit() -> None:
    assert hist_columns(log2_hist([1], [1], unit="bytes")).unit == "bytes"
    assert hist_columns(log2_hist([1], [1])).low == "low"
    with pytest.raises(ValueError, match="not a histogram"):
        hist_columns(pd.DataFrame({"low": [1], "count": [1]}))
