"""Pause, resume, reset, single probes and snapshots, with counts that are known from outside."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.errors import OptionError, TargetError
from ktrace_nb.governor import Limits
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.targets.lab import LabTarget
from tests.kernel.trace.controls_kit import READS, both_kernels, until
from tests.kernel.trace.kit import ONLY_DD, Guest, Trace

pytestmark = pytest.mark.kernel

CELL = """
struct event { u64 at; u32 pid; };
BPF_RINGBUF_OUTPUT(sent, 256);
BPF_HASH(by_pid, u32, u64);
BPF_ARRAY(counted, u64, 1);
BPF_PERCPU_ARRAY(per_cpu, u64, 1);
BPF_HISTOGRAM(sizes);
int kprobe__read_zero(struct pt_regs *ctx, void *f, void *b, size_t size) {
    struct event e = {};
    u32 pid = bpf_get_current_pid_tgid() >> 32;
    int zero = 0;
    e.at = bpf_ktime_get_ns();
    e.pid = pid;
    sent.ringbuf_output(&e, sizeof(e), 0);
    by_pid.increment(pid);
    counted.atomic_increment(zero);
    per_cpu.atomic_increment(zero);
    sizes.increment(bpf_log2l(size));
    return 0;
}
"""
NAME = "kprobe__read_zero"


kernel = both_kernels


def settled(session: Session) -> dict[str, int]:
    """All counts of the cell, after what was sent has come; every one must say the same."""
    session.snapshot()
    counts = {
        "hits": session.outputs.programs[NAME].hits,
        "events": len(session.sent),
        "delivered": int(session.ledger["delivered"]["sent"]),
        "submitted": int(session.ledger["submitted"]["sent"]),
        "by_pid": int(session.by_pid["value"].sum()),
        "counted": int(session.counted["value"].iloc[0]),
        "per_cpu": int(session.per_cpu["value"].iloc[0]),
        "sizes": int(session.sizes["count"].sum()),
    }
    assert set(counts.values()) == {counts["hits"]}, counts
    return counts


def test_what_happens_in_a_pause_is_counted_as_that_and_nothing_else(
    trace: Trace, read: Callable[[], None]
) -> None:
    session = trace(CELL, wait=False)
    read()
    session.pause()
    assert (session.paused, session.remark, session.notice) == (True, "paused", "paused")
    assert settled(session)["hits"] == READS
    read()
    assert settled(session)["hits"] == READS
    assert session.losses == {"while paused": READS}
    session.resume()
    assert (session.paused, session.notice) == (False, "resumed")
    read()
    session.stop()
    assert settled(session)["hits"] == 2 * READS
    assert session.losses == {"while paused": READS}
    assert 0 < session.paused_s < session.elapsed


def test_pausing_twice_and_resuming_twice_is_no_more_than_once(
    trace: Trace, read: Callable[[], None]
) -> None:
    session = trace(CELL, wait=False)
    session.pause()
    session.pause()
    read()
    session.resume()
    session.resume()
    assert session.notice == "not paused"
    read()
    session.stop()
    assert settled(session)["hits"] == READS
    assert session.losses == {"while paused": READS}


def test_a_session_that_is_stopped_while_paused_ends_as_any_other(
    trace: Trace, read: Callable[[], None], guest: Guest
) -> None:
    before = guest.attached()
    session = trace(CELL, wait=False)
    read()
    session.pause()
    session.stop()
    assert (session.state, session.message, session.paused) == ("done", "stopped", False)
    assert settled(session)["hits"] == READS
    assert guest.attached() == before
    for ask in (session.pause, session.resume, session.reset, lambda: session.switch(NAME, False)):
        with pytest.raises(OptionError, match="is over: stopped") as caught:
            ask()
        assert "run the cell again" in str(caught.value.hint)
    session.request("reset")
    assert "is over: stopped" in session.notice


def test_after_a_reset_everything_is_counted_from_zero(trace: Trace, read: Callable[[], None]) -> None:
    session = trace(CELL, wait=False)
    read()
    assert settled(session)["hits"] == READS
    assert "reset_at" not in session.sent.attrs["ktrace"]
    old = session.snapshots[-1]
    session.reset()
    assert session.notice.startswith("reset at ")
    assert settled(session)["hits"] == 0
    assert session.losses == {}
    assert session.by_pid.empty and session.sizes.empty and len(session.counted) == 1
    assert session.reset_at is not None
    assert session.sent.attrs["ktrace"]["reset_at"] == session.reset_at.isoformat()
    read()
    assert settled(session)["hits"] == READS
    assert session.sent["at"].min() > old.sent["at"].max()
    assert len(old.sent) == old["by_pid"]["value"].sum() == READS
    session.stop()
    assert session.probes.loc[NAME, "hits"] == READS


def test_a_reset_in_a_pause_leaves_it_paused(trace: Trace, read: Callable[[], None]) -> None:
    session = trace(CELL, wait=False)
    read()
    session.pause()
    read()
    session.reset()
    assert session.paused and session.losses == {}
    read()
    assert settled(session)["hits"] == 0
    assert session.losses == {"while paused": READS}
    session.resume()
    read()
    session.stop()
    assert settled(session)["hits"] == READS


TWO = """
BPF_ARRAY(first, u64, 1);
BPF_ARRAY(second, u64, 1);
int kprobe__read_zero(void *ctx) { int zero = 0; first.atomic_increment(zero); return 0; }
int kprobe__write_null(void *ctx) { int zero = 0; second.atomic_increment(zero); return 0; }
"""


def test_one_probe_is_switched_off_and_on_and_the_other_goes_on(
    trace: Trace, read: Callable[[], None]
) -> None:
    session = trace(TWO, wait=False)
    read()
    session.switch(NAME, False)
    assert session.notice == f"{NAME} is off" and session.remark == f"off: {NAME}"
    assert session.probes["on"].to_dict() == {NAME: False, "kprobe__write_null": True}
    before = session.snapshot()
    read()
    session.pause()
    session.resume()
    read()
    after = session.snapshot()
    assert before.first["value"][0] == after.first["value"][0] == READS
    assert after.second["value"][0] - before.second["value"][0] >= 2 * READS
    assert session.losses["while paused"] >= 2 * READS
    session.switch(NAME, True)
    read()
    session.stop()
    assert session.first["value"][0] == 2 * READS
    assert session.probes["on"].all() and session.remark == ""
    with pytest.raises(KeyError, match="did you mean kprobe__read_zero"):
        session.switch("kprobe__read_zeros", True)


FLOOD = (
    ONLY_DD
    + """
