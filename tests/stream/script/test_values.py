from __future__ import annotations

import ctypes
from typing import ClassVar

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ktrace_nb.stream.script.errors import ScriptError
from ktrace_nb.stream.script.values import (
    HIGHEST,
    LOWEST,
    Cutter,
    divide,
    extend,
    remainder,
    shift_left,
    shift_right,
    wrap,
)


class Quotient(ctypes.Structure):
    _fields_: ClassVar = [("quotient", ctypes.c_longlong), ("rest", ctypes.c_longlong)]


libc = ctypes.CDLL(None)
libc.lldiv.restype = Quotient
libc.lldiv.argtypes = (ctypes.c_longlong, ctypes.c_longlong)

longs = st.integers(LOWEST, HIGHEST) | st.sampled_from((LOWEST, HIGHEST, -1, 0, 1))


@given(longs, longs)
def test_sums_and_products_are_those_of_64_bits(a: int, b: int) -> None:
    assert wrap(a + b) == ctypes.c_int64(a + b).value
    assert wrap(a * b) == ctypes.c_int64(a * b).value
    assert wrap(-a) == ctypes.c_int64(-a).value


@given(longs, longs)
def test_division_rounds_as_the_c_library_does(a: int, b: int) -> None:
    assume(b != 0 and not (a == LOWEST and b == -1))
    result = libc.lldiv(a, b)
    assert (divide(a, b), remainder(a, b)) == (result.quotient, result.rest)


def test_the_lowest_number_divided_by_minus_one_is_itself() -> None:
    assert divide(LOWEST, -1) == LOWEST
    assert remainder(LOWEST, -1) == 0


@pytest.mark.parametrize("operation", [divide, remainder])
def test_division_by_zero_is_an_error_of_the_script(operation: object) -> None:
    with pytest.raises(ScriptError, match=r"^division by 0$"):
        operation(1, 0)  # type: ignore[operator]


def test_only_six_bits_of_a_shift_count() -> None:
    assert shift_left(1, 64) == 1
    assert shift_left(1, 63) == LOWEST
    assert shift_left(3, 63) == LOWEST
    assert shift_right(-8, 1) == -4
    assert shift_right(-8, 65) == -4
    assert shift_right(8, -1) == 0


@pytest.mark.parametrize(
    ("size", "signed", "kind"),
    [
        (1, True, ctypes.c_int8),
        (1, False, ctypes.c_uint8),
        (2, True, ctypes.c_int16),
        (2, False, ctypes.c_uint16),
        (4, True, ctypes.c_int32),
        (4, False, ctypes.c_uint32),
        (8, True, ctypes.c_int64),
        (8, False, ctypes.c_int64),
    ],
)
@given(value=longs)
def test_narrow_integers_are_those_of_c(
    size: int, signed: bool, kind: type[ctypes.c_int64], value: int
) -> None:
    assert extend(value, size, signed) == kind(value).value


def test_a_string_is_cut_where_its_nul_needs_room() -> None:
    cut = Cutter(8)
    assert cut("1234567") == "1234567"
    assert cut.cuts == 0
    assert cut("12345678") == "1234567"
    assert cut.cuts == 1
