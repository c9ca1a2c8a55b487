"""Against what SystemTap printed, as its testsuite (systemtap.maps) and documentation record it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ktrace_nb.ir.script import HistogramShape
from ktrace_nb.stream.script.errors import ScriptError
from ktrace_nb.stream.script.histograms import histogram_text
from ktrace_nb.stream.script.statistics import Statistics

LOG = HistogramShape()
HEAD = "|" + "-" * 50 + " count\n"


def printed(values: Iterable[int], shape: HistogramShape) -> str:
    statistics = Statistics((shape,))
    for value in values:
        statistics.add(value)
    return histogram_text(statistics, shape)


def test_a_power_of_two_histogram_is_printed_as_in_ix_hist() -> None:
    # i * j for j below i * 128, i = 1
    assert printed(range(128), LOG) == (
        f"value {HEAD}"
        "    0 |                                                    1\n"
        "    1 |                                                    1\n"
        "    2 |@                                                   2\n"
        "    4 |@@                                                  4\n"
        "    8 |@@@@                                                8\n"
        "   16 |@@@@@@@@                                           16\n"
        "   32 |@@@@@@@@@@@@@@@@                                   32\n"
        "   64 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@                   64\n"
        "  128 |                                                    0\n"
        "  256 |                                                    0\n"
        "\n"
    )


def test_bars_are_scaled_as_in_ix_hist() -> None:
    # the same with i = 3
    assert printed((3 * j for j in range(3 * 128)), LOG) == (
        f"value {HEAD}"
        "    0 |                                                     1\n"
        "    1 |                                                     0\n"
        "    2 |                                                     1\n"
        "    4 |                                                     1\n"
        "    8 |                                                     3\n"
        "   16 |@                                                    5\n"
        "   32 |@@                                                  11\n"
        "   64 |@@@@@                                               21\n"
        "  128 |@@@@@@@@@@                                          43\n"
        "  256 |@@@@@@@@@@@@@@@@@@@@@                               85\n"
        "  512 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@         171\n"
        " 1024 |@@@@@@@@@@                                          42\n"
        " 2048 |                                                     0\n"
        " 4096 |                                                     0\n"
        "\n"
    )


def test_negative_numbers_have_rows_of_their_own_as_in_log_edge() -> None:
    assert printed((-1, 1), LOG) == (
        f"value {HEAD}"
        "   -4 |                                                   0\n"
        "   -2 |                                                   0\n"
        "   -1 |@                                                  1\n"
        "    0 |                                                   0\n"
        "    1 |@                                                  1\n"
        "    2 |                                                   0\n"
        "    4 |                                                   0\n"
        "\n"
    )


def test_the_greatest_number_makes_wide_names_as_in_log_edge() -> None:
    assert printed([(1 << 63) - 1], LOG) == (
        f"              value {HEAD}"
        "1152921504606846976 |                                                   0\n"
        "2305843009213693952 |                                                   0\n"
        "4611686018427387904 |@                                                  1\n"
        "\n"
    )


def test_outer_buckets_are_named_by_their_bounds_as_in_linear_overunder() -> None:
    factors = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 13, 14, 15)
    values = [key * factor for key in range(100) for factor in factors]
    rows = [
        (" <250", "@" * 48, 680),
        ("  250", "@@@@@@", 94),
        ("  300", "@@@@@", 79),
        ("  350", "@@@@@", 79),
        ("  400", "@@@@", 65),
        ("  450", "@@@@", 67),
        ("  500", "@@@", 55),
        ("  550", "@@@", 54),
        ("  600", "@@@", 51),
        ("  650", "@@@", 45),
        ("  700", "@@", 41),
        ("  750", "@@", 40),
        ("  800", "@@", 34),
        ("  850", "@@", 33),
        ("  900", "@@", 31),
        ("  950", "@", 27),
        (" 1000", "@", 23),
        (">1000", "@@@@@@@", 102),
    ]
    # The count ends in one column: 50 for the bar, one blank, and as many digits as the greatest needs.
    body = "".join(f"{name} |{bar}{count:{54 - len(bar)}}\n" for name, bar, count in rows)
    assert printed(values, HistogramShape(250, 1000, 50)) == f"value {HEAD}{body}\n"


def test_large_negative_bounds_widen_the_names_as_in_linear_large_neg() -> None:
    values = [0, *[-(10**8)] * 2, *[-5 * 10**8] * 5, *[-(10**9)] * 4, -(10**10)]
    shown = printed(values, HistogramShape(-(10**9), 0, 10**8))
    assert shown.splitlines()[:3] == [
        "       value |-------------------------------------------------- count",
        "<-1000000000 |@                                                  1",
        " -1000000000 |@@@@                                               4",
    ]
    assert shown.splitlines()[-3:] == [
        "  -100000000 |@@                                                 2",
        "           0 |@                                                  1",
        "",
    ]


def test_a_row_is_left_out_where_five_in_a_row_are_empty() -> None:
    # systemtap.maps/elision with HIST_ELISION=2, which is the default.
    assert printed((444, 999), HistogramShape(0, 1500, 50)) == (
        f"value {HEAD}"
        "  300 |                                                   0\n"
        "  350 |                                                   0\n"
        "  400 |@                                                  1\n"
        "  450 |                                                   0\n"
        "  500 |                                                   0\n"
        "      ~\n"
        "  850 |                                                   0\n"
        "  900 |                                                   0\n"
        "  950 |@                                                  1\n"
        " 1000 |                                                   0\n"
        " 1050 |                                                   0\n"
        "\n"
    )


def test_of_nothing_there_is_no_histogram() -> None:
    with pytest.raises(ScriptError, match=r"^empty aggregate$"):
        histogram_text(Statistics((LOG,)), LOG)
