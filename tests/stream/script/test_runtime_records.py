"""Spans of a script's ring, encoded by hand after ir/script_layout.py, read as records."""

from __future__ import annotations

import struct

import pytest

from ktrace_nb.errors import StreamError
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.script import LONG, Record, Shape
from ktrace_nb.stream.script.errors import Fault
from ktrace_nb.stream.script.records import Arrived, Exited, Failed, RecordReader

NAME = Shape(16, text=True)
PLACE = Shape(text=True, symbol="symname")
RECORDS = (Record(1, 7, (LONG, NAME), ()), Record(2, 8, (PLACE,), ()))


def reader() -> RecordReader:
    return RecordReader(RECORDS, lambda function, number: f"{function}({number})")


def in_ring(payload: bytes, flags: int = 0) -> bytes:
    """As the kernel lays it out: length with flags, page offset, payload, padding."""
    return struct.pack("<II", len(payload) | flags, 0) + payload + bytes(-len(payload) % 8)


def first(number: int, name: bytes, *, ktime: int = 5, faults: int = 0) -> bytes:
    return in_ring(struct.pack("<IIQQq16s", 1, 7, ktime, faults, number, name))


def second(address: int) -> bytes:
    return in_ring(struct.pack("<IIQQq", 2, 8, 6, 0, address))


def test_records_of_one_kind_are_read_as_they_lie() -> None:
    found = list(reader().read(first(-3, b"bash") + first(2**62, b"caf\xc3\xa9\0junk", ktime=9)))
    assert found == [Arrived(1, 5, 0, (-3, "bash")), Arrived(1, 9, 0, (2**62, "caf\u00c3\u00a9"))]


def test_records_of_several_kinds_keep_their_order() -> None:
    found = list(reader().read(second(64) + first(1, b"a") + second(65)))
    assert [r.values for r in found if isinstance(r, Arrived)] == [
        ("symname(64)",),
        (1, "a"),
        ("symname(65)",),
    ]


def test_records_of_equal_size_and_another_kind_are_told_apart() -> None:
    exit_ = in_ring(struct.pack("<IIQQq", layout.EXIT, 8, 6, 0, 0))
    found = list(reader().read(second(64) + exit_ + second(65)))
    assert [type(r) for r in found] == [Arrived, Exited, Arrived]


def test_errors_and_exits_of_the_kernel_are_told() -> None:
    error = in_ring(struct.pack("<IIQQIIQ", layout.ERROR, 7, 5, 0, 3, 0, 0xFFFF888000000010))
    text = in_ring(struct.pack("<IIQQ16s", layout.ERROR_TEXT, 7, 5, 0, b"no such thing"))
    exit_ = in_ring(struct.pack("<IIQQ", layout.EXIT, 8, 5, 0))
    assert list(reader().read(error + text + exit_)) == [
        Failed(7, 3, 0xFFFF888000000010),
        Failed(7, -1, text="no such thing"),
        Exited(8),
    ]


def test_a_value_that_could_not_be_read_is_an_error_only_once_it_is_used() -> None:
    broken = first(4096, struct.pack("<Q", 8192), faults=0b11)
    (record,) = reader().read(broken)
    assert isinstance(record, Arrived)
    assert record.values == (Fault(4096), Fault(8192))


def test_what_was_given_up_or_is_not_known_is_counted() -> None:
    its = reader()
    unknown = in_ring(struct.pack("<IIQQ", 99, 1, 0, 0))
    given_up = in_ring(bytes(24), flags=1 << 30)
    assert len(list(its.read(first(1, b"a") + unknown + given_up))) == 1
    assert (its.arrived, its.unread, its.discarded) == (2, 1, 1)


@pytest.mark.parametrize("cut", [4, 8, 16])
def test_a_span_that_ends_in_a_record_is_an_error(cut: int) -> None:
    with pytest.raises(StreamError):
        list(reader().read((first(1, b"a") + second(2))[:-cut]))
