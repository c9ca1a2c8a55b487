"""Start the agent.

``--stdio`` serves one connection on standard input and output and ends with
it. ``--ports PREFIX`` serves every virtio serial port whose name begins with
PREFIX, one connection after the other on each, and never ends.
"""

from __future__ import annotations

import os
import resource
import select
import sys
import threading
import time

from ktrace_nb.agent import mounts
from ktrace_nb.agent.channel import Channel
from ktrace_nb.agent.server import Server
from ktrace_nb.wire.frames import EVENT, ChannelClosed


def serve_stdio() -> None:
    """One connection; then the process ends and the kernel lets go of everything."""
    # Whatever a library or a child prints must not get between the messages.
    read_fd, write_fd = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    Server(Channel(read_fd, write_fd)).run()
    os._exit(0)


def find_ports(prefix: str) -> list[str]:
    """Device files of the virtio serial ports with names that begin with ``prefix``."""
    root = "/sys/class/virtio-ports"
    found = []
    for port in sorted(os.listdir(root)):
        try:
            with open(f"{root}/{port}/name") as file:
                name = file.read().strip()
        except OSError:
            continue
        if name.startswith(prefix):
            found.append("/dev/" + port)
    return found


class Port:
    """One virtio serial port, open or waiting to be."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.count = 0
        self.fd = -1

    def open(self) -> None:
        """Open the device file, which only one descriptor may hold at a time."""
        while True:
            try:
                self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
                return
            except OSError:
                # A child between fork and exec still holds the last one.
                time.sleep(0.01)

    def serve(self) -> None:
        """Serve one client to its end; then close, which discards what it left unread.

        Nothing tells the two sides where one client's bytes end and the next
        one's begin. So the first thing on a fresh port is an event ``ready``:
        a client waits for it before it says anything, and one that finds it in
        the middle of its stream knows that the stream was cut.
        """
        self.count += 1
        channel = Channel(self.fd, self.fd)
        try:
            channel.send(EVENT, {"ready": self.count})
            Server(channel).run()
        except ChannelClosed:
            pass  # it left before the greeting
        finally:
            channel.close()
            os.close(self.fd)
            self.open()


def serve_ports(prefix: str) -> None:
    """Serve every port; a port waits until the host side is open.

    The driver reports a hang-up while the host side is closed and wakes the
    poller when it opens, so an edge-triggered wait costs nothing meanwhile.
    """
    waiting = select.epoll()
    edge = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
    ports: dict[int, Port] = {}

    def wait_for(port: Port) -> None:
        ports[port.fd] = port
        waiting.register(port.fd, edge)

    def serve(port: Port) -> None:
        try:
            port.serve()
        finally:
            wait_for(port)

    for path in find_ports(prefix):
        port = Port(path)
        port.open()
        wait_for(port)
    while True:
        try:
            events = waiting.poll()
        except InterruptedError:
            continue
        for fd, event in events:
            if not event & select.EPOLLHUP:
                waiting.unregister(fd)
                threading.Thread(target=serve, args=(ports.pop(fd),), name="port", daemon=True).start()


def main() -> None:
    """Provide what many probes need, then serve."""
    mounts.provide()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        pass  # kernels since 5.11 account BPF memory to the cgroup instead
    if sys.argv[1:2] == ["--ports"]:
        serve_ports(sys.argv[2])
    else:
        serve_stdio()


if __name__ == "__main__":
    main()
