"""Disks: every alias of ioblock.stp and ioscheduler.stp, against what was read and written and where.

Those in ``NEVER_HERE`` are loaded and attached, but this machine does not come to them.
"""

from __future__ import annotations

import pytest

from ktrace_nb.lab.image import Image
from tests.kernel.trace.tapset_kit import Fired, aliases_of, fire, program, show

pytestmark = pytest.mark.kernel

BIOS = aliases_of("ioblock.stp")
REQUESTS = aliases_of("ioscheduler.stp")
NEVER_HERE = {
    "ioblock_trace.bounce": "a 64-bit kernel reaches all memory for every device it has",
    "ioscheduler_trace.elv_requeue_request": "the virtual disk is never busy",
}

# A partition by BLKPG (include/uapi/linux/blkpg.h), so that sectors are counted from its beginning.
DISKS = """
import ctypes, fcntl, mmap, struct
PARTITION = 8192 * 512
def blkpg(op):
    part = ctypes.create_string_buffer(struct.pack("<qqi132x", PARTITION, 1 << 20, 1))
    arg = struct.pack("<iiiiQ", op, 0, 152, 0, ctypes.addressof(part))
    fd = os.open("/dev/vdb", os.O_RDONLY)
    fcntl.ioctl(fd, 0x1269, arg)
    os.close(fd)

def direct(path, offset, size, write=False):
    fd = os.open(path, os.O_DIRECT | os.O_RDWR)
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if write:
        memory[:] = os.pread(os.open(path, os.O_RDONLY), size, offset)
        os.pwritev(fd, [memory], offset)
        os.fsync(fd)
    else:
        os.preadv(fd, [memory], offset)
    os.close(fd)

blkpg(1)
said["partitions"] = [line.split() for line in open("/proc/partitions") if "vdb" in line]
said["scheduler"] = open("/sys/block/vdb/queue/scheduler").read()
said["before"] = open("/sys/block/vdb/stat").read().split()
direct("/dev/vdb", 40 * 512, 512 * 3)
direct("/dev/vdb", 80 * 512, 4096 * 2)
direct("/dev/vdb", 160 * 512, 4096, write=True)
direct("/dev/vdb1", 16 * 512, 512 * 5)
blkpg(2)

os.system("mount /dev/vdb /mnt")
fd = os.open("/mnt/file", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
os.write(fd, b"a" * 4096 * 5)
os.fsync(fd)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
os.pread(fd, 4096 * 5, 0)
said["ino"] = os.fstat(fd).st_ino
os.close(fd)
os.system("umount /mnt")
said["after"] = open("/sys/block/vdb/stat").read().split()
"""

BEFORE = "modprobe -a ext4 mq-deadline; echo mq-deadline > /sys/block/vdb/queue/scheduler"
AFTER = "s=$?; echo none > /sys/block/vdb/queue/scheduler; exit $s"
"""The disk's scheduler is that of the machine again when the test is over."""

BIO = ["tid()", "bio_rw_num(rw)", "bio_rw_str(rw)", "BIO_READ", "BIO_WRITE"]


@pytest.fixture(scope="module")
def disks(image: Image) -> Fired:
    script = ""
    for name in BIOS:
        more = [*BIO, "bio_op($bio)"]
        if "request" in name:
            more += ["bdevname(bdev)", "bdevname(bdev_contains)"]
            more += ['disk_name(@cast(bdev, "block_device")->bd_disk, 3)']
        script += show(name, 'devname == "vdb" || devname == "vdb1"', more=more)
    for name in REQUESTS:
        if "plug" in name:
            script += show(
                name,
                "target_set_pid(pid())",
                more=['kernel_string(@cast(rq_queue, "request_queue")->disk->disk_name)'],
            )
        else:
            more = [
                'kernel_string(@cast(q, "request_queue")->disk->disk_name)',
                '@cast(rq, "request")->__sector',
            ]
            script += show(name, "disk_major == 254 && disk_minor == 16", more=more)
    return fire(script, program(DISKS, before=BEFORE, after=AFTER))


def test_only_what_this_machine_cannot_do_stays_silent(disks: Fired) -> None:
    assert sorted(disks.silent(BIOS + REQUESTS)) == sorted(NEVER_HERE)


