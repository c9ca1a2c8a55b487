"""File systems and where they are mounted, of class ``vfs``.

* ``vfs:<mount>:<mount point>``: each mount the agent sees; the instance is the mount's id.
* ``vfs:0:files``, ``vfs:0:inodes``, ``vfs:0:dentries``: the tables all of them share.
* ``ext4:<minor>:<device>``: what an ext4 (also one that holds an ext3 or ext2) tells in sysfs; the
  instance is the device's minor number, 0 if it is not known.
* ``jbd2:<minor>:<device>-<inode>``: its journal. The averages are those the kernel keeps.
* NFS: :mod:`ktrace_nb.kstat.builtin.nfs`.

How much space is free no file tells; that takes statfs(2), which a server that does not answer holds
up for ever. So it is left out, as is what xfs and btrfs tell of themselves.

Source: Linux ``Documentation/filesystems/proc.rst`` 3.5, ``Documentation/ABI/testing/sysfs-fs-ext4``,
``Documentation/admin-guide/sysctl/fs.rst``, ``fs/jbd2/journal.c`` ``jbd2_seq_info_show()``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from ktrace_nb.kstat.builtin.names import name_of, printable, unmangle
from ktrace_nb.kstat.builtin.parse import amount, count, kstat, number, rows, word
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Type, Value

KSTAT_MODULES = ("vfs", "ext4", "jbd2")
CLASSES = ("vfs",)

# Statistic of ext4, what makes its value, its unit. What the administrator has set is left out.
_EXT4: Final = (
    ("lifetime_write_kbytes", count, "KiB"),
    ("session_write_kbytes", count, "KiB"),
    ("delayed_allocation_blocks", amount, ""),
    ("reserved_clusters", amount, ""),
    ("errors_count", count, ""),
    ("warning_count", count, ""),
    ("msg_count", count, ""),
    ("sra_exceeded_retry_limit", count, ""),
    *((f"{which}_error_time", amount, "s") for which in ("first", "last")),
    *((f"{which}_error_{what}", amount, "") for which in ("first", "last") for what in ("errcode", "ino")),
    *((f"{which}_error_{what}", amount, "") for which in ("first", "last") for what in ("block", "line")),
)
_EXT4_32: Final = ("errors_count", "warning_count", "msg_count")
_EXT4_TEXTS: Final = ("first_error_func", "last_error_func")

_TABLES: Final = {
    "files": ("/proc/sys/fs/file-nr", ("allocated", "", "max")),
    "inodes": ("/proc/sys/fs/inode-state", ("nr_inodes", "nr_free_inodes")),
    "dentries": (
        "/proc/sys/fs/dentry-state",
        ("nr_dentry", "nr_unused", "", "", "nr_negative"),
    ),
}
"""Name to file and what its numbers are, those that are always 0 or a setting without a name."""

SOURCES: tuple[str, ...] = (
    "/proc/self/mountinfo",
    "/proc/partitions",
    *(path for path, _ in _TABLES.values()),
    *(f"/sys/fs/ext4/*/{name}" for name, _, _ in _EXT4),
    *(f"/sys/fs/ext4/*/{name}" for name in _EXT4_TEXTS),
    "/proc/fs/jbd2/*/info",
)

_JOURNAL_HEAD = re.compile(r"(\d+) transactions \((\d+) requested\), each up to (\d+) blocks")
_JOURNAL_LINES: Final = {
    "ms waiting for transaction": ("wait_avg", "ms"),
    "ms request delay": ("request_delay_avg", "ms"),
    "ms running transaction": ("running_avg", "ms"),
    "ms transaction was being locked": ("locked_avg", "ms"),
    "ms flushing data (in ordered mode)": ("flushing_avg", "ms"),
    "ms logging transaction": ("logging_avg", "ms"),
    "us average transaction commit time": ("commit_time_avg", "us"),
    " handles per transaction": ("handles_avg", ""),
    " blocks per transaction": ("blocks_avg", ""),
    " logged blocks per transaction": ("logged_blocks_avg", ""),
}


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """Mounts, tables, ext4 file systems and journals."""
    minors = _minors(files.text("/proc/partitions") or "")
    for mount, point, data in _mounts(files.text("/proc/self/mountinfo") or ""):
        yield kstat(files, "vfs", mount, name_of(point), "vfs", data)
    for name, (path, columns) in _TABLES.items():
        if data := _table(files.text(path) or "", columns):
            yield kstat(files, "vfs", 0, name, "vfs", data)
    for device, data in _ext4(files):
        yield kstat(files, "ext4", minors.get(device, 0), name_of(device), "vfs", data)
    for path, text in files.matching("/proc/fs/jbd2/*/info").items():
        journal = _device(path.split("/")[4])
        if data := _journal(text):
            minor = minors.get(journal.rpartition("-")[0], 0)
            yield kstat(files, "jbd2", minor, name_of(journal), "vfs", data)


def _mounts(text: str) -> Iterator[tuple[int, str, dict[str, Value]]]:
    """Id, mount point and traits of every mount."""
    for line in text.splitlines():
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        before, dash, after = line.partition(" - ")
        first, second = before.split(" "), after.split(" ")
        if not dash or len(first) < 6 or len(second) < 3 or not (first[0] + first[1]).isdecimal():
            continue
        mount, parent, device, root, point, options, *propagation = first
        kind, source, super_options = second[0], second[1], " ".join(second[2:])
        readonly = "ro" in options.split(",") or "ro" in super_options.split(",")
        data = {
            "parent": amount(int(parent), type=Type.UINT32),
            "readonly": amount(int(readonly), type=Type.UINT32),
        }
        for name, mangled in (
            ("type", kind),
            ("source", source),
            ("device", device),
            ("root", root),
            ("options", options),
            ("super_options", super_options),
            ("propagation", " ".join(propagation) or "private"),
        ):
            data[name] = word(printable(unmangle(mangled)))
        yield int(mount), unmangle(point), data


def _table(text: str, columns: tuple[str, ...]) -> dict[str, Value]:
    numbers = zip(columns, map(number, text.split()), strict=False)
    return {name: amount(value) for name, value in numbers if name and value is not None}


def _minors(text: str) -> dict[str, int]:
    """Minor device number of each device in ``/proc/partitions``."""
    return {line[3]: int(line[1]) for line in rows(text) if len(line) == 4 and line[1].isdecimal()}


def _ext4(files: Snapshot) -> Iterator[tuple[str, dict[str, Value]]]:
    told: dict[str, dict[str, str]] = {}
    for path, text in files.matching("/sys/fs/ext4/*/*").items():
        _, _, _, _, folder, name = path.split("/")
        told.setdefault(folder, {})[name] = text.strip()
    for folder, texts in told.items():
        data = {}
        for name, make, unit in _EXT4:
            value = number(texts.get(name))
            if value is not None:
                data[name] = make(value, unit, Type.UINT32 if name in _EXT4_32 else Type.UINT64)
        if not data:
            continue
        for name in _EXT4_TEXTS:
            if texts.get(name):
                data[name] = word(printable(texts[name]))
        yield _device(folder), data


def _journal(text: str) -> dict[str, Value]:
    head = _JOURNAL_HEAD.match(text)
    if head is None:
        return {}
    data = {
        "transactions": count(int(head[1])),
        "requested": count(int(head[2])),
        "max_blocks": amount(int(head[3])),
    }
    for line in text.splitlines()[1:]:
        if found := re.match(r"\s*(\d+)(.*)", line):
            name, unit = _JOURNAL_LINES.get(found[2], ("", ""))
            if name:
                data[name] = amount(int(found[1]), unit)
    return data


def _device(folder: str) -> str:
    # Neither sysfs nor a journal's name can have a slash, as in cciss/c0d0.
    return folder.replace("!", "/")
