"""A lab's guest, and workloads of every piece in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from ktrace_nb.health.watching import Watch
from ktrace_nb.targets.lab import LabTarget

MIXED = """
import mmap, os, socket, sys, time
end = time.monotonic() + float(sys.argv[1])

# Switches: a byte there and back.
there, back = os.pipe(), os.pipe()
if not os.fork():
    os.close(there[1])
    while os.read(there[0], 1):
        os.write(back[1], b"x")
    os._exit(0)

# Interrupts: reads that no cache serves.
disk, page = os.open("/dev/vdb", os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, 4096)

# Buffers of every cache: datagrams, and a connection.
ear, mouth = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
ear.bind(("127.0.0.1", 0))
ear.settimeout(0.1)  # where the network loses some
mouth.connect(ear.getsockname())
server, client = socket.create_server(("127.0.0.1", 0)), socket.socket()
client.connect(server.getsockname())
peer, _ = server.accept()

while time.monotonic() < end:
    for _ in range(20):
        os.write(there[1], b"x")
        os.read(back[0], 1)
    for n in range(40):
        os.preadv(disk, [page], n * 8192)
    for _ in range(10):
        mouth.send(b"datagram")
        try:
            ear.recv(100)
        except TimeoutError:
            pass
        client.sendall(b"s" * 100)
        peer.recv(100)
    client.sendall(b"l" * 5000)
    left = 5000
    while left:
        left -= len(peer.recv(left))
os.close(there[1])
os.wait()
"""
"""Switches, interrupts and network buffers for so many seconds, all at once."""

FORKS = "for i in $(seq {count}); do /bin/true; done"
"""So many processes, and the one that counts them."""

WRITES = "dd if=/dev/zero of={folder}/written bs=4k count={count} 2>/dev/null"
"""So many pages written, and not yet to the disk."""


@dataclass(frozen=True)
class Guest:
    """What runs in a lab, and what its kernel tells there: the second source of everything."""

    target: LabTarget

    def run(self, command: str) -> str:
        """Run a command of the shell for at most a minute; what it printed. It must succeed."""
        reply = self.target.connection.call("exec", argv=["sh", "-ec", command])
        output = reply.blob.decode(errors="replace")
        assert reply.head["status"] == 0, output
        return output[: reply.head["stdout"]]

    def python(self, code: str, *arguments: object) -> str:
        """Run a program for at most a minute; what it printed."""
        words = " ".join(map(str, arguments))
        return self.run(f"exec python3 -I -S - {words} <<'END'\n{code}\nEND\n")

    def number(self, path: str, name: str) -> int:
        """The number behind a name in a file."""
        return int(self.run(f"awk '$1 == \"{name}\" {{ print $2 }}' {path}"))

    def interrupts(self) -> dict[str, int]:
        """Lines of ``/proc/interrupts`` of this machine with one CPU."""
        rows = [line.split() for line in self.run("tail -n +2 /proc/interrupts").splitlines()]
        return {row[0].rstrip(":"): int(row[1]) for row in rows}

    def put(self, path: str, text: str) -> None:
        """Write a file."""
        self.target.connection.call("put", text.encode(), path=path)

    def wait_for(self, path: str, timeout_s: float) -> None:
        """Wait until a file is there, and remove it."""
        end = time.monotonic() + timeout_s
        while "yes" not in self.run(f"[ ! -e {path} ] || echo yes"):
            assert time.monotonic() < end, f"there is no {path}"
            time.sleep(0.2)
        self.run(f"rm {path}")

    @contextmanager
    def background(self, command: str) -> Iterator[None]:
        """A command that runs meanwhile, and is ended."""
        pid = self.run(f"{{ {command}; }} >/dev/null 2>&1 </dev/null & echo $!").strip()
        try:
            yield
        finally:
            self.run(f"pkill -P {pid} || true; kill {pid} 2>/dev/null || true")


def row_of(frame: pd.DataFrame, name: str, part: str = "") -> Any:
    """A row of a frame of health by column."""
    return frame.loc[(name, part)]


Watching: TypeAlias = Callable[..., Watch]
