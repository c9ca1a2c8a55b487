from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.widgets.ticks import (
    count_label,
    count_ticks,
    linear_ticks,
    log2_ticks,
    moment_ticks,
    time_label,
    value_ticks,
    window_label,
)


@given(st.integers(0, 2**64 - 1), st.integers(2, 6))
def test_a_count_axis_ends_at_a_tick_at_or_above_the_highest_bar(highest: int, most: int) -> None:
    end, ticks = count_ticks(highest, most=most)
    assert end >= float(highest)
    assert (ticks[0].at, ticks[-1].at) == (0, end)
    assert len(ticks) <= most + 1
    assert len({tick.label for tick in ticks}) == len(ticks)


@given(st.integers(0, 64), st.integers(0, 64), st.sampled_from(["", "bytes", "ns", "us", "ms", "s"]))
def test_power_of_two_ticks_stand_where_their_label_says(first: int, last: int, unit: str) -> None:
    first, last = sorted((first, last))
    ticks = log2_ticks(first, last, unit=unit)
    assert len({tick.label for tick in ticks}) >= len(ticks) - 1  # bucket 0 and the edge of 0..1 are both 0
    assert [tick.at for tick in ticks] == sorted(tick.at for tick in ticks)
    for tick in ticks:
        assert first - 1 <= tick.at <= last
        if tick.label != "0":
            assert value_of(tick.label, unit) == pytest.approx(2**tick.at, rel=0.006)


def value_of(label: str, unit: str) -> float:
    seconds = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    if unit in seconds:
        number, scale = label.split()
        return float(number.replace(",", "")) * seconds[scale] / seconds[unit]
    prefix = label[-1] if label[-1] in "KMGTPE" else ""
    return float(label.removesuffix(prefix)) * 1024.0 ** " KMGTPE".index(prefix or " ")


def test_times_get_decades_and_short_axes_finer_steps() -> None:
    assert [tick.label for tick in log2_ticks(1, 24, unit="ns")] == (
        ["0", "10 ns", "100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms"]
    )
    assert [tick.label for tick in log2_ticks(10, 20, unit="ns")] == (
        ["1 µs", "3 µs", "10 µs", "30 µs", "100 µs", "300 µs", "1 ms"]
    )
    assert [tick.label for tick in log2_ticks(11, 14, unit="ns")] == ["2 µs", "5 µs", "10 µs"]
    assert [tick.label for tick in log2_ticks(11, 12, unit="ns")] == ["1.02 µs", "2.05 µs", "4.1 µs"]


def test_anything_else_gets_the_bounds_of_its_buckets() -> None:
    assert [tick.label for tick in log2_ticks(1, 6)] == ["0", "2", "4", "8", "16", "32", "64"]
    assert [tick.label for tick in log2_ticks(1, 3, zero_in_one=False)] == ["1", "2", "4", "8"]
    assert [(tick.at, tick.label) for tick in log2_ticks(0, 2, zero_in_one=False)] == [
        (-0.5, "0"),
        (0, "1"),
        (1, "2"),
        (2, "4"),
    ]


@given(
    st.integers(0, 100), st.integers(0, 500), st.integers(-1000, 1000), st.sampled_from([1, 7, 10, 64, 1000])
)
def test_linear_ticks_stand_where_their_label_says(first: int, more: int, start: int, step: int) -> None:
    lowest = start + first * step
    ticks = linear_ticks(more + 1, lowest=lowest, step=step)
    assert len(ticks) <= 9
    for tick in ticks:
        assert 0 <= tick.at <= more + 1
        shift = 0.5 if step == 1 else 0
        value = lowest + (tick.at - shift) * step
        if abs(value) < 100_000:
            assert float(tick.label.replace(",", "")) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("number", "label"),
    [(0, "0"), (99_999, "99,999"), (150_000, "150k"), (1_500_000, "1.5M"), (5e9, "5G"), (1e19, "10E")],
)
def test_counts_are_exact_up_to_five_digits(number: float, label: str) -> None:
    assert count_label(number) == label


