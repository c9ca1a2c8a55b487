"""A real agent on standard input and output, under the system's own Python."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ktrace_nb.agent.package import agent_archive
from ktrace_nb.errors import AgentGoneError, RemoteError, TargetError
from ktrace_nb.system import system_pythons
from ktrace_nb.targets.connection import Connection
from ktrace_nb.targets.streams import ProcessStream


@pytest.fixture
def stream(tmp_path: Path) -> ProcessStream:
    archive = tmp_path / "agent.pyz"
    archive.write_bytes(agent_archive())
    return ProcessStream([system_pythons()[0], "-I", str(archive)])


@pytest.fixture
def connection(stream: ProcessStream) -> Iterator[Connection]:
    connection = Connection(stream, lambda: f"the agent ended with status {stream.process.wait()}")
    yield connection
    connection.close()
    assert stream.process.poll() is not None


def test_the_agent_says_who_it_is(connection: Connection, stream: ProcessStream) -> None:
    hello = connection.hello()
    assert hello.kernel == Path("/proc/sys/kernel/osrelease").read_text().strip()
    assert hello.pid == stream.process.pid
    assert abs(hello.monotonic_ns - time.monotonic_ns()) < 5e9


def test_facts_and_files_come_as_the_kernel_gives_them(connection: Connection, tmp_path: Path) -> None:
    assert connection.call("fact", name="build_id").blob == Path("/sys/kernel/notes").read_bytes()
    connection.call("put", b"\0\1binary", path=str(tmp_path / "f"), mode=0o600)
    assert connection.call("get", path=str(tmp_path / "f")).blob == b"\0\1binary"


def test_what_cannot_be_done_is_an_error_with_a_code(connection: Connection) -> None:
    with pytest.raises(RemoteError) as caught:
        connection.call("get", path="/no/such/file")
    assert (caught.value.code, caught.value.fields["errno"]) == ("os", "ENOENT")
    for op, fields in (("juggle", {}), ("fact", {"name": "moon"}), ("collect", {"session": "none"})):
        with pytest.raises(RemoteError):
            connection.call(op, b"", timeout_s=5, **fields)
    with pytest.raises(RemoteError, match="malformed tracepoint"):
        connection.call("fact", name="formats", names=["../../etc/passwd"])


def test_a_command_that_hangs_does_not_delay_a_ping(connection: Connection) -> None:
    thread = threading.Thread(target=lambda: connection.call("exec", argv=["sleep", "1.5"]), daemon=True)
    thread.start()
    started = time.monotonic()
    connection.call("ping")
    assert time.monotonic() - started < 1
    assert thread.is_alive()
    thread.join(10)


def test_requests_from_many_threads_get_their_own_answers(connection: Connection) -> None:
    wrong = []

    def ask(number: int) -> None:
        for i in range(20):
            text = f"{number}.{i}"
            if connection.call("exec", argv=["echo", "-n", text]).blob != text.encode():
                wrong.append(text)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_large_blobs_go_both_ways(connection: Connection) -> None:
    data = bytes(range(256)) * 1000
    reply = connection.call("exec", data, argv=["cat"])
    assert reply.blob == data


def test_a_killed_agent_is_named_at_once_by_who_waits_and_who_comes(
    connection: Connection, stream: ProcessStream
) -> None:
    threading.Timer(0.3, stream.process.send_signal, [signal.SIGKILL]).start()
    started = time.monotonic()
    with pytest.raises(AgentGoneError, match="status -9"):
        connection.call("exec", argv=["sleep", "30"])
    assert time.monotonic() - started < 2
    with pytest.raises(AgentGoneError, match="status -9"):
        connection.call("ping")
    assert not connection.alive


def test_no_answer_in_time_is_an_error(connection: Connection, stream: ProcessStream) -> None:
    stream.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(TargetError, match=r"no answer to 'ping' within 0\.3 s"):
            connection.call("ping", timeout_s=0.3)
    finally:
        stream.process.send_signal(signal.SIGCONT)
    connection.call("ping")


def test_an_agent_ends_with_its_connection(stream: ProcessStream) -> None:
    connection = Connection(stream)
    connection.hello()
    connection.close()
    assert stream.process.wait(5) == 0


def test_something_that_is_no_agent_is_named() -> None:
    connection = Connection(ProcessStream(["sh", "-c", "echo hello, I am a shell; cat >/dev/null"]))
    with pytest.raises(AgentGoneError, match="cannot be understood"):
        connection.hello()
    connection.close()


def test_a_shell_talks_in_events(connection: Connection) -> None:
    seen = bytearray()
    ended = threading.Event()

    def listen(message) -> None:  # type: ignore[no-untyped-def]
        seen.extend(message.blob)
        if "status" in message.head:
            ended.set()

    connection.listen("s", listen)
    connection.call("shell_open", shell="s", argv=["/bin/sh"], rows=24, columns=80)
    connection.call("shell_input", b"echo si$((1+1))ze; stty size; exit 3\n", shell="s")
    assert ended.wait(10)
    assert b"si2ze" in seen
    assert b"24 80" in seen
