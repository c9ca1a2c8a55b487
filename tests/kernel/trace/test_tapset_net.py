"""The network: every alias of seven files, against what programs sent and what the kernel counted.

Packets go over the loopback device, and through this machine from one network
namespace to another.
"""

from __future__ import annotations

import pytest

from ktrace_nb.lab.image import Image
from tests.kernel.trace.tapset_kit import Fired, Row, Value, aliases_of, fire, program, show

pytestmark = pytest.mark.kernel

FILES = ("networking.stp", "netfilter.stp", "tcp.stp", "udp.stp", "socket.stp", "mib.stp")
ALIASES = aliases_of(*FILES)

DEVICES = """
ip netns add a; ip netns add b
ip link add va type veth peer name ea netns a
ip link add vb type veth peer name eb netns b
ip addr add 10.1.0.1/24 dev va; ip addr add fd01::1/64 dev va nodad
ip addr add 10.2.0.1/24 dev vb; ip addr add fd02::1/64 dev vb nodad
ip -n a addr add 10.1.0.2/24 dev ea; ip -n a addr add fd01::2/64 dev ea nodad
ip -n b addr add 10.2.0.2/24 dev eb; ip -n b addr add fd02::2/64 dev eb nodad
for end in va vb; do ip link set $end up; done
ip -n a link set ea up; ip -n b link set eb up
ip -n a route add default via 10.1.0.1; ip -n b route add default via 10.2.0.1
ip -n a -6 route add default via fd01::1; ip -n b -6 route add default via fd02::1
ip route add 10.9.0.0/16 via 10.1.0.2
ip netns exec a sysctl -q -w net.ipv4.ip_forward=0
sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip link add probed type veth peer name unused
ip link set probed up
ip link set probed down
ip link set probed mtu 1234
ip link set probed address 02:00:00:00:12:34
ip link set probed promisc on
ip link set probed promisc off
ip link set probed up
ip link set probed netns b
ip link del unused
"""

AWAY = """
s=$?
sysctl -q -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
ip link del va; ip link del vb; ip netns del a; ip netns del b
exit $s
"""

