"""Control groups: ``cgroup:0:system.slice/ssh.service``, class ``cgroup``; ``cgroup:0:.`` is the root.

Of version 2, wherever systemd mounts it, at most :data:`ktrace_nb.agent.files.PATTERN_LIMIT` groups,
those nearest to the root first. Statistics have the names of the kernel's files before their own:

* ``cpu.usage_usec`` and the others of ``cpu.stat``, times in microseconds;
* ``memory.current``, and of ``memory.stat`` what :data:`MEMORY` names;
* ``io.rbytes``, ``io.rios`` and the others of ``io.stat``, of all devices together: when one is removed
  the sum goes back;
* ``pids.current``.

A group has those of the controllers that are on for it, the root none of what the kernel keeps for the
machine elsewhere.

Source: Linux ``Documentation/admin-guide/cgroup-v2.rst``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from ktrace_nb.kstat.builtin.names import name_of
from ktrace_nb.kstat.builtin.parse import amount, count, is_number, kstat, number, numbers, rows
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Value

ROOTS: Final = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
"""Where version 2 may be mounted: beside version 1, or alone. Source: systemd ``src/basic/cgroup-util.c``."""

FILES: Final = ("cpu.stat", "memory.current", "memory.stat", "io.stat", "pids.current")
SIGN: Final = "cgroup.controllers"
"""The file that only version 2 has."""

SOURCES: Final = (
    *(f"{root}/{SIGN}" for root in ROOTS),
    *(f"/sys/fs/cgroup/**/{name}" for name in FILES),
)
KSTAT_MODULES: Final = ("cgroup",)
CLASSES: Final = ("cgroup",)

MEMORY: Final = (
    "anon",
    "file",
    "kernel",
    "kernel_stack",
    "pagetables",
    "percpu",
    "sock",
    "shmem",
    "file_mapped",
    "file_dirty",
    "file_writeback",
    "slab",
)
"""Of ``memory.stat``, bytes."""

EVENTS: Final = (
    "pgfault",
    "pgmajfault",
    "pgscan",
    "pgsteal",
    "workingset_refault_anon",
    "workingset_refault_file",
)
"""Of ``memory.stat``, counters."""


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """One kstat for each group."""
    root = next((root for root in ROOTS if files.text(f"{root}/{SIGN}") is not None), None)
    if root is None:
        return
    groups: dict[str, dict[str, str]] = {}
    for path, text in files.files.items():
        folder, _, name = path.rpartition("/")
        if name in FILES and (folder == root or folder.startswith(root + "/")):
            groups.setdefault(folder.removeprefix(root).strip("/") or ".", {})[name] = text
    for group, texts in sorted(groups.items()):
        data = {**_cpu(texts.get("cpu.stat")), **_memory(texts), **_io(texts.get("io.stat"))}
        tasks = number(texts.get("pids.current"))
        if tasks is not None:
            data["pids.current"] = amount(tasks)
        if data:
            yield kstat(files, "cgroup", 0, name_of(group), "cgroup", data)


def _cpu(text: str | None) -> dict[str, Value]:
    return {
        f"cpu.{name}": count(value, "us" if name.endswith("_usec") else "")
        for name, value in numbers(text).items()
    }


def _memory(texts: dict[str, str]) -> dict[str, Value]:
    data = {}
    current = number(texts.get("memory.current"))
    if current is not None:
        data["memory.current"] = amount(current, "bytes")
    found = numbers(texts.get("memory.stat"))
    data |= {f"memory.{name}": amount(found[name], "bytes") for name in MEMORY if name in found}
    return data | {f"memory.{name}": count(found[name]) for name in EVENTS if name in found}


def _io(text: str | None) -> dict[str, Value]:
    """Sums over the lines ``8:0 rbytes=1 wbytes=2 rios=3 ...``, one per device."""
    sums: Counter[str] = Counter()
    for _, *words in rows(text):
        for name, _, value in (word.partition("=") for word in words):
            if is_number(value):
                sums[name] += int(value)
    return {
        f"io.{name}": count(value, "bytes" if name.endswith("bytes") else "") for name, value in sums.items()
    }
