"""A target without a kernel to trace: an agent on this machine, without any privilege."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ktrace_nb.agent.package import agent_archive
from ktrace_nb.system import system_pythons
from ktrace_nb.targets.connection import Connection
from ktrace_nb.targets.streams import ProcessStream


class Counted:
    """A connection that tells what was asked of it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def call(self, op: str, blob: bytes = b"", **fields: Any) -> Any:
        self.asked.append((op, fields))
        return self._connection.call(op, blob, **fields)


@contextmanager
def here(folder: Path) -> Iterator[Any]:
    """This machine as a target; its connection tells what was ``asked``."""
    archive = folder / "agent.pyz"
    archive.write_bytes(agent_archive())
    stream = ProcessStream([system_pythons()[0], "-I", str(archive)])
    connection = Counted(Connection(stream))
    yield SimpleNamespace(
        name="here",
        connection=connection,
        hello=connection.hello(),
        fact=lambda name: bytes(connection.call("fact", name=name).blob),
    )
    connection.close()
    stream.process.wait(10)
    for pipe in (stream.process.stdout, stream.process.stderr):
        if pipe is not None:
            pipe.close()
