from __future__ import annotations

import lzma
from pathlib import Path

from ktrace_nb.lab.initrd import Archive, agent_part, module_order, read_module


def entries(data: bytes) -> list[tuple[str, int, bytes]]:
    """Name, mode and content of every entry; a second reading of the kernel's format."""
    found = []
    at = 0
    while at < len(data):
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = numbers[1], numbers[6], numbers[11]
        name = data[at + 110 : at + 109 + name_size].decode()
        start = at + 110 + name_size + (-(110 + name_size) % 4)
        if name == "TRAILER!!!":
            rest = data[start:]
            assert not rest.strip(b"\0")
            break
        found.append((name, mode, data[start : start + size]))
        at = start + size + (-size % 4)
    return found


def test_an_archive_holds_what_was_put_in() -> None:
    archive = Archive()
    archive.folder("dev")
    archive.character_device("dev/console", 5, 1)
    archive.file("init", b"#!/bin/sh\n", executable=True)
    archive.file("empty", b"")
    data = archive.finish()
    assert len(data) % 4 == 0
    assert entries(data) == [
        ("dev", 0o40755, b""),
        ("dev/console", 0o20600, b""),
        ("init", 0o100755, b"#!/bin/sh\n"),
        ("empty", 0o100644, b""),
    ]


def test_the_agent_travels_in_an_archive_of_its_own() -> None:
    (entry,) = entries(agent_part())
    assert entry[0] == "agent.pyz"
    assert entry[2].startswith(b"PK")
    assert agent_part() == agent_part()


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(
        "kernel/fs/nfs/nfs.ko.xz: kernel/fs/lockd/lockd.ko.xz kernel/net/sunrpc/sunrpc.ko.xz\n"
        "kernel/fs/lockd/lockd.ko.xz: kernel/net/sunrpc/sunrpc.ko.xz\n"
        "kernel/net/sunrpc/sunrpc.ko.xz:\n"
        "kernel/drivers/block/virtio_blk.ko.xz:\n"
        "kernel/drivers/md/dm-mod.ko:\n"
    )
    found = [path.name for path in module_order(tmp_path, ("virtio_blk", "ext4", "nfs", "lockd", "dm_mod"))]
    assert found == ["virtio_blk.ko.xz", "sunrpc.ko.xz", "lockd.ko.xz", "nfs.ko.xz", "dm-mod.ko"]


def test_a_module_is_read_whatever_it_is_packed_by(tmp_path: Path) -> None:
    content = b"\x7fELF" + bytes(1000)
    (tmp_path / "a.ko").write_bytes(content)
    (tmp_path / "b.ko.xz").write_bytes(lzma.compress(content))
    assert read_module(tmp_path / "a.ko") == read_module(tmp_path / "b.ko.xz") == content
