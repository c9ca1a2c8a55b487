"""What is left out, and the order of letting go; tests/kernel/trace sees that nothing is missed meanwhile."""

from __future__ import annotations

import errno
import os
import struct
import threading
from collections.abc import Sequence

import pytest

from ktrace_nb.agent import links, points
from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.points import Attached
from ktrace_nb.wire.bundle import AttachPoint


def test_returns_are_let_go_when_no_entry_is_attached_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    attached = Attached()
    kind_of: dict[int, str] = {}
    for kind in ("kretprobe", "kprobe", "fexit", "kretprobe_multi", "fentry", "raw_tracepoint", "uretprobe"):
        # Any descriptor will do: closing it is all that letting go is.
        fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
        kind_of.update(dict.fromkeys(fds, kind))
        attached._held.append((AttachPoint(kind, kind, "f"), fds))
    closed: list[str] = []
    close = os.close

    def watched(fd: int) -> None:
        close(fd)
        closed.append(kind_of[fd])

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", watched)
        attached.release()
    assert len(closed) == 7 * 3
    assert set(closed[: 3 * 3]) == {"kprobe", "fentry", "raw_tracepoint"}
    assert set(closed[3 * 3 :]) == {"kretprobe", "fexit", "kretprobe_multi", "uretprobe"}
    assert len(attached) == 0


def test_descriptors_are_closed_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    attached = Attached()
    fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(40)]
    attached._held += [(AttachPoint("f", "kprobe", "f"), [fd]) for fd in fds]

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        attached.release()
    for fd in fds:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def pairs(cookies: Sequence[int]) -> list[AttachPoint]:
    return [
        AttachPoint(kind, kind, f"f{cookie}", cookie=cookie, optional=1)
        for kind in ("kretprobe", "kprobe")
        for cookie in cookies
    ]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Kinds and functions that a kernel refuses which takes everything else."""
    refused: set[tuple[str, str]] = set()

    def attach(point: AttachPoint, _: int) -> list[int]:
        if (point.kind, point.target) in refused:
            raise OSError(errno.EINVAL, "refused")
        return [os.open(os.devnull, os.O_RDONLY)]

    monkeypatch.setattr(points, "attach", attach)
    return refused


def test_a_function_whose_return_is_refused_is_not_entered_either(kernel: set[tuple[str, str]]) -> None:
    kernel.add(("kretprobe", "f1"))
    attached = Attached()
    attached.attach(pairs([0, 1, 2]), {"kretprobe": 0, "kprobe": 0})
    assert attached.refused == [(1, 0, errno.EINVAL), (4, 0, errno.EINVAL)]
    assert [p.target for p, _ in attached._held if p.kind == "kprobe"] == ["f0", "f2"]
    attached.release()


def test_functions_of_one_link_are_left_out_where_their_return_was(
    kernel: set[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    linked: list[tuple[bool, bytes]] = []

    def link(_: int, *, at_return: bool, places: bytes, names: list[bytes], cookies: bytes) -> int:
        if at_return and b"g" in names:
            raise OSError(errno.EINVAL, "refused")
        linked.append((at_return, cookies))
        return os.open(os.devnull, os.O_RDONLY)

    monkeypatch.setattr(links, "link_kprobe_multi", link)
    cookies = struct.pack("<3Q", 0, 1 << 16 | 1, 2)
    attached = Attached()
    wanted = [
        AttachPoint(kind, kind, "3 functions", names=b"f\ng\nh", cookies=cookies, optional=1)
        for kind in ("kretprobe_multi", "kprobe_multi")
    ]
    attached.attach(wanted, {"kretprobe_multi": 0, "kprobe_multi": 0})
    assert attached.refused == [(0, 1, errno.EINVAL), (1, 1, errno.EINVAL)]
    assert linked[-2:] == [(True, struct.pack("<2Q", 0, 2)), (False, struct.pack("<2Q", 0, 2))]
    attached.release()


def test_where_every_function_is_refused_nothing_stays_attached(kernel: set[tuple[str, str]]) -> None:
    kernel.update({("kretprobe", "f0"), ("kprobe", "f1")})
    attached = Attached()
    tracepoint = AttachPoint("fork", "raw_tracepoint", "sched_process_fork")
    programs = {"fork": 0, "kretprobe": 0, "kprobe": 0}
    with pytest.raises(AgentError, match=r"cannot attach to any of 2 functions: .*\(EINVAL\)") as caught:
        attached.attach([tracepoint, *pairs([0, 1])], programs)
    assert (caught.value.code, caught.value.fields["errno"], caught.value.fields["point"]) == (
        "attach",
        22,
        3,
    )
    assert len(attached) == 0
