"""Names of bits and values, against what C and Python say of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.ir.flag_tables import flag_text, read_table

OPEN = "O_RDONLY=0/3|O_WRONLY=1/3|O_RDWR=2/3|O_CREAT=0100|O_SYNC=04010000|O_DSYNC=010000"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "O_RDONLY"),
        (0o102, "O_RDWR|O_CREAT"),
        (3, "0x3"),
        (0o4010001, "O_WRONLY|O_SYNC"),
        (0o10000, "O_RDONLY|O_DSYNC"),
        (0x40000040, "O_RDONLY|O_CREAT|0x40000000"),
        (-(1 << 31), "O_RDONLY|0x80000000"),
        (1 << 40, "O_RDONLY|0x10000000000"),
    ],
)
def test_bits_and_fields_are_named_in_the_order_of_the_table_and_the_rest_is_hexadecimal(
    value: int, text: str
) -> None:
    assert flag_text(value, OPEN) == text


def test_a_name_for_zero_stands_only_for_the_whole_number() -> None:
    table = "PROT_NONE=0|PROT_READ=1|PROT_WRITE=2"
    assert flag_text(0, table) == "PROT_NONE"
    assert flag_text(3, table) == "PROT_READ|PROT_WRITE"
    assert flag_text(0, "PROT_READ=1") == "0x0"


def test_an_enumeration_names_the_whole_number_or_nothing() -> None:
    table = "=SEEK_SET=0|SEEK_CUR=1|SEEK_END=2"
    assert [flag_text(value, table) for value in (0, 2, 3)] == ["SEEK_SET", "SEEK_END", "0x3"]


def test_a_negative_int_is_found_as_c_writes_it_and_printed_in_32_bits() -> None:
    assert flag_text(-1, "=RUSAGE_SELF=0|RUSAGE_CHILDREN=-1") == "RUSAGE_CHILDREN"
    assert flag_text(-18751827, "=LINUX_REBOOT_MAGIC1=0xfee1dead") == "LINUX_REBOOT_MAGIC1"
    assert flag_text(-3, "=A=1") == "0xfffffffd"
    assert flag_text(-(1 << 40), "A=1") == "0xffffff0000000000"


def test_a_name_may_have_a_slash() -> None:
    assert flag_text(29, "=SIGWINCH=28|SIGIO/SIGPOLL=29") == "SIGIO/SIGPOLL"


@pytest.mark.parametrize("table", ["", "A", "=1", "A=1||B=2", "A=x", "A=1/"])
def test_what_is_no_table_is_refused(table: str) -> None:
    with pytest.raises(ValueError):
        read_table(table)


@given(st.integers(min_value=-(1 << 63), max_value=(1 << 64) - 1))
def test_names_and_rest_add_up_to_the_number(value: int) -> None:
    named = {"A": 1, "B": 0x100, "C": 0xC000}
    text = flag_text(value, "|".join(f"{name}={bits}" for name, bits in named.items()))
    total = sum(named[word] if word in named else int(word, 16) for word in text.split("|"))
    assert total == value & ((1 << 32) - 1 if -(1 << 31) <= value < 0 else (1 << 64) - 1)
