"""ftrace's function_graph in the lab: what it sees, and that nothing of it stays."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ktrace_nb.errors import RemoteError
from ktrace_nb.ir.calls import ENTRY, RETURN
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.start import start_machine
from ktrace_nb.targets.base import Target
from ktrace_nb.targets.connection import Connection
from ktrace_nb.targets.lab import LabTarget
from ktrace_nb.targets.streams import SocketStream
from ktrace_nb.wire.bundle import AttachPoint
from tests.kernel.conftest import wait_until
from tests.kernel.trace.graph_kit import SETTINGS, Graph, functions, parse_trace
from tests.kernel.trace.kit import KERNELS, Guest

TRACING = "/sys/kernel/tracing"
SEEK = """
import os, signal, sys
file = os.open("/etc/passwd", os.O_RDONLY)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.write(1, b"ready")
signal.sigwait([signal.SIGUSR1])
for _ in range(int(sys.argv[1])):
    os.lseek(file, 1, 0)
"""
MOVE = """
import os
for turn in range(1009):
    os.sched_setaffinity(0, [turn % 2])
    os.stat("/etc/passwd")
"""
WATCH = """
cd /sys/kernel/tracing
while [ -d /proc/{pid} ]; do sleep 0.1; done
cut -d' ' -f1 /proc/uptime
until [ "$(cat current_tracer; ls instances)" = nop ]; do sleep 0.1; done
cut -d' ' -f1 /proc/uptime
"""

Open = Callable[..., Graph]
both = pytest.mark.parametrize("kernel", KERNELS)


@pytest.fixture
def kernel() -> str:
    return "lab:lab-6.1"


@pytest.fixture
def graph(lab: Target, guest: Guest) -> Iterator[Open]:
    """Open a session; at the end it must have left everything as it was."""
    opened: list[Graph] = []
    before = settings(guest)

    def start(pattern: str = "ext4_.*", **fields: Any) -> Graph:
        session = Graph(lab.connection, functions(lab.fact, pattern), **fields)
        opened.append(session)
        return session

    yield start
    for session in opened:
        session.connection.post("close", session=session.name)
    wait_until(lambda: settings(guest) == before, 20)


def settings(guest: Guest) -> dict[str, str]:
    """Everything of tracefs a session may change, and its keepers."""
    files = " ".join(f"{TRACING}/{name}" for name in SETTINGS)
    keepers = "grep -l ktrace-keepe[r] /proc/[0-9]*/cmdline 2>/dev/null"
    text = guest.run(
        "sh",
        "-c",
        f"grep '' {files} | cut -c21-; ls {TRACING}/instances | sed s/^/instances:/; {keepers}; true",
    )
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        found[name] = found.get(name, "") + value + "\n"
    return found


def put(guest: Guest, file: str, *words: str) -> None:
    """Change a setting as another user of ftrace would."""
    guest.run(
        "sh", "-c", f"true >{TRACING}/{file}; for w in {' '.join(words)}; do echo $w >>{TRACING}/{file}; done"
    )


@pytest.fixture
def setting(guest: Guest) -> Iterator[Callable[..., None]]:
    """Change settings until the end of the test."""
    changed: dict[str, str] = {}

    def change(file: str, value: str, back: str = "") -> None:
        put(guest, file, value)
        changed[file] = back

    yield change
    for file, back in reversed(changed.items()):
        put(guest, file, back)


# --- what it sees --------------------------------------------------------------------


@both
def test_the_calls_are_those_the_kernel_itself_prints(graph: Open, guest: Guest) -> None:
    session = graph(tracked=1)
    session.call("attach")
    options = f"for o in {TRACING}/options {TRACING}/instances/*/options; do [ -d $o ] && cd $o &&"
    options += " for f in tail abstime proc; do echo {} >funcgraph-$f; done; done; true"
    guest.run("sh", "-c", options.format(1))
    try:
        pid = session.call("run", command="ls -l / /etc /root", held=True)["pid"]
        session.call("graph_track", pid=pid)
        session.call("go")
        wait_until(lambda: ended(guest, pid), 20)
        text = guest.run("sh", "-c", f"cat {TRACING}/trace {TRACING}/instances/*/trace 2>/dev/null || true")
    finally:
        guest.run("sh", "-c", options.format(0))
    printed = parse_trace(text)
    session.follow()
    records = session.records()
    assert len(printed) > 200
    assert session.steps(records) == [step[:4] for step in printed]
    # The end of a call that is printed in one line has no time of its own.
    at_us = [(int(ns) + 500) // 1000 for ns in records["at"]]
    entries = [(ours, step[4]) for ours, step in zip(at_us, printed, strict=True) if step[3]]
    assert all(abs(ours - theirs) <= 1 for ours, theirs in entries)
    assert session.decoder.lost == session.decoder.gaps == session.decoder.foreign == 0


def test_only_the_process_and_its_children_are_seen(graph: Open, guest: Guest) -> None:
    session = graph(tracked=1)
    session.call("attach")
    others = threading.Thread(
        target=guest.run, args=("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do cat /etc/passwd; done")
    )
    others.start()
    output, pid = session.run(
        "sh -c 'echo $$; sh -c \"echo \\$\\$; cat /etc/hostname; true\"; ls /root; true'"
    )
    others.join()
    seen = {int(tid) for tid in session.records()["tid"]}
    told = {int(line) for line in output.split() if line.isdigit()}
    # The shell, the one in it, and cat and ls, whose numbers follow those of their parents.
    assert told < seen
    assert pid in told
    assert len(seen) == 4
    assert all(tid >= pid for tid in seen)


@both
def test_who_would_put_settings_back_is_not_seen(graph: Open) -> None:
    # It has just been started, and looks for its libraries; then it reads, in vain, until the end.
    session = graph("vfs_.*", tracked=1)
    session.call("attach")
    _, pid = session.run("cat /etc/passwd")
    assert {int(tid) for tid in session.records()["tid"]} == {pid}


def test_a_pid_that_somebody_left_behind_is_not_seen(
    graph: Open, setting: Callable[..., None], guest: Guest
) -> None:
    loop = "(while sleep 0.02; do read line </etc/passwd; done) >/dev/null 2>&1 & echo $!"
    other = guest.run("sh", "-c", loop).strip()
    try:
        setting("set_ftrace_pid", other)
        session = graph(tracked=1)
        session.call("attach")
        _, pid = session.run("cat /etc/passwd; sleep 0.5; true")
        seen = {int(tid) for tid in session.records()["tid"]}
    finally:
        guest.run("kill", other)
    assert pid in seen
    assert int(other) not in seen


def test_without_processes_named_every_thread_is_seen(graph: Open, guest: Guest) -> None:
    session = graph()
    session.call("attach")
    shell = guest.run("sh", "-c", "echo $$; cat /etc/hostname >/dev/null; true").split()[0]
    session.collect()
    assert int(shell) in session.records()["tid"]


def test_a_process_that_runs_already_can_be_tracked(graph: Open, guest: Guest) -> None:
    session = graph("ext4_llseek", tracked=1)
    session.call("attach")
    pid = ready(session, 1009)
    session.call("graph_track", pid=pid)
    guest.run("kill", "-USR1", str(pid))
    session.follow()
    records = session.records()
    assert np.count_nonzero(records["kind"] == ENTRY) == 1009
    assert np.count_nonzero(records["kind"] == RETURN) == 1009


def test_a_process_that_does_not_exist_is_refused(graph: Open) -> None:
    session = graph(tracked=1)
    session.call("attach")
    with pytest.raises(RemoteError, match="no process 4000000"):
        session.call("graph_track", pid=4_000_000)


def test_depth_limits_the_levels(graph: Open) -> None:
    session = graph(tracked=1, depth=2)
    session.call("attach")
    session.run("ls -l /etc")
    assert {depth for _, _, depth, _ in session.steps(session.records())} == {0, 1}


def test_roots_limit_to_what_is_below(graph: Open) -> None:
    everything = graph(tracked=1)
    everything.call("attach")
    everything.run("ls -l /etc")
    names = {name for _, name, _, _ in everything.steps(everything.records())}
    everything.call("close")
    assert "ext4_file_open" in names
    session = graph(tracked=1, roots="ext4_xattr_get\next4_file_getattr")
    session.call("attach")
    session.run("ls -l /etc")
    steps = session.steps(session.records())
    assert {name for _, name, depth, _ in steps if depth == 0} == {"ext4_xattr_get", "ext4_file_getattr"}
    assert {name for _, name, depth, _ in steps if depth == 1} == {"ext4_getattr", "ext4_xattr_ibody_get"}


def test_calls_nest_though_the_thread_changes_its_cpu(image_61: Image) -> None:
    with start_machine(image_61, cpus=2) as machine:
        connection = Connection(SocketStream(machine.connect()))
        connection.call("put", MOVE.encode(), path="/tmp/move.py")
        fact = {name: bytes(connection.call("fact", name=name).blob) for name in ("functions", "kallsyms")}
        own = Guest(cast(Target, SimpleNamespace(connection=connection)))
        put(own, "tracing_cpumask", "1")  # somebody traced one CPU alone
        session = Graph(connection, functions(fact.__getitem__, "ext4_.*"), tracked=1)
        session.call("attach")
        assert own.run("cat", f"{TRACING}/tracing_cpumask") == "3\n"
        _, pid = session.run("python3 -I -S /tmp/move.py")
        records = session.records()
        assert own.run("cat", f"{TRACING}/tracing_cpumask") == "1\n"
        connection.close()
    assert (np.diff(records["at"].astype(np.int64)) >= 0).all()
    assert np.count_nonzero(np.diff(records["cpu"].astype(np.int64))) >= 1008
    stack: list[str] = []
    for tid, name, depth, entry in session.steps(records):
        assert tid == pid
        if entry:
            assert depth == len(stack)
            stack.append(name)
        else:
            assert stack.pop() == name
            assert depth == len(stack)
    assert stack == []
    assert session.decoder.lost == 0


@both
def test_functions_that_ftrace_does_not_offer_are_told(graph: Open) -> None:
    session = graph("ext4_file_open", functions="ext4_file_open\nno_such_function\next4_file_open [nfs]")
    answer = session.call("attach")
    assert answer["graph"]["refused"] == ["no_such_function", "ext4_file_open [nfs]"]


# --- how fast, how much ------------------------------------------------------------------


def cpu_s(pid: int) -> float:
    """CPU time of a process of this machine, of all its threads: it does not depend on who else runs."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@both
