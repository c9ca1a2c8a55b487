"""Parts of event streams."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.stream.window import Events

TIMES = st.lists(st.integers(0, 2**64 - 1), max_size=30)


def events(times: list[int], name: str = "ts") -> Events:
    frame = pd.DataFrame({name: np.array(times, np.uint64), "order": np.arange(len(times))})
    return Events([("struct event", frame)])


@given(TIMES)
def test_sorting_is_by_time_and_stable(times: list[int]) -> None:
    found = events(times).sorted()
    assert found["ts"].tolist() == sorted(times)
    assert list(zip(found["ts"], found["order"], strict=True)) == sorted(
        zip(times, range(len(times)), strict=True)
    )


def test_what_is_in_order_is_not_copied() -> None:
    in_order = events([1, 2, 2, 5])
    assert np.shares_memory(in_order.sorted()["ts"].to_numpy(), in_order.frame()["ts"].to_numpy())


@given(TIMES, st.integers(-5, 2**64 + 5), st.integers(-5, 2**64 + 5))
def test_a_window_has_its_start_and_not_its_end(times: list[int], start: int, end: int) -> None:
    expected = sorted(t for t in times if start <= t < end)
    assert events(times).between(start, end)["ts"].tolist() == expected
    assert len(events(times).between()) == len(times)


def test_a_fraction_as_a_bound_lies_between_whole_numbers() -> None:
    assert events([1, 2, 3]).between(1.5, 3.0)["ts"].tolist() == [2]


def test_the_last_seconds_are_counted_from_the_newest() -> None:
    second = 10**9
    some = events([3 * second, second, 5 * second, 4 * second], "timestamp_ns")
    assert some.last(1.5)["timestamp_ns"].tolist() == [4 * second, 5 * second]
    assert some.last(10**12)["timestamp_ns"].tolist() == [second, 3 * second, 4 * second, 5 * second]
    assert events([]).last(1).empty


def test_head_and_tail_are_by_arrival() -> None:
    some = events([5, 3, 4])
    assert some.head(1)["ts"].tolist() == [5]
    assert some.tail(2)["ts"].tolist() == [3, 4]
    assert len(some) == 3


def test_types_are_apart_until_asked_for_together() -> None:
    opened = pd.DataFrame({"ts": [1, 3], "fd": [5, 6]})
    closed = pd.DataFrame({"ts": [2], "error": [0]})
    both = Events([("struct open", opened), ("struct close", closed)])
    assert both.types == ["struct open", "struct close"]
    assert both.of("struct close").frame() is closed
    assert both.sorted()["type"].tolist() == ["struct open", "struct close", "struct open"]
    with pytest.raises(KeyError, match="there is struct open, struct close"):
        both.of("struct read")


def test_without_a_known_name_the_column_must_be_said() -> None:
    some = events([2, 1], "moment")
    with pytest.raises(ValueError, match=r"no column tells the time; say by=\.\.\., one of moment, order"):
        some.sorted()
    assert some.sorted("moment")["moment"].tolist() == [1, 2]
    with pytest.raises(ValueError, match="no column 'when' of numbers"):
        some.sorted("when")


def test_arrow_shares_numbers_and_keeps_categories() -> None:
    frame = pd.DataFrame(
        {"ts": np.arange(3, dtype=np.uint64), "comm": pd.Categorical(["dd", "ls", "dd"], ["dd", "ls"])}
    )
    table = Events([("struct event", frame)]).arrow()
    assert str(table.schema.field("ts").type) == "uint64"
    assert str(table.schema.field("comm").type).startswith("dictionary")
    assert table.column("comm").to_pylist() == ["dd", "ls", "dd"]
    (buffer,) = [b for b in table.column("ts").chunk(0).buffers() if b is not None]
    assert buffer.address == frame["ts"].to_numpy().__array_interface__["data"][0]
