"""Streams in parts and maps over time, while a kernel works."""

from __future__ import annotations

import time

import polars
import pytest

from ktrace_nb.stream import outputs
from ktrace_nb.stream.records import Cut, cut_ring
from tests.kernel.trace.kit import ONLY_DD, Guest, Trace

pytestmark = pytest.mark.kernel

CELL = (
    ONLY_DD
    + """
struct write { u64 at_ns; u32 cpu; char comm[16]; };
BPF_HASH(calls, u32);
BPF_HISTOGRAM(sizes);
BPF_RINGBUF_OUTPUT(writes, 256);
int kprobe__vfs_write(struct pt_regs *ctx, void *f, void *b, size_t size) {
    struct write *w;
    if (!is_dd() || size != 64) return 0;
    calls.increment(64);
    sizes.increment(bpf_log2l(size));
    w = writes.ringbuf_reserve(sizeof(*w));
    if (!w) return 0;
    w->cpu = bpf_get_smp_processor_id();
    bpf_get_current_comm(&w->comm, sizeof(w->comm));
    w->at_ns = bpf_ktime_get_ns();
    writes.ringbuf_submit(w, 0);
    return 0;
}
"""
)
DD = "dd if=/dev/zero of=/dev/null bs=64 count=1009"
SPELLS = f"for i in 1 2 3 4 5 6; do {DD}; sleep 0.25; done"


def test_a_map_s_history_ends_with_the_map_and_never_falls(trace: Trace) -> None:
    session = trace(CELL, command=SPELLS, every_s=0.25)
    history = session.history("calls")
    times = history.index.get_level_values("at_s")
    assert list(times) == sorted(times)
    assert 3 <= len(set(times)) <= 12
    counts = history["value"].tolist()
    assert counts == sorted(counts)
    assert counts[-1] == session.calls.loc[64, "value"] == 6 * 1009
    assert history.attrs["ktrace"]["every_s"] == 0.25
    assert times[-1] == pytest.approx(session.elapsed, abs=0.5)
    buckets = session.history("sizes")
    assert buckets.index.names == ["at_s", "bucket"]
    assert buckets["count"].iloc[-1] == 6 * 1009


def test_rates_are_what_the_history_says(trace: Trace) -> None:
    session = trace(CELL, command=SPELLS, every_s=0.2)
    rates = session.rates("calls", over_s=0.5)
    over_s = rates.attrs["ktrace"]["over_s"]
    history = session.history("calls")["value"].droplevel(1)
    before = [value for at, value in history.items() if history.index[-1] - at >= over_s - 1e-6]
    assert rates.loc[64, "value_per_s"] * over_s == pytest.approx(history.iloc[-1] - before[-1])
    assert session.rates("sizes").columns.tolist() == ["low", "high", "count_per_s"]
    with pytest.raises(KeyError, match="2 maps; maps: calls, sizes"):
        session.rates()


def test_events_in_parts(trace: Trace) -> None:
    session = trace(CELL, command=f"{DD} & {DD} & wait; sleep 0.3; {DD}")
    events = session.events()
    assert len(events) == 3 * 1009
    assert events.types == ["struct write"]
    assert len(events.tail(20)) == 20
    assert events.sorted()["at_ns"].is_monotonic_increasing
    # The third spell began a good while after the first two had ended.
    assert len(events.last(0.2)) == 1009
    middle = int(events.last(0.2)["at_ns"].iloc[0])
    assert len(events.between(None, middle)) == 2 * 1009
    frame = polars.from_arrow(events.arrow())
    assert isinstance(frame, polars.DataFrame)
    assert frame["comm"].unique().to_list() == ["dd"]
    assert frame["at_ns"].dtype == polars.UInt64
    table = session.arrow("calls")
    assert table.to_pydict() == {"key": [64], "value": [3027]}


def test_a_damaged_stream_is_named_and_keeps_its_rows(
    trace: Trace, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = guest.attached()
    session = trace(CELL, command=f"while :; do {DD}; done", wait=False)
    while not len(session.writes):
        time.sleep(0.05)

    def torn(span: bytes) -> Cut:
        return cut_ring(span[:-8])

    monkeypatch.setattr(outputs, "cut_ring", torn)
    assert session.wait(10)
    assert session.state == "failed"
    assert session.message == "stream 'writes' is damaged: a ring span ends in the middle of a record"
    assert len(session.writes) > 0
    assert guest.attached() == before
