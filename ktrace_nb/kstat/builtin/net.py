"""Network interfaces: ``link:2:eth0`` of class ``net``; the instance is the interface's index.

Those of the network namespace that the agent is in. The statistics have illumos' names where illumos
counts the same (below), else Linux' own.

============================= ===================================== ========================================
statistic                     Linux                                 what
============================= ===================================== ========================================
``rbytes64`` ``obytes64``     ``rx_bytes`` ``tx_bytes``
``ipackets64`` ``opackets64`` ``rx_packets`` ``tx_packets``
``ierrors`` ``oerrors``       ``rx_errors`` ``tx_errors``
``multircv``                  ``multicast``                         multicast packets received
``norcvbuf``                  ``rx_missed_errors``                  the device had no buffer for them
``noxmtbuf``                  ``tx_dropped``                        dropped on the way out, e.g. for no room
``collisions``                ``collisions``
``oflo`` ``uflo``             ``rx_fifo_errors`` ``tx_fifo_errors``
``align_errors``              ``rx_frame_errors``
``fcs_errors``                ``rx_crc_errors``
``ex_collisions``             ``tx_aborted_errors``                 given up after too many collisions
``tx_late_collisions``        ``tx_window_errors``
``carrier_errors``            ``tx_carrier_errors``
``sqe_errors``                ``tx_heartbeat_errors``
``ifspeed``                   ``speed``                             bits per second; not there if unknown
``link_state``                ``operstate``                         1 up, 0 down, -1 unknown
``link_up``                   ``operstate``, ``flags``              1 if up; if unknown (``lo``), if set up
``link_duplex``               ``duplex``                            2 full, 1 half, 0 unknown
============================= ===================================== ========================================

Source: Linux ``include/uapi/linux/if_link.h`` (``struct rtnl_link_stats64``) and
``Documentation/ABI/testing/sysfs-class-net*``; illumos ``uts/common/io/mac/mac_stat.c`` and
``uts/common/sys/mac_ether.h``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ktrace_nb.kstat.builtin.names import name_of, printable
from ktrace_nb.kstat.builtin.parse import amount, count, kstat, number, word
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Type, Value

KSTAT_MODULES = ("link",)
CLASSES = ("net",)

_STATISTICS = "/sys/class/net/*/statistics/*"
_ATTRIBUTES: Final = (
    *("ifindex", "mtu", "speed", "duplex", "operstate", "carrier"),
    *("carrier_changes", "carrier_up_count", "carrier_down_count"),
    *("address", "flags", "type", "tx_queue_len"),
)

SOURCES: tuple[str, ...] = (_STATISTICS, *(f"/sys/class/net/*/{name}" for name in _ATTRIBUTES))

NAMES: Final[Mapping[str, str]] = {
    "rx_bytes": "rbytes64",
    "tx_bytes": "obytes64",
    "rx_packets": "ipackets64",
    "tx_packets": "opackets64",
    "rx_errors": "ierrors",
    "tx_errors": "oerrors",
    "multicast": "multircv",
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
"""Linux' name of a statistic to illumos'; the others keep theirs."""

_STATES = {"up": 1, "down": 0, "lowerlayerdown": 0, "notpresent": 0, "dormant": 0, "testing": 0}
_DUPLEX = {"full": 2, "half": 1}
_MEGABIT = 1_000_000
_UP = 1  # IFF_UP


def kstats(files: Snapshot) -> Iterable[Kstat]:
    """One kstat per interface of the network namespace the agent is in.

    An interface that went while its files were being read has some of them only; without its index
    or its bytes it is left out.
    """
    statistics = _by_interface(files.matching(_STATISTICS))
    attributes = _by_interface(files.matching("/sys/class/net/*/*"))
    for interface, counts in statistics.items():
        told = attributes.get(interface, {})
        index = number(told.get("ifindex"))
        if index is None or not {"rx_bytes", "tx_bytes"} <= counts.keys():
            continue
        data = _counters(counts) | _state(told) | _traits(told)
        yield kstat(files, "link", index, name_of(interface), "net", data)


def _by_interface(found: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Interface to name of a file to its content."""
    told: dict[str, dict[str, str]] = {}
    for path, text in found.items():
        words = path.split("/")
        told.setdefault(words[4], {})[words[-1]] = text.strip()
    return told


def _counters(counts: Mapping[str, str]) -> dict[str, Value]:
    data = {}
    for name, text in counts.items():
        value = number(text)
        if value is not None:
            unit = "bytes" if name.endswith("_bytes") else ""
            data[NAMES.get(name, printable(name))] = count(value, unit)
    return data


def _state(told: Mapping[str, str]) -> dict[str, Value]:
    """Whether packets can pass, and how fast."""
    data = {}
    if "operstate" in told:
        # Source: RFC 2863 ifOperStatus. Drivers without a link to watch leave it unknown.
        state = _STATES.get(told["operstate"], -1)
        up = state == 1 or (state == -1 and _is_up(told.get("flags", "")))
        data["link_state"] = amount(state, type=Type.INT32)
        data["link_up"] = amount(int(up), type=Type.UINT32)
        data["operstate"] = word(printable(told["operstate"]))
    if "duplex" in told:
        data["link_duplex"] = amount(_DUPLEX.get(told["duplex"], 0), type=Type.UINT32)
    # -1 if there is no telling; without a link the file cannot even be read.
    speed = number(told.get("speed"))
    if speed is not None and speed >= 0:
        data["ifspeed"] = amount(speed * _MEGABIT)
    return data


def _traits(told: Mapping[str, str]) -> dict[str, Value]:
    data = {}
    for name, make, unit in (
        ("mtu", amount, "bytes"),
        ("carrier", amount, ""),
        ("carrier_changes", count, ""),
        ("carrier_up_count", count, ""),
        ("carrier_down_count", count, ""),
        ("type", amount, ""),
        ("tx_queue_len", amount, ""),
    ):
        value = number(told.get(name))
        if value is not None:
            data[name] = make(value, unit, Type.UINT32)
    for name in ("address", "flags"):
        if told.get(name):
            data[name] = word(printable(told[name]))
    return data


def _is_up(flags: str) -> bool:
    try:
        return bool(int(flags, 16) & _UP)
    except ValueError:
        return False
