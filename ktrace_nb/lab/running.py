"""The machines of this user that run right now."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

from ktrace_nb.errors import TargetError
from ktrace_nb.lab import store
from ktrace_nb.lab.failure import lives, read_record
from ktrace_nb.lab.machine import LabMachine
from ktrace_nb.lab.supervisor import PROCESSES

_UNBORN_S = 60.0
"""How old a folder may be in which nothing runs yet."""


def running_machines() -> list[LabMachine]:
    """Every running machine of this user, oldest first; clears up after dead ones."""
    found = []
    for folder in store.runtime().glob("lab-*"):
        if not folder.is_dir():
            continue  # the lock of a lab whose name begins so
        if _forsaken(folder):
            _clear(folder)
            continue
        with suppress(TargetError):
            found.append(LabMachine(folder))
    return sorted(found, key=lambda machine: machine.record.started)


def find_running(name: str = "lab") -> LabMachine | None:
    """The lab of this name that ``ktrace-nb lab start`` started, or None."""
    for machine in running_machines():
        if machine.record.name == name and machine.record.until is not None:
            return machine
    return None


def _forsaken(folder: Path) -> bool:
    """Whether a machine's supervisor died without clearing up."""
    processes = read_record(folder, PROCESSES)
    if processes:
        return not lives(processes.get("supervisor"))
    with suppress(FileNotFoundError):
        return time.time() - folder.stat().st_mtime > _UNBORN_S
    return False


def _clear(folder: Path) -> None:
    qemu = read_record(folder, PROCESSES).get("qemu")
    if lives(qemu):
        with suppress(ProcessLookupError):
            os.kill(qemu[0], signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
