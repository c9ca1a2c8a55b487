from __future__ import annotations

import contextlib
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.wire.bundle import (
    FORMAT,
    AttachPoint,
    Bundle,
    GraphDef,
    MapDef,
    ProgramDef,
    decode_bundle,
    encode_bundle,
)
from ktrace_nb.wire.frames import WireError

names = st.text(st.characters(codec="ascii"), max_size=10)
numbers = st.integers(0, 1 << 31)
maps = st.builds(MapDef, numbers, names, numbers, numbers, numbers, numbers, slot=st.integers(-1, 9))
programs = st.builds(
    ProgramDef, names, numbers, names, st.binary(max_size=64), line_info=st.binary(max_size=32)
)
points = st.builds(
    AttachPoint,
    names,
    names,
    names,
    numbers,
    cookie=st.integers(0, (1 << 64) - 1),
    places=st.binary(max_size=64),
    names=st.binary(max_size=20),
    cookies=st.binary(max_size=64),
    optional=st.integers(0, 1),
)
bundles = st.builds(
    Bundle,
    st.lists(maps, max_size=3).map(tuple),
    st.lists(programs, max_size=3).map(tuple),
    st.lists(points, max_size=3).map(tuple),
    st.binary(max_size=100),
    st.none() | st.builds(GraphDef, names, names, numbers, numbers, st.integers(0, 1)),
)


@given(bundles)
def test_round_trip(bundle: Bundle) -> None:
    assert decode_bundle(encode_bundle(bundle)) == bundle


@given(st.binary(max_size=200))
def test_any_other_bytes_are_a_wire_error(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_bundle(data)


@given(bundles, st.data())
def test_a_bundle_cut_short_is_a_wire_error(bundle: Bundle, data: st.DataObject) -> None:
    encoded = encode_bundle(bundle)
    length = data.draw(st.integers(0, len(encoded) - 1))
    with contextlib.suppress(WireError):
        assert decode_bundle(encoded[:length]) == bundle  # only unused bytes were cut


def test_a_field_of_another_type_is_refused() -> None:
    head = {"format": FORMAT, "maps": [{"fd": "1"}], "programs": [], "attach": [], "btf": [0, 0]}
    text = json.dumps(head).encode()
    with pytest.raises(WireError, match="MapDef"):
        decode_bundle(struct.pack("<I", len(text)) + text)


def test_a_graph_with_a_field_of_another_type_is_refused() -> None:
    head = {
        "format": FORMAT,
        "maps": [],
        "programs": [],
        "attach": [],
        "btf": [0, 0],
        "graph": {"functions": 1},
    }
    text = json.dumps(head).encode()
    with pytest.raises(WireError, match=r"GraphDef\.functions"):
        decode_bundle(struct.pack("<I", len(text)) + text)


def test_a_point_at_many_functions_knows_how_many() -> None:
    assert AttachPoint("f", "kprobe_multi", "ext4_*", places=bytes(24), names=b"a\nb\nc").functions == 3
    assert AttachPoint("f", "kretprobe_multi", "ext4_*", names=b"a\nb").functions == 2
    assert AttachPoint("f", "kprobe", "vfs_read").functions == 1
