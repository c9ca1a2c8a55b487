"""Pause and reset of scripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ktrace_nb.session import Session
from tests.kernel.trace.controls_kit import READS, both_kernels, stepper, until
from tests.kernel.trace.kit import Guest, Trace

pytestmark = pytest.mark.kernel

SCRIPT = """
global n = 7, sizes, by_size, asked, ticks, word = "first"
probe begin { printf("begun\\n"); ticks = 100 }
probe kernel.function("read_zero") { n++; sizes <<< $count; by_size[$count]++; printf("%d\\n", $count) }
probe kernel.function("read_zero").return { asked[@entry($count)]++ }
probe timer.ms(20) { ticks++; word = "later" }
"""
ENTRY, RETURN = 'kernel.function("read_zero")', 'kernel.function("read_zero").return'


kernel = both_kernels


def counts(session: Session) -> tuple[int, ...]:
    """What was counted of the reads, each way the script does."""
    kept = session.snapshot()
    return (
        int(kept.n["value"].iloc[0]) - 7,
        int(kept.sizes["count"].sum()),
        int(kept.by_size["value"].sum()),
        int(kept.asked["value"].sum()),
        len(kept["read_zero"]),
        kept.text.count("64\n"),
    )


def balanced(session: Session) -> None:
    for name in ("records", "read_zero"):
        row = session.ledger.loc[name]
        assert row["submitted"] == row["delivered"] + row["lost"]


def test_a_paused_script_sees_nothing_and_its_timers_wait(trace: Trace, read: Callable[[], None]) -> None:
    session = trace(SCRIPT, language="stap", wait=False)
    read()
    session.pause()
    assert counts(session) == (READS,) * 6
    ticks = session.ticks["value"].iloc[0]
    read()
    assert counts(session) == (READS,) * 6
    assert session.ticks["value"].iloc[0] == ticks
    # The function's probe, and that of its return where it is entered and where it is left.
    assert session.losses == {"while paused": 3 * READS}
    session.resume()
    read()
    until(lambda: session.snapshot().ticks["value"].iloc[0], lambda now: now != ticks)
    session.stop()
    assert counts(session) == (2 * READS,) * 6
    balanced(session)
    assert session.losses["while paused"] == 3 * READS


def test_a_script_that_is_reset_begins_with_its_first_values(trace: Trace, read: Callable[[], None]) -> None:
    session = trace(SCRIPT, language="stap", wait=False)
    read()
    assert counts(session) == (READS,) * 6
    assert session.text.startswith("begun\n") and session.ticks["value"].iloc[0] >= 100
    session.pause()
    session.reset()
    assert counts(session) == (0,) * 6
    assert session.text == "" and session.ticks["value"].iloc[0] == 0
    assert session.word["value"].iloc[0] == "first"
    assert session.losses == {} and session.ledger["submitted"].sum() == 0
    session.resume()
    read()
    session.stop()
    assert counts(session) == (READS,) * 6
    assert "begun" not in session.text
    balanced(session)
    assert session.losses == {}


def test_a_probe_of_a_return_and_what_it_reads_at_the_entry_are_switched_together(
    trace: Trace, read: Callable[[], None]
) -> None:
    session = trace(SCRIPT, language="stap", wait=False)
    session.switch(RETURN, False)
    assert session.probes["on"].to_dict() == {ENTRY: True, RETURN: False, f"{RETURN} (entry)": False}
    read()
    assert counts(session) == (READS, READS, READS, 0, READS, READS)
    session.switch(f"{RETURN} (entry)", True)
    assert session.probes["on"].all()
    read()
    session.stop()
    assert counts(session) == (2 * READS, 2 * READS, 2 * READS, READS, 2 * READS, 2 * READS)
    assert session.losses == {"while paused": 2 * READS}


WAITS = """
global calls
probe kernel.function("vfs_read").return {
  if (pid() == target()) calls[@entry(gettimeofday_us()) != 0]++
}
"""


def test_what_was_entered_before_a_pause_is_not_taken_for_a_later_call(trace: Trace, guest: Guest) -> None:
    with stepper(guest) as reader:
        session = trace(WAITS, language="stap", pid=reader.pid, wait=False)
        reader.step()  # entered before the session began: the kernel does not tell of its return
        reader.step()
        session.pause()
        assert session.snapshot().calls["value"].to_dict() == {1: 1}
        reader.step()  # entered before the pause
        session.resume()
        reader.step()  # entered in the pause
        assert session.snapshot().calls["value"].to_dict() == {0: 1, 1: 1}
        reader.step()
        session.stop()
    assert session.calls["value"].to_dict() == {0: 1, 1: 2}
