"""C types, as BTF describes them, to columns and their values."""

from __future__ import annotations

import struct

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.stream.decode import decode, rows_of
from ktrace_nb.stream.layout import layout_of, plain_layout
from tests.kernel_facts.btf_writer import BtfWriter


class Types(BtfWriter):
    """The usual scalars."""

    def __init__(self) -> None:
        super().__init__()
        self.u8 = self.integer("unsigned char", 1)
        self.u16 = self.integer("unsigned short", 2)
        self.u32 = self.integer("unsigned int", 4)
        self.u64 = self.integer("unsigned long long", 8)
        self.s32 = self.integer("int", 4, signed=True)
        self.char = self.integer("char", 1, signed=True)
        self.bool = self.integer("_Bool", 1, boolean=True)
        self.wide = self.integer("unsigned __int128", 16)
        self.be16 = self.refer(Kind.TYPEDEF, self.u16, "__be16")
        self.be32 = self.refer(Kind.TYPEDEF, self.u32, "__be32")


def values(types: Types, type_id: int, *records: bytes) -> dict[str, list[object]]:
    layout = layout_of(types.btf(), type_id, "value")
    decoded = decode(rows_of(b"".join(records), layout.size), layout)
    return {name: list(column) for name, column in decoded.items()}


def test_scalars_keep_every_bit() -> None:
    types = Types()
    assert values(types, types.u64, struct.pack("<Q", 2**64 - 1)) == {"value": [2**64 - 1]}
    assert values(types, types.s32, struct.pack("<i", -5)) == {"value": [-5]}
    assert values(types, types.bool, b"\1", b"\0") == {"value": [True, False]}
    assert values(types, types.wide, struct.pack("<QQ", 5, 1 << 36)) == {"value": [(1 << 100) + 5]}


def test_members_are_named_as_in_c() -> None:
    types = Types()
    inner = types.record("", 4, [("x", types.u16, 0), ("y", types.u16, 16)])
    named = types.record("point", 4, [("x", types.u16, 0), ("y", types.u16, 16)])
    outer = types.record("outer", 12, [("at", named, 0), ("", inner, 32), ("n", types.u32, 64)])
    record = struct.pack("<HHHHI", 1, 2, 3, 4, 5)
    assert values(types, outer, record) == {"at.x": [1], "at.y": [2], "x": [3], "y": [4], "n": [5]}


def test_strings_end_at_their_first_nul_and_are_categories() -> None:
    types = Types()
    comm = types.array(types.char, 8)
    layout = layout_of(types.btf(), comm, "comm")
    column = decode(rows_of(b"bash\0\0\0\0bash\0xyzsh\0\0\0\0\0\0\xff\xfe\0\0\0\0\0\0", 8), layout)["comm"]
    assert isinstance(column, pd.Categorical)
    assert list(column) == ["bash", "bash", "sh", "\ufffd\ufffd"]
    assert len(column.categories) == 3


def test_enums_show_names_and_unknown_numbers() -> None:
    types = Types()
    color = types.enum("color", [("RED", 0), ("GREEN", 5)])
    assert values(types, color, struct.pack("<I", 5), struct.pack("<I", 7)) == {"value": ["GREEN", "7"]}


def test_declared_network_types_are_turned_and_written_as_addresses() -> None:
    types = Types()
    in_addr = types.record("in_addr", 4, [("s_addr", types.be32, 0)])
    in6_addr = types.record("in6_addr", 16, [("u6_addr8", types.array(types.u8, 16), 0)])
    members = [
        ("saddr", types.be32, 0),
        ("port", types.be16, 32),
        ("mark", types.be32, 64),
        ("a", in_addr, 96),
    ]
    flow = types.record("flow", 32, [*members, ("b", in6_addr, 128)])
    record = bytes([127, 0, 0, 1, 0, 80, 0, 0, 0, 0, 0, 9, 10, 0, 0, 2]) + bytes(15) + b"\1"
    assert values(types, flow, record) == {
        "saddr": ["127.0.0.1"],
        "port": [80],
        "mark": [9],
        "a": ["10.0.0.2"],
        "b": ["::1"],
    }


def test_short_arrays_are_spread_and_long_ones_listed() -> None:
    types = Types()
    mac, big = types.array(types.u8, 3), types.array(types.u16, 40)
    pair = types.record("pair", 84, [("mac", mac, 0), ("big", big, 32)])
    record = b"\1\2\3\0" + struct.pack("<40H", *range(40))
    assert values(types, pair, record) == {
        "mac[0]": [1],
        "mac[1]": [2],
        "mac[2]": [3],
        "big": [list(range(40))],
    }


@given(st.integers(0, 7), st.integers(1, 64), st.booleans(), st.data())
def test_bit_fields_of_any_place_and_width(start: int, bits: int, signed: bool, data: st.DataObject) -> None:
    types = Types()
    base = types.integer("long", 8, signed=signed)
    record = types.record("r", 16, [("before", types.u8, 0, 1), ("field", base, 8 + start, bits)])
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    value = data.draw(st.integers(low, high))
    noise = data.draw(st.integers(0, (1 << 128) - 1))
    mask = ((1 << bits) - 1) << 8 + start
    raw = (noise & ~mask) | (value << 8 + start & mask)
    assert values(types, record, raw.to_bytes(16, "little"))["field"] == [value]


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(-(2**31), 2**31 - 1)), max_size=50))
def test_many_records_come_back_as_they_were_packed(records: list[tuple[int, int]]) -> None:
    types = Types()
    pair = types.record("pair", 16, [("a", types.u64, 0), ("b", types.s32, 64)])
    packed = [struct.pack("<Qi4x", *record) for record in records]
    found = values(types, pair, *packed)
    assert list(zip(found["a"], found["b"], strict=True)) == records


def test_bytes_of_unknown_type_are_numbers_where_they_fit() -> None:
    assert plain_layout(4, "key").columns[0].dtype == "<u4"
    decoded = decode(np.frombuffer(b"abc", np.uint8).reshape(1, 3), plain_layout(3, "key"))
    assert list(decoded["key"]) == [b"abc"]


def test_records_may_be_longer_than_their_layout() -> None:
    types = Types()
    layout = layout_of(types.btf(), types.u32, "value")
    rows = rows_of(struct.pack("<II", 7, 99) * 2, 8)
    assert list(decode(rows, layout)["value"]) == [7, 7]


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_signs_and_sizes(size: int) -> None:
    types = Types()
    number = types.integer("n", size, signed=True)
    layout = layout_of(types.btf(), number, "value")
    assert decode(rows_of(b"\xff" * size, size), layout)["value"].dtype == np.dtype(f"i{size}")
