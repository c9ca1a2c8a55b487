"""Disks and partitions, from text."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktrace_nb.kstat.builtin import disks
from ktrace_nb.kstat.builtin.disks import family
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import IO, Kstat, Type

# Linux Documentation/admin-guide/iostats.rst shows these lines.
DISKSTATS = """\
 259       0 nvme0n1 255999 814 12369153 47919 996852 81 36123024 425995 0 301795 580470 0 0 0 0 60602 106555
 259       1 nvme0n1p1 492 813 17572 96 848 81 108288 210 0 76 307 0 0 0 0 0 0
 259       2 nvme0n1p2 255401 1 12343477 47799 996004 0 36014736 425784 0 344336 473584 0 0 0 0 0 0
"""
SYSFS = {
    "/sys/block/nvme0n1/size": "1000215216\n",
    "/sys/block/nvme0n1/queue/iostats": "1\n",
    "/sys/block/nvme0n1/nvme0n1p1/partition": "1\n",
    "/sys/block/nvme0n1/nvme0n1p1/size": "1050624\n",
    "/sys/block/nvme0n1/nvme0n1p2/partition": "2\n",
}
# /proc/diskstats as kernels wrote it before discards, and with discards but without flushes.
LINUX_3 = "   8       0 sda 81 0 5304 120 7 2 72 40 3 104 160\n"
LINUX_4_19 = "   8       0 sda 81 0 5304 120 7 2 72 40 3 104 160 11 1 88 5\n"


def read(files: dict[str, str], monotonic_ns: int = 0) -> dict[str, Kstat]:
    found = list(disks.kstats(Snapshot(files=files, monotonic_ns=monotonic_ns)))
    by_name = {f"{k.id.module}:{k.id.instance}:{k.id.name}": k for k in found}
    assert len(by_name) == len(found)
    return by_name


def test_the_fields_are_those_of_kstat_io() -> None:
    disk = read({"/proc/diskstats": DISKSTATS} | SYSFS, monotonic_ns=77)["nvme:0:nvme0n1"]
    assert (disk.kind, disk.class_, disk.snaptime_ns) == (IO, "disk", 77)
    values = {name: value.value for name, value in disk.data.items()}
    assert values == {
        "nread": 12369153 * 512,
        "nwritten": 36123024 * 512,
        "reads": 255999,
        "writes": 996852,
        "rtime": 301795 * 10**6,
        "rlentime": 580470 * 10**6,
        "rcnt": 0,
        "read_merges": 814,
        "write_merges": 81,
        "read_time": 47919 * 10**6,
        "write_time": 425995 * 10**6,
        "discards": 0,
        "discard_merges": 0,
        "ndiscarded": 0,
        "discard_time": 0,
        "flushes": 60602,
        "flush_time": 106555 * 10**6,
        "size": 1000215216 * 512,
        "iostats": 1,
    }
    # The weighted time is the sum of the requests' times, but for rounding.
    times = sum(int(disk.data[f"{what}_time"].value) for what in ("read", "write", "discard", "flush"))
    assert times == pytest.approx(580470 * 10**6, abs=3e6)


def test_what_there_is_now_is_no_counter_and_the_rest_is() -> None:
    disk = read({"/proc/diskstats": DISKSTATS} | SYSFS)["nvme:0:nvme0n1"]
    assert {name for name, value in disk.data.items() if not value.counter} == {"rcnt", "size", "iostats"}
    units = {name: value.unit for name, value in disk.data.items()}
    assert {name for name, unit in units.items() if unit == "ns"} == {
        *("rtime", "rlentime", "read_time", "write_time", "discard_time", "flush_time")
    }
    assert {name for name, unit in units.items() if unit == "bytes"} == {
        *("nread", "nwritten", "ndiscarded", "size")
    }
    assert disk.data["rcnt"].type is Type.UINT32


def test_a_partition_is_of_its_disk() -> None:
    found = read({"/proc/diskstats": DISKSTATS} | SYSFS)
    assert {name: kstat.class_ for name, kstat in found.items()} == {
        "nvme:0:nvme0n1": "disk",
        "nvme:0:nvme0n1p1": "partition",
        "nvme:0:nvme0n1p2": "partition",
    }
    assert found["nvme:0:nvme0n1p1"].data["size"].value == 1050624 * 512
    assert "size" not in found["nvme:0:nvme0n1p2"].data


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        (LINUX_3, {"discards", "ndiscarded", "flushes"}),
        (LINUX_4_19, {"flushes", "flush_time"}),
    ],
)
def test_what_an_older_kernel_does_not_count_is_not_there(text: str, absent: set[str]) -> None:
    disk = read({"/proc/diskstats": text, "/sys/block/sda/size": "2048\n"})["sd:0:sda"]
    assert not absent & disk.data.keys()
    assert disk.data["rcnt"].value == 3
    assert disk.data["nread"].value == 5304 * 512


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        ("sda", ("sd", 0)),
        ("sdz", ("sd", 25)),
        ("sdaa", ("sd", 26)),
        ("sdab", ("sd", 27)),
        ("sdzz", ("sd", 701)),
        ("sdaaa", ("sd", 702)),
        ("vdb", ("vd", 1)),
        ("xvda", ("xvd", 0)),
        ("dasdc", ("dasd", 2)),
        ("nvme1n3", ("nvme", 1)),
        ("nvme0c1n1", ("nvme", 0)),
        ("loop7", ("loop", 7)),
        ("dm-12", ("dm", 12)),
        ("md127", ("md", 127)),
        ("md_d3", ("md", 3)),
        ("mmcblk0", ("mmcblk", 0)),
        ("mmcblk0boot1", ("mmcblk", 0)),
        ("nullb4", ("null_blk", 4)),
        ("zram0", ("zram", 0)),
        ("sr0", ("sr", 0)),
        ("cciss/c0d1", ("cciss", 0)),
        ("md_home", ("md", 99)),
        ("123", ("disk", 99)),
        ("loop99999999999", ("loop", 999999999)),
    ],
)
def test_family_and_number_are_told_by_the_name(disk: str, expected: tuple[str, int]) -> None:
    assert family(disk, 99) == expected


def test_a_disk_that_went_in_the_middle_is_left_out() -> None:
    text = DISKSTATS + "   8  0 sda 1 0 8 1 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
    assert "sd:0:sda" not in read({"/proc/diskstats": text} | SYSFS)
    # So are its partitions.
    gone = {path: content for path, content in SYSFS.items() if not path.endswith("/nvme0n1/size")}
    assert read({"/proc/diskstats": DISKSTATS, "/sys/block/sda/size": "1\n"} | gone) == {}


def test_disks_are_told_of_where_sysfs_is_not() -> None:
    assert len(read({"/proc/diskstats": DISKSTATS})) == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "8\n",
        "   8    0 sda\n",
        "   8    1 sda1 35486 0 35496 38030\n",  # a partition as Linux before 2.6.25 wrote it
        "   8    0 sda 1 x 8 1 0 0 0 0 0 1 1\n",
        "   8    - sda 1 0 8 1 0 0 0 0 0 1 1\n",
        "   8    0 sda 1 0 8 1 0 0",  # cut off
    ],
)
def test_lines_of_another_form_are_left_out(text: str) -> None:
    assert read({"/proc/diskstats": text}) == {}
    assert len(read({"/proc/diskstats": text + "\n" + LINUX_3})) == 1


def test_a_slash_in_a_name_is_one_in_sysfs_too() -> None:
    files = {
        "/proc/diskstats": LINUX_3.replace("sda", "cciss/c0d1") + LINUX_3.replace("sda", "cciss/c0d1p1"),
        "/sys/block/cciss!c0d1/size": "2048\n",
        "/sys/block/cciss!c0d1/cciss!c0d1p1/partition": "1\n",
    }
    assert {name: k.class_ for name, k in read(files).items()} == {
        "cciss:0:cciss/c0d1": "disk",
        "cciss:0:cciss/c0d1p1": "partition",
    }


def test_this_machines_disks_are_those_of_sysfs() -> None:
    files = {"/proc/diskstats": Path("/proc/diskstats").read_text()}
    for pattern in ("*/size", "*/queue/iostats", "*/*/partition"):
        files |= {str(path): path.read_text() for path in Path("/sys/block").glob(pattern)}
    found = {kstat.id.name for kstat in read(files).values() if kstat.class_ == "disk"}
    assert found == {path.name.replace("!", "/") for path in Path("/sys/block").iterdir()}
