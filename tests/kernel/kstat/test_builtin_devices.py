"""Disks, interfaces, slab caches, file systems and protocols, against what a shell in the guest sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any, TypeAlias

import pytest

from ktrace_nb.kstat.builtin import disks, filesystems, mibs, net, nfs, slab
from ktrace_nb.kstat.files import Files
from ktrace_nb.kstat.model import IO, Kstat, Scalar
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.start import start_machine
from ktrace_nb.wire.frames import REPLY, Message
from tests.kernel.conftest import shell as run

pytestmark = pytest.mark.kernel

Words: TypeAlias = tuple[str, int, str]
Shell: TypeAlias = Callable[[str], str]
Read: TypeAlias = Callable[[ModuleType], dict[Words, Kstat]]


@contextmanager
def agent(image: Image) -> Iterator[Caller]:
    with start_machine(image) as machine, Caller(machine.connect()) as caller:
        yield caller


@pytest.fixture(scope="module", params=["image", "image_61"])
def lab_image(request: pytest.FixtureRequest) -> Image:
    """Both kernels, one after the other."""
    found: Image = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def caller(lab_image: Image) -> Iterator[Caller]:
    """A lab of these tests' own: they load modules and mount things."""
    with agent(lab_image) as connection:
        yield connection


@pytest.fixture
def shell(caller: Caller) -> Shell:
    return partial(run, caller)


@pytest.fixture
def read(caller: Caller) -> Read:
    return partial(kstats, caller)


def kstats(caller: Caller, module: ModuleType) -> dict[Words, Kstat]:
    """What a module of built-in kstats finds in the guest, by the kstats' names."""

    def call(op: str, **fields: Any) -> Message:
        head, blob = caller.call(op, **fields)
        return Message(REPLY, head, blob)

    found = list(module.kstats(Files(call).read(module.SOURCES)))
    by_words = {(k.id.module, k.id.instance, k.id.name): k for k in found}
    assert len(by_words) == len(found), "two kstats have one name"
    return by_words


def values(kstat: Kstat) -> dict[str, Scalar]:
    return {name: value.value for name, value in kstat.data.items()}


def growth(before: Kstat, after: Kstat) -> dict[str, float]:
    """By how much each counter has grown."""
    return {
        # The kernel shows ICMP types from the first message on.
        name: float(value.value) - float(before.data[name].value if name in before.data else 0)
        for name, value in after.data.items()
        if value.counter
    }


# --- disks -------------------------------------------------------------------------------


@pytest.fixture
def null_block(shell: Shell) -> Iterator[Callable[[str], None]]:
    def load(options: str) -> None:
        shell(f"modprobe -r null_blk; modprobe null_blk nr_devices=1 gb=1 {options}")

    yield load
    shell("modprobe -r null_blk")


NULL = ("null_blk", 0, "nullb0")


def test_a_disk_counts_the_requests_and_bytes_of_dd(
    read: Read, shell: Shell, null_block: Callable[[str], None]
) -> None:
    null_block("memory_backed=1 discard=1 cache_size=1")
    before = read(disks)[NULL]
    shell("dd if=/dev/zero of=/dev/nullb0 bs=4096 count=1009 oflag=direct")
    shell("dd if=/dev/nullb0 of=/dev/null bs=8192 count=503 iflag=direct")
    shell("blkdiscard -o 0 -l 1048576 /dev/nullb0")
    after = read(disks)[NULL]
    assert (after.kind, after.class_) == (IO, "disk")
    grown = growth(before, after)
    assert (grown["writes"], grown["nwritten"]) == (1009, 1009 * 4096)
    assert (grown["reads"], grown["nread"]) == (503, 503 * 8192)
    assert grown["ndiscarded"] == 1048576
    assert after.data["rcnt"].value == 0
    assert after.data["size"].value == 1 << 30
    assert after.data["iostats"].value == 1
    assert after.snaptime_ns > before.snaptime_ns > 0


