"""Serve one connection.

A request names an operation; the reply carries its ``id``. Requests of one
session run one after the other in that session's own thread, others in a
thread of their own, so nothing that hangs ever delays a ``ping``.
"""

from __future__ import annotations

import queue
import threading
from typing import Any, Callable, Union

from ktrace_nb.agent import host
from ktrace_nb.agent.channel import Channel
from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.session import AgentSession
from ktrace_nb.wire.frames import EVENT, REPLY, REQUEST, ChannelClosed, Message, WireError

Answer = Union[tuple[dict[str, Any], bytes], tuple[dict[str, Any], list[bytes]]]
"""The head of a reply, and its blob in one piece or several."""


class Server:
    """One connection and the sessions it opened."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._sessions: dict[str, SessionThread] = {}
        self._shells: dict[str, host.Shell] = {}

    def run(self) -> None:
        """Answer requests until the stream ends; then let go of everything."""
        try:
            while True:
                message = self._channel.receive()
                if message.kind == REQUEST:
                    self._dispatch(message)
        except (ChannelClosed, WireError):
            pass
        finally:
            for shell in self._shells.values():
                shell.close()
            for thread in self._sessions.values():
                thread.close()

    def _dispatch(self, message: Message) -> None:
        op = message.head.get("op")
        name = message.head.get("session")
        if op == "ping":
            self._answer(message, host.ping)
        elif isinstance(name, str):
            if op == "open":
                self._sessions[name] = SessionThread(self, name)
            thread = self._sessions.get(name)
            if thread is None:
                self._fail(message, AgentError("no_session", f"no session {name!r}"))
                return
            if op == "wake":
                thread.wake()
                self._send(message, {})
                return
            thread.requests.put(message)
            if op == "close":
                del self._sessions[name]
        elif isinstance(op, str) and op.startswith("shell_"):
            self._answer(message, lambda request: self._shell(op, request))
        else:
            operation = host.OPERATIONS.get(str(op))
            if operation is None:
                self._fail(message, AgentError("no_operation", f"this agent has no operation {op!r}"))
            else:
                threading.Thread(target=self._answer, args=(message, operation), daemon=True).start()

    def _shell(self, op: str, message: Message) -> Answer:
        name = str(message.head["shell"])
        if op == "shell_open":
            self._shells[name] = host.Shell(
                message.head, lambda head, data: self._channel.send(EVENT, {"shell": name, **head}, data)
            )
        elif op == "shell_close":
            self._shells.pop(name).close()
        else:
            self._shells[name].control(message)
        return {}, b""

    def _answer(self, message: Message, operation: Callable[[Message], Answer]) -> None:
        try:
            head, blob = operation(message)
        except AgentError as error:
            self._fail(message, error)
        except OSError as error:
            self._fail(message, AgentError.from_os(error))
        except Exception as error:  # the notebook must hear of it, whatever it was
            self._fail(message, AgentError("bug", f"{type(error).__name__}: {error}"))
        else:
            self._send(message, head, *([blob] if isinstance(blob, bytes) else blob))

    def _fail(self, message: Message, error: AgentError) -> None:
        self._send(message, {"error": error.as_dict()})

    def _send(self, message: Message, head: dict[str, Any], *blobs: bytes) -> None:
        try:
            self._channel.send(REPLY, {"id": message.head.get("id"), **head}, *blobs)
        except ChannelClosed:
            pass  # the reader sees the end of the stream too and cleans up


class SessionThread(threading.Thread):
    """Runs the requests of one session in order."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__(name="session " + name, daemon=True)
        self.requests: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._server = server
        self._session = AgentSession()
        self.start()

    def run(self) -> None:
        """Take requests until the session is closed."""
        while True:
            message = self.requests.get()
            if message is None:
                break
            self._server._answer(message, self._session.handle)
            if message.head.get("op") == "close":
                break
        self._session.close()

    def wake(self) -> None:
        """Have a collect that waits come back soon."""
        self._session.wake()

    def close(self) -> None:
        """Let go of everything, without waiting for a request under way."""
        self._session.interrupt()
        self.requests.put(None)
