"""Bring a lab to life: from its template, or by booting it and making one."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from ktrace_nb.errors import TargetError
from ktrace_nb.lab import ports, store, template
from ktrace_nb.lab.accel import SILENCE_S, choose_accelerator, remember
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.facts import fetch_facts
from ktrace_nb.lab.failure import console_text, end_cause
from ktrace_nb.lab.image import Image, image_in_place
from ktrace_nb.lab.initrd import agent_part
from ktrace_nb.lab.launch import Leash, launch
from ktrace_nb.lab.machine import LabMachine, Record, this_process, write_record
from ktrace_nb.lab.qemu import CONSOLE, MONITOR, Memory, Shape
from ktrace_nb.lab.qmp import monitor
from ktrace_nb.progress import Progress, silent

BOOT_S = 120.0
"""How long a boot may take; under TCG on an idle machine it takes 4 s."""

_TYPICAL_BOOT_S = 7.0
_BOOTS = 5
"""How often it is booted until its clock is right: a processor that is taken away from QEMU
while the kernel in it measures its speed makes the clock of every session run too fast."""

_CLOCK_ERROR = 0.02
_WATCH_CLOCK_S = 1.0
"""How long a guest's clock is compared with the host's, at least: answers take milliseconds."""

_ANSWERS = 20
"""On a busy machine most answers take long, and say nothing about the clock."""

_WAITING = "waiting for another process that boots this lab"
_RESUME_S = 10.0


class _SilenceError(Exception):
    """The guest has not said a word for too long."""


def start_machine(
    image: Image, *, cpus: int = 1, memory_mb: int = 512, progress: Progress = silent
) -> LabMachine:
    """Start a lab that this process owns: it ends when the process does.

    The first start of an image on a machine boots it and makes a template,
    which takes some 6 s; every other start resumes the template.

    Args:
        image: What to start.
        cpus: Processors of the guest. One makes lessons repeatable.
        memory_mb: Its memory, MiB; files that sessions write live there too.
        progress: Told of every stage.

    Raises:
        MissingError: There is no QEMU on this machine.
        OptionError: Not a possible machine.
        TargetError: The guest failed; the message says how.
    """
    accelerator, proven = choose_accelerator()
    shape = Shape(accelerator, cpus, memory_mb)
    shape.check()
    # Memory frozen with one root file system must not wake up on another.
    with store.room_for("the lab's template", store.cache()), image_in_place(image):
        return _start_by(image, shape, proven, progress)


def _start_by(image: Image, shape: Shape, proven: bool, progress: Progress) -> LabMachine:
    """Start on KVM and find out whether it works, or on what is known to work."""
    try:
        machine = _start(image, shape, progress, watch=not proven)
    except (TargetError, _SilenceError):
        if proven:
            raise
        remember("tcg")
        return _start(image, replace(shape, accelerator="tcg"), progress, watch=False)
    if not proven:
        remember("kvm")
    return machine


def _start(image: Image, shape: Shape, progress: Progress, *, watch: bool) -> LabMachine:
    description = template.describe(image, shape)
    name = template.key(description)
    for attempt in (1, 2):
        with _template(image, shape, name, description, progress, watch=watch) as (found, lock):
            try:
                return _resume(image, shape, found, lock, watch=watch)
            except TargetError:
                if attempt == 2:
                    raise
        # QEMU does not take what it saved itself: something the key does not
        # know about has changed. Make it anew.
        template.remove_template(found.folder)
    raise AssertionError


@contextmanager
def _template(
    image: Image,
    shape: Shape,
    name: str,
    description: dict[str, object],
    progress: Progress,
    *,
    watch: bool,
) -> Iterator[tuple[template.Template, int]]:
    """The template, made if need be by one process while others wait; and the lock that keeps it."""
    with ExitStack() as stack:
        path = template.lock_file(image, name)
        try:
            lock = stack.enter_context(store.locked(path, shared=True, wait=False))
        except BlockingIOError:
            progress(_WAITING)
            lock = stack.enter_context(store.locked(path, shared=True))
        while True:
            found = template.find_template(image, name)
            if found is not None:
                yield found, lock
                return
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress(_WAITING)
                fcntl.flock(lock, fcntl.LOCK_EX)
            if template.find_template(image, name) is None:
                template.make_template(
                    image,
                    name,
                    description,
                    lambda folder: _boot_and_save(image, shape, folder, progress, watch),
                )
            fcntl.flock(lock, fcntl.LOCK_SH)


def _boot_and_save(image: Image, shape: Shape, folder: Path, progress: Progress, watch: bool) -> None:
    """Boot a guest with its memory in ``folder``, ask it for facts, freeze it there.

    Raises:
        TargetError: It does not boot, or its clock came out wrong every time.
    """
    for _ in range(_BOOTS):
        pace = _boot_once(image, shape, folder, progress, watch)
        if abs(pace - 1) <= _CLOCK_ERROR:
            return
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    raise TargetError(
        f"the lab's clock runs {pace:.2f} times as fast as this machine's",
        hint="its kernel measures the processor while it boots; try again when this machine is less busy",
    )


def _boot_once(image: Image, shape: Shape, folder: Path, progress: Progress, watch: bool) -> float:
    """Make what is to be a template; gives how fast the guest's clock runs, 1 is right."""
    machine, leash = launch(
        image,
        shape,
        Memory(folder / "ram", shared=True),
        boot=image.path("initrd").read_bytes() + agent_part(),
    )
    try:
        with Caller(_wait_for_agent(machine, progress, watch)) as caller:
            begin, begin_there = _both_clocks(caller)
            fetch_facts(caller, image.path("config").read_bytes(), folder / "facts", progress)
            time.sleep(max(0.0, _WATCH_CLOCK_S - (time.monotonic_ns() - begin) / 1e9))
            end, end_there = _both_clocks(caller)
            pace = (end_there - begin_there) / (end - begin)
        progress("freezing the lab")
        _settle(machine)
        template.save(machine, folder)
        return pace
    finally:
        leash.release()


