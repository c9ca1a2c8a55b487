"""What the protocols count, of class ``mib2``: ``tcp:0:tcp``, ``udp:0:udp``, ``ip:0:ip``, ``icmp:0:icmp``.

What is an object of the protocol's MIB has its name there, without the group's prefix, as in
illumos: ``tcpInSegs`` is ``inSegs``. What only Linux counts keeps Linux' name (``InCsumErrors``), and
its further counters are kstats of their own, named as illumos names its: ``tcp:0:tcpstat``
(``TcpExt``), ``ip:0:ipstat`` (``IpExt``), ``mptcp:0:mptcpstat`` (``MPTcpExt``). IPv6: ``ip6:0:ip6``,
``icmp6:0:icmp6``, ``udp6:0:udp6``. Sockets: ``sockstat:0:tcp``, ``sockstat:0:udp`` ... of class
``sockets``, all of them gauges.

``InType8``, ``OutType3`` ... are there from the first ICMP message of that type on. Linux'
``ReasmTimeout`` counts timeouts; RFC 4293's ``ipReasmTimeout`` is how many seconds one takes. So it
keeps Linux' name. ``tcpMaxConn`` is -1, no limit. Counters are 64 bits wide where a ``long`` of the
kernel is, not the 32 of a ``Counter32``.

Source: RFC 4022 (TCP), RFC 4113 (UDP), RFC 4293 (IP and ICMP), RFC 2465 and 2466 (IPv6, as Linux
counts it); Linux ``net/ipv4/proc.c``, ``net/ipv6/proc.c``; illumos ``uts/common/inet/mib2.h``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ktrace_nb.kstat.builtin.names import name_of
from ktrace_nb.kstat.builtin.parse import amount, kstat, number
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Type, Value

SOURCES: tuple[str, ...] = (
    "/proc/net/snmp",
    "/proc/net/snmp6",
    "/proc/net/netstat",
    "/proc/net/sockstat",
    "/proc/net/sockstat6",
)

_PLACES: Final[Mapping[str, tuple[str, str]]] = {
    "Ip": ("ip", "ip"),
    "Icmp": ("icmp", "icmp"),
    "IcmpMsg": ("icmp", "icmp"),
    "Tcp": ("tcp", "tcp"),
    "Udp": ("udp", "udp"),
    "UdpLite": ("udplite", "udplite"),
    "TcpExt": ("tcp", "tcpstat"),
    "IpExt": ("ip", "ipstat"),
    "MPTcpExt": ("mptcp", "mptcpstat"),
    "Ip6": ("ip6", "ip6"),
    "Icmp6": ("icmp6", "icmp6"),
    "Udp6": ("udp6", "udp6"),
    "UdpLite6": ("udplite6", "udplite6"),
}
"""Linux' group to module and name."""

KSTAT_MODULES = (*dict.fromkeys(module for module, _ in _PLACES.values()), "sockstat")
CLASSES = ("mib2", "sockets")

_OLD_IP = (
    "Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards "
    "InDelivers OutRequests OutDiscards OutNoRoutes ReasmReqds ReasmOKs ReasmFails "
    "FragOKs FragFails FragCreates"
)
_IP = (
    "InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets OutOctets "
    "InMcastOctets OutMcastOctets OutTransmits OutForwDatagrams"
)
_UDP = "InDatagrams NoPorts InErrors OutDatagrams"
_ICMP = (
    "Msgs Errors DestUnreachs TimeExcds ParmProbs SrcQuenchs Redirects Echos EchoReps Timestamps "
    "TimestampReps AddrMasks AddrMaskReps"
)
_ICMP6 = (
    "Msgs Errors DestUnreachs TimeExcds ParmProblems PktTooBigs Echos EchoReplies RouterSolicits "
    "RouterAdvertisements NeighborSolicits NeighborAdvertisements Redirects GroupMembQueries "
    "GroupMembResponses GroupMembReductions"
)


def _both_ways(names: str) -> str:
    return " ".join(f"In{name} Out{name}" for name in names.split())


