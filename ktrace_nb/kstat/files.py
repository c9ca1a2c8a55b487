"""What a kernel tells in its files, all at one moment and by one request.

A :class:`Snapshot` is plain text by path: whoever makes kstats of it needs no kernel, and is
tested with text from any machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ktrace_nb.errors import StreamError
from ktrace_nb.wire.frames import Call

ONLINE = "/sys/devices/system/cpu/online"
"""The CPUs that are on, as ``0-3,6``."""

_WORDS = re.compile(r"\*\*/|\*|\?|\[!?[^]]+\]|[^*?\[]+|\[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The text of files, read together.

    Everything but ``files`` has a default, for text that comes from elsewhere than a target.
    """

    files: Mapping[str, str]
    """Path to content. Bytes that are no UTF-8 are lone surrogates; the content of a folder, a path that
    ends with a slash, are the names in it, one per line."""

    errors: Mapping[str, str] = field(default_factory=dict)
    """Path or pattern to why it is not there: the symbol of an ``errno``, ``refused``, or
    ``too_many_files`` if a pattern stands for more files than were read."""

    monotonic_ns: int = 0
    """``CLOCK_MONOTONIC`` of that kernel in the middle of the reading, nanoseconds."""

    took_ns: int = 0
    """How long the reading took: a file was read at most half of it away from the middle."""

    page_size: int = 4096
    """Bytes of a page."""

    hertz: int = 100
    """Ticks per second of the times in ``/proc/stat``, ``USER_HZ``."""

    def text(self, path: str) -> str | None:
        """The content of a file; None if it could not be read."""
        return self.files.get(path)

    def matching(self, pattern: str) -> dict[str, str]:
        """Path to content of the files that match; ``*`` stays within a name, ``**`` does not."""
        matches = _regex(pattern).fullmatch
        return {path: text for path, text in self.files.items() if matches(path)}

    @property
    def cpus(self) -> tuple[int, ...]:
        """The CPUs that are on, by number; only CPU 0 if the kernel does not tell."""
        return cpu_list(self.files.get(ONLINE, "0"))


def cpu_list(text: str) -> tuple[int, ...]:
    """The numbers of a list such as ``0-3,6``; an empty line is an empty list.

    Source: Linux ``Documentation/admin-guide/cputopology.rst``.
    """
    cpus: list[int] = []
    for part in text.strip().split(",") if text.strip() else ():
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return tuple(cpus)


@lru_cache(maxsize=256)
def _regex(pattern: str) -> re.Pattern[str]:
    signs = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    parts = []
    for word in _WORDS.findall(pattern):
        if word[0] == "[" and len(word) > 1:
            parts.append(word.replace("[!", "[^", 1))
        else:
            parts.append(signs.get(word) or re.escape(word))
    return re.compile("".join(parts), re.DOTALL)


class Files:
    """Reads the files of one target.

    Args:
        call: Asks the target's agent, :meth:`ktrace_nb.targets.connection.Connection.call`.
    """

    def __init__(self, call: Call) -> None:
        self._call = call

    def read(self, paths: Iterable[str]) -> Snapshot:
        """Read files under ``/proc`` and ``/sys`` in one request, each once.

        Args:
            paths: Exact, or with the signs of :mod:`ktrace_nb.agent.files`. The list of CPUs that
                are on is read in any case.

        Raises:
            RemoteError: A path elsewhere, or too many files or bytes.
            TargetError: The target is out of reach.
            StreamError: The answer is not what was agreed on.
        """
        reply = self._call("files", paths=[*dict.fromkeys([ONLINE, *paths])])
        head, blob = reply.head, memoryview(reply.blob)
        if len(head["paths"]) != len(head["sizes"]) or sum(head["sizes"]) != len(blob):
            raise StreamError("the agent's files are not as long as it says")
        files, at = {}, 0
        for path, size in zip(head["paths"], head["sizes"], strict=True):
            files[path] = str(blob[at : at + size], "utf-8", "surrogateescape")
            at += size
        return Snapshot(
            files=files,
            errors=head["errors"],
            monotonic_ns=(head["before_ns"] + head["after_ns"]) // 2,
            took_ns=head["after_ns"] - head["before_ns"],
            page_size=head["page_size"],
            hertz=head["hertz"],
        )
