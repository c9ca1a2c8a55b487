"""The list of a machine's threads that the agent gives, see :mod:`ktrace_nb.agent.threads`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ktrace_nb.errors import StreamError
from ktrace_nb.stream.calls.records import PID_MAX_LIMIT

_NUMBER = re.compile("[0-9]{1,7}")


class Listed(NamedTuple):
    """A thread of the list."""

    tid: int
    process: int
    """The number of its process (``tgid``)."""
    parent: int
    """The process of which that is a child, 0 for none."""
    comm: str


def parse_listing(listing: bytes) -> list[Listed]:
    """Read lines ``TID TGID PPID COMM``.

    Raises:
        StreamError: A line is something else.
    """
    found = []
    for line in listing.decode("utf-8", "replace").split("\n")[:-1]:
        fields = line.split(" ", 3)
        if len(fields) < 4 or not all(map(_is_number, fields[:3])):
            raise StreamError(f"a list of threads has the line {line[:80]!r}")
        found.append(Listed(int(fields[0]), int(fields[1]), int(fields[2]), fields[3]))
    return found


def _is_number(field: str) -> bool:
    """Whether it is the number of a thread; what ``str.isdigit`` takes is more than ``int`` reads."""
    return bool(_NUMBER.fullmatch(field)) and int(field) < PID_MAX_LIMIT


def descendants(threads: Iterable[Listed], processes: Iterable[int]) -> set[int]:
    """Processes that are children of some, children of those, and so on; and they themselves.

    Those whose parent has ended are another's children by now, and no longer known to be theirs.
    """
    children: dict[int, set[int]] = {}
    for thread in threads:
        children.setdefault(thread.parent, set()).add(thread.process)
    found: set[int] = set()
    new = set(processes)
    while new:
        found |= new
        new = {child for process in new for child in children.get(process, ())} - found
    return found
