"""Events counted into a histogram over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.stream.event_heat import histogram_over_time
from ktrace_nb.stream.intervals import intervals_of

SECOND = 1_000_000_000
START = 2**63 // SECOND * SECOND


def events(*rows: tuple[float, float]) -> pd.DataFrame:
    """Moments, seconds, and latencies, nanoseconds."""
    times, values = zip(*rows, strict=True)
    stamps = [START + round(at * SECOND) for at in times]
    return pd.DataFrame({"ts": np.array(stamps, dtype=np.uint64), "latency_ns": values})


def by_moment(frame: pd.DataFrame) -> dict[float, dict[int, int]]:
    """Moment to bucket to what was counted up to then."""
    moments: dict[float, dict[int, int]] = {}
    for at_s, bucket, count in frame["count"].reset_index().itertuples(index=False):
        moments.setdefault(at_s, {})[bucket] = count
    return moments


def test_events_are_counted_by_second_and_bucket() -> None:
    frame = histogram_over_time(events((2.5, 900), (0.0, 1000), (0.9, 1023), (1.0, 1024), (2.5, 0)))
    assert list(frame.columns) == ["low_ns", "high_ns", "count"]
    assert by_moment(frame) == {
        # Bit lengths: 0 has 0, 900 to 1023 have 10, 1024 has 11; counted up to each moment.
        1.0: {0: 0, 10: 2, 11: 0},
        2.0: {0: 0, 10: 2, 11: 1},
        3.0: {0: 1, 10: 3, 11: 1},
    }
    assert frame[["low_ns", "high_ns"]].to_numpy()[1].tolist() == [512, 1023]
    assert frame["count"].dtype == np.uint64
    assert frame.attrs["left_out"] == {}


def test_values_that_cannot_be_counted_are_told() -> None:
    frame = histogram_over_time(events((0, np.nan), (0, -1), (0, np.inf), (0, 2.9), (1, -7)))
    assert frame.attrs["left_out"] == {"missing": 1, "negative": 2, "too_large": 1}
    over = intervals_of(frame)
    assert over.notes == ("left out: 1 missing, 2 negative, 1 too large",)
    assert (over.bucket.tolist(), over.total()) == ([2], 1)


def test_large_values_fall_in_the_right_bucket() -> None:
    rows = pd.DataFrame({"ts": [0, 0, 0], "latency_ns": np.array([2**64 - 1, 2**63, 2**63 - 1], np.uint64)})
    assert histogram_over_time(rows)["count"].droplevel(0).to_dict() == {63: 1, 64: 2}
    rows["latency_ns"] = [2**64 - 1, None, 2**64]
    rows["latency_ns"] = rows["latency_ns"].astype(object)
    frame = histogram_over_time(rows)
    assert frame["count"].droplevel(0).to_dict() == {64: 1}
    assert frame.attrs["left_out"] == {"missing": 1, "too_large": 1}


def test_linear_buckets_and_other_intervals() -> None:
    rows = pd.DataFrame({"at": [10.0, 10.4, np.nan, 10.6], "depth": [3, 4, 5, 12]})
    frame = histogram_over_time(rows, "depth", "at", every_s=0.5, scale="linear", step=4)
    assert by_moment(frame) == {0.5: {0: 1, 1: 1, 3: 0}, 1.0: {0: 1, 1: 1, 3: 1}}
    assert frame[["low", "high"]].to_numpy()[2].tolist() == [12, 15]
    assert frame.attrs["left_out"] == {"no_time": 1}


def test_a_level_of_the_index_may_tell_the_time_and_missing_integers_are_missing() -> None:
    rows = pd.DataFrame(
        {"latency_ns": pd.array([8, None, 9], dtype="Int64")}, index=pd.Index([5, 6, 7], name="ts")
    )
    frame = histogram_over_time(rows)
    assert frame["count"].tolist() == [2]
    assert frame.attrs["left_out"] == {"missing": 1}


def test_no_events_are_an_empty_frame() -> None:
    frame = histogram_over_time(events((0, 1)).iloc[:0])
    assert (len(frame), frame.index.names) == (0, ["at_s", "bucket"])


def test_a_million_events_are_counted_as_pandas_counts_them() -> None:
    random = np.random.default_rng(6)
    rows = pd.DataFrame(
        {
            "ts": random.integers(0, 60 * SECOND, 1_000_000),
            "latency_ns": random.integers(1, 1 << 30, 1_000_000),
        }
    )
    over = intervals_of(histogram_over_time(rows))
    second = (rows["ts"] - rows["ts"].min()) // SECOND
    bits = np.floor(np.log2(rows["latency_ns"])).astype(int) + 1
    expected = pd.crosstab(second, bits)
    assert (over.counts == expected.to_numpy()).all()
    assert over.bucket.tolist() == expected.columns.tolist()


def test_what_cannot_be_counted_is_refused_with_the_way_out() -> None:
    rows = events((0, 1), (90_000, 2))
    with pytest.raises(ValueError, match="90,001 moments, wanted 10,000 at most: every_s=90 would do"):
        histogram_over_time(rows)
    assert len(histogram_over_time(rows, every_s=90).index.unique("at_s")) == 1001
    with pytest.raises(ValueError, match="no column 'size', only ts, latency_ns"):
        histogram_over_time(rows, "size")
    with pytest.raises(ValueError, match="wanted numbers"):
        histogram_over_time(rows.assign(comm="ls"), "comm")
    with pytest.raises(ValueError, match="wanted more than 0"):
        histogram_over_time(rows, every_s=0)
