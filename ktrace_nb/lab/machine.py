"""A running lab.

Everything about a running machine is in its folder: sockets, records, the
kernel's messages. So a handle of it works alike in the process that started it
and in any other of the same user; only the owner's end is the machine's end.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ktrace_nb.errors import AgentGoneError, OptionError, TargetError
from ktrace_nb.lab import ports, store
from ktrace_nb.lab.accel import Accelerator
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.disks import DISKS
from ktrace_nb.lab.facts import Facts
from ktrace_nb.lab.failure import console_text, end_cause, hang_cause, lives, read_record
from ktrace_nb.lab.launch import Leash
from ktrace_nb.lab.qemu import MONITOR
from ktrace_nb.lab.qmp import Monitor, monitor
from ktrace_nb.lab.supervisor import PROCESSES, started_at

RECORD = "machine.json"
_END_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a machine's folder says about it."""

    name: str
    """The image's name."""
    kernel: str
    accelerator: Accelerator
    cpus: int
    memory_mb: int
    started: float
    """Seconds since 1970."""
    owner: list[int]
    """Process and its start, in clock ticks since boot."""
    facts: str
    """The folder of the kernel's facts."""
    template_size: int
    """Bytes on the disk, 0 without a template."""
    until: float | None = None
    """When a lab started for everybody ends by itself; None for a private one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineStatus:
    """A running lab at a glance."""

    name: str
    kernel: str
    accelerator: Accelerator
    cpus: int
    memory_mb: int
    pid: int
    """QEMU's process; 0 if it has ended."""
    owner_pid: int
    """The process it ends with; 0 if it ends by itself."""
    uptime_s: float
    until: float | None
    """When it ends by itself, seconds since 1970; None if with its owner."""
    private_mb: float
    """Memory that this machine has to itself, MiB."""
    template_mb: float
    """Size of the template it came from, MiB; 0 if it was booted."""
    failure: str | None


