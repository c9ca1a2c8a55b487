"""The command a session runs, run for real."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ktrace_nb.agent.errors import AgentError
from ktrace_nb.agent.workload import KEEP, Workload, command_line


@pytest.fixture
def changed() -> threading.Event:
    return threading.Event()


@pytest.fixture
def started() -> Iterator[list[Workload]]:
    running: list[Workload] = []
    yield running
    for workload in running:
        workload.close()


def finish(workload: Workload) -> int:
    for _ in range(1000):
        if workload.status is not None:
            return workload.status
        time.sleep(0.01)
    raise AssertionError("the command did not end")


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ("ls -lR '/usr lib'", ["ls", "-lR", "/usr lib"]),
        ("dd if=/dev/zero of=/dev/null", ["dd", "if=/dev/zero", "of=/dev/null"]),
        ("LANG=C ls", ["/bin/sh", "-c", "LANG=C ls"]),
        ("ls | wc", ["/bin/sh", "-c", "ls | wc"]),
        ("python3 -c 'print(1); print(2)'", ["python3", "-c", "print(1); print(2)"]),
        ("echo \"$HOME\" 'a|b'", ["/bin/sh", "-c", "echo \"$HOME\" 'a|b'"]),
        ("", ["/bin/sh", "-c", ""]),
    ],
)
def test_the_shell_runs_only_what_is_written_in_its_syntax(command: str, argv: list[str]) -> None:
    assert command_line(command) == argv


@pytest.mark.parametrize(("command", "status"), [("true", 0), ("exit 7; #", 7), ("kill -9 $$", -9)])
def test_how_it_ended_is_told(
    started: list[Workload], changed: threading.Event, command: str, status: int
) -> None:
    started.append(Workload(command, changed.set))
    assert finish(started[0]) == status
    assert changed.is_set()


def test_both_outputs_are_kept_apart(started: list[Workload], changed: threading.Event) -> None:
    started.append(Workload("echo out; echo err >&2", changed.set))
    finish(started[0])
    assert started[0].take_output() == (b"out\n", b"err\n", 0)
    assert started[0].take_output() == (b"", b"", 0)


def test_output_beyond_the_limit_is_counted(started: list[Workload], changed: threading.Event) -> None:
    started.append(Workload(f"head -c {KEEP + 1009} /dev/zero", changed.set))
    finish(started[0])
    out, _, dropped = started[0].take_output()
    assert (len(out), dropped) == (KEEP, 1009)


def test_closing_takes_its_children_along(started: list[Workload], changed: threading.Event) -> None:
    workload = Workload("sleep 1000 & echo $!; wait", changed.set)
    changed.wait(10)
    child = int(workload.take_output()[0])
    workload.close()
    for _ in range(500):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        state = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0]
        if state == "Z":  # dead, and not yet reaped by whoever does that here
            return
        time.sleep(0.01)
    raise AssertionError("the child lives on")


def test_a_command_that_does_not_exist_is_named(changed: threading.Event) -> None:
    with pytest.raises(AgentError, match="cannot run 'nonesuch --now'"):
        Workload("nonesuch --now", changed.set)


def test_a_held_command_has_its_number_before_it_does_anything(
    started: list[Workload], changed: threading.Event, tmp_path: Path
) -> None:
    trace = tmp_path / "ran"
    workload = Workload(f"echo $$ > {trace}; cat", changed.set, held=True)
    started.append(workload)
    time.sleep(0.1)
    assert not trace.exists()
    assert workload.status is None
    workload.go()
    assert finish(workload) == 0  # its standard input is empty, not the one it was held by
    assert int(trace.read_text()) == workload.pid


def test_a_held_command_that_does_not_exist_is_named(changed: threading.Event) -> None:
    with pytest.raises(AgentError, match=r"cannot run 'nonesuch --now': .*No such file"):
        Workload("nonesuch --now", changed.set, held=True)


def test_a_held_command_can_be_given_up(started: list[Workload], changed: threading.Event) -> None:
    workload = Workload("true", changed.set, held=True)
    workload.close()
    workload.go()  # it cannot be told any more, and that is no error
    assert workload.take_output() == (b"", b"", 0)


def test_who_is_held_has_come_to_where_it_waits(started: list[Workload], changed: threading.Event) -> None:
    for _ in range(5):
        started.append(Workload("true", changed.set, held=True))
        switches = switches_of(started[-1].pid)
        time.sleep(0.05)
        # Whoever does something in between must be switched to.
        assert switches_of(started[-1].pid) == switches
        started[-1].go()
        assert finish(started[-1]) == 0


def switches_of(pid: int) -> list[str]:
    return [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "ctxt_switches" in line]
