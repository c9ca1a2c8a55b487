from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.errors import AgentGoneError, TargetError
from ktrace_nb.lab import ports
from ktrace_nb.lab.qemu import CONTROL, PORTS
from ktrace_nb.wire.frames import EVENT, MAGIC, REPLY, Message

GREETING = Message(EVENT, {"ready": 3}).encode()

# What another client may have left: pieces of messages, their marks included.
leftovers = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                MAGIC,
                MAGIC[:3],
                Message(REPLY, {"ready": 1}).encode(),
                Message(EVENT, {"ready": 1}, b"blob").encode(),
                Message(EVENT, {"shell": "x"}, b"text").encode(),
                Message(EVENT, {"session": "x"}).encode()[:14],
            ]
        ),
    ),
    max_size=6,
).map(b"".join)


@given(leftovers)
def test_a_greeting_is_found_behind_whatever_was_left(left: bytes) -> None:
    assert ports.find_greeting(bytearray(left + GREETING))


@given(leftovers)
def test_what_was_left_is_no_greeting(left: bytes) -> None:
    seen = bytearray(left)
    assert not ports.find_greeting(seen)
    # What may still become a greeting is kept, nothing much else.
    assert len(seen) < 4200
    assert ports.find_greeting(seen + GREETING)


@given(leftovers, st.lists(st.integers(1, 9), min_size=1))
def test_a_greeting_may_come_in_pieces(left: bytes, sizes: list[int]) -> None:
    data = left + GREETING
    seen = bytearray()
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        seen += data[at : at + size]
        at, number = at + size, number + 1
        assert ports.find_greeting(seen) == (at >= len(data))


@contextmanager
def answering(folder: Path, port: int, greet_after_s: float = 0.0) -> Iterator[list[float]]:
    """A server in QEMU's place: one client at a time, greeted after a while.

    Yields:
        When each client came.
    """
    came: list[float] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / f"ktrace.{port}"))
        listener.listen(4)

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                came.append(time.monotonic())
                with client:
                    client.settimeout(greet_after_s or None)
                    try:
                        if greet_after_s and not client.recv(1):
                            continue  # it left before it was greeted
                    except TimeoutError:
                        pass
                    try:
                        client.sendall(b"of somebody else" + GREETING)
                        client.settimeout(None)
                        client.recv(1)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield came
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_port_serves_one_client_and_the_next_takes_another(short_path: Path) -> None:
    with answering(short_path, 0), answering(short_path, 1):
        first, second = ports.connect(short_path), ports.connect(short_path)
        assert first.getpeername() != second.getpeername()
        first.close()
        second.close()


def test_a_full_machine_says_so(short_path: Path) -> None:
    taken = [ports._take(short_path, port) for port in range(PORTS)]
    assert all(taken)
    with pytest.raises(TargetError, match="all 8 ports of the lab are taken"):
        ports.connect(short_path)
    for connection in taken:
        assert connection is not None
        connection.close()


def test_the_control_port_is_there_when_all_others_are_taken(short_path: Path) -> None:
    held = [ports._take(short_path, port) for port in range(PORTS)]
    with answering(short_path, CONTROL):
        connection = ports.connect(short_path, control=True)
        with pytest.raises(TargetError, match="somebody else is asking"):
            ports.connect(short_path, control=True, timeout_s=0.2)
        threading.Timer(0.3, connection.close).start()
        ports.connect(short_path, control=True, timeout_s=5).close()
    assert all(held)


def test_a_port_rests_after_a_client(short_path: Path) -> None:
    held = [ports._take(short_path, port) for port in range(1, PORTS)]
    with answering(short_path, 0) as came:
        ports.connect(short_path).close()
        ports.connect(short_path).close()
    assert came[1] - came[0] >= 0.9 * ports.REST_S
    assert all(held)


def test_a_port_rests_also_after_a_client_that_was_killed(short_path: Path) -> None:
    child = os.fork()
    if child == 0:
        held = ports._take(short_path, 0)
        os._exit(0 if held else 1)
    assert os.waitpid(child, 0)[1] == 0
    old = time.time() - 60
    os.utime(short_path / "port.0", (old, old))
    begin = time.monotonic()
    connection = ports._take(short_path, 0)
    assert connection is not None and time.monotonic() - begin >= 0.9 * ports.REST_S
    connection.close()


def test_a_port_that_does_not_greet_is_left_for_another(short_path: Path) -> None:
    with answering(short_path, 0, greet_after_s=30), answering(short_path, 1):
        connection = ports.connect(short_path)
        assert connection.getpeername().endswith("ktrace.1")
        connection.close()


def test_a_slow_guest_is_given_ever_more_time(short_path: Path) -> None:
    held = [ports._take(short_path, port) for port in range(1, PORTS)]
    with answering(short_path, 0, greet_after_s=1.6) as came:
        ports.connect(short_path).close()
    assert len(came) == 4  # 0.25, 0.5 and 1 s were too little
    assert all(held)


def test_nobody_waits_for_ever(short_path: Path) -> None:
    held = [ports._take(short_path, port) for port in range(1, PORTS)]
    begin = time.monotonic()
    with (
        answering(short_path, 0, greet_after_s=30),
        pytest.raises(TargetError, match="did not answer for 1 s"),
    ):
        ports.connect(short_path, timeout_s=1)
    assert 0.9 < time.monotonic() - begin < 2.5
    assert all(held)


def test_a_machine_that_is_gone_is_named(short_path: Path) -> None:
    with pytest.raises(AgentGoneError, match="the lab is gone"):
        ports.connect(short_path)
    with pytest.raises(AgentGoneError, match="the lab is gone"):
        ports.connect(short_path / "nosuch")


def test_a_lock_ends_with_its_holder(short_path: Path) -> None:
    connection = ports._take(short_path, 0)
    assert connection is not None
    with (short_path / "port.0").open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    del connection
    again = ports._take(short_path, 0)
    assert again is not None
    again.close()
