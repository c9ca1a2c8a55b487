"""Start QEMU under its supervisor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from ktrace_nb.lab import store, supervisor
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.qemu import Memory, Shape, command, listen
from ktrace_nb.lab.tools import require_tools


class Leash:
    """The owner's hold on a machine: let go, and the machine is gone."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self._process = process
        self._fd = fd

    def detach(self, seconds: float) -> None:
        """Let the machine live on without this process, for a while."""
        os.write(self._fd, b"detach %d\n" % seconds)
        self._drop()

    def release(self) -> None:
        """End the machine and wait until it is gone. Safe to call twice."""
        self._drop()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)

    def _drop(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def launch(
    image: Image, shape: Shape, memory: Memory, *, boot: bytes | None = None, keep: int | None = None
) -> tuple[Path, Leash]:
    """Start a machine; it is QEMU that runs when this returns, not yet the guest.

    Args:
        image: Kernel and disks.
        shape: The kind of machine.
        memory: Where the guest's memory is.
        boot: The initial ram disk to boot with; None to wait for a template's state.
        keep: A descriptor to hold open as long as the machine lives.

    Returns:
        The machine's folder, and the hold on it.

    Raises:
        MissingError: There is no QEMU on this machine.
    """
    program = require_tools("qemu-system-x86_64")["qemu-system-x86_64"]
    folder = store.new_machine_folder()
    with ExitStack() as undo, ExitStack() as stack:
        undo.callback(shutil.rmtree, folder)
        initrd = image.path("initrd")
        if boot is not None:
            initrd = folder / "initrd"
            initrd.write_bytes(boot)
        listeners = listen(folder)
        for listener in listeners.values():
            stack.enter_context(listener)
        leash_read, leash_write = os.pipe()
        stack.callback(os.close, leash_read)
        undo.callback(os.close, leash_write)
        words = command(
            program, image, shape, folder, listeners, memory, initrd=initrd, incoming=boot is None
        )
        passed = [leash_read, *(listener.fileno() for listener in listeners.values())]
        process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", supervisor.__file__),
                *(str(folder), str(leash_read), str(os.getpid()), "--", *words),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=passed if keep is None else [*passed, keep],
            # An interrupt from the terminal or from Jupyter goes to the whole
            # group of the owner; the machine is not meant.
            start_new_session=True,
        )
        undo.pop_all()
    return folder, Leash(process, leash_write)
