"""The built-in kstats of CPUs, interrupts, processes, pressure and control groups in a real kernel.

Each is compared with what a shell or a program in the guest finds, before and after, or with a workload
of known size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ktrace_nb.kstat.model import Kind
from ktrace_nb.lab.image import Image
from ktrace_nb.targets.lab import LabTarget
from tests.kernel.kstat.system_kit import Kernel, grown, value

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def kernel(image: Image) -> Iterator[Kernel]:
    """A lab of these tests' own."""
    target = LabTarget("lab", lambda *_: None)
    yield Kernel(target)
    target.close()


# --- the files themselves ------------------------------------------------------------------


def test_a_files_text_is_what_cat_prints(kernel: Kernel) -> None:
    snapshot = kernel.snapshot()
    for path in ("/proc/iomem", "/sys/devices/system/cpu/online", "/proc/sys/kernel/sched_schedstats"):
        assert snapshot.text(path) == kernel.shell(f"cat {path}")
    assert snapshot.cpus == tuple(range(kernel.number("nproc")))
    assert snapshot.page_size == kernel.python("import os; print(os.sysconf('SC_PAGESIZE'))")
    assert snapshot.hertz == kernel.python("import os; print(os.sysconf('SC_CLK_TCK'))")


def test_the_snapshots_time_is_the_guests(kernel: Kernel) -> None:
    clock = "import time; print(time.clock_gettime_ns(time.CLOCK_MONOTONIC))"
    before = kernel.python(clock)
    snapshot = kernel.snapshot()
    after = kernel.python(clock)
    assert before < snapshot.monotonic_ns - snapshot.took_ns // 2
    assert snapshot.monotonic_ns + snapshot.took_ns // 2 < after


# --- CPUs --------------------------------------------------------------------------------


def test_a_cpus_times_add_up_to_what_proc_stat_says(kernel: Kernel) -> None:
    ticks = "awk '/^cpu0 /{print $2+$3+$4+$5+$6+$7+$8+$9}' /proc/stat"
    before = kernel.number(ticks)
    kstats = kernel.read()
    after = kernel.number(ticks)
    parts = ("idle", "user", "kernel", "wait", "stolen")
    total = sum(value(kstats, f"cpu:0:sys:cpu_nsec_{part}") for part in parts)
    assert before * 10**7 <= total <= after * 10**7


