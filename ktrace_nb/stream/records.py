"""Spans of ring and perf buffers, cut into records.

A span is whole records one after the other, as the agent copied it. Most spans
hold records of one size: one strided compare proves it, and the payloads are a
view. Otherwise the chain of headers is walked.

BPF ring (``include/uapi/linux/bpf.h``): u32 length with ``BUSY`` and ``DISCARD``
bits, u32 page offset, payload, padded to 8 bytes. Perf buffer: ``struct
perf_event_header`` {u32 type, u16 misc, u16 size}; a sample is a u32 length and
the payload; a lost record is u64 id, u64 count.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.errors import StreamError

DISCARD = 1 << 30
LENGTH = DISCARD - 1
PERF_SAMPLE, PERF_LOST = 9, 2
_PERF_HEADER = struct.Struct("<IHH")
_LEAST_SIZE = {PERF_SAMPLE: 16, PERF_LOST: 24}
"""Bytes of a perf record with its header."""

Payloads = NDArray[np.uint8]
Span: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Cut:
    """What was in a span."""

    batches: tuple[Payloads, ...]
    """Records, those of one size together, each batch in the order of the span."""
    discarded: int = 0
    """Records the program gave up after reserving them."""
    lost: int = 0
    """Records the kernel says it dropped."""


def cut_ring(span: Span) -> Cut:
    """The records of a BPF ring's span.

    Raises:
        StreamError: The span does not end where its last record does.
    """
    if not _is_whole(span):
        return Cut(())
    (first,) = struct.unpack_from("<I", span)
    if first <= LENGTH:
        rows = _if_alike(span, "<u4", (first + 15) & ~7)
        if rows is not None:
            return Cut((rows[:, 8 : 8 + first],))
    places: dict[int, list[int]] = {}
    discarded = 0
    for at, header in _walk_ring(span):
        if header & DISCARD:
            discarded += 1
        else:
            places.setdefault(header & LENGTH, []).append(at + 8)
    return Cut(tuple(_gather(span, at, size) for size, at in places.items()), discarded)


def _walk_ring(span: Span) -> Iterator[tuple[int, int]]:
    read = struct.Struct("<I").unpack_from
    at = 0
    while at < len(span):
        (header,) = read(span, at)
        yield at, header
        at += ((header & LENGTH) + 15) & ~7
    if at != len(span):
        raise StreamError("a ring span ends in the middle of a record")


def cut_perf(span: Span) -> Cut:
    """The samples of one CPU's perf buffer.

    Raises:
        StreamError: The span does not end where its last record does.
    """
    if not _is_whole(span):
        return Cut(())
    kind, _, size = _PERF_HEADER.unpack_from(span)
    if kind == PERF_SAMPLE:
        rows = _if_alike(span, "<u8", size)
        if rows is not None:
            return Cut((rows[:, 12:],))
    places: dict[int, list[int]] = {}
    at = lost = 0
    while at < len(span):
        kind, _, size = _PERF_HEADER.unpack_from(span, at)
        if size % 8 or size < _LEAST_SIZE.get(kind, 8) or at + size > len(span):
            raise StreamError("a perf span ends in the middle of a record")
        if kind == PERF_SAMPLE:
            places.setdefault(size - 12, []).append(at + 12)
        elif kind == PERF_LOST:
            lost += struct.unpack_from("<Q", span, at + 16)[0]
        at += size
    return Cut(tuple(_gather(span, at, size) for size, at in places.items()), lost=lost)


def _is_whole(span: Span) -> bool:
    """Whether there is anything; a span of no whole words is an error."""
    if len(span) % 8:
        raise StreamError(f"a span of {len(span)} bytes, wanted a multiple of 8")
    return len(span) > 0


def _if_alike(span: Span, header: str, stride: int) -> Payloads | None:
    """The records as rows, if the first one's header stands in front of every stride."""
    if stride < 8 or stride % 8 or len(span) % stride:
        return None
    headers = np.frombuffer(span, header)
    headers = headers[:: stride // headers.itemsize]
    return np.frombuffer(span, np.uint8).reshape(-1, stride) if (headers == headers[0]).all() else None


def _gather(span: Span, places: list[int], size: int) -> Payloads:
    data = np.frombuffer(span, np.uint8)
    return data[np.array(places)[:, None] + np.arange(size)]
