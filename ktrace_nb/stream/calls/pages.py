"""Pages of ftrace's ring buffer, cut into events.

A page begins with a time stamp and the count of bytes in use; events follow, of
4 to some hundred bytes each. One event tells where the next begins, so a page
can only be walked from its start. Many pages can be walked side by side, though:
a step here goes one event further in every page, and is a few operations on
arrays as long as there are pages.

Sources: ``events/header_page`` and ``events/header_event`` in tracefs; Linux
``include/linux/ring_buffer.h``, ``enum ring_buffer_type``, and
``kernel/trace/ring_buffer.c``, ``rb_update_read_stamp()`` (what counts for the
time) and ``ring_buffer_read_page()`` (flags in the count of bytes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.errors import StreamError

_LONGEST = 28
"""Kinds 1 to 28 are data of so many words; of kind 0 the word that follows has the length in bytes."""
_PADDING, _TIME_EXTEND, _TIME_STAMP = 29, 30, 31
_DELTA_BITS = 27
_STAMP = np.uint64((1 << 59) - 1)
"""What a time stamp holds of the time; the bits above stay as they were (``rb_fix_abs_ts()``)."""
_MISSED, _IN_USE = 1 << 31, (1 << 30) - 1

_SIZES = np.array([0, *range(2, _LONGEST + 2), 0, 2, 2], np.int64)
"""Words that an event of each kind takes, its header included; 0 where the kind does not tell."""


@dataclass(frozen=True, slots=True)
class PageLayout:
    """Where things are in a page, in words of four bytes."""

    timestamp: int
    commit: int
    data: int


class Events(NamedTuple):
    """Events with data, in the order of the pages and within them."""

    at: NDArray[np.uint64]
    """Time by the clock of the trace."""
    place: NDArray[np.int64]
    """Where the data begins, in words from the start of the first page."""
    page: NDArray[np.int64]


def parse_page_layout(header_page: str) -> PageLayout:
    """Read ``events/header_page``.

    Raises:
        StreamError: Not the pages of a 64-bit kernel, or none that are known.
    """
    found = {
        name: (int(offset), int(size))
        for name, offset, size in re.findall(r"(\w+);\toffset:(\d+);\tsize:(\d+);", header_page)
    }
    try:
        layout = PageLayout(*(found[name][0] // 4 for name in ("timestamp", "commit", "data")))
    except KeyError as missing:
        raise StreamError(f"ftrace's pages have no {missing}") from None
    if found["timestamp"][1] != 8 or any(found[name][0] % 4 for name in ("timestamp", "commit", "data")):
        raise StreamError("ftrace's pages are laid out in a way that is not known")
    return layout


def check_number(what: str, value: object, limit: int) -> int:
    """What the agent tells about pages, if it is a number from 0 to below a limit.

    Raises:
        StreamError: It is not.
    """
    if not isinstance(value, int) or not 0 <= value < limit:
        raise StreamError(f"of ftrace's pages {what} is told as {value!r:.40}")
    return value


def count_gaps(pages: NDArray[np.uint32], layout: PageLayout) -> int:
    """Before how many of the pages events were overwritten that nobody had read."""
    return int(np.count_nonzero(pages[:, layout.commit] & _MISSED))


def cut_pages(pages: NDArray[np.uint32], layout: PageLayout) -> Events:
    """Find the events with data.

    Args:
        pages: One row per page, uint32, little endian, C-contiguous.
        layout: Where things are in a page.

    Raises:
        StreamError: An event does not end within the part of its page that is in use.
    """
    count, size = pages.shape
    words = pages.reshape(-1)
    used = (pages[:, layout.commit] & _IN_USE).astype(np.int64)
    if count and int(used.max()) > 4 * (size - layout.data):
        raise StreamError("a page of ftrace's says that more of it is in use than there is")
    page = np.arange(count)
    cursor = page * size + layout.data
    end = cursor + (used + 3) // 4
    now = pages[:, layout.timestamp].astype(np.uint64) | _high(pages[:, layout.timestamp + 1], 32)
    rank = np.zeros(count, np.int64)
    counts = np.zeros(count, np.int64)
    steps: list[tuple[NDArray[np.int64], ...]] = []
    times: list[NDArray[np.uint64]] = []
    while True:
        keep = cursor < end
        if not keep.all():
            counts[page[~keep]] = rank[~keep]
            page, cursor, end, now, rank = page[keep], cursor[keep], end[keep], now[keep], rank[keep]
        if not len(page):
            break
        header = words[cursor]
        kind = header & 31
        step = _SIZES[kind]
        rare = (kind >= _PADDING) | (kind == 0)
        place = cursor + 1
        if not rare.any():
            now = now + (header >> 5)
            steps.append((page, rank, place))
            times.append(now)
            rank = rank + 1
        else:
            step, now = _rare(words, cursor, end, header, step, now)
            place += kind == 0
            data = kind <= _LONGEST
            steps.append((page[data], rank[data], place[data]))
            times.append(now[data])
            rank = rank + data
        cursor = cursor + step
        if (cursor > end).any():
            raise StreamError("an event of ftrace's does not end where its page does")
    return _in_order(counts, steps, times)


def _rare(
    words: NDArray[np.uint32],
    cursor: NDArray[np.int64],
    end: NDArray[np.int64],
    header: NDArray[np.uint32],
    step: NDArray[np.int64],
    now: NDArray[np.uint64],
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Steps and times where some events are not short data."""
    kind = header & 31
    delta = (header >> 5).astype(np.uint64)
    second = words[np.minimum(cursor + 1, end - 1)]
    # Of a padding without a delta there is no length: the rest of the page is unused.
    rest = (kind == _PADDING) & (delta == 0)
    told = ((kind == _PADDING) & ~rest) | (kind == 0)
    # The word with the length counts; data has at least one more.
    least = 1 + (kind == 0)
    step = np.where(told, 1 + np.maximum(least, (second.astype(np.int64) + 3) // 4), step)
    step = np.where(rest, end - cursor, step)
    extended = delta + _high(second, _DELTA_BITS)
    later = np.where(kind <= _LONGEST, now + delta, now)
    later = np.where(kind == _TIME_EXTEND, now + extended, later)
    stamped = (extended & _STAMP) | (now & ~_STAMP)
    return step, np.where(kind == _TIME_STAMP, stamped, later)


def _in_order(
    counts: NDArray[np.int64], steps: list[tuple[NDArray[np.int64], ...]], times: list[NDArray[np.uint64]]
) -> Events:
    """Bring what was found step by step into the order of the pages."""
    total = int(counts.sum())
    at, place = np.empty(total, np.uint64), np.empty(total, np.int64)
    first = np.cumsum(counts) - counts
    for (page, rank, found), now in zip(steps, times, strict=True):
        position = first[page] + rank
        at[position] = now
        place[position] = found
    return Events(at, place, np.repeat(np.arange(len(counts)), counts))


def _high(words: NDArray[np.uint32], bits: int) -> NDArray[np.uint64]:
    return words.astype(np.uint64) << np.uint64(bits)
