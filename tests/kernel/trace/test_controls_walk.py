"""Pause and reset of walks, by every means."""

from __future__ import annotations

from typing import Any

import pytest

from ktrace_nb.session import Session
from tests.kernel.trace.controls_kit import stepper
from tests.kernel.trace.graph_kit import SETTINGS
from tests.kernel.trace.kit import Guest, Trace

pytestmark = pytest.mark.kernel

MEANS = [
    ("lab", "kprobe_multi"),
    ("lab", "fentry"),
    ("lab:lab-6.1", "function_graph"),
    ("lab:lab-6.1", "kprobe"),
]
every_means = pytest.mark.parametrize(("kernel", "means"), MEANS)
FOCUS: list[dict[str, Any]] = [{}, {"depth": 1}, {"roots": ("vfs_read",)}]
FEW = "vfs_open,vfs_read,vfs_write,vfs_getattr_nosec,do_sys_openat2"
NO_RETURN, UNMATCHED = "call whose return was missed", "return whose entry was missed"
MISSED = "probe missed (nested or no slot)"
"""Calls of others that wait in vfs_read take all places that a kernel has for returns."""


def states(session: Session) -> list[str]:
    return session.snapshot().calls["state"].astype(str).tolist()


@every_means
@pytest.mark.parametrize("focus", FOCUS, ids=str)
def test_a_call_that_is_open_across_an_end_of_a_pause_is_no_pair(
    trace: Trace, guest: Guest, means: str, focus: dict[str, Any]
) -> None:
    with stepper(guest) as reader:
        session = trace("", calls=("vfs_read",), means=means, pid=reader.pid, wait=False, **focus)
        reader.step()  # entered before the session began: the kernel does not tell of its return
        reader.step()
        session.pause()
        assert states(session) == ["returned", "open"]
        reader.step()  # entered before the pause
        assert states(session) == ["returned", "open"]
        session.resume()
        assert states(session) == ["returned", "no return"]
        reader.step()  # entered in the pause
        reader.step()
        session.stop()
    assert states(session) == ["returned", "no return", "returned", "open"]
    losses = session.losses
    assert losses.pop("while paused", 0) == (0 if means == "function_graph" else 2)
    assert losses.pop(NO_RETURN) == 1
    losses.pop(MISSED, None)
    # Of calls entered in the pause programs see the return, and function_graph does not; those that
    # keep open calls themselves know that they do not know it.
    assert losses == ({UNMATCHED: 1} if not focus and means != "function_graph" else {})
    records = session.ledger.loc["records"] if means != "function_graph" else None
    assert records is None or records["submitted"] == records["delivered"] + records["lost"]


@every_means
@pytest.mark.parametrize("focus", FOCUS, ids=str)
def test_a_walk_that_is_reset_has_no_call_of_before(
    trace: Trace, guest: Guest, means: str, focus: dict[str, Any]
) -> None:
    with stepper(guest) as reader:
        session = trace("", calls=("vfs_read",), means=means, pid=reader.pid, wait=False, **focus)
        for _ in range(3):
            reader.step()
        assert states(session) == ["returned", "returned", "open"]
        old = session.snapshots[-1]
        session.reset()
        assert states(session) == [] and session.losses == {} and session.text == ""
        assert session.functions.empty and session.edges.empty
        reader.step()  # entered before the reset
        assert states(session) == ["open"]
        reader.step()
        session.stop()
    assert states(session) == ["returned", "open"]
    assert session.losses.keys() <= {UNMATCHED, MISSED}
    assert session.ledger["submitted"]["calls"] == session.ledger["delivered"]["calls"] == 2
    assert session.calls["tid"].unique().tolist() == [reader.pid]
    assert session.calls["comm"].astype(str).unique().tolist() == ["dd"]
    assert old.calls["state"].astype(str).tolist() == ["returned", "returned", "open"]
    assert session.calls["start_ns"].min() > old.calls["start_ns"].max()


@pytest.mark.parametrize(("kernel", "means"), [("lab:lab-6.1", "function_graph"), ("lab", "function_graph")])
@pytest.mark.parametrize("options", [{}, {"roots": ("vfs_read",)}, {"everyone": True}], ids=str)
def test_ftrace_is_left_as_it_was_found_also_by_a_session_that_ends_paused(
    trace: Trace, guest: Guest, means: str, options: dict[str, Any]
) -> None:
    before = {name: setting(guest, name) for name in SETTINGS}
    command = "while :; do cat /etc/hostname; sleep 0.01; done"
    session = trace("", calls=("vfs_*",), means=means, command=command, wait=False, **options)
    for _ in range(3):
        session.pause()
        calls = len(session.snapshot().calls)
        assert len(session.snapshot().calls) == calls
        session.resume()
        while len(session.snapshot().calls) == calls:
            pass
    session.pause()
    session.stop()
    assert {name: setting(guest, name) for name in SETTINGS} == before


def setting(guest: Guest, name: str) -> str:
    return guest.run("cat", f"/sys/kernel/tracing/{name}")


@pytest.mark.parametrize(("kernel", "means"), MEANS)
def test_a_walk_under_load_keeps_its_balance_through_resets(trace: Trace, means: str) -> None:
    command = "while :; do cat /etc/hostname | wc -c; done"
    session = trace("", calls=(FEW,), means=means, command=command, wait=False, text="none")
    for _ in range(10):
        session.reset()
        session.pause()
        found = session.snapshot().calls
        assert (found["start_ns"] <= session.counted_ns).all()
        assert found["duration_ns"].dropna().ge(0).all()
        session.resume()
    session.stop()
    rows = session.ledger
    assert rows.loc["calls", "delivered"] == len(session.calls) > 0
    if means != "function_graph":
        assert rows.loc["records", "submitted"] == rows.loc["records", ["delivered", "lost"]].sum()
    # Every call that says it returned lies inside the one it was made from.
    found = session.calls
    inner = found[(found["parent"] >= 0) & found["duration_ns"].notna()]
    outer = found.loc[inner["parent"]]
    ends = (inner["start_ns"] + inner["duration_ns"]).to_numpy()
    known = outer["duration_ns"].notna().to_numpy()
    assert (ends[known] <= (outer["start_ns"] + outer["duration_ns"]).to_numpy()[known]).all()