TALK = """
import ctypes, fcntl, socket, struct, time
libc = ctypes.CDLL(None)

def counters():
    found = {}
    for place in "/run/netns/a", "/run/netns/b", "/proc/1/ns/net":
        enter(place)
        for path in "/proc/thread-self/net/snmp", "/proc/thread-self/net/netstat":
            lines = open(path).read().splitlines()
            for names, values in zip(lines[::2], lines[1::2]):
                kind = names.split()[0]
                for name, value in zip(names.split()[1:], values.split()[1:]):
                    found[kind + name] = found.get(kind + name, 0) + int(value)
    return found

def enter(place):
    fd = os.open(place, os.O_RDONLY)
    assert libc.setns(fd, 0x40000000) == 0
    os.close(fd)

def made_in(name, family, kind):
    enter("/run/netns/" + name)
    made = socket.socket(family, kind)
    enter("/proc/1/ns/net")
    return made

def forget(made):
    libc.connect(made.fileno(), struct.pack("<H14x", 0), 16)  # AF_UNSPEC

def info(made):
    words = struct.unpack_from("<19I", made.getsockopt(6, 11, 104), 8)
    state = made.getsockopt(6, 11, 1)[0]
    return {"state": state, "rto": words[0], "rcv_mss": words[3], "ssthresh": words[17], "cwnd": words[18]}

before = counters()
open("/proc/net/dev").read()
lo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(lo, 0x8921, struct.pack("16s16x", b"lo"))  # SIOCGIFMTU
lo.close()

# Datagrams over the loopback device.
for family, address, size, port in (2, "127.0.0.1", 777, 5301), (10, "::1", 778, 6301):
    there = socket.socket(family, socket.SOCK_DGRAM)
    here = socket.socket(family, socket.SOCK_DGRAM)
    there.bind((address, port)), here.bind((address, port + 1))
    here.connect((address, port)), there.connect((address, port + 1))
    here.send(b"x" * size)
    there.recv(2048)
    forget(here)
    here.close(), there.close()

# Connections over the loopback device.
for family, address, port in (2, "127.0.0.1", 5001), (10, "::1", 6001):
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port)), listener.listen(5)
    here = socket.socket(family)
    here.setsockopt(6, 1, 1)  # TCP_NODELAY
    here.bind((address, port + 1)), here.connect((address, port))
    there, _ = listener.accept()
    if family == 2:
        said["info"] = info(here)
    here.send(b"y" * 1001)
    said["received"] = len(there.recv(2003))
    os.write(there.fileno(), b"z" * 1003)
    os.read(here.fileno(), 2005)
    # What is not acknowledged with an answer waits for the timer.
    there.setsockopt(6, 12, 0)  # TCP_QUICKACK
    here.send(b"late")
    time.sleep(0.3)
    # Ended without goodbye.
    here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("<ii", 1, 0))
    here.close(), there.close(), listener.close()

# Nobody listens.
nobody = socket.socket()
nobody.bind(("127.0.0.1", 5990))
said["refused"] = nobody.connect_ex(("127.0.0.1", 5991))
nobody.close()

# A connection taken back.
listener = socket.socket()
listener.bind(("127.0.0.1", 5101)), listener.listen(5)
here = socket.socket()
here.bind(("127.0.0.1", 5102)), here.connect(("127.0.0.1", 5101))
forget(here)
listener.close(), here.close()

# More connections than somebody wants to accept.
listener = socket.socket()
listener.bind(("127.0.0.1", 5201)), listener.listen(0)
many = [socket.socket() for _ in range(3)]
for one in many:
    one.setblocking(False), one.connect_ex(("127.0.0.1", 5201))
time.sleep(0.1)
for one in many:
    one.close()
listener.close()

# Nobody answers.
lost = socket.socket()
lost.setblocking(False)
lost.connect_ex(("10.9.0.9", 99))
time.sleep(1.3)
lost.close()

# Through this machine.
for family, sender, receiver in (2, "10.1.0.2", "10.2.0.2"), (10, "fd01::2", "fd02::2"):
    there = made_in("b", family, socket.SOCK_DGRAM)
    there.bind((receiver, 7001))
    here = made_in("a", family, socket.SOCK_DGRAM)
    here.bind((sender, 7002))
    for _ in range(3):
        here.sendto(b"w" * 313, (receiver, 7001))
    there.settimeout(5)
    for _ in range(3):
        there.recv(2048)
    if family == 2:
        # In pieces: 4000 bytes of data and 8 of header do not go into 1500.
        here.sendto(b"v" * 4000, (receiver, 7001))
        said["pieces"] = len(there.recv(5000))
        enter("/run/netns/a")
        os.system("tc qdisc add dev ea root pfifo limit 0")
        enter("/proc/1/ns/net")
        try:
            here.sendto(b"u" * 4000, (receiver, 7001))
        except OSError as error:
            said["dropped"] = error.errno
        enter("/run/netns/a")
        os.system("tc qdisc del dev ea root")
        enter("/proc/1/ns/net")
    here.close(), there.close()

# Memory for connections is said to be short.
limits = open("/proc/sys/net/ipv4/tcp_mem").read()
listener = socket.socket()
listener.bind(("127.0.0.1", 5401)), listener.listen(5)
listener.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
here = socket.socket()
here.setsockopt(socket.SOL_SOCKET, 32, 8 << 20)  # SO_SNDBUFFORCE
here.connect(("127.0.0.1", 5401))
there, _ = listener.accept()
here.setblocking(False)
open("/proc/sys/net/ipv4/tcp_mem", "w").write("0 1 10000")
# A processor keeps a megabyte for itself that is not counted.
here.send(b"t" * (3 << 20))
open("/proc/sys/net/ipv4/tcp_mem", "w").write(limits)
here.close(), there.close(), listener.close()

pair = socket.socketpair()
os.write(pair[0].fileno(), b"s" * 99)
os.read(pair[1].fileno(), 111)
for one in pair:
    one.close()
after = counters()
said["counted"] = {name: after[name] - before[name] for name in after if after[name] != before[name]}
"""

