"""The kernel's numbers out of text as real kernels wrote it."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import StreamError
from ktrace_nb.health.memory import PAGES
from ktrace_nb.health.model import TOTAL
from ktrace_nb.health.network import RETRANSMITS, SKB
from ktrace_nb.health.parsing import in_flight, line, mib, per_cpu, slab_objects, sum_of_files
from ktrace_nb.health.processors import CTXT, FORKS, INTERRUPTS, NMI, RUNNABLE, SOFTIRQS, VECTORS
from ktrace_nb.kstat.files import Snapshot

STAT = """\
cpu  232 0 423 137 8 0 1 0 0 0
cpu0 232 0 423 137 8 0 1 0 0 0
intr 2706 121 0 0 0 2 0 0 0 0
ctxt 4518
btime 1795311513
processes 222
procs_running 3
procs_blocked 0
softirq 1658 0 538 0 0 0 0 1 0 0 1119
"""
TABLE = """\
           CPU0       CPU2
  0:        121          7   IO-APIC   2-edge      timer
 25:        539          0  PCI-MSIX-0000:00:02.0   1-edge      virtio0-virtqueues
NMI:          3          4   Non-maskable interrupts
LOC:       1739       1000   Local timer interrupts
MCP:          1          1   Machine check polls
ERR:          5
MIS:          0
"""
SOFT = """\
                    CPU0       CPU1
          HI:          1          0
       TIMER:        538         41
      NET_TX:          0          2
         RCU:       1119          0
"""
SNMP = """\
Ip: Forwarding DefaultTTL
Ip: 2 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens RetransSegs InErrs
Tcp: 1 200 120000 -1 12 29 0
"""
NETSTAT = """\
TcpExt: SyncookiesSent TCPRetransFail TCPSynRetrans
TcpExt: 0 6 4
IpExt: InNoRoutes
IpExt: 0
"""


def told(**files: str) -> Snapshot:
    paths = {"stat": "/proc/stat", "interrupts": "/proc/interrupts", "softirqs": "/proc/softirqs"}
    return Snapshot(files={paths[name]: text for name, text in files.items()})


def test_lines_of_proc_stat() -> None:
    files = told(stat=STAT)
    found = [piece.account.parse(files)[TOTAL] for piece in (CTXT, FORKS, RUNNABLE)]
    assert found == [4518, 222, 3]


def test_a_line_that_is_not_there_is_told_of() -> None:
    with pytest.raises(StreamError, match="no line 'ctx'"):
        line("/proc/stat", "ctx")(told(stat=STAT))
    with pytest.raises(StreamError, match="does not tell /proc/stat: ENOENT"):
        line("/proc/stat", "ctxt")(Snapshot(files={}, errors={"/proc/stat": "ENOENT"}))


def test_interrupts_are_summed_over_the_cpus_that_are_on() -> None:
    files = told(interrupts=TABLE)
    sums = per_cpu("/proc/interrupts")(files)
    assert sums == {"0": 128, "25": 539, "NMI": 7, "LOC": 2739, "MCP": 2}
    assert NMI.account.parse(files) == {TOTAL: 7}


def test_interrupts_are_watched_where_something_tells_of_them() -> None:
    rows = INTERRUPTS.rows(INTERRUPTS.account.parse(told(interrupts=TABLE)))
    assert rows == {"LOC": 0, "0": len(VECTORS), "25": len(VECTORS) + 25}


def test_soft_interrupts_have_the_numbers_of_the_kernel() -> None:
    sums = SOFTIRQS.account.parse(told(softirqs=SOFT))
    assert sums == {"HI": 1, "TIMER": 579, "NET_TX": 2, "RCU": 1119}
    assert SOFTIRQS.rows(sums) == {"HI": 0, "TIMER": 1, "NET_TX": 2, "RCU": 9}


def test_segments_that_did_not_get_out_were_not_sent_again() -> None:
    files = Snapshot(files={"/proc/net/snmp": SNMP, "/proc/net/netstat": NETSTAT})
    assert mib(files, "/proc/net/snmp", "Tcp")["MaxConn"] == -1
    assert RETRANSMITS.account.parse(files) == {TOTAL: 23}


def test_a_group_that_is_not_there_is_told_of() -> None:
    with pytest.raises(StreamError, match="no group 'Udp'"):
        mib(Snapshot(files={"/proc/net/snmp": SNMP}), "/proc/net/snmp", "Udp")
    files = Snapshot(files={"/proc/net/snmp": SNMP, "/proc/net/netstat": "TcpExt: A\nTcpExt: 1\n"})
    with pytest.raises(StreamError, match="TCPRetransFail"):
        RETRANSMITS.account.parse(files)


def test_pages_of_all_zones_are_one_number() -> None:
    vmstat = "pgpgin 9\npgalloc_dma 1\npgalloc_dma32 20\npgalloc_normal 300\npgalloc_movable 0\npgfree 7\n"
    assert PAGES.account.parse(Snapshot(files={"/proc/vmstat": vmstat})) == {TOTAL: 321}


def test_caches_that_a_kernel_lacks_have_no_row() -> None:
    slab = "/sys/kernel/slab/{}/objects"
    files = {slab.format("skbuff_head_cache"): "14 N0=14\n", slab.format("skbuff_fclone_cache"): "74 N0=74\n"}
    objects = SKB.account.parse(Snapshot(files=files))
    assert objects == {"skbuff_head_cache": 14, "skbuff_fclone_cache": 74}
    assert SKB.rows(objects) == {"skbuff_head_cache": 0, "skbuff_fclone_cache": 1}
    with pytest.raises(StreamError, match="does not tell"):
        slab_objects({"a": "/sys/kernel/slab/a/objects"})(Snapshot(files={}))


def test_requests_of_all_disks_are_one_number() -> None:
    files = {
        "/sys/block/vda/inflight": "       0        3\n",
        "/sys/block/vdb/inflight": "       1        0\n",
    }
    assert in_flight("/sys/block/*/inflight")(Snapshot(files=files)) == {TOTAL: 4}


def test_numbers_in_files_of_their_own_are_added_up() -> None:
    pattern = "/sys/block/*/mq/*/nr_tags"
    files = {
        "/sys/block/vda/mq/0/nr_tags": "256\n",
        "/sys/block/vda/mq/1/nr_tags": "64\n",
        "/sys/block/vda": "9",
    }
    assert sum_of_files(pattern)(Snapshot(files=files)) == {TOTAL: 320}
    with pytest.raises(StreamError, match="the kernel has no /sys/block"):
        sum_of_files(pattern)(Snapshot(files={}))
