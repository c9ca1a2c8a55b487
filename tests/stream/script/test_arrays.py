from __future__ import annotations

import pytest

from ktrace_nb.ir.script import GlobalVariable, HistogramShape, Type
from ktrace_nb.stream.script.arrays import Array, Scalar, ScalarStatistics, store_of
from ktrace_nb.stream.script.errors import ScriptError
from ktrace_nb.stream.script.walking import contains_any, delete_all, walk


def filled() -> Array:
    # The entries of SystemTap's testsuite, systemtap.base/array_slicing.
    array = Array(size=100)
    for key, value in (((1, 1), 1), ((3, 3), 5), ((1, 2), 2), ((2, 2), 4), ((2, 1), 3)):
        array.set(key, value)
    return array


def counted() -> Array:
    array = Array(size=100)
    for key, value in ((1, 9), (2, 2), (2, 6), (23, 5)):
        array.accumulate((key, 1), value)
    return array


def test_reading_an_absent_entry_makes_none() -> None:
    array = Array("", size=10)
    assert array.get((1,)) == ""
    assert array.stat((1,)).count == 0
    assert len(array) == 0


def test_an_entry_of_0_or_of_an_empty_string_is_an_entry() -> None:
    array = Array(size=10)
    array.set((1,), 0)
    array.set((2,), "")
    assert array.contains((1,)) and array.contains((2,))
    array.delete((1,))
    array.delete((1,))
    assert not array.contains((1,))


@pytest.mark.parametrize(("given", "message"), [(False, "MAXMAPENTRIES"), (True, "size limit (2)")])
def test_a_full_array_takes_no_new_entry(given: bool, message: str) -> None:
    array = Array(size=2, size_given=given)
    array.set((1,), 1)
    array.set((2,), 1)
    array.set((1,), 2)
    with pytest.raises(ScriptError) as full:
        array.set((3,), 1)
    assert full.value.message == f"Array overflow, check {message}"
    assert list(array.items()) == [((1,), 2), ((2,), 1)]


def test_a_full_array_of_statistics_takes_no_new_entry() -> None:
    array = Array(size=1)
    array.accumulate((1,), 1)
    array.accumulate((1,), 1)
    with pytest.raises(ScriptError, match="Array overflow"):
        array.accumulate((2,), 1)


def test_a_wrapping_array_drops_the_oldest_entry() -> None:
    # SystemTap's testsuite, systemtap.maps/map_wrap: both kinds keep the keys 5 to 9 of 0 to 9.
    values, statistics = Array(size=5, wraps=True), Array(size=5, wraps=True)
    for i in range(10):
        values.set((i,), i)
        statistics.accumulate((i,), i)
    assert (
        [key for key, _ in values.items()]
        == [key for key, _ in statistics.items()]
        == [(i,) for i in range(5, 10)]
    )


def test_entries_come_in_the_order_in_which_they_were_made() -> None:
    assert [key for key, _ in walk(filled())] == [(1, 1), (3, 3), (1, 2), (2, 2), (2, 1)]


def test_entries_are_sorted_by_value_or_by_a_part_of_the_key() -> None:
    assert [value for _, value in walk(filled(), sort_by=0)] == [1, 2, 3, 4, 5]
    assert [value for _, value in walk(filled(), sort_by=0, descending=True)] == [5, 4, 3, 2, 1]
    assert [key for key, _ in walk(filled(), sort_by=1)] == [(1, 1), (1, 2), (2, 2), (2, 1), (3, 3)]
    assert [key for key, _ in walk(filled(), sort_by=1, descending=True)] == [
        (3, 3),
        (2, 2),
        (2, 1),
        (1, 1),
        (1, 2),
    ]


def test_statistics_are_sorted_by_their_count_unless_another_is_asked_for() -> None:
    keys = [key for key, _ in walk(counted(), sort_by=0, descending=True)]
    assert keys == [(2, 1), (1, 1), (23, 1)]
    array = counted()
    sums = [
        array.stat(key).sum for key, _ in walk(array, (None, 1), sort_by=0, statistic="sum", descending=True)
    ]
    assert sums == [9, 8, 5]


def test_a_slice_takes_the_entries_that_fit_and_the_limit_counts_those() -> None:
    assert [key for key, _ in walk(filled(), (2, None))] == [(2, 2), (2, 1)]
    assert [key for key, _ in walk(filled(), (None, 2), sort_by=0, descending=True, limit=1)] == [(2, 2)]
    assert [value for _, value in walk(filled(), limit=2)] == [1, 5]
    assert walk(filled(), limit=0) == walk(filled(), limit=-1) == []


def test_entries_may_be_deleted_while_they_are_walked_through() -> None:
    array = filled()
    for key, _ in walk(array):
        array.delete(key)
    assert len(array) == 0


def test_membership_and_deletion_take_slices() -> None:
    array = filled()
    assert contains_any(array, (2, None)) == 1
    assert contains_any(array, (9, None)) == 0
    delete_all(array, (None, 1))
    assert [key for key, _ in array.items()] == [(3, 3), (1, 2), (2, 2)]


def test_a_scalar_goes_back_to_its_first_value() -> None:
    scalar = Scalar(7)
    scalar.set(8)
    scalar.reset()
    assert scalar.get() == 7


def test_entries_can_be_taken_out_and_put_in() -> None:
    scalar, statistics, array = Scalar(7), ScalarStatistics(), Array(size=5)
    assert statistics.entries == {}
    statistics.accumulate(3)
    scalar.entries = {(): 9}
    other = ScalarStatistics()
    other.entries = statistics.entries
    array.entries = {(1,): 5}
    assert (scalar.get(), other.stat().sum, array.get((1,))) == (9, 3, 5)
    scalar.entries = {}
    assert scalar.entries == {(): 7}


def test_a_global_gets_the_store_of_its_type() -> None:
    scalar = store_of(GlobalVariable(name="n", type=Type.LONG, initial=3), 10)
    text = store_of(GlobalVariable(name="s", type=Type.STRING), 10)
    assert isinstance(scalar, Scalar) and scalar.get() == 3
    assert isinstance(text, Scalar) and text.get() == ""
    shape = HistogramShape()
    statistics = store_of(GlobalVariable(name="x", type=Type.STATISTICS, histograms=(shape,)), 10)
    assert isinstance(statistics, ScalarStatistics)
    statistics.accumulate(1)
    assert statistics.stat().bucket(shape, 65) == 1
    array = store_of(GlobalVariable(name="a", type=Type.STRING, keys=(Type.LONG,)), 1)
    assert isinstance(array, Array) and array.get((1,)) == ""
    array.set((1,), "x")
    with pytest.raises(ScriptError, match="MAXMAPENTRIES"):
        array.set((2,), "y")
