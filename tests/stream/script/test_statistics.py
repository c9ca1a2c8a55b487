from __future__ import annotations

import statistics as reference

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.ir.script import HistogramShape
from ktrace_nb.stream.script.errors import ScriptError
from ktrace_nb.stream.script.statistics import Statistics, bucket_count, bucket_of, low_of
from ktrace_nb.stream.script.values import HIGHEST, LOWEST

LOG = HistogramShape()
LINEAR = HistogramShape(low=-20, high=100, step=7)
longs = st.integers(LOWEST, HIGHEST) | st.integers(-200, 200)


def collected(values: list[int]) -> Statistics:
    made = Statistics((LOG, LINEAR))
    for value in values:
        made.add(value)
    return made


@given(st.lists(longs), st.lists(longs))
def test_parts_add_up_to_the_statistics_of_the_whole(one: list[int], other: list[int]) -> None:
    merged = collected(one)
    merged.merge(collected(other))
    assert merged == collected(one + other)


@given(st.lists(st.integers(-(10**6), 10**6), min_size=2))
def test_values_are_those_of_the_standard_library(values: list[int]) -> None:
    made = collected(values)
    assert made.value("count") == len(values)
    assert made.value("sum") == sum(values)
    assert made.value("min") == min(values)
    assert made.value("max") == max(values)
    assert made.value("avg") == int(reference.fmean(values))
    assert made.value("variance") == int(reference.variance(values))


def test_the_variance_is_that_which_systemtap_gets_with_a_bit_shift() -> None:
    # SystemTap's testsuite, systemtap.maps/PR31740: 1, 2, 3 with bit_shift 7.
    assert collected([1, 2, 3]).value("variance") == 1
    assert collected([5]).value("variance") == 0


def test_a_sum_wraps_around() -> None:
    assert collected([HIGHEST, 1]).sum == LOWEST


@pytest.mark.parametrize("what", ["min", "max", "avg", "variance"])
def test_of_nothing_only_the_count_and_the_sum_are_known(what: str) -> None:
    nothing = Statistics()
    assert nothing.value("count") == nothing.value("sum") == 0
    with pytest.raises(ScriptError, match=r"^empty aggregate$"):
        nothing.value(what)


@pytest.mark.parametrize(
    ("value", "bucket"),
    # SystemTap's testsuite, systemtap.maps/log_edge.
    [(-1, 63), (0, 64), (1, 65), (2, 66), (3, 66), (4, 67), (HIGHEST, 127), (LOWEST, 0), (-4, 61)],
)
def test_a_power_of_two_histogram_has_64_in_its_middle(value: int, bucket: int) -> None:
    assert bucket_of(value, LOG) == bucket


@given(longs)
def test_a_number_lies_between_its_bucket_and_the_next(value: int) -> None:
    bucket = bucket_of(value, LOG)
    assert low_of(bucket, LOG) in (value, 0) or abs(low_of(bucket, LOG)) <= abs(value) < 2 * abs(
        low_of(bucket, LOG)
    )
    bucket = bucket_of(value, LINEAR)
    last = bucket_count(LINEAR) - 1
    assert 0 <= bucket <= last
    if 0 < bucket < last:
        assert low_of(bucket, LINEAR) <= value < low_of(bucket, LINEAR) + LINEAR.step


def test_a_linear_histogram_has_a_bucket_below_and_one_above() -> None:
    shape = HistogramShape(low=250, high=1000, step=50)
    assert bucket_count(shape) == 18
    assert [bucket_of(value, shape) for value in (249, 250, 299, 300, 1049, 1050)] == [0, 1, 1, 2, 16, 17]


@pytest.mark.parametrize("shape", [HistogramShape(0, 10**6, 1), HistogramShape(10, 0, 5)])
def test_a_linear_histogram_has_1_to_126_buckets(shape: HistogramShape) -> None:
    with pytest.raises(ValueError, match="wanted 1 to 126"):
        bucket_count(shape)


def test_a_bucket_beyond_the_last_is_an_error_of_the_script() -> None:
    made = collected([5])
    assert made.bucket(LOG, 67) == 1
    assert made.bucket(LOG, 68) == 0
    with pytest.raises(ScriptError, match=r"^histogram index out of range$"):
        made.bucket(LOG, 128)
