from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.wire.frames import (
    EVENT,
    HEADER,
    MAGIC,
    PROTOCOL_VERSION,
    REPLY,
    REQUEST,
    ChannelClosed,
    Message,
    WireError,
    read_message,
)

values = st.none() | st.booleans() | st.integers() | st.text()
heads = st.dictionaries(st.text(), values | st.lists(values), max_size=5)


def reader(data: bytes):  # type: ignore[no-untyped-def]
    stream = io.BytesIO(data)

    def exactly(count: int) -> bytes:
        part = stream.read(count)
        if len(part) < count:
            raise ChannelClosed
        return part

    return exactly


@given(st.sampled_from([REQUEST, REPLY, EVENT]), heads, st.binary(max_size=200))
def test_round_trip(kind: int, head: dict[str, object], blob: bytes) -> None:
    message = Message(kind, head, blob)
    assert read_message(reader(message.encode())) == message


@given(st.binary(min_size=HEADER.size, max_size=60))
def test_other_bytes_are_a_wire_error_or_end_early(data: bytes) -> None:
    with pytest.raises((WireError, ChannelClosed)):
        read_message(reader(data))


@given(st.integers(0, 60))
def test_a_message_cut_short_is_a_closed_channel(length: int) -> None:
    data = Message(REPLY, {"id": 1, "text": "abcdefghij"}, b"blob").encode()
    if length < len(data):
        with pytest.raises(ChannelClosed):
            read_message(reader(data[:length]))


def test_another_version_is_named() -> None:
    with pytest.raises(WireError, match="protocol 9"):
        read_message(reader(HEADER.pack(MAGIC, 9, REQUEST, 0, 2, 0) + b"{}"))


def test_a_length_beyond_reason_is_refused_before_it_is_read() -> None:
    with pytest.raises(WireError, match="malformed"):
        read_message(reader(HEADER.pack(MAGIC, PROTOCOL_VERSION, REQUEST, 0, 1 << 31, 0)))
