"""Threads that call functions: the records a kernel would send of them, and the truth."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.ir.calls import END, ENTRY, RETURN, THREAD
from ktrace_nb.stream.calls.records import RECORD

FUNCTIONS = [f"f{n}" for n in range(6)]
IRQ_STACK = 1 << 20
"""Interrupts work on stacks above this one, threads below."""


@dataclass(slots=True, eq=False)
class Call:
    """A call as it really happened."""

    tid: int
    function: int
    frame: int
    parent: Call | None
    depth: int
    children: list[Call] = field(default_factory=list)
    start: int = -1
    end: int = -1
    row: int = -1

    @property
    def self_ns(self) -> int:
        """Its time without that of the calls made from it."""
        return self.end - self.start - sum(c.end - c.start for c in self.children)


@dataclass(slots=True, eq=False)
class Sent:
    """A record, and the call it belongs to."""

    kind: int
    tid: int
    cpu: int = 0
    at: int = 0
    call: Call | None = None
    frame: int = 0
    what: int = 0
    name: str = ""


class World:
    """Some threads that run at the same time.

    Args:
        seed: Decides everything.
        threads: How many.
        calls: How many calls each makes, about.
        interrupts: Whether they are interrupted, by handlers that work on other stacks.
    """

    def __init__(self, seed: int, threads: int = 3, calls: int = 20, *, interrupts: bool = True) -> None:
        self.interrupts = interrupts
        self.rng = random.Random(seed)
        self.sent: list[Sent] = []
        self.calls: list[Call] = []
        running = [list(self._thread(100 + n, calls)) for n in range(threads)]
        at = 1000
        while running:
            thread = self.rng.choice(running)
            record = thread.pop(0)
            if not thread:
                running.remove(thread)
            at += self.rng.randrange(1, 50)
            record.at, record.cpu = at, self.rng.randrange(4)
            call = record.call
            assert call is not None
            if record.kind == ENTRY:
                call.start, call.row = at, len(self.calls)
                self.calls.append(call)
            else:
                call.end = at
            self.sent.append(record)

    def _thread(self, tid: int, calls: int) -> Iterator[Sent]:
        left = [calls]
        while left[0] > 0:
            frame = (tid << 11) + 2000 - self.rng.choice((0, 0, 8))
            yield from self._call(tid, frame, None, left, set())

    def _call(
        self, tid: int, frame: int, parent: Call | None, left: list[int], jumped: set[int]
    ) -> Iterator[Sent]:
        rng = self.rng
        left[0] -= 1
        function = rng.choice([n for n in range(len(FUNCTIONS)) if n not in jumped])
        call = Call(tid, function, frame, parent, parent.depth + 1 if parent else 0)
        if parent:
            parent.children.append(call)
        yield Sent(ENTRY, tid, call=call, frame=frame)
        while call.depth < 12 and left[0] > 0 and rng.random() < 0.55:
            if self._interrupts(frame, 0.15):
                irq = ((IRQ_STACK + tid) << 11) + 1900
                yield from self._call(tid, irq, call, left, set())
            elif len(jumped) < 3 and rng.random() < 0.2:
                yield from self._call(tid, frame, call, left, jumped | {function})
                if self._interrupts(frame, 0.1):
                    yield from self._call(tid, ((IRQ_STACK + tid) << 11) + 1900, call, left, set())
                break
            else:
                yield from self._call(tid, frame - rng.choice((4, 4, 9, 17)), call, left, set())
        yield Sent(RETURN, tid, call=call, frame=frame)

    def _interrupts(self, frame: int, share: float) -> bool:
        return self.interrupts and frame < IRQ_STACK << 11 and self.rng.random() < share


def records(sent: list[Sent]) -> NDArray[Any]:
    """As the ring has them."""
    found = np.zeros(len(sent), RECORD)
    for row, one in zip(found, sent, strict=True):
        row["at"], row["tid"], row["cpu"], row["kind"] = one.at, one.tid, one.cpu, one.kind
        row["frame"], row["what"] = one.frame, one.what
        row["function"] = one.call.function if one.call else 0
        row["values"] = np.frombuffer(one.name.encode().ljust(48, b"\0"), "<u8")
    return found


def written(text: str) -> NDArray[Any]:
    """Records from lines ``TID in|out FUNCTION FRAME``, ``TID fork|exec|named PID NAME`` or ``TID end``.

    Functions are single letters, ``a`` the first; the n-th record has the time 1000 n.
    """
    kinds = {"in": ENTRY, "out": RETURN, "fork": THREAD, "exec": THREAD, "named": THREAD, "end": END}
    found = np.zeros(len(text.strip().splitlines()), RECORD)
    for number, line in enumerate(text.strip().splitlines()):
        row = found[number]
        tid, word, *rest = line.split()
        row["at"], row["tid"], row["kind"] = 1000 * (number + 1), int(tid), kinds[word]
        if word in ("in", "out"):
            row["function"], row["frame"] = ord(rest[0]) - ord("a"), int(rest[1])
        elif word != "end":
            row["what"] = ("fork", "exec", "named").index(word) + 1
            row["frame"] = int(rest[0])
            row["values"] = np.frombuffer(rest[1].encode().ljust(48, b"\0"), "<u8")
    return found
