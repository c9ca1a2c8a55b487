"""One connection to an agent: requests from any thread, answers to each."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from ktrace_nb.errors import AgentGoneError, RemoteError, TargetError
from ktrace_nb.wire.frames import EVENT, REPLY, REQUEST, ChannelClosed, Message, WireError, read_message

DEFAULT_TIMEOUT_S = 30.0
HEALTH_S = 0.25
"""How often the other side's health is looked at while an answer is awaited."""

_AHEAD = 1 << 14
_LARGE = 1 << 16


class Stream(Protocol):
    """The bytes between here and the agent."""

    def read(self, count: int) -> bytes:
        """At least one byte, at most ``count``; empty at the end."""
        ...

    def read_into(self, view: memoryview) -> int:
        """The same into memory; gives how many bytes, 0 at the end."""
        ...

    def write(self, data: bytes) -> None:
        """All of it."""
        ...

    def close(self) -> None:
        """End the stream; a read under way comes back."""
        ...


@dataclass(frozen=True, slots=True)
class Hello:
    """Who answered."""

    kernel: str
    """``uname -r``."""
    version: str
    """``uname -v``; Debian's tells the exact version that the release leaves out."""
    machine: str
    host: str
    cpus_possible: int
    cpus_online: tuple[int, ...]
    boot_id: str
    uid: int
    pid: int
    realtime_ns: int
    monotonic_ns: int


class _Pending:
    """A request waiting for its reply."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.reply: Message | None = None


class _Reader:
    """Reads exactly so many bytes; large blobs straight to where they stay."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._ahead = bytearray()

    def exactly(self, count: int) -> bytes:
        """So many bytes; a ``bytearray`` where they are many, which nobody hashes or keeps."""
        if count > _LARGE:
            return cast(bytes, self._large(count))
        while len(self._ahead) < count:
            data = self._stream.read(_AHEAD)
            if not data:
                raise ChannelClosed
            self._ahead += data
        part = bytes(self._ahead[:count])
        del self._ahead[:count]
        return part

    def _large(self, count: int) -> bytearray:
        whole = bytearray(count)
        view = memoryview(whole)
        at = min(len(self._ahead), count)
        view[:at] = self._ahead[:at]
        del self._ahead[:at]
        while at < count:
            got = self._stream.read_into(view[at:])
            if not got:
                raise ChannelClosed
            at += got
        return whole


class Connection:
    """Requests and replies over a stream.

    Args:
        stream: Where the agent listens; owned by the connection from now on.
        cause: Asked why the other side is gone when the stream has ended.
        health: Asked while an answer is awaited; a reason means the agent is
            gone though the stream goes on. Cheap.
    """

    def __init__(
        self,
        stream: Stream,
        cause: Callable[[], str | None] = lambda: None,
        health: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._stream = stream
        self._cause = cause
        self._health = health
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._listeners: dict[str, Callable[[Message], None]] = {}
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._gone: str | None = None
        self._reader = threading.Thread(target=self._read, name="ktrace_nb agent", daemon=True)
        self._reader.start()

    # --- requests --------------------------------------------------------------

    def hello(self) -> Hello:
        """Ask the agent who it is.

        Raises:
            AgentGoneError: Nobody answers, or not an agent of this protocol.
        """
        nonce = os.urandom(8).hex()
        head = self.call("hello", nonce=nonce).head
        if head["nonce"] != nonce:
            raise AgentGoneError("the agent answered somebody else's question")
        return Hello(
            kernel=head["kernel"],
            version=head["version"],
            machine=head["machine"],
            host=head["host"],
            cpus_possible=head["cpus_possible"],
            cpus_online=tuple(head["cpus_online"]),
            boot_id=head["boot_id"],
            uid=head["uid"],
            pid=head["pid"],
            realtime_ns=head["realtime_ns"],
            monotonic_ns=head["monotonic_ns"],
        )

    def call(
        self, op: str, blob: bytes = b"", *, timeout_s: float = DEFAULT_TIMEOUT_S, **fields: Any
    ) -> Message:
        """Send a request and wait for its reply.

        Raises:
            RemoteError: The agent could not do it.
            AgentGoneError: The connection ended; the message says why.
            TargetError: No answer in time.
        """
        number = next(self._ids)
        pending = _Pending()
        with self._lock:
            self._check()
            self._pending[number] = pending
        try:
            self._send(Message(REQUEST, {"op": op, "id": number, **fields}, blob))
            if not self._await(pending, timeout_s):
                raise TargetError(f"no answer to {op!r} within {timeout_s:g} s", hint="the target may hang")
        finally:
            with self._lock:
                self._pending.pop(number, None)
        if pending.reply is None:
            self._check()
            raise AgentGoneError("the connection to the agent ended")
        error = pending.reply.head.get("error")
        if error is not None:
            fields = {k: v for k, v in error.items() if k not in ("code", "message")}
            raise RemoteError(str(error.get("code")), str(error.get("message")), fields)
        return pending.reply

    def _await(self, pending: _Pending, timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            if pending.done.wait(min(left, HEALTH_S)):
                return True
            reason = self._health()
            if reason is not None:
                self._end(reason)
        return False

    def post(self, op: str, blob: bytes = b"", **fields: Any) -> None:
        """Send a request whose reply nobody waits for; silent if the agent is gone."""
        with contextlib.suppress(AgentGoneError):
            self._send(Message(REQUEST, {"op": op, "id": 0, **fields}, blob))

    def listen(self, shell: str, listener: Callable[[Message], None] | None) -> None:
        """Call ``listener`` with every event of a shell, from the reading thread; None stops it."""
        with self._lock:
            if listener is None:
                self._listeners.pop(shell, None)
            else:
                self._listeners[shell] = listener

    @property
    def alive(self) -> bool:
        """Whether the other side is there, as far as the stream tells."""
        return self._gone is None

    def close(self) -> None:
        """End the connection; the agent lets go of every session it carried."""
        self._end("the connection was closed")

    # --- the stream --------------------------------------------------------------

    def _check(self) -> None:
        if self._gone is not None:
            raise AgentGoneError(self._gone)

    def _send(self, message: Message) -> None:
        data = message.encode()
        try:
            with self._write_lock:
                self._stream.write(data)
        except OSError as error:
            self._end(self._cause() or f"the connection to the agent broke: {error.strerror or error}")
            self._check()

    def _read(self) -> None:
        reader = _Reader(self._stream)
        try:
            while True:
                self._deliver(read_message(reader.exactly))
        except WireError as error:
            self._end(f"the agent cannot be understood: {error}")
        except (ChannelClosed, OSError, ValueError):
            self._end(self._cause() or "the agent ended")

    def _deliver(self, message: Message) -> None:
        if message.kind == REPLY:
            with self._lock:
                pending = self._pending.get(message.head.get("id", 0))
            if pending:
                pending.reply = message
                pending.done.set()
        elif message.kind == EVENT:
            if "ready" in message.head:
                raise WireError("it started anew")
            with self._lock:
                listener = self._listeners.get(str(message.head.get("shell")))
            if listener:
                listener(message)

    def _end(self, cause: str) -> None:
        with self._lock:
            if self._gone is not None:
                return
            self._gone = cause
            waiting = list(self._pending.values())
        for pending in waiting:
            pending.done.set()
        self._stream.close()
