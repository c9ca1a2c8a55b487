"""Streams to an agent: a socket, a child process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
from collections.abc import Sequence

PIPE_SIZE = 1 << 20
"""Bytes a pipe from an agent holds: each side is woken less often. What any user may have."""


class SocketStream:
    """A connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def read(self, count: int) -> bytes:
        """What has arrived; empty at the end."""
        return self._socket.recv(count)

    def read_into(self, view: memoryview) -> int:
        """The same into memory; gives how many bytes."""
        return self._socket.recv_into(view)

    def write(self, data: bytes) -> None:
        """All of it."""
        self._socket.sendall(data)

    def close(self) -> None:
        """Shut both ways, which ends a read under way, then let go."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class ProcessStream:
    """Standard input and output of a child; its end ends the child.

    Args:
        command: What to run.
        pass_fds: Descriptors the child inherits.
    """

    def __init__(self, command: Sequence[str], pass_fds: Sequence[int] = ()) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
            start_new_session=True,  # a Ctrl-C in the terminal is ours to handle
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        with contextlib.suppress(OSError):  # over the user's limit; it works as it is
            fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, PIPE_SIZE)

    def read(self, count: int) -> bytes:
        """What has arrived; empty at the end."""
        return os.read(self._out, count)

    def read_into(self, view: memoryview) -> int:
        """The same into memory; gives how many bytes."""
        return os.readv(self._out, [view])

    def write(self, data: bytes) -> None:
        """All of it."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._in, view) :]

    def last_words(self) -> str:
        """What the child said on standard error, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Close its input, which ends an agent; kill it if it goes on."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
