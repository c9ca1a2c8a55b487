"""What a running session counts in a real kernel, as kstats beside the built-in ones."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.kstat import Chain, Selection, chain, frame, publish, rates
from ktrace_nb.lab.image import Image
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.targets.base import close_targets, get_target
from ktrace_nb.targets.lab import LabTarget
from tests.kernel.trace.kit import Guest

pytestmark = pytest.mark.kernel

SYNCS = 17
"""Calls of ``sync`` per workload: a prime number that nothing else makes."""

CELL = """
struct name { char comm[16]; };
BPF_HASH(calls, struct name);
BPF_HISTOGRAM(sizes);
int kprobe__ksys_sync(void *ctx)
{
    struct name key = {};
    bpf_get_current_comm(key.comm, sizeof(key.comm));
    calls.increment(key);
    sizes.increment(bpf_log2l(1500));
    return 0;
}
"""
WORKLOAD = f"for i in $(seq {SYNCS}); do python3 -c 'import os; os.sync()'; done"


@pytest.fixture
def target(image: Image) -> Iterator[LabTarget]:
    """A lab of this module's own."""
    found = get_target("lab")
    assert isinstance(found, LabTarget)
    yield found
    close_targets()


def started() -> Session:
    session = engine.start(Source(CELL), Options(name="syncs", target="lab"))
    assert session.running
    return session


def count(kstats: Chain, name: str) -> int:
    (found,) = kstats.read(Selection.of(f"syncs:0:{name}"))
    assert not found.error
    return sum(int(value.value) for value in found.data.values() if value.counter)


def test_a_sessions_map_is_a_kstat_of_its_target_while_it_runs_and_after(target: LabTarget) -> None:
    kstats, guest, session = chain("lab"), Guest(target), started()
    entries = [publish(session, name, module="syncs", replace=True) for name in ("calls", "sizes")]
    own = Selection.of("syncs")
    try:
        guest.run("sh", "-c", WORKLOAD)
        end = time.monotonic() + 30
        while session.frame("calls")["value"].sum() < SYNCS:
            assert session.running and time.monotonic() < end
        before = frame(kstats.read(own))
        guest.run("sh", "-c", WORKLOAD)
        session.stop()
        after = frame(kstats.read(own))
        assert count(kstats, "calls") == count(kstats, "sizes") == 2 * SYNCS
        rows = after.to_dict("index")
        found = rows["syncs", 0, "calls", "python3"]
        assert (found["value"], found["counter"]) == (2 * SYNCS, True)
        assert found["crtime_ns"] == session.attached_ns < found["snaptime_ns"]
        # The histogram of bcc: 1500 is between 1024 and 2047.
        assert rows["syncs", 0, "sizes", "1024..2047"]["value"] == 2 * SYNCS
        assert rows["syncs", 0, "calls_ledger", "state"]["value"] == "done"
        assert rows["syncs", 0, "calls_ledger", "lost"]["value"] == 0
        grown = rates(before, after).to_dict("index")["syncs", 0, "calls", "python3"]
        assert grown["delta"] == SYNCS and grown["note"] == ""
        assert grown["rate"] == pytest.approx(SYNCS / grown["seconds"])
        # One read has the kernel's own beside it.
        modules = {kstat.id.module for kstat in kstats.read()}
        assert {"syncs", "unix", "cpu_stat"} <= modules
    finally:
        session.stop()
        for entry in entries:
            kstats.remove(entry)
