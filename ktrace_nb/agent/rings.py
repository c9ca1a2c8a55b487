"""Take finished records out of BPF ring buffers, as whole spans.

Layout (``kernel/bpf/ringbuf.c``): a page with the consumer's position, writable
for us; a page with the producer's; then the data, mapped twice in a row so that
every span is contiguous. A record is a u32 length with two flag bits, a u32 page
offset, and the payload, padded to 8 bytes. The consumer's position advances only
after a span was handed on: a slow notebook turns into drops that the program
itself counts when it cannot reserve.
"""

from __future__ import annotations

import mmap
import struct

BUSY = 1 << 31
LENGTH = (1 << 30) - 1
HEADER_SIZE = 8
PAGE = mmap.PAGESIZE


class Ring:
    """The reading end of one BPF ring buffer."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size
        self._mask = size - 1
        self._consumer_map = mmap.mmap(fd, PAGE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        self._producer_map = mmap.mmap(fd, PAGE + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=PAGE)
        # Aligned eight-byte access through the casts is one load or store each.
        self._consumer = memoryview(self._consumer_map)[:8].cast("Q")
        producer = memoryview(self._producer_map)
        self._producer = producer[:8].cast("Q")
        self._data = producer[PAGE:]
        self._words = self._data.cast("I")

    def pending(self) -> int:
        """Bytes waiting, unfinished records included."""
        return int(self._producer[0] - self._consumer[0])

    def take(self, limit: int) -> bytes:
        """A span of whole finished records of at most ``limit`` bytes, and forget them.

        One record larger than the limit is taken alone. Empty if the oldest
        record is not finished yet.
        """
        start = self._consumer[0]
        offset = start & self._mask
        length = self._finished(offset, int(self._producer[0] - start), limit)
        span = bytes(self._data[offset : offset + length])
        self._consumer[0] = start + length
        return span

    def _finished(self, offset: int, pending: int, limit: int) -> int:
        """Bytes of finished records from ``offset`` on."""
        if not pending:
            return 0
        first = self._words[offset >> 2]
        stride = _stride(first)
        # Most rings hold records of one size: one strided compare of the headers proves them all.
        count = min(pending, limit) // stride
        if count > 1 and first <= LENGTH:
            headers = self._words[offset >> 2 : (offset + count * stride) >> 2 : stride >> 2].tobytes()
            if headers == struct.pack("=I", first) * count:
                return count * stride
        at = 0
        while at < pending:
            header = self._words[(offset + at) >> 2]
            stride = _stride(header)
            if header & BUSY or (at and at + stride > limit):
                break
            at += stride
        return at

    def close(self) -> None:
        """Unmap; the descriptor belongs to the session."""
        for view in (self._consumer, self._producer, self._words, self._data):
            view.release()
        self._consumer_map.close()
        self._producer_map.close()


def _stride(header: int) -> int:
    """Bytes a record takes in the ring, its header included."""
    return ((header & LENGTH) + HEADER_SIZE + 7) & ~7
