"""Packages unpacked into a file tree: no installation, no maintainer script.

Files keep the builder's owner, so no set-user-ID bit survives.
"""

from __future__ import annotations

import fnmatch
import lzma
import os
import posixpath
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ktrace_nb.errors import MissingError
from ktrace_nb.lab.packages import Package
from ktrace_nb.lab.tools import require_tools
from ktrace_nb.progress import Progress

MERGED = ("bin", "sbin", "lib", "lib64")
"""Folders that are links into /usr; older packages still ship files there."""

UNWANTED = (
    "boot/System.map*",
    "usr/lib/*/gconv/*",
    "usr/lib/python3*/ensurepip/*",
    "usr/lib/python3*/idlelib/*",
    "usr/lib/python3*/lib2to3/*",
    "usr/lib/python3*/pydoc_data/*",
    "usr/lib/python3*/test/*",
    "usr/lib/python3*/tkinter/*",
    "usr/lib/python3*/turtledemo/*",
    "usr/lib/systemd/*",
    "usr/lib/udev/*",
    "usr/share/bash-completion/*",
    "usr/share/bug/*",
    "usr/share/doc/*",
    "usr/share/doc-base/*",
    "usr/share/i18n/*",
    "usr/share/icons/*",
    "usr/share/info/*",
    "usr/share/initramfs-tools/*",
    "usr/share/lintian/*",
    "usr/share/locale/*",
    "usr/share/man/*",
    "usr/share/menu/*",
    "usr/share/zsh/*",
    # Drivers of hardware that QEMU's plain PC does not have.
    *(
        f"usr/lib/modules/*/kernel/{folder}/*"
        for folder in (
            "arch/x86/kvm",
            "drivers/accel",
            "drivers/ata",
            "drivers/bluetooth",
            "drivers/comedi",
            "drivers/firmware",
            "drivers/gpu",
            "drivers/hid",
            "drivers/hv",
            "drivers/hwmon",
            "drivers/iio",
            "drivers/infiniband",
            "drivers/input",
            "drivers/media",
            "drivers/mtd",
            "drivers/net/ethernet",
            "drivers/net/wireless",
            "drivers/nvdimm",
            "drivers/platform",
            "drivers/usb",
            "drivers/xen",
            "net/bluetooth",
            "net/smc",
            "net/sunrpc/xprtrdma",
            "net/wireless",
            "sound",
        )
    ),
)


def unpack(packages: Sequence[Package], root: Path, progress: Progress) -> None:
    """Unpack packages into an empty folder, without what the guest can do without."""
    program = require_tools("dpkg-deb")["dpkg-deb"]
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    total = sum(package.file.stat().st_size for package in packages)
    done = 0
    for package in packages:
        progress("unpacking packages", done, total, "B")
        trouble = _unpack_package(program, package, root)
        if trouble is not None:
            package.file.unlink()
            raise MissingError(
                f"the archive of {package.name!r} is broken: {trouble}",
                fix="build again; the archive was deleted and will be downloaded anew",
            )
        done += package.file.stat().st_size
    progress("unpacking packages", total, total, "B")


def _unpack_package(program: Path, package: Package, root: Path) -> str | None:
    """Unpack one package; what is wrong with it, if anything."""
    command: list[str | Path] = [program, "--fsys-tarfile", package.file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        trouble = None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|", bufsize=1 << 20) as archive:
                for member in archive:
                    _unpack_member(archive, member, root)
        except tarfile.TarError as error:
            trouble = str(error)
        process.stdout.read()  # the padding behind the last entry
        said = process.stderr.read().decode(errors="replace").strip()
    return trouble if process.returncode == 0 else said or trouble


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    name = merged(member.name)
    if name is None or any(fnmatch.fnmatchcase(name, pattern) for pattern in UNWANTED):
        return
    target = root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        target.mkdir(exist_ok=True)
        return
    packed = member.isreg() and name.endswith(".ko")
    if packed:
        # Linux 6.1's packages ship modules as they are, three times as big.
        target = target.with_suffix(".ko.xz")
    if target.is_symlink() or target.exists():
        target.unlink()
    if member.issym():
        target.symlink_to(member.linkname)
    elif member.islnk():
        original = merged(member.linkname)
        if original is not None:
            os.link(root / original, target)
    elif member.isreg():
        content = archive.extractfile(member)
        assert content is not None
        with _writer(target, packed) as file:
            shutil.copyfileobj(content, file, 1 << 20)
        target.chmod((member.mode & 0o777) | 0o600)


def _writer(target: Path, packed: bool) -> IO[bytes]:
    # The kernel's own decompressor knows no other check than CRC-32.
    return lzma.open(target, "wb", check=lzma.CHECK_CRC32, preset=1) if packed else target.open("wb")


def merged(name: str) -> str | None:
    """Where a package's file goes under a merged /usr; None for the links themselves."""
    name = posixpath.normpath(name).lstrip("/")
    first, _, rest = name.partition("/")
    if name in (".", "..") or name.startswith("../") or (first in MERGED and not rest):
        return None
    return f"usr/{name}" if first in MERGED else name
