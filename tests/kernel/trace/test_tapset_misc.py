"""Interrupts, work queues, terminals, the server of NFS: their aliases, against /proc and what programs did.

All other aliases of the tapset are fired beside this, by what they are of; here is
also the account of all of them, and of both kernels.
"""

from __future__ import annotations

import pytest

from ktrace_nb.lab.image import Image
from ktrace_nb.lang.stap.library import tapset_files
from ktrace_nb.targets.base import get_target
from tests.kernel.trace.kit import KERNELS, Guest
from tests.kernel.trace.tapset_kit import Fired, aliases_of, fire, program, run, show

pytestmark = pytest.mark.kernel

INTERRUPTS = aliases_of("irq.stp")
TERMINALS = aliases_of("tty.stp", "syscall_any.stp")
NFS = aliases_of("nfsd.stp")

OLDER = KERNELS[1]
OF_OTHERS = ("syscalls", "json", "procfs")
"""Files of the tapset whose aliases other tests fire begin like this."""

NO_DRIVER = "the lab has no driver of terminals that is a module"
NEVER_HERE = {"tty.init": NO_DRIVER, "tty.register": NO_DRIVER, "tty.unregister": NO_DRIVER}

MARK = 'probe syscall.getpgid { if (pid() == target()) println("mark\\t", ktime_get_ns()) }\n'

BUSY = """
import mmap
def counts(path):
    rows = [line.split() for line in open(path).read().splitlines()[1:]]
    return {row[0].rstrip(":"): [int(row[1]), row[-1]] for row in rows if row[1].isdigit()}

fd = os.open("/dev/vdb", os.O_RDONLY | os.O_DIRECT)
memory = mmap.mmap(-1, 4096)
said["irq"], said["softirq"] = [counts("/proc/interrupts")], [counts("/proc/softirqs")]
os.getpgid(0)
for page in range(50):
    os.preadv(fd, [memory], page * 4096)
os.getpgid(0)
said["irq"].append(counts("/proc/interrupts")), said["softirq"].append(counts("/proc/softirqs"))
os.system("umount /mnt/ext3; mount /dev/vdb /mnt/ext3")
"""

TALK = """
import fcntl, select, struct, termios
master, slave = os.openpty()
name = os.ttyname(slave)
said["name"], said["ino"] = name, os.stat(name).st_ino
again = os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
os.write(slave, b"x" * 29)
os.read(master, 100)
os.write(master, b"line" + bytes([10]))
os.read(slave, 77)
poll = select.poll()
poll.register(slave, select.POLLIN)
poll.poll(0)
fcntl.ioctl(slave, termios.TIOCINQ, bytes(4))
os.close(again)
serial = os.open("/dev/ttyS0", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
said["size"] = struct.unpack("4H", fcntl.ioctl(serial, termios.TIOCGWINSZ, bytes(8)))
fcntl.ioctl(serial, termios.TIOCSWINSZ, struct.pack("4H", 31, 97, 640, 480))
fcntl.ioctl(serial, termios.TIOCSWINSZ, struct.pack("4H", *said["size"]))
os.getppid(), os.getppid(), os.getppid()
"""


SHARE = """
import subprocess, time
sys.stdout.flush()
def shell(command):
    subprocess.run(["sh", "-ec", command], check=True, stdin=subprocess.DEVNULL)

shell(PREPARE)
try:
    os.mkdir("/mnt/folder")
    with open("/mnt/folder/file", "wb") as file:
        file.write(b"n" * 1000007)
        file.flush()
        os.fsync(file.fileno())
    shell("echo 3 > /proc/sys/vm/drop_caches")
    said["read"] = len(open("/mnt/folder/file", "rb").read())
    said["listed"] = os.listdir("/mnt/folder")
    os.rename("/mnt/folder/file", "/mnt/folder/other")
    os.unlink("/mnt/folder/other")
    os.rmdir("/mnt/folder")
    try:
        os.stat("/mnt/none")
    except FileNotFoundError:
        pass
finally:
    shell("umount /mnt; rpc.nfsd 0; exportfs -ua; umount /proc/fs/nfsd; umount /srv")
"""

