from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.api.extensions import ExtensionArray

from ktrace_nb.widgets.rows import columns_of, top_places, top_rows

columns = st.one_of(
    st.lists(st.integers(0, 2**64 - 1), max_size=40).map(lambda v: pd.Series(v, dtype=np.uint64)),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40).map(lambda v: pd.Series(v, dtype=np.int64)),
    st.lists(st.integers(0, 3), max_size=40).map(lambda v: pd.Series(v, dtype=np.int64)),
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40).map(
        lambda v: pd.Series(v, dtype=np.float64)
    ),
    st.lists(st.sampled_from(["b", "a", "c", None]), max_size=40).map(
        lambda v: pd.Series(pd.Categorical(v, categories=["c", "a", "b"]))
    ),
    st.lists(st.sampled_from(["b", "a", "", None]), max_size=40).map(lambda v: pd.Series(v, dtype=object)),
)


@given(columns, st.booleans(), st.integers(1, 50))
def test_the_top_rows_are_those_a_stable_sort_puts_first(
    column: pd.Series[int], descending: bool, limit: int
) -> None:
    frame = pd.DataFrame({"row": np.arange(len(column)), "x": column})
    known = [(value, row) for row, value in enumerate(column.tolist()) if not pd.isna(value)]
    # Python's sort keeps equal values in order also when it is reversed.
    expected = [row for _, row in sorted(known, key=lambda pair: pair[0], reverse=descending)]
    expected += [row for row, value in enumerate(column.tolist()) if pd.isna(value)]
    assert top_rows(frame, "x", descending=descending, limit=limit)["row"].tolist() == expected[:limit]


def test_a_column_the_frame_does_not_have_keeps_its_order() -> None:
    frame = pd.DataFrame({"x": [3, 1, 2]})
    assert top_rows(frame, "y", limit=2)["x"].tolist() == [3, 1]
    assert top_rows(frame, limit=2)["x"].tolist() == [3, 1]


def test_an_index_level_sorts_too() -> None:
    frame = pd.DataFrame({"n": [1, 2, 3]}, index=pd.Index(["b", "c", "a"], name="comm"))
    assert top_rows(frame, "comm", descending=False, limit=2)["n"].tolist() == [3, 1]


def test_values_without_a_hash_sort_by_their_text() -> None:
    frame = pd.DataFrame({"stack": pd.Series([["b"], ["a"], None], dtype=object), "n": [1, 2, 3]})
    assert top_rows(frame, "stack", descending=False, limit=3)["n"].tolist() == [2, 1, 3]


@pytest.mark.parametrize(
    "column", [pd.array([0, None, 1], dtype="Int64"), pd.array([False, None, True], dtype="boolean")]
)
def test_nullable_columns_sort(column: ExtensionArray) -> None:
    frame = pd.DataFrame({"x": column, "n": [1, 2, 3]})
    assert top_rows(frame, "x", limit=3)["n"].tolist() == [3, 1, 2]


def test_columns_of_one_name_and_of_other_names_than_strings_are_told_apart() -> None:
    frame = pd.DataFrame([[1, 3, 5], [2, 1, 4]], columns=["x", "x", 7], index=pd.Index([9, 8], name="x"))
    columns = columns_of(frame)
    assert [column.name for column in columns] == ["x", "x", "x", "7"]
    assert [column.key for column in columns] == ["x", "x (2)", "x (3)", "7"]
    places = np.array([1, 0])
    assert [column.take(frame, places) for column in columns] == [[8, 9], [2, 1], [1, 3], [4, 5]]
    assert top_rows(frame, "x (3)", limit=1).iloc[0].tolist() == [1, 3, 5]
    assert top_rows(frame, "7", descending=False, limit=1).iloc[0].tolist() == [2, 1, 4]


def test_names_of_columns_that_steer_a_terminal_are_shown_as_escapes() -> None:
    frame = pd.DataFrame({"a\x1b[2J": [1, 2]})
    (column,) = columns_of(frame)
    assert column.name == r"a\x1b[2J"
    assert top_rows(frame, r"a\x1b[2J", limit=1).iloc[0, 0] == 2


def test_row_numbers_are_no_column() -> None:
    assert [column.name for column in columns_of(pd.DataFrame({"a": [1]}, index=[7]))] == ["a"]
    assert columns_of(pd.DataFrame(index=[1, 2])) == ()


def test_moments_and_durations_sort_by_time() -> None:
    took = pd.to_timedelta(["2 days", "10 days", None, "-1 days", "9 days"])
    frame = pd.DataFrame({"took": took, "at": pd.Timestamp("2026-01-01") + took, "n": range(5)})
    assert top_rows(frame, "took", limit=5)["n"].tolist() == [1, 4, 0, 3, 2]
    assert top_rows(frame, "at", descending=False, limit=5)["n"].tolist() == [3, 0, 4, 1, 2]


def test_levels_of_a_multi_index_sort() -> None:
    index = pd.MultiIndex.from_tuples([("b", 2), ("a", 10), (None, 1), ("a", 9)], names=["comm", "cpu"])
    frame = pd.DataFrame({"n": range(4)}, index=index)
    assert top_rows(frame, "comm", descending=False, limit=4)["n"].tolist() == [1, 3, 0, 2]
    assert top_rows(frame, "cpu", limit=4)["n"].tolist() == [1, 3, 0, 2]


def test_large_integers_next_to_missing_ones_sort_exactly() -> None:
    column = pd.array([2**53 + 1, None, 2**53, 2**53 + 2], dtype="UInt64")
    frame = pd.DataFrame({"x": column, "n": range(4)})
    assert top_rows(frame, "x", limit=4)["n"].tolist() == [3, 0, 2, 1]


def test_arrow_columns_sort() -> None:
    frame = pd.DataFrame(
        {
            "name": pd.array(["b", None, "a"], dtype="string[pyarrow]"),
            "x": pd.array([1, None, 3], dtype="int64[pyarrow]"),
            "n": range(3),
        }
    )
    assert top_rows(frame, "x", limit=3)["n"].tolist() == [2, 0, 1]
    assert top_rows(frame, "name", descending=False, limit=3)["n"].tolist() == [2, 0, 1]


def test_many_names_are_in_the_order_python_sorts_them() -> None:
    names = [f"{'zé漢<'[number % 4]}{number * 7919 % 30_011}" for number in range(30_000)]
    frame = pd.DataFrame({"name": pd.Series(names, dtype=object)})
    assert top_rows(frame, "name", descending=False, limit=50)["name"].tolist() == sorted(names)[:50]


def test_only_rows_that_are_kept_are_picked() -> None:
    frame = pd.DataFrame({"x": [5, 4, 3, 2, 1]})
    kept = np.array([False, True, False, True, True])
    (column,) = columns_of(frame)
    assert top_places(frame, column, limit=2, kept=kept).tolist() == [1, 3]
    assert top_places(frame, column, descending=False, limit=9, kept=kept).tolist() == [4, 3, 1]
    assert top_places(frame, None, limit=2, kept=kept).tolist() == [1, 3]
    assert top_places(frame, column, limit=2, kept=np.zeros(5, dtype=bool)).tolist() == []


@pytest.mark.parametrize("name", ["x", "comm", ""])
def test_an_empty_frame_has_no_top(name: str) -> None:
    frame = pd.DataFrame({"x": np.array([], dtype=np.uint64), "comm": pd.Categorical([])})
    assert len(top_rows(frame, name, limit=5)) == 0
