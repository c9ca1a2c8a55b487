"""The account of disks, against devices whose queues are known, and against ``/proc/diskstats``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ktrace_nb import engine
from ktrace_nb.kstat.chain import chain
from ktrace_nb.kstat.disk_account import IoAccount, io_account, kept
from ktrace_nb.targets.base import Target, get_target
from ktrace_nb.targets.lab import LabTarget
from tests.kernel.conftest import wait_until
from tests.kernel.kstat.io_kit import MS, Disks, disk_of, near

pytestmark = pytest.mark.kernel
assert engine

SERVICE_MS = 500
"""Long beside what an emulated processor on a busy machine adds, up to some milliseconds a request."""

READS, SECTORS_READ, READ_MS, WRITES, SECTORS_WRITTEN, IN_FLIGHT, IO_TICKS, IN_QUEUE = 0, 2, 3, 4, 6, 8, 9, 10
"""Fields of ``/sys/block/DISK/stat``, Documentation/block/stat.rst."""


@pytest.fixture(scope="module", params=["lab", "lab:lab-6.1"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """A lab of these tests' own: they make disks."""
    request.getfixturevalue("image" if request.param == "lab" else "image_61")
    target = LabTarget(request.param.removeprefix("lab:"), lambda *_: None)
    yield target
    target.close()


@pytest.fixture(scope="module")
def disks(target: Target) -> Disks:
    return Disks(target)


@pytest.fixture(scope="module")
def account(target: Target) -> Iterator[IoAccount]:
    account = IoAccount(target)
    account.start()
    yield account
    account.close()


def test_a_disk_that_serves_some_at_a_time_is_as_long_and_as_slow_as_it_was_made(
    disks: Disks, account: IoAccount
) -> None:
    with disks.null(completion_nsec=SERVICE_MS * MS, hw_queue_depth=4) as disk:
        load = disks.work(account, disk, "read", threads=4, count=5, size=8192)
    assert (load["reads"], load["writes"], load["nread"], load["nwritten"]) == (20, 0, 20 * 8192, 0)
    assert load.run_ms == near(SERVICE_MS)
    assert load["wlentime"] == load["wtime"] == 0
    # All four are always served but for the moments between one request and the next.
    assert load["rlentime"] / load["rtime"] == near(4)
    assert load["rtime"] / MS == near(5 * SERVICE_MS)
    assert load["rlentime"] == near(load.spent_ns)
    assert load["rlentime"] / load.took_ns == near(4, 4)
    assert load.rates.actv == near(load["rlentime"] / (load.after.snaptime_ns - load.before.snaptime_ns))
    assert load.after.data["rcnt"].value == load.after.data["wcnt"].value == 0
    assert (load.diskstats[READS], load.diskstats[SECTORS_READ]) == (20, 20 * 16)


def test_what_a_scheduler_holds_waits_and_is_told_apart_from_what_is_served(
    disks: Disks, account: IoAccount
) -> None:
    # 8 requests at a time for 4 places: each but the first 4 waits for as long as one is served.
    with disks.null(scheduler="mq-deadline", completion_nsec=SERVICE_MS * MS, hw_queue_depth=4) as disk:
        load = disks.work(account, disk, "write", threads=8, count=5)
    assert (load["writes"], load["nwritten"], load["reads"]) == (40, 40 * 4096, 0)
    assert load.run_ms == near(SERVICE_MS)
    assert load.wait_ms == near(SERVICE_MS * 36 / 40)
    assert load["rlentime"] / load["rtime"] == near(4)
    # The last four have nobody wait behind them.
    assert load["wtime"] / load["rtime"] == near(9 / 10)
    assert load["wlentime"] / load["wtime"] == near(4)
    assert load["wlentime"] + load["rlentime"] == near(load.spent_ns)
    # Linux' own account cannot tell: a request's time is all from its making to its end.
    milliseconds = load.diskstats[IN_QUEUE] / load.diskstats[WRITES]
    assert milliseconds == near(SERVICE_MS * (1 + 36 / 40))


