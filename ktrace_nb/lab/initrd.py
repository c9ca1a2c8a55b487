"""The initial ram disk: cpio archives in the kernel's "newc" format.

The kernel unpacks several archives one after the other, so the agent travels
in one of its own, appended at boot: an image works with every later agent.
Source: Linux ``Documentation/driver-api/early-userspace/buffer-format.rst``.
"""

from __future__ import annotations

import lzma
import stat
from importlib import resources
from pathlib import Path, PurePosixPath

from ktrace_nb.agent.package import agent_archive
from ktrace_nb.lab.tools import require_tools, run_tool

BOOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "ext4", "overlay")
"""What the guest needs before it has a root; some kernels have a part built in."""

AGENT = "agent.pyz"


class Archive:
    """A cpio archive; everything in it belongs to root and has no date."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._count = 0

    def _add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._count += 1
        encoded = name.encode() + b"\0"
        # magic, inode, mode, uid, gid, links, mtime, size, device, node's device, name's size, check
        numbers = (self._count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        head = b"070701" + b"".join(b"%08X" % number for number in numbers) + encoded
        self._parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]

    def folder(self, name: str) -> None:
        """Add a folder."""
        self._add(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, *, executable: bool = False) -> None:
        """Add a file."""
        self._add(name, stat.S_IFREG | (0o755 if executable else 0o644), data)

    def character_device(self, name: str, major: int, minor: int) -> None:
        """Add a character device."""
        self._add(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def finish(self) -> bytes:
        """The archive as bytes, padded so that another can follow."""
        self._add("TRAILER!!!", 0)
        data = b"".join(self._parts)
        return data + bytes(-len(data) % 512)


def base_archive(root: Path, release: str) -> bytes:
    """The image's part: busybox, the first modules, the script that finds the root."""
    archive = Archive()
    for folder in ("bin", "dev", "lower", "modules", "overlay", "proc", "root", "sys"):
        archive.folder(folder)
    # Before the root is found, the kernel's messages need a place to go.
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/null", 1, 3)
    archive.file("bin/busybox", (root / "usr/bin/busybox").read_bytes(), executable=True)
    script = resources.files("ktrace_nb.lab") / "guest" / "init"
    archive.file("init", script.read_bytes(), executable=True)
    for number, path in enumerate(module_order(root / "usr/lib/modules" / release, BOOT_MODULES)):
        name = f"modules/{number:02d}-{PurePosixPath(path.name).name.partition('.')[0]}.ko"
        archive.file(name, read_module(path))
    return archive.finish()


def agent_part() -> bytes:
    """The agent as the archive that is appended at boot."""
    archive = Archive()
    archive.file(AGENT, agent_archive())
    return archive.finish()


def module_order(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Files of modules and all they depend on, in the order they can be loaded.

    Args:
        folder: ``/lib/modules/RELEASE`` with a ``modules.dep``.
        names: Modules wanted; one built into the kernel is passed over.
    """
    needs: dict[str, list[str]] = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        # modules.dep lists what a module needs, the first to be loaded last.
        needs[_module_name(path)] = [*reversed(rest.split()), path]
    ordered: dict[str, None] = {}
    for name in names:
        ordered.update(dict.fromkeys(needs.get(name, ())))
    return [folder / path for path in ordered]


def _module_name(path: str) -> str:
    return PurePosixPath(path).name.partition(".")[0].replace("-", "_")


def read_module(path: Path) -> bytes:
    """A module's content, decompressed: busybox' insmod reads plain files only."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        program = require_tools("zstd")["zstd"]
        return run_tool([program, "-dc"], data=data)
    return data
