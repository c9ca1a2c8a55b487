"""Connections to the agent through the machine's serial ports.

QEMU gives each port a socket and serves one client at a time; who comes second
waits unanswered. So a client first takes the port's lock file, which its end
releases however it ends.

A port is a pipe without partings: what one client left half said would be the
beginning of what the next one says, in either direction. So nobody speaks
before the agent's event ``ready``, which it sends on a port it has just closed
and opened again; whatever comes before that was meant for somebody else.

The guest only sees that a client left if it looks before the next one has
come. So a port rests a moment between clients, and where there is no greeting,
the guest was slower than that: rest longer, wait longer, try again.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ktrace_nb.errors import AgentGoneError, TargetError
from ktrace_nb.lab.qemu import CONTROL, PORTS
from ktrace_nb.wire.frames import EVENT, HEADER, MAGIC

GREETING_S = 0.25
"""How long the first port tried may take to greet; the next one twice as long."""

REST_S = 0.05
"""How long a port rests after a client; an idle guest takes 2 to 6 ms under TCG."""

_LONGEST_REST_S = 1.0
SLICE_S = 0.1
_LONGEST_GREETING = 4096
_FREE = b"free\n"


class PortSocket(socket.socket):
    """A connection to one port; it holds the port's lock until it is closed."""

    _lock: IO[bytes] | None = None

    def close(self) -> None:
        """Close the connection and let the port go."""
        super().close()
        if self._lock is not None:
            _write(self._lock, _FREE)
            self._lock.close()
            self._lock = None


def connect(
    folder: Path,
    *,
    control: bool = False,
    timeout_s: float = 10.0,
    greeting_s: float = GREETING_S,
    check: Callable[[], None] = lambda: None,
) -> PortSocket:
    """Connect to the agent through a free port of a machine.

    Args:
        folder: The machine's folder.
        control: Use the port that is kept aside; wait if somebody else does.
        timeout_s: How long to try.
        greeting_s: How long one port may take to greet before the next is tried.
        check: Called several times a second while waiting; may raise.

    Returns:
        A blocking socket on which the agent has greeted and nothing was said yet.

    Raises:
        TargetError: All ports are taken, or the agent does not greet.
        AgentGoneError: The machine has ended, or is about to.
    """
    end = time.monotonic() + timeout_s
    rest_s = REST_S
    while True:
        taken = 0
        for port in [CONTROL] if control else _longest_idle_first(folder):
            connection = _take(folder, port, rest_s)
            if connection is None:
                taken += 1
                continue
            try:
                connection.settimeout(SLICE_S)
                connection.connect(str(folder / f"ktrace.{port}"))
                if _greeted(connection, min(end, time.monotonic() + greeting_s), check):
                    connection.settimeout(None)
                    return connection
            except (TimeoutError, BlockingIOError):
                pass  # strangers stand in line at this port
            except OSError as error:
                connection.close()
                raise AgentGoneError(f"the lab is gone: {error}") from None
            except BaseException:
                connection.close()
                raise
            connection.close()
            if time.monotonic() >= end:
                raise TargetError(f"the lab's agent did not answer for {timeout_s:g} s")
            greeting_s *= 2
            rest_s = min(2 * rest_s, _LONGEST_REST_S)
        if control and taken:
            if time.monotonic() >= end:
                raise TargetError("somebody else is asking the lab's agent, and waits for its answer")
            time.sleep(0.02)
        elif taken == PORTS:
            raise TargetError(
                f"all {PORTS} ports of the lab are taken",
                hint="close a session or a shell that uses it, or start another lab",
            )


def _longest_idle_first(folder: Path) -> list[int]:
    def last_used(port: int) -> float:
        try:
            return (folder / f"port.{port}").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    return sorted(range(PORTS), key=last_used)


def _take(folder: Path, port: int, rest_s: float = REST_S) -> PortSocket | None:
    """A socket that holds the port's lock; None if somebody else does."""
    try:
        lock = (folder / f"port.{port}").open("a+b")
    except FileNotFoundError:
        raise AgentGoneError("the lab is gone") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    lock.seek(0)
    last = lock.read()
    if last:
        # A client that was killed has left no word of when.
        idle = time.time() - os.fstat(lock.fileno()).st_mtime if last == _FREE else 0.0
        time.sleep(max(0.0, min(rest_s, rest_s - idle)))
    _write(lock, b"%d\n" % os.getpid())
    connection = PortSocket(socket.AF_UNIX)
    connection._lock = lock
    return connection


def _write(lock: IO[bytes], word: bytes) -> None:
    lock.truncate(0)
    lock.write(word)
    lock.flush()


def _greeted(connection: socket.socket, end: float, check: Callable[[], None]) -> bool:
    """Read up to the end of the agent's greeting, over what others left."""
    seen = bytearray()
    while time.monotonic() < end:
        try:
            data = connection.recv(1 << 16)
        except TimeoutError:
            check()
            continue
        if not data:
            raise ConnectionError("the port closed")
        seen += data
        if find_greeting(seen):
            return True
    return False


def find_greeting(seen: bytearray) -> bool:
    """Whether the greeting is complete; drops what cannot be the beginning of one."""
    while (at := seen.find(MAGIC)) >= 0:
        del seen[:at]
        if len(seen) < HEADER.size:
            return False
        _, _, kind, _, length, blob = HEADER.unpack_from(seen)
        if kind == EVENT and not blob and length <= _LONGEST_GREETING:
            if len(seen) < HEADER.size + length:
                return False
            try:
                head = json.loads(seen[HEADER.size : HEADER.size + length])
            except ValueError:
                head = None
            if isinstance(head, dict) and "ready" in head:
                return True
        del seen[: len(MAGIC)]
    del seen[: max(0, len(seen) - len(MAGIC) + 1)]
    return False
