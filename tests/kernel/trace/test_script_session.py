"""Scripts in the lab's kernel: how they begin and end, and that nothing is lost in between."""

from __future__ import annotations

import functools
import time

import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.source import Source
from tests.kernel.trace.kit import WRITES, Guest, Trace

pytestmark = pytest.mark.kernel

ONE_READ = "dd if=/dev/zero of=/dev/null bs=64 count=1"
MANY = 50021


@pytest.fixture
def script(trace: Trace) -> Trace:
    """Run a script in SystemTap's language to its end."""
    return functools.partial(trace, language="stap")


def test_events_of_a_command_are_counted_from_its_first_to_its_last(script: Trace) -> None:
    session = script(
        """
        global writes, starts
        probe kernel.trace("sched_process_exec") { if (pid() == target()) starts[execname()]++ }
        probe kernel.function("vfs_write") { if (pid() == target() && $count == 64) writes++ }
        """,
        command=WRITES,
    )
    assert session.starts["value"].to_dict() == {"dd": 1}
    assert session.writes["value"].tolist() == [1009]
    assert session.message == "the command ended with status 0"


def test_exit_runs_end_once_and_leaves_nothing_attached(script: Trace, guest: Guest) -> None:
    before = guest.attached()
    session = script(
        'probe kernel.function("vfs_read") { next }\n'
        "probe timer.ms(300) { exit() }\n"
        'probe end { println("the end") }'
    )
    assert session.message == "exit() at cell:2"
    assert session.text == "the end\n"
    assert guest.attached() == before


def test_exit_in_begin_attaches_nothing(script: Trace) -> None:
    session = script(
        """
        global reads
        probe begin { println("begin"); exit() }
        probe kernel.function("vfs_read") { reads++ }
        probe end { println("end") }
        """,
        command=ONE_READ,
    )
    assert session.text == "begin\nend\n"
    assert session.reads["value"].tolist() == [0]
    assert session.workload_status is None


def test_an_event_can_end_a_script(script: Trace) -> None:
    session = script(
        """
        global writes
        probe kernel.function("vfs_write") {
            if (pid() == target() && $count == 64) { if (++writes == 7) exit() }
        }
        probe end { println(writes) }
        """,
        command=WRITES,
    )
    assert session.message == "exit() at cell:4"
    assert session.text == "7\n"


def test_stop_runs_end(script: Trace) -> None:
    session = script('probe begin { println("begin") } probe end { println("end") }', wait=False)
    time.sleep(0.2)
    session.stop()
    assert (session.state, session.text) == ("done", "begin\nend\n")


def test_an_error_runs_error_probes_and_keeps_what_was_recorded(lab: object, guest: Guest) -> None:
    before = guest.attached()
    cell = """
        global writes
        probe kernel.function("vfs_write") { if (pid() == target()) writes++ }
        probe timer.ms(200) { println(1 / (writes - writes)) }
        probe end { println("end") }
        probe error { println("error") }
        """
    options = Options(target="lab", language="stap", command=WRITES + "000")
    session = engine.start(Source(cell), options)
    assert session.wait(60)
    assert (session.state, session.text) == ("failed", "error\n")
    assert session.message.startswith("error: division by 0 near")
    assert " at cell:4:" in session.message
    assert session.writes["value"].sum() > 0
    assert any("division by 0" in note for note in session.notes)
    assert guest.attached() == before


def test_timers_keep_their_periods(script: Trace) -> None:
    session = script("global ticks probe timer.ms(100) { ticks++ }", seconds=2.05)
    assert 18 <= session.ticks["value"].iloc[0] <= 20


def test_an_array_is_deleted_again_and_again_while_it_is_added_to(script: Trace) -> None:
    """The sum over all intervals is what was counted, and what the workload did."""
    session = script(
        """
        global count, bytes, all, sum, number, intervals
        probe kernel.function("vfs_write") {
            if (pid() == target() && $count == 64) { all++; count[cpu()]++; bytes[tid()] <<< $count }
        }
        function collect() {
            foreach (c in count) sum += count[c]
            foreach (t in bytes) number += @count(bytes[t])
            delete count
            delete bytes
        }
        probe timer.ms(10) { intervals++; collect() }
        probe end { collect(); printf("%d %d %d\\n", sum, number, intervals) }
        """,
        command=f"dd if=/dev/zero of=/dev/null bs=64 count={MANY}",
    )
    total, number, intervals = map(int, session.text.split())
    assert session["all"]["value"].tolist() == [MANY]
    assert (total, number) == (MANY, MANY)
    assert intervals > 5


def test_every_printed_row_arrives_or_is_counted_as_lost(script: Trace) -> None:
    session = script(
        """
        probe kernel.function("vfs_write") {
            if (pid() == target() && $count == 64) printf("%s %d\\n", execname(), $count)
        }
        """,
        command=WRITES,
    )
    row = session.ledger.loc["records"]
    assert (row["submitted"], row["delivered"], row["lost"]) == (1009, 1009, 0)
    assert session.text == "dd 64\n" * 1009
    assert len(session.events()) == 1009
