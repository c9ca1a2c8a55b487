"""Counters of the protocols, from text."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktrace_nb.kstat.builtin import mibs
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Type

SNMP = """\
Ip: Forwarding DefaultTTL InReceives InHdrErrors ReasmTimeout OutTransmits
Ip: 2 64 4771626 1 7 4634430
Icmp: InMsgs InErrors InCsumErrors InEchos OutMsgs OutEchoReps
Icmp: 6 0 0 5 3 4
IcmpMsg: InType3 OutType8
IcmpMsg: 6 2
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs \
OutSegs RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 200 120000 -1 119666 44707 74406 5263 8 4666609 4579643 8664 0 79674 0
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors
Udp: 105011 1 2 105019 3
UdpLite: InDatagrams NoPorts
UdpLite: 0 0
"""
NETSTAT = """\
TcpExt: SyncookiesSent TCPTimeouts TCPMemoryPressuresChrono
TcpExt: 0 9343 12
IpExt: InNoRoutes InMcastPkts InOctets OutOctets InBcastOctets
IpExt: 0 1 32378937902 22742234814 7
MPTcpExt: MPCapableSYNRX MPCurrEstab
MPTcpExt: 3 1
"""
SNMP6 = """\
Ip6InReceives                   \t6
Ip6InTooBigErrors               \t1
Ip6InOctets                     \t768
Ip6InECT0Pkts                   \t2
Icmp6InMsgs                     \t6
Icmp6OutNeighborSolicits        \t410
Icmp6InMLDv2Reports             \t4
Icmp6OutType135                 \t410
Udp6InDatagrams                 \t3
Udp6IgnoredMulti                \t0
UdpLite6NoPorts                 \t1
"""
SOCKSTAT = """\
sockets: used 19
TCP: inuse 1 orphan 0 tw 35 alloc 2 mem 3
UDP: inuse 4 mem 5
FRAG: inuse 0 memory 4096
"""


def read(**files: str) -> dict[str, Kstat]:
    texts = {f"/proc/net/{name}": text for name, text in files.items()}
    found = list(mibs.kstats(Snapshot(files=texts)))
    by_name = {f"{k.id.module}:{k.id.instance}:{k.id.name}": k for k in found}
    assert len(by_name) == len(found)
    return by_name


def values(kstat: Kstat) -> dict[str, object]:
    return {name: value.value for name, value in kstat.data.items()}


def test_objects_of_rfc_4022_have_their_names() -> None:
    tcp = read(snmp=SNMP)["tcp:0:tcp"]
    assert tcp.class_ == "mib2"
    # In the order of RFC 4022, where what is no Counter32 is an Integer32 or a Gauge32.
    assert values(tcp) == {
        "rtoAlgorithm": 1,
        "rtoMin": 200,
        "rtoMax": 120000,
        "maxConn": -1,
        "activeOpens": 119666,
        "passiveOpens": 44707,
        "attemptFails": 74406,
        "estabResets": 5263,
        "currEstab": 8,
        "inSegs": 4666609,
        "outSegs": 4579643,
        "retransSegs": 8664,
        "inErrs": 0,
        "outRsts": 79674,
        "InCsumErrors": 0,
    }
    assert {name for name, value in tcp.data.items() if not value.counter} == {
        *("rtoAlgorithm", "rtoMin", "rtoMax", "maxConn", "currEstab")
    }
    assert tcp.data["maxConn"].type is Type.INT64
    assert (tcp.data["rtoMin"].unit, tcp.data["rtoMax"].unit) == ("ms", "ms")


def test_objects_of_rfc_4113_have_their_names_and_linux_own_keep_theirs() -> None:
    udp = read(snmp=SNMP)["udp:0:udp"]
    assert values(udp) == {
        "inDatagrams": 105011,
        "noPorts": 1,
        "inErrors": 2,
        "outDatagrams": 105019,
        "RcvbufErrors": 3,
    }
    assert all(value.counter for value in udp.data.values())


def test_objects_of_rfc_4293_have_their_names() -> None:
    found = read(snmp=SNMP)
    ip = found["ip:0:ip"]
    assert values(ip) == {
        "forwarding": 2,
        "defaultTTL": 64,
        "inReceives": 4771626,
        "inHdrErrors": 1,
        "ReasmTimeout": 7,  # not RFC 4293's
        "outTransmits": 4634430,
    }
    assert {name for name, value in ip.data.items() if not value.counter} == {"forwarding", "defaultTTL"}
    assert values(found["icmp:0:icmp"]) == {
        "inMsgs": 6,
        "inErrors": 0,
        "InCsumErrors": 0,
        "inEchos": 5,
        "outMsgs": 3,
        "outEchoReps": 4,
        "InType3": 6,
        "OutType8": 2,
    }


def test_linux_further_counters_are_kstats_of_their_own() -> None:
    found = read(netstat=NETSTAT)
    assert values(found["tcp:0:tcpstat"]) == {
        "SyncookiesSent": 0,
        "TCPTimeouts": 9343,
        "TCPMemoryPressuresChrono": 12,
    }
    assert values(found["ip:0:ipstat"]) == {
        "inNoRoutes": 0,
        "inMcastPkts": 1,
        "inOctets": 32378937902,
        "outOctets": 22742234814,
        "InBcastOctets": 7,  # RFC 4293 counts packets of broadcasts only
    }
    assert {name for name, value in found["ip:0:ipstat"].data.items() if value.unit == "bytes"} == {
        *("inOctets", "outOctets", "InBcastOctets")
    }
    mptcp = found["mptcp:0:mptcpstat"]
    assert (mptcp.data["MPCapableSYNRX"].counter, mptcp.data["MPCurrEstab"].counter) == (True, False)


def test_version_6_of_ip() -> None:
    found = read(snmp6=SNMP6)
    assert {name: values(kstat) for name, kstat in found.items()} == {
        "ip6:0:ip6": {"inReceives": 6, "inTooBigErrors": 1, "inOctets": 768, "InECT0Pkts": 2},
        "icmp6:0:icmp6": {
            "inMsgs": 6,
            "outNeighborSolicits": 410,
            "InMLDv2Reports": 4,
            "OutType135": 410,
        },
        "udp6:0:udp6": {"inDatagrams": 3, "IgnoredMulti": 0},
        "udplite6:0:udplite6": {"NoPorts": 1},
    }


def test_sockets_are_gauges() -> None:
    found = read(sockstat=SOCKSTAT, sockstat6="TCP6: inuse 7\n")
    assert {name: values(kstat) for name, kstat in found.items()} == {
        "sockstat:0:sockets": {"used": 19},
        "sockstat:0:tcp": {"inuse": 1, "orphan": 0, "tw": 35, "alloc": 2, "mem": 3},
        "sockstat:0:udp": {"inuse": 4, "mem": 5},
        "sockstat:0:frag": {"inuse": 0, "memory": 4096},
        "sockstat:0:tcp6": {"inuse": 7},
    }
    assert {kstat.class_ for kstat in found.values()} == {"sockets"}
    assert not any(value.counter for kstat in found.values() for value in kstat.data.values())
    assert found["sockstat:0:tcp"].data["mem"].unit == "pages"
    assert found["sockstat:0:frag"].data["memory"].unit == "bytes"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Tcp: InSegs OutSegs\n",  # cut off
        "Tcp: InSegs OutSegs\nTcp: 1\n",
        "Tcp: InSegs\nUdp: 1\n",
        "Tcp: InSegs\nTcp: many\n",
        "New: Thing\nNew: 1\n",
        "\n\n\n",
    ],
)
def test_lines_of_another_form_are_left_out(text: str) -> None:
    assert read(snmp=text, netstat=text, snmp6=text, sockstat="TCP: inuse\nrubbish\n") == {}


def test_a_counter_that_linux_adds_is_there_at_once() -> None:
    found = read(snmp="Tcp: InSegs InSomethingNew\nTcp: 1 2\n")
    assert values(found["tcp:0:tcp"]) == {"inSegs": 1, "InSomethingNew": 2}


def test_every_counter_of_this_machine_is_somewhere() -> None:
    texts = {name: Path(f"/proc/net/{name}").read_text() for name in ("snmp", "netstat", "snmp6", "sockstat")}
    found = read(**texts)
    words = sum(
        len(line.split()) - 1 for name in ("snmp", "netstat") for line in texts[name].splitlines()[::2]
    )
    words += len(texts["snmp6"].splitlines())
    words += sum((len(line.split()) - 1) // 2 for line in texts["sockstat"].splitlines())
    assert sum(len(kstat.data) for kstat in found.values()) == words > 300
