"""The reading end of a BPF ring, in memory laid out and filled as the kernel does it.

A file in memory stands in for the map's descriptor: the consumer's page, the
producer's page, and the data twice. The kernel maps the same pages twice; here
whatever is written is written at both places.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.agent.rings import BUSY, PAGE, Ring
from ktrace_nb.stream.records import DISCARD, cut_ring

SIZE = PAGE


class Kernel:
    """The producer: ``__bpf_ringbuf_reserve`` and ``bpf_ringbuf_commit`` of kernel/bpf/ringbuf.c."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + 2 * SIZE)
        self.memory = mmap.mmap(self.fd, 2 * PAGE + 2 * SIZE)

    def write(self, at: int, data: bytes) -> None:
        """Write into the ring, at both places of every byte."""
        for i, byte in enumerate(data):
            place = (at + i) % SIZE
            self.memory[2 * PAGE + place] = self.memory[2 * PAGE + SIZE + place] = byte

    def reserve(self, payload: bytes) -> int | None:
        """A record that is not finished; gives its position, None if the ring is full."""
        (consumer,) = struct.unpack_from("<Q", self.memory, 0)
        (producer,) = struct.unpack_from("<Q", self.memory, PAGE)
        size = (len(payload) + 15) & ~7
        if producer + size - consumer > SIZE:
            return None
        self.write(producer, struct.pack("<II", len(payload) | BUSY, 0) + payload)
        struct.pack_into("<Q", self.memory, PAGE, producer + size)
        return int(producer)

    def commit(self, at: int, length: int, *, discard: bool = False) -> None:
        """Finish a record."""
        self.write(at, struct.pack("<I", length | (DISCARD if discard else 0)))

    def close(self) -> None:
        self.memory.close()
        os.close(self.fd)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.close()


RECORDS = st.lists(
    st.tuples(st.binary(min_size=1, max_size=300), st.sampled_from(["submit", "discard", "later"])),
    max_size=40,
)


@given(RECORDS, st.integers(1, 2000), st.integers(1, 5))
def test_whatever_is_finished_comes_once_whole_and_in_order(
    records: list[tuple[bytes, str]], limit: int, every: int
) -> None:
    kernel = Kernel()
    ring = Ring(kernel.fd, SIZE)
    sent: list[bytes] = []
    got: list[bytes] = []
    discarded = full = 0
    open_records: list[tuple[int, bytes]] = []

    def finish() -> None:
        while open_records:
            at, payload = open_records.pop(0)
            kernel.commit(at, len(payload))

    def drain() -> int:
        found = 0
        while span := ring.take(limit):
            cut = cut_ring(span)
            by_size = {batch.shape[1]: iter(batch) for batch in cut.batches}
            at = 0
            while at < len(span):
                (header,) = struct.unpack_from("<I", span, at)
                length = header & (DISCARD - 1)
                assert not header & BUSY
                if not header & DISCARD:
                    got.append(next(by_size[length]).tobytes())
                at += (length + 15) & ~7
            found += cut.discarded
        return found

    for number, (payload, fate) in enumerate(records):
        at = kernel.reserve(payload)
        if at is None:
            finish()
            discarded -= drain()
            at = kernel.reserve(payload)
            assert at is not None, "an empty ring has room"
            full += 1
        if fate == "discard":
            kernel.commit(at, len(payload), discard=True)
            discarded += 1
        else:
            sent.append(payload)
            if fate == "submit":
                kernel.commit(at, len(payload))
            else:
                open_records.append((at, payload))
        if number % every == 0:
            discarded -= drain()
    finish()
    discarded -= drain()
    assert got == sent
    assert discarded == 0
    assert ring.pending() == 0
    ring.close()
    kernel.close()


def test_an_unfinished_record_holds_those_behind_it(kernel: Kernel) -> None:
    ring = Ring(kernel.fd, SIZE)
    first, second = kernel.reserve(b"first"), kernel.reserve(b"second")
    assert first is not None and second is not None
    kernel.commit(second, 6)
    assert ring.take(1000) == b""
    kernel.commit(first, 5)
    assert len(ring.take(1000)) == 32
    ring.close()


def test_a_record_larger_than_the_limit_comes_alone(kernel: Kernel) -> None:
    ring = Ring(kernel.fd, SIZE)
    for payload in (b"x" * 500, b"y" * 8):
        at = kernel.reserve(payload)
        assert at is not None
        kernel.commit(at, len(payload))
    assert len(ring.take(16)) == 512
    assert len(ring.take(16)) == 16
    ring.close()
