"""Disks and partitions: ``sd:0:sda`` of class ``disk``, ``sd:0:sda1`` of class ``partition``.

The module is the family of the device, the instance the number its driver gave it (``sdb`` is 1,
``nvme0n1`` 0), the name the device's. Of kind IO, as far as ``/proc/diskstats`` can tell:

* It has one queue only. A request counts from when it was made to when it ended, so what waits for
  a scheduler counts as if it ran: there is no ``wtime``, ``wlentime`` and ``wcnt``. The account kept
  by tracepoints has them.
* ``rtime`` is the kernel's ``io_ticks``, time with a request under way. It is sampled when requests
  begin and end, in ticks of the scheduler, not exact.
* ``rlentime`` is the time of all requests that *ended*; one that runs for an hour is added in one piece.
* ``rcnt`` is how many run now. Whether what a scheduler holds is one of them depends on the kernel.
* Times are of milliseconds, kept in 32 bits: after 49.7 days of them they begin anew.
* A flush without data counts as a write of nothing, besides being one of ``flushes``.
* With ``iostats`` 0 the kernel keeps no account, and all numbers stand still.

Source: Linux ``Documentation/admin-guide/iostats.rst``, ``block/genhd.c`` ``diskstats_show()``,
``block/blk-core.c`` ``update_io_ticks()``; illumos kstat_io(9S).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ktrace_nb.kstat.builtin.names import name_of
from ktrace_nb.kstat.builtin.parse import amount, count, kstat, number, rows
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import IO, Kstat, Type, Value

CLASSES = ("disk", "partition")

SOURCES: tuple[str, ...] = (
    "/proc/diskstats",
    "/sys/block/*/size",
    "/sys/block/*/queue/iostats",
    "/sys/block/*/*/partition",
    "/sys/block/*/*/size",
)

SECTOR_BYTES = 512
"""A sector of ``diskstats`` and of ``size``, whatever the disk's own are."""

_MS = 1_000_000
_LETTERED = re.compile(r"(dasd|hd|sd|ubd|vd|xvd)([a-z]{1,4})")
_NUMBERED = re.compile(r"([A-Za-z]+)\D*(\d{1,9})")
_FAMILIES = {"nullb": "null_blk"}

# Statistic, field of diskstats counted from the device's name, factor, unit; all of them counters.
_FIELDS: tuple[tuple[str, int, int, str], ...] = (
    ("nread", 3, SECTOR_BYTES, "bytes"),
    ("nwritten", 7, SECTOR_BYTES, "bytes"),
    ("reads", 1, 1, ""),
    ("writes", 5, 1, ""),
    ("rtime", 10, _MS, "ns"),
    ("rlentime", 11, _MS, "ns"),
    ("read_merges", 2, 1, ""),
    ("write_merges", 6, 1, ""),
    ("read_time", 4, _MS, "ns"),
    ("write_time", 8, _MS, "ns"),
    # Since Linux 4.18.
    ("discards", 12, 1, ""),
    ("discard_merges", 13, 1, ""),
    ("ndiscarded", 14, SECTOR_BYTES, "bytes"),
    ("discard_time", 15, _MS, "ns"),
    # Since Linux 5.5.
    ("flushes", 16, 1, ""),
    ("flush_time", 17, _MS, "ns"),
)
_IN_FLIGHT = 9
_FEWEST = 12


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """One kstat per disk and partition.

    A device that went while the files were being read, and is in one of them only, is left out.
    """
    sizes = _by_device(files.matching("/sys/block/*/size"))
    accounted = _by_device(files.matching("/sys/block/*/queue/iostats"))
    parents, part_sizes = _partitions(files)
    for minor, fields in _lines(files.text("/proc/diskstats") or ""):
        name = fields[0]
        disk = parents.get(name, name)
        if sizes and disk not in sizes:
            continue
        module, instance = family(disk, minor)
        size = part_sizes.get(name) if name in parents else sizes.get(name)
        class_ = "partition" if name in parents else "disk"
        data = _data(fields, size=size, accounted=accounted.get(disk))
        yield kstat(files, module, instance, name_of(name), class_, data, kind=IO)


def family(disk: str, minor: int) -> tuple[str, int]:
    """Family and number of a disk by its name, as ``("sd", 27)`` of ``sdab``.

    A disk whose name tells no number has its minor device number.
    """
    if found := _LETTERED.fullmatch(disk):
        place = 0
        # Source: Linux drivers/scsi/sd.c, sd_format_disk_name(): a to z, aa to zz, ...
        for letter in found[2]:
            place = place * 26 + ord(letter) - ord("a") + 1
        return found[1], place - 1
    if found := _NUMBERED.match(disk):
        return _FAMILIES.get(found[1], found[1]), int(found[2])
    letters = re.match("[A-Za-z]+", disk)
    return letters[0] if letters else "disk", minor


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Minor device number and fields of each device, its name first."""
    for line in rows(text):
        minor, fields = "".join(line[1:2]), line[2:]
        if len(fields) >= _FEWEST and minor.isdecimal() and all(f.isdecimal() for f in fields[1:]):
            yield int(minor), fields


def _data(fields: list[str], *, size: int | None, accounted: int | None) -> dict[str, Value]:
    data = {
        name: count(int(fields[at]) * factor, unit) for name, at, factor, unit in _FIELDS if at < len(fields)
    }
    data["rcnt"] = amount(int(fields[_IN_FLIGHT]), type=Type.UINT32)
    if size is not None:
        data["size"] = amount(size * SECTOR_BYTES, "bytes")
    if accounted is not None:
        data["iostats"] = amount(accounted, type=Type.UINT32)
    return data


def _by_device(found: Mapping[str, str]) -> dict[str, int]:
    """Numbers by the name of the disk, ``/sys/block/NAME/...``."""
    numbers = {_device(path.split("/")[3]): number(text) for path, text in found.items()}
    return {name: value for name, value in numbers.items() if value is not None}


def _partitions(files: Snapshot) -> tuple[dict[str, str], dict[str, int]]:
    """Disk of each partition, and sectors of each."""
    parents, sizes = {}, {}
    for path in files.matching("/sys/block/*/*/partition"):
        _, _, _, disk, partition, _ = path.split("/")
        parents[_device(partition)] = _device(disk)
        size = number(files.text(path.removesuffix("partition") + "size"))
        if size is not None:
            sizes[_device(partition)] = size
    return parents, sizes


def _device(folder: str) -> str:
    # sysfs cannot have a slash in a name, as in cciss/c0d0.
    return folder.replace("!", "/")