def test_a_disks_numbers_are_those_of_its_own_stat_file(
    read: Read, shell: Shell, null_block: Callable[[str], None]
) -> None:
    null_block("memory_backed=1 discard=1 cache_size=1")
    shell("dd if=/dev/zero of=/dev/nullb0 bs=64k count=211 conv=fsync; blkdiscard /dev/nullb0")
    found = values(read(disks)[NULL])
    told = [int(word) for word in shell("cat /sys/block/nullb0/stat").split()]
    # Source: Linux Documentation/block/stat.rst.
    names = (
        *("reads", "read_merges", "nread", "read_time", "writes", "write_merges", "nwritten", "write_time"),
        *("rcnt", "rtime", "rlentime"),
        *("discards", "discard_merges", "ndiscarded", "discard_time", "flushes", "flush_time"),
    )
    factors = {"nread": 512, "nwritten": 512, "ndiscarded": 512} | {
        name: 10**6 for name in names if name.endswith("time")
    }
    assert {name: found[name] for name in names} == {
        name: value * factors.get(name, 1) for name, value in zip(names, told, strict=True)
    }
    assert found["flushes"]


def test_requests_that_take_10_ms_each_take_that_in_sum(
    read: Read, shell: Shell, null_block: Callable[[str], None]
) -> None:
    null_block("irqmode=2 completion_nsec=10000000")
    before = read(disks)[NULL]
    shell("dd if=/dev/nullb0 of=/dev/null bs=4096 count=53 iflag=direct")
    grown = growth(before, read(disks)[NULL])
    assert grown["reads"] == 53
    assert grown["rlentime"] >= 53 * 10e6
    assert grown["read_time"] == grown["rlentime"]
    assert grown["rtime"] <= grown["rlentime"] * 1.05  # never more than one at a time


def test_a_partition_is_of_its_disks_family(
    read: Read, shell: Shell, null_block: Callable[[str], None]
) -> None:
    null_block("memory_backed=1")
    shell(r"printf 'n\np\n1\n2048\n+64M\nw\n' | fdisk /dev/nullb0; test -b /dev/nullb0p1")
    name = ("null_blk", 0, "nullb0p1")
    before = read(disks)
    shell("dd if=/dev/zero of=/dev/nullb0p1 bs=4096 count=101 oflag=direct")
    after = read(disks)
    assert after[name].class_ == "partition"
    assert after[name].data["size"].value == 512 * int(shell("cat /sys/block/nullb0/nullb0p1/size"))
    assert growth(before[name], after[name])["nwritten"] == 101 * 4096
    assert growth(before[NULL], after[NULL])["nwritten"] == 101 * 4096


def test_a_disk_without_an_account_says_so(
    read: Read, shell: Shell, null_block: Callable[[str], None]
) -> None:
    null_block("memory_backed=1")
    shell("echo 0 > /sys/block/nullb0/queue/iostats")
    before = read(disks)[NULL]
    shell("dd if=/dev/zero of=/dev/nullb0 bs=4096 count=11 oflag=direct")
    after = read(disks)[NULL]
    assert after.data["iostats"].value == 0
    assert set(growth(before, after).values()) == {0}


def test_disks_that_come_and_go_while_they_are_read_do_no_harm(read: Read, shell: Shell) -> None:
    shell(
        "(for i in $(seq 13); do modprobe null_blk nr_devices=3; modprobe -r null_blk; done;"
        " touch /tmp/gone) >/dev/null 2>&1 &"
    )
    names = set()
    for _ in range(2000):
        found = read(disks)
        names |= {name for _, _, name in found}
        assert all("nread" in kstat.data and "rcnt" in kstat.data for kstat in found.values())
        if "yes" in shell("test -e /tmp/gone && echo yes || true"):
            break
    else:
        pytest.fail("the modules were not loaded 13 times")
    assert "nullb2" in names
    assert not any(name.startswith("nullb") for _, _, name in read(disks))


