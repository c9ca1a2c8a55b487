"""Connections come and go; what one leaves behind is never seen by the next."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from ktrace_nb.errors import AgentGoneError, TargetError
from ktrace_nb.lab import ports
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.machine import LabMachine
from ktrace_nb.lab.qemu import PORTS
from ktrace_nb.lab.start import start_machine
from ktrace_nb.wire.frames import REQUEST, Message
from tests.kernel.conftest import python, shell, wait_until

pytestmark = pytest.mark.kernel

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def one_port(image: Image) -> Iterator[LabMachine]:
    """A machine of which seven ports are taken: every connection is to the eighth."""
    with start_machine(image) as machine:
        held = [ports._take(machine.folder, port) for port in range(1, PORTS)]
        assert all(held)
        with Caller(machine.connect()) as caller:
            shell(caller, f"head -c {20 * MEGABYTE} /dev/urandom > /tmp/big")
        yield machine
        for connection in held:
            assert connection is not None
            connection.close()


def greets(machine: LabMachine) -> Caller:
    """A connection whose first answer is the one to its own first question."""
    caller = Caller(machine.connect())
    caller.hello(timeout_s=5)
    return caller


def test_a_port_is_used_again_and_again(one_port: LabMachine) -> None:
    begin = time.monotonic()
    for _ in range(50):
        greets(one_port).close()
    # A missed greeting would cost a quarter of a second or more; a rest is 0.05 s.
    assert time.monotonic() - begin < 50 * 0.2


def test_what_a_client_did_not_read_is_not_for_the_next(one_port: LabMachine) -> None:
    for wanted in (0, 1, 100, 5000, 100_000, 3_000_000) * 2:
        caller = greets(one_port)
        caller.send("get", path="/tmp/big")
        connection = caller._connection
        got = 0
        while got < wanted:
            got += len(connection.recv(65536))
        caller.close()
    greets(one_port).close()


def test_what_a_client_left_half_said_is_not_heard_from_the_next(one_port: LabMachine) -> None:
    message = Message(REQUEST, {"id": 0, "op": "put", "path": "/tmp/put"}, os.urandom(8 * MEGABYTE)).encode()
    for length in (1, 3, 20, 100, 5000, MEGABYTE) * 2:
        caller = greets(one_port)
        caller._connection.sendall(message[:length])
        caller.close()
    caller = greets(one_port)
    assert shell(caller, "ls /tmp") == "big\n"
    caller.close()


def test_strangers_do_no_harm(one_port: LabMachine) -> None:
    chance = random.Random(1)
    path = str(one_port.folder / "ktrace.0")
    for _ in range(20):
        # They take no lock and wait for no greeting.
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(path)
            if chance.random() < 0.5:
                stranger.sendall(chance.randbytes(chance.choice([1, 16, 1000, 10_000])))
            if chance.random() < 0.5:
                time.sleep(chance.random() / 50)
        greets(one_port).close()


def test_a_client_that_was_killed_in_a_transfer_leaves_a_clean_port(one_port: LabMachine) -> None:
    code = """
import sys
from pathlib import Path
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.machine import LabMachine
caller = Caller(LabMachine(Path(sys.argv[1])).connect())
caller.send("get", path="/tmp/big")
caller._connection.recv(4096)
print("reading", flush=True)
sys.stdin.read()
"""
    for _ in range(3):
        with python(code, str(one_port.folder)) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "reading\n"
            with pytest.raises(TargetError, match="all 8 ports"):
                one_port.connect(timeout_s=1)
            process.send_signal(signal.SIGKILL)
            process.wait()
            greets(one_port).close()


def test_the_guest_stops_sending_when_its_client_is_gone(one_port: LabMachine) -> None:
    caller = greets(one_port)
    caller.send("get", path="/tmp/big")
    caller._connection.recv(4096)
    caller.close()
    with greets(one_port) as after:
        threads = "ls /proc/$(pidof python3)/task | wc -l"
        # One that waits for clients, one that serves this one, one that runs this command.
        wait_until(lambda: int(shell(after, threads)) <= 3)


def test_a_busy_guest_still_answers(one_port: LabMachine) -> None:
    with greets(one_port) as caller:
        shell(caller, "for i in 1 2 3; do (while :; do :; done) >/dev/null 2>&1 & done")
    try:
        for _ in range(10):
            greets(one_port).close()
    finally:
        with greets(one_port) as caller:
            # Not by name: this very command is a shell as well.
            shell(caller, "kill $(ps -o pid,stat,args | awk '$2 ~ /R/ && /while/ && !/awk/ {print $1}')")


def test_several_processes_use_one_machine(machine: LabMachine) -> None:
    code = """
import sys
from pathlib import Path
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.machine import LabMachine
with Caller(LabMachine(Path(sys.argv[1])).connect()) as caller:
    for number in range(20):
        head, output = caller.call("exec", argv=["echo", f"{sys.argv[2]} {number}"])
        assert output == f"{sys.argv[2]} {number}\\n".encode(), output
"""
    processes = [python(code, str(machine.folder), name) for name in ("a", "b", "c")]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err


def test_a_hung_command_does_not_delay_another_request(caller: Caller) -> None:
    caller.send("exec", argv=["sleep", "5"])
    begin = time.monotonic()
    assert "monotonic_ns" in caller.call("ping")[0]
    assert time.monotonic() - begin < 1


def test_an_agent_that_was_killed_comes_back_and_says_so(image: Image) -> None:
    with start_machine(image) as machine:
        caller = greets(machine)
        first = caller.hello()["pid"]
        caller.send("exec", argv=["sh", "-c", "kill -9 $(pidof python3)"])
        with pytest.raises(AgentGoneError, match="started anew"):
            while True:
                caller.receive(10)
        caller.close()
        with greets(machine) as again:
            assert again.hello()["pid"] != first


def test_large_messages_arrive_whole(caller: Caller) -> None:
    data = os.urandom(4 * MEGABYTE + 17)
    caller.call("put", data, path="/tmp/whole")
    assert caller.call("get", path="/tmp/whole")[1] == data
    shell(caller, "rm /tmp/whole")