PREPARE = """
mount -t tmpfs share /srv
echo "/srv *(rw,fsid=0,no_root_squash,insecure,no_subtree_check)" > /etc/exports
mount -t nfsd nfsd /proc/fs/nfsd
exportfs -ra; rpc.nfsd -N 3 1; rpc.mountd -N 3 -u
echo Y > /proc/fs/nfsd/v4_end_grace
mount -t nfs4 127.0.0.1:/ /mnt
"""


@pytest.fixture(scope="module")
def busy(image: Image) -> Fired:
    script = MARK
    for name in INTERRUPTS:
        more = []
        if name.startswith("irq_handler"):
            more = ["symname(handler)", "kernel_string(dev_name)"]
        elif name in ("softirq.entry", "softirq.exit"):
            more = ["symname(action)", "h == vec"]
        elif name in ("workqueue.insert", "workqueue.execute"):
            more = ["symname(work_func)", "wq_thread == task_current()"]
        script += show(name, "", more=more)
    return fire(script, program("os.system('modprobe ext4')" + BUSY))


@pytest.fixture(scope="module")
def terminals(image: Image) -> Fired:
    return fire("".join(show(name) for name in TERMINALS), program(TALK))


@pytest.fixture(scope="module")
def share(image: Image) -> Fired:
    Guest(get_target("lab")).run("modprobe", "nfsd")
    more = ["symname(addr())"]
    script = "".join(show(name, "", more=more) for name in NFS)
    return fire(script, program(SHARE.replace("PREPARE", repr(PREPARE))))


def between(busy: Fired, name: str, key: str) -> list[int]:
    """A variable's values in the events of an alias while the program read the disk."""
    begin, end = (int(row["0"]) for row in busy.rows["mark"])
    return [int(row[key]) for row in busy.of(name) if begin < int(row["at"]) < end]


def test_interrupts_are_as_many_as_the_kernel_counts(busy: Fired) -> None:
    assert busy.silent(INTERRUPTS) == []
    before, after = busy.said["irq"]
    entered = between(busy, "irq_handler.entry", "irq")
    (disk,) = {number for number, (_, name) in after.items() if name == "virtio2-req.0"}
    counted = after[disk][0] - before[disk][0]
    assert 40 <= counted <= 60  # the file system writes now and then too
    assert abs(entered.count(int(disk)) - counted) <= 1
    assert len(between(busy, "irq_handler.exit", "irq")) == len(entered)
    for name in ("irq_handler.entry", "irq_handler.exit"):
        for row in busy.of(name):
            assert after[str(row["irq"])][1] == row["more1"]
        row = busy.of(name, irq=int(disk))[0]
        assert (row["more0"], row["next_irqaction"], row["thread_fn"], row["thread"]) == (
            "vring_interrupt",
            0,
            0,
            0,
        )
        assert row["thread_flags"] == 0
        assert row["dir"] and row["dev_id"] and row["action"]
    assert {row["ret"] for row in busy.of("irq_handler.exit", irq=int(disk))} == {1}  # IRQ_HANDLED
    # Of an MSI: bits that only include/linux/interrupt.h of newer kernels has.
    assert {row["flags_str"] for row in busy.of("irq_handler.entry", irq=int(disk))} <= {
        "",
        "IRQF_COND_ONESHOT",
    }


