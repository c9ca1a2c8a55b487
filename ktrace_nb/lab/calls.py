"""The few requests that the lab itself makes of the agent."""

from __future__ import annotations

import secrets
import socket
import time
from typing import Any

from ktrace_nb.errors import AgentGoneError, RemoteError
from ktrace_nb.wire.frames import EVENT, REPLY, REQUEST, ChannelClosed, Message, WireError, read_message


class Caller:
    """One connection to the agent, one request at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the agent lets go of whatever it held for it."""
        self._connection.close()

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._connection.fileno()

    def pending(self) -> bool:
        """Whether bytes have been read that no message was made of yet."""
        return bool(self._buffer)

    def hello(self, *, timeout_s: float = 10.0) -> dict[str, Any]:
        """Who answers; see ``ktrace_nb.agent.host.hello`` for the fields.

        Raises:
            AgentGoneError: Nobody, or the answer was meant for somebody else.
        """
        nonce = secrets.token_hex(8)
        head, _ = self.call("hello", nonce=nonce, timeout_s=timeout_s)
        if head.get("nonce") != nonce:
            raise AgentGoneError("the lab's agent answered somebody else")
        return head

    def call(
        self, op: str, blob: bytes = b"", *, timeout_s: float = 60.0, **fields: Any
    ) -> tuple[dict[str, Any], bytes]:
        """Have the agent carry out one operation.

        Args:
            op: The operation's name.
            blob: What goes along with it.
            timeout_s: How long any part of the answer may be awaited.
            fields: The operation's arguments.

        Returns:
            The reply's head and blob.

        Raises:
            RemoteError: The agent could not do it.
            AgentGoneError: It did not answer in time, or is gone.
        """
        self.send(op, blob, timeout_s=timeout_s, **fields)
        while True:
            message = self.receive(timeout_s)
            if message.kind == REPLY:
                break
        if "error" in message.head:
            error = message.head["error"]
            raise RemoteError(error.pop("code"), error.pop("message"), error)
        return message.head, message.blob

    def send(self, op: str, blob: bytes = b"", *, timeout_s: float = 60.0, **fields: Any) -> None:
        """Send a request without waiting for the reply."""
        self._connection.settimeout(timeout_s)
        try:
            self._connection.sendall(Message(REQUEST, {"id": 0, "op": op, **fields}, blob).encode())
        except OSError as error:
            raise AgentGoneError(f"the lab's agent is gone: {error}") from None

    def receive(self, timeout_s: float) -> Message:
        """The next message, whatever it is.

        Raises:
            AgentGoneError: None in time, or the connection was cut.
        """
        end = time.monotonic() + timeout_s

        def read_exactly(count: int) -> bytes:
            while len(self._buffer) < count:
                self._connection.settimeout(max(0.01, end - time.monotonic()))
                data = self._connection.recv(1 << 18)
                if not data:
                    raise ChannelClosed("the port closed")
                self._buffer += data
            result = bytes(self._buffer[:count])
            del self._buffer[:count]
            return result

        try:
            message = read_message(read_exactly)
        except TimeoutError:
            raise AgentGoneError(f"the lab's agent did not answer for {timeout_s:g} s") from None
        except (OSError, ChannelClosed, WireError) as error:
            raise AgentGoneError(f"the lab's agent is gone: {error}") from None
        if message.kind == EVENT and "ready" in message.head:
            raise AgentGoneError("the lab's agent started anew")
        return message
