"""A kernel whose kstats are compared with its own view of itself."""

from __future__ import annotations

import json
from typing import Any

from ktrace_nb.kstat.builtin import cgroups, cpu, interrupts, memory, pressure, processes
from ktrace_nb.kstat.files import Files, Snapshot
from ktrace_nb.kstat.model import Kstat
from ktrace_nb.targets.base import Target
from tests.kernel.trace.kit import Guest

PARTS = (cpu, memory, interrupts, processes, pressure, cgroups)


class Kernel:
    """One kernel: its kstats, and its own view of itself."""

    def __init__(self, target: Target) -> None:
        self._files = Files(target.connection.call)
        self._guest = Guest(target)

    def snapshot(self) -> Snapshot:
        """Every file of these parts."""
        return self._files.read([path for part in PARTS for path in part.SOURCES])

    def read(self) -> dict[str, Kstat]:
        """All kstats by ``module:instance:name``."""
        snapshot = self.snapshot()
        found = [kstat for part in PARTS for kstat in part.kstats(snapshot)]
        names = [f"{kstat.id.module}:{kstat.id.instance}:{kstat.id.name}" for kstat in found]
        assert len(set(names)) == len(names)
        return dict(zip(names, found, strict=True))

    def shell(self, command: str) -> str:
        """Run a command and give its output."""
        return self._guest.run("sh", "-ec", command)

    def number(self, command: str) -> int:
        """Run a command that prints a number."""
        return int(self.shell(command))

    def python(self, code: str) -> Any:
        """Run a program that prints JSON."""
        return json.loads(self._guest.run("python3", "-c", code))


def value(kstats: dict[str, Kstat], name: str) -> int:
    """A statistic by ``module:instance:name:statistic``."""
    kstat, _, statistic = name.rpartition(":")
    found = kstats[kstat].data[statistic].value
    assert isinstance(found, int)
    return found


def grown(before: dict[str, Kstat], after: dict[str, Kstat], name: str) -> int:
    """By how much a counter has grown."""
    kstat, _, statistic = name.rpartition(":")
    assert after[kstat].data[statistic].counter
    return value(after, name) - value(before, name)