def test_all_of_ext4_is_set_up_and_taken_away_within_two_seconds(lab: Target, graph: Open) -> None:
    assert isinstance(lab, LabTarget)
    session = graph()
    assert len(session.traced) > 600
    begin = cpu_s(lab.machine.pid)
    session.call("attach")
    attached = cpu_s(lab.machine.pid)
    session.call("detach")
    assert attached - begin < 2
    assert cpu_s(lab.machine.pid) - attached < 2


@both
def test_what_is_lost_is_counted_to_the_event(graph: Open, guest: Guest) -> None:
    count = 100_003
    session = graph("ext4_llseek", tracked=1, buffer_kb=64)
    session.call("attach")
    pid = ready(session, count)
    session.call("graph_track", pid=pid)
    guest.run("kill", "-USR1", str(pid))
    wait_until(lambda: ended(guest, pid), 30)
    session.follow()
    records = session.records()
    assert 0 < len(records) < 2 * count
    assert len(records) + session.decoder.lost == 2 * count
    assert session.decoder.gaps >= 1


def ready(session: Graph, count: int) -> int:
    """Start a process that seeks so often in a file of ext4 once it gets a signal."""
    session.connection.call("put", SEEK.encode(), path="/tmp/seek.py")
    pid = int(session.call("run", command=f"python3 -I -S /tmp/seek.py {count}")["pid"])
    wait_until(lambda: session.collect() == b"ready", 20)
    return pid