def test_the_labs_own_disks_are_there(read: Read, shell: Shell) -> None:
    found = {name: instance for _, instance, name in read(disks)}
    assert [*found.items()] == [("vda", 0), ("vdb", 1), ("vdc", 2), ("vdd", 3)]


# --- interfaces --------------------------------------------------------------------------


def ip_link(shell: Shell, name: str) -> dict[str, Any]:
    (found,) = json.loads(shell(f"ip -s -s -j link show dev '{name}'"))
    return dict(found)


def link(read: Read, name: str) -> Kstat:
    (found,) = (kstat for (_, _, other), kstat in read(net).items() if other == name)
    return found


def test_a_loopback_counts_every_ping_twice(read: Read, shell: Shell) -> None:
    shell("ip link set lo up")
    before = link(read, "lo")
    shell("ping -q -c 101 -i 0.002 -s 56 127.0.0.1")
    after = link(read, "lo")
    grown = growth(before, after)
    # Besides the 56: 8 of ICMP, 20 of IP. The Ethernet header is not counted on lo.
    size = 202 * (56 + 8 + 20)
    assert (grown["ipackets64"], grown["rbytes64"]) == (202, size)
    assert (grown["opackets64"], grown["obytes64"]) == (202, size)
    assert (after.id.module, after.id.instance, after.class_) == ("link", 1, "net")
    assert after.data["link_up"].value == 1


def test_an_interfaces_counters_are_those_that_ip_shows(read: Read, shell: Shell) -> None:
    shell("ip link add left type veth peer name right; ip netns add far; ip link set right netns far")
    try:
        shell("ip addr add 10.9.0.1/24 dev left; ip link set left up mtu 1312")
        assert link(read, "left").data["link_up"].value == 0  # the other end is down
        shell("ip -n far addr add 10.9.0.2/24 dev right; ip -n far link set right up")
        shell("ping -q -c 53 -i 0.002 10.9.0.2; ping -q -c 3 -i 0.002 -W 1 -b 10.9.0.255 || true")
        # Neighbour discovery goes on by itself; the same numbers twice are those of one moment.
        for _ in range(20):
            told, found, again = ip_link(shell, "left"), link(read, "left"), ip_link(shell, "left")
            if told == again:
                break
        data = values(found)
        received, sent = told["stats64"]["rx"], told["stats64"]["tx"]
        for way, names in (
            (
                received,
                {
                    "bytes": "rbytes64",
                    "packets": "ipackets64",
                    "errors": "ierrors",
                    "dropped": "rx_dropped",
                    "over_errors": "rx_over_errors",
                    "multicast": "multircv",
                    "length_errors": "rx_length_errors",
                    "crc_errors": "fcs_errors",
                    "frame_errors": "align_errors",
                    "fifo_errors": "oflo",
                    "missed_errors": "norcvbuf",
                },
            ),
            (
                sent,
                {
                    "bytes": "obytes64",
                    "packets": "opackets64",
                    "errors": "oerrors",
                    "dropped": "noxmtbuf",
                    "carrier_errors": "carrier_errors",
                    "collisions": "collisions",
                    "aborted_errors": "ex_collisions",
                    "fifo_errors": "uflo",
                    "window_errors": "tx_late_collisions",
                    "heartbeat_errors": "sqe_errors",
                    "carrier_changes": "carrier_changes",
                },
            ),
        ):
            assert {name: data[names[name]] for name in names if name in way} == {
                name: way[name] for name in names if name in way
            }
        assert data["opackets64"] >= 53  # type: ignore[operator]
        assert (data["mtu"], data["operstate"]) == (1312, "up")
        # What the driver of veth says: 10 Gbit/s, full duplex.
        assert (data["ifspeed"], data["link_duplex"]) == (10**10, 2)
        assert (data["link_state"], data["link_up"]) == (1, 1)
        assert found.id.instance == told["ifindex"]
        assert data["address"] == told["address"]
    finally:
        shell("ip netns del far; ip link del left 2>/dev/null; true")


