"""What a kernel wrote into maps and buffers arrives as the C types say."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ktrace_nb.export import write_frames
from tests.kernel.trace.kit import KERNELS, ONLY_DD, WRITES, Guest, Trace

pytestmark = pytest.mark.kernel


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


EVERYTHING = f"""
#include <linux/sched.h>
enum color {{ RED, GREEN = 5 }};
struct inner {{ u16 a; s8 b; }};
struct key_t {{ char comm[TASK_COMM_LEN]; struct inner in; }};
struct value_t {{
    u64 big; struct {{ u32 x, y; }}; enum color color; u8 mac[6];
    int field : 3; unsigned wide : 20; __be32 saddr; __be16 port;
    struct in6_addr a6; bool yes; unsigned __int128 huge; void *file;
}};
BPF_HASH(values, struct key_t, struct value_t);
{ONLY_DD}
int kprobe__vfs_write(struct pt_regs *ctx, struct file *file) {{
    if (!is_dd()) return 0;
    struct key_t key = {{}};
    bpf_get_current_comm(&key.comm, sizeof(key.comm));
    key.in.a = 7; key.in.b = -3;
    struct value_t v = {{}};
    v.big = 1ULL << 63; v.x = 1; v.y = 2; v.color = GREEN; v.mac[0] = 0xde; v.mac[5] = 0xad;
    v.field = -2; v.wide = 0xfffff; v.saddr = htonl(0x7f000001); v.port = htons(80);
    v.a6.in6_u.u6_addr8[15] = 1; v.yes = 1; v.huge = ((unsigned __int128)1 << 100) + 5; v.file = file;
    values.update(&key, &v);
    return 0;
}}
"""


def test_every_c_type_arrives_as_it_was_stored(trace: Trace) -> None:
    frame = trace(EVERYTHING, command=WRITES).frame("values")
    assert frame.index.names == ["comm", "in.a", "in.b"]
    assert frame.index.tolist() == [("dd", 7, -3)]
    row = frame.iloc[0].to_dict()
    assert row.pop("file") >= 0xFFFF_8000_0000_0000
    assert row == {
        "big": 1 << 63,
        "x": 1,
        "y": 2,
        "color": "GREEN",
        **dict(zip([f"mac[{i}]" for i in range(6)], [0xDE, 0, 0, 0, 0, 0xAD], strict=True)),
        "field": -2,
        "wide": 0xFFFFF,
        "saddr": "127.0.0.1",
        "port": 80,
        "a6": "::1",
        "yes": True,
        "huge": (1 << 100) + 5,
    }


@pytest.mark.parametrize("macro", ["BPF_HASH", "BPF_PERCPU_HASH", "BPF_LRU_HASH", "BPF_LRU_PERCPU_HASH"])
def test_every_kind_of_hash_counts_exactly(trace: Trace, macro: str) -> None:
    session = trace(
        f"{macro}(calls, u32);\n{ONLY_DD}\n"
        "int kprobe__vfs_write(struct pt_regs *ctx, void *file, void *buf, size_t count) {"
        " if (is_dd() && count == 64) calls.increment(7, 3); return 0; }",
        command=WRITES,
    )
    assert session.calls["value"].to_dict() == {7: 3 * 1009}


def test_per_cpu_arrays_are_summed_and_split(trace: Trace, guest: Guest) -> None:
    session = trace(
        f"BPF_PERCPU_ARRAY(calls, u64, 1);\n{ONLY_DD}\n"
        "TRACEPOINT_PROBE(syscalls, sys_enter_write) {"
        " if (args->count == 64 && is_dd()) calls.increment(0); return 0; }",
        command=WRITES,
    )
    assert session.calls["value"].tolist() == [1009]
    split = session.frame("calls", per_cpu=True)
    assert split.index.names == ["key", "cpu"]
    assert len(split) == int(guest.run("nproc", "--all"))
    assert split["value"].sum() == 1009


@pytest.mark.parametrize(
    ("table", "send"),
    [
        ("BPF_PERF_OUTPUT(sent);", "sent.perf_submit(args, &e, sizeof(e));"),
        ("BPF_RINGBUF_OUTPUT(sent, 64);", "sent.ringbuf_output(&e, sizeof(e), 0);"),
        (
            "BPF_RINGBUF_OUTPUT(sent, 64);",
            "struct event_t *r = sent.ringbuf_reserve(sizeof(struct event_t)); if (!r) return 0;"
            " *r = e; sent.ringbuf_submit(r, 0);",
        ),
    ],
    ids=["perf", "ring output", "ring reserve"],
)
def test_every_event_arrives_in_order_and_the_ledger_balances(trace: Trace, table: str, send: str) -> None:
    session = trace(
        f"""struct event_t {{ u64 at; u32 size; char comm[16]; }};
        {table}
        {ONLY_DD}
        TRACEPOINT_PROBE(syscalls, sys_enter_write) {{
            if (args->count != 64 || !is_dd()) return 0;
            struct event_t e = {{}};
            e.at = bpf_ktime_get_ns(); e.size = args->count;
            bpf_get_current_comm(&e.comm, sizeof(e.comm));
            {send}
            return 0;
        }}""",
        command=WRITES,
    )
    frame = session.sent
    assert len(frame) == 1009
    assert frame["at"].is_monotonic_increasing
    assert frame["size"].unique().tolist() == [64]
    assert list(frame["comm"].cat.categories) == ["dd"]
    ledger = session.ledger.loc["sent"]
    assert (ledger["submitted"], ledger["delivered"], ledger["lost"]) == (1009, 1009, 0)
    assert frame.attrs["ktrace"]["complete"]


def test_a_scalar_can_be_an_event(trace: Trace) -> None:
    session = trace(
        f"BPF_PERF_OUTPUT(sizes);\n{ONLY_DD}\n"
        "int kprobe__vfs_write(struct pt_regs *ctx, void *file, void *buf, size_t count) {"
        " u64 size = count; if (is_dd() && size == 64) sizes.perf_submit(ctx, &size, sizeof(size));"
        " return 0; }",
        command=WRITES,
    )
    assert session.sizes["value"].tolist() == [64] * 1009


def test_a_flood_into_a_small_ring_is_accounted_for_to_the_last_event(trace: Trace) -> None:
    session = trace(
        f"""BPF_RINGBUF_OUTPUT(flood, 1);
        {ONLY_DD}
        int kprobe__vfs_write(void *ctx) {{
            if (!is_dd()) return 0;
            for (int i = 0; i < 20; i++) {{
                u64 *p = flood.ringbuf_reserve(56);
                if (!p) continue;
                p[0] = i;
                if (i % 5 == 4) flood.ringbuf_discard(p, 0); else flood.ringbuf_submit(p, 0);
            }}
            return 0;
        }}""",
        command=WRITES,
    )
    row = session.ledger.loc["flood"]
    assert row["submitted"] + row["discarded"] >= 20 * 1009
    assert row["ring_full"] > 0
    assert row["submitted"] == row["delivered"] + row["lost"]
    # The program says u64 and sends 56 bytes: no type tells how to read them.
    assert row["unread"] == row["lost"] - row["ring_full"] > 0
    assert session.losses["ring full"] == row["ring_full"]
    assert not session.flood.attrs["ktrace"]["complete"]


def test_a_full_map_is_accounted_for(trace: Trace) -> None:
    session = trace(
        f"BPF_HASH(calls, u64, u64, 8);\nBPF_ARRAY(tried, u64, 1);\n{ONLY_DD}\n"
        "int kprobe__vfs_write(void *ctx) {"
        " if (!is_dd()) return 0; tried.increment(0); calls.increment(bpf_ktime_get_ns()); return 0; }",
        command=WRITES,
    )
    assert len(session.calls) == 8
    assert session.ledger.loc["calls", "map_full"] == session.tried["value"].iloc[0] - 8


def test_kernel_stacks_are_symbolised(trace: Trace) -> None:
    session = trace(
        f"BPF_STACK_TRACE(stacks, 256);\nBPF_HASH(counts, int);\n{ONLY_DD}\n"
        "int kprobe__vfs_write(struct pt_regs *ctx) {"
        " if (is_dd()) { int id = stacks.get_stackid(ctx, 0); if (id >= 0) counts.increment(id); }"
        " return 0; }",
        command=WRITES,
    )
    usual = int(session.counts.reset_index().sort_values("value")["key"].iloc[-1])
    frames = [name.split("+")[0] for name in session.stacks["frames"][usual]]
    assert frames[:3] == ["vfs_write", "ksys_write", "do_syscall_64"]


def test_a_keyed_histogram_has_a_level_per_key(trace: Trace) -> None:
    session = trace(
        f"""struct key_t {{ u32 odd; u64 slot; }};
        BPF_HISTOGRAM(sizes, struct key_t);
        {ONLY_DD}
        int kprobe__vfs_write(struct pt_regs *ctx, void *file, void *buf, size_t count) {{
            if (!is_dd() || (count != 64 && count != 31)) return 0;
            struct key_t key = {{.odd = count & 1, .slot = bpf_log2l(count)}};
            sizes.increment(key);
            return 0;
        }}""",
        command=WRITES,
    )
    frame = session.sizes
    assert frame.index.names == ["odd", "bucket"]
    assert frame.loc[0]["count"].sum() == 1009
    assert frame.loc[0]["low"].tolist() == [64]


def test_printed_text_arrives_line_by_line(trace: Trace) -> None:
    session = trace(
        f"{ONLY_DD}\nint kprobe__vfs_write(struct pt_regs *ctx, void *f, void *b, size_t n) {{"
        ' if (is_dd() && n == 64) bpf_trace_printk("wrote %d", n); return 0; }',
        command="dd if=/dev/zero of=/dev/null bs=64 count=101",
    )
    lines = session.text.splitlines()
    assert len(lines) == 101
    assert all(line.endswith("bpf_trace_printk: wrote 64") for line in lines)


def test_a_flood_of_printed_lines_is_accounted_for_to_the_last(trace: Trace, guest: Guest) -> None:
    size = "/sys/kernel/tracing/buffer_size_kb"
    session = trace(
        f"{ONLY_DD}\nint kprobe__vfs_write(struct pt_regs *ctx, void *f, void *b, size_t n) {{"
        ' if (is_dd() && n == 64) bpf_trace_printk("wrote %d", n); return 0; }',
        command=f"echo 16 > {size}; dd if=/dev/zero of=/dev/null bs=64 count=50021",
    )
    guest.run("sh", "-c", f"echo 1408 > {size}")
    row = session.ledger.loc["printed"]
    assert row["submitted"] == 50021
    assert row["delivered"] == len(session.text.splitlines())
    assert row["overwritten"] == 50021 - row["delivered"] > 0
    assert session.losses == {"printed line overwritten before it was read": row["overwritten"]}


def test_frames_survive_parquet_with_types_and_attributes(trace: Trace, tmp_path: Path) -> None:
    session = trace(EVERYTHING + "BPF_STACK_TRACE(stacks, 64);", command=WRITES)
    write_frames(session, tmp_path)
    original = session.frame("values")
    read = pd.read_parquet(tmp_path / "values.parquet")
    assert read.index.names == original.index.names
    assert read["big"].tolist() == [1 << 63]
    assert read["huge"].tolist() == [str((1 << 100) + 5)]
    assert read.attrs["ktrace"]["session"] == "trace"
    assert {p.name for p in tmp_path.iterdir()} == {
        "values.parquet",
        "stacks.parquet",
        "ledger.parquet",
        "session.json",
    }
    about = json.loads((tmp_path / "session.json").read_text())
    assert about["workload_status"] == 0
    assert about["frames"]["values"]["columns"]["big"] == "uint64"
