"""What can be asked of a session that has no target: what it keeps, and what others offer."""

from __future__ import annotations

import threading

import pytest

from ktrace_nb.controls import SNAPSHOTS
from ktrace_nb.errors import OptionError
from ktrace_nb.session import Session
from tests.magics.session_kit import collect, steps, traced


def noted(session: Session, action: str, argument: str = "") -> str:
    """Ask for an action of others and wait for what it says."""
    session.notice = ""
    session.request(action, argument)
    for thread in threading.enumerate():
        if thread.name == f"ktrace_nb {session.name} {action}":
            thread.join()
    return session.notice


def test_a_snapshot_stays_as_it_is_when_the_session_goes_on() -> None:
    session = traced()
    collect(session, 1.0, bytes={7: 100}, spans={5: steps((0.5, 1, 7, 2))})
    first = session.snapshot()
    assert session.snapshots == [first] and session.notice == "snapshot 1"
    collect(session, 2.0, bytes={7: 300, 9: 1}, spans={5: steps((1.5, 1, 2, 1))})
    second = session.snapshot()
    session.outputs.forget()
    assert first.bytes["value"].to_dict() == {7: 100}
    assert second.bytes["value"].to_dict() == {7: 300, 9: 1}
    assert (len(first.steps), len(second.steps), len(session.steps)) == (1, 2, 0)
    assert first.ledger.loc["steps", "delivered"] == 1
    assert first.steps["newstate"].tolist() == [2]
    assert (first.number, second.number) == (1, 2)


def test_so_many_snapshots_are_kept_and_what_goes_is_said() -> None:
    session = traced()
    for _ in range(SNAPSHOTS):
        session.snapshot()
    assert session.notice == f"snapshot {SNAPSHOTS}"
    session.snapshot()
    assert session.notice == f"snapshot {SNAPSHOTS + 1}; snapshot 1 had to go: {SNAPSHOTS} are kept"
    assert [kept.number for kept in session.snapshots] == list(range(2, SNAPSHOTS + 2))


def test_what_others_offer_is_called_and_what_came_of_it_noted() -> None:
    session = traced()
    assert session.possible == {"snapshot"}

    def export(form: str) -> str:
        if form != "csv":
            raise OptionError(f"no form {form!r}")
        return "exported trace.csv"

    session.actions["export"] = export
    assert session.possible == {"snapshot", "export"}
    assert noted(session, "export", "csv") == "exported trace.csv"
    assert noted(session, "export", "odd") == "no form 'odd'"
    session.actions["export"] = lambda form: str(1 // 0)
    assert noted(session, "export") == "ZeroDivisionError: integer division or modulo by zero"
    assert noted(session, "snapshot") == "snapshot 1"


def test_what_nobody_offers_and_what_cannot_be_switched_is_named() -> None:
    session = traced()
    session.request("stopp")
    assert session.notice.startswith("nothing can be asked for as 'stopp'; there are pause, resume,")
    session.request("off", "kprobe__g")
    assert session.notice.startswith("session 'trace' has no probe 'kprobe__g' that can be switched")
    with pytest.raises(KeyError, match="has no probe 'kprobe__g'"):
        session.switch("kprobe__g", False)


def test_probes_say_that_they_are_on() -> None:
    assert traced().probes["on"].tolist() == [True]