def test_an_interface_with_a_wicked_name_is_shown_harmless(read: Read, shell: Shell) -> None:
    shell(r"""ip link add name "$(printf 'a\033[7m\377')" type dummy""")
    try:
        found = link(read, r"a\x1b[7m\xff")
        assert found.data["mtu"].value == 1500
    finally:
        shell(r"""ip link del dev "$(printf 'a\033[7m\377')" """)


def test_interfaces_that_come_and_go_while_they_are_read_do_no_harm(read: Read, shell: Shell) -> None:
    shell(
        "(for i in $(seq 31); do ip link add gone0 type dummy; ip link del gone0; done;"
        " touch /tmp/no-links) >/dev/null 2>&1 &"
    )
    for _ in range(2000):
        assert all({"rbytes64", "obytes64"} <= kstat.data.keys() for kstat in read(net).values())
        if "yes" in shell("test -e /tmp/no-links && echo yes || true"):
            break
    else:
        pytest.fail("the interface did not come and go 31 times")
    assert not any(name == "gone0" for _, _, name in read(net))


# --- protocols ---------------------------------------------------------------------------


def nstat(shell: Shell) -> dict[str, int]:
    """All counters by the names that nstat gives them, which are the group's and its own."""
    lines = (line.split() for line in shell("nstat -asz").splitlines() if not line.startswith("#"))
    return {name: int(value) for name, value, *_ in lines}


def test_every_counter_is_the_one_that_nstat_shows(read: Read, shell: Shell) -> None:
    shell("ip link set lo up; ping -q -c 7 -i 0.002 127.0.0.1; ping -6 -q -c 5 -i 0.002 ::1 || true")
    for _ in range(20):
        told, found, again = nstat(shell), read(mibs), nstat(shell)
        if told == again:
            break
    else:
        pytest.fail("the guest is never quiet")
    ours = {
        f"{group}{name}".lower(): value
        for (module, _, kstat), group in (
            (("ip", 0, "ip"), "Ip"),
            (("icmp", 0, "icmp"), "Icmp"),
            (("tcp", 0, "tcp"), "Tcp"),
            (("udp", 0, "udp"), "Udp"),
            (("udplite", 0, "udplite"), "UdpLite"),
            (("tcp", 0, "tcpstat"), "TcpExt"),
            (("ip", 0, "ipstat"), "IpExt"),
            (("mptcp", 0, "mptcpstat"), "MPTcpExt"),
            (("ip6", 0, "ip6"), "Ip6"),
            (("icmp6", 0, "icmp6"), "Icmp6"),
            (("udp6", 0, "udp6"), "Udp6"),
            (("udplite6", 0, "udplite6"), "UdpLite6"),
        )
        for name, value in values(found[module, 0, kstat]).items()
    }
    # nstat has what IcmpMsg counts under that name, and leaves the gauges out.
    compared = 0
    for name, value in told.items():
        assert ours[name.lower().replace("icmpmsg", "icmp")] == value, name
        compared += 1
    assert compared > 300


TRAFFIC = """
import socket
server = socket.create_server(("127.0.0.1", 0), backlog=200)
for _ in range(53):
    with socket.create_connection(server.getsockname()) as client:
        peer, _ = server.accept()
        client.sendall(b"x")
        assert peer.recv(1) == b"x"
        peer.close()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox:
    inbox.bind(("127.0.0.1", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for _ in range(101):
            out.sendto(b"y", inbox.getsockname())
            inbox.recv(1)
        address = inbox.getsockname()
        inbox.close()
        for _ in range(11):
            out.sendto(b"z", address)
"""


