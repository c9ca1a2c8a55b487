"""Interrupts and softirqs out of the kernel's text."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ktrace_nb.kstat.builtin import interrupts
from ktrace_nb.kstat.builtin.interrupts import INTERRUPTS, SOFTIRQS
from ktrace_nb.kstat.files import ONLINE, Snapshot
from ktrace_nb.kstat.model import Kind, Kstat, Type

TEXT = """\
            CPU0       CPU2
   0:         40          0   IO-APIC   2-edge      timer
   9:          0          0   IO-APIC   9-fasteoi   acpi
  16: 4294967295          2   IO-APIC  16-fasteoi   ehci_hcd:usb1, snd hda
  36:          0        100  PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
  50:          7          8  PCI-MSI 524288-edge
  27:      12345      23456     GICv3  27 Level     arch_timer
  70:          3          4   xen-dyn    -event     xenbus
  71:          5          6      INTC   5 uart
 IPI0:         1          2       Rescheduling interrupts
 LOC:       1000       2000   Local timer interrupts
 ERR:          8
 MIS:          0
"""
SOFT = """\
                    CPU0       CPU1       CPU2
          HI:          1          2          3
       TIMER: 4294967295          5          6
      NET_RX:          7          8          9
"""


def read(text: str = "", soft: str = "") -> dict[str, Kstat]:
    snapshot = Snapshot(files={INTERRUPTS: text, SOFTIRQS: soft})
    return {f"{one.id.module}:{one.id.instance}:{one.id.name}": one for one in interrupts.kstats(snapshot)}


def values(kstat: Kstat) -> dict[str, object]:
    return {name: value.value for name, value in kstat.data.items()}


def test_an_interrupt_with_a_number_is_the_instance_and_has_a_column_per_cpu() -> None:
    one = read(TEXT)["linux:36:interrupts"]
    assert values(one) == {
        "cpu0": 0,
        "cpu2": 100,
        "total": 100,
        "chip": "PCI-MSIX-0000:00:02.0 1-edge",
        "actions": "virtio1-req.0",
    }
    assert (one.class_, one.kind) == ("interrupts", Kind.NAMED)


@pytest.mark.parametrize(
    ("number", "chip", "actions"),
    [
        (0, "IO-APIC 2-edge", "timer"),
        (9, "IO-APIC 9-fasteoi", "acpi"),
        (16, "IO-APIC 16-fasteoi", "ehci_hcd:usb1, snd hda"),
        (50, "PCI-MSI 524288-edge", ""),
        (27, "GICv3 27 Level", "arch_timer"),
        (70, "xen-dyn -event", "xenbus"),
        (71, "INTC 5", "uart"),
    ],
)
def test_wiring_and_handlers_are_told_apart_on_every_architecture(
    number: int, chip: str, actions: str
) -> None:
    data = read(TEXT)[f"linux:{number}:interrupts"].data
    assert (data["chip"].value, data["actions"].value) == (chip, actions)


def test_a_count_has_32_bits_and_the_total_wraps_as_it_does() -> None:
    data = read(TEXT)["linux:16:interrupts"].data
    assert data["total"].value == (4294967295 + 2) % 2**32 == 1
    for name in ("cpu0", "cpu2", "total"):
        assert (data[name].type, data[name].counter) == (Type.UINT32, True)


def test_what_a_handler_got_is_a_kstat_of_kind_intr() -> None:
    kstats = read(TEXT)
    one = kstats["irq:36:virtio1-req.0"]
    assert (one.class_, one.kind) == ("controller", Kind.INTR)
    assert values(one) == {"hard": 100, "soft": 0, "watchdog": 0, "spurious": 0, "multiple_service": 0}
    # A colon parts the words of a name; nobody listens to interrupt 50.
    assert r"irq:16:ehci_hcd\x3ausb1" in kstats
    assert not [name for name in kstats if name.startswith("irq:50")]


def test_interrupts_of_the_architecture_have_names() -> None:
    kstats = read(TEXT)
    assert values(kstats["linux:0:LOC"]) == {
        "cpu0": 1000,
        "cpu2": 2000,
        "total": 3000,
        "description": "Local timer interrupts",
    }
    assert values(kstats["linux:0:IPI0"])["total"] == 3
    assert values(kstats["linux:0:ERR"]) == {"total": 8, "description": ""}


def test_one_cpu_alone_does_not_make_errors_its_own() -> None:
    data = read("           CPU0       \nNMI:   3   Non-maskable interrupts\nERR:   8\n")
    assert values(data["linux:0:ERR"]) == {"total": 8, "description": ""}
    assert values(data["linux:0:NMI"])["cpu0"] == 3


def test_softirqs_are_per_cpu_and_kind() -> None:
    kstats = read(soft=SOFT)
    assert list(kstats) == ["linux:0:softirqs", "linux:1:softirqs", "linux:2:softirqs"]
    assert values(kstats["linux:1:softirqs"]) == {"HI": 2, "TIMER": 5, "NET_RX": 8, "total": 15}
    first = kstats["linux:0:softirqs"].data
    assert first["total"].value == (1 + 4294967295 + 7) % 2**32
    assert {(value.type, value.counter) for value in first.values()} == {(Type.UINT32, True)}


def test_a_cpu_that_was_never_on_has_no_softirqs() -> None:
    soft = "           CPU0       CPU1       CPU2\n HI:     0          0          5\n"
    snapshot = Snapshot(files={SOFTIRQS: soft, ONLINE: "0\n"})
    assert [one.id.instance for one in interrupts.kstats(snapshot)] == [0, 2]


def test_a_line_that_is_no_row_is_left_out() -> None:
    assert list(read("           CPU0       CPU1       \n 1: 5 x\nhello\n 2: 1 2 IO-APIC 2-edge a\n")) == [
        "linux:2:interrupts",
        "irq:2:a",
    ]


def test_no_text_no_kstats() -> None:
    assert read() == {}


def test_this_machines_lines_are_all_there() -> None:
    text = Path(INTERRUPTS).read_text()
    names = subprocess.run(
        ["awk", 'NR > 1 {sub(/:/, "", $1); print $1}'], input=text, capture_output=True, text=True, check=True
    ).stdout.split()
    kstats = [k for k in read(text).values() if k.class_ == "interrupts"]
    found = [str(k.id.instance) if k.id.name == "interrupts" else k.id.name for k in kstats]
    assert found == names
