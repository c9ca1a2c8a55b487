from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.widgets.rates import LOOK_S, Change, Rates, grows
from ktrace_nb.widgets.rows import column_named, columns_of


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def changes(frames: list[pd.DataFrame], measure: str, every_s: float = 2.0) -> Change | None:
    """What is known of the rows of the last frame after all were looked at."""
    clock = Clock()
    rates = Rates(clock)
    for frame in frames:
        clock.now += every_s
        rates.look(frame, columns_of(frame))
    last = frames[-1]
    columns = columns_of(last)
    places = np.arange(len(last))
    values = [column.take(last, places) for column in columns]
    column = column_named(columns, measure)
    assert column is not None
    return rates.changes(columns, values, places, column)


def by_comm(names: list[Any], numbers: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"n": numbers}, index=pd.Index(names, name="comm"))


def test_a_rate_is_the_difference_by_key_over_the_time_between_the_looks() -> None:
    change = changes([by_comm(["a", "b", "c"], [10, 20, 30]), by_comm(["c", "a", "b"], [31, 18, 20])], "n")
    assert change == Change(per_s=(0.5, 4.0, 0.0), is_new=(False, False, False))


def test_a_row_that_was_not_there_before_is_new_and_has_no_rate() -> None:
    change = changes([by_comm(["a"], [1]), by_comm(["late", "a"], [9, 1])], "n")
    assert change == Change(per_s=(None, 0.0), is_new=(True, False))


def test_differences_of_large_integers_keep_every_digit() -> None:
    before = by_comm(["a"], [0]).astype("uint64")
    before.loc["a", "n"] = np.uint64(2**64 - 5)
    after = by_comm(["a"], [0]).astype("uint64")
    after.loc["a", "n"] = np.uint64(2**64 - 1)
    assert changes([before, after], "n") == Change(per_s=(2.0,), is_new=(False,))
    # A map that was reset counts from 0 again: no unsigned number wraps.
    assert changes([after, by_comm(["a"], [1]).astype("uint64")], "n") == Change(
        per_s=((2 - 2**64) / 2,), is_new=(False,)
    )


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"comm": ["b", "a", "b"], "pid": [2, 1, 1], "n": [5, 6, 7]}),
        pd.DataFrame({"comm": pd.Categorical(["b", "a", "b"]), "pid": [2, 1, 1], "n": [5, 6, 7]}),
        pd.DataFrame({"comm": ["b", "a", "b"], "pid": [2, 1, 1], "n": [5, 6, 7]}).set_index(["comm", "pid"]),
    ],
)
def test_keys_are_the_named_index_or_the_columns_that_say_who(frame: pd.DataFrame) -> None:
    turned = frame.iloc[::-1].copy()
    turned["n"] = turned["n"] + [10, 20, 40]
    assert changes([frame, turned], "n") == Change(per_s=(5, 10, 20), is_new=(False, False, False))


def test_the_numbers_of_rows_are_no_keys() -> None:
    frame = pd.DataFrame({"n": [1, 2]})
    assert changes([frame, frame * 2], "n") is None


def test_rows_of_one_key_have_no_rates() -> None:
    frame = pd.DataFrame({"comm": ["a", "a"], "n": [1, 2]})
    assert changes([frame, frame], "n") is None


def test_missing_keys_and_values_are_bearable() -> None:
    before = pd.DataFrame({"comm": ["a", None, "c"], "n": [1.0, 2.0, np.nan]})
    after = pd.DataFrame({"comm": ["a", None, "c"], "n": [np.nan, 6.0, 3.0]})
    assert changes([before, after], "n") == Change(per_s=(None, 2.0, None), is_new=(False,) * 3)


@pytest.mark.parametrize(("dtype", "keys"), [("string", ["a", None]), ("Int64", [7, None])])
def test_missing_keys_of_pandas_own_kinds_are_bearable(dtype: str, keys: list[Any]) -> None:
    index = pd.Index(keys, dtype=dtype, name="comm")
    before, after = (pd.DataFrame({"n": numbers}, index=index) for numbers in ([1, 2], [7, 2]))
    # 6 in the two seconds between the looks
    assert changes([before, after], "n") == Change(per_s=(3.0, 0.0), is_new=(False,) * 2)


def test_what_is_written_into_a_frame_later_does_not_change_the_last_look() -> None:
    frame = by_comm(["a"], [1])
    clock = Clock()
    rates = Rates(clock)
    rates.look(frame, columns_of(frame))
    clock.now += 2
    frame.loc["a", "n"] = 9
    columns = columns_of(frame)
    rates.look(frame, columns)
    (key, n) = columns
    values: list[list[Any]] = [["a"], [9]]
    assert rates.changes((key, n), values, np.array([0]), n) == Change(per_s=(4.0,), is_new=(False,))


def test_looks_are_a_second_apart_and_begin_anew_with_other_columns() -> None:
    clock = Clock()
    rates = Rates(clock)
    frame = by_comm(["a"], [1])
    told = []
    for shown in (frame, frame, frame, frame.assign(more=1)):
        rates.look(shown, columns_of(shown))
        told.append((rates.known, rates.due()))
        clock.now += LOOK_S / 2
    assert told == [(False, False), (False, False), (True, False), (False, False)]
    clock.now += LOOK_S / 2
    assert rates.due()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bytes", True),
        ("count", True),
        ("total_ns", True),
        ("mean_ns", False),
        ("max_us", False),
        ("cpu_share", False),
        ("ns_per_hit", False),
        ("hits_per_s", False),
        ("cpu_hz", False),
        ("pid", False),
        ("at_ns", False),
        ("comm", False),
    ],
)
def test_only_what_adds_up_has_a_rate(name: str, expected: bool) -> None:
    frame = pd.DataFrame({name: ["a"] if name == "comm" else [1]})
    assert grows(columns_of(frame)[0]) == expected