def test_one_request_at_a_time_is_seen_while_it_is_served(disks: Disks, account: IoAccount) -> None:
    with disks.null(completion_nsec=1000 * MS, hw_queue_depth=1) as disk:
        told = f"cat /sys/block/{disk}/stat"
        before, stat_before = disk_of(account, disk), disks.shell(told).split()
        begin = "import mmap, os; fd = os.open('/dev/DISK', os.O_RDONLY | os.O_DIRECT); "
        code = begin.replace("DISK", disk) + "print(os.preadv(fd, [mmap.mmap(-1, 4096)], 0))"
        disks.shell(f'(python3 -c "{code}" > /tmp/read 2>&1 &)')
        wait_until(lambda: disk_of(account, disk).data["rcnt"].value == 1, 60)
        seen, stat = disk_of(account, disk), disks.shell(told).split()
        later = disk_of(account, disk)
        assert (seen.data["rcnt"].value, seen.data["reads"].value) == (1, before.data["reads"].value)
        # The interval that still goes on is in it, to the nanosecond.
        grown = int(later.data["rlentime"].value) - int(seen.data["rlentime"].value)
        assert grown == later.snaptime_ns - seen.snaptime_ns
        assert int(later.data["rtime"].value) - int(seen.data["rtime"].value) == grown
        # Linux adds a request's time when it ends.
        assert (stat[IN_FLIGHT], stat[READ_MS]) == ("1", stat_before[READ_MS])
        wait_until(lambda: disk_of(account, disk).data["rcnt"].value == 0, 60)


def test_a_request_that_another_absorbs_leaves_the_queue_and_is_no_operation(
    disks: Disks, account: IoAccount
) -> None:
    # While the first is served, A, C and B between them come: B joins A, and both join C.
    code = """
import mmap, os, sys, threading, time
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
def read(at): os.preadv(fd, [mmap.mmap(-1, 4096)], at)
all = [threading.Thread(target=read, args=(at,)) for at in (1 << 20, 2 << 20, 0, 8192, 4096)]
for thread in all:
    thread.start()
    time.sleep(0.05)
[thread.join() for thread in all]
"""
    with disks.null(scheduler="mq-deadline", requests=32, completion_nsec=500 * MS, hw_queue_depth=1) as disk:
        load = disks.between(account, disk, lambda: disks.python(code, f"/dev/{disk}"))
    assert (load["reads"], load["merged"], load["nread"]) == (3, 1, 5 * 4096)
    assert load.run_ms == near(500)
    assert (load.diskstats[READS], load.diskstats[READS + 1], load.diskstats[SECTORS_READ]) == (3, 2, 40)
    assert load.after.data["wcnt"].value == load.after.data["rcnt"].value == 0


def test_flushes_are_writes_of_no_bytes(disks: Disks, account: IoAccount) -> None:
    code = """
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
for i in range(5):
    os.pwritev(fd, [mmap.mmap(-1, 4096)], i * 8192)
    os.fsync(fd)
"""
    with disks.null(
        completion_nsec=20 * MS, hw_queue_depth=4, memory_backed=1, cache_size=16, size=64
    ) as disk:
        load = disks.between(account, disk, lambda: disks.python(code, f"/dev/{disk}"))
    assert (load["writes"], load["flushes"], load["nwritten"]) == (10, 5, 5 * 4096)
    assert load.diskstats[SECTORS_WRITTEN] == 5 * 8


def test_what_a_driver_gives_back_waits_again(disks: Disks, account: IoAccount) -> None:
    # SDEBUG_OPT_HOST_BUSY: each fifth command is refused when it is handed over (drivers/scsi/scsi_debug.c).
    options = "ndelay=100000000 max_queue=4 every_nth=5 opts=0x8000 dev_size_mb=16"
    before = disks.blocks()
    disks.shell(f"modprobe sd_mod && modprobe scsi_debug {options}")
    wait_until(lambda: any(name.startswith("sd") for name in disks.blocks() - before), 60)
    (disk,) = disks.blocks() - before
    disks.shell("sleep 1")  # the kernel looks for partitions
    load = disks.work(account, disk, "read", threads=1, count=20)
    assert (load["reads"], load["nread"], load["errors"]) == (20, 20 * 4096, 0)
    # It is refused, and then asked again: of 20 that go through each fifth try is one.
    assert load["requeued"] in (4, 5)
    assert load.run_ms == near(100)
    assert load["wlentime"] > 0
    disks.shell("rmmod scsi_debug")


