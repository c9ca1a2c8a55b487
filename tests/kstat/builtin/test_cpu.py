"""What CPUs did, out of the kernel's text and beside what the C library says."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ktrace_nb.kstat.builtin import cpu
from ktrace_nb.kstat.builtin.interrupts import INTERRUPTS as INTERRUPTS_FILE
from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Kstat, Type

# Of a machine with four CPUs of which CPU 1 is off; the sums in the first line are of all that ever were on.
STAT = """\
cpu  1000 40 300 9000 20 6 14 7 100 10
cpu0 500 20 100 3000 10 1 4 2 60 10
cpu2 300 10 100 3000 5 2 5 2 40 0
cpu3 200 10 100 3000 5 3 5 3 0 0
intr 123456789012 9 0 0
ctxt 98765432109
btime 1795246792
processes 726381
procs_running 3
procs_blocked 1
softirq 28306772 0 1720910
"""
INTERRUPTS = """\
           CPU0       CPU2       CPU3
  0:         40          0          0   IO-APIC   2-edge      timer
 36:          0        100         11  PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
NMI:          1          2          3   Non-maskable interrupts
LOC:       1000       2000       3000   Local timer interrupts
CAL:         10         20         30   Function call interrupts
TLB:          5          6          7   TLB shootdowns
ERR:          8
MIS:          9
"""
SCHEDSTAT = """\
version 15
timestamp 4294894437
cpu0 11 0 700 300 50 20 7686323110 4137640369 4160
domain0 f 0 0 0 0 0 0
cpu2 1 0 2 3 4 5 6 7 8
"""


def read(**files: str) -> dict[str, Kstat]:
    paths = {
        "stat": cpu.STAT,
        "interrupts": INTERRUPTS_FILE,
        "schedstat": cpu.SCHEDSTAT,
        "counted": cpu.COUNTED,
    }
    snapshot = Snapshot(files={paths[name]: text for name, text in files.items()}, monotonic_ns=77)
    return {f"{one.id.module}:{one.id.instance}:{one.id.name}": one for one in cpu.kstats(snapshot)}


def values(kstat: Kstat) -> dict[str, object]:
    return {name: value.value for name, value in kstat.data.items()}


def test_only_cpus_that_are_on_have_kstats() -> None:
    kstats = read(stat=STAT, interrupts=INTERRUPTS)
    assert list(kstats) == [
        *(name for n in (0, 2, 3) for name in (f"cpu_stat:{n}:cpu_stat{n}", f"cpu:{n}:sys")),
        "linux:0:stat",
    ]
    assert {one.class_ for one in kstats.values()} == {"misc"}
    assert {one.snaptime_ns for one in kstats.values()} == {77}


def test_times_are_put_together_as_documented() -> None:
    sys = values(read(stat=STAT)["cpu:0:sys"])
    tick = 10_000_000
    assert sys["cpu_nsec_user"] == (500 + 20) * tick
    assert sys["cpu_nsec_kernel"] == (100 + 1 + 4) * tick
    assert sys["cpu_nsec_intr"] == (1 + 4) * tick
    assert sys["cpu_nsec_idle"] == 3000 * tick
    assert sys["cpu_nsec_wait"] == 10 * tick
    assert sys["cpu_nsec_stolen"] == 2 * tick
    assert sys["cpu_nsec_guest"] == 70 * tick
    assert (sys["cpu_ticks_user"], sys["cpu_ticks_wait"], sys["wait_ticks_io"]) == (520, 10, 10)


def test_a_kernel_of_another_tick_has_the_same_nanoseconds() -> None:
    (_, sys, _) = cpu.kstats(Snapshot(files={cpu.STAT: "cpu0 256 0 0 512 0 0 0 0 0 0\nctxt 1\n"}, hertz=256))
    assert sys.data["cpu_nsec_user"].value == 1_000_000_000
    assert sys.data["cpu_nsec_idle"].value == 2_000_000_000


def test_an_old_kernel_with_fewer_columns_has_zeros() -> None:
    sys = values(read(stat="cpu0 5 6 7 8\n")["cpu:0:sys"])
    assert (sys["cpu_ticks_user"], sys["cpu_ticks_kernel"], sys["cpu_nsec_stolen"]) == (11, 7, 0)


def test_interrupts_of_a_cpu_are_the_sum_of_its_column_without_what_others_include() -> None:
    kstats = read(stat=STAT, interrupts=INTERRUPTS)
    assert values(kstats["cpu:0:sys"])["intr"] == 40 + 0 + 1 + 1000 + 10
    assert values(kstats["cpu:2:sys"])["intr"] == 0 + 100 + 2 + 2000 + 20
    assert values(kstats["cpu:3:sys"])["intr"] == 0 + 11 + 3 + 3000 + 30
    assert values(kstats["cpu_stat:3:cpu_stat3"])["intrthread"] == 11


def test_a_cpus_interrupts_wrap_when_one_of_their_counts_does() -> None:
    # The kernel keeps each in 32 bits: 4294967290 interrupts, then 10 more.
    before = read(stat="cpu0 1 0 0 1\n", interrupts="   CPU0\nLOC: 4294967290   x\nCAL: 7   y\n")
    after = read(stat="cpu0 1 0 0 1\n", interrupts="   CPU0\nLOC: 4   x\nCAL: 7   y\n")
    counts = [one["cpu:0:sys"].data["intr"] for one in (before, after)]
    assert {value.type for value in counts} == {Type.UINT32}
    assert (int(counts[1].value) - int(counts[0].value)) % 2**32 == 10


def test_a_cpu_that_came_between_two_files_has_no_interrupts_yet() -> None:
    kstats = read(stat="cpu0 1 0 0 1\ncpu1 1 0 0 1\n", interrupts=INTERRUPTS)
    assert "intr" in kstats["cpu:0:sys"].data
    assert "intr" not in kstats["cpu:1:sys"].data


def test_switches_come_from_the_scheduler_if_it_counts_them() -> None:
    assert "pswitch" not in read(stat=STAT)["cpu:0:sys"].data
    sys = read(stat=STAT, schedstat=SCHEDSTAT, counted="0\n")["cpu:0:sys"].data
    assert sys["pswitch"].value == 4160
    assert "idlethread" not in sys
    kstats = read(stat=STAT, schedstat=SCHEDSTAT, counted="1\n")
    assert kstats["cpu:0:sys"].data["idlethread"].value == 300
    assert values(kstats["linux:2:sched"]) == {
        "yld_count": 1,
        "sched_count": 2,
        "sched_goidle": 3,
        "ttwu_count": 4,
        "ttwu_local": 5,
        "rq_cpu_time": 6,
        "run_delay": 7,
        "pcount": 8,
    }
    assert kstats["linux:0:sched"].data["run_delay"].unit == "ns"


def test_sums_of_the_machine_are_counters_of_64_bits() -> None:
    stat = read(stat=STAT)["linux:0:stat"]
    assert values(stat) == {"intr": 123456789012, "ctxt": 98765432109, "softirq": 28306772}
    assert all(value.counter for value in stat.data.values())


def test_everything_of_a_cpu_is_a_counter_and_times_have_their_unit() -> None:
    kstats = read(stat=STAT, interrupts=INTERRUPTS, schedstat=SCHEDSTAT, counted="1")
    for kstat in kstats.values():
        for name, value in kstat.data.items():
            assert value.counter
            assert (value.unit == "ns") == (
                name.startswith("cpu_nsec") or name in ("rq_cpu_time", "run_delay")
            )


def test_no_text_no_kstats() -> None:
    assert read() == {}


def test_this_machines_times_are_those_the_clock_has() -> None:
    (one, *_) = (
        k
        for k in cpu.kstats(
            Snapshot(files={cpu.STAT: Path(cpu.STAT).read_text()}, hertz=os.sysconf("SC_CLK_TCK"))
        )
        if k.id.module == "cpu"
    )
    parts = ("idle", "user", "kernel", "wait", "stolen")
    all_of_it = sum(int(one.data[f"cpu_nsec_{part}"].value) for part in parts)
    # A kernel without ticks on idle CPUs brings its account up to date late, by a few parts in a thousand.
    assert abs(all_of_it / time.clock_gettime_ns(time.CLOCK_MONOTONIC) - 1) < 0.05
