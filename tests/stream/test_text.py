from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.stream.histogram import linear_hist, log2_hist
from ktrace_nb.stream.text import (
    binary_number,
    bounds_label,
    cells,
    histogram_text,
    keyed_hists,
    printable,
    table_text,
)


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_printable_text_steers_no_terminal_and_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    shown.encode()
    assert printable(shown) == shown


def test_what_does_not_print_is_still_seen() -> None:
    assert printable("a\x1b[2Jb") == r"a\x1b[2Jb"
    assert printable("\u202etxt.exe") == r"\u202etxt.exe"
    assert printable(b"caf\xe9".decode("utf-8", "surrogateescape")) == r"caf\xe9"
    assert printable("naïve 漢字") == "naïve 漢字"


@given(st.integers(0, 2**64 - 1))
def test_a_binary_prefix_loses_nothing(number: int) -> None:
    text = binary_number(number)
    digits, prefix = re.fullmatch(r"([\d,]+)([KMGTPE]?)", text).groups()  # type: ignore[union-attr]
    assert int(digits.replace(",", "")) * 1024 ** " KMGTPE".index(prefix or " ") == number


@pytest.mark.parametrize(
    ("low", "high", "label"),
    [
        (0, 0, "0"),
        (0, 1, "0..1"),
        (2, 3, "2..3"),
        (512, 1023, "512..1,023"),
        (1024, 2047, "1K..2K"),
        (4096, 8191, "4K..8K"),
        (1 << 20, (1 << 21) - 1, "1M..2M"),
        (1 << 63, (1 << 64) - 1, "8E..16E"),
        (100, 199, "100..199"),
        (-100, -1, "-100..-1"),
    ],
)
def test_a_bucket_is_named_by_its_bounds(low: int, high: int, label: str) -> None:
    assert bounds_label(low, high) == label


def test_a_histogram_is_drawn_to_scale_and_small_counts_leave_a_mark() -> None:
    text = histogram_text(log2_hist([11, 12, 13, 14], [1000, 500, 0, 1], unit="ns"), title="read")
    assert text.splitlines() == [
        "read, ns  total 1,501",
        "   1K..2K  1,000  " + "#" * 62,
        "   2K..4K    500  " + "#" * 31,
        "   4K..8K      0",
        "  8K..16K      1  :",
    ]


@given(
    st.lists(st.tuples(st.integers(0, 64), st.integers(0, 2**62)), max_size=20),
    st.sampled_from([60, 80, 120]),
)
def test_a_histogram_never_grows_wider_than_the_terminal(rows: list[tuple[int, int]], width: int) -> None:
    buckets, counts = zip(*rows, strict=True) if rows else ((), ())
    frame = log2_hist(np.array(buckets, dtype=np.int64), np.array(counts, dtype=np.int64))
    assert all(len(line) <= width for line in histogram_text(frame, width=width).splitlines())


def test_a_wide_linear_histogram_has_several_buckets_in_a_line() -> None:
    text = histogram_text(linear_hist(range(0, 1000, 10), [1] * 100), title="depth")
    lines = text.splitlines()
    assert lines[0] == "depth  total 100  20 buckets per line"
    assert lines[1].split()[:2] == ["0..19", "2"]
    assert len(lines) == 1 + 50


def test_keyed_histograms_come_one_by_one_the_largest_first() -> None:
    frame = log2_hist([1, 1, 2], [1, 5, 1], keys={"comm": ["a\x1b", "b", "b"], "cpu": [0, 1, 1]})
    hists, left_out = keyed_hists(frame)
    assert [(hist.key, hist.total) for hist in hists] == [
        ("comm = b, cpu = 1", 6),
        (r"comm = a\x1b, cpu = 0", 1),
    ]
    assert left_out == 0
    assert histogram_text(frame, max_keys=1).endswith("\n\n... 1 more not drawn")
    text = histogram_text(frame, title="t")
    assert text.index("comm = b") < text.index("comm = a")
    assert "\x1b" not in text


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 64), st.integers(1, 2**58)),
        max_size=30,
    ),
    st.integers(1, 8),
)
def test_the_keys_drawn_are_those_that_counted_most(rows: list[tuple[int, int, int]], most: int) -> None:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    frame = log2_hist(table[:, 1], table[:, 2], keys={"device": table[:, 0]})
    hists, left_out = keyed_hists(frame, most)
    totals: dict[int, int] = {}
    for key, _, count in rows:
        totals[key] = totals.get(key, 0) + count
    expected = sorted(totals.items(), key=lambda pair: -pair[1])
    assert [(hist.key, hist.total) for hist in hists] == [(f"device = {k}", n) for k, n in expected[:most]]
    assert left_out == max(0, len(totals) - most)
    for hist, (key, _) in zip(hists, expected, strict=False):
        own = [row for row in rows if row[0] == key]
        alone = log2_hist([row[1] for row in own], [row[2] for row in own])
        assert hist.frame["count"].tolist() == alone["count"].tolist()
        assert hist.frame.index.tolist() == alone.index.tolist()


def test_an_empty_histogram_says_so() -> None:
    assert histogram_text(log2_hist([], []), title="read") == "read: nothing counted yet"
    assert histogram_text(linear_hist([], [])) == "nothing counted yet"


def test_cells_keep_every_digit_and_align_decimals() -> None:
    frame = pd.DataFrame(
        {
            "pid": [12345, 1],
            "bytes": np.array([2**64 - 1, 1000], dtype=np.uint64),
            "avg": [1234.5678, np.nan],
            "ratio": [0.5, 2e-7],
            "ok": [True, False],
            "stack": pd.Series([["a", "b"], None], index=["x", "y\n"], dtype=object),
            "raw": [b"\x00\xff", b""],
        },
        index=pd.Index(["x", "y\n"], name="comm"),
    )
    shown = cells(frame)
    assert shown.names == ("comm", "pid", "bytes", "avg", "ratio", "ok", "stack", "raw")
    assert shown.numeric == (False, True, True, True, True, False, False, False)
    assert shown.rows == (
        ("x", "12345", "18,446,744,073,709,551,615", "1,234.6", "0.500", "yes", "a, b", "00 ff"),
        (r"y\x0a", "1", "1,000", "-", "2e-07", "no", "-", ""),
    )


def test_reals_that_are_whole_get_no_decimals() -> None:
    assert cells(pd.DataFrame({"x": [1.0, 2e6, np.inf]})).rows == (("1",), ("2,000,000",), ("inf",))


def test_a_table_aligns_numbers_on_the_right_and_counts_what_is_left() -> None:
    frame = pd.DataFrame({"comm": ["bash", "z" * 60], "n": [5, 12345]})
    assert table_text(frame).splitlines() == [
        "comm                                                   n",
        "bash                                                   5",
        "z" * 45 + "...  12,345",
    ]
    assert table_text(frame, max_rows=1).splitlines()[-1] == "... 1 more row"
    assert table_text(frame.head(0)).splitlines() == ["comm  n", "(no rows)"]


def test_missing_values_of_every_kind_are_a_dash() -> None:
    times = pd.to_datetime(pd.Series(["2024-01-02 03:04:05", None]))
    names = pd.Categorical(["x", None])
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": names, "c": times})
    assert cells(frame).rows == (("1", "x", "2024-01-02 03:04:05"), ("-", "-", "-"))
