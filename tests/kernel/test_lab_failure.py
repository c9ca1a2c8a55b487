"""A lab that fails is noticed and named within two seconds."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from ktrace_nb.errors import TargetError
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.machine import LabMachine
from ktrace_nb.lab.qemu import PORTS
from ktrace_nb.lab.start import start_machine
from tests.kernel.conftest import shell, wait_until

pytestmark = pytest.mark.kernel

LIMIT_S = 2.0


@pytest.fixture
def victim(image: Image) -> Iterator[LabMachine]:
    """A machine to break."""
    with start_machine(image) as machine:
        yield machine


def test_a_panic_is_named(victim: LabMachine) -> None:
    with Caller(victim.connect()) as caller:
        begin = time.monotonic()
        with pytest.raises(TargetError):
            caller.call("exec", argv=["sh", "-c", "echo c > /proc/sysrq-trigger"], timeout_s=5)
        wait_until(victim.failure)
        assert time.monotonic() - begin < LIMIT_S
    assert victim.failure() == "the lab's kernel panicked: sysrq triggered crash, running 'sh'"
    assert "sysrq_handle_crash" in victim.console()
    with pytest.raises(TargetError, match="sysrq triggered crash"):
        victim.connect()
    assert victim.diagnose() == victim.failure()
    assert victim.status().failure == victim.failure()
    assert victim.pid == 0


def test_a_killed_qemu_is_named(victim: LabMachine) -> None:
    with Caller(victim.connect()) as caller:
        os.kill(victim.pid, signal.SIGKILL)
        with pytest.raises(TargetError, match="is gone"):
            caller.receive(LIMIT_S)
        assert wait_until(victim.failure) < LIMIT_S
    assert victim.failure() == "qemu was killed by SIGKILL"


def test_a_shutdown_from_inside_is_named(victim: LabMachine) -> None:
    with Caller(victim.connect()) as caller:
        caller.send("exec", argv=["poweroff", "-f"])
        assert wait_until(victim.failure) < LIMIT_S
    assert victim.failure() == "the lab was shut down or restarted from inside"


def test_a_machine_that_answers_is_left_alone(victim: LabMachine) -> None:
    assert victim.diagnose() == "the lab answers"
    assert victim.failure() is None


def test_a_machine_whose_ports_are_all_taken_is_left_alone(victim: LabMachine) -> None:
    held = [victim.connect() for _ in range(PORTS)]
    assert victim.diagnose() == "the lab answers"
    assert victim.failure() is None
    for connection in held:
        connection.close()


def test_a_hung_guest_says_where_it_hangs(victim: LabMachine) -> None:
    hog = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99))\nwhile True: pass"
    with Caller(victim.connect()) as caller:
        # Real-time tasks are kept from starving all others in two ways.
        shell(
            caller,
            """
            echo -1 > /proc/sys/kernel/sched_rt_runtime_us
            for server in /sys/kernel/debug/sched/fair_server/*/runtime; do
                [ ! -e $server ] || echo 0 > $server
            done
            """,
        )
        caller.send("exec", argv=["python3", "-c", hog])
        time.sleep(1)
        assert victim.failure() is None
        begin = time.monotonic()
        cause = victim.diagnose()
        # The NMI meets the hog itself, or the kernel in an interrupt on top of it.
        assert cause == "the lab hung: 'python3' lets nothing else run" or (
            cause.startswith("the lab's kernel hung at ") and cause.endswith("running 'python3'")
        )
        assert time.monotonic() - begin < LIMIT_S
    assert victim.failure() is not None


def test_a_guest_that_stands_still_is_named(victim: LabMachine) -> None:
    with victim.monitor() as qemu:
        qemu.command("stop")
    begin = time.monotonic()
    assert victim.diagnose() == "the lab stands still, qemu is in state 'paused'"
    assert time.monotonic() - begin < LIMIT_S


def test_a_qemu_that_does_nothing_is_named(victim: LabMachine) -> None:
    os.kill(victim.pid, signal.SIGSTOP)
    begin = time.monotonic()
    assert victim.diagnose() == "qemu does not answer"
    assert time.monotonic() - begin < LIMIT_S
    victim.stop()
    assert not victim.folder.exists()


def test_qemus_refusal_is_an_error(victim: LabMachine) -> None:
    with victim.monitor() as qemu, pytest.raises(TargetError, match="qemu refused 'nonsense'"):
        qemu.command("nonsense")
    with victim.monitor() as qemu:
        assert qemu.command("query-status")["status"] == "running"
