"""A process in the lab that waits in the kernel until it is told to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.kernel.trace.kit import Guest

_BEGIN = """
rm -f /tmp/steps; mkfifo /tmp/steps
dd if=/tmp/steps of=/dev/null bs=1 >/dev/null 2>&1 & echo $!
sleep 1000 >/tmp/steps 2>/dev/null & echo $!
"""


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