_OBJECTS: Final[Mapping[str, frozenset[str]]] = {
    group: frozenset(names.split())
    for group, names in {
        "Ip": f"{_OLD_IP} OutTransmits",
        "Ip6": f"{_OLD_IP} {_IP} InTooBigErrors",
        "IpExt": _IP,
        "Icmp": _both_ways(_ICMP),
        "Icmp6": _both_ways(_ICMP6),
        "Tcp": "RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets "
        "CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts",
        "Udp": _UDP,
        "Udp6": _UDP,
    }.items()
}
"""The objects of a group that an RFC defines, as Linux writes them."""

_GAUGES = {
    "Ip": {"Forwarding", "DefaultTTL"},
    "Tcp": {"RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn", "CurrEstab"},
    "MPTcpExt": {"MPCurrEstab"},
}
"""What is no counter."""

_UNITS = {"RtoMin": "ms", "RtoMax": "ms", "TCPMemoryPressuresChrono": "ms"}
_SIGNED = {"MaxConn"}

# In the lines of sockstat "mem" is pages, but "memory" of fragments is bytes.
# Source: Linux net/ipv4/proc.c, sockstat_seq_show().
_SOCKET_UNITS = {"mem": "pages", "memory": "bytes"}


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """One kstat per group of counters that this kernel has, of the agent's network namespace."""
    found: dict[tuple[str, str], dict[str, Value]] = {}
    for group, name, count in _counts(files):
        if group in _PLACES:
            found.setdefault(_PLACES[group], {})[_statistic(group, name)] = _value(group, name, count)
    for (module, name), data in found.items():
        yield kstat(files, module, 0, name, "mib2", data)
    for path in ("/proc/net/sockstat", "/proc/net/sockstat6"):
        for protocol, data in _sockets(files.text(path) or ""):
            yield kstat(files, "sockstat", 0, name_of(protocol), "sockets", data)


def _counts(files: Snapshot) -> Iterator[tuple[str, str, int]]:
    for path in ("/proc/net/snmp", "/proc/net/netstat"):
        yield from _pairs_of_lines(files.text(path) or "")
    yield from _lines(files.text("/proc/net/snmp6") or "")


def _pairs_of_lines(text: str) -> Iterator[tuple[str, str, int]]:
    """``Tcp: InSegs OutSegs`` and then ``Tcp: 12 13``."""
    lines = [line.split() for line in text.splitlines()]
    for names, counts in zip(lines[::2], lines[1::2], strict=False):
        if not names or len(names) != len(counts) or names[0] != counts[0]:
            continue
        group = names[0].removesuffix(":")
        for name, word in zip(names[1:], counts[1:], strict=True):
            count = number(word)
            if count is not None:
                yield group, name, count


def _lines(text: str) -> Iterator[tuple[str, str, int]]:
    """``Udp6InDatagrams 12``."""
    for line in text.splitlines():
        name, _, word = line.partition("\t")
        group, six, rest = name.strip().partition("6")
        count = number(word)
        if six and count is not None:
            yield group + six, rest, count


def _statistic(group: str, name: str) -> str:
    if name in _OBJECTS.get(group, ()):
        return name[0].lower() + name[1:]
    return name_of(name)


def _value(group: str, name: str, count: int) -> Value:
    unit = _UNITS.get(name) or ("bytes" if name.endswith("Octets") else "")
    return Value(
        value=count,
        type=Type.INT64 if name in _SIGNED else Type.UINT64,
        counter=name not in _GAUGES.get(group, ()),
        unit=unit,
    )


def _sockets(text: str) -> Iterator[tuple[str, dict[str, Value]]]:
    """``TCP: inuse 1 orphan 0 tw 35 alloc 1 mem 0``."""
    for line in text.splitlines():
        protocol, *words = line.split() or [""]
        counts = zip(words[::2], map(number, words[1::2]), strict=False)
        data = {
            name_of(name): amount(count, _SOCKET_UNITS.get(name, ""), Type.INT64)
            for name, count in counts
            if count is not None
        }
        if protocol.endswith(":") and data:
            yield protocol.removesuffix(":").lower(), data
