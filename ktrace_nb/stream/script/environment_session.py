"""What a script's handlers find around them in a session."""

from __future__ import annotations

import queue
import random
import struct
import threading
from collections.abc import Callable, Mapping, Sequence

from ktrace_nb.errors import KTraceError, RemoteError
from ktrace_nb.ir.script import Limits, Piece
from ktrace_nb.stream.maps import MapSnapshot
from ktrace_nb.stream.script.environment import Task, Zone
from ktrace_nb.stream.script.errors import LimitError
from ktrace_nb.stream.script.formats import Formats
from ktrace_nb.stream.script.port import Port
from ktrace_nb.stream.script.prints import Site, TextSink
from ktrace_nb.stream.script.symbols import Symbolizer
from ktrace_nb.stream.script.values import Cutter, Value


class SessionEnvironment:
    """The :class:`~ktrace_nb.stream.script.environment.Environment` of a session.

    Args:
        limits: Of the script.
        symbols: Names for numbers of the target.
        port: The way to the target.
        sink: Where text goes.
        sites: Tables of the places that print values.
        warned: Told of warnings.
    """

    def __init__(
        self,
        limits: Limits,
        symbols: Symbolizer,
        port: Port,
        sink: TextSink,
        sites: Mapping[int, Site],
        warned: Callable[[str], None],
    ) -> None:
        self.cut = Cutter(limits.max_string)
        self.max_nesting = limits.max_nesting
        self.symbols = symbols
        self.random = random.Random()
        self.task = Task.here()
        self.zone = Zone.here()
        self.target_pid = 0
        self.reply = ""
        self.exiting = False
        """Whether a handler has called ``exit()``."""
        self._realtime_offset_ns = 0
        self._port = port
        self._sink = sink
        self._sites = sites
        self._formats = Formats()
        self._warned = warned
        self._now_ns: int | None = None
        self._commands: list[threading.Thread] = []
        self._printed: queue.SimpleQueue[str] = queue.SimpleQueue()

    def set_clock(self) -> int:
        """Ask for the target's clocks; its wall clock less its monotonic one, nanoseconds."""
        self._realtime_offset_ns = self._port.set_clock()
        return self._realtime_offset_ns

    def print(self, site: int, pieces: Sequence[Piece], values: Sequence[Value]) -> None:
        """Put out what a place of the script prints, and keep the values as a row."""
        self._sink.write(self._formats(pieces)(values))
        table = self._sites.get(site)
        if table is not None:
            table.add(tuple(values))

    def write(self, text: str) -> None:
        """Put out text that belongs to no place."""
        self._sink.write(text)

    def warn(self, message: str) -> None:
        """Show a warning among the session's notes."""
        self._warned(message)

    def exit(self) -> None:
        """Begin to end the script."""
        self.exiting = True

    def system(self, command: str) -> None:
        """Start a command in a shell on the target; what it prints is put out when it has ended."""

        def run() -> None:
            try:
                _, printed = self._port.shell(command)
                self._printed.put(printed)
            except KTraceError as error:
                self._printed.put(f"{command}: {error.message}\n")

        thread = threading.Thread(target=run, name=f"system {command}", daemon=True)
        self._commands.append(thread)
        thread.start()

    def put_out_commands(self, wait_s: float = 0.0) -> None:
        """Put out what commands have printed.

        Args:
            wait_s: How long to wait for those that still run, each.
        """
        for thread in self._commands:
            thread.join(wait_s)
        self._commands = [thread for thread in self._commands if thread.is_alive()]
        while not self._printed.empty():
            self._sink.write(self._printed.get())

    def at(self, ktime_ns: int | None) -> None:
        """Stop the clocks at the moment of an event; None lets them go on."""
        self._now_ns = ktime_ns

    def realtime_ns(self) -> int:
        """The target's wall clock, nanoseconds since 1970."""
        return self.monotonic_ns() + self._realtime_offset_ns

    def monotonic_ns(self) -> int:
        """The target's ``CLOCK_MONOTONIC``, nanoseconds; of an event's handler, when the event was."""
        return self._port.monotonic_ns() if self._now_ns is None else self._now_ns

    def read_kernel(self, address: int, size: int) -> bytes | None:
        """The target kernel's memory as it is now; None if it cannot be read there.

        Raises:
            LimitError: The kernel lets nobody read it.
        """
        return self._peek(address, size, text=False)

    def read_kernel_string(self, address: int, size: int) -> bytes | None:
        """A string there without its NUL, ``size`` bytes at most with it; None if it cannot be read.

        Raises:
            LimitError: The kernel lets nobody read it.
        """
        return self._peek(address, size, text=True)

    def _peek(self, address: int, size: int, *, text: bool) -> bytes | None:
        try:
            return self._port.peek(address, size, text=text)
        except RemoteError as refused:
            raise LimitError(refused.message) from None


class Stacks:
    """Addresses of stacks by their numbers, from snapshots of the map that has them.

    Args:
        read: Gives a fresh snapshot; None where the script keeps no stacks.
    """

    def __init__(self, read: Callable[[], MapSnapshot | None]) -> None:
        self._read = read
        self._known: dict[int, tuple[int, ...]] = {}

    def forget(self) -> None:
        """The map is empty: what was known of numbers is of others from now on."""
        self._known.clear()

    def __call__(self, number: int) -> Sequence[int]:
        """The addresses, the innermost first; none if the stack could not be kept."""
        if number < 0:
            return ()
        if number not in self._known:
            self._look()
        # One that is not there now will not be: a stack is kept before its number is sent.
        return self._known.setdefault(number, ())

    def _look(self) -> None:
        snapshot = self._read()
        if snapshot is None:
            return
        numbers = struct.unpack(f"<{len(snapshot.keys) // 4}I", snapshot.keys)
        for number, addresses in zip(
            numbers, struct.iter_unpack(f"<{snapshot.stride // 8}Q", snapshot.values), strict=True
        ):
            depth = addresses.index(0) if 0 in addresses else len(addresses)
            self._known[number] = addresses[:depth]
