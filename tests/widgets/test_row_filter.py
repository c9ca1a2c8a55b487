from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.widgets.row_filter import MOST_SLOW_ROWS, find_rows
from ktrace_nb.widgets.rows import columns_of

FRAME = pd.DataFrame(
    {
        "comm": pd.Categorical(["bash", "Bash -c x", None, "<b>sshd\x1b"]),
        "path": pd.Series(["/etc/passwd", "/tmp/a b", "a=b", "caf\udce9"], dtype=object),
        "pid": [101, 1010, 7, 2**40],
        "bytes": np.array([2**64 - 1, 2**20, 2**53 + 1, 0], dtype=np.uint64),
        "wait_ns": pd.array([5_000_000, None, -3, 0], dtype="Int64"),
        "mean_us": [1.5, np.nan, np.inf, -2.0],
        "ok": [True, False, True, False],
        "stack": pd.Series([["a", "b"], [], ["vfs_read"], None], dtype=object),
        "key": [b"\x01\xff", b"", b"\x00", b"ab"],
        "at": pd.to_datetime(["2026-01-01", "2026-01-02", "NaT", "2026-02-01"]),
        "took": pd.to_timedelta([1, 2, None, 3], unit="ms"),
    }
)


def rows(text: str, frame: pd.DataFrame = FRAME) -> list[int]:
    found = find_rows(frame, columns_of(frame), text)
    assert found.hint == ""
    mask = np.ones(len(frame), dtype=bool) if found.mask is None else found.mask
    assert mask.dtype == np.bool_
    return np.flatnonzero(mask).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 1, 2, 3]),
        ("  ", [0, 1, 2, 3]),
        ("bash", [0, 1]),
        ("BASH", [0, 1]),
        ("comm=bash", [0]),
        ("comm=BASH", [0]),
        ("comm==bash", [0]),
        ("COMM!=bash", [1, 2, 3]),
        ('comm="Bash -c x"', [1]),
        ("comm=-", [2]),
        ("comm!=-", [0, 1, 3]),
        ("101", [0, 1]),
        ("1,010", [1]),
        ("pid=101", [0]),
        ("bash pid>101", [1]),
        ("bytes=18446744073709551615", [0]),
        ("bytes>18446744073709551614", [0]),
        ("bytes=9007199254740993", [2]),
        ("bytes=9007199254740992", []),
        ("bytes>=1MiB", [0, 1, 2]),
        ("bytes>1MiB", [0, 2]),
        ("bytes<-1", []),
        ("bytes>-1", [0, 1, 2, 3]),
        ("bytes<99999999999999999999", [0, 1, 2, 3]),
        ("bytes!=99999999999999999999", [0, 1, 2, 3]),
        ("wait_ns<5ms", [2, 3]),
        ("wait_ns<=5ms", [0, 2, 3]),
        ("wait_ns>-2.5", [0, 3]),
        ("wait_ns=-2.5", []),
        ("wait_ns!=-2.5", [0, 2, 3]),
        ("wait_ns=-", [1]),
        ("mean_us>1", [0, 2]),
        ("mean_us<inf", [0, 3]),
        ("pid<inf", [0, 1, 2, 3]),
        ("ok=yes", [0, 2]),
        ("ok=no", [1, 3]),
        ("vfs_read", [2]),
        ("stack=vfs_read", [2]),
        ('"a, b"', [0]),
        ("ff", [0]),
        ('"a b"', [1]),
        ('"a=b"', [2]),
        ('"<b>"', [3]),
        (r"\x1b", [3]),
        (r"\xe9", [3]),
        ("passwd", [0]),
        ("at>=2026-01-02", [1, 3]),
        ("took>1500us", [1, 3]),
        ("took=2ms", [1]),
        ("nothing-has-this", []),
    ],
)
def test_rows_that_satisfy_every_term_are_kept(text: str, expected: list[int]) -> None:
    assert rows(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("colour=red", "no column 'colour': put text with such a sign in quotes"),
        ("byte>5", "no column 'byte': did you mean bytes?"),
        ("bytes>", "bytes> wants a value behind it"),
        ("bytes>much", "bytes: 'much' is no number"),
        ("bytes>5ms", "bytes: 'ms' is no unit for it, known are b, bytes"),
        ("comm>a", "comm holds no numbers: use = or !="),
        ("at>yesterweek", "at: "),
        ("\x1b=1", r"no column '\x1b'"),
        ("took>5MiB", "took: 'MiB' is no unit for it"),
    ],
)
def test_a_term_that_makes_no_sense_is_told_and_the_others_hold(text: str, hint: str) -> None:
    alone = find_rows(FRAME, columns_of(FRAME), text)
    assert alone.mask is None
    assert alone.hint.startswith(hint)
    both = find_rows(FRAME, columns_of(FRAME), f"{text} bash")
    assert both.mask is not None
    assert np.flatnonzero(both.mask).tolist() == [0, 1]


def test_index_levels_are_columns_too() -> None:
    frame = FRAME.head(3).set_index(["path", "pid"])
    assert rows("pid>100 passwd", frame) == [0]
    assert rows("path=a=b", frame) == [2]
    named = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["x", "y"], name="comm"))
    assert rows("comm=y", named) == [1]


def test_columns_of_one_name_are_all_searched() -> None:
    frame = pd.DataFrame([["a", "b"], ["b", "c"]], columns=["x", "x"])
    assert rows("c", frame) == [1]
    assert rows("x=b", frame) == [1]
    assert rows('"x (2)"=b', frame) == [0]


def test_arrow_columns_are_searched() -> None:
    frame = pd.DataFrame(
        {
            "name": pd.array(["Bash", None, "sshd"], dtype="string[pyarrow]"),
            "n": pd.array([1, None, 2**40], dtype="int64[pyarrow]"),
        }
    )
    assert rows("bash", frame) == [0]
    assert rows("n>1", frame) == [2]
    assert rows("1099511627776", frame) == [2]


def test_what_cannot_be_searched_fast_is_searched_in_small_frames_only() -> None:
    few = pd.DataFrame({"stack": pd.Series([["a"]] * 10, dtype=object)})
    assert len(rows("a", few)) == 10
    many = pd.DataFrame({"stack": pd.Series([["a"]] * (MOST_SLOW_ROWS + 1), dtype=object)})
    found = find_rows(many, columns_of(many), "a")
    assert found.mask is None
    assert found.hint == "stack is not searched in more than 50,000 rows"


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    found = find_rows(FRAME, columns_of(FRAME), text)
    assert found.mask is None or len(found.mask) == len(FRAME)


def test_an_empty_frame_has_no_rows_to_keep() -> None:
    assert rows("bash bytes>5", FRAME.head(0)) == []