def ended(guest: Guest, pid: int) -> bool:
    """Whether a workload has ended; the agent has not reaped it yet."""
    return "zombie" in guest.run("sh", "-c", f"grep State: /proc/{pid}/status || true")


@both
def test_the_agent_does_not_chase_what_its_own_reading_makes(graph: Open) -> None:
    session = graph("vfs_.*")
    session.call("attach")
    for _ in range(10):
        session.collect(wait_ms=50)
    assert not any(head["more"] for head in session.heads)
    # Every collect reads some files; each page read is two events, where it was half a million.
    assert len(session.records()) < 20_000


# --- others who use ftrace -----------------------------------------------------------------


def test_another_tracer_is_not_disturbed(graph: Open, setting: Callable[..., None], guest: Guest) -> None:
    setting("set_ftrace_filter", "vfs_statx")
    setting("current_tracer", "function", "nop")
    before = settings(guest)
    with pytest.raises(RemoteError, match="tracer 'function' is in use") as caught:
        graph().call("attach")
    assert caught.value.code == "busy"
    assert settings(guest) == before


def test_another_session_of_ours_is_not_disturbed(graph: Open) -> None:
    first = graph()
    first.call("attach")
    with pytest.raises(RemoteError, match="tracer 'function_graph' is in use"):
        graph().call("attach")
    first.call("detach")
    graph().call("attach")


def test_events_that_others_trace_are_not_thrown_away(
    graph: Open, setting: Callable[..., None], guest: Guest
) -> None:
    setting("set_event", "sched:sched_switch")
    with pytest.raises(RemoteError, match="1 events are being traced, for example 'sched:sched_switch'"):
        graph().call("attach")


