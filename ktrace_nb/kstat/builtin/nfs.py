"""NFS mounts, by the minor number of the file system's anonymous device.

* ``nfs:<minor>:nfs<minor>`` of class ``nfs``, kind IO, as illumos has it for ``iostat -n``: what READ
  (since NFS 4.2 READ_PLUS too) and WRITE did. ``wlentime`` is the time they waited to be sent,
  ``rlentime`` the time from then to the answer; both are of calls that ended. Linux does not tell how
  long there was any (``wtime``, ``rtime``) nor how many there are now (``wcnt``, ``rcnt``).
* ``nfs:<minor>:mountstats`` of class ``vfs``: events and bytes.
* ``nfs:<minor>:ops`` of class ``vfs``: of every operation how often, how long, how much: ``READ_ops``,
  ``READ_rtt`` ...

Mounts that share a file system share its kstats.

Source: Linux ``fs/nfs/super.c`` ``nfs_show_stats()``, ``include/linux/nfs_iostat.h``,
``net/sunrpc/stats.c`` ``rpc_clnt_show_stats()``; illumos ``uts/common/fs/nfs/nfs_subr.c``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ktrace_nb.kstat.builtin.names import printable, unmangle
from ktrace_nb.kstat.builtin.parse import amount, count, kstat, number, word
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import IO, Kstat, Value

KSTAT_MODULES = ("nfs",)
CLASSES = ("nfs", "vfs")

SOURCES: tuple[str, ...] = ("/proc/self/mountinfo", "/proc/self/mountstats")

_EVENTS: Final = (
    *("inode_revalidate", "dentry_revalidate", "data_invalidate", "attr_invalidate"),
    *("vfs_open", "vfs_lookup", "vfs_access", "vfs_updatepage", "vfs_readpage", "vfs_readpages"),
    *("vfs_writepage", "vfs_writepages", "vfs_getdents", "vfs_setattr", "vfs_flush", "vfs_fsync"),
    *("vfs_lock", "vfs_release", "congestion_wait", "setattr_trunc", "extend_write", "silly_rename"),
    *("short_read", "short_write", "delay", "pnfs_read", "pnfs_write"),
)
_BYTES: Final = (
    *("normal_read_bytes", "normal_written_bytes", "direct_read_bytes", "direct_written_bytes"),
    *("server_read_bytes", "server_written_bytes", "read_pages", "write_pages"),
)
# What of an operation, unit. Linux before 5.3 has no errors.
_OPERATION: Final = (
    ("ops", ""),
    ("transmissions", ""),
    ("timeouts", ""),
    ("bytes_sent", "bytes"),
    ("bytes_received", "bytes"),
    ("queue", "ms"),
    ("rtt", "ms"),
    ("execute", "ms"),
    ("errors", ""),
)
_FEWEST = 8
_OPS, _QUEUE, _RTT = 0, 5, 6
_SERVER_READ, _SERVER_WRITTEN = 4, 5
_MS = 1_000_000

_HEAD = re.compile(r"device (\S+) mounted on (\S+) with fstype (\S+)(?: statvers=(\S+))?")
_PER_OP = re.compile(r"\s+(\w+): (\d+(?: \d+)+)")


@dataclass(slots=True)
class _Mount:
    """What ``mountstats`` tells of one mount."""

    source: str
    point: str
    type: str
    lines: dict[str, list[str]] = field(default_factory=dict)
    operations: dict[str, list[int]] = field(default_factory=dict)

    def counts(self, line: str) -> list[int]:
        """The numbers of ``events:`` or ``bytes:``."""
        return [value for value in map(number, self.lines.get(line, ())) if value is not None]

    def sum(self, *operations: str) -> list[int]:
        """What is counted of some operations together, :data:`_OPERATION`."""
        counted = [self.operations[name][:_FEWEST] for name in operations if name in self.operations]
        return [sum(values) for values in zip([0] * _FEWEST, *counted, strict=True)]


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """The kstats of each NFS file system; one unmounted meanwhile is left out."""
    minors = _minors(files.text("/proc/self/mountinfo") or "")
    seen: set[int] = set()
    for mount in _mounts(files.text("/proc/self/mountstats") or ""):
        minor = minors.get(mount.point)
        if minor is None or minor in seen:
            continue
        seen.add(minor)
        yield kstat(files, "nfs", minor, f"nfs{minor}", "nfs", _io(mount), kind=IO)
        yield kstat(files, "nfs", minor, "mountstats", "vfs", _statistics(mount))
        yield kstat(files, "nfs", minor, "ops", "vfs", _operations(mount))


def _io(mount: _Mount) -> dict[str, Value]:
    sizes = mount.counts("bytes")
    if len(sizes) < len(_BYTES):
        return {}
    read, write = mount.sum("READ", "READ_PLUS"), mount.sum("WRITE")
    return {
        "nread": count(sizes[_SERVER_READ], "bytes"),
        "nwritten": count(sizes[_SERVER_WRITTEN], "bytes"),
        "reads": count(read[_OPS]),
        "writes": count(write[_OPS]),
        "wlentime": count((read[_QUEUE] + write[_QUEUE]) * _MS, "ns"),
        "rlentime": count((read[_RTT] + write[_RTT]) * _MS, "ns"),
    }


def _statistics(mount: _Mount) -> dict[str, Value]:
    data = {
        "source": word(printable(mount.source)),
        "mounted_on": word(printable(mount.point)),
        "type": word(printable(mount.type)),
    }
    if age := mount.counts("age"):
        data["age"] = amount(age[0], "s")
    for name, value in zip(_EVENTS, mount.counts("events"), strict=False):
        data[name] = count(value)
    for name, value in zip(_BYTES, mount.counts("bytes"), strict=False):
        data[name] = count(value, "pages" if name.endswith("_pages") else "bytes")
    return data


def _operations(mount: _Mount) -> dict[str, Value]:
    return {
        f"{operation}_{what}": count(value, unit)
        for operation, values in mount.operations.items()
        for (what, unit), value in zip(_OPERATION, values, strict=False)
    }


def _minors(mountinfo: str) -> dict[str, int]:
    """Minor number of what is mounted last on a mount point."""
    minors = {}
    for line in mountinfo.splitlines():
        words = line.split(" ")
        if len(words) > 4 and (minor := number(words[2].partition(":")[2])) is not None:
            minors[unmangle(words[4])] = minor
    return minors


def _mounts(text: str) -> Iterator[_Mount]:
    """The NFS mounts of ``mountstats``, the last one on a mount point alone."""
    found: dict[str, _Mount] = {}
    mount: _Mount | None = None
    for line in text.splitlines():
        if line.startswith("device "):
            head = _HEAD.fullmatch(line)
            mount = None
            if head is not None:
                point = unmangle(head[2])
                found.pop(point, None)  # this one is mounted over it
                if head[4] is not None and head[3].startswith("nfs"):
                    mount = found[point] = _Mount(source=unmangle(head[1]), point=point, type=head[3])
        elif mount is None:
            continue
        elif (per_op := _PER_OP.fullmatch(line)) and len(values := per_op[2].split()) >= _FEWEST:
            mount.operations[per_op[1]] = [int(value) for value in values]
        else:
            name, colon, rest = line.strip().partition(":")
            if colon:
                mount.lines.setdefault(name, rest.split())
    yield from found.values()