def test_a_device_mapper_s_disk_is_told_of_from_bios(disks: Disks, account: IoAccount) -> None:
    with disks.null(completion_nsec=SERVICE_MS * MS, hw_queue_depth=4) as disk:
        disks.shell(
            "modprobe dm-mod && modprobe dm-delay"
            f" && dmsetup create kt --table '0 200000 delay /dev/{disk} 0 {SERVICE_MS}'"
        )
        try:
            (mapped,) = disks.shell(f"ls /sys/block/{disk}/holders").split()
            load = disks.work(account, mapped, "read", threads=2, count=3)
            # Bigger than its disk takes in one piece: many requests below, one bio here.
            big = disks.work(account, mapped, "read", threads=1, count=2, size=2 << 20)
        finally:
            disks.shell("dmsetup remove kt")
        below = disk_of(account, disk)
    assert (load["reads"], load["nread"], load["wlentime"]) == (6, 6 * 4096, 0)
    # dm-delay waits by a timer of the scheduler's ticks and a worker, so it may be late.
    assert load.run_ms >= 2 * SERVICE_MS
    assert load["rlentime"] == near(load.spent_ns)
    assert (big["reads"], big["nread"]) == (2, 4 << 20)
    assert int(below.data["reads"].value) > 8


def test_a_disk_that_linux_keeps_no_account_of_has_one_here(disks: Disks, account: IoAccount) -> None:
    disks.shell("modprobe brd rd_nr=1 rd_size=16384")
    load = disks.work(account, "ram0", "write", threads=2, count=50)
    assert (load["writes"], load["nwritten"]) == (100, 100 * 4096)
    assert load["rtime"] > 0
    assert load.diskstats[WRITES] == 0
    disks.shell("rmmod brd")


def test_requests_under_way_when_an_account_begins_make_nothing_negative(disks: Disks) -> None:
    with disks.null(completion_nsec=4000 * MS, hw_queue_depth=2) as disk:
        code = (
            "import mmap, os, threading; "
            f"fd = os.open('/dev/{disk}', os.O_RDONLY | os.O_DIRECT); "
            "all = [threading.Thread(target=os.preadv, args=(fd, [mmap.mmap(-1, 4096)], n << 20))"
            " for n in range(2)]; [t.start() for t in all]; [t.join() for t in all]"
        )
        disks.shell(f'(python3 -c "{code}" > /tmp/read 2>&1 &)')
        inflight = f"cat /sys/block/{disk}/inflight"
        wait_until(lambda: disks.shell(inflight).split()[0] == "2", 60)
        late = IoAccount(disks.target)
        late.start()
        try:
            assert disks.shell(inflight).split()[0] == "2"
            wait_until(lambda: disks.shell(inflight).split()[0] == "0", 60)
            after = {name: value.value for name, value in disk_of(late, disk).data.items()}
            assert after == dict.fromkeys(after, 0)
        finally:
            late.close()


def test_a_disk_that_comes_again_under_its_old_name_begins_anew(disks: Disks, account: IoAccount) -> None:
    with disks.null(completion_nsec=MS, hw_queue_depth=4) as first:
        disks.work(account, first, "read", threads=1, count=10)
        old = disk_of(account, first)
    assert first not in {kstat.id.name for kstat in account.read()}
    removed_ns = account.read()[0].snaptime_ns
    with disks.null(completion_nsec=MS, hw_queue_depth=4) as second:
        new = disk_of(account, second)
    assert int(old.data["reads"].value) >= 10
    assert int(new.data["reads"].value) < 10
    assert new.crtime_ns >= removed_ns > old.crtime_ns
    assert new.crtime_ns <= new.snaptime_ns


def test_the_chain_gives_the_account_while_it_is_kept(image: object) -> None:
    target = get_target("lab")
    link = chain("lab")

    def disk() -> dict[str, object]:
        (kstat,) = [k for k in link.read() if k.id.name == "vdb" and k.class_ == "disk"]
        return {name: value.value for name, value in kstat.data.items()}

    assert "wlentime" not in disk()
    with io_account(target) as account:
        assert kept("lab") is account
        Disks(target).shell("dd if=/dev/vdb of=/dev/null bs=4k count=25 iflag=direct")
        found = disk()
        assert (found["reads"], found["nread"], found["wcnt"]) == (25, 25 * 4096, 0)
        assert account.started_ns > 0
    assert kept("lab") is None
    assert "wlentime" not in disk()
