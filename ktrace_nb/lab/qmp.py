"""QEMU's monitor: commands and answers as JSON, one per line.

Source: QEMU ``docs/interop/qmp-spec`` and its QMP reference manual.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ktrace_nb.errors import TargetError


class Monitor:
    """A connection to QEMU's monitor; QEMU talks to one at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self.events: list[dict[str, Any]] = []
        """Events that arrived between answers, oldest first."""
        self._receive()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: Any) -> Any:
        """Have QEMU do something; what it returns.

        Raises:
            TargetError: QEMU refused, is gone, or did not answer in time.
        """
        request = {"execute": name, "arguments": arguments}
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise TargetError(f"qemu is gone: {error}") from None
        return self._answer(name)

    def _answer(self, name: str) -> Any:
        while True:
            answer = self._receive()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise TargetError(f"qemu refused {name!r}: {answer['error'].get('desc')}")
            else:
                return answer["return"]

    def hand_over(self, name: str, fd: int) -> None:
        """Give QEMU a copy of a descriptor under a name that other commands know.

        QEMU's sandbox keeps it from starting programs; so it gets its files opened.
        """
        request = {"execute": "getfd", "arguments": {"fdname": name}}
        socket.send_fds(self._connection, [json.dumps(request).encode() + b"\n"], [fd])
        self._answer("getfd")

    def _receive(self) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            try:
                data = self._connection.recv(1 << 16)
            except TimeoutError:
                raise TargetError("qemu does not answer") from None
            except OSError as error:
                raise TargetError(f"qemu is gone: {error}") from None
            if not data:
                raise TargetError("qemu is gone")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer = json.loads(line)
        return answer if isinstance(answer, dict) else {}

    def wait_for(self, query: str, states: tuple[str, ...], *, timeout_s: float) -> str:
        """Ask for a status until it is one of ``states``; which it is.

        Args:
            query: ``"query-status"`` or ``"query-migrate"``.
            states: States to wait for.
            timeout_s: How long.

        Raises:
            TargetError: None of them in time.
        """
        end = time.monotonic() + timeout_s
        while True:
            state = str(self.command(query).get("status"))
            if state in states:
                return state
            if time.monotonic() > end:
                raise TargetError(f"qemu is still in state {state!r} after {timeout_s:g} s")
            time.sleep(0.003)


@contextmanager
def monitor(path: Path, *, timeout_s: float = 5.0) -> Iterator[Monitor]:
    """Connect to a monitor's socket.

    Args:
        path: The socket. Connections wait in turn.
        timeout_s: How long any answer may take, a turn included.

    Raises:
        TargetError: QEMU is gone, or does not answer.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise TargetError(f"qemu is gone: {error}") from None
        yield Monitor(connection)