MORE = {
    "tcp.sendmsg": [
        *("inet_get_local_port(sock)", "inet_get_ip_source(sock)", "tcp_get_info_rto(sock)"),
        *("tcp_get_info_snd_cwnd(sock)", "tcp_ts_get_info_state(sock)"),
        *("tcp_ts_get_info_snd_ssthresh(sock)", "tcp_ts_get_info_rcv_mss(sock)"),
    ],
    "tcp.ipv4.receive": [
        *(
            "__get_skb_tcphdr($skb) == tcphdr",
            "__ip_skb_proto(iphdr)",
            "daddr_to_string(__ip_skb_saddr(iphdr))",
        ),
        *(f"__tcp_skb_{flag}(tcphdr)" for flag in ("urg", "ack", "psh", "rst", "syn", "fin")),
    ],
    "netdev.rx": ["get_netdev_name(netdev) == dev_name"],
    "ipmib.InReceives": [
        *("ipmib_get_proto(skb)", "ipmib_local_addr(skb, 0)", "ipmib_remote_addr(skb, 0)"),
        *("ipmib_tcp_local_port(skb, 0)", "ipmib_tcp_remote_port(skb, 0)"),
    ],
}
OF_CONNECTION = [
    *("tcpmib_get_state(sk)", "tcpmib_local_addr(sk)", "tcpmib_remote_addr(sk)"),
    *("tcpmib_local_port(sk)", "tcpmib_remote_port(sk)"),
]


@pytest.fixture(scope="module")
def talk(image: Image) -> Fired:
    script = ""
    for name in ALIASES:
        more = MORE.get(name, [])
        if name.startswith("tcpmib") and name != "tcpmib.OutRsts":
            more = OF_CONNECTION
        script += show(name, "", more=more)
    return fire(script, program(TALK, before=DEVICES, after=AWAY))


V4 = ("127.0.0.1", "127.0.0.1")
V6 = (("0000:" * 7 + "0001"),) * 2
FLAGS = ("urg", "ack", "psh", "rst", "syn", "fin")


def ends(row: Row) -> tuple[Value, ...]:
    """The two ends of a connection or a packet."""
    return row["saddr"], row["daddr"], row["sport"], row["dport"]


def one_of(fired: Fired, name: str, **values: Value) -> Row:
    """The first event of an alias with these values."""
    found = fired.of(name, **values)
    assert found, f"{name}: none of {len(fired.of(name))} events has {values}"
    return found[0]


def test_all_of_them_fire(talk: Fired) -> None:
    assert len(ALIASES) == 83
    assert talk.silent(ALIASES) == []


def test_datagrams(talk: Fired) -> None:
    pid = talk.said["pid"]
    for family, addresses, size, port in ((2, V4, 777, 5301), (10, V6, 778, 6301)):
        there = {"tid": pid, "family": family, "sport": port}
        here = {"tid": pid, "family": family, "sport": port + 1}
        for name in ("udp.sendmsg", "udp.sendmsg.return"):
            row = talk.one(name, size=size, **here)
            assert ends(row) == (*addresses, port + 1, port)
            assert row["name"] == "udp.sendmsg"
        row = talk.one("udp.recvmsg", size=2048, **there)
        assert ends(row) == (*addresses, port, port + 1)
        assert ends(talk.one("udp.recvmsg.return", size=size, **there)) == ends(row)
        row = talk.one("udp.disconnect", **here)
        assert (*ends(row), row["flags"]) == (*addresses, port + 1, port, 2)  # O_RDWR
        row = talk.one("udp.disconnect.return", **here)
        assert (row["ret"], row["dport"]) == (0, 0)


