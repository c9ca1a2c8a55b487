"""The supervisor with ``sleep`` in QEMU's place: it does not know the difference."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ktrace_nb.lab import supervisor
from ktrace_nb.lab.failure import lives

SLEEP = ("sleep", "60")


class Supervised:
    """A supervisor, its leash, and what it supervises."""

    def __init__(self, folder: Path, command: tuple[str, ...], owner: int, passed: list[int]) -> None:
        read, self.leash = os.pipe()
        self.folder = folder
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", supervisor.__file__),
                *(str(folder), str(read), str(owner), "--", *command),
            ],
            pass_fds=[read, *passed],
            start_new_session=True,
        )
        os.close(read)

    def processes(self) -> dict[str, Any]:
        wait_until((self.folder / supervisor.PROCESSES).exists)
        found: dict[str, Any] = json.loads((self.folder / supervisor.PROCESSES).read_text())
        return found

    def release(self) -> None:
        if self.leash >= 0:
            os.close(self.leash)
            self.leash = -1

    def is_gone(self) -> bool:
        return self.process.poll() is not None and not self.folder.exists()


def wait_until(condition: Callable[[], bool], timeout_s: float = 5.0) -> float:
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < timeout_s, "it did not happen in time"
        time.sleep(0.005)
    return time.monotonic() - begin


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    started: list[Supervised] = []

    def start(*command: str, owner: int | None = None, passed: Sequence[int] = ()) -> Supervised:
        folder = tmp_path / f"machine{len(started)}"
        folder.mkdir()
        one = Supervised(folder, command, os.getpid() if owner is None else owner, list(passed))
        started.append(one)
        return one

    yield start
    for one in started:
        one.release()
        one.process.kill()
        one.process.wait()


def test_letting_go_of_the_leash_ends_everything(supervise: Callable[..., Supervised]) -> None:
    machine = supervise(*SLEEP)
    processes = machine.processes()
    assert lives(processes["qemu"]) and lives(processes["supervisor"])
    machine.release()
    assert wait_until(machine.is_gone) < 1
    assert not lives(processes["qemu"])


def test_the_owners_death_ends_everything_though_the_leash_is_held(
    supervise: Callable[..., Supervised],
) -> None:
    with subprocess.Popen(SLEEP) as owner:
        machine = supervise(*SLEEP, owner=owner.pid)
        qemu = machine.processes()["qemu"]
        time.sleep(0.1)
        assert lives(qemu)
        owner.kill()
        assert wait_until(machine.is_gone) < 1
        assert not lives(qemu)


def test_an_owner_that_is_dead_already_gets_no_machine(supervise: Callable[..., Supervised]) -> None:
    with subprocess.Popen(SLEEP) as owner:
        owner.kill()
    machine = supervise(*SLEEP, owner=owner.pid)
    assert wait_until(machine.is_gone) < 2


def test_the_supervisors_death_takes_qemu_along(supervise: Callable[..., Supervised]) -> None:
    machine = supervise(*SLEEP)
    qemu = machine.processes()["qemu"]
    time.sleep(0.1)
    assert lives(qemu)
    machine.process.kill()
    assert wait_until(lambda: not lives(qemu)) < 1


def test_interrupts_of_the_terminal_are_not_for_the_machine(supervise: Callable[..., Supervised]) -> None:
    machine = supervise(*SLEEP)
    qemu = machine.processes()["qemu"]
    for number in (signal.SIGINT, signal.SIGHUP):
        machine.process.send_signal(number)
    time.sleep(0.2)
    assert lives(qemu) and machine.process.poll() is None
    assert os.getsid(machine.process.pid) != os.getsid(0)


def test_a_signal_to_stop_ends_everything(supervise: Callable[..., Supervised]) -> None:
    machine = supervise(*SLEEP)
    machine.processes()
    machine.process.terminate()
    assert wait_until(machine.is_gone) < 1


def test_qemus_end_is_written_down_and_the_folder_stays(supervise: Callable[..., Supervised]) -> None:
    machine = supervise("sh", "-c", "echo its last words >&2; exit 3")
    record = machine.folder / supervisor.EXIT
    wait_until(record.exists)
    assert json.loads(record.read_text())["status"] == 3
    assert (machine.folder / supervisor.ERRORS).read_text() == "its last words\n"
    assert machine.process.poll() is None
    machine.release()
    assert wait_until(machine.is_gone) < 1


def test_a_program_that_cannot_be_started_is_an_end_too(supervise: Callable[..., Supervised]) -> None:
    machine = supervise("/nosuch/qemu")
    record = machine.folder / supervisor.EXIT
    wait_until(record.exists)
    assert json.loads(record.read_text())["status"] == 127


def test_a_detached_machine_outlives_its_owner_until_its_time_is_over(
    supervise: Callable[..., Supervised],
) -> None:
    with subprocess.Popen(SLEEP) as owner:
        machine = supervise(*SLEEP, owner=owner.pid)
        qemu = machine.processes()["qemu"]
        os.write(machine.leash, b"detach 1\n")
        begin = time.monotonic()
        machine.release()
        owner.kill()
    time.sleep(0.5)
    assert lives(qemu)
    wait_until(machine.is_gone)
    assert 0.9 < time.monotonic() - begin < 2
    assert not lives(qemu)


def test_sockets_are_passed_on_and_not_kept(supervise: Callable[..., Supervised], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        machine = supervise("sleep", "1", passed=[listener.fileno()])
        machine.processes()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "socket"))  # what is supervised has it
    wait_until((machine.folder / supervisor.EXIT).exists)
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(tmp_path / "socket"))
