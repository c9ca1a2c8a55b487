"""Streams of millions of events."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np

from ktrace_nb.stream.events import EventStream
from ktrace_nb.stream.layout import TEXT, Column, Layout
from ktrace_nb.stream.records import cut_ring

EVENT = Layout(
    "struct event", 32, (Column("at", 0, "<u8"), Column("size", 8, "<u8"), Column("comm", 16, "S16", TEXT))
)
OTHER = Layout("struct other", 8, (Column("at", 0, "<u8"),))


def span(first: int, count: int) -> bytes:
    """A span of so many events, numbered."""
    records = np.zeros(count, [("head", "<u8"), ("at", "<u8"), ("size", "<u8"), ("comm", "S16")])
    records["head"] = 32
    records["at"] = np.arange(first, first + count)
    records["comm"] = [b"dd", b"ls"] * (count // 2)
    return records.tobytes()


def test_ten_million_events_open_without_a_copy() -> None:
    stream = EventStream([EVENT])
    batch = 100_000
    for first in range(0, 10_000_000, batch):
        stream.add(cut_ring(span(first, batch)))
    tracemalloc.start()
    events = stream.events()
    frame = events.frame()
    tail = events.tail(20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    assert len(frame) == 10_000_000
    assert tail["at"].tolist() == list(range(9_999_980, 10_000_000))
    assert tail["comm"].tolist() == ["dd", "ls"] * 10


def test_a_frame_that_was_handed_out_does_not_change() -> None:
    stream = EventStream([EVENT])
    stream.add(cut_ring(span(0, 10)))
    early = stream.events().frame()
    stream.add(cut_ring(span(10, 100_000)))
    assert early["at"].tolist() == list(range(10))
    assert len(stream.events()) == 100_010
    assert not early["at"].to_numpy().flags.writeable


def test_records_beyond_the_room_are_counted_and_the_first_kept() -> None:
    stream = EventStream([EVENT], keep_bytes=32 * 150)
    stream.add(cut_ring(span(0, 100)))
    stream.add(cut_ring(span(100, 100)))
    stream.add(cut_ring(span(200, 100)))
    assert (len(stream.events()), stream.arrived, stream.not_kept) == (150, 300, 150)
    assert stream.events().tail(1)["at"].tolist() == [149]


def test_types_in_one_ring_are_told_apart_by_size() -> None:
    stream = EventStream([EVENT, OTHER])
    stream.add(cut_ring(span(0, 2) + struct.pack("<IIQ", 8, 0, 77) + struct.pack("<II20x4x", 20, 0)))
    events = stream.events()
    assert events.types == ["struct event", "struct other"]
    assert events.of("struct other").frame()["at"].tolist() == [77]
    assert stream.unread == 1


def test_thousands_of_distinct_strings_stay_themselves() -> None:
    stream = EventStream([EVENT])
    names = [f"task-{n}" for n in range(40_000)]
    for first in range(0, 40_000, 50):
        part = np.frombuffer(
            span(first, 50), [("head", "<u8"), ("at", "<u8"), ("size", "<u8"), ("comm", "S16")]
        )
        part = part.copy()
        part["comm"] = [name.encode() for name in names[first : first + 50]]
        stream.add(cut_ring(part.tobytes()))
        frame = stream.events().frame()
        assert frame["comm"].iloc[-1] == names[first + 49]
    assert stream.events().frame()["comm"].tolist() == names