def test_one_axis_has_one_prefix() -> None:
    assert [tick.label for tick in count_ticks(100_000)[1]] == ["0", "50k", "100k"]


@pytest.mark.parametrize(
    ("seconds", "label"),
    [(0, "0"), (85e-9, "85 ns"), (1e-6, "1 µs"), (0.00104858, "1.05 ms"), (1, "1 s"), (9.99999e-7, "1 µs")],
)
def test_times_are_shown_in_the_unit_that_suits_them(seconds: float, label: str) -> None:
    assert time_label(seconds) == label


@given(
    st.integers(-(10**15), 10**15),
    st.integers(-(10**15), 10**15),
    st.sampled_from([1, 1e-6, 1e-12]),
    st.sampled_from(["", "bytes", "kb", "share", "per_s"]),
)
def test_an_axis_of_values_holds_them_and_0_and_has_ticks_at_both_ends(
    one: float, other: float, size: float, unit: str
) -> None:
    one, other = one * size, other * size
    bottom, top, ticks = value_ticks(min(one, other), max(one, other), unit=unit)
    assert bottom <= min(one, other, 0) + 1e-6 * (top - bottom)
    assert top >= max(one, other, 0) - 1e-6 * (top - bottom)
    assert (ticks[0].at, ticks[-1].at) == (bottom, top)
    assert len(ticks) <= 9
    assert bottom < top


def test_values_are_labelled_in_their_unit() -> None:
    assert [tick.label for tick in value_ticks(0, 3 * 2**20, unit="bytes")[2]] == (
        ["0", "1 MiB", "2 MiB", "3 MiB"]
    )
    assert [tick.label for tick in value_ticks(0, 2_100_000, unit="ns")[2]] == (
        ["0", "500 µs", "1 ms", "1.5 ms", "2 ms", "2.5 ms"]
    )
    assert [tick.label for tick in value_ticks(0, 0.42, unit="share")[2]] == (
        ["0 %", "10 %", "20 %", "30 %", "40 %", "50 %"]
    )
    assert [tick.label for tick in value_ticks(-3, 4)[2]] == ["-4", "-2", "0", "2", "4"]
    assert [tick.label for tick in value_ticks(0, 0)[2]] == ["0", "1"]


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_an_axis_of_time_holds_its_moments(one: int, other: int) -> None:
    first, last = min(one, other) / 1000, max(one, other) / 1000
    begin, end, ticks, _ = moment_ticks(first, last)
    assert begin <= first + 1e-6
    assert end >= last - 1e-6
    assert (ticks[0].at, ticks[-1].at) == (begin, end)
    assert len(ticks) <= 12
    assert len({tick.label for tick in ticks}) == len(ticks)


def test_moments_are_seconds_at_first_and_minutes_and_hours_later() -> None:
    assert [tick.label for tick in moment_ticks(0, 42)[2]] == ["0", "5", *map(str, range(10, 50, 5))]
    begin, end, ticks, written_in = moment_ticks(0, 1700)
    assert (begin, end, written_in) == (0, 1800, "minutes:seconds")
    assert [tick.label for tick in ticks] == ["0:00", "5:00", "10:00", "15:00", "20:00", "25:00", "30:00"]
    assert [tick.label for tick in moment_ticks(0, 4 * 3600)[2]][:3] == ["0:00", "0:30", "1:00"]
    assert [tick.label for tick in moment_ticks(0.1, 0.45)[2]] == (
        ["0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.4", "0.45"]
    )


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ((2.0, 5.0), "2 s to 5 s"),
        ((0.0, 0.5), "0 s to 0.5 s"),
        ((120.25, 120.75), "120.25 s to 120.75 s"),
        ((1200.0, 3600.4), "1,200 s to 3,600 s"),
        ((3.000001, 3.000002), "3.000001 s to 3.000002 s"),
        ((7.0, 7.0), "7 s to 7 s"),
    ],
)
def test_the_ends_of_a_window_of_time_are_told_apart(window: tuple[float, float], said: str) -> None:
    assert window_label(window) == said