struct event { u64 at; u64 size; };
BPF_RINGBUF_OUTPUT(sent, 8);
BPF_ARRAY(tried, u64, 1);
int kprobe__read_zero(struct pt_regs *ctx) {
    struct event *e;
    int zero = 0;
    tried.atomic_increment(zero);
    e = sent.ringbuf_reserve(sizeof(*e));
    if (!e) return 0;
    e->at = bpf_ktime_get_ns();
    e->size = 64;
    sent.ringbuf_submit(e, 0);
    return 0;
}
"""
)
ALWAYS = "while :; do dd if=/dev/zero of=/dev/null bs=64 count=30011; done & while :; do " + (
    "dd if=/dev/zero of=/dev/null bs=64 count=30011; done"
)


def balanced(session: Session) -> int:
    """How many were tried, after checking that the ledger adds up to that."""
    row = session.ledger.loc["sent"]
    tried = int(session.tried["value"].iloc[0])
    assert row["submitted"] == tried == row["delivered"] + row["lost"], row.to_dict()
    assert row["delivered"] == len(session.sent)
    assert session.probes.loc[NAME, "hits"] == tried
    return tried


def tried_so_far(session: Session) -> int:
    return int(session.snapshot().tried["value"].iloc[0])


def missed_in_pauses(session: Session) -> int:
    session.snapshot()
    return session.losses.get("while paused", 0)


def nothing_comes_in_a_pause(session: Session) -> None:
    """Pause it for a thousand events, and resume it."""
    session.pause()
    tried = balanced(session)
    at_ns = session.counted_ns
    lost = session.losses.get("while paused", 0)
    until(lambda: missed_in_pauses(session), lambda missed: missed >= lost + 1000)
    assert balanced(session) == tried
    assert session.sent["at"].max() <= at_ns
    session.resume()
    until(lambda: tried_so_far(session), lambda now: now != tried)


def test_a_reset_under_a_flood_keeps_the_balance_fifty_times(trace: Trace) -> None:
    session = trace(FLOOD, command=ALWAYS, wait=False)
    seen = 0
    for _ in range(50):
        session.reset()
        session.pause()
        seen += balanced(session) > 0
        assert session.losses.get("while paused", 0) >= 0
        session.resume()
    session.stop()
    assert balanced(session) > 0
    assert seen  # how often anything came between a reset and the pause is up to the machine


def test_in_a_pause_under_a_flood_no_record_comes_that_is_later(trace: Trace) -> None:
    session = trace(FLOOD, command=ALWAYS, wait=False)
    until(lambda: len(session.snapshot().sent), bool)
    for _ in range(5):
        nothing_comes_in_a_pause(session)
    session.stop()
    balanced(session)


@pytest.mark.parametrize("limits", [{"max_rate": 1000.0}, {"max_cpu": 0.02}])
def test_the_controls_work_under_limits(trace: Trace, limits: dict[str, float]) -> None:
    session = trace(FLOOD, command=ALWAYS, wait=False, **limits)
    for _ in range(5):
        session.pause()
        balanced(session)
        session.reset()
        assert balanced(session) == 0
        session.resume()
        until(lambda: tried_so_far(session), bool)
    session.stop()
    balanced(session)


def test_what_a_click_asks_for_is_done_soon_and_noted(trace: Trace, read: Callable[[], None]) -> None:
    session = trace(CELL, wait=False)
    assert session.possible == {"pause", "reset", "on", "off", "snapshot"}
    session.request("pause")
    until(lambda: session.notice, lambda notice: notice == "paused")
    assert session.paused
    assert session.possible == {"resume", "reset", "on", "off", "snapshot"}
    read()
    session.request("off", NAME)
    session.request("resume")
    until(lambda: session.notice, lambda notice: notice == "resumed")
    read()
    session.request("on", NAME)
    session.request("snapshot")
    until(lambda: session.notice, lambda notice: notice == "snapshot 1")
    read()
    session.stop()
    assert settled(session)["hits"] == READS
    assert session.losses == {"while paused": 2 * READS}
    assert session.possible == {"snapshot"}


def test_an_agent_that_is_killed_in_a_pause_ends_the_session_with_that(doomed: LabTarget) -> None:
    options = Options(name="doomed")
    built = engine.compile_for(doomed, engine.lower(Source(CELL), options), options)
    session = Session("doomed", doomed, engine.facts_of(doomed), built, Limits())
    session.start()
    session.pause()
    doomed.connection.post("exec", argv=["sh", "-c", f"kill -9 {doomed.hello.pid}"])
    with pytest.raises((TargetError, OptionError), match="agent was killed"):
        until(session.reset, lambda _: False)
    assert session.wait(20)
    assert session.state == "failed" and "agent was killed" in session.message
    assert not session.paused
    with pytest.raises(OptionError, match=r"is over: .*agent was killed"):
        session.resume()
    assert session.snapshot().sent.empty


MACRO = """
#define NOTHING(name) int kprobe__##name(void *ctx) { return 0; }
NOTHING(read_zero)
int kprobe__write_null(void *ctx) { return 0; }
"""


@pytest.mark.parametrize("kernel", ["lab"])
def test_a_program_out_of_a_macro_cannot_be_paused_and_that_is_said(trace: Trace, kernel: str) -> None:
    session = trace(MACRO, wait=False)
    with pytest.raises(OptionError, match=r"kprobe__read_zero cannot be held: .* macro") as caught:
        session.pause()
    assert "write the function out" in str(caught.value.hint)
    assert session.running and not session.paused
    session.switch("kprobe__write_null", False)
    session.stop()
