"""How sessions run, end and fail; what is left behind is nothing."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.errors import TargetError
from ktrace_nb.governor import Limits
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.targets import base
from ktrace_nb.targets.lab import LabTarget
from tests.kernel.trace.kit import PID, Guest, Trace

pytestmark = pytest.mark.kernel

READS = f"BPF_HASH(by_pid, u32);\nint kprobe__vfs_read(void *ctx) {{ by_pid.increment({PID}); return 0; }}"


def test_stop_leaves_nothing_attached_and_keeps_the_frames(trace: Trace, guest: Guest) -> None:
    before = guest.attached()
    session = trace(READS, wait=False)
    assert any("vfs_read" in line for line in guest.attached())
    time.sleep(0.5)
    session.stop()
    assert guest.attached() == before
    assert (session.state, session.message) == ("done", "stopped")
    assert session.by_pid["value"].sum() > 0
    assert session.probes["hits"].iloc[0] > 0


def test_a_session_ends_when_its_time_is_up(trace: Trace) -> None:
    session = trace(READS, seconds=0.7)
    assert 0.7 <= session.elapsed < 1.5
    assert session.message == "time is up (0.7 s)"


def test_who_asked_is_told_of_the_end_before_those_who_wait(trace: Trace) -> None:
    told: list[str] = []
    session = trace(READS, seconds=0.3, wait=False)

    def slow() -> None:
        time.sleep(0.2)
        told.append(session.state)

    session.when_over(slow)
    assert session.wait(10)
    assert told == ["done"]
    session.when_over(lambda: told.append("late"))
    assert told == ["done", "late"]


def test_a_session_ends_with_its_command_and_tells_its_output(trace: Trace) -> None:
    session = trace(READS, command="echo out; echo err >&2; exit 3", seconds=30.0)
    assert session.workload_status == 3
    assert (session.stdout, session.stderr) == ("out\n", "err\n")
    assert "status 3" in session.message
    assert session.elapsed < 5


def test_a_command_that_outlives_its_session_is_ended(trace: Trace, guest: Guest) -> None:
    session = trace(READS, command="sh -c 'sleep 1234 & sleep 1234'", seconds=0.5)
    assert session.workload_status is None
    assert "sleep" not in guest.run("sh", "-c", "cat /proc/[0-9]*/comm")


def test_frames_grow_while_the_session_runs(trace: Trace) -> None:
    session = trace(
        READS,
        command="sh -c 'for i in 1 2 3 4 5; do cat /etc/passwd >/dev/null; sleep 0.3; done'",
        wait=False,
    )
    seen = set()
    while session.running:
        seen.add(int(session.by_pid["value"].sum()))
        time.sleep(0.05)
    assert len(seen) >= 4


def test_sessions_run_side_by_side(trace: Trace, guest: Guest) -> None:
    before = guest.attached()
    sessions = [trace(READS, name=f"s{i}", wait=False) for i in range(4)]
    time.sleep(0.5)
    for session in sessions:
        session.stop()
        assert session.by_pid["value"].sum() > 0
    assert guest.attached() == before


def test_a_second_look_at_a_frame_is_current_and_says_when(trace: Trace) -> None:
    session = trace(READS, wait=False)
    time.sleep(0.4)
    first = session.by_pid.attrs["ktrace"]["taken_at"]
    time.sleep(0.6)
    second = session.by_pid.attrs["ktrace"]["taken_at"]
    assert first < second
    session.stop()


def test_an_unknown_frame_is_an_attribute_error_with_near_names(trace: Trace) -> None:
    session = trace(READS, seconds=0.2)
    with pytest.raises(AttributeError, match="did you mean by_pid"):
        session.by_pit  # noqa: B018
    with pytest.raises(KeyError, match="no frame 'nothing'"):
        session["nothing"]
    assert "by_pid" in dir(session)


def test_a_table_named_like_a_part_of_the_session_is_an_item(trace: Trace) -> None:
    session = trace(READS.replace("by_pid", "events"), command="true")
    assert "note: every session has something named 'events'; the table is trace['events']" in session.notes
    assert len(session["events"])
    assert not [note for note in trace(READS, command="true").notes if "named" in note]


def test_a_silent_probe_is_said(trace: Trace) -> None:
    session = trace(
        "int kprobe__do_sys_openat2_nothing(void *ctx) { return 0; }".replace("_nothing", ""), seconds=0.2
    )
    hits = session.probes["hits"].iloc[0]
    assert any("never hit" in note for note in session.notes) == (hits == 0)


# --- failures: each on a lab of its own --------------------------------------------------


def running_on(target: LabTarget) -> Session:
    options = Options(name="doomed")
    program = engine.lower(Source(READS), options)
    built = engine.compile_for(target, program, options)
    session = Session("doomed", target, engine.facts_of(target), built, Limits())
    session.start()
    time.sleep(0.6)
    assert session.running
    return session


def assert_fails_within(session: Session, seconds: float, words: str) -> None:
    started = time.monotonic()
    assert session.wait(seconds + 10)
    assert time.monotonic() - started <= seconds
    assert session.state == "failed"
    assert words in session.message
    assert session.by_pid["value"].sum() > 0, "what was recorded is lost"


def test_a_panic_is_named(doomed: LabTarget) -> None:
    session = running_on(doomed)
    doomed.connection.post("exec", argv=["sh", "-c", "echo c > /proc/sysrq-trigger"])
    assert_fails_within(session, 2, "panic")


def test_a_killed_lab_is_named(doomed: LabTarget) -> None:
    session = running_on(doomed)
    os.kill(doomed.machine.pid, signal.SIGKILL)
    assert_fails_within(session, 2, "killed")


def test_a_killed_agent_is_named(doomed: LabTarget) -> None:
    session = running_on(doomed)
    doomed.connection.post("exec", argv=["sh", "-c", f"kill -9 {doomed.hello.pid}"])
    assert_fails_within(session, 2, "agent was killed")


def test_the_next_cell_boots_a_new_lab(trace: Trace) -> None:
    lab = base.get_target("lab")
    assert isinstance(lab, LabTarget)
    session = trace(READS, wait=False)
    os.kill(lab.machine.pid, signal.SIGKILL)
    assert session.wait(5)
    again = trace(READS, seconds=0.3)
    assert again.state == "done"
    assert base.get_target("lab") is not lab


def test_stop_on_a_lab_that_is_gone_says_so(doomed: LabTarget) -> None:
    session = running_on(doomed)
    os.kill(doomed.machine.pid, signal.SIGKILL)
    session.wait(5)
    session.stop()  # there is nothing to stop any more
    with pytest.raises(TargetError):
        doomed.connection.call("ping")


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4])
def test_an_interrupt_at_any_moment_of_the_start_leaves_nothing(guest: Guest, delay_s: float) -> None:
    before = guest.attached()
    # A text of its own each time, so that it is compiled.
    cell = READS + f"\n// {time.monotonic_ns()}"
    # A shell without job control starts what it runs with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # To this thread: the one that would be waiting in a notebook.
    timer = threading.Timer(delay_s, signal.pthread_kill, [threading.get_ident(), signal.SIGINT])
    session = None
    started = time.monotonic()
    try:
        timer.start()
        session = engine.start(Source(cell), Options(name="interrupted"))
        session.wait(10)
    except KeyboardInterrupt:
        pass
    assert time.monotonic() - started < delay_s + 1
    if session is not None:
        session.stop()
    end = time.monotonic() + 2
    while guest.attached() != before and time.monotonic() < end:
        time.sleep(0.05)
    assert guest.attached() == before