def test_what_a_program_burnt_is_in_the_cpus_time(kernel: Kernel) -> None:
    before = kernel.read()
    burnt = kernel.python(
        "import time\nwhile time.process_time_ns() < 500_000_000: pass\nprint(time.process_time_ns())"
    )
    after = kernel.read()
    assert grown(before, after, "linux:0:sched:rq_cpu_time") >= burnt
    # The other account is made at ticks only, and a guest that had to wait for its host loses some.
    used = sum(grown(before, after, f"cpu:0:sys:cpu_nsec_{part}") for part in ("user", "kernel"))
    ticks = sum(grown(before, after, f"cpu_stat:0:cpu_stat0:{part}") for part in ("user", "kernel"))
    assert ticks * (1_000_000_000 // 100) == used > 0


def test_switches_between_two_processes_are_counted(kernel: Kernel) -> None:
    # A byte goes there and back 1009 times: on one CPU, each way is a switch.
    code = """
import json, os, re
a, b = os.pipe(), os.pipe()
child = os.fork()
for _ in range(1009):
    if child:
        os.write(a[1], b"x"); os.read(b[0], 1)
    else:
        os.read(a[0], 1); os.write(b[1], b"x")
if not child:
    os._exit(0)
print(json.dumps(sum(map(int, re.findall(r"ctxt_switches:\\s*(\\d+)", open("/proc/self/status").read())))))
"""
    before = kernel.read()
    own = kernel.python(code)
    after = kernel.read()
    assert own >= 1009
    assert grown(before, after, "linux:0:stat:ctxt") >= 2 * own
    pswitch = grown(before, after, "cpu:0:sys:pswitch")
    assert 2 * own <= pswitch <= grown(before, after, "linux:0:stat:ctxt") + 100
    assert grown(before, after, "linux:0:sched:pcount") == pswitch


def test_switches_to_the_idle_thread_are_there_if_the_kernel_counts_them(kernel: Kernel) -> None:
    assert "idlethread" not in kernel.read()["cpu:0:sys"].data
    kernel.shell("echo 1 > /proc/sys/kernel/sched_schedstats")
    try:
        before = kernel.read()
        kernel.python("import time\nfor _ in range(101): time.sleep(0.001)\nprint(0)")
        after = kernel.read()
    finally:
        kernel.shell("echo 0 > /proc/sys/kernel/sched_schedstats")
    assert grown(before, after, "cpu:0:sys:idlethread") >= 101


# --- interrupts ----------------------------------------------------------------------------


def test_interrupts_of_all_cpus_are_the_sum_that_the_kernel_makes(kernel: Kernel) -> None:
    total = "awk '/^intr /{print $2}' /proc/stat"
    before = kernel.number(total)
    kstats = kernel.read()
    after = kernel.number(total)
    assert before <= value(kstats, "linux:0:stat:intr") <= after
    assert before <= value(kstats, "cpu:0:sys:intr") <= after
    assert value(kstats, "cpu_stat:0:cpu_stat0:intr") == value(kstats, "cpu:0:sys:intr")
    numbered = sum(value(kstats, name + ":total") for name in kstats if name.endswith(":interrupts"))
    assert value(kstats, "cpu:0:sys:intrthread") == numbered


def test_a_disks_interrupts_are_counted_for_it(kernel: Kernel) -> None:
    disk = kernel.shell("basename $(ls -d /sys/block/vd* | tail -1)").strip()
    driver = kernel.shell(f"basename $(readlink -f /sys/block/{disk}/device)").strip()
    read = f"dd if=/dev/{disk} of=/dev/null bs=4096 count=101 iflag=direct 2>/dev/null"
    before = kernel.read()
    kernel.shell(read)
    after = kernel.read()
    (name,) = (
        name
        for name, one in after.items()
        if one.data.get("actions") and one.data["actions"].value == f"{driver}-req.0"
    )
    assert grown(before, after, f"{name}:total") >= 101
    number = name.split(":")[1]
    intr = after[f"irq:{number}:{driver}-req.0"]
    assert (intr.kind, intr.class_) == (Kind.INTR, "controller")
    assert intr.data["hard"] == after[name].data["total"]
    assert kernel.number(f"awk '$1 == \"{number}:\" {{print $2}}' /proc/interrupts") == value(
        after, f"{name}:total"
    )


def test_named_interrupts_and_softirqs_are_those_of_proc(kernel: Kernel) -> None:
    local = "awk '$1 == \"LOC:\" {print $2}' /proc/interrupts"
    timers = "awk '$1 == \"TIMER:\" {print $2}' /proc/softirqs"
    all_softirqs = "awk '/^softirq /{print $2}' /proc/stat"
    before = [kernel.number(command) for command in (local, timers, all_softirqs)]
    kstats = kernel.read()
    after = [kernel.number(command) for command in (local, timers, all_softirqs)]
    names = ("linux:0:LOC:cpu0", "linux:0:softirqs:TIMER", "linux:0:softirqs:total")
    for low, name, high in zip(before, names, after, strict=True):
        assert low <= value(kstats, name) <= high
    assert before[2] <= value(kstats, "linux:0:stat:softirq") <= after[2]
    assert kstats["linux:0:LOC"].data["description"].value == "Local timer interrupts"


# --- processes -----------------------------------------------------------------------------


def test_forks_are_as_many_as_numbers_given_to_processes(kernel: Kernel) -> None:
    before = kernel.read()
    kernel.shell("for i in $(seq 101); do /usr/bin/true; done")
    after = kernel.read()
    forks = grown(before, after, "linux:0:proc:forks")
    assert forks >= 101
    assert forks == value(after, "linux:0:proc:last_pid") - value(before, "linux:0:proc:last_pid")


def test_processes_and_threads_are_those_in_proc(kernel: Kernel) -> None:
    before = kernel.read()
    sleepers = 23
    kernel.shell(f"for i in $(seq {sleepers}); do sleep 60 > /dev/null 2>&1 & done; echo $! > /dev/null")
    after = kernel.read()
    listed = kernel.python("import os; print(sum(name.isdigit() for name in os.listdir('/proc')) - 1)")
    threads = kernel.number("ls -d /proc/[0-9]*/task/* | wc -l")
    kernel.shell("killall sleep")
    for name in ("linux:0:proc:processes", "unix:0:system_misc:nproc"):
        # Threads of the kernel's come and go by themselves.
        assert abs(value(after, name) - value(before, name) - sleepers) <= 3
        assert abs(value(after, name) - listed) <= 3
    assert abs(value(after, "linux:0:proc:threads") - threads) <= 8


def test_the_machine_as_a_whole(kernel: Kernel) -> None:
    kstats = kernel.read()
    code = "import json, os, time; now = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME); "
    boot, load = kernel.python(code + "print(json.dumps([now, os.getloadavg()]))")
    name = "unix:0:system_misc"
    assert abs(value(kstats, f"{name}:boot_time") - boot) <= 2
    assert value(kstats, f"{name}:ncpus") == kernel.number("nproc")
    for minutes, average in zip(("5min", "15min"), load[1:], strict=True):
        assert abs(value(kstats, f"{name}:avenrun_{minutes}") / 256 - average) < 0.2
    uptime = value(kstats, f"{name}:lbolt") * value(kstats, f"{name}:nsec_per_tick")
    assert uptime <= kernel.python("import time; print(time.clock_gettime_ns(time.CLOCK_BOOTTIME))")
    assert value(kstats, f"{name}:clk_intr") == value(kstats, f"{name}:lbolt")


# --- pressure and control groups -----------------------------------------------------------


def test_two_programs_that_want_one_cpu_press_on_it(kernel: Kernel) -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    total = "sed -n 's/^some.*total=//p' /proc/pressure/cpu"
    before = kernel.read()
    low = kernel.number(total)
    kernel.shell(f"python3 -c '{burn}' & python3 -c '{burn}'; wait")
    high = kernel.number(total)
    after = kernel.read()
    # While one of them burnt its half second, the other had to wait.
    assert grown(before, after, "psi:0:cpu:some_total") >= high - low >= 400_000
    for name in ("memory", "io"):
        assert {"some_avg10", "full_total"} <= after[f"psi:0:{name}"].data.keys()


def test_a_control_group_has_what_its_program_used(kernel: Kernel) -> None:
    # What the shell used before it moved is not the group's.
    burn = "import time; now = time.process_time_ns; start = now()\nwhile now() - start < 300_000_000: pass\n"
    burn += "print((now() - start) // 1000)"
    kernel.shell(
        "cd /sys/fs/cgroup; echo '+memory +pids +cpu +io' > cgroup.subtree_control; mkdir -p outer/inner;"
        "echo '+memory +pids +cpu' > outer/cgroup.subtree_control"
    )
    try:
        kernel.shell(
            "(echo 0 > /sys/fs/cgroup/outer/inner/cgroup.procs; exec sleep 60) > /dev/null 2>&1 & "
            "until grep -q . /sys/fs/cgroup/outer/inner/cgroup.procs; do sleep 0.05; done"
        )
        before = kernel.read()
        burnt = kernel.number(f"echo 0 > /sys/fs/cgroup/outer/inner/cgroup.procs; exec python3 -c '{burn}'")
        after = kernel.read()
        name = "cgroup:0:outer/inner"
        for group in (name, "cgroup:0:outer"):
            assert grown(before, after, f"{group}:cpu.usage_usec") >= burnt
        assert value(after, f"{name}:pids.current") == 1
        assert value(after, f"{name}:memory.current") == kernel.number(
            "cat /sys/fs/cgroup/outer/inner/memory.current"
        )
        assert "pids.current" not in after["cgroup:0:."].data
    finally:
        kernel.shell("killall sleep; cd /sys/fs/cgroup; sleep 0.2; rmdir outer/inner outer")
    assert not [name for name in kernel.read() if "outer" in name]


def test_a_control_groups_name_may_have_a_colon(kernel: Kernel) -> None:
    kernel.shell("mkdir '/sys/fs/cgroup/a:b'")
    try:
        assert r"cgroup:0:a\x3ab" in kernel.read()
    finally:
        kernel.shell("rmdir '/sys/fs/cgroup/a:b'")


def test_an_older_kernel_has_the_same_groups(image_61: Image, kernel: Kernel) -> None:
    target = LabTarget("lab-6.1", lambda *_: None)
    try:
        old = Kernel(target).read()
    finally:
        target.close()
    new = kernel.read()
    # The architecture's interrupts are not the same on all kernels, nor what handles which number.
    named = {name for name in new if not re.search("^irq:|^cgroup:|:interrupts$|:[A-Z]{3}$", name)}
    assert named - old.keys() == set()
    for name in (
        "cpu:0:sys",
        "cpu_stat:0:cpu_stat0",
        "unix:0:system_pages",
        "unix:0:system_misc",
        "unix:0:vminfo",
    ):
        assert old[name].data.keys() == new[name].data.keys()
