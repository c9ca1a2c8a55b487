"""Programs of the host that the lab needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ktrace_nb.errors import MissingError

PACKAGES = {
    "apt-get": "apt",
    "debugfs": "e2fsprogs",
    "dpkg-deb": "dpkg",
    "lz4": "lz4",
    "mke2fs": "e2fsprogs",
    "qemu-system-x86_64": "qemu-system-x86",
    "zstd": "zstd",
}
"""Which package of Debian and Ubuntu brings each program."""

# An ordinary user's PATH lacks the folders where mke2fs lives.
_SEARCH = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))


def find_tool(name: str) -> Path | None:
    """Where a program is, or None."""
    found = shutil.which(name) or shutil.which(name, path=_SEARCH)
    return Path(found) if found else None


def require_tools(*names: str) -> dict[str, Path]:
    """Where each of these programs is.

    Raises:
        MissingError: One or more are not installed; one command mends it all.
    """
    found = {name: find_tool(name) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = sorted({PACKAGES[name] for name in missing})
        raise MissingError(
            f"the lab needs {' and '.join(missing)}, which this machine does not have",
            fix=f"sudo apt-get install {' '.join(packages)}",
        )
    return {name: path for name, path in found.items() if path is not None}


def run_tool(
    command: Sequence[str | Path], *, data: bytes | None = None, env: Mapping[str, str] | None = None
) -> bytes:
    """Run a program to its end; what it printed.

    Args:
        command: The program and its arguments.
        data: What it reads.
        env: Its environment, if not this process's.

    Raises:
        MissingError: It failed; the message has its own words.
    """
    stdin = subprocess.DEVNULL if data is None else None
    done = subprocess.run(command, check=False, stdin=stdin, input=data, capture_output=True, env=env)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise MissingError(
            f"{Path(command[0]).name} failed with status {done.returncode}: {said[-1]}",
            fix="if the message does not say what is missing, this is a bug worth reporting",
        )
    return done.stdout