def test_somebody_who_reads_the_pipe_is_not_disturbed(graph: Open, guest: Guest) -> None:
    reader = guest.run("sh", "-c", f"sleep 60 <{TRACING}/trace_pipe >/dev/null 2>&1 & echo $!").strip()
    before = settings(guest)
    try:
        with pytest.raises(RemoteError, match="somebody reads the kernel's trace_pipe"):
            graph().call("attach")
        assert settings(guest) == before
    finally:
        guest.run("kill", reader)


@pytest.mark.parametrize("kernel", ["lab"])
def test_instances_leave_the_machine_s_own_tracer_alone(
    graph: Open, guest: Guest, setting: Callable[..., None]
) -> None:
    setting("set_ftrace_filter", "vfs_statx")
    setting("current_tracer", "function", "nop")
    before = settings(guest)
    first, second = graph("ext4_file_open", tracked=1), graph("ext4_llseek", tracked=1)
    first.call("attach")
    second.call("attach")
    during = settings(guest)
    assert {name for name, value in before.items() if during[name] != value} == set()
    assert during["instances"].count("ktrace_nb-") == 2
    first.run("cat /etc/passwd")
    assert {name for _, name, _, _ in first.steps(first.records())} == {"ext4_file_open"}


# --- nothing is left behind ------------------------------------------------------------------

UNUSUAL = {
    "set_ftrace_filter": "vfs_read vfs_write",
    "set_ftrace_notrace": "ext4_file_open",
    "set_graph_function": "vfs_fsync",
    "max_graph_depth": "7",
    "trace_clock": "global",
    "options/function-fork": "1",
    "options/overwrite": "0",
}


BACK = {
    "max_graph_depth": "0",
    "trace_clock": "local",
    "options/function-fork": "0",
    "options/overwrite": "1",
}


def test_settings_that_somebody_made_are_put_back(
    graph: Open, setting: Callable[..., None], guest: Guest
) -> None:
    for file, value in UNUSUAL.items():
        setting(file, value, BACK.get(file, ""))
    before = settings(guest)
    assert before["set_ftrace_filter"] == "vfs_read\nvfs_write\n"
    session = graph(tracked=1)
    session.call("attach")
    session.run("cat /etc/passwd")
    names = {name for _, name, depth, _ in session.steps(session.records()) if depth == 0}
    assert "ext4_file_open" in names
    assert settings(guest) == before


@both
def test_a_start_that_fails_leaves_nothing(graph: Open, guest: Guest) -> None:
    before = settings(guest)
    session = graph(attach=[AttachPoint("none", "raw_tracepoint", "no_such_event")])
    with pytest.raises(RemoteError):
        session.call("attach")
    wait_until(lambda: settings(guest) == before, 20)


@both
def test_the_tracer_goes_with_the_connection(lab: Target, guest: Guest) -> None:
    assert isinstance(lab, LabTarget)
    before = settings(guest)
    other = Connection(SocketStream(lab.machine.connect()))
    session = Graph(other, functions(lab.fact, "ext4_.*"), depth=3)
    session.call("attach")
    assert settings(guest) != before
    other.close()
    wait_until(lambda: settings(guest) == before, 5)


@both
def test_the_tracer_goes_with_an_agent_that_is_killed(lab: Target, guest: Guest, kernel: str) -> None:
    assert isinstance(lab, LabTarget)
    for file, value in UNUSUAL.items() if kernel != "lab" else ():
        put(guest, file, value)
    before = settings(guest)
    session = Graph(lab.connection, functions(lab.fact, "ext4_.*"), depth=3)
    session.call("attach")
    assert settings(guest) != before
    # The new agent takes its time to start, more than the tracer has to go.
    lab.connection.call("put", WATCH.format(pid=lab.hello.pid).encode(), path="/tmp/watch.sh")
    guest.run("sh", "-c", "sh /tmp/watch.sh >/tmp/gone 2>/dev/null </dev/null &")
    lab.connection.post("exec", argv=["sh", "-c", f"kill -9 {lab.hello.pid}"])
    wait_until(lambda: "the agent ended" in lab.machine.console(), 20)
    connection = Connection(SocketStream(lab.machine.connect(timeout_s=60)))
    anew = Guest(cast(Target, SimpleNamespace(connection=connection)))
    wait_until(lambda: settings(anew) == before, 20)
    killed_s, gone_s = map(float, anew.run("cat", "/tmp/gone").split())
    assert gone_s - killed_s < 5
    connection.close()
    lab.close()
