"""A machine ends with its owner, whatever ends that; a started one lives on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ktrace_nb.lab.failure import lives, read_record
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.machine import LabMachine
from ktrace_nb.lab.running import find_running, running_machines
from ktrace_nb.lab.start import start_machine
from tests.kernel.conftest import python, wait_until

pytestmark = pytest.mark.kernel

OWNER = """
import os, sys, time
os.setpgid(0, 0)  # a process group of its own, as Jupyter gives its kernels
from ktrace_nb.lab.image import find_image
from ktrace_nb.lab.start import start_machine
machine = start_machine(find_image("lab"))
print(machine.folder, machine.pid, flush=True)
{}
"""


@contextmanager
def owned(end: str) -> Iterator[tuple[subprocess.Popen[str], Path, list[int]]]:
    """A process that owns a machine: itself, the machine's folder, its QEMU."""
    with python(OWNER.format(end)) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        folder = Path(line.split()[0])
        qemu = read_record(folder, "processes.json")["qemu"]
        assert lives(qemu)
        try:
            yield process, folder, qemu
        finally:
            process.kill()


def gone(folder: Path, qemu: list[int]) -> bool:
    return not folder.exists() and not lives(qemu)


@pytest.mark.parametrize(
    "end",
    ["sys.exit(0)", "raise RuntimeError", "os._exit(1)", "os.kill(os.getpid(), 9)", "os.abort()"],
)
def test_a_machine_ends_with_its_owner(end: str, image: Image, machine: LabMachine) -> None:
    with owned("sys.stdin.readline(); " + end) as (process, folder, qemu):
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait()
        assert wait_until(lambda: gone(folder, qemu)) < 1


def test_a_child_that_lives_on_does_not_keep_the_machine(image: Image, machine: LabMachine) -> None:
    """multiprocessing forks: the child has the leash and every socket as well."""
    fork = "child = os.fork()\nif child == 0: time.sleep(60)\nprint(child, flush=True); sys.stdin.read()"
    with owned(fork) as (process, folder, qemu):
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        try:
            assert wait_until(lambda: gone(folder, qemu)) < 1
        finally:
            os.kill(child, signal.SIGKILL)


def test_an_interrupt_is_for_the_owner_alone(image: Image, machine: LabMachine) -> None:
    """Jupyter interrupts a kernel's whole process group."""
    wait = "import signal; signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))\n"
    wait += "print('ready', flush=True)\nwhile True: time.sleep(60)"
    with owned(wait) as (process, folder, qemu):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        time.sleep(0.3)
        assert lives(qemu) and folder.exists()
        process.kill()


def test_a_killed_supervisor_leaves_nothing_that_runs(image: Image, own_runtime: Path) -> None:
    machine = start_machine(image)
    folder = machine.folder
    processes = read_record(folder, "processes.json")
    os.kill(processes["supervisor"][0], signal.SIGKILL)
    assert wait_until(lambda: not lives(processes["qemu"])) < 1
    assert machine.failure() == "the lab was stopped"
    assert folder.exists()
    assert running_machines() == []  # and looking clears up
    assert not folder.exists()


def test_a_machine_that_was_let_go_outlives_its_owner(image: Image, own_runtime: Path) -> None:
    with owned("machine.detach(60); sys.exit(0)") as (process, folder, qemu):
        process.wait()
    assert lives(qemu) and folder.exists()
    found = find_running("lab")
    assert found is not None and found.folder == folder
    assert found.failure() is None
    found.connect().close()
    found.stop()
    assert gone(folder, qemu)
    assert find_running("lab") is None


def test_a_private_machine_is_not_found_as_the_started_one(image: Image, own_runtime: Path) -> None:
    with start_machine(image) as machine:
        assert find_running("lab") is None
        assert [one.folder for one in running_machines()] == [machine.folder]
