"""An interactive shell in the guest, on the terminal this process has."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from ktrace_nb.errors import OptionError, TargetError
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.machine import LabMachine
from ktrace_nb.wire.frames import EVENT

_NAME = "shell"


def run_shell(machine: LabMachine, argv: list[str] | None = None) -> int:
    """Run a shell, or a command on a terminal, until it ends.

    Args:
        machine: Where.
        argv: What to run; a login shell by default.

    Returns:
        Its exit status; 128 and the number of the signal that killed it.

    Raises:
        OptionError: Standard input is not a terminal.
        TargetError: The machine ended, or cannot run it.
    """
    if not sys.stdin.isatty():
        raise OptionError("a shell needs a terminal on standard input")
    keyboard = sys.stdin.fileno()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    with Caller(machine.connect()) as caller, _raw(keyboard), _resizes(wake_write):
        columns, rows = os.get_terminal_size(keyboard)
        caller.send(
            "shell_open",
            shell=_NAME,
            argv=argv or ["/bin/sh", "-l"],
            term=os.environ.get("TERM", "linux"),
            rows=rows,
            columns=columns,
        )
        try:
            return _converse(caller, keyboard, wake_read)
        finally:
            os.close(wake_read)
            os.close(wake_write)


def _converse(caller: Caller, keyboard: int, resized: int) -> int:
    poll = select.poll()
    for fd in (caller.fileno(), keyboard, resized):
        poll.register(fd, select.POLLIN)
    while True:
        ready = {caller.fileno()} if caller.pending() else {fd for fd, _ in poll.poll()}
        if resized in ready:
            os.read(resized, 64)
            columns, rows = os.get_terminal_size(keyboard)
            caller.send("shell_write", shell=_NAME, rows=rows, columns=columns)
        if keyboard in ready:
            typed = os.read(keyboard, 4096)
            if typed:
                caller.send("shell_write", typed, shell=_NAME)
            else:
                poll.unregister(keyboard)
        if caller.fileno() in ready:
            message = caller.receive(timeout_s=60)
            error = message.head.get("error")
            if (
                error is not None and error["code"] != "busy"
            ):  # busy: what was typed is lost, as on any terminal
                raise TargetError(f"the lab's agent refused: {error['message']}")
            if message.kind == EVENT and message.head.get("shell") == _NAME:
                if message.blob:
                    sys.stdout.buffer.write(message.blob)
                    sys.stdout.buffer.flush()
                if "status" in message.head:
                    status = int(message.head["status"])
                    return status if status >= 0 else 128 - status


@contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    """Hand every key on as it is, Ctrl-C included."""
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


@contextmanager
def _resizes(wake: int) -> Iterator[None]:
    """Have a byte written whenever the terminal changes its size."""
    before = signal.signal(signal.SIGWINCH, lambda *_: os.write(wake, b"w"))
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
