"""Templates: a booted guest, frozen, from which sessions start in a moment.

A template is made once per machine by booting a guest, waiting for its agent,
and saving its memory and the state of its devices. A session maps the memory
copy-on-write, so it costs only what it changes, and nothing it does lasts.

It can be resumed by exactly the machine that was saved. Everything that may
make a difference goes into its key: the image, the agent, the options that
make up the machine, QEMU's program file, the processor. It is built where it
is used and never handed out.

====================== =======================================================
``template.json``      the key's parts
``ram``                the guest's memory, a sparse file
``state``              devices and processors, QEMU's migration format
``facts/``             see ``ktrace_nb.lab.facts``
====================== =======================================================
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ktrace_nb.agent.package import agent_digest
from ktrace_nb.errors import MissingError, TargetError
from ktrace_nb.lab import store
from ktrace_nb.lab.facts import NAMES, Facts
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.qemu import MONITOR, Shape, machine_options
from ktrace_nb.lab.qmp import Monitor, monitor
from ktrace_nb.lab.tools import require_tools

FORMAT = 1
_DESCRIPTION = "template.json"
_ROOM = 300 << 20  # twice of what a template of the default size takes
_PATIENCE_S = 30.0
_IGNORE_SHARED = [{"capability": "x-ignore-shared", "state": True}]


@dataclass(frozen=True)
class Template:
    """A frozen guest."""

    folder: Path

    @property
    def ram(self) -> Path:
        """The guest's memory."""
        return self.folder / "ram"

    @property
    def state(self) -> Path:
        """Everything but the memory."""
        return self.folder / "state"

    @property
    def facts(self) -> Facts:
        """What the guest said about its kernel before it was frozen."""
        return Facts(self.folder / "facts")

    @property
    def size(self) -> int:
        """Bytes it takes on the disk."""
        files = [self.ram, self.state, *(self.folder / "facts").iterdir()]
        return sum(file.stat().st_blocks * 512 for file in files)


def describe(image: Image, shape: Shape) -> dict[str, Any]:
    """What a template for this machine depends on.

    ``base`` is what goes out of date; the rest is a matter of choice.
    """
    program = require_tools("qemu-system-x86_64")["qemu-system-x86_64"]
    # Asking QEMU for its version takes longer than resuming a guest; a
    # program file that was not touched is the same version.
    found = program.stat()
    return {
        "base": {
            "format": FORMAT,
            "image": image.digest,
            "agent": agent_digest(),
            "facts": list(NAMES),
            "qemu": [str(program), found.st_size, found.st_mtime_ns],
            "processor": _processor(),
        },
        "machine": machine_options(shape),
    }


def _processor() -> list[str]:
    """Model and features of the host's processor."""
    wanted = ("vendor_id", "model name", "stepping", "microcode", "flags")
    with Path("/proc/cpuinfo").open() as file:
        first = iter(file.readline, "\n")
        return [line.strip() for line in first if line.startswith(wanted)]


def key(description: dict[str, Any]) -> str:
    """A short name for a description."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]


def place(image: Image, name: str) -> Path:
    """Where a template is, or will be."""
    return store.cache("templates", image.name, name)


def lock_file(image: Image, name: str) -> Path:
    """What a user of a template locks together with others, and its maker alone."""
    return store.cache("templates", image.name, f"{name}.lock")


def find_template(image: Image, name: str) -> Template | None:
    """The template of this key, or None."""
    folder = place(image, name)
    return Template(folder) if (folder / _DESCRIPTION).is_file() else None


def make_template(
    image: Image, name: str, description: dict[str, Any], fill: Callable[[Path], None]
) -> Template:
    """Make a template and put it in its place; the caller holds its lock.

    Args:
        image: What it is of.
        name: Its key.
        description: What the key was made of.
        fill: Boots a guest with its memory in the given folder, and saves it there.
    """
    folder = place(image, name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder.parent).free < _ROOM:
        # QEMU would be killed in the middle of a boot, by SIGBUS.
        raise MissingError("there is no room for the lab's template", fix=f"free some under {folder.parent}")
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as scratch:
        new = Path(scratch) / "template"
        new.mkdir()
        fill(new)
        for file in ("ram", "state"):
            with (new / file).open("rb") as written:
                os.fsync(written.fileno())
        (new / _DESCRIPTION).write_text(json.dumps(description))
        new.rename(folder)
    _remove_outdated(folder, description)
    return Template(folder)


def _remove_outdated(kept: Path, description: dict[str, Any]) -> None:
    """Delete templates of the same image name that nothing can resume any more."""
    for folder in kept.parent.iterdir():
        if folder.name.startswith(".") or not folder.is_dir() or folder == kept:
            continue
        try:
            base = json.loads((folder / _DESCRIPTION).read_text()).get("base")
        except (OSError, ValueError):
            base = None
        if base != description["base"]:
            remove_template(folder)


def remove_template(folder: Path) -> bool:
    """Delete a template unless a machine runs from it; whether it is gone."""
    lock = folder.with_name(f"{folder.name}.lock")
    with suppress(BlockingIOError), store.locked(lock, wait=False):
        shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def save(machine: Path, template: Path) -> None:
    """Freeze a running machine whose memory is in ``template``.

    Raises:
        TargetError: QEMU could not write its state.
    """
    with monitor(machine / MONITOR) as qemu, (template / "state").open("wb") as file:
        qemu.command("stop")
        qemu.command("migrate-set-capabilities", capabilities=_IGNORE_SHARED)
        with _pipe() as (source, end):
            qemu.hand_over("state", end.fileno())
            end.close()
            qemu.command("migrate", uri="fd:state")
            while _ready(source, select.POLLIN) and (data := os.read(source.fileno(), 1 << 20)):
                file.write(data)
        outcome = qemu.wait_for("query-migrate", ("completed", "failed", "cancelled"), timeout_s=_PATIENCE_S)
        if outcome != "completed":
            reason = qemu.command("query-migrate").get("error-desc", outcome)
            raise TargetError(f"the lab could not be frozen: {reason}")


def resume(qemu: Monitor, template: Template) -> None:
    """Bring a machine that waits for a template's state to life.

    Raises:
        TargetError: QEMU does not take the state.
    """
    qemu.command("migrate-set-capabilities", capabilities=_IGNORE_SHARED)
    data = memoryview(template.state.read_bytes())
    with _pipe() as (source, end), suppress(BrokenPipeError):  # it says itself why it stopped reading
        qemu.hand_over("state", source.fileno())
        source.close()
        qemu.command("migrate-incoming", uri="fd:state")
        os.set_blocking(end.fileno(), False)
        while data and _ready(end, select.POLLOUT):
            data = data[os.write(end.fileno(), data) :]
    qemu.wait_for("query-status", ("paused", "running", "prelaunch"), timeout_s=_PATIENCE_S)
    qemu.command("cont")


# QEMU's sandbox keeps it from opening a program to write through; that it is
# handed a plain file it has called deprecated since version 9. A pipe it is.
@contextmanager
def _pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as source, os.fdopen(write, "wb", buffering=0) as end:
        yield source, end


def _ready(pipe: IO[bytes], event: int) -> bool:
    """Wait for QEMU at the other end.

    Raises:
        TargetError: It does not go on.
    """
    waiter = select.poll()
    waiter.register(pipe, event)
    if not waiter.poll(_PATIENCE_S * 1000):
        raise TargetError("qemu does not go on with the lab's state")
    return True