def test_connections(talk: Fired) -> None:
    pid = talk.said["pid"]
    assert talk.said["received"] == 1001
    for family, addresses, port in ((2, V4, 5001), (10, V6, 6001)):
        here = (*addresses, port + 1, port)
        there = (*addresses, port, port + 1)
        sent = [(1001, here), (1003, there), (4, here)]
        for name in ("tcp.sendmsg", "tcp.sendmsg.return"):
            rows = [
                row
                for row in talk.of(name, tid=pid, family=family)
                if {row["sport"], row["dport"]} == {port, port + 1}
            ]
            assert [(row["size"], ends(row)) for row in rows] == sent
        asked, got = [(2003, there), (2005, here)], [(1001, there), (1003, here)]
        for name, expected in (("tcp.recvmsg", asked), ("tcp.recvmsg.return", got)):
            assert [(row["size"], ends(row)) for row in talk.of(name, tid=pid, family=family)] == expected
        assert ends(talk.of("tcp.disconnect", tid=pid, family=family, sport=port + 1)[0]) == here
        done = talk.of("tcp.disconnect.return", tid=pid, family=family, sport=port + 1)[0]
        assert (done["ret"], done["name"]) == (0, "tcp.disconnect")
        options = [
            (row["level"], row["optname"], row["optstr"], row["optlen"])
            for row in talk.of("tcp.setsockopt", family=family)
        ]
        assert options == [(6, 1, "TCP_NODELAY", 4), (6, 12, "TCP_QUICKACK", 4)]
    assert [row["ret"] for row in talk.of("tcp.setsockopt.return")] == [0] * 4
    # What TCP_INFO told the program a moment before.
    row = talk.one("tcp.sendmsg", size=1001, family=2)
    info = talk.said["info"]
    assert (row["more0"], row["more1"]) == (5002, "127.0.0.1")
    assert [row[f"more{n}"] for n in range(2, 7)] == [
        info[n] for n in ("rto", "cwnd", "state", "ssthresh", "rcv_mss")
    ]
    # A connection taken back by connect(2) to nowhere.
    assert ends(talk.one("tcp.disconnect", sport=5102)) == (*V4, 5102, 5101)


def test_segments(talk: Fired) -> None:
    for kind, family, addresses, port in ((4, 2, V4, 5001), (6, 10, V6, 6001)):
        name = f"tcp.ipv{kind}.receive"
        rows = [row for row in talk.of(name) if {row["sport"], row["dport"]} == {port, port + 1}]
        flags = [tuple(row[flag] for flag in FLAGS) for row in rows]
        # SYN, SYN and ACK, ACK, data, acknowledgements, RST with ACK.
        assert flags[:4] == [(0, 0, 0, 0, 1, 0), (0, 1, 0, 0, 1, 0), (0, 1, 0, 0, 0, 0), (0, 1, 1, 0, 0, 0)]
        assert flags[-1] == (0, 1, 0, 1, 0, 0)
        assert [ends(row) for row in rows[:2]] == [(*addresses, port + 1, port), (*addresses, port, port + 1)]
        assert {(row["name"], row["family"], row["protocol"]) for row in rows} == {(name, family, 6)}
    for row in talk.of("tcp.ipv4.receive"):
        assert (row["more0"], row["more1"], row["more2"]) == (1, 6, row["saddr"])
        assert [row[f"more{n}"] for n in range(3, 9)] == [row[flag] for flag in FLAGS]
    both = len(talk.of("tcp.ipv4.receive")) + len(talk.of("tcp.ipv6.receive"))
    assert len(talk.of("tcp.receive")) == both