def test_soft_interrupts_are_as_many_as_the_kernel_counts(busy: Fired) -> None:
    before, after = busy.said["softirq"]
    kinds = ("HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU")
    entered = between(busy, "softirq.entry", "vec_nr")
    for number, kind in enumerate(kinds):
        counted = after[kind][0] - before[kind][0]
        # What happens while /proc is read may be counted on one side only.
        assert 0 <= counted - entered.count(number) <= 3, kind
    assert sum(map(bool, map(entered.count, range(10)))) >= 2
    assert len(between(busy, "softirq.raise", "vec_nr")) > 0
    functions = {1: "run_timer_softirq", 7: "sched_balance_softirq", 9: "rcu_core_si", 4: "blk_done_softirq"}
    for name in ("softirq.entry", "softirq.exit"):
        for row in busy.of(name):
            assert row["more1"] == 1
            assert row["more0"] == functions.get(int(row["vec_nr"]), row["more0"])
        addresses = {row["vec_nr"]: int(row["h"]) for row in busy.of(name)}
        first = min(addresses)
        assert all(at - addresses[first] == 8 * (int(n) - int(first)) for n, at in addresses.items())


def test_work_is_put_into_queues_and_done(busy: Fired) -> None:
    put, done = busy.of("workqueue.insert"), busy.of("workqueue.execute")
    assert {row["work"] for row in put} & {row["work"] for row in done}
    assert {row["wq_thread"] for row in put} == {0}
    assert {row["more1"] for row in done} == {1}
    # That of the file system that was unmounted.
    assert [row["wq_thread"] for row in busy.of("workqueue.destroy")] == [0]


def test_terminals(terminals: Fired) -> None:
    assert sorted(terminals.silent(TERMINALS)) == sorted(NEVER_HERE)
    said = terminals.said
    number = int(said["name"].rsplit("/")[-1])
    opened = terminals.of("tty.open", inode_number=said["ino"])
    assert [row["file_name"] for row in opened] == [number] * 2
    # O_RDWR | O_NOCTTY | O_NONBLOCK | O_LARGEFILE; FMODE_READ and FMODE_WRITE of include/linux/fs.h.
    assert int(opened[-1]["file_flags"]) & 0o7777 == 0o4402
    assert int(opened[-1]["file_mode"]) & 3 == 3
    assert "ttyS0" in {row["file_name"] for row in terminals.of("tty.open")}
    closed = terminals.of("tty.release", inode_number=said["ino"])
    assert closed[0]["file_name"] == number
    for row in (*opened, *closed):
        assert (row["inode_flags"], int(row["inode_state"]) & 1) == (0, 0)
    out = terminals.one("tty.write", nr=29)
    assert (out["file_name"], out["driver_name"]) == (number, "pty_slave")
    assert int(out["buffer"]) > 0
    into = terminals.one("tty.write", nr=5)
    assert (into["file_name"], into["driver_name"]) == ("ptmx", "pty_master")
    assert terminals.one("tty.read", nr=77)["driver_name"] == "pty_slave"
    assert terminals.one("tty.read", nr=100)["file_name"] == "ptmx"
    assert terminals.one("tty.poll")["file_name"] == number
    row = terminals.one("tty.ioctl", cmd=0x541B)  # FIONREAD, which TIOCINQ is
    assert (row["name"], int(row["arg"]) != 0) == (number, True)
    sizes = [
        tuple(row[f"{when}_{what}"] for what in ("row", "col", "xpixel", "ypixel"))
        for row in terminals.rows["tty.resize"]
        for when in ("old", "new")
    ]
    old, new = tuple(said["size"]), (31, 97, 640, 480)
    assert sizes == [old, new, new, old]


def test_any_system_call(terminals: Fired) -> None:
    # getppid(2) is 110 of arch/x86/entry/syscalls/syscall_64.tbl.
    assert [row["name"] for row in terminals.of("syscall_any", syscall_nr=110)] == ["getppid"] * 3
    returned = terminals.of("syscall_any.return", syscall_nr=110)
    assert len({row["retval"] for row in returned}) == 1
    assert [row["name"] for row in returned] == ["getppid"] * 3
    # The last call, exit_group(2), does not return; of the first only the return may be ours.
    *numbers, last = (row["syscall_nr"] for row in terminals.of("syscall_any"))
    assert last == 231
    assert numbers == [row["syscall_nr"] for row in terminals.of("syscall_any.return")][-len(numbers) :]


