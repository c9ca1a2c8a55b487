from __future__ import annotations

import io
import lzma
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from ktrace_nb.errors import MissingError
from ktrace_nb.lab.packages import Package
from ktrace_nb.lab.unpack import merged, unpack
from ktrace_nb.progress import silent


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("./bin/ls", "usr/bin/ls"),
        ("./lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("./usr/bin/env", "usr/bin/env"),
        ("./etc/exports", "etc/exports"),
        ("./library/x", "library/x"),
        ("./lib", None),
        ("./", None),
        ("../../etc/passwd", None),
        ("/etc/passwd", "etc/passwd"),
        ("./usr/../../../x", None),
    ],
)
def test_files_go_where_a_merged_usr_has_them(name: str, place: str | None) -> None:
    assert merged(name) == place


def deb(path: Path, name: str, members: list[tuple[tarfile.TarInfo, bytes]]) -> Package:
    """A package made by dpkg-deb, its file tree replaced by these members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for entry, content in members:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    control = io.BytesIO()
    text = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n".encode()
    with tarfile.open(fileobj=control, mode="w") as archive:
        entry = tarfile.TarInfo("./control")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    # deb(5): an ar archive of these three, in this order.
    parts = (("debian-binary", b"2.0\n"), ("control.tar", control.getvalue()), ("data.tar", out.getvalue()))
    data = b"!<arch>\n"
    for part, content in parts:
        data += f"{part:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        data += b"\n" * (len(content) % 2)
    file = path / f"{name}_1_all.deb"
    file.write_bytes(data)
    return Package(name, "1", "all", file)


def member(name: str, mode: int = 0o644, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.linkname = mode, kind, link
    return entry


def test_packages_are_unpacked_without_what_the_guest_does_not_need(tmp_path: Path) -> None:
    module = os.urandom(3000)
    package = deb(
        tmp_path,
        "sample",
        [
            (member("./bin/ping", 0o4755), b"program"),
            (member("./usr/bin/", 0o755, tarfile.DIRTYPE), b""),
            (member("./usr/bin/sudo", 0o6711), b"program"),
            (member("./usr/bin/link", kind=tarfile.SYMTYPE, link="../../bin/ping"), b""),
            (member("./bin/hard", kind=tarfile.LNKTYPE, link="./bin/ping"), b""),
            (member("./usr/share/doc/sample/README"), b"long"),
            (member("./lib/modules/6.1/kernel/drivers/net/ethernet/intel/e1000.ko"), b"x"),
            (member("./lib/modules/6.1/kernel/fs/xfs/xfs.ko"), module),
            (member("./lib/modules/6.1/kernel/fs/btrfs/btrfs.ko.xz"), b"packed already"),
            (member("./dev/sda", kind=tarfile.BLKTYPE), b""),
            (member("../outside"), b"x"),
        ],
    )
    root = tmp_path / "root"
    root.mkdir()
    unpack([package], root, silent)
    found = {
        str(path.relative_to(root)): path
        for path in root.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }
    modules = "usr/lib/modules/6.1/kernel/fs"
    assert set(found) == {
        *("bin", "sbin", "lib", "lib64"),
        *("usr/bin/ping", "usr/bin/sudo", "usr/bin/link", "usr/bin/hard"),
        *(f"{modules}/xfs/xfs.ko.xz", f"{modules}/btrfs/btrfs.ko.xz"),
    }
    assert found["usr/bin/ping"].stat().st_mode & 0o7777 == 0o755
    assert found["usr/bin/sudo"].stat().st_mode & 0o7777 == 0o711
    assert found["usr/bin/hard"].samefile(found["usr/bin/ping"])
    assert lzma.decompress(found[f"{modules}/xfs/xfs.ko.xz"].read_bytes()) == module
    assert not (tmp_path / "outside").exists()


def test_a_broken_archive_is_named_and_deleted(tmp_path: Path) -> None:
    package = deb(tmp_path, "sample", [(member("./bin/x"), bytes(100_000))])
    package.file.write_bytes(package.file.read_bytes()[:5_000])
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(MissingError, match="'sample' is broken"):
        unpack([package], root, silent)
    assert not package.file.exists()


def test_the_made_package_is_one_that_dpkg_accepts(tmp_path: Path) -> None:
    package = deb(tmp_path, "sample", [(member("./bin/x"), b"x")])
    listed = subprocess.run(["dpkg-deb", "-c", package.file], capture_output=True, text=True, check=True)
    assert "./bin/x" in listed.stdout
