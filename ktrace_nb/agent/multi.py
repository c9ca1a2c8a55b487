"""Attach one program to many functions by one link (kprobe_multi).

The kernel takes all functions or none, and does not say which it did not like.
Where a point is optional they are found by halves: of a range that is refused, the
halves are tried, down to single functions.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from ktrace_nb.agent import links
from ktrace_nb.agent.errors import AgentError
from ktrace_nb.wire.bundle import AttachPoint

ABOUT_A_PLACE = frozenset((errno.EINVAL, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.EILSEQ))
"""What the kernel says where a function cannot be traced; anything else is about all of them."""

_TOLD = 5


@dataclass(frozen=True)
class _Places:
    """The functions of a point, any part of which can be tried."""

    point: AttachPoint
    program_fd: int
    names: list[bytes]

    def __len__(self) -> int:
        return self.point.functions

    def name(self, index: int) -> str:
        if index < len(self.names):
            return self.names[index].decode()
        (address,) = struct.unpack_from("<Q", self.point.places, 8 * index)
        return f"{address:#x}"

    def link(self, wanted: list[int]) -> int:
        """Attach to some of them.

        Raises:
            OSError: The kernel refused.
        """
        point = self.point
        return links.link_kprobe_multi(
            self.program_fd,
            at_return=point.kind == "kretprobe_multi",
            places=_chosen(point.places, wanted),
            names=[] if point.places else [self.names[i] for i in wanted],
            cookies=_chosen(point.cookies, wanted),
        )

    def refusal(self, wanted: list[int]) -> int:
        """The kernel's objection to some of them; 0 if it has none."""
        try:
            os.close(self.link(wanted))
        except OSError as error:
            if error.errno not in ABOUT_A_PLACE:
                raise
            return error.errno or 0
        return 0

    def refused(self, wanted: list[int], number: int) -> dict[int, int]:
        """Which of some that were refused together are refused alone, and why."""
        if len(wanted) == 1:
            return {wanted[0]: number}
        left, right = wanted[: len(wanted) // 2], wanted[len(wanted) // 2 :]
        found: dict[int, int] = {}
        in_left = self.refusal(left)
        if in_left:
            found = self.refused(left, in_left)
        # If the left half is not to blame, the right one is: that need not be tried.
        in_right = self.refusal(right) if in_left else number
        return {**found, **self.refused(right, in_right)} if in_right else found


def _chosen(words: bytes, wanted: list[int]) -> bytes:
    if len(wanted) == len(words) // 8:
        return words
    return b"".join(words[8 * i : 8 * i + 8] for i in wanted) if words else b""


def attach_multi(
    point: AttachPoint, program_fd: int, without: Mapping[int, int]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Attach a program to the functions of a point.

    Args:
        point: Where to.
        program_fd: The program.
        without: Cookies of functions to be left out, and the ``errno`` that is told of each.

    Returns:
        The descriptors that hold it, and the functions left out: each by its index and
        the kernel's ``errno``.

    Raises:
        AgentError: ``attach``; ``place`` is the index of the first function that cannot be traced, where
            it is about functions.
        OSError: The kernel refused for another reason.
    """
    places = _Places(point, program_fd, point.names.splitlines())
    everything = list(range(len(places)))
    left_out: dict[int, int] = {}
    if without and point.optional and point.cookies:
        left_out = {
            i: without[c] for i, (c,) in enumerate(struct.iter_unpack("<Q", point.cookies)) if c in without
        }
        everything = [i for i in everything if i not in left_out]
        if not everything:
            return [], sorted(left_out.items())
    try:
        return [places.link(everything)], sorted(left_out.items())
    except OSError as error:
        if error.errno not in ABOUT_A_PLACE or not everything:
            raise
        number = error.errno or 0
    refused = places.refused(everything, number)
    kept = [i for i in everything if i not in refused]
    if not refused or not kept or not point.optional:
        raise _refusal(places, refused, number)
    return [places.link(kept)], sorted({**left_out, **refused}.items())


def _refusal(places: _Places, refused: dict[int, int], number: int) -> AgentError:
    first = min(refused, default=0)
    names = [places.name(i) for i in sorted(refused)[:_TOLD]]
    more = f" and {len(refused) - _TOLD} more" if len(refused) > _TOLD else ""
    what = f"{places.point.kind}:{', '.join(names)}{more}"
    reason = OSError(refused.get(first, number), os.strerror(refused.get(first, number)))
    message = AgentError.from_os(reason, f"cannot attach {what}").message
    return AgentError("attach", message, errno=reason.errno, target=places.name(first), place=first)
