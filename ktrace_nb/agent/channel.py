"""A byte stream to the notebook: a pair of pipes or a virtio serial port."""

from __future__ import annotations

import os
import select
import threading
from typing import Any

from ktrace_nb.wire.frames import ChannelClosed, Message, encode_parts, read_message

CHUNK = 1 << 18
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Channel:
    """Messages in and out over file descriptors; sending is thread-safe.

    The descriptors may be blocking or not. A virtio serial port must not be: a
    write to one whose host side has closed waits for the *next* client, and
    would hand it the rest of a message meant for the last one.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self._closed = False

    def _read_exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            try:
                data = os.read(self._read_fd, CHUNK)
            except BlockingIOError:
                _wait(self._read_fd, select.POLLIN)
                continue
            if not data:
                raise ChannelClosed
            self._buffer += data
        result = bytes(self._buffer[:count])
        del self._buffer[:count]
        return result

    def receive(self) -> Message:
        """Wait for the next message.

        Raises:
            ChannelClosed: The other side is gone.
            WireError: It does not speak this protocol.
        """
        try:
            return read_message(self._read_exactly)
        except OSError:
            raise ChannelClosed from None

    def send(self, kind: int, head: dict[str, Any], *blobs: bytes) -> None:
        """Write a whole message, its blob in pieces; wait while the other side is slow.

        Raises:
            ChannelClosed: The other side is gone.
        """
        parts = encode_parts(kind, head, blobs)
        with self._lock:
            for part in parts:
                self._write(memoryview(part))

    def _write(self, data: memoryview) -> None:
        while data:
            if self._closed:
                raise ChannelClosed
            try:
                data = data[os.write(self._write_fd, data) :]
            except BlockingIOError:
                if _wait(self._write_fd, select.POLLOUT) & _GONE:
                    raise ChannelClosed from None
            except OSError:
                raise ChannelClosed from None

    def close(self) -> None:
        """Send nothing more, also from threads that are sending right now.

        When this returns, the descriptors may be closed: none is in use.
        """
        self._closed = True
        with self._lock:
            pass


def _wait(fd: int, event: int) -> int:
    """Wait up to a second for an event; what the descriptor reports."""
    waiter = select.poll()
    waiter.register(fd, event)
    for _, found in waiter.poll(1000):
        return found
    return 0
