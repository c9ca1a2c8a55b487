"""The kstats that every target has: what its kernel tells in ``/proc`` and ``/sys``.

Each module has ``SOURCES``, the files it needs, and ``kstats(files)``, which makes kstats of their
text and does nothing else. ``KSTAT_MODULES`` and ``CLASSES``, where it has them, are the modules and
classes of its kstats, so that a selection of others reads no files for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from ktrace_nb.kstat.builtin import (
    cgroups,
    cpu,
    disks,
    filesystems,
    interrupts,
    memory,
    mibs,
    net,
    nfs,
    pressure,
    processes,
    slab,
)
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat


class Builtin(Protocol):
    """A module of this package."""

    @property
    def SOURCES(self) -> tuple[str, ...]:  # noqa: N802 (a constant of a module)
        """Paths and patterns, as :mod:`ktrace_nb.agent.files` takes them."""
        ...

    def kstats(self, files: Snapshot) -> Iterable[Kstat]:
        """The kstats as far as the files are there."""
        ...


MODULES: Final[tuple[Builtin, ...]] = (
    cpu,
    interrupts,
    memory,
    processes,
    pressure,
    cgroups,
    disks,
    filesystems,
    net,
    mibs,
    nfs,
    slab,
)
"""All of them."""
