"""Attach every point of a bundle, all or none; and let go of them.

Single kprobes cost the kernel milliseconds each, one at a time: it does all of the work
under one lock, so attaching from several threads gains nothing (measured, 100 functions of
ext4: 1.04 s one by one, 0.98 s by 16 threads). Letting go is mostly waiting for RCU, which
threads share in part: 3.9 s against 1.7 s. Where RCU is expedited, as in the lab, both take 0.9 s.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

from ktrace_nb.agent import links
from ktrace_nb.agent.attach import attach
from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.multi import ABOUT_A_PLACE, attach_multi
from ktrace_nb.wire.bundle import MULTI_KINDS, AttachPoint

_THREADS = 16

_RETURNS = ("kretprobe", "kretprobe_multi", "fexit", "uretprobe")
_ENTRIES = ("kprobe", "kprobe_multi", "fentry")

_LOOK_SHARE = 0.02
"""Of the time this much goes into asking links what they missed: thousands take long to ask."""


class Attached:
    """What holds the attachments of a session."""

    def __init__(self) -> None:
        self.refused: list[tuple[int, int, int]] = []
        """What was left out: index of the point, of the function in it, the kernel's ``errno``."""
        self._held: list[tuple[AttachPoint, list[int]]] = []
        self._missed: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._look_at = 0.0

    def __len__(self) -> int:
        return len(self._held)

    def attach(self, points: Sequence[AttachPoint], programs: Mapping[str, int]) -> None:
        """Attach every point.

        Args:
            points: Where to.
            programs: Descriptors of the programs by name.

        An optional function whose return was refused has its entry left out: returns come
        before entries, and a cookie tells which belong together.

        Raises:
            AgentError: A point that cannot be attached; ``point`` is its index, ``place`` that of
                the function in it. Or functions are optional, and no entry of any was
                taken. Nothing stays attached.
        """
        no_return: dict[int, int] = {}
        try:
            for index, point in enumerate(points):
                without = no_return if point.optional and point.kind in _ENTRIES else {}
                held, refused = _attach(index, point, programs[point.program], without)
                if held:
                    self._held.append((point, held))
                self.refused += [(index, place, number) for place, number in refused]
                if point.kind in _RETURNS and (point.cookies or point.kind not in MULTI_KINDS):
                    no_return.update((_cookie(point, place), number) for place, number in refused)
            self._check_any(points)
        except BaseException:
            self.release()
            raise

    def _check_any(self, points: Sequence[AttachPoint]) -> None:
        """Refuse to go on if functions may be left out, and all were."""
        if any(point.optional and point.kind in _ENTRIES for point, _ in self._held):
            return
        optional = [i for i, point in enumerate(points) if point.optional and point.kind in _ENTRIES]
        if optional:
            count = sum(points[i].functions for i in optional)
            what = f"any of {count} functions" if count > 1 else points[optional[0]].target
            number = self.refused[0][2]
            reason = OSError(number, os.strerror(number))
            message = AgentError.from_os(reason, f"cannot attach to {what}").message
            raise AgentError("attach", message, errno=number, point=optional[0])

    def missed(self) -> dict[str, int]:
        """How often probes of each program were missed, as of now or a little while ago."""
        start = time.monotonic()
        if start >= self._look_at:
            self._missed = self._count_missed()
            now = time.monotonic()
            self._look_at = now + (now - start) / _LOOK_SHARE
        return self._missed

    def _count_missed(self) -> dict[str, int]:
        missed = dict(self._gone)
        for point, fds in self._held:
            missed[point.program] = missed.get(point.program, 0) + links.link_missed(fds[0])
        return missed

    def release(self) -> None:
        """Take every attachment away: those of returns last, so that calls under way are seen to end."""
        self._gone = self._missed = self._count_missed()
        held, self._held = self._held, []
        for returns in (False, True):
            _close([fd for point, fds in held if (point.kind in _RETURNS) == returns for fd in fds])


def _close(fds: Sequence[int]) -> None:
    """Close by as many threads as there may be; this one at least."""
    left = deque(fds)

    def close() -> None:
        while left:
            try:
                fd = left.popleft()
            except IndexError:  # another was faster
                return
            os.close(fd)

    helpers: list[threading.Thread] = []
    for _ in range(min(_THREADS, len(fds)) - 1):
        helper = threading.Thread(target=close)
        try:
            helper.start()
        except RuntimeError:  # no more threads for this process
            break
        helpers.append(helper)
    close()
    for helper in helpers:
        helper.join()


def _cookie(point: AttachPoint, place: int) -> int:
    """The cookie of one function of a point."""
    return int(struct.unpack_from("<Q", point.cookies, 8 * place)[0]) if point.cookies else point.cookie


def _attach(
    index: int, point: AttachPoint, program_fd: int, without: Mapping[int, int]
) -> tuple[list[int], list[tuple[int, int]]]:
    """The descriptors that hold a point, and what of it was refused."""
    try:
        if point.kind in MULTI_KINDS:
            return attach_multi(point, program_fd, without)
        if point.cookie in without:
            return [], [(0, without[point.cookie])]
        return attach(point, program_fd), []
    except OSError as error:
        reason = AgentError.from_os(error, f"cannot attach {point.kind}:{point.target}").message
        problem = AgentError("attach", reason, errno=error.errno, target=point.target)
    except AgentError as error:
        problem = error
    number = problem.fields.get("errno")
    if point.optional and point.kind not in MULTI_KINDS and number in ABOUT_A_PLACE:
        return [], [(0, number)]
    problem.fields["point"] = index
    raise problem
