"""Mounts, tables, ext4 file systems and journals, from text."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktrace_nb.kstat.builtin import filesystems
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Type

# proc(5) shows the second line.
MOUNTINFO = r"""27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
37 36 0:44 / /mnt/a\040b\011c\012d\134e ro shared:2 master:3 propagate_from:4 - tmpfs my\040tmp rw
38 36 0:45 / /mnt/x:y rw - nfs4 host:/export ro,vers=4.2
39 36 0:46 / /mnt/none rw - tmpfs  rw
"""
# /proc/fs/jbd2/vdc-8/info of Linux 6.12.
JOURNAL = """\
29 transactions (25 requested), each up to 341 blocks
average:
  1ms waiting for transaction
  2ms request delay
  3452ms running transaction
  4ms transaction was being locked
  5ms flushing data (in ordered mode)
  6ms logging transaction
  7381us average transaction commit time
  28 handles per transaction
  9 blocks per transaction
  10 logged blocks per transaction
"""
PARTITIONS = "major minor  #blocks  name\n\n 254       32   16384 vdc\n 104       17   2048 cciss/c0d1p1\n"
EXT4 = "/sys/fs/ext4/vdc"


def read(files: dict[str, str]) -> dict[str, Kstat]:
    found = list(filesystems.kstats(Snapshot(files=files)))
    by_name = {f"{k.id.module}:{k.id.instance}:{k.id.name}": k for k in found}
    assert len(by_name) == len(found)
    assert {kstat.class_ for kstat in found} <= {"vfs"}
    return by_name


def values(kstat: Kstat) -> dict[str, object]:
    return {name: value.value for name, value in kstat.data.items()}


def test_each_mount_is_named_by_its_id_and_place() -> None:
    found = read({"/proc/self/mountinfo": MOUNTINFO})
    assert [*found] == [
        "vfs:27:/",
        "vfs:36:/mnt2",
        r"vfs:37:/mnt/a b\x09c\x0ad\x5ce",
        r"vfs:38:/mnt/x\x3ay",
        "vfs:39:/mnt/none",
    ]
    assert values(found["vfs:36:/mnt2"]) == {
        "parent": 35,
        "readonly": 0,
        "type": "ext3",
        "source": "/dev/root",
        "device": "98:0",
        "root": "/mnt1",
        "options": "rw,noatime",
        "super_options": "rw,errors=continue",
        "propagation": "master:1",
    }
    assert values(found["vfs:27:/"])["propagation"] == "private"
    assert values(found["vfs:39:/mnt/none"])["source"] == ""


def test_a_mount_is_read_only_by_itself_or_by_its_file_system() -> None:
    found = read({"/proc/self/mountinfo": MOUNTINFO})
    assert [kstat.data["readonly"].value for kstat in found.values()] == [0, 0, 1, 1, 0]


def test_what_is_no_name_of_a_kstat_keeps_its_colons_and_spaces() -> None:
    found = read({"/proc/self/mountinfo": MOUNTINFO})
    assert found[r"vfs:38:/mnt/x\x3ay"].data["source"].value == "host:/export"
    tmpfs = found[r"vfs:37:/mnt/a b\x09c\x0ad\x5ce"]
    assert (tmpfs.data["source"].value, tmpfs.data["source"].type) == ("my tmp", Type.STRING)
    assert tmpfs.data["propagation"].value == "shared:2 master:3 propagate_from:4"


@pytest.mark.parametrize(
    "line", ["", "rubbish", "1 2 3:4 / /x rw", "x 35 98:0 / /m rw - ext3 a rw", "1 2 - 3"]
)
def test_lines_of_another_form_are_left_out(line: str) -> None:
    assert len(read({"/proc/self/mountinfo": line + "\n" + MOUNTINFO})) == 5


def test_the_tables_that_all_share() -> None:
    found = read(
        {
            "/proc/sys/fs/file-nr": "3035\t0\t2466177\n",
            "/proc/sys/fs/inode-state": "431649\t12\t0\t0\t0\t0\t0\n",
            "/proc/sys/fs/dentry-state": "580498\t578039\t45\t0\t143703\t0\n",
        }
    )
    assert {name: values(kstat) for name, kstat in found.items()} == {
        "vfs:0:files": {"allocated": 3035, "max": 2466177},
        "vfs:0:inodes": {"nr_inodes": 431649, "nr_free_inodes": 12},
        "vfs:0:dentries": {"nr_dentry": 580498, "nr_unused": 578039, "nr_negative": 143703},
    }
    assert not any(value.counter for kstat in found.values() for value in kstat.data.values())


def test_an_ext4_has_the_minor_number_of_its_device() -> None:
    files = {
        "/proc/partitions": PARTITIONS,
        f"{EXT4}/lifetime_write_kbytes": "122545837\n",
        f"{EXT4}/delayed_allocation_blocks": "28842\n",
        f"{EXT4}/errors_count": "2\n",
        f"{EXT4}/last_error_func": "ext4_lookup\n",
        f"{EXT4}/last_error_time": "1790000000\n",
        f"{EXT4}/first_error_func": "",
        "/sys/fs/ext4/cciss!c0d1p1/errors_count": "0\n",
        "/sys/fs/ext4/dm-3/errors_count": "0\n",
    }
    found = read(files)
    assert [*found] == ["ext4:32:vdc", "ext4:17:cciss/c0d1p1", "ext4:0:dm-3"]
    data = found["ext4:32:vdc"].data
    assert {name: (value.value, value.counter, value.unit) for name, value in data.items()} == {
        "lifetime_write_kbytes": (122545837, True, "KiB"),
        "delayed_allocation_blocks": (28842, False, ""),
        "errors_count": (2, True, ""),
        "last_error_time": (1790000000, False, "s"),
        "last_error_func": ("ext4_lookup", False, ""),
    }
    # It is an __le32 of the superblock.
    assert (data["errors_count"].type, data["lifetime_write_kbytes"].type) == (Type.UINT32, Type.UINT64)


def test_a_file_system_unmounted_in_the_middle_is_left_out() -> None:
    assert read({f"{EXT4}/last_error_func": ""}) == {}


def test_a_journal_tells_its_transactions_and_averages() -> None:
    files = {"/proc/partitions": PARTITIONS, "/proc/fs/jbd2/vdc-8/info": JOURNAL}
    journal = read(files)["jbd2:32:vdc-8"]
    assert values(journal) == {
        "transactions": 29,
        "requested": 25,
        "max_blocks": 341,
        "wait_avg": 1,
        "request_delay_avg": 2,
        "running_avg": 3452,
        "locked_avg": 4,
        "flushing_avg": 5,
        "logging_avg": 6,
        "commit_time_avg": 7381,
        "handles_avg": 28,
        "blocks_avg": 9,
        "logged_blocks_avg": 10,
    }
    assert {name for name, value in journal.data.items() if value.counter} == {"transactions", "requested"}
    assert (journal.data["running_avg"].unit, journal.data["commit_time_avg"].unit) == ("ms", "us")


def test_a_journal_without_a_transaction_yet_has_no_averages() -> None:
    first = "0 transactions (0 requested), each up to 341 blocks\n"
    journal = read({"/proc/fs/jbd2/dm-3-8/info": first})["jbd2:0:dm-3-8"]
    assert journal.data.keys() == {"transactions", "requested", "max_blocks"}
    assert read({"/proc/fs/jbd2/vdc-8/info": "rubbish"}) == {}


def test_this_machines_mounts_are_those_of_proc_mounts() -> None:
    found = read({"/proc/self/mountinfo": Path("/proc/self/mountinfo").read_text()})
    told = [line.split()[2] for line in Path("/proc/self/mounts").read_text().splitlines()]
    assert sorted(str(kstat.data["type"].value) for kstat in found.values()) == sorted(told)
