"""The programs of the streaming benchmarks: cells for bcc and for us alike, scripts for bpftrace."""

from __future__ import annotations

import os

RING_PAGES = 4096
"""16 MiB: 400,000 events with their headers."""

_EVENT = "struct event { u64 at; u64 number; u64 id; u32 pid; u32 cpu; };"
_ONLY = "if (bpf_get_current_pid_tgid() >> 32 != PID || ctx->args[1] != __NR_GETPPID) return 0;"
_FILL = """
    E->at = bpf_ktime_get_ns(); E->number = ctx->args[1]; E->id = bpf_get_current_pid_tgid();
    E->pid = PID; E->cpu = bpf_get_smp_processor_id();"""

# Each text is given to both sides as it is, but for PID and the call's number.
RING = f"""{_EVENT}
BPF_RINGBUF_OUTPUT(events, {RING_PAGES});
RAW_TRACEPOINT_PROBE(sys_enter) {{
    {_ONLY}
    struct event *e = events.ringbuf_reserve(sizeof(struct event));
    if (!e) return 0;
    {_FILL.replace("E->", "e->")}
    events.ringbuf_submit(e, 0);
    return 0;
}}
"""
PERF = f"""{_EVENT}
BPF_PERF_OUTPUT(events);
RAW_TRACEPOINT_PROBE(sys_enter) {{
    {_ONLY}
    struct event e = {{}};
    {_FILL.replace("E->", "e.")}
    events.perf_submit(ctx, &e, sizeof(e));
    return 0;
}}
"""
GROW = f"""
BPF_ARRAY(next, u64, 1);
BPF_HASH(counts, u64, u64, KEYS);
RAW_TRACEPOINT_PROBE(sys_enter) {{
    {_ONLY}
    int zero = 0;
    u64 *n = next.lookup(&zero);
    if (!n) return 0;
    #pragma unroll
    for (int i = 0; i < 50; i++) {{ u64 key = *n + i; counts.update(&key, &key); }}
    *n += 50;
    return 0;
}}
"""
SLOTS = f"""
BPF_ARRAY(slots, u64, 256);
RAW_TRACEPOINT_PROBE(sys_enter) {{
    {_ONLY}
    slots.increment(bpf_get_prandom_u32() & 255);
    return 0;
}}
"""
BY_COMM = f"""
struct name {{ char comm[16]; }};
BPF_PERCPU_HASH(counts, struct name, u64);
RAW_TRACEPOINT_PROBE(sys_enter) {{
    {_ONLY}
    struct name name = {{}};
    bpf_get_current_comm(&name.comm, sizeof(name.comm));
    counts.increment(name);
    return 0;
}}
"""
_GETPPID = {"x86_64": 110}.get(os.uname().machine, 173)
# This bpftrace has no raw tracepoints; number 110 is filtered as in the cells.
_BPFTRACE = f"tracepoint:raw_syscalls:sys_enter /pid == PID && args->id == {_GETPPID}/"
BPFTRACE_PRINTF = _BPFTRACE + ' { printf("%llu %d %d %d %d\\n", nsecs, args->id, tid, pid, cpu); }'
BPFTRACE_COUNT = _BPFTRACE + " { @[comm] = count(); }"


def for_load(text: str, pid: int, **words: object) -> str:
    """A cell for one process."""
    text = text.replace("__NR_GETPPID", str(_GETPPID)).replace("PID", str(pid))
    for word, value in words.items():
        text = text.replace(word, str(value))
    return text