def test_known_traffic_is_counted(read: Read, shell: Shell) -> None:
    shell("ip link set lo up")
    before = read(mibs)
    shell("ping -q -c 29 -i 0.002 127.0.0.1")
    shell(f"python3 -c '{TRAFFIC}'")
    after = read(mibs)

    def grown(module: str) -> dict[str, float]:
        return growth(before[module, 0, module], after[module, 0, module])

    assert (grown("tcp")["activeOpens"], grown("tcp")["passiveOpens"]) == (53, 53)
    assert grown("udp")["outDatagrams"] == 112
    assert grown("udp")["inDatagrams"] == 101
    assert grown("udp")["noPorts"] == 11
    icmp = grown("icmp")
    assert (icmp["inEchos"], icmp["outEchos"], icmp["inEchoReps"], icmp["outEchoReps"]) == (29, 29, 29, 29)
    assert (icmp["InType8"], icmp["OutType0"], icmp["outDestUnreachs"]) == (29, 29, 11)
    assert grown("ip")["inReceives"] == grown("ip")["inDelivers"] >= 2 * 29 + 53 * 7 + 112


def test_sockets_are_those_that_ss_counts(read: Read, shell: Shell) -> None:
    shell("ip link set lo up")
    busy = (
        "import socket, time; s = [socket.create_server(('127.0.0.1', 0)) for _ in range(17)]; time.sleep(60)"
    )
    before = read(mibs)
    pid = shell(f'python3 -c "{busy}" >/dev/null 2>&1 & echo $!').strip()
    try:
        shell("for i in $(seq 200); do [ $(ss -Htln | wc -l) -ge 17 ] && exit 0; sleep 0.05; done; exit 1")
        after = read(mibs)
    finally:
        shell(f"kill {pid}")
    key = ("sockstat", 0, "tcp")
    assert int(after[key].data["inuse"].value) - int(before[key].data["inuse"].value) == 17
    assert after[key].class_ == "sockets"


# --- slab caches -------------------------------------------------------------------------


def test_merged_caches_are_named_as_the_links_in_sysfs_tell(read: Read, shell: Shell) -> None:
    links = shell(
        "cd /sys/kernel/slab; python3 -c 'import os; "
        """[print(n, os.path.realpath(n)) for n in os.listdir() if n[0] != ":"]'"""
    )
    groups: dict[str, set[str]] = {}
    for line in links.splitlines():
        name, target = line.split()
        groups.setdefault(target, set()).add(name)
    of_name = {name: group for group in groups.values() for name in group}
    data = {name: values(kstat) for (_, _, name), kstat in read(slab).items()}
    named = {
        name: str(found["alias_names"]).split() for name, found in data.items() if "alias_names" in found
    }
    assert {name: {name, *others} for name, others in named.items()} == {
        name: of_name[name] for name in named
    }
    # Two shared caches that differ in nothing that sysfs shows are told apart by no one but the links.
    assert len(named) >= 0.7 * sum(found["aliases"] != 0 for found in data.values()) >= 10


def test_a_caches_sizes_are_those_that_sysfs_tells(read: Read, shell: Shell) -> None:
    found = read(slab)
    (page,) = shell("getconf PAGESIZE 2>/dev/null || echo 4096").split()
    for name in ("dentry", "kmalloc-64", "skbuff_head_cache", "ext4_inode_cache"):
        files = ("object_size", "align", "slab_size", "order", "objs_per_slab")
        told = [int(shell(f"cat /sys/kernel/slab/{name}/{file}")) for file in files]
        data = values(found["unix", 0, name])
        names = ("buf_size", "align", "chunk_size", "slab_size", "slab_bufs")
        told[3] = int(page) << told[3]
        assert [data[statistic] for statistic in names] == told


