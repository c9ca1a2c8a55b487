from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.ir.format_text import parse_format
from ktrace_nb.stream.script.formats import Formats, compile_format
from ktrace_nb.stream.script.values import HIGHEST, LOWEST, Value

libc = ctypes.CDLL(None)
longs = st.integers(LOWEST, HIGHEST)


def shown(text: str, *values: Value) -> str:
    return compile_format(parse_format(text))(values)


def snprintf(text: str, *values: int | bytes) -> str:
    buffer = ctypes.create_string_buffer(9000)
    arguments = [ctypes.c_longlong(v) if isinstance(v, int) else ctypes.c_char_p(v) for v in values]
    libc.snprintf(buffer, ctypes.c_size_t(9000), text.encode("latin-1"), *arguments)
    return buffer.value.decode("latin-1")


@given(
    longs,
    st.sampled_from(("", "-", "+", " ", "0")),
    st.integers(0, 30) | st.none(),
    st.sampled_from("diuxX"),
)
def test_integers_are_written_as_the_c_library_writes_them(
    value: int, flag: str, width: int | None, what: str
) -> None:
    size = "" if width is None else str(width)
    if size == "0":
        size = ""
    assert shown(f"<%{flag}{size}{what}>", value) == snprintf(f"<%{flag}{size}ll{what}>", value)


@given(
    longs, st.integers(1, 30), st.integers(1, 30), st.sampled_from("diuxXo"), st.sampled_from(("", "-", "+"))
)
def test_precision_is_that_of_the_c_library(
    value: int, width: int, precision: int, what: str, flag: str
) -> None:
    assert shown(f"%{flag}{width}.{precision}{what}", value) == snprintf(
        f"%{flag}{width}.{precision}ll{what}", value
    )


@given(longs.filter(bool), st.integers(1, 30), st.sampled_from("xX"))
def test_prefixes_are_those_of_the_c_library_but_for_zero(value: int, width: int, what: str) -> None:
    assert shown(f"%#{width}{what}", value) == snprintf(f"%#{width}ll{what}", value)


@given(
    st.text(alphabet=st.characters(min_codepoint=1, max_codepoint=255), max_size=20),
    st.sampled_from(("", "-")),
    st.integers(1, 30),
    st.integers(0, 30) | st.none(),
)
def test_strings_are_written_as_the_c_library_writes_them(
    value: str, flag: str, width: int, precision: int | None
) -> None:
    text = f"[%{flag}{width}{'' if precision is None else f'.{precision}'}s]"
    assert shown(text, value) == snprintf(text, value.encode("latin-1"))


@given(longs, st.integers(-30, 30))
def test_a_star_takes_the_width_from_the_arguments(value: int, width: int) -> None:
    buffer = ctypes.create_string_buffer(100)
    libc.snprintf(buffer, ctypes.c_size_t(100), b"%*lld", ctypes.c_int(width), ctypes.c_longlong(value))
    assert shown("%*d", width, value) == buffer.value.decode()


# What SystemTap's testsuite says it prints (systemtap.printf): int1, ptr-1.3, char1, char2, bin4, bin5.
@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        ("%016d", (-1024,), "-000000000001024"),
        ("%#d", (9000000000000,), "9000000000000"),
        ("%u", (-1,), "18446744073709551615"),
        ("%016X", (9000000000000,), "0000082F79CD9000"),
        ("%#x", (-1024,), "0xfffffffffffffc00"),
        ("%#o", (10,), "012"),
        ("%o", (-1024,), "1777777777777777776000"),
        ("%p", (0,), "0x0"),
        ("%20pX", (0x12345678ABCDEF00,), "  0x12345678abcdef00X"),
        ("%-20pX", (0x12345678,), "0x12345678          X"),
        ("%.20pX", (1,), "0x00000000000000000001X"),
        ("%20.8pX", (0,), "          0x00000000X"),
        ("%c%c", (97, 112), "ap"),
        ("%#c%#c%#c%#c%#c%#c", (0, 0o33, 0o177, 0o222, 0o333, 0o377), "\\000\\033\\177\\222\\333\\377"),
        ("%#c%#c%#c%#c", (7, 10, ord("'"), ord("\\")), "\\a\\n\\'\\\\"),
        ("%1b", (0x42,), "\x42"),
        ("a=%4b", (0x12,), "a=\x12\0\0\0"),
        ("%8b", (0x0807060504030201,), "\x01\x02\x03\x04\x05\x06\x07\x08"),
    ],
)
def test_it_is_what_systemtap_prints(text: str, values: tuple[int, ...], result: str) -> None:
    assert shown(text, *values) == result


# By hand, from SystemTap's runtime/vsprintf.c.
@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        ("%08.5d", (3,), "00000003"),
        ("%.0d", (0,), "0"),
        ("%#o", (0,), "00"),
        ("%+x", (255,), "ff"),
        ("%+p", (255,), "0xff"),
        ("%010p", (255,), "0x000000ff"),
        ("%5c|", (65,), "    A|"),
        ("%-5c|", (65,), "A    |"),
        ("%m", ("abcdef",), "a"),
        ("%.4m", ("abcdef",), "abcd"),
        ("%6.4m|", ("abcdef",), "  abcd|"),
        ("%.3M", ("\x01\xab\x7f\x00",), "01ab7f"),
        ("%-8.3M|", ("\x01\xab\x7f",), "01ab7f  |"),
        ("%.*s", (-1, "abc"), ""),
        ("%.*s|%5d", (2, "abc", 7), "ab|    7"),
        ("%6.2b", (0x0102,), "\0\0\0\0\x02\x01"),
        ("%-4.2b", (0x0102,), "\x02\x01\0\0"),
        ("%d%%", (50,), "50%"),
        ("%c%%", (50,), "2%"),
    ],
)
def test_it_differs_from_c_where_systemtap_does(text: str, values: tuple[Value, ...], result: str) -> None:
    assert shown(text, *values) == result


def test_a_format_is_compiled_once() -> None:
    formats = Formats()
    pieces = parse_format("%d")
    assert formats(pieces) is formats(pieces)
    assert formats(parse_format("%x"))((255,)) == "ff"
    assert formats(pieces)((255,)) == "255"
