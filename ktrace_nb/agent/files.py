"""What the kernel tells in text: many files of ``/proc`` and ``/sys`` in one answer.

Paths are exact or patterns: ``*``, ``?`` and ``[...]`` within a name, ``**`` for any number of
folders. A path that ends with a slash is a folder, its content the names in it, one per line. A
file that cannot be read is told of, never raised: between the look at a folder and the reading of
a file a disk, a process or a control group may be gone.

Nothing is read that blocks, or that another reader would then miss: tracefs, debugfs and
``/proc/kmsg`` are refused, and of a process only what :data:`_OF_PROCESS` lists. No link leads
out: the path a file is opened by is the real one.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections import deque
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from ktrace_nb.agent.errors import AgentError

FILES_LIMIT = 16384
"""Files that one request may read."""

PATTERN_LIMIT = 1024
"""Files that one pattern stands for, those nearest to the root; the others are told of as one error."""

FOLDERS_LIMIT = 16384
"""Folders that one pattern looks into."""

BYTES_LIMIT = 64 << 20
"""Bytes that one request may read."""

REFUSED, TOO_MANY = "refused", "too_many_files"
"""Why a file or a pattern is not there, besides the symbols of ``errno``."""

_ROOTS = ("/proc/", "/sys/")
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
_PIECE = 1 << 16
_Seen = dict[str, list[os.DirEntry[str]]]

# Source: Linux Documentation/filesystems/proc.rst, Documentation/trace/ftrace.rst,
# Documentation/ABI/testing/sysfs-power (wakeup_count waits) and sysfs-bus-pci (these ask the device).
_DENIED = re.compile(
    r"/sys/kernel/(debug|tracing)(/|$)|/sys/fs/(bpf|pstore)(/|$)|/sys/firmware/efi/efivars/"
    r"|/sys/power/wakeup_count$|/sys/devices/.*/(config|rom|vpd|resource\d\w*)$"
    r"|/proc/(kmsg|kcore|vmcore|kpage\w+|sysrq-trigger|acpi/event|bus/pci/\w+/.*)$"
    r"|/proc/.*/net/rpc/.*/channel$"
)
_PROCESS = re.compile(r"/proc/\d+/(?:task/\d+/)?(.*)")
_OF_PROCESS = re.compile(
    r"(cgroup|comm|io|limits|mountinfo|mounts|mountstats|net/.*|sched|schedstat|stat|statm|status)$"
)


def read_files(paths: list[str]) -> tuple[dict[str, Any], bytes]:
    """Read what the paths and patterns name, each file once.

    Returns:
        A head and the contents one after the other. In the head:

        ============= ==========================================================================
        ``paths``     the files, as they were asked for or found by a pattern
        ``sizes``     bytes of each
        ``errors``    path or pattern to the symbol of an ``errno``, ``refused`` or
                      ``too_many_files``; a pattern that matches nothing is none
        ``before_ns`` ``CLOCK_MONOTONIC`` before the first file was opened
        ``after_ns``  the same after the last
        ``page_size`` bytes of a page
        ``hertz``     ``USER_HZ``, the unit of times in ``/proc/stat``
        ============= ==========================================================================

    Raises:
        AgentError: ``bad_request`` for a path elsewhere, ``too_many_files`` or ``too_many_bytes``.
    """
    errors: dict[str, str] = {}
    wanted = _expand(paths, errors)
    found, contents, left = [], [], BYTES_LIMIT
    folders: dict[str, str] = {}
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    for path in wanted:
        try:
            content = _read(path, folders, left)
        except OSError as error:
            errors[path] = errno.errorcode.get(error.errno or 0, f"errno {error.errno}")
            continue
        if content is None:
            errors[path] = REFUSED
            continue
        left -= len(content)
        found.append(path)
        contents.append(content)
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return {
        "paths": found,
        "sizes": [len(content) for content in contents],
        "errors": errors,
        "before_ns": before,
        "after_ns": after,
        "page_size": os.sysconf("SC_PAGESIZE"),
        "hertz": os.sysconf("SC_CLK_TCK"),
    }, b"".join(contents)


def _read(path: str, folders: dict[str, str], limit: int) -> bytes | None:
    """The content of a file, None if it must not be read."""
    folder, _, name = path.rpartition("/")
    if not name:
        return _names(folder)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    real = f"{folders[folder]}/{name}"
    try:
        if not _allowed(real):
            return None
        fd = os.open(real, _FLAGS)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        real = os.path.realpath(path)  # a link, as /proc/mounts
        if not _allowed(real):
            return None
        fd = os.open(real, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        pieces = []
        while piece := os.read(fd, _PIECE):
            pieces.append(piece)
            limit -= len(piece)
            if limit < 0:
                raise AgentError("too_many_bytes", f"more than {BYTES_LIMIT >> 20} MiB to read")
        return b"".join(pieces)
    finally:
        os.close(fd)


def _names(folder: str) -> bytes | None:
    real = os.path.realpath(folder)
    return b"".join(os.fsencode(name) + b"\n" for name in os.listdir(real)) if _allowed(real + "/") else None


def _allowed(real: str) -> bool:
    if not real.startswith(_ROOTS) or _DENIED.match(real):
        return False
    process = _PROCESS.match(real)
    return process is None or _OF_PROCESS.match(process[1]) is not None


# --- patterns ----------------------------------------------------------------------------


def _expand(paths: list[str], errors: dict[str, str]) -> list[str]:
    """The files that the paths name, in order, each once."""
    wanted: dict[str, None] = {}
    seen: _Seen = {}
    for path in paths:
        names = path[1:].removesuffix("/").split("/")
        odd = {"", ".", ".."} & set(names) or names[-1] == "**" or "\0" in path
        if odd or not path.startswith(_ROOTS):
            raise AgentError("bad_request", f"{path!r} is no file of /proc or /sys")
        if not _is_pattern(path):
            wanted[path] = None
            continue
        if path.endswith("/"):
            raise AgentError("bad_request", f"{path!r} is a pattern of folders")
        for count, match in enumerate(_matches(names[0], names[1:], seen)):
            if count == PATTERN_LIMIT:
                errors[path] = TOO_MANY
                break
            wanted[match] = None
        if len(wanted) > FILES_LIMIT:
            raise AgentError("too_many_files", f"more than {FILES_LIMIT} files to read")
    return list(wanted)


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _matches(root: str, names: list[str], seen: _Seen) -> Iterator[str]:
    """Files that match, those with the fewest folders first, then by name."""
    ways = deque([("/" + root, names)])
    looked = 0
    while ways:
        folder, (name, *rest) = ways.popleft()
        looked += 1
        if looked > FOLDERS_LIMIT:
            raise AgentError("too_many_files", f"more than {FOLDERS_LIMIT} folders to look into")
        if name == "**":
            ways.appendleft((folder, rest))
            for entry in _entries(folder, seen):
                # No link is followed, so that no way leads in a circle.
                if entry.is_dir(follow_symlinks=False):
                    ways.append((entry.path, [name, *rest]))
        elif not _is_pattern(name):
            path = f"{folder}/{name}"
            if rest:
                ways.appendleft((path, rest))
            elif os.path.exists(path):
                yield path
        else:
            matching = [entry for entry in _entries(folder, seen) if fnmatchcase(entry.name, name)]
            if rest:
                ways.extend((entry.path, rest) for entry in matching if entry.is_dir())
            else:
                yield from (entry.path for entry in matching if entry.is_file())


def _entries(folder: str, seen: _Seen) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; nothing if it is none, not for us, or gone."""
    if folder not in seen:
        try:
            with os.scandir(folder) as entries:
                seen[folder] = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            seen[folder] = []
    return seen[folder]
