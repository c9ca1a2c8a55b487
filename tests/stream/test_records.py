"""Spans of ring and perf buffers, made by the rules of the kernel's headers."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.errors import StreamError
from ktrace_nb.stream.records import DISCARD, Cut, cut_perf, cut_ring


def ring(payload: bytes, *, discarded: bool = False) -> bytes:
    head = struct.pack("<II", len(payload) | (DISCARD if discarded else 0), 7)
    return head + payload.ljust((len(payload) + 7) & ~7, b"\xee")


def perf(payload: bytes) -> bytes:
    body = struct.pack("<I", len(payload)) + payload
    body = body.ljust((len(body) + 7) & ~7, b"\xee")
    return struct.pack("<IHH", 9, 0, 8 + len(body)) + body


def lost(count: int) -> bytes:
    return struct.pack("<IHHQQ", 2, 0, 24, 1, count)


def payloads(cut: Cut) -> list[bytes]:
    return [row.tobytes() for batch in cut.batches for row in batch]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20), st.sets(st.integers(0, 19)))
def test_a_ring_span_gives_back_its_records(records: list[bytes], dropped: set[int]) -> None:
    span = b"".join(ring(r, discarded=i in dropped) for i, r in enumerate(records))
    cut = cut_ring(span)
    kept = [r for i, r in enumerate(records) if i not in dropped]
    by_size = sorted(kept, key=len)
    assert sorted(payloads(cut), key=len) == by_size or sorted(payloads(cut)) == sorted(kept)
    assert cut.discarded == len(records) - len(kept)
    for batch in cut.batches:
        size = batch.shape[1]
        assert [r.tobytes() for r in batch] == [r for r in kept if len(r) == size]


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=50))
def test_records_of_one_size_are_a_view(records: list[bytes]) -> None:
    span = b"".join(map(ring, records))
    (batch,) = cut_ring(span).batches
    assert payloads(cut_ring(span)) == records
    assert np.shares_memory(batch, np.frombuffer(span, np.uint8))


@given(st.lists(st.binary(min_size=1, max_size=40) | st.integers(1, 1000), max_size=20))
def test_a_perf_span_gives_back_samples_and_counts_the_lost(records: list[bytes | int]) -> None:
    span = b"".join(lost(r) if isinstance(r, int) else perf(r) for r in records)
    cut = cut_perf(span)
    samples = [r for r in records if isinstance(r, bytes)]
    assert cut.lost == sum(r for r in records if isinstance(r, int))
    found = payloads(cut)
    assert len(found) == len(samples)
    # Samples come padded to eight bytes; their beginning is what was sent.
    assert sorted(f[:1] for f in found) == sorted(s[:1] for s in samples)


@pytest.mark.parametrize("cutter", [cut_ring, cut_perf])
def test_half_a_record_is_an_error(cutter) -> None:  # type: ignore[no-untyped-def]
    span = ring(b"x" * 20) + ring(b"y") if cutter is cut_ring else perf(b"x" * 20) + perf(b"y")
    with pytest.raises(StreamError):
        cutter(span[:-8])


@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from([2, 9, 16, 20, 24, 1 << 48, 24 << 48 | 9, 24 << 48 | 2, 12 << 48 | 9]), max_size=9
    ).map(lambda words: struct.pack(f"<{len(words)}Q", *words))
)
def test_any_bytes_are_records_or_an_error_with_a_name(span: bytes) -> None:
    for cutter in (cut_ring, cut_perf):
        try:
            cut = cutter(span)
        except StreamError:
            continue
        assert sum(batch.size for batch in cut.batches) <= len(span)


def test_nothing_is_nothing() -> None:
    assert cut_ring(b"") == cut_perf(b"") == Cut(())