@pytest.mark.parametrize("name", ["ioblock.request", "ioblock_trace.request"])
def test_bios_that_are_handed_to_a_disk(disks: Fired, name: str) -> None:
    pid = disks.said["pid"]
    assert ["254", "17", "1024", "vdb1"] in disks.said["partitions"]
    # Sector, bytes, disk or partition, whether it is written.
    expected = [
        (40, 1536, "vdb", 0),
        (80, 8192, "vdb", 0),
        (160, 4096, "vdb", 1),
        (8192 + 16, 2560, "vdb1", 0),
    ]
    for sector, size, device, writes in expected:
        row = disks.one(name, tid=pid, sector=sector, size=size, devname=device, more1=writes, ino=0)
        assert (row["name"], row["rw"], row["more2"], row["more5"]) == (name, writes, "RW"[writes], writes)
        assert int(row["opf"]) & 0xFF == writes
        assert (row["more3"], row["more4"]) == (0, 1)
        # Memory in one piece, or in as many as there are pages.
        assert 1 <= int(row["vcnt"]) <= -(-size // 4096)
        assert (row["idx"], row["phys_segments"]) == (0, row["vcnt"])
        assert (row["more6"], row["more7"], row["more8"]) == (device, "vdb", "vdb3")
        assert (row["bdev"] == row["bdev_contains"]) == (device == "vdb")
        assert row["p_start_sect"] == (8192 if device == "vdb1" else 0)
        # BIO_REMAPPED of a partition's, BIO_PAGE_PINNED of those that read into user memory.
        assert bool(int(row["flags"]) & 0x800) == (device == "vdb1")
        if name == "ioblock_trace.request":
            assert row["bytes_done"] == size


@pytest.mark.parametrize("name", ["ioblock.request", "ioblock_trace.request"])
def test_bios_of_a_file_tell_its_inode(disks: Fired, name: str) -> None:
    of_file = disks.of(name, ino=disks.said["ino"], devname="vdb")
    assert sum(int(row["size"]) for row in of_file if row["more2"] == "W") == 4096 * 5
    assert sum(int(row["size"]) for row in of_file if row["more2"] == "R") == 4096 * 5


@pytest.mark.parametrize("name", ["ioblock.end", "ioblock_trace.end"])
def test_bios_that_are_done(disks: Fired, name: str) -> None:
    request = name.replace("end", "request")
    begun = sorted((row["devname"], row["sector"], row["opf"], row["vcnt"]) for row in disks.of(request))
    done = sorted((row["devname"], row["sector"], row["opf"], row["vcnt"]) for row in disks.of(name))
    assert done == begun
    for row in disks.of(name):
        assert (row["size"], row["bytes_done"]) == (0, 0)
        assert row["phys_segments"] == row["vcnt"]
        assert row["rw"] == row["more5"] == int(row["opf"]) & 0xFF
    assert {row["ino"] for row in disks.of(name)} >= {disks.said["ino"], 0}
    if name == "ioblock.end":
        assert {(row["error"], row["hw_segments"] == row["vcnt"]) for row in disks.of(name)} == {(0, True)}
    else:
        assert {row["q"] for row in disks.of(name)} == {row["q"] for row in disks.of(request)}


@pytest.mark.parametrize("name", [name for name in REQUESTS if "plug" not in name and name not in NEVER_HERE])
def test_requests_of_a_disk(disks: Fired, name: str) -> None:
    assert "[mq-deadline]" in disks.said["scheduler"]
    rows = disks.of(name)
    assert {row["name"] for row in rows} == {name.split(".")[1]}
    assert {(row["elevator_name"], row["more0"]) for row in rows} == {("mq-deadline", "vdb")}
    assert {row["q"] for row in rows} == {disks.of("ioblock_trace.request")[0]["q"]}
    flags = {row["more1"]: int(row["rq_flags"]) & 0xFF for row in rows if row["more1"] in (40, 80, 8208)}
    assert flags == {40: 0, 80: 0, 8208: 0}
    assert {int(row["rq_flags"]) & 0xFF for row in rows if row["more1"] == 160} == {0, 1}


def test_reads_are_as_many_as_the_disk_counts(disks: Fired) -> None:
    # Field 1 of Documentation/admin-guide/iostats.rst. Writes are not compared: one with
    # a flush in front or behind is done in several steps, of which not all are counted.
    reads = [row for row in disks.of("ioscheduler.elv_completed_request") if not int(row["rq_flags"]) & 0xFF]
    assert len(reads) == int(disks.said["after"][0]) - int(disks.said["before"][0])


def test_requests_are_collected_and_let_go(disks: Fired) -> None:
    queue = disks.of("ioblock_trace.request")[0]["q"]
    for name in ("plug", "unplug_io"):
        rows = disks.of(f"ioscheduler_trace.{name}", rq_queue=queue)
        assert rows
        assert {(row["name"], row["more0"]) for row in rows} == {(name, "vdb")}
    plugged, let_go = (disks.of(f"ioscheduler_trace.{n}", rq_queue=queue) for n in ("plug", "unplug_io"))
    assert len(plugged) == len(let_go)
