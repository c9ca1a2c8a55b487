"""In which order attachments are let go; that nothing is missed meanwhile is seen in tests/kernel/trace."""

from __future__ import annotations

import os

import pytest

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
