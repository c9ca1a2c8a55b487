"""What is let go where the kernel takes only half; programs run on events in tests/kernel/trace."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from ktrace_nb.agent import links, perf


def test_a_link_goes_where_its_event_cannot_be_turned_on(monkeypatch: pytest.MonkeyPatch) -> None:
    event, link = (os.open(os.devnull, os.O_RDONLY) for _ in range(2))
    monkeypatch.setattr(links, "link_perf_event", lambda program, event, cookie: link)

    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, "refused")

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    with pytest.raises(OSError, match="refused"):
        perf.run_program_on(event, 0, cookie=1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(link)
    os.close(event)  # that of the caller
