"""What tests of the controls share, and a process that waits in the kernel until it is told to go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from tests.kernel.trace.kit import KERNELS, Guest

READS = 1009
"""Of /dev/zero, by one dd of the fixture ``read``; nobody else reads it."""

_Seen = TypeVar("_Seen")

_BEGIN = """
rm -f /tmp/steps; mkfifo /tmp/steps
dd if=/tmp/steps of=/dev/null bs=1 >/dev/null 2>&1 & echo $!
sleep 1000 >/tmp/steps 2>/dev/null & echo $!
"""


@pytest.fixture(params=KERNELS)
def both_kernels(request: pytest.FixtureRequest) -> str:
    """Each of the kernels, for modules that say ``kernel = both_kernels``."""
    return str(request.param)


def until(look: Callable[[], _Seen], holds: Callable[[_Seen], object], timeout_s: float = 60) -> _Seen:
    """Look again and again until what is seen is as wanted, and give that; fails with what it saw last."""
    deadline = time.monotonic() + timeout_s
    while not holds(seen := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"not as wanted within {timeout_s:g} s, seen last: {seen!r}")
        time.sleep(0.005)
    return seen


class Stepper:
    """A dd that reads a pipe byte by byte: it is always inside one ``read``."""

    def __init__(self, guest: Guest, pid: int) -> None:
        self._guest = guest
        self.pid = pid

    def step(self) -> None:
        """Have it return from its read; comes back when it waits in the next."""
        before = self._reads()
        self._guest.run("sh", "-c", "printf x >/tmp/steps")
        while self._reads() == before or not self._waits():
            pass

    def _reads(self) -> int:
        """Reads that have returned."""
        return int(self._guest.run("grep", "syscr", f"/proc/{self.pid}/io").split()[1])

    def _waits(self) -> bool:
        return "pipe_read" in self._guest.run("cat", f"/proc/{self.pid}/wchan")


@contextmanager
def stepper(guest: Guest) -> Iterator[Stepper]:
    """One that waits in its first read; ends at the end."""
    pid, writer = map(int, guest.run("sh", "-c", _BEGIN).split())
    found = Stepper(guest, pid)
    while not found._waits():
        pass
    try:
        yield found
    finally:
        guest.run("kill", "-9", str(pid), str(writer))
