"""The account of a disk that several CPUs use at once, read while they do."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator

import pytest

from ktrace_nb.kstat.disk_account import IoAccount
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.start import start_machine
from ktrace_nb.targets import lab
from ktrace_nb.targets.base import Target
from ktrace_nb.targets.lab import LabTarget
from tests.kernel.kstat.io_kit import Disks, Load, disk_of

pytestmark = pytest.mark.kernel

CPUS = 4
THREADS, EACH = 8, 250
# How many at a time, and where a request is completed: at once by who issues it, by an
# interrupt on that CPU, by a timer on whichever CPU.
WAYS = [
    {"irqmode": 0},
    {"irqmode": 1},
    {"irqmode": 2, "completion_nsec": 2_000_000},
]


@pytest.fixture(scope="module")
def target(image: Image) -> Iterator[Target]:
    """A lab with more than one CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab, "find_running", lambda _: None)
        patch.setattr(lab, "start_machine", functools.partial(start_machine, cpus=CPUS))
        target = LabTarget("lab", lambda *_: None)
    yield target
    target.close()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"irqmode {way['irqmode']}")
@pytest.mark.parametrize("scheduler", ["none", "mq-deadline"])
def test_nothing_is_counted_twice_or_not_at_all(target: Target, way: dict[str, int], scheduler: str) -> None:
    disks, account = Disks(target), IoAccount(target)
    assert len(target.hello.cpus_online) == CPUS
    account.start()
    try:
        with disks.null(scheduler=scheduler, submit_queues=CPUS, hw_queue_depth=2, **way) as disk:
            done: list[Load] = []
            work = threading.Thread(
                target=lambda: done.append(disks.work(account, disk, "read", THREADS, EACH, 4096))
            )
            work.start()
            readings = []
            while work.is_alive():
                readings.append(disk_of(account, disk))
            work.join()
            last = disk_of(account, disk)
    finally:
        account.close()
    (load,) = done
    assert (load["reads"], load["nread"]) == (THREADS * EACH, THREADS * EACH * 4096)
    assert last.data["rcnt"].value == last.data["wcnt"].value == last.data["forgotten"].value == 0
    # What processes waited for in all is no less than what the disk took.
    assert 0 < load["rtime"] <= load["rlentime"] <= load.spent_ns
    assert load["wtime"] <= load["wlentime"] <= load.spent_ns
    assert load["rtime"] <= load.after.snaptime_ns - load.before.snaptime_ns
    assert readings
    for before, after in zip(readings, [*readings[1:], last], strict=True):
        for name, value in after.data.items():
            if value.counter:
                assert int(value.value) >= int(before.data[name].value), name
        assert 0 <= int(after.data["rcnt"].value) <= THREADS
        assert 0 <= int(after.data["wcnt"].value) <= THREADS
