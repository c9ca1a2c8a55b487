"""Calls by ftrace's tracer ``function_graph``.

It sees hundreds of functions within half a second on kernels where as many kprobes
take half a minute, but neither arguments nor, on most, results. What it writes
comes as raw pages of the ring buffer; the notebook's side takes them apart.

Whoever else reads ``trace_pipe`` of the same buffer takes events away from us.

``head["graph"]`` of a ``collect``:

============= ==========================================================================
``bytes``     how much of the blob it is
``page``      bytes per page
``cpus``      of each CPU, in order: number, pages, 1 if nothing was left (else 0)
``before_ns`` ``CLOCK_MONOTONIC`` before anything was read
``lost``      events overwritten before they were read or without room, so far
``formats``   first time: ``header_page``, ``funcgraph_entry``, ``funcgraph_exit`` as in tracefs
============= ==========================================================================
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from ktrace_nb.agent.host import online_cpus, read_file
from ktrace_nb.agent.mounts import TRACEFS
from ktrace_nb.agent.tracer import Tracer
from ktrace_nb.wire.bundle import GraphDef

_LOST = re.compile(rb"^(?:overrun|commit overrun|dropped events): (\d+)", re.MULTILINE)
_ALL = 1 << 62
_FORMATS = {
    "header_page": "header_page",
    "funcgraph_entry": "ftrace/funcgraph_entry/format",
    "funcgraph_exit": "ftrace/funcgraph_exit/format",
}


class Graph:
    """What the tracer writes, set up and not yet recording.

    Args:
        definition: What is wanted.

    Raises:
        AgentError: As :class:`Tracer` does; everything is put back.
    """

    def __init__(self, definition: GraphDef) -> None:
        self._lost = 0
        self._told_formats = False
        self._pipes: dict[int, int] = {}
        self._rest: dict[int, list[bytes]] = {}
        self._tracer = Tracer(definition)
        self.refused = self._tracer.refused
        """Functions that ftrace does not offer."""
        try:
            for cpu in online_cpus():
                path = f"{self._tracer.root}/per_cpu/cpu{cpu}/trace_pipe_raw"
                self._pipes[cpu] = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                self._rest[cpu] = []
        except BaseException:
            self.close()
            raise

    @property
    def fds(self) -> list[int]:
        """What can be polled: readable when half a buffer is full."""
        return list(self._pipes.values())

    def start(self) -> None:
        """Record from now on; if processes are to be named, from the first on."""
        self._tracer.start()

    def track(self, pid: int) -> None:
        """Record this process, its threads and what they start; none but those tracked.

        Raises:
            AgentError: ``no_process`` if there is none.
        """
        self._tracer.track(pid)

    def pause(self) -> None:
        """Record nothing until :meth:`resume`; nothing is taken away."""
        self._tracer.pause()

    def resume(self) -> None:
        """Go on recording."""
        self._tracer.resume()

    def take(self, limit: int, before_ns: int) -> tuple[dict[str, Any], list[bytes]]:
        """Take pages written since the last call.

        Args:
            limit: About how many bytes of them.
            before_ns: ``CLOCK_MONOTONIC`` before anything was read, of the session's rings too.

        Returns:
            What is to be known of the pages, and the pages.
        """
        size = self._tracer.page
        head: dict[str, Any] = {"page": size, "before_ns": before_ns, "cpus": []}
        blobs: list[bytes] = []
        # Every CPU gets its share, or the first would keep the others waiting for ever.
        share = max(1, limit // size // max(1, len(self._rest)))
        for cpu, rest in self._rest.items():
            pages = rest[:share]
            del rest[:share]
            drained = not rest
            if cpu in self._pipes:
                drained = self._read(cpu, pages, share, before_ns)
            head["cpus"].append([cpu, len(pages), int(drained)])
            blobs += pages
        head["bytes"] = sum(map(len, blobs))
        head["lost"] = self._count_lost()
        if not self._told_formats:
            self._told_formats = True
            head["formats"] = {
                name: read_file(f"{TRACEFS}/events/{path}").decode() for name, path in _FORMATS.items()
            }
        return head, blobs

    def _read(self, cpu: int, pages: list[bytes], most: int, before_ns: int) -> bool:
        """Add what there is to ``pages``; whether everything from before that time is there now.

        Reading may itself be what is recorded: then every page read writes the next, and
        there is no end but in time. A page begins with the time of its first event.
        """
        fd, size = self._pipes[cpu], self._tracer.page
        while len(pages) < most:
            try:
                page = os.read(fd, size)
            except BlockingIOError:
                return True
            if not page:
                return True
            pages.append(page)
            if int.from_bytes(page[:8], sys.byteorder) > before_ns:
                return True
        return False

    def _count_lost(self) -> int:
        if self._pipes:
            texts = [read_file(f"{self._tracer.root}/per_cpu/cpu{cpu}/stats") for cpu in self._pipes]
            self._lost = sum(int(count) for text in texts for count in _LOST.findall(text))
        return self._lost

    def stop(self) -> None:
        """Take the tracer away and put everything back; what is unread can be taken still.

        Safe to call twice.
        """
        try:
            if self._pipes:
                self._tracer.pause()
                for cpu, rest in self._rest.items():
                    self._read(cpu, rest, _ALL, _ALL)
                self._count_lost()
        finally:
            # While a pipe is open, the tracer cannot be changed.
            for fd in self._pipes.values():
                os.close(fd)
            self._pipes = {}
            self._tracer.remove()

    def close(self) -> None:
        """The same, and forget what is unread."""
        self.stop()
        self._rest = {}
