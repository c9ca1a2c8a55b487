"""Interfaces, from text."""

from __future__ import annotations

from pathlib import Path

import pytest

from ktrace_nb.kstat.builtin import net
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Type

ETH = "/sys/class/net/eth0"
# Pairs of what Linux (include/uapi/linux/if_link.h) and illumos (uts/common/sys/mac.h, mac_ether.h)
# say of the same thing.
ILLUMOS = {
    "rx_bytes": "rbytes64",
    "tx_bytes": "obytes64",
    "rx_packets": "ipackets64",
    "tx_packets": "opackets64",
    "rx_errors": "ierrors",
    "tx_errors": "oerrors",
    "multicast": "multircv",
    "collisions": "collisions",
    "rx_missed_errors": "norcvbuf",
    "tx_dropped": "noxmtbuf",
    "rx_fifo_errors": "oflo",
    "tx_fifo_errors": "uflo",
    "rx_frame_errors": "align_errors",
    "rx_crc_errors": "fcs_errors",
    "tx_aborted_errors": "ex_collisions",
    "tx_window_errors": "tx_late_collisions",
    "tx_carrier_errors": "carrier_errors",
    "tx_heartbeat_errors": "sqe_errors",
}
COUNTERS = {f"{ETH}/statistics/{name}": f"{number}\n" for number, name in enumerate(ILLUMOS, 1000)}
ETH0 = COUNTERS | {
    f"{ETH}/statistics/rx_dropped": "18446744073709551615\n",
    f"{ETH}/ifindex": "4\n",
    f"{ETH}/mtu": "1400\n",
    f"{ETH}/speed": "25000\n",
    f"{ETH}/duplex": "half\n",
    f"{ETH}/operstate": "up\n",
    f"{ETH}/carrier": "1\n",
    f"{ETH}/carrier_changes": "2\n",
    f"{ETH}/address": "02:fc:00:00:00:01\n",
    f"{ETH}/flags": "0x1003\n",
}


def read(files: dict[str, str]) -> dict[str, Kstat]:
    return {f"{k.id.module}:{k.id.instance}:{k.id.name}": k for k in net.kstats(Snapshot(files=files))}


def with_(**attributes: str | None) -> dict[str, str]:
    changed = {f"{ETH}/{name}": text for name, text in attributes.items()}
    return {path: text for path, text in (ETH0 | changed).items() if text is not None}


def test_each_counter_has_the_name_that_illumos_gives_it() -> None:
    eth0 = read(ETH0)["link:4:eth0"]
    assert eth0.class_ == "net"
    for path, text in COUNTERS.items():
        value = eth0.data[ILLUMOS[path.rpartition("/")[2]]]
        assert (value.value, value.counter, value.type) == (int(text), True, Type.UINT64)
    assert (eth0.data["rbytes64"].value, eth0.data["obytes64"].value) == (1000, 1001)
    assert {name for name, value in eth0.data.items() if value.unit == "bytes"} == {
        *("rbytes64", "obytes64", "mtu")
    }


def test_counters_that_illumos_does_not_have_keep_their_names() -> None:
    assert read(ETH0)["link:4:eth0"].data["rx_dropped"].value == 2**64 - 1


def test_state_speed_and_traits_are_no_counters() -> None:
    data = read(ETH0)["link:4:eth0"].data
    assert {name: value.value for name, value in data.items() if not value.counter} == {
        "ifspeed": 25_000_000_000,
        "link_state": 1,
        "link_up": 1,
        "link_duplex": 1,
        "operstate": "up",
        "carrier": 1,
        "mtu": 1400,
        "address": "02:fc:00:00:00:01",
        "flags": "0x1003",
    }
    assert data["carrier_changes"].counter


@pytest.mark.parametrize("speed", ["-1\n", None, "", "unknown\n"])
def test_a_speed_that_nobody_knows_is_not_there(speed: str | None) -> None:
    assert "ifspeed" not in read(with_(speed=speed))["link:4:eth0"].data


@pytest.mark.parametrize(
    ("state", "flags", "link_state", "link_up"),
    [
        ("up", "0x1003", 1, 1),
        ("down", "0x1002", 0, 0),
        ("lowerlayerdown", "0x1003", 0, 0),
        ("dormant", "0x1003", 0, 0),
        ("unknown", "0x9", -1, 1),  # lo, as a rule
        ("unknown", "0x8", -1, 0),
        ("unknown", "rubbish", -1, 0),
    ],
)
def test_the_state_of_the_link(state: str, flags: str, link_state: int, link_up: int) -> None:
    data = read(with_(operstate=state + "\n", flags=flags + "\n"))["link:4:eth0"].data
    assert (data["link_state"].value, data["link_up"].value) == (link_state, link_up)


@pytest.mark.parametrize("gone", ["ifindex", "statistics/rx_bytes", "statistics/tx_bytes"])
def test_an_interface_that_went_in_the_middle_is_left_out(gone: str) -> None:
    files = {path: text for path, text in ETH0.items() if path != f"{ETH}/{gone}"}
    assert read(files) == {}


def test_a_wicked_name_is_shown_harmless() -> None:
    files = {path.replace("eth0", "e\x1b[1m\udcff:1"): text for path, text in ETH0.items()}
    assert [*read(files)] == [r"link:4:e\x1b[1m\xff\x3a1"]


def test_nothing_gives_nothing() -> None:
    assert read({}) == {}


def test_this_machines_interfaces_have_the_bytes_of_proc_net_dev() -> None:
    files = {}
    for path in Path("/sys/class/net").glob("*/statistics/*"):
        files[str(path)] = path.read_text()
    for path in Path("/sys/class/net").glob("*/ifindex"):
        files[str(path)] = path.read_text()
    found = {k.id.name: k for k in net.kstats(Snapshot(files=files))}
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    told = {line.split(":")[0].strip(): line.split(":")[1].split() for line in lines}
    assert found.keys() == told.keys()
    for name, counts in told.items():
        # Read later, so not less.
        assert int(found[name].data["rbytes64"].value) <= int(counts[0])
        assert int(found[name].data["obytes64"].value) <= int(counts[8])
