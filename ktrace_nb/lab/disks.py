"""Disk images, made by mke2fs from a folder: no mount, no loop device, no root.

The same folder gives the same image: names and times that mke2fs would take
from chance and the clock are fixed, and every file belongs to root whoever
built it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ktrace_nb.lab.tools import require_tools, run_tool

DISKS = {"ext3": "course.ext3", "ext4": "course.ext4", "slow": "course.ext4"}
"""What lies on each disk for lessons, ``/dev/vdb`` and on; mounted below ``/mnt`` under the disk's name."""

SLOW_IOPS = 25
"""Requests that the slow disk serves in a second, unless it is told otherwise; an old hard disk does 100."""

COURSE_MB = 48
BLOCK = 4096
DATE = 1735689600
"""Seconds since 1970 of every file in an image: 2025-01-01."""

_UUID = "6b747261-6365-4e6f-8465-626f6f6b0000"
_FIRST_INODE = 11  # the first that is not reserved, lost+found (ext4 documentation, "Special inodes")
_FIELDS = (("uid", "0"), ("gid", "0"), *((name, f"@{DATE}") for name in ("atime", "ctime", "mtime")))


def root_image(image: Path, folder: Path) -> None:
    """An ext4 file system, as big as the folder and its metadata."""
    blocks, inodes = _measure(folder)
    inodes += 64
    # An inode takes 256 bytes; a folder's or a long extent list's extra
    # blocks, bitmaps and the superblock are within the last terms.
    size = blocks + inodes * 256 // BLOCK + blocks // 100 + 512
    _make(
        image,
        folder,
        f"{size * BLOCK // 1024}K",
        *("-t", "ext4", "-L", "lab", "-N", str(inodes)),
        # Read-only for ever: a journal or room to grow would be dead weight.
        *("-O", "^has_journal,^resize_inode,^metadata_csum,^64bit"),
    )


def course_files(folder: Path) -> None:
    """A few files to read, for lessons on file systems and disks."""
    docs = folder / "docs"
    docs.mkdir(parents=True)
    for number in range(40):
        (docs / f"note{number:02d}.txt").write_text(f"note {number}, a line to be read\n" * 100 * number)
    (folder / "big.bin").write_bytes(bytes(range(256)) * (8 << 12))
    (folder / "README").write_text("Material for lessons. Changes are gone when the lab stops.\n")


def course_image(image: Path, folder: Path) -> None:
    """A file system of the kind that the image's name ends with, with room to write.

    The kernel's ext4 driver serves ext3 as well (since Linux 4.3, commit
    c290ea01abb7, "fs: Remove ext3 filesystem driver").
    """
    _make(image, folder, f"{COURSE_MB}M", "-t", image.suffix[1:], "-L", "course", "-O", "^resize_inode")


def _measure(folder: Path) -> tuple[int, int]:
    """Blocks and inodes that a tree takes; a file with several names counts once."""
    found: dict[tuple[int, int], int] = {}
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            entry = (Path(path) / name).lstat()
            size = BLOCK if stat.S_ISDIR(entry.st_mode) else entry.st_size
            inline = stat.S_ISLNK(entry.st_mode) and size < 60
            found[entry.st_dev, entry.st_ino] = 0 if inline else -(-size // BLOCK)
    return sum(found.values()), len(found)


def _make(image: Path, folder: Path, size: str, *options: str) -> None:
    tools = require_tools("mke2fs", "debugfs")
    # libext2fs takes the time from here instead of the clock.
    environment = {**os.environ, "E2FSPROGS_FAKE_TIME": str(DATE), "SOURCE_DATE_EPOCH": str(DATE)}
    run_tool(
        [
            tools["mke2fs"],
            *("-q", "-F", *options, "-b", str(BLOCK), "-m", "0", "-U", _UUID),
            *("-E", f"root_owner=0:0,hash_seed={_UUID},lazy_itable_init=0,nodiscard"),
            *("-d", folder, image, size),
        ],
        env=environment,
    )
    last = _FIRST_INODE + _measure(folder)[1]
    changes = [
        f"set_inode_field <{inode}> {field} {value}\n"
        for inode in (2, *range(_FIRST_INODE, last + 1))
        for field, value in _FIELDS
    ]
    run_tool([tools["debugfs"], "-w", "-f", "-", image], data="".join(changes).encode(), env=environment)
