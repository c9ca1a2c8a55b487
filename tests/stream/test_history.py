"""Maps over time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.stream.histogram import log2_hist
from ktrace_nb.stream.history import History, history_frame, rates_frame
from ktrace_nb.stream.maps import MapSnapshot

SECOND = 1_000_000_000


def snapshot(at_s: float, size: int = 8) -> MapSnapshot:
    return MapSnapshot(b"\0" * 4, b"\0" * size, size, round(at_s * SECOND))


def moments(history: History) -> list[float]:
    return [kept.at_ns / SECOND for kept in history.snapshots]


def test_snapshots_are_kept_at_the_interval_and_the_newest_always() -> None:
    history = History(every_s=1.0)
    assert history.snapshots == []
    for tenth in range(0, 36):
        history.add(snapshot(tenth / 10))
    assert moments(history) == [0.0, 0.9, 1.8, 2.7, 3.5]


@given(st.integers(3, 40), st.integers(1, 2000))
def test_memory_is_bounded_however_long_it_runs(room: int, count: int) -> None:
    history = History(every_s=1.0, keep_bytes=room * 12)
    for second in range(count):
        history.add(snapshot(second))
    kept = moments(history)
    assert len(kept) <= room + 1
    assert (kept[0], kept[-1]) == (0, count - 1)
    gaps = [after - before for before, after in pairwise(kept[:-1])]
    assert all(gap >= 0.9 * history.every_ns / SECOND for gap in gaps)
    if count > 2 * room:
        assert history.every_ns > SECOND


def test_a_pair_looks_back_as_far_as_asked_or_as_there_is() -> None:
    history = History(every_s=1.0)
    assert history.pair(SECOND) is None
    history.add(snapshot(0))
    assert history.pair(SECOND) is None
    history.add(snapshot(0.5))
    pair = history.pair(SECOND)
    assert pair is not None
    assert [s.at_ns for s in pair] == [0, SECOND // 2]
    for half in range(2, 12):
        history.add(snapshot(half / 2))
    pair = history.pair(2 * SECOND)
    assert pair is not None
    assert pair[1].at_ns - pair[0].at_ns == pytest.approx(2 * SECOND, abs=SECOND)


def calls(**counts: int) -> pd.DataFrame:
    index = pd.Index(pd.Categorical(list(counts)), name="comm")
    return pd.DataFrame({"value": np.array(list(counts.values()), np.uint64)}, index=index)


def test_rates_are_exact_near_the_end_of_64_bits_and_count_new_keys_from_nothing() -> None:
    before = calls(dd=2**64 - 100, ls=50)
    after = calls(sh=8, dd=2**64 - 60, ls=30)
    rates = rates_frame(before, after, 2.0)
    assert rates["value_per_s"].to_dict() == {"sh": 4.0, "dd": 20.0, "ls": -10.0}
    assert str(rates["value_per_s"].dtype) == "float64"


def test_rates_of_a_histogram_keep_its_bounds() -> None:
    rates = rates_frame(log2_hist([5], [10], unit="ns"), log2_hist([4, 5], [6, 30], unit="ns"), 2.0)
    assert rates.columns.tolist() == ["low_ns", "high_ns", "count_per_s"]
    assert rates["count_per_s"].tolist() == [3.0, 10.0]
    assert rates["low_ns"].tolist() == [8, 16]


def test_rates_know_keys_of_several_parts() -> None:
    def frame(value: int) -> pd.DataFrame:
        index = pd.MultiIndex.from_arrays([[1, 1, 2], pd.Categorical(["a", "b", "a"])], names=["pid", "comm"])
        return pd.DataFrame({"value": [value, 2 * value, 3 * value]}, index=index)

    assert rates_frame(frame(1), frame(3), 1.0)["value_per_s"].tolist() == [2.0, 4.0, 6.0]


def test_a_history_is_one_frame_with_a_level_for_the_moment() -> None:
    frame = history_frame([(0.0, calls(dd=1)), (1.5, calls(dd=3, ls=2))])
    assert frame.index.names == ["at_s", "comm"]
    assert frame["value"].tolist() == [1, 3, 2]
    assert str(frame["value"].dtype) == "uint64"
    assert frame.loc[1.5].loc["dd", "value"] == 3
    assert history_frame([]).empty