def test_sockets(talk: Fired) -> None:
    pid = talk.said["pid"]
    udp, tcp, unix = ((2, 17, 2), (2, 6, 1), (1, 0, 1))  # family, protocol, type
    for (family, protocol, kind), name, wanted, done in (
        (udp, "sendmsg", 777, 777),
        (udp, "recvmsg", 2048, 777),
        (tcp, "sendmsg", 1001, 1001),
        (tcp, "recvmsg", 2003, 1001),
        (tcp, "write_iter", 1003, 1003),
        (tcp, "read_iter", 2005, 1003),
        (unix, "write_iter", 99, 99),
        (unix, "read_iter", 111, 99),
        (tcp, "aio_write", 1003, 1003),
        (unix, "aio_read", 111, 99),
    ):
        what = {"tid": pid, "family": family, "protocol": protocol, "type": kind}
        row = one_of(talk, f"socket.{name}", size=wanted, **what)
        assert (row["name"], row["state"]) == (f"socket.{name}", 3 if kind == 1 else row["state"])
        row = talk.of(f"socket.{name}.return", size=done, **what)[0]
        assert (row["name"], row["success"]) == (f"socket.{name}", 1)
    for name, origin, size in (("send", "sendmsg", 777), ("receive", "recvmsg", 777)):
        assert talk.one(f"socket.{name}", tid=pid, size=size)["name"] == f"socket.{name}"
        assert len(talk.of(f"socket.{name}")) == len(talk.of(f"socket.{origin}.return"))
    # Two ends of each way of datagrams, a question about a device; a pair is two sockets.
    for (family, protocol, kind), number in (((2, 0, 2), 3 + 2), ((10, 0, 2), 2 + 2), ((1, 0, 1), 2)):
        what = {"tid": pid, "family": family, "protocol": protocol, "type": kind}
        rows = talk.of("socket.create", **what)
        assert len(rows) == number
        assert {row["requester"] for row in rows} == {0}
        made = talk.of("socket.create.return", **what)
        assert [(row["success"], row["err"]) for row in made] == [(1, 0)] * number
    assert len(talk.of("socket.close", tid=pid, family=1, type=1, state=3)) == 2
    assert len(talk.of("socket.close", tid=pid)) == len(talk.of("socket.close.return", tid=pid))


def test_devices(talk: Fired) -> None:
    probed = {"dev_name": "probed"}
    row = talk.one("netdev.change_mtu", **probed)
    assert (row["old_mtu"], row["new_mtu"]) == (1500, 1234)
    row = talk.one("netdev.change_mac", **probed)
    assert (row["mac_len"], row["new_mac"]) == (6, "02:00:00:00:12:34")
    assert str(row["old_mac"]).count(":") == 5
    rows = talk.of("netdev.set_promiscuity", **probed)
    assert [(row["enable"], row["disable"], row["inc"]) for row in rows] == [(1, 0, 1), (0, 1, -1)]
    # Up, down, promiscuous, no more, up: IFF_UP 1, IFF_PROMISC 0x100 of include/uapi/linux/if.h.
    flags = [int(row["flags"]) & 0x101 for row in talk.of("netdev.change_rx_flag", **probed)]
    assert flags == [1, 0, 0x100, 0, 1]
    assert len(talk.of("netdev.open", **probed)) == 2
    assert len(talk.of("netdev.close", **probed)) == 1  # as it goes to another namespace
    assert len(talk.of("netdev.register", **probed)) == 1
    assert talk.of("netdev.unregister", dev_name="unused")
    row = talk.one("netdev.ioctl", cmd=0x8921)
    assert (row["tid"], row["arg"]) == (talk.said["pid"], "lo")
    asked = {row["dev_name"] for row in talk.of("netdev.get_stats", tid=talk.said["pid"])}
    assert asked == {"lo", "va", "vb"}  # all that /proc/net/dev lists