class LabMachine:
    """A running lab. A context manager: leaving it stops the machine."""

    def __init__(self, folder: Path, leash: Leash | None = None) -> None:
        """Hold on to the machine in ``folder``; with a leash, own it.

        Raises:
            TargetError: There is no machine any more.
        """
        self.folder = folder
        self._leash = leash
        self._lock = threading.Lock()
        # A machine that nobody knows any more shall end before its process does.
        self._end = weakref.finalize(self, leash.release) if leash is not None else None
        try:
            self.record = Record(**json.loads((folder / RECORD).read_text()))
        except FileNotFoundError:
            raise TargetError("the lab was stopped") from None

    def __enter__(self) -> LabMachine:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """QEMU's process; 0 if it has ended."""
        process = read_record(self.folder, PROCESSES).get("qemu")
        return int(process[0]) if lives(process) else 0

    @property
    def facts(self) -> Facts:
        """What never changes about this machine's kernel."""
        return Facts(Path(self.record.facts))

    def connect(self, *, timeout_s: float = 10.0) -> ports.PortSocket:
        """Connect to the agent; several processes may, each on a port of its own.

        The stream is clean and nothing has been said on it. Should the agent's
        event ``ready`` be found in it later, the agent has started anew and
        knows nothing of what was before.

        Args:
            timeout_s: How long to try.

        Raises:
            TargetError: No port is free, or the machine failed; the message
                says which.
        """
        try:
            return ports.connect(self.folder, timeout_s=timeout_s, check=self.check)
        except AgentGoneError:
            cause = self.failure(wait_s=_END_S)
            if cause is None:
                raise
            raise TargetError(cause) from None

    def check(self) -> None:
        """Do nothing if the machine runs.

        Raises:
            TargetError: It does not; the message says why.
        """
        cause = self.failure()
        if cause is not None:
            raise TargetError(cause)

    def failure(self, *, wait_s: float = 0.0) -> str | None:
        """Why the machine ended, in one sentence; None while it runs.

        Looks at processes and files only: cheap enough to be asked often. A
        guest that runs but hangs is for :meth:`diagnose`.

        Args:
            wait_s: How long to wait for an end. Worth some tenths of a second
                after a connection was lost: it is closed a moment before QEMU
                has ended.
        """
        end = time.monotonic() + wait_s
        while (cause := end_cause(self.folder)) is None and time.monotonic() < end:
            time.sleep(0.01)
        return cause

    def diagnose(self, *, patience_s: float = 1.0) -> str:
        """Find out what is wrong with a machine that does not answer, in one sentence.

        A machine that turns out to hang is beyond help; it is made to say where
        it hangs, which ends it.

        Args:
            patience_s: How long the agent may take to answer.
        """
        cause = self.failure()
        if cause is not None:
            return cause
        end = time.monotonic() + patience_s
        with (
            suppress(TargetError),
            Caller(ports.connect(self.folder, control=True, timeout_s=patience_s)) as caller,
        ):
            caller.call("ping", timeout_s=max(0.1, end - time.monotonic()))
            return "the lab answers"
        cause = self.failure(wait_s=_END_S)
        if cause is not None:
            return cause
        try:
            return self._interrupt()
        except TargetError as error:
            return self.failure() or str(error)

    def _interrupt(self) -> str:
        """Send the guest an NMI, which makes its kernel panic and say where it was."""
        with self.monitor(timeout_s=0.5) as qemu:
            state = str(qemu.command("query-status").get("status"))
            if state != "running":
                return f"the lab stands still, qemu is in state {state!r}"
            qemu.command("inject-nmi")
        end = time.monotonic() + 0.7
        while time.monotonic() < end and self.failure() is None:
            time.sleep(0.02)
        return hang_cause(self.console()) or "the lab's kernel hung and does not even take an NMI"

    def console(self) -> str:
        """What the guest's kernel printed, without time stamps."""
        return console_text(self.folder)

    @contextmanager
    def monitor(self, *, timeout_s: float = 5.0) -> Iterator[Monitor]:
        """QEMU's monitor, for this process alone until the block is left.

        Raises:
            TargetError: QEMU is gone, or does not answer.
        """
        with (
            store.locked(self.folder / "monitor.lock"),
            monitor(self.folder / MONITOR, timeout_s=timeout_s) as qemu,
        ):
            yield qemu

    def throttle_disk(self, operations_per_s: int, *, bytes_per_s: int = 0, disk: str = "slow") -> None:
        """Make a disk slow, at once and for everybody; 0 lifts a limit.

        Args:
            operations_per_s: Requests the disk serves in a second. The slow
                disk begins with 25, the others without a limit.
            bytes_per_s: What it transfers in a second.
            disk: ``"slow"``, ``"ext3"`` or ``"ext4"``, as it is called below ``/mnt``.

        Raises:
            OptionError: No such disk, or a limit below 0.
        """
        if disk not in DISKS:
            raise OptionError(f"the lab has no disk {disk!r}", hint=f"its disks are {', '.join(DISKS)}")
        if min(operations_per_s, bytes_per_s) < 0:
            raise OptionError(
                f"a disk cannot serve {min(operations_per_s, bytes_per_s)} a second", hint="0 lifts the limit"
            )
        with self.monitor() as qemu:
            qemu.command(
                "block_set_io_throttle",
                device=disk,
                **{"bps": bytes_per_s, "bps_rd": 0, "bps_wr": 0},
                **{"iops": operations_per_s, "iops_rd": 0, "iops_wr": 0},
            )

    def status(self) -> MachineStatus:
        """The machine at a glance."""
        record, pid = self.record, self.pid
        return MachineStatus(
            name=record.name,
            kernel=record.kernel,
            accelerator=record.accelerator,
            cpus=record.cpus,
            memory_mb=record.memory_mb,
            pid=pid,
            owner_pid=record.owner[0] if record.until is None else 0,
            uptime_s=time.time() - record.started,
            until=record.until,
            private_mb=_private_bytes(pid) / 2**20,
            template_mb=record.template_size / 2**20,
            failure=self.failure(),
        )

    def detach(self, seconds: float) -> None:
        """Let the machine live on without this process; ``stop`` or time ends it.

        Args:
            seconds: How long at most.
        """
        if self._leash is None or self._end is None:
            raise TargetError("only the owner of a lab can let it go")
        self.record = replace(self.record, until=time.time() + seconds)
        write_record(self.folder, self.record)
        self._end.detach()
        self._leash.detach(seconds)
        self._leash = None

    def stop(self) -> None:
        """End the machine, whoever owns it. Safe to call twice."""
        with self._lock:
            if self._leash is not None:
                self._leash.release()
                self._leash = None
                return
        supervisor = read_record(self.folder, PROCESSES).get("supervisor")
        if lives(supervisor):
            with suppress(ProcessLookupError):
                os.kill(supervisor[0], signal.SIGTERM)
            end = time.monotonic() + 5
            while lives(supervisor) and time.monotonic() < end:
                time.sleep(0.01)

    def set_clock(self, *, timeout_s: float = 10.0) -> None:
        """Set the guest's wall clock to the host's.

        Raises:
            TargetError: The agent does not answer in time.
        """
        with Caller(
            ports.connect(self.folder, control=True, timeout_s=timeout_s, check=self.check)
        ) as caller:
            caller.hello(timeout_s=timeout_s)
            caller.call("set_clock", timeout_s=timeout_s, realtime_ns=time.time_ns())


def write_record(folder: Path, record: Record) -> None:
    """Write down what a machine is."""
    new = folder / f".{RECORD}"
    new.write_text(json.dumps(asdict(record)))
    new.replace(folder / RECORD)


def _private_bytes(pid: int) -> int:
    """Memory of a process that it shares with nobody: anonymous pages (proc(5), status)."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    return 0


def this_process() -> list[int]:
    """Number and start of this process."""
    return [os.getpid(), started_at(os.getpid())]
