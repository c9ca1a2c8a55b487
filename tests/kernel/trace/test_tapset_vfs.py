"""Files: every alias of vfs.stp, against what stat(2) and the program say."""

from __future__ import annotations

import pytest

from ktrace_nb.lab.image import Image
from tests.kernel.trace.tapset_kit import Fired, Row, aliases_of, fire, program, show

pytestmark = pytest.mark.kernel

PAGES = 5
ONE, TWO = "/tmp/vfs/deep/one", "/mnt/two"
VFS = aliases_of("vfs.stp")

FILES = """
def facts(path):
    s = os.stat(path)
    return {"ino": s.st_ino, "major": os.major(s.st_dev), "minor": os.minor(s.st_dev)}

os.makedirs("/tmp/vfs/deep", exist_ok=True)
memory, disk = "/tmp/vfs/deep/one", "/mnt/two"
for path in memory, disk:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.write(fd, b"a" * 4096 * 5)
    os.fsync(fd)
    os.close(fd)
said["memory"], said["disk"], said["folder"] = facts(memory), facts(disk), facts("/tmp/vfs/deep")

fd = os.open(memory, os.O_RDWR)
os.write(fd, b"x" * 101)
os.write(fd, b"y" * 103)
os.pread(fd, 4096 * 9, 4096)
os.writev(fd, [b"1", b"22", b"333"])
os.readv(fd, [bytearray(7), bytearray(11)])
os.close(fd)
folder = os.open("/tmp/vfs/deep", os.O_RDONLY)
try:
    os.read(folder, 64)
except IsADirectoryError as error:
    said["refused"] = -error.errno
os.close(folder)

fd = os.open(disk, os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
for page in range(5):
    os.pread(fd, 10, page * 4096)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
os.close(fd)
"""


NUMBER = ["MAJOR(dev)", "MINOR(dev)"]
OF_PATH = ["fullpath_struct_path(path) == pathname", '@cast(cred, "cred")->uid->val']


@pytest.fixture(scope="module")
def files(image: Image) -> Fired:
    # The shell is the target: what it starts is seen as well.
    script = "".join(
        show(name, "target_set_pid(pid())", more=OF_PATH if "open" in name else NUMBER) for name in VFS
    )
    command = program(FILES, before="modprobe ext4; mount /dev/vdb /mnt", after="s=$?; umount /mnt; exit $s")
    return fire(script, command)


def check_file(row: Row, file: Row, path: str, device: str) -> None:
    """The variables that say which file it is."""
    assert (row["ino"], row["more0"], row["more1"]) == (file["ino"], file["major"], file["minor"])
    assert row["dev"] == (int(file["major"]) << 20 | int(file["minor"]))
    assert (row["pathname"], row["devname"]) == (path, device)


def test_files_above_all_file_systems(files: Fired) -> None:
    assert files.silent(VFS) == []
    pid = files.said["pid"]
    memory, disk, folder = (files.said[name] for name in ("memory", "disk", "folder"))
    # devname is that of the disk, which /proc/partitions has; tmpfs has none.
    one = (ONE, "N/A")

    for size in (101, 103):
        entry = files.one("vfs.write", tid=pid, bytes_to_write=size)
        back = files.one("vfs.write.return", tid=pid, bytes_written=size)
        for row in (entry, back):
            check_file(row, memory, *one)
            assert (row["name"], row["bytes_to_write"]) == ("vfs.write", size)
        assert (back["retstr"], back["ret"], back["error"], back["error_str"]) == (size, size, 0, "")
        assert all(entry[name] == back[name] for name in ("file", "pos", "buf"))
        numbers = [int(entry[name]) & (1 << 64) - 1 for name in ("file", "buf", "pos")]
        assert entry["argstr"] == "{0:#x}, {1:#x}, {3}, {2:#x}".format(*numbers, size)
    check_file(files.one("vfs.write", ino=disk["ino"], more0=254), disk, TWO, "vdb")
    assert len(files.of("vfs.write", tid=pid)) == 5  # and what it says

    entry = files.one("vfs.read", tid=pid, bytes_to_read=4096 * 9)
    back = files.one("vfs.read.return", tid=pid, bytes_to_read=4096 * 9)
    for row in (entry, back):
        check_file(row, memory, *one)
    # From the second page to the end of five.
    assert (back["retstr"], back["ret"], back["bytes_read"], back["error"]) == (4096 * 4,) * 3 + (0,)
    assert files.one("vfs.read", tid=pid, ino=folder["ino"])["bytes_to_read"] == 64
    back = files.one("vfs.read.return", tid=pid, ino=folder["ino"])
    check_file(back, folder, "/tmp/vfs/deep", "N/A")
    refused = files.said["refused"]
    assert (back["ret"], back["bytes_read"], back["error"], back["error_str"]) == (
        refused,
        0,
        refused,
        "EISDIR",
    )
    assert back["retstr"] == f"{refused} (EISDIR)"
    assert len(files.of("vfs.read", tid=pid, ino=disk["ino"], bytes_to_read=10)) == PAGES

    for name, vlen, size in (("readv", 2, 18), ("writev", 3, 6)):
        entry, back = files.one(f"vfs.{name}", tid=pid), files.one(f"vfs.{name}.return", tid=pid)
        for row in (entry, back):
            check_file(row, memory, *one)
            assert (row["name"], row["vlen"]) == (f"vfs.{name}", vlen)
        done = back["bytes_read" if name == "readv" else "bytes_written"]
        assert (back["ret"], done, back["error"], back["error_str"]) == (size, size, 0, "")
        numbers = [int(entry[name]) & (1 << 64) - 1 for name in ("file", "vec")]
        assert entry["argstr"] == "{:#x}, {:#x}, {}".format(*numbers, vlen)


def test_files_opened_by_their_path(files: Fired) -> None:
    pid = files.said["pid"]
    for path in (ONE, TWO):
        for name in ("vfs.open", "vfs.open.return"):
            found = files.of(name, tid=pid, pathname=path)
            assert len(found) == 2
            assert all((row["name"], row["more0"], row["more1"]) == ("vfs.open", 1, 0) for row in found)
    assert len(files.of("vfs.open", tid=pid, pathname="/tmp/vfs/deep")) == 1
    back = files.of("vfs.open.return", tid=pid, pathname=ONE)[0]
    assert (back["retstr"], back["ret"], back["error"], back["error_str"]) == (0, 0, 0, "")


def test_pages_of_files_that_come_and_go(files: Fired) -> None:
    disk = files.said["disk"]
    added = files.of("vfs.add_to_page_cache", tid=files.said["pid"], ino=disk["ino"], more0=254, more1=16)
    # Once as they were written, once as they were read again after they had been dropped.
    assert [row["index"] for row in added] == [*range(PAGES)] * 2
    assert [row["nrpages"] for row in added] == [*range(PAGES)] * 2
    assert {row["devname"] for row in added} == {"vdb"}
    assert all(str(row["argstr"]).endswith(f", {row['index']}") for row in added)
    removed = files.of("vfs.remove_from_page_cache", tid=files.said["pid"], ino=disk["ino"])
    assert [row["index"] for row in removed] == [*range(PAGES)] * 2
    assert [row["nrpages"] for row in removed] == [*range(PAGES, 0, -1)] * 2
    assert {(row["devname"], row["more0"], row["more1"]) for row in removed} == {("vdb", 254, 16)}