def test_packets(talk: Fired) -> None:
    # IP and UDP in 28 bytes, in front of it 14 of the link; ETH_P_IP in network order.
    own = {"dev_name": "lo", "protocol": 0x0008, "tid": talk.said["pid"]}
    assert int(talk.one("netdev.transmit", length=14 + 28 + 777, **own)["truesize"]) > 819
    assert int(talk.one("netdev.hard_transmit", length=14 + 28 + 777, **own)["truesize"]) > 819
    assert int(talk.one("netdev.receive", length=28 + 777, **own)["truesize"]) > 819
    assert one_of(talk, "netdev.rx", **own)["more0"] == 1
    ways = ("transmit", "hard_transmit", "rx", "receive")
    counts = [len(talk.of(f"netdev.{name}", dev_name="lo", protocol=0x0008)) for name in ways]
    assert counts[0] > 20
    # The two before the driver count what it gets as a list once.
    assert counts[0] == counts[1] <= counts[2] == counts[3]

    for kind, addresses, size, port in (("ipv4", V4, 777 + 28, 5301), ("ipv6", V6, 778 + 48, 6301)):
        for hook in ("local_out", "post_routing", "pre_routing", "local_in"):
            for name in (f"netfilter.{kind}.{hook}", f"netfilter.ip.{hook}"):
                row = talk.one(name, sport=port + 1, dport=port)
                assert (*ends(row)[:2], row["length"], row["protocol"]) == (*addresses, size, 17)
                assert row["family"] == (2 if kind == "ipv4" else 10)
                comes_in = hook in ("pre_routing", "local_in")
                assert (row["indev_name"], row["outdev_name"]) == ("lo" if comes_in else "", "")
                assert (bool(row["indev"]), row["outdev"]) == (comes_in, 0)
    for hook in ("local_out", "local_in"):
        rows = [
            row for row in talk.of(f"netfilter.ipv4.{hook}") if {row["sport"], row["dport"]} == {5001, 5002}
        ]
        flags = [tuple(row[flag] for flag in FLAGS) for row in rows]
        assert flags[:3] == [(0, 0, 0, 0, 1, 0), (0, 1, 0, 0, 1, 0), (0, 1, 0, 0, 0, 0)]
        assert flags[-1] == (0, 1, 0, 1, 0, 0)
    for kind, header, prefix in (("ipv4", 28, ("10.1.0.2", "10.2.0.2")), ("ipv6", 48, None)):
        rows = talk.of(f"netfilter.{kind}.forward", length=313 + header)
        assert len(rows) == 3
        assert {(row["sport"], row["dport"], row["indev_name"]) for row in rows} == {(7002, 7001, "va")}
        assert prefix is None or {ends(row)[:2] for row in rows} == {prefix}
    forwarded = [len(talk.of(f"netfilter.{kind}.forward")) for kind in ("ipv4", "ipv6", "ip")]
    assert forwarded[0] + forwarded[1] == forwarded[2]


COUNTED = {
    "tcpmib": (
        "Tcp:",
        ("ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets", "OutRsts", "RetransSegs"),
    ),
    "linuxmib": ("TcpExt:", ("DelayedACKs", "ListenOverflows", "ListenDrops", "TCPMemoryPressures")),
    "ipmib": ("Ip:", ("InReceives", "ForwDatagrams", "OutRequests", "ReasmReqds", "FragOKs", "FragFails")),
}


@pytest.mark.parametrize("kind", COUNTED)
def test_counters_are_those_of_proc_net(talk: Fired, kind: str) -> None:
    prefix, names = COUNTED[kind]
    counted = {name: sum(int(row["op"]) for row in talk.of(f"{kind}.{name}")) for name in names}
    assert counted == {name: talk.said["counted"][prefix + name] for name in names}


def test_counters_tell_their_connection(talk: Fired) -> None:
    loopback = 127 << 24 | 1
    row = talk.one("tcpmib.ActiveOpens", more3=5002)
    assert [row[f"more{n}"] for n in range(5)] == [2, loopback, loopback, 5002, 5001]  # SYN_SENT
    row = one_of(talk, "tcpmib.InSegs", more3=5002)
    assert (row["more1"], row["more2"], row["more4"]) == (loopback, loopback, 5001)
    # Each connection over IPv4 is established at both ends and ends at both.
    established = [row["op"] for row in talk.of("tcpmib.CurrEstab", more3=5002, more1=loopback)]
    assert established == [1, -1]
    # Segments of one connection: they are seen as packets of the loopback device as well.
    out = talk.of("tcpmib.OutSegs", more3=5002, more1=loopback)
    packets = talk.of("netfilter.ipv4.local_out", sport=5002, dport=5001)
    # The last, that ends the connection, is sent when the socket has no address any more.
    assert 0 <= len(packets) - len(out) <= 1
    row = one_of(talk, "ipmib.InReceives", more3=5301)
    assert [row[f"more{n}"] for n in range(5)] == [17, loopback, loopback, 5301, 5302]
    row = talk.of("ipmib.InReceives", more3=5001)[0]
    assert (row["more0"], row["more4"]) == (6, 5002)
    assert (talk.said["refused"], talk.said["pieces"]) == (111, 4000)
