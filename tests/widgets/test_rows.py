from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.api.extensions import ExtensionArray

from ktrace_nb.widgets.rows import top_rows

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
