"""Whatever is lost is counted, at its place and to the last one."""

from __future__ import annotations

import time

import pytest

from ktrace_nb.session import Session
from tests.kernel.trace.kit import KERNELS, ONLY_DD, Trace

pytestmark = pytest.mark.kernel

FLOOD = (
    ONLY_DD
    + """
struct event { u64 at; u64 size; char comm[16]; };
BPF_RINGBUF_OUTPUT(sent, PAGES);
BPF_ARRAY(tried, u64, 1);
int kprobe__vfs_write(struct pt_regs *ctx, void *f, void *b, size_t size) {
    struct event *e;
    int zero = 0;
    if (!is_dd() || size != 64) return 0;
    tried.atomic_increment(zero);
    e = sent.ringbuf_reserve(sizeof(*e));
    if (!e) return 0;
    e->at = bpf_ktime_get_ns();
    e->size = size;
    bpf_get_current_comm(&e->comm, sizeof(e->comm));
    if (DISCARD) sent.ringbuf_discard(e, 0); else sent.ringbuf_submit(e, 0);
    return 0;
}
"""
)
ONE = "dd if=/dev/zero of=/dev/null bs=64 count=30011"
TWO = f"{ONE} & {ONE} & wait"


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    """Both kernels."""
    return str(request.param)


def flood(pages: int = 1, discard: str = "0") -> str:
    return FLOOD.replace("PAGES", str(pages)).replace("DISCARD", discard)


def row_of(session: Session, name: str) -> dict[str, int]:
    """The counts of one line of the ledger."""
    return {
        str(column): int(count)
        for column, count in session.ledger.drop(columns="kind").loc[name].to_dict().items()
    }


def balanced(session: Session, tried: int, discarded: int = 0) -> dict[str, int]:
    """The ledger's row of the stream, after checking that it adds up to what was tried."""
    row = row_of(session, "sent")
    assert session.tried["value"].iloc[0] == tried
    assert row["submitted"] + row["discarded"] == tried
    assert row["discarded"] == discarded
    assert row["submitted"] == row["delivered"] + row["lost"]
    assert row["delivered"] == len(session.sent)
    assert (session.sent["size"] == 64).all()
    return row


@pytest.mark.parametrize(("command", "tried"), [(ONE, 30011), (TWO, 60022)])
def test_a_flood_balances_from_one_cpu_and_from_two(trace: Trace, command: str, tried: int) -> None:
    row = balanced(trace(flood(), command=command), tried)
    assert row["lost"] == row["ring_full"] > 0


def test_a_ring_that_is_large_enough_loses_nothing(trace: Trace) -> None:
    row = balanced(trace(flood(pages=1024), command=TWO), 60022)
    assert row["lost"] == 0


def test_what_the_program_gave_up_was_not_sent(trace: Trace) -> None:
    session = trace(flood(1024, "bpf_get_prandom_u32() & 1"), command=ONE)
    discarded = row_of(session, "sent")["discarded"]
    assert 10_000 < discarded < 20_000
    balanced(session, 30011, discarded)


