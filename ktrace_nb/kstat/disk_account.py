"""An exact account of every disk, ``kstat_io_t``, kept by block tracepoints while it runs.

::

    with io_account("lab") as account:      # the target's kstats of disks are exact now
        account.read()                      # list[Kstat], as the chain gives them too

What Linux keeps itself (``/proc/diskstats``) knows no queue of what waits, samples the time in
which a disk is busy in ticks of the scheduler, and adds a request's time when it ends. Here a
request waits from its insertion into a scheduler or queue until it is issued to the driver, is
served until it completes, and waits again if the driver gives it back; see ``io_account.c``.
The sums are those of :mod:`ktrace_nb.kstat.riemann`, kept per CPU without a lock.

What counts:

* Every request that completes is one operation, as in illumos' ``sd``: what moves data from the
  disk is a read, everything else a write, so a flush is a write of no bytes. Bytes are those that
  were transferred; one that fails transfers none. Discards and writes of zeros move none either,
  and are told of in ``discards``.
* What is absorbed by another request leaves the wait queue and is no operation (``merged``). Bios
  that are merged before there is a request for them never were in a queue.
* A disk without requests (dm, md, zram, brd) has bios instead, which are served from submission
  to completion and never wait.
* What had been issued before the account began is in none of its numbers. What is absorbed or
  ends without having been issued is no operation.
* Partitions are part of their disk.
* Waiting for a tag is not in the wait queue: the process waits, there is no request yet.
* A disk whose medium is changed (a loop device given another file) begins anew, as a new disk does.

Numbers grow from the account's beginning, which is the ``crtime`` of its kstats. Whatever it
missed is counted in :attr:`IoAccount.losses`; a request whose end was missed is given up when its
address is used again, and counted in ``forgotten``. What it costs is :attr:`IoAccount.cpu_share`.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from ktrace_nb.errors import KTraceError, LoadError, RemoteError, StreamError, TargetError
from ktrace_nb.kstat.disk_sums import DiskTimes, Place, keep_whole
from ktrace_nb.kstat.model import IO, Id, Kstat
from ktrace_nb.kstat.names import tell

if TYPE_CHECKING:
    from ktrace_nb.kernel.btf import Btf
    from ktrace_nb.kstat.files import Snapshot
    from ktrace_nb.targets.base import Target

DISKS: Final = 256
"""Disks that an account has room for, and those that have gone since it was read last."""

REQUESTS: Final = 65536
"""Requests and bios that may be under way at once, of all disks; those beyond are counted as lost."""

ACCOUNT: Final = Id(module="io", instance=0, name="account")
"""Whose error it is if an account cannot be read."""

_LIVE = "/sys/block/*/diskseq"
_DEVICES = "/sys/block/*/dev"
_TRIES = 20
_CLOSE_S = 30.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class _Disk:
    """A disk that is there."""

    number: int
    """``diskseq``."""
    name: str
    minor: int | None
    """None of a hidden one: a path to another, which shows it."""


class IoAccount:
    """The account of one target, from :meth:`start` to :meth:`close`; any thread may read it.

    Args:
        target: Where the disks are.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.started_ns = 0
        """``CLOCK_MONOTONIC`` of the target when it began."""
        self._session = f"io account.{next(_numbers)}"
        self._open = False
        self._lock = threading.Lock()
        self._created: dict[int, int] = {}
        self._last: dict[int, DiskTimes] = {}
        self._read_ns = 0

    def start(self) -> None:
        """Load and attach; all or nothing.

        Raises:
            LoadError: The kernel refused it, or is older than Linux 5.15.
            MissingError: No compiler.
            TargetError: The target is out of reach.
        """
        from ktrace_nb import engine
        from ktrace_nb.source import Source
        from ktrace_nb.starting import attach, load, load_error
        from ktrace_nb.stream.outputs import Outputs

        _check(engine.facts_of(self.target).btf, self.target)
        text = (resources.files("ktrace_nb.kstat") / "io_account.c").read_text(encoding="utf-8")
        flags = (f"-DIO_DISKS={DISKS}", f"-DIO_REQUESTS={REQUESTS}")
        options = engine.Options(name="io account", target=self.target.name, cflags=flags)
        built = engine.compile_for(self.target, engine.lower(Source(text, "io_account.c"), options), options)
        call = self.target.connection.call
        try:
            call("open", session=self._session)
            self._open = True
            load(call, self._session, built)
            head, built = attach(call, self._session, built, timeout_s=_CLOSE_S)
        except BaseException as error:
            self.close()
            raise load_error(error) if isinstance(error, RemoteError) else error from None
        self.started_ns = self._read_ns = int(head["monotonic_ns"])
        self._outputs = Outputs(built.bundle, built.program.outputs, built.events, (), lambda _: [])

    def close(self) -> None:
        """Let go of it; when this returns nothing of it is attached. Safe to call twice."""
        if self._open:
            self._open = False
            with contextlib.suppress(TargetError):
                self.target.connection.call("close", session=self._session, timeout_s=_CLOSE_S)

    def read(self) -> list[Kstat]:
        """The kstats of all disks, those without a request as yet included.

        Raises:
            TargetError: The target is out of reach, or the account is over.
        """
        from ktrace_nb.kstat.builtin.disks import family
        from ktrace_nb.kstat.builtin.names import name_of

        with self._lock:
            found, at_ns = self._times()
            disks = self._disks()
            # One that was not there at the last read came after it, or else at the beginning.
            created = {disk.number: self._created.get(disk.number, self._read_ns) for disk in disks}
            self._created, self._read_ns, self._last = created, at_ns, found
            self._forget(found.keys() - created.keys())
        kstats = []
        for disk in disks:
            if disk.minor is None:
                continue
            module, instance = family(disk.name, disk.minor)
            kstats.append(
                Kstat(
                    id=Id(module=module, instance=instance, name=name_of(disk.name)),
                    class_="disk",
                    kind=IO,
                    crtime_ns=created[disk.number],
                    snaptime_ns=at_ns,
                    data=found.get(disk.number, DiskTimes.idle(at_ns)).data(),
                )
            )
        return kstats

    def read_or_tell(self) -> list[Kstat]:
        """The same; where that fails, one kstat with why, so that others can still be read."""
        try:
            return self.read()
        except KTraceError as error:
            return [Kstat(id=ACCOUNT, class_="disk", kind=IO, error=tell(error))]

    @property
    def losses(self) -> dict[str, int]:
        """What was lost, by why, as read last; empty if the account is exact."""
        from ktrace_nb.stream.ledger import summary

        with self._lock:
            return summary(self._outputs.entries())

    @property
    def cpu_share(self) -> float:
        """What the account costs the machine, as read last: share of one CPU, 1.0 is all of it."""
        with self._lock:
            ns = self._read_ns - self.started_ns
            return self._outputs.ran_ns / ns if ns > 0 else 0.0

    # --- reading ---------------------------------------------------------------------

    def _forget(self, gone: Iterable[int]) -> None:
        """Make room: disks that are not there any more have no requests."""
        keys = b"".join(number.to_bytes(8, "little") for number in gone)
        if keys:
            steps = [["delete", name, len(keys) // 8] for name in ("io_sums", "io_disks")]
            self.target.connection.call("change", 2 * keys, session=self._session, steps=steps)

    def _times(self) -> tuple[dict[int, DiskTimes], int]:
        """Every disk that had a request, by number, and when that was, nanoseconds."""
        kept: dict[Place, dict[str, int]] = {}
        for _ in range(_TRIES):
            if not keep_whole(self._rows(), kept):
                break
        else:
            raise StreamError(f"the account was being changed each of {_TRIES} times it was read")
        at_ns = self._outputs.snapshot_ns("io_sums")
        by_disk: dict[int, list[dict[str, int]]] = {}
        for (number, _), values in kept.items():
            by_disk.setdefault(number, []).append(values)
        # Not from the sums: CPUs are not read at one moment, the count they share is.
        lengths = self._outputs.frame("io_disks")
        now = {number: (int(w), int(r)) for number, w, r in lengths[["waiting", "running"]].itertuples()}
        found = {}
        for number, cpus in by_disk.items():
            times = DiskTimes.of(cpus, at_ns, *now.get(number, (0, 0)))
            found[number] = times.not_below(self._last[number]) if number in self._last else times
        return found, at_ns

    def _rows(self) -> Iterator[tuple[Place, dict[str, int]]]:
        """Sums of each disk and CPU as they are now."""
        if not self._open:
            raise TargetError("the account is over")
        from ktrace_nb.wire.bundle import LEDGER

        reply = self.target.connection.call(
            "collect", session=self._session, maps=["io_sums", "io_disks", LEDGER], bytes=0, wait_ms=0
        )
        self._outputs.ingest(reply.head, reply.blob)
        frame = self._outputs.frame("io_sums", per_cpu=True)
        names = list(frame.columns)
        for place, row in zip(frame.index, frame.to_numpy(), strict=True):
            yield (int(place[0]), int(place[1])), dict(zip(names, map(int, row), strict=True))

    def _disks(self) -> list[_Disk]:
        from ktrace_nb.kstat.files import Files

        snapshot = Files(self.target.connection.call).read((_LIVE, _DEVICES))
        return list(_disks_of(snapshot))


def _check(btf: Btf, target: Target) -> None:
    from ktrace_nb.kernel.btf_format import Kind

    found = btf.find("gendisk", Kind.STRUCT)
    if not found or btf.member(found[0], "diskseq") is None:
        raise LoadError(
            f"an exact account of disks needs Linux 5.15 or later, not {target.hello.kernel}",
            hint="ktrace-nb kstat -c disk has what /proc/diskstats tells; --target lab has a later kernel",
        )


def _disks_of(snapshot: Snapshot) -> Iterator[_Disk]:
    devices = snapshot.matching(_DEVICES)
    for path, text in snapshot.matching(_LIVE).items():
        folder = path.removesuffix("/diskseq")
        device = devices.get(f"{folder}/dev")
        # sysfs cannot have a slash in a name, as in cciss/c0d0.
        name = folder.rpartition("/")[2].replace("!", "/")
        yield _Disk(int(text), name, int(device.partition(":")[2]) if device else None)


_kept: dict[str, list[IoAccount]] = {}


def kept(target: str) -> IoAccount | None:
    """The account of that target's disks that this process keeps, the oldest if there are several."""
    return next(iter(_kept.get(target, ())), None)


@contextlib.contextmanager
def io_account(target: Target | str = "lab") -> Iterator[IoAccount]:
    """Keep the account of a target's disks; while it runs the target's chain gives it.

    Args:
        target: The target, or its name.

    Raises:
        KTraceError: As :meth:`IoAccount.start`.
    """
    from ktrace_nb import engine  # registers the kinds of targets
    from ktrace_nb.kstat.chain import chain
    from ktrace_nb.targets.base import get_target

    assert engine
    place = get_target(target) if isinstance(target, str) else target
    account = IoAccount(place)
    account.start()
    try:
        _kept.setdefault(place.name, []).append(account)
        with chain(place).covered(account.read_or_tell):
            yield account
    finally:
        _kept[place.name].remove(account)
        account.close()
