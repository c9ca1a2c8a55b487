"""NFS mounts, from text."""

from __future__ import annotations

from ktrace_nb.kstat.builtin import nfs
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import IO, Kstat

# The form of Linux fs/proc_namespace.c show_vfsstat() and fs/nfs/super.c nfs_show_stats().
EVENTS = " ".join(str(number) for number in range(1, 28))
MOUNT = rf"""device host:/a\040b mounted on /mnt/n\040f with fstype nfs4 statvers=1.1
	opts:	rw,vers=4.2,rsize=524288,wsize=524288,namlen=255
	age:	1234
	impl_id:	name='',domain='',date='0,0'
	caps:	caps=0xfffbc0bf,wtmult=512,dtsize=524288,bsize=0,namlen=255
	nfsv4:	bm0=0xfdffbfff,bm1=0xf9be3e,bm2=0x68800,acl=0x3,sessions,pnfs=not configured
	sec:	flavor=1,pseudoflavor=1
	events:	{EVENTS} 
	bytes:	1001 1002 1003 1004 300007 70001 74 18 
	RPC iostats version: 1.1  p/v: 100003/4 (nfs)
	xprt:	tcp 0 0 2 0 0 17 17 0 17 0 2 0 0
	per-op statistics
	        NULL: 1 1 0 44 24 5 0 5 0
	        READ: 3 4 1 500 900 11 22 40 0
	   READ_PLUS: 5 5 0 700 800 100 200 300 1
	       WRITE: 7 7 0 900 100 1000 2000 3000 0

"""  # noqa: E101, W291
MOUNTSTATS = (
    "device proc mounted on /proc with fstype proc\n" + MOUNT + "device t mounted on /t with fstype tmpfs\n"
)
MOUNTINFO = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
90 27 0:61 / /mnt/n\040f rw,relatime - nfs4 host:/a\040b rw,vers=4.2
"""


def read(mountstats: str, mountinfo: str = MOUNTINFO) -> dict[str, Kstat]:
    files = {"/proc/self/mountstats": mountstats, "/proc/self/mountinfo": mountinfo}
    found = list(nfs.kstats(Snapshot(files=files)))
    by_name = {f"{k.id.module}:{k.id.instance}:{k.id.name}": k for k in found}
    assert len(by_name) == len(found)
    return by_name


def values(kstat: Kstat) -> dict[str, object]:
    return {name: value.value for name, value in kstat.data.items()}


def test_reads_and_writes_are_of_kind_io() -> None:
    found = read(MOUNTSTATS)
    assert [*found] == ["nfs:61:nfs61", "nfs:61:mountstats", "nfs:61:ops"]
    io = found["nfs:61:nfs61"]
    assert (io.kind, io.class_) == (IO, "nfs")
    assert values(io) == {
        "nread": 300007,
        "nwritten": 70001,
        "reads": 3 + 5,
        "writes": 7,
        "wlentime": (11 + 100 + 1000) * 10**6,
        "rlentime": (22 + 200 + 2000) * 10**6,
    }
    assert all(value.counter for value in io.data.values())


def test_events_and_bytes_are_those_of_nfs_iostat_h() -> None:
    data = read(MOUNTSTATS)["nfs:61:mountstats"].data
    assert (data["source"].value, data["mounted_on"].value, data["type"].value) == (
        *("host:/a b", "/mnt/n f", "nfs4"),
    )
    assert (data["age"].value, data["age"].unit, data["age"].counter) == (1234, "s", False)
    # The first, some, and the last of enum nfs_stat_eventcounters, counted from 1 in the text.
    told = {"inode_revalidate": 1, "vfs_open": 5, "vfs_fsync": 16, "delay": 25, "pnfs_write": 27}
    assert {name: data[name].value for name in told} == told
    # enum nfs_stat_bytecounters.
    assert (data["normal_read_bytes"].value, data["direct_written_bytes"].value) == (1001, 1004)
    assert (data["read_pages"].value, data["read_pages"].unit) == (74, "pages")


def test_every_operation_is_there_with_all_that_is_counted() -> None:
    data = read(MOUNTSTATS)["nfs:61:ops"].data
    assert len(data) == 4 * 9
    assert {name: value.value for name, value in data.items() if name.startswith("READ_PLUS")} == {
        "READ_PLUS_ops": 5,
        "READ_PLUS_transmissions": 5,
        "READ_PLUS_timeouts": 0,
        "READ_PLUS_bytes_sent": 700,
        "READ_PLUS_bytes_received": 800,
        "READ_PLUS_queue": 100,
        "READ_PLUS_rtt": 200,
        "READ_PLUS_execute": 300,
        "READ_PLUS_errors": 1,
    }
    assert data["READ_rtt"].unit == "ms"


def test_a_kernel_that_counts_no_errors_has_none() -> None:
    older = "\n".join(
        line.rpartition(" ")[0] if line.startswith("\t   ") else line for line in MOUNTSTATS.splitlines()
    )
    data = read(older)["nfs:61:ops"].data
    assert len(data) == 4 * 8 and "READ_errors" not in data


def test_a_share_unmounted_in_the_middle_is_left_out() -> None:
    assert read(MOUNTSTATS, "") == {}
    assert read("") == {}


def test_mounts_of_one_file_system_share_its_kstats() -> None:
    twice = MOUNTSTATS + MOUNT.replace("/mnt/n", "/mnt/other")
    info = MOUNTINFO + "91 27 0:61 /sub /mnt/other\\040f rw - nfs4 host:/a rw\n"
    assert len(read(twice, info)) == 3


def test_a_share_that_something_is_mounted_over_is_left_out() -> None:
    over = "device t mounted on /mnt/n\\040f with fstype tmpfs\n"
    assert read(MOUNTSTATS + over, MOUNTINFO + "92 90 0:70 / /mnt/n\\040f rw - tmpfs t rw\n") == {}


def test_what_is_cut_off_gives_what_there_was() -> None:
    for end in range(0, len(MOUNTSTATS), 7):
        for kstat in read(MOUNTSTATS[:end]).values():
            assert kstat.id.instance == 61
