"""Disks of a lab whose queues are known: how many requests at a time, and how long each takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from ktrace_nb.kstat.disk_account import IoAccount
from ktrace_nb.kstat.disk_rates import DiskRates, rates_of
from ktrace_nb.kstat.model import Kstat
from ktrace_nb.targets.base import Target

MS = 1_000_000

# Each of so many threads does so many requests one after the other, at places of its own;
# two apart, so that none can be merged. What it prints is how long all of it took, and the sum of
# how long each took.
WORK = """
import mmap, os, sys, threading, time
path, op, threads, count, size = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
fd = os.open(path, os.O_RDWR | os.O_DIRECT)
def work(number):
    memory = mmap.mmap(-1, size)
    for i in range(count):
        at = (number * count + i) * 2 * size
        begin = time.monotonic_ns()
        os.preadv(fd, [memory], at) if op == "read" else os.pwritev(fd, [memory], at)
        took.append(time.monotonic_ns() - begin)
took = []
all = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
begin = time.monotonic_ns()
[t.start() for t in all]
[t.join() for t in all]
print(time.monotonic_ns() - begin, sum(took))
"""

_FOLDER = "/sys/kernel/config/nullb"
_numbers = itertools.count(10)


@dataclass(frozen=True)
class Load:
    """What the account and the kernel have of a workload, and how long it took."""

    before: Kstat
    after: Kstat
    took_ns: int
    spent_ns: int
    """Time that the processes spent in reading and writing, added up."""
    diskstats: list[int]
    """Growth of the fields of ``/sys/block/DISK/stat``, Documentation/block/stat.rst."""

    def __getitem__(self, name: str) -> int:
        return int(self.after.data[name].value) - int(self.before.data[name].value)

    @property
    def rates(self) -> DiskRates:
        """As ``iostat`` has it, over the time from reading to reading."""
        return rates_of(self.after, self.before)

    @property
    def run_ms(self) -> float:
        """Milliseconds that a request was served, on the average."""
        return self["rlentime"] / (self["reads"] + self["writes"]) / MS

    @property
    def wait_ms(self) -> float:
        return self["wlentime"] / (self["reads"] + self["writes"]) / MS


class Disks:
    """Makes disks in a lab and has them do something."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def shell(self, command: str, text: str = "") -> str:
        """Run a command, ``text`` its input; it must succeed."""
        argv = ["sh", "-c", command]
        reply = self.target.connection.call("exec", text.encode(), argv=argv, timeout_s=120)
        assert reply.head["status"] == 0, reply.blob.decode(errors="replace")
        return reply.blob[: reply.head["stdout"]].decode()

    def python(self, code: str, *words: object) -> str:
        """Run a program."""
        return self.shell(f"python3 - {' '.join(map(str, words))}", code)

    def blocks(self) -> set[str]:
        """Names of all disks."""
        return set(self.shell("ls /sys/block").split())

    @contextmanager
    def null(self, *, scheduler: str = "none", requests: int = 0, **settings: int) -> Iterator[str]:
        """A ``null_blk`` that takes ``completion_nsec`` for each request, so many at a time.

        Source: Linux Documentation/block/null_blk.rst.
        """
        folder = f"{_FOLDER}/kt{next(_numbers)}"
        chosen = {"size": 256, "irqmode": 2, "queue_mode": 2, "submit_queues": 1, **settings, "power": 1}
        before = self.blocks()
        self.shell(
            "modprobe null_blk nr_devices=0 && modprobe mq-deadline"
            f" && (test -d {_FOLDER} || mount -t configfs none /sys/kernel/config)"
        )
        self.shell(" && ".join([f"mkdir {folder}", *(f"echo {v} > {folder}/{k}" for k, v in chosen.items())]))
        try:
            (name,) = self.blocks() - before
            queue = f"/sys/block/{name}/queue"
            self.shell(f"echo {scheduler} > {queue}/scheduler")
            if requests:
                self.shell(f"echo {requests} > {queue}/nr_requests")
            yield name
        finally:
            self.shell(f"echo 0 > {folder}/power; rmdir {folder}")

    def work(
        self, account: IoAccount, disk: str, op: str, threads: int, count: int, size: int = 4096
    ) -> Load:
        """Read or write so much, and nothing else, between two readings."""
        return self.between(
            account, disk, lambda: self.python(WORK, f"/dev/{disk}", op, threads, count, size)
        )

    def between(self, account: IoAccount, disk: str, work: Callable[[], str]) -> Load:
        """What a disk did while something was done, which may tell how long it took, and its processes."""
        stat = f"cat /sys/block/{disk}/stat"
        told, before = self.shell(stat), disk_of(account, disk)
        took_ns, spent_ns = map(int, (work() or "0 0").split())
        after = disk_of(account, disk)
        grown = [int(b) - int(a) for a, b in zip(told.split(), self.shell(stat).split(), strict=True)]
        return Load(before, after, took_ns, spent_ns, grown)


def disk_of(account: IoAccount, disk: str) -> Kstat:
    """The kstat of one disk; nothing may have been lost."""
    (kstat,) = [k for k in account.read() if k.id.name == disk]
    assert account.losses == {}
    return kstat


def near(expected: float, percent: float = 2.0) -> object:
    """Within so many percent; the issue asks for 2."""
    return pytest.approx(expected, rel=percent / 100)
