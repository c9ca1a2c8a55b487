"""The guest's file tree: what no package brings and what packages leave to their scripts."""

from __future__ import annotations

import posixpath
from importlib import resources
from pathlib import Path

from ktrace_nb.errors import MissingError
from ktrace_nb.lab.disks import DISKS
from ktrace_nb.lab.tools import run_tool
from ktrace_nb.lab.unpack import merged

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/:/bin/false\n"
    "student:x:1000:1000:student:/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\nstudent:x:1000:\n",
    "etc/hosts": "127.0.0.1 localhost lab\n::1 localhost\n",
    "etc/hostname": "lab\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/exports": "",
    "etc/profile": 'PS1="lab# "\nexport PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin\n',
}
_FOLDERS = (
    *("proc", "sys", "dev", "run", "tmp", "root", "srv", "etc", "usr/local/bin", "var/log", "var/lib/nfs"),
    *(f"mnt/{disk}" for disk in DISKS),
)


def finish(root: Path) -> None:
    """Write what no package brings: users, names, the guest's own scripts, what scripts of packages make."""
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, text in _FILES.items():
        (root / name).write_text(text)
    for name, place in (("var/run", "/run"), ("etc/mtab", "/proc/self/mounts")):
        if not (root / name).is_symlink():
            (root / name).symlink_to(place)
    for source in (resources.files("ktrace_nb.lab") / "guest").iterdir():
        folder = "usr/sbin" if source.name == "lab-init" else "usr/local/bin"
        if source.name == "lab-init" or source.name.startswith("lesson"):
            script = root / folder / source.name
            script.write_text(source.read_text())
            script.chmod(0o755)
    _link_busybox(root)
    _index_modules(root)
    _compile_library(root)


def _link_busybox(root: Path) -> None:
    """Give every command that only busybox has its name."""
    busybox = root / "usr/bin/busybox"
    # The binary is static and for this machine's processor: it can tell itself.
    for line in run_tool([busybox, "--list-full"]).decode().split():
        name = merged(line)
        if name is None:
            continue
        command = root / (name if name.startswith("usr/") else f"usr/bin/{posixpath.basename(name)}")
        elsewhere = [root / "usr" / folder / command.name for folder in ("bin", "sbin")]
        if not any(path.is_symlink() or path.exists() for path in elsewhere):
            command.parent.mkdir(parents=True, exist_ok=True)
            command.symlink_to("/usr/bin/busybox")


def kernel_release(root: Path) -> str:
    """The release of the one kernel in the tree, as ``uname -r`` gives it."""
    found = sorted(path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-*"))
    if len(found) != 1:
        raise MissingError(
            f"expected one kernel in the packages, found {', '.join(found) or 'none'}",
            fix="name an image package, e.g. --kernel linux-image-cloud-amd64",
        )
    return found[0]


def _index_modules(root: Path) -> None:
    """Write modules.dep and its like."""
    # The host may have no depmod, or one that reads no xz.
    kmod = _guest_program(root, root / "usr/bin/kmod", name="depmod")
    run_tool([*kmod, "-b", root, kernel_release(root)])


def _compile_library(root: Path) -> None:
    """Compile the part of Python's library that most programs import.

    Packages leave that to their scripts. The guest would do it anew at every
    boot, which takes it two seconds under TCG.
    """
    python = next((root / "usr/bin").glob("python3.[0-9]*"))
    with resources.as_file(resources.files("ktrace_nb.lab") / "guest" / "compile_library.py") as script:
        run_tool(
            [*_guest_program(root, python), "-S", script, root],
            # A fixed seed: the order of a set is written into the files.
            env={
                "PYTHONHOME": str(root / "usr"),
                "PYTHONHASHSEED": "0",
                "PYTHONDONTWRITEBYTECODE": "1",
                "LC_ALL": "C.UTF-8",
            },
        )


def _guest_program(root: Path, program: Path, *, name: str = "") -> list[str | Path]:
    """The beginning of a command that runs a program of the guest on this machine.

    It is started through the guest's own loader and finds the guest's own libraries.
    """
    loader = next((root / "usr/lib64").glob("ld-linux-*.so.*"))
    libraries = {str(path.parent) for path in (root / "usr/lib").glob("*/libc.so.6")}
    return [loader, "--argv0", name or program.name, "--library-path", ":".join(sorted(libraries)), program]