def test_a_slow_notebook_costs_events_and_not_the_balance(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest = Session._ask

    def slow(session: Session, with_maps: bool, wait_s: float) -> bool:
        time.sleep(0.3)
        return ingest(session, with_maps, wait_s)

    monkeypatch.setattr(Session, "_ask", slow)
    row = balanced(trace(flood(pages=16), command=ONE), 30011)
    assert row["ring_full"] > 0


def test_stopped_in_the_middle_it_balances(trace: Trace) -> None:
    session = trace(flood(pages=4), command=f"while :; do {ONE}; done", wait=False)
    time.sleep(1.0)
    started = time.monotonic()
    session.stop()
    assert time.monotonic() - started < 1.0
    balanced(session, int(session.tried["value"].iloc[0]))


def test_an_agent_that_was_held_up_loses_nothing_uncounted(trace: Trace) -> None:
    # The command's parent is the agent.
    command = f"(sleep 0.3; kill -STOP $PPID; sleep 1; kill -CONT $PPID) & {ONE}; {ONE}; {ONE}; wait"
    row = balanced(trace(flood(pages=16), command=command), 3 * 30011)
    assert row["ring_full"] > 0


def test_over_the_rate_events_are_left_out_and_counted(trace: Trace) -> None:
    session = trace(flood(pages=1024), command=f"{ONE}; sleep 0.3", max_rate=1000.0)
    row = balanced(session, 30011)
    assert row["capped"] > 0
    assert row["ring_full"] == 0
    # A hundred per tenth of a second, and a few that CPUs took at the same moment.
    assert row["delivered"] <= 100 * (session.elapsed * 10 + 2)
    assert session.losses == {"over --max-rate": row["capped"]}


def test_over_the_rate_a_session_stops_if_so_chosen(trace: Trace) -> None:
    session = trace(flood(pages=1024), command=f"{TWO}; sleep 60", max_rate=1000.0, over="stop", wait=False)
    assert session.wait(10)
    assert (session.state, session.message) == ("done", "over --max-rate (1,000 events a second)")
    balanced(session, int(session.tried["value"].iloc[0]))


LRU = """
BPF_TABLE("lru_hash", u64, u64, calls, 64);
BPF_ARRAY(told, u64, 2);
int kprobe__vfs_write(struct pt_regs *ctx, void *f, void *b, size_t size) {
    if (!is_dd() || size != 64) return 0;
    int zero = 0, one = 1;
    u64 *number = told.lookup(&zero), key, value = 1;
    if (!number) return 0;
    key = __sync_fetch_and_add(number, 0) + 1;
    *number = key;
    calls.update(&key, &value);
    if (key % 100 == 0 && !calls.delete(&key)) told.atomic_increment(one);
    return 0;
}
"""


def test_what_an_lru_map_threw_out_is_counted(trace: Trace) -> None:
    session = trace(ONLY_DD + LRU.replace("__sync_fetch_and_add(number, 0)", "*number"), command=ONE)
    inserted, deleted = session.told["value"].tolist()
    assert inserted == 30011
    assert deleted == 300
    assert row_of(session, "calls")["evicted"] == inserted - deleted - len(session.calls)
    assert len(session.calls) <= 64


READS = """
struct name { char text[16]; };
BPF_ARRAY(told, u64, 3);
BPF_RINGBUF_OUTPUT(names, 64);
TRACEPOINT_PROBE(syscalls, sys_enter_openat) {
    struct name name = {};
    char comm[16] = {}, whole[64], nothing[8];
    int opens = 0, cut = 1, failed = 2;
    bpf_get_current_comm(&comm, sizeof(comm));
    if (comm[0] != 'c' || comm[1] != 'a' || comm[2] != 't' || comm[3]) return 0;
    told.atomic_increment(opens);
    long size = bpf_probe_read_user_str(&whole, sizeof(whole), (void *)args->filename);
    if (size > 16) told.atomic_increment(cut);
    if (size < 0) told.atomic_increment(failed);
    size = bpf_probe_read_user_str(&name.text, sizeof(name.text), (void *)args->filename);
    if (size < 0) told.atomic_increment(failed);
    if (bpf_probe_read_user(&nothing, sizeof(nothing), (void *)8) < 0) told.atomic_increment(failed);
    names.ringbuf_output(&name, sizeof(name), 0);
    return 0;
}
"""


def test_strings_that_were_cut_and_reads_that_failed_are_counted(trace: Trace) -> None:
    fits, cut = "/t/345678901234", "/t/3456789012345"  # with its NUL the first is 16 bytes long
    session = trace(READS, command=f"cat {fits} {cut}; true")
    opens, were_cut, failed = session.told["value"].tolist()
    row = row_of(session, "session")
    assert (row["truncated"], row["faulted"]) == (were_cut, failed)
    assert failed >= opens > were_cut >= 1
    assert session.names["text"].tolist()[-2:] == [fits, cut[:15]]
    assert not session.names.attrs["ktrace"]["complete"]


HEAVY = """
BPF_ARRAY(spun, u64, 1);
int kprobe__vfs_write(struct pt_regs *ctx, void *f, void *b, size_t size) {
    int zero = 0;
    u64 sum = 0;
    if (!is_dd() || size != 64) return 0;
    for (int i = 0; i < 2000; i++) sum += bpf_get_prandom_u32();
    if (sum) spun.atomic_increment(zero);
    return 0;
}
"""


def test_a_session_is_kept_below_its_share_of_cpu(trace: Trace) -> None:
    session = trace(
        ONLY_DD + HEAVY, command=f"while :; do {ONE}; done", max_cpu=0.2, wait=False, seconds=None
    )
    time.sleep(4)
    remark, before = session.remark, session.outputs.ran_ns
    started = time.monotonic()
    time.sleep(2)
    share = (session.outputs.ran_ns - before) / ((time.monotonic() - started) * 1e9)
    session.stop()
    assert remark.endswith("% of the time to stay below --max-cpu")
    assert share < 0.35
    assert row_of(session, "session")["skipped"] > 0
    hits = int(session.probes["hits"].iloc[0])
    assert 0 < session.spun["value"].iloc[0] < hits
    assert session.probes["cpu_share"].sum() == pytest.approx(session.cpu_share, rel=0.01)


def test_a_forgotten_session_ends_itself(trace: Trace) -> None:
    session = trace(flood(), expire_s=0.6, wait=False)
    assert session.wait(10)
    assert session.message == "nobody stopped it for 0.01 minutes"
