"""How long programs ran, measured whole or in part."""

from __future__ import annotations

import pytest

from tests.kernel.trace.kit import ONLY_DD, Trace

pytestmark = pytest.mark.kernel

SPIN = (
    ONLY_DD
    + """
BPF_ARRAY(told, u64, 2);
int kprobe__vfs_write(struct pt_regs *ctx, void *f, void *b, size_t size) {
    int hits = 0, ns = 1;
    u64 began = bpf_ktime_get_ns();
    if (!is_dd() || size != 64) return 0;
    for (int i = 0; i < 200; i++) bpf_get_prandom_u32();
    told.atomic_increment(hits);
    told.atomic_increment(ns, bpf_ktime_get_ns() - began);
    return 0;
}
"""
)
DD = "dd if=/dev/zero of=/dev/null bs=64 count={}"


@pytest.mark.parametrize(
    "command", [DD.format(1009), DD.format(300_007)], ids=["measured whole", "measured in part"]
)
def test_hits_are_exact_and_time_agrees_with_the_program_s_own_clock(trace: Trace, command: str) -> None:
    session = trace(SPIN, command=command)
    hits, ns = session.told["value"].tolist()
    (hit,), (ns_per_hit,) = session.probes["hits"].tolist(), session.probes["ns_per_hit"].tolist()
    assert hits == int(command.rpartition("=")[2])
    # The program also runs, and counts as hit, for writes that are not dd's.
    assert hits <= hit < hits + 2000
    # A busy host takes the guest's CPU away now and then, and a tenth of the time stands for all.
    assert ns / 3 < hit * ns_per_hit < 3 * ns


def test_a_program_that_a_macro_made_is_counted_too(trace: Trace) -> None:
    cell = "#define PROBE(name) int name(void *ctx) { return 0; }\nPROBE(kprobe__vfs_write)"
    session = trace(cell + "\nint kprobe__vfs_read(void *ctx) { return 0; }", command=DD.format(1009))
    assert len(session.probes) == 2
    assert min(session.probes["hits"].tolist()) >= 1009
