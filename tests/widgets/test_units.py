from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.widgets.units import (
    Unit,
    format_column,
    format_quantity,
    format_rate,
    parse_quantity,
    unit_of,
)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("wait_ns", "ns"),
        ("ns", "ns"),
        ("mean_us", "us"),
        ("total_ms", "ms"),
        ("elapsed_s", "s"),
        ("ns_per_hit", "ns"),
        ("bytes", "bytes"),
        ("rx_bytes", "bytes"),
        ("bytes_read", "bytes"),
        ("size", "bytes"),
        ("block_size", "bytes"),
        ("rss_kb", "kb"),
        ("cpu_share", "share"),
        ("share", "share"),
        ("cpu_hz", "hz"),
        ("freq_khz", "khz"),
        ("hits_per_s", "per_s"),
        ("rx_bytes_per_s", "bytes_per_s"),
        ("pages", ""),
        ("count", ""),
        ("pid", ""),
        ("calls", ""),
        # Moments, and names that only end alike.
        ("at_ns", ""),
        ("start_ns", ""),
        ("first_at_ns", ""),
        ("items", ""),
        ("resize", ""),
        ("", ""),
    ],
)
def test_a_column_says_its_unit_in_its_name(name: str, unit: Unit) -> None:
    assert unit_of(name) == unit


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_050_000, "ns", "1.05 ms"),
        (-3_200_000, "ns", "-3.2 ms"),
        (0, "ns", "0"),
        (12, "us", "12 µs"),
        (20_000, "s", "20,000 s"),
        (0, "bytes", "0 B"),
        (1023, "bytes", "1023 B"),
        (1024, "bytes", "1.00 KiB"),
        (1_572_864, "bytes", "1.50 MiB"),
        (15 * 2**30, "bytes", "15.0 GiB"),
        (1023 * 1024, "bytes", "1,023 KiB"),
        (2**20 - 1, "bytes", "1.00 MiB"),
        (2**64 - 1, "bytes", "16.0 EiB"),
        (-2048, "bytes", "-2.00 KiB"),
        (2048, "kb", "2.00 MiB"),
        (3 * 2**20, "bytes_per_s", "3.00 MiB/s"),
        (0.123, "share", "12.3 %"),
        (0.0004, "share", "0.04 %"),
        (0, "share", "0 %"),
        (1.0, "share", "100 %"),
        (2_400_000_000, "hz", "2.40 GHz"),
        (800_000, "khz", "800 MHz"),
        (1_234_567, "count", "1.23M"),
        (999, "count", "999"),
        (999_999, "count", "1.00M"),
        (2_400, "per_s", "2.40k/s"),
        (2**64 - 1, "", "18,446,744,073,709,551,615"),
        ("text\x1b", "", r"text\x1b"),
        (math.nan, "ns", "-"),
        (None, "bytes", "-"),
        (pd.NA, "share", "-"),
        (math.inf, "bytes", "inf"),
        (-math.inf, "ns", "-inf"),
    ],
)
def test_a_quantity_has_three_digits_and_a_unit(value: object, unit: Unit, text: str) -> None:
    assert format_quantity(value, unit) == text


@given(st.integers(0, 2**64 - 1))
def test_a_size_is_told_to_half_a_percent(size: int) -> None:
    number, word = format_quantity(size, "bytes").split()
    powers = {"B": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4, "PiB": 5, "EiB": 6}
    told = Decimal(number.replace(",", "")) * 1024 ** powers[word]
    assert abs(told - size) <= Decimal(size) / 200
    assert len(number.replace(".", "").replace(",", "")) <= 4


def test_a_column_is_written_by_its_name() -> None:
    assert format_column(pd.Series([1500, None], dtype="Int64", name="wait_us")) == ["1.5 ms", "-"]
    assert format_column(pd.Series([1039, 10_000], name="pid")) == ["1039", "10000"]
    assert format_column(pd.Series([1039, 10_000], name="calls")) == ["1,039", "10,000"]
    assert format_column(pd.Series([1.5, 22.25, np.nan], name="depth")) == ["1.50", "22.25", "-"]
    assert format_column(pd.Series([1_000_000], name="calls"), "count") == ["1.00M"]
    assert format_column(pd.Series([], dtype=float, name="x_ns")) == []


@pytest.mark.parametrize(
    ("per_s", "unit", "text"),
    [
        (1_200, "", "+1.20k/s"),
        (-3_565_158, "bytes", "-3.40 MiB/s"),
        (2_000, "kb", "+1.95 MiB/s"),
        (500_000_000, "ns", "+500 ms/s"),
        (0.5, "", "+0.500/s"),
        (0, "bytes", ""),
        (math.nan, "", ""),
    ],
)
def test_a_rate_has_a_sign(per_s: float, unit: Unit, text: str) -> None:
    assert format_rate(per_s, unit) == text


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("100", "ns", 100),
        ("5ms", "ns", 5_000_000),
        ("1.5us", "ns", 1_500),
        ("0.1 µs", "us", 0.1),
        ("2min", "s", 120),
        ("-3ms", "us", -3000),
        ("1M", "bytes", 2**20),
        ("1MiB", "bytes", 2**20),
        ("1MB", "bytes", 10**6),
        ("4MiB", "kb", 4096),
        ("10k", "", 10_000),
        ("1,000", "", 1000),
        ("1e6", "", 1_000_000),
        ("12%", "share", 0.12),
        ("2.4GHz", "hz", 2_400_000_000),
        ("1.5k/s", "per_s", 1500),
        ("18446744073709551615", "bytes", 2**64 - 1),
        ("9007199254740993", "", 2**53 + 1),
        ("-inf", "", -math.inf),
    ],
)
def test_what_somebody_writes_is_read_in_the_column_s_unit(text: str, unit: Unit, value: float) -> None:
    read = parse_quantity(text, unit)
    assert read == value
    assert isinstance(read, int) == isinstance(value, int)


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("bash", "ns", "'bash' is no number"),
        ("5ms", "bytes", "'ms' is no unit for it, known are b, bytes, k"),
        ("5KiB", "ns", "known are ns, us, µs, ms, s, m, min, h"),
        ("", "", "is no number"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, unit: Unit, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_quantity(text, unit)
