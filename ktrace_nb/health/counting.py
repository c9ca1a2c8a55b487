"""The session whose counters are read at the moment they are asked for."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

from ktrace_nb.errors import LoadError, StreamError
from ktrace_nb.health.program import MOVES
from ktrace_nb.health.reading import Moves
from ktrace_nb.session import Session
from ktrace_nb.targets.base import Target
from ktrace_nb.wire.frames import PEEK

_numbers = itertools.count(1)


class Counting(Session):
    """A session of :func:`ktrace_nb.health.program.program`."""

    def moves(self) -> list[Moves]:
        """The counters of every row, over all CPUs, now.

        Raises:
            TargetError: The target is out of reach, or the session is over.
        """
        connection = self.target.connection
        connection.post("wake", session=self._id)  # the collect that waits need not
        reply = connection.call("collect", session=self._id, maps=[MOVES], bytes=0, wait_ms=0)
        entries, size = next((head[1], head[2]) for head in reply.head["maps"] if head[0] == MOVES)
        return decode(reply.blob, entries, size)


def decode(blob: bytes, entries: int, size: int) -> list[Moves]:
    """Rows of the table as the agent sends them: all keys, then all values.

    Args:
        blob: May have more behind them.
        entries: How many rows there are.
        size: Bytes of a row, of all CPUs together; 16 of each.

    Raises:
        StreamError: The blob is too short.
    """
    if len(blob) < entries * (4 + size) or size % 16:
        raise StreamError("the counters are not as long as the agent says")
    rows = [Moves()] * entries
    for at, (key,) in enumerate(struct.iter_unpack("<I", blob[: 4 * entries])):
        words = struct.unpack_from(f"<{size // 8}Q", blob, 4 * entries + at * size)
        rows[key] = Moves(sum(words[::2]), sum(words[1::2]))
    return rows


def read_words(target: Target, addresses: Sequence[int]) -> list[int]:
    """Read words of 64 bits of a kernel's memory.

    Raises:
        LoadError: One cannot be read.
        TargetError: The target is out of reach, or does not let memory be read.
    """
    call, session = target.connection.call, f"health-words.{next(_numbers)}"
    call("open", session=session)
    try:
        reply = call("peek", b"".join(PEEK.pack(at, 8, 0) for at in addresses), session=session)
    finally:
        call("close", session=session)
    if any(size != 8 for size in reply.head["sizes"]):
        raise LoadError("the kernel's memory cannot be read where its pointers are")
    return list(struct.unpack(f"<{len(addresses)}Q", reply.blob))
