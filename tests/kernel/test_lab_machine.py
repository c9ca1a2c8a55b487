"""A running lab: resumed in a moment, alike every time, leaving nothing behind."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import pytest

from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.machine import LabMachine
from ktrace_nb.lab.start import start_machine
from tests.kernel.conftest import shell, wait_until

pytestmark = pytest.mark.kernel


def test_a_lab_is_resumed_in_a_moment(image: Image, machine: LabMachine) -> None:
    # The fixture has seen to it that there is a template.
    times = []
    for _ in range(3):
        begin = time.monotonic()
        with start_machine(image) as another, Caller(another.connect()) as caller:
            caller.hello()
            times.append(time.monotonic() - begin)
    assert min(times) < 1.0  # 0.2 s on an idle machine


def test_the_agent_says_who_it_is(image: Image, caller: Caller) -> None:
    head = caller.hello()
    assert head["kernel"] == image.kernel
    assert head["cpus_online"] == [0]
    assert head["uid"] == 0


def test_the_guests_clock_is_the_hosts(caller: Caller) -> None:
    head, _ = caller.call("ping")
    assert abs(head["realtime_ns"] - time.time_ns()) < 1e9


def test_nothing_that_a_session_does_lasts(image: Image) -> None:
    with start_machine(image) as first, Caller(first.connect()) as caller:
        shell(caller, "echo left > /root/file; echo x >> /etc/passwd; rm /usr/bin/vi; modprobe veth")
        assert shell(caller, "cat /root/file") == "left\n"
    with start_machine(image) as second, Caller(second.connect()) as caller:
        assert shell(caller, "ls /root") == ""
        assert shell(caller, "which vi; tail -1 /etc/passwd").split(":")[0] == "/usr/bin/vi\nstudent"
        assert "veth" not in shell(caller, "cat /proc/modules")


def test_two_machines_from_one_template_do_not_see_each_other(image: Image) -> None:
    with start_machine(image) as one, start_machine(image) as other:
        assert one.pid != other.pid and one.folder != other.folder
        with Caller(one.connect()) as caller, Caller(other.connect()) as other_caller:
            shell(caller, "echo one > /tmp/who; dd if=/dev/zero of=/tmp/big bs=1M count=100 2>/dev/null")
            shell(other_caller, "echo other > /tmp/who")
            assert shell(caller, "cat /tmp/who") == "one\n"
            assert shell(other_caller, "cat /tmp/who; ls /tmp") == "other\nwho\n"


def test_a_lab_may_have_two_processors(image: Image) -> None:
    for _ in range(2):  # booted, then resumed
        with start_machine(image, cpus=2) as machine, Caller(machine.connect()) as caller:
            assert caller.hello()["cpus_online"] == [0, 1]
            assert shell(caller, "nproc") == "2\n"
            assert machine.status().cpus == 2


def test_the_older_kernel_starts_as_well(image_61: Image) -> None:
    with start_machine(image_61) as machine, Caller(machine.connect()) as caller:
        assert caller.hello()["kernel"] == image_61.kernel
        assert image_61.kernel.startswith("6.1.")
        shell(caller, "modprobe xfs && modprobe nfsd && modprobe null_blk")


def test_the_status_tells_what_runs(image: Image, machine: LabMachine) -> None:
    status = machine.status()
    assert (status.name, status.kernel, status.cpus, status.memory_mb) == ("lab", image.kernel, 1, 512)
    assert Path(f"/proc/{status.pid}/comm").read_text().startswith("qemu-system")
    assert 5 < status.private_mb < 512
    assert 20 < status.template_mb < 512
    assert status.until is None and status.failure is None
    assert status.owner_pid == machine.record.owner[0]


def test_the_facts_are_those_of_the_guest(image: Image, machine: LabMachine, caller: Caller) -> None:
    facts = machine.facts
    for name in ("btf", "build_id", "blacklist", "functions", "tracepoints"):
        assert facts[name] == caller.call("fact", name=name)[1], name
    text = caller.call("fact", name="kallsyms")[1]
    assert facts["kallsyms"].splitlines()[:5000] == text.splitlines()[:5000]
    addresses = {line.split()[2]: int(line.split()[0], 16) for line in facts["kallsyms"].splitlines()}
    assert addresses[b"_text"] == 0xFFFFFFFF81000000  # not moved to a random place
    events = [line.replace(":", "/", 1) for line in facts["tracepoints"].decode().split()]
    assert len(facts.formats) > 1000 and set(facts.formats) <= set(events)
    one = "sched/sched_switch"
    assert facts.formats[one] == caller.call("fact", name="formats", names=[one])[1].decode()
    assert "prev_comm" in facts.formats[one]
    assert facts["config"] == image.path("config").read_bytes()
    asked = caller.call("fact", name="config")[1]
    assert not asked or gzip.decompress(asked) == facts["config"]


def test_stopping_leaves_nothing_behind(image: Image) -> None:
    machine = start_machine(image)
    pid = machine.pid
    machine.stop()
    assert not machine.folder.exists()
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert machine.failure() == "the lab was stopped"
    assert machine.pid == 0 and machine.console() == ""
    machine.stop()


def test_a_machine_nobody_holds_is_stopped(image: Image) -> None:
    machine = start_machine(image)
    folder, pid = machine.folder, machine.pid
    assert Path(f"/proc/{pid}").exists()
    del machine
    assert not folder.exists()


def test_the_guest_does_the_same_from_the_same_template(image: Image) -> None:
    """Lessons are repeatable: the same command takes the same path through the kernel."""
    seen = set()
    for _ in range(2):
        with start_machine(image) as machine, Caller(machine.connect()) as caller:
            shell(
                caller,
                """
                cd /sys/kernel/tracing
                echo 'vfs_*' > set_ftrace_filter
                echo function > current_tracer
                ls /usr > /dev/null
                echo 0 > tracing_on
                """,
            )
            trace = shell(caller, "grep ' ls-' /sys/kernel/tracing/trace")
            seen.add(tuple(line.split()[4] for line in trace.splitlines()))
    assert len(seen) == 1 and len(seen.pop()) > 20
