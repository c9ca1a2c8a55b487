"""Where the lab keeps things.

====================================== ========================================
``$XDG_DATA_HOME/ktrace_nb/labs``      images, one folder each
``$XDG_CACHE_HOME/ktrace_nb/packages`` downloaded packages
``$XDG_CACHE_HOME/ktrace_nb/templates`` snapshots, by image and key
``$XDG_CACHE_HOME/ktrace_nb/accel``    whether KVM works, by boot
``$XDG_RUNTIME_DIR/ktrace_nb``         one private folder per running machine
====================================== ========================================

The cache may be deleted at any time; an image may be deleted when no machine
runs from it. The environment variables and their defaults are those of the XDG
Base Directory Specification.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ktrace_nb.errors import MissingError, OptionError, TargetError
from ktrace_nb.paths import cache_home, data_home

_NAME = re.compile(r"[a-z0-9][a-z0-9._+-]{0,62}")

# sun_path of struct sockaddr_un holds 108 bytes (unix(7)); leave room for
# "/lab-xxxxxxxx/ktrace.0".
_LONGEST_RUNTIME = 70


def check_name(name: str) -> str:
    """The name of a lab, if it can be the name of a folder.

    Raises:
        OptionError: It cannot.
    """
    if not _NAME.fullmatch(name):
        raise OptionError(
            f"{name!r} cannot be the name of a lab",
            hint="lower-case letters, digits, dots, dashes; at most 63, beginning with a letter or digit",
        )
    return name


def labs() -> Path:
    """The folder of all images."""
    return data_home() / "labs"


def lab(name: str) -> Path:
    """The folder of one image."""
    return labs() / check_name(name)


def cache(*parts: str) -> Path:
    """A place in the cache."""
    return cache_home().joinpath(*parts)


def runtime() -> Path:
    """The folder of the running machines, made private to this user.

    Raises:
        TargetError: Somebody else owns it, or could write into it.
    """
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    path = Path(base) / "ktrace_nb"
    if not base.startswith("/") or not os.access(base, os.W_OK) or len(os.fsencode(path)) > _LONGEST_RUNTIME:
        path = Path(f"/tmp/ktrace_nb-{os.getuid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise TargetError(
            f"{path} is not a folder that only this user can enter",
            hint=f"remove it, or chmod 700 {path}",
        )
    return path


def new_machine_folder() -> Path:
    """A new folder with mode 0700 for one machine."""
    return Path(tempfile.mkdtemp(prefix="lab-", dir=runtime()))


@contextmanager
def room_for(what: str, folder: Path) -> Iterator[None]:
    """Name a full or closed disk as what it is.

    Raises:
        MissingError: There is no room, or no permission to write.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise MissingError(f"there is no room for {what}", fix=f"free some under {folder}") from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise MissingError(
                f"{what} cannot be written: {error}", fix=f"make {folder} writable for this user"
            ) from None
        raise


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[int]:
    """Hold a lock file; another process's lock ends with that process.

    Yields:
        The descriptor that holds the lock. Whoever inherits it keeps the lock.

    Raises:
        BlockingIOError: Somebody else holds it, and ``wait`` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with path.open("a") as file:
        fcntl.flock(file, kind | (0 if wait else fcntl.LOCK_NB))
        yield file.fileno()