def test_objects_of_a_cache_are_counted(read: Read, shell: Shell) -> None:
    key = ("unix", 0, "ext4_inode_cache")
    shell("sync; echo 3 > /proc/sys/vm/drop_caches")
    before = read(slab)[key].data
    shell("mkdir /mnt/ext4/many; cd /mnt/ext4/many; seq 2003 | xargs touch")
    after = read(slab)[key].data
    made = int(after["buf_inuse"].value) - int(before["buf_inuse"].value)
    # A CPU's slab counts as wholly in use.
    assert 0 <= abs(made - 2003) <= 8 * int(after["slab_bufs"].value)
    assert int(after["slabs"].value) * int(after["slab_bufs"].value) == after["buf_total"].value
    told = shell("grep ^ext4_inode_cache /proc/slabinfo").split()
    assert int(told[2]) == pytest.approx(int(after["buf_total"].value), rel=0.1)
    shell("rm -r /mnt/ext4/many")


# --- file systems ------------------------------------------------------------------------


def test_every_mount_is_there_under_its_id(read: Read, shell: Shell) -> None:
    # Of the agent's own mounts, which are this shell's too.
    told = {}
    for line in shell("cat /proc/self/mountinfo").splitlines():
        first, second = line.split(" - ")
        told[int(first.split()[0])] = (first.split()[4], *second.split()[:2])
    found = {
        instance: (name, kstat.data["type"].value, kstat.data["source"].value)
        for (module, instance, name), kstat in read(filesystems).items()
        if module == "vfs" and instance
    }
    assert found == told


def test_a_mount_point_with_a_wicked_name_is_shown_harmless(read: Read, shell: Shell) -> None:
    shell(r"""d="$(printf '/tmp/a b:c\td\033\\e')"; mkdir "$d"; mount -t tmpfs -o ro 'x y' "$d" """)
    try:
        (found,) = (k for (_, _, name), k in read(filesystems).items() if name.startswith("/tmp/a"))
        assert found.id.name == r"/tmp/a b\x3ac\x09d\x1b\x5ce"
        data = values(found)
        assert (data["type"], data["source"], data["readonly"]) == ("tmpfs", "x y", 1)
    finally:
        shell("umount /tmp/a*; rmdir /tmp/a*")


def test_an_ext4_tells_its_delayed_blocks_and_its_errors(read: Read, shell: Shell) -> None:
    key = ("ext4", 32, "vdc")
    shell("sync")
    before = read(filesystems)[key]
    size = int(shell("stat -f -c %S /mnt/ext4"))
    shell(f"dd if=/dev/zero of=/mnt/ext4/delayed bs={size} count=97")
    during = read(filesystems)[key]
    shell("sync")
    after = read(filesystems)[key]
    assert [k.data["delayed_allocation_blocks"].value for k in (before, during, after)] == [0, 97, 0]
    assert growth(before, after)["session_write_kbytes"] >= 97 * size // 1024
    shell("rm /mnt/ext4/delayed; echo on purpose > /sys/fs/ext4/vdd/trigger_fs_error")
    broken = read(filesystems)["ext4", 48, "vdd"]
    assert broken.data["errors_count"].value == int(shell("cat /sys/fs/ext4/vdd/errors_count")) == 1
    assert broken.data["last_error_func"].value == shell("cat /sys/fs/ext4/vdd/last_error_func").strip()
    assert broken.data["last_error_time"].value == int(shell("cat /sys/fs/ext4/vdd/last_error_time"))


def test_a_journal_counts_its_transactions(read: Read, shell: Shell) -> None:
    key = ("jbd2", 32, "vdc-8")
    shell("sync")
    before = read(filesystems)[key]
    shell("for i in $(seq 13); do echo $i > /mnt/ext4/journal; sync /mnt/ext4/journal; done")
    after = read(filesystems)[key]
    assert growth(before, after)["transactions"] == 13
    told = shell("cat /proc/fs/jbd2/vdc-8/info").splitlines()
    data = values(after)
    assert told[0] == (
        f"{data['transactions']} transactions ({data['requested']} requested), "
        f"each up to {data['max_blocks']} blocks"
    )
    assert f"{data['commit_time_avg']}us average transaction commit time" in told[-4]
    assert len(data) == 3 + 10


