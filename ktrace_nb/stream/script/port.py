"""The way from a script's handlers beside the notebook to the maps in the kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ktrace_nb.stream.maps import MapSnapshot
from ktrace_nb.stream.script.values import MASK
from ktrace_nb.wire.bundle import Bundle
from ktrace_nb.wire.frames import PEEK, Call


@dataclass(frozen=True, slots=True)
class Change:
    """Entries of a map to be changed."""

    what: str
    """``update``; ``delete``; or ``take``, which removes entries and gives what they were,
    each in one step: those of :attr:`keys`, or all if there are none."""
    name: str
    """Of the map."""
    keys: tuple[bytes, ...] = ()
    values: tuple[bytes, ...] = ()
    """Of an update: one per key; in a per-CPU map those of all CPUs together."""


class Port:
    """One session's maps, clocks and commands on the target.

    Every method may raise :class:`~ktrace_nb.errors.TargetError`.

    Args:
        call: Sends a request to the agent.
        session: The name of the session there.
        bundle: What it has loaded.
        collect: Brings the snapshots of maps up to date.
        cpus: Possible CPUs of the target.
    """

    def __init__(
        self, call: Call, session: str, bundle: Bundle, collect: Callable[[Sequence[str]], None], cpus: int
    ) -> None:
        self.collect = collect
        self.cpus = cpus
        self._call = call
        self._session = session
        self._key_sizes = {m.name: m.key_size for m in bundle.maps}
        self._ahead_ns = 0

    def change(self, changes: Sequence[Change]) -> tuple[Mapping[str, MapSnapshot], int]:
        """Change maps, in order; what was taken, and how many entries found no room."""
        if not changes:
            return {}, 0
        steps = [[change.what, change.name, len(change.keys)] for change in changes]
        blob = b"".join(b"".join((*change.keys, *change.values)) for change in changes)
        reply = self._call("change", blob, session=self._session, steps=steps)
        taken = {}
        at = 0
        for name, count, stride, at_ns in reply.head["maps"]:
            middle = at + count * self._key_sizes[name]
            end = middle + count * stride
            taken[name] = MapSnapshot(reply.blob[at:middle], reply.blob[middle:end], stride, at_ns)
            at = end
        return taken, int(reply.head["refused"])

    def peek(self, address: int, size: int, *, text: bool) -> bytes | None:
        """Read the kernel's memory as it is now; None if it cannot be read there.

        Args:
            address: Where, as 64 bits with or without sign.
            size: Bytes; of a text at most so many, its NUL included.
            text: Whether to read up to a NUL, which is not given.

        Raises:
            RemoteError: The kernel lets nobody read its memory.
        """
        reply = self._call("peek", PEEK.pack(address & MASK, size, text), session=self._session)
        return bytes(reply.blob) if reply.head["sizes"][0] >= 0 else None

    def set_clock(self) -> int:
        """Compare clocks; how far the target's wall clock is ahead of its monotonic one, nanoseconds."""
        before = time.monotonic_ns()
        head = self._call("ping").head
        self._ahead_ns = int(head["monotonic_ns"]) - (before + time.monotonic_ns()) // 2
        return int(head["realtime_ns"]) - int(head["monotonic_ns"])

    def monotonic_ns(self) -> int:
        """``CLOCK_MONOTONIC`` of the target, as far as the way there lets it be known."""
        return time.monotonic_ns() + self._ahead_ns

    def shell(self, command: str) -> tuple[int, str]:
        """Run a command on the target; its exit status, and what it printed, a string of bytes."""
        reply = self._call("exec", argv=["/bin/sh", "-c", command])
        return int(reply.head["status"]), reply.blob.decode("latin-1")
