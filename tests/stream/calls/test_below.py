from __future__ import annotations

import pandas as pd
import pytest

from ktrace_nb.stream.calls.below import with_below

# 0 calls 1 and 4, 1 calls 2 and 3; 5 calls 6; 7 is alone.
CALLS = pd.DataFrame({"parent": [-1, 0, 1, 1, 0, -1, 5, -1]}, index=pd.RangeIndex(8, name="call"))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([0], [0, 1, 2, 3, 4]),
        ([1], [1, 2, 3]),
        ([6, 1], [1, 2, 3, 6]),
        ([2, 0, 0], [0, 1, 2, 3, 4]),
        ([], []),
        ([99], []),
        (range(8), list(range(8))),
    ],
)
def test_calls_come_with_all_that_was_called_from_them(chosen: list[int], expected: list[int]) -> None:
    assert with_below(CALLS, chosen).index.tolist() == expected


def test_in_part_of_a_frame_only_calls_whose_caller_is_there_are_found() -> None:
    part = CALLS.drop(index=1)
    assert with_below(part, [0]).index.tolist() == [0, 4]
    assert with_below(part.iloc[::-1], [0]).index.tolist() == [4, 0]


def test_provenance_is_kept_and_a_frame_without_parents_refused() -> None:
    calls = CALLS.copy()
    calls.attrs["ktrace"] = {"session": "walk"}
    assert with_below(calls, [5]).attrs == calls.attrs
    assert with_below(calls.head(0), [5]).empty
    with pytest.raises(KeyError, match="parent"):
        with_below(CALLS.drop(columns="parent"), [0])
