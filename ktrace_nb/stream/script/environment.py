"""What a script's handlers find around them beside the notebook."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ktrace_nb.ir.script import Piece
from ktrace_nb.stream.script.symbols import Symbolizer
from ktrace_nb.stream.script.values import Cutter, Value


@dataclass(frozen=True, slots=True)
class Task:
    """Who runs a handler that no event of the kernel started."""

    pid: int
    tid: int
    uid: int
    gid: int
    execname: str

    @staticmethod
    def here() -> Task:
        """This process."""
        name = Path("/proc/self/comm").read_bytes().decode("latin-1").rstrip("\n")
        return Task(os.getpid(), os.getpid(), os.getuid(), os.getgid(), name)


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone at one moment."""

    west_s: int
    """Seconds west of UTC."""
    name: str

    @staticmethod
    def here() -> Zone:
        """Of this process."""
        now = time.localtime()
        return Zone(-(now.tm_gmtoff or 0), now.tm_zone or "UTC")


class Environment(Protocol):
    """The session, as generated code and intrinsics see it."""

    cut: Cutter
    """Cuts strings at ``MAXSTRINGLEN``, and counts how often it did."""
    max_nesting: int
    """``MAXNESTING``."""
    random: random.Random
    task: Task
    """Who runs ``begin``, ``end`` and timers."""
    zone: Zone
    """Of ``tz_ctime``."""
    target_pid: int
    """What ``target()`` gives; intrinsics may set it."""
    reply: str
    """The text that somebody asked for (``procfs``), as far as it is made."""

    @property
    def symbols(self) -> Symbolizer:
        """Names for numbers of the target."""

    def print(self, site: int, pieces: Sequence[Piece], values: Sequence[Value]) -> None:
        """Put out what a place of the script prints; :class:`formats.Formats` has its text."""

    def write(self, text: str) -> None:
        """Put out text that belongs to no place: ``log``, control sequences."""

    def warn(self, message: str) -> None:
        """Show a warning, without a line end."""

    def exit(self) -> None:
        """Begin to end the script; the handler that says so runs on."""

    def system(self, command: str) -> None:
        """Run a command in a shell on the target, without waiting."""

    def realtime_ns(self) -> int:
        """The target's wall clock, nanoseconds since 1970."""

    def monotonic_ns(self) -> int:
        """The target's ``CLOCK_MONOTONIC``, nanoseconds."""

    def read_kernel(self, address: int, size: int) -> bytes | None:
        """The target kernel's memory as it is now; None if it cannot be read there."""

    def read_kernel_string(self, address: int, size: int) -> bytes | None:
        """A string there without its NUL, ``size`` bytes at most with it; None if it cannot be read."""
