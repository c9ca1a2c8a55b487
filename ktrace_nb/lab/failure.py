"""Why a machine ended, or hangs, in one sentence."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any, TypeGuard

from ktrace_nb.lab.qemu import CONSOLE
from ktrace_nb.lab.supervisor import ERRORS, EXIT, PROCESSES, started_at

# What the kernel prints: kernel/panic.c, arch/x86/kernel/dumpstack.c
_PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
_BUG = re.compile(r"^(?:BUG|Oops|kernel BUG at)\b.*", re.MULTILINE)
_PLACE = re.compile(r"^RIP: 0010:(\S+)", re.MULTILINE)  # 0033 would be a program's own code
_TASK = re.compile(r"^CPU: .* Comm: (.+?) (?:Not tainted|Tainted|Kdump)", re.MULTILINE)
_STAMP = re.compile(r"^\[ *\d+\.\d+\] ?", re.MULTILINE)


def console_text(folder: Path) -> str:
    """What the guest's kernel printed, without time stamps; empty if the machine is gone."""
    try:
        text = (folder / CONSOLE).read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return _STAMP.sub("", text.replace("\r", ""))


def panic_cause(console: str) -> str | None:
    """The panic in a console's text: its reason, the fault behind it, place and task."""
    panic = _PANIC.search(console)
    if panic is None:
        return None
    cause = f"the lab's kernel panicked: {panic[1].strip()}"
    fault = _BUG.search(console[: panic.start()])
    if fault is not None:
        cause += f" ({fault[0].strip()})"
    return cause + _whereabouts(console)


def hang_cause(console: str) -> str | None:
    """Where the kernel was when an NMI made it panic; None if it did not."""
    if _PANIC.search(console) is None:
        return None
    task = _TASK.search(console)
    if task is not None and _PLACE.search(console) is None:
        return f"the lab hung: {task[1]!r} lets nothing else run"
    return "the lab's kernel hung" + _whereabouts(console)


def _whereabouts(console: str) -> str:
    place, task = _PLACE.search(console), _TASK.search(console)
    return (f" at {place[1]}" if place else "") + (f", running {task[1]!r}" if task else "")


def read_record(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of a machine's folder; empty if there is none."""
    try:
        found = json.loads((folder / name).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def lives(process: list[int] | None) -> TypeGuard[list[int]]:
    """Whether a process named by number and start is still there."""
    return process is not None and started_at(process[0]) == process[1] != 0


def end_cause(folder: Path) -> str | None:
    """Why a machine ended; None if it has not."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:  # whoever stopped it has cleared up
        return "the lab was stopped"
    if EXIT not in names:
        processes = read_record(folder, PROCESSES)
        if not processes or lives(processes.get("qemu")):
            return None
        if lives(processes.get("supervisor")):
            time.sleep(0.05)  # it is writing it down right now
            return end_cause(folder)
        return "the lab was stopped"
    panic = panic_cause(console_text(folder))
    if panic is not None:
        return panic
    status = int(read_record(folder, EXIT).get("status", 0))
    lines = (folder / ERRORS).read_text(errors="replace").splitlines()
    said = [line.removeprefix("qemu-system-x86_64: ") for line in lines if "warning:" not in line]
    words = f": {said[-1]}" if said else ""
    if status < 0:
        return f"qemu was killed by {signal.Signals(-status).name}{words}"
    if status or "terminating on signal" in words:
        return f"qemu ended with status {status}{words}"
    return "the lab was shut down or restarted from inside"