def test_the_shared_tables_are_those_of_the_kernel(read: Read, shell: Shell) -> None:
    found = read(filesystems)
    assert str(found["vfs", 0, "files"].data["max"].value) == shell("cat /proc/sys/fs/file-max").strip()
    holding = "import os, time; f = [os.open('/', 0) for _ in range(701)]; time.sleep(60)"
    pid = shell(f'python3 -c "{holding}" >/dev/null 2>&1 & echo $!').strip()
    try:
        shell(f"for i in $(seq 200); do [ $(ls /proc/{pid}/fd | wc -l) -ge 701 ] && exit 0; sleep 0.05; done")
        after = read(filesystems)
    finally:
        shell(f"kill {pid}")
    key = ("vfs", 0, "files")
    assert int(after[key].data["allocated"].value) - int(found[key].data["allocated"].value) >= 701 - 100
    assert after["vfs", 0, "dentries"].data.keys() == {"nr_dentry", "nr_unused", "nr_negative"}


# --- NFS ---------------------------------------------------------------------------------

SHARE = """
ip link set lo up
mount -t tmpfs share /srv && head -c 300007 /dev/zero > /srv/file
echo '/srv *(rw,fsid=0,no_root_squash,insecure,no_subtree_check)' > /etc/exports
modprobe nfsd && mount -t nfsd nfsd /proc/fs/nfsd
exportfs -ra && rpc.nfsd -N 3 1 && rpc.mountd -N 3 -u
# No client of an earlier life is waited for.
echo Y > /proc/fs/nfsd/v4_end_grace
mkdir -p "/tmp/n f"; mount -t nfs4 -o nosharecache localhost:/ "/tmp/n f"
"""


def test_an_nfs_mount_counts_bytes_and_operations(lab_image: Image) -> None:
    with agent(lab_image) as caller:
        run(caller, SHARE)
        minor = int(
            run(caller, "stat -c %Ld '/tmp/n f' 2>/dev/null || mountpoint -d '/tmp/n f' | cut -d: -f2")
        )
        io, stats, ops = ("nfs", minor, f"nfs{minor}"), ("nfs", minor, "mountstats"), ("nfs", minor, "ops")
        before = kstats(caller, nfs)
        run(
            caller,
            "cat '/tmp/n f/file' > /dev/null; head -c 70001 /dev/zero > '/tmp/n f/new'; sync '/tmp/n f/new'",
        )
        after = kstats(caller, nfs)
        assert after[io].kind is IO and after[io].class_ == "nfs"
        assert growth(before[io], after[io])["nread"] == 300007
        assert growth(before[io], after[io])["nwritten"] == 70001
        assert growth(before[stats], after[stats])["normal_read_bytes"] == 300007
        assert growth(before[stats], after[stats])["normal_written_bytes"] == 70001
        assert after[stats].data["mounted_on"].value == "/tmp/n f"
        assert after[stats].data["source"].value == "localhost:/"
        per_op = values(after[ops])
        for line in run(caller, "cat /proc/self/mountstats").partition("per-op statistics\n")[2].splitlines():
            name, _, counts = line.strip().partition(": ")
            if name in {"READ", "READ_PLUS", "WRITE", "GETATTR", "NULL"}:
                words = ("ops", "transmissions", "timeouts", "bytes_sent", "bytes_received", "queue", "rtt")
                told = dict(zip(words, map(int, counts.split()), strict=False))
                assert {what: per_op[f"{name}_{what}"] for what in words} == told
        reads = int(per_op["READ_ops"]) + int(per_op["READ_PLUS_ops"])
        assert reads == after[io].data["reads"].value != 0
        assert per_op["WRITE_ops"] == after[io].data["writes"].value != 0
        run(caller, "umount '/tmp/n f'")
        assert kstats(caller, nfs) == {}