def _both_clocks(caller: Caller) -> tuple[int, int]:
    """The host's clock and the guest's at one moment, nanoseconds: of some answers the quickest."""
    found = []
    for _ in range(_ANSWERS):
        before = time.monotonic_ns()
        there = int(caller.hello()["monotonic_ns"])
        after = time.monotonic_ns()
        found.append((after - before, (before + after) // 2, there))
    _, here, there = min(found)
    return here, there


def _wait_for_agent(machine: Path, progress: Progress, watch: bool) -> ports.PortSocket:
    """Wait until a booting guest's agent greets.

    Raises:
        TargetError: The guest failed.
        _SilenceError: It is watched, and does not say a word.
    """
    begin = heard = time.monotonic()
    said = 0

    def check() -> None:
        nonlocal heard, said
        now = time.monotonic()
        progress("booting the lab", round(min(now - begin, _TYPICAL_BOOT_S), 1), _TYPICAL_BOOT_S, "s")
        cause = end_cause(machine)
        if cause is not None:
            raise TargetError(f"the lab did not boot: {cause}", hint=_last_words(machine))
        try:
            size = (machine / CONSOLE).stat().st_size
        except FileNotFoundError:
            size = 0
        if size != said:
            heard, said = now, size
        if watch and now - heard > SILENCE_S:
            raise _SilenceError

    try:
        return ports.connect(machine, timeout_s=BOOT_S, greeting_s=BOOT_S, check=check)
    except TargetError as error:
        check()
        raise TargetError(f"the lab did not boot: {error.message}", hint=_last_words(machine)) from None


def _last_words(machine: Path) -> str | None:
    lines = console_text(machine).strip().splitlines()
    return f"the kernel's last message: {lines[-1]}" if lines else None


def _settle(machine: Path) -> None:
    """Wait until the agent has seen its client go, so that no port is half closed in the template."""
    # The agent closes and opens the port it was connected to; a connection
    # on another port that is greeted and closed lies behind that.
    for _ in range(2):
        ports.connect(machine).close()
    time.sleep(4 * ports.REST_S)


def _resume(image: Image, shape: Shape, found: template.Template, lock: int, *, watch: bool) -> LabMachine:
    folder, leash = launch(image, shape, Memory(found.ram), keep=lock)
    try:
        return _awake(image, shape, found, folder, leash, watch=watch)
    except BaseException as error:
        cause = end_cause(folder)
        leash.release()
        if cause is not None and isinstance(error, TargetError):
            raise TargetError(f"the lab could not be resumed: {cause}") from None
        raise


def _awake(
    image: Image, shape: Shape, found: template.Template, folder: Path, leash: Leash, *, watch: bool
) -> LabMachine:
    record = Record(
        name=image.name,
        kernel=image.kernel,
        accelerator=shape.accelerator,
        cpus=shape.cpus,
        memory_mb=shape.memory_mb,
        started=time.time(),
        owner=this_process(),
        facts=str(found.folder / "facts"),
        template_size=found.size,
    )
    write_record(folder, record)
    with monitor(folder / MONITOR, timeout_s=_RESUME_S) as qemu:
        template.resume(qemu, found)
    machine = LabMachine(folder, leash)
    machine.set_clock(timeout_s=SILENCE_S if watch else _RESUME_S)
    return machine