def test_a_server_of_nfs(share: Fired) -> None:
    assert share.silent(NFS) == []
    assert (share.said["read"], share.said["listed"]) == (1000007, ["file"])
    loopback = int.from_bytes(bytes([127, 0, 0, 1]), "little")
    assert {row["client_ip"] for name in NFS for row in share.of(name) if "client_ip" in row} == {loopback}
    for row in share.of("nfsd.dispatch"):
        # TCP, the program's number and COMPOUND or NULL of RFC 8881.
        assert (row["proto"], row["version"], row["prog"], row["proc"] in (0, 1)) == (6, 4, 100003, True)
        words = f"127.0.0.1 prog:100003 proc:{row['proc']} xid:{int(row['xid']):#x}"
        assert row["argstr"] == words
    assert len(share.of("nfsd.dispatch")) == len(share.of("nfsd.dispatch.return"))
    made = share.one("nfsd.create", filename="folder")
    assert (made["filelen"], made["type"], made["argstr"]) == (6, 0o040000, f"folder {0o040000}")
    looked = [(row["filename"], row["filelen"]) for row in share.of("nfsd.lookup")]
    assert ("none", 4) in looked
    assert "NFSERR_NOENT" in {row["retstr"] for row in share.of("nfsd.lookup.return")}
    renamed = share.one("nfsd.rename")
    assert (renamed["filename"], renamed["filelen"], renamed["tname"], renamed["tlen"]) == (
        "file",
        4,
        "other",
        5,
    )
    assert (renamed["fh"] == renamed["tfh"], renamed["argstr"]) == (True, "file other")
    assert [row["filename"] for row in share.of("nfsd.unlink")] == ["other", "folder"]
    assert share.one("nfsd.open")["type"] == 0o040000  # a folder that is listed
    for name, count in (("nfsd.read", "count"), ("nfsd.write", "count")):
        rows = share.of(name)
        spans = {int(row["offset"]): int(row[count]) for row in rows}
        at = 0
        while at in spans:
            at += spans[at]
        # Reading asks for whole pages.
        assert 0 <= at - 1000007 < (4096 if name == "nfsd.read" else 1)
        assert {(row["units"], row["size"] == row["count"]) for row in rows} == {("bytes", True)}
        assert {row["argstr"] for row in rows} == {f"{row['offset']} {row['count']}" for row in rows}
    for row in share.of("nfsd.commit"):
        assert (row["units"], row["flag"], row["size"]) == ("bytes", 0, row["count"])
    for name in ("create", "rename", "unlink", "open", "read", "write", "commit"):
        back = share.of(f"nfsd.{name}.return")
        assert {row["retstr"] for row in back} == {"NFS_OK"}
        assert {row["fh"] for row in back} == {row["fh"] for row in share.of(f"nfsd.{name}")}


TWO_OF_THE_NAME = ("nfsd.open", "nfsd.open.return")
"""Linux 6.1 has another function ``nfsd_open``, of a file in /proc, whose arguments are taken."""


def test_every_alias_is_loaded_and_attached_by_the_older_kernel(image_61: Image) -> None:
    Guest(get_target(OLDER)).run("modprobe", "nfsd")
    files = [name for name in tapset_files() if not name.startswith(OF_OTHERS)]
    names = [name for name in aliases_of(*files) if name not in TWO_OF_THE_NAME]
    assert len(names) > 150
    for first in range(0, len(names), 50):
        run("".join(show(name) for name in names[first : first + 50]), "true", kernel=OLDER)


def test_every_alias_fires_in_one_of_these_tests() -> None:
    tested = (
        "networking netfilter tcp udp socket mib ioblock ioscheduler vfs memory scheduler signal kprocess"
    )
    here = "irq tty syscall_any nfsd"
    elsewhere = "health"  # tests/kernel/health
    with_aliases = {file.removesuffix(".stp") for file in tapset_files() if aliases_of(file)}
    assert {name for name in with_aliases if not name.startswith(OF_OTHERS)} == {
        *tested.split(),
        *here.split(),
        *elsewhere.split(),
    }
