"""Every kind of probe counts what a workload of known size does."""

from __future__ import annotations

import re

import pytest

from tests.kernel.trace.kit import KERNELS, ONLY_DD, PID, WRITES, Guest, Trace

pytestmark = pytest.mark.kernel


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_kprobe_counts_calls_of_a_function(trace: Trace) -> None:
    session = trace(
        f"""{ONLY_DD}
        BPF_HASH(calls, u32);
        int kprobe__vfs_write(struct pt_regs *ctx, struct file *file, const char *buf, size_t count) {{
            if (is_dd() && count == 64) calls.increment(bpf_get_current_pid_tgid() >> 32);
            return 0;
        }}""",
        command=WRITES,
    )
    assert session.calls["value"].tolist() == [1009]


def test_a_kretprobe_sees_return_values(trace: Trace) -> None:
    session = trace(
        f"""{ONLY_DD}
        BPF_HISTOGRAM(sizes);
        int kretprobe__vfs_read(struct pt_regs *ctx) {{
            if (is_dd()) sizes.increment(bpf_log2l(PT_REGS_RC(ctx)));
            return 0;
        }}""",
        command="dd if=/dev/zero of=/dev/null bs=4096 count=509",
    )
    bucket = session.sizes[session.sizes["low"] == 4096]
    assert bucket["count"].tolist() == [509]
    assert bucket["high"].tolist() == [8191]


COUNT_IT = "{ if (count == 64 && is_dd()) hits.increment(0); return 0; }"


@pytest.mark.parametrize(
    "program",
    [
        "TRACEPOINT_PROBE(syscalls, sys_enter_write) { u64 count = args->count;" + COUNT_IT[1:],
        "TRACEPOINT_PROBE(raw_syscalls, sys_enter) { u64 count = args->id == 1 ? args->args[2] : 0;"
        + COUNT_IT[1:],
        "RAW_TRACEPOINT_PROBE(sys_enter) { struct pt_regs *regs = (void *)ctx->args[0]; u64 count = 0;"
        " if (ctx->args[1] != 1) return 0; bpf_probe_read_kernel(&count, sizeof(count), &regs->dx);"
        + COUNT_IT[1:],
        "int syscall__write(struct pt_regs *ctx, int fd, const char *buf, size_t count) " + COUNT_IT,
        "KFUNC_PROBE(vfs_write, struct file *file, const char *buf, size_t count) " + COUNT_IT,
        "KRETFUNC_PROBE(vfs_write, struct file *f, const char *b, size_t n, loff_t *p, ssize_t count) "
        + COUNT_IT,
    ],
    ids=["tracepoint", "tracepoint with array", "raw tracepoint", "syscall", "fentry", "fexit"],
)
def test_every_way_to_see_a_write_counts_the_same(trace: Trace, program: str) -> None:
    session = trace(f"BPF_ARRAY(hits, u64, 1);\n{ONLY_DD}\n{program}", command=WRITES)
    assert session.hits["value"].tolist() == [1009]


def test_a_uprobe_and_its_return_count_calls_in_a_library(trace: Trace) -> None:
    session = trace(
        f"""
        BPF_HASH(entries, u32);
        BPF_HASH(returns, u32);
        int enter(struct pt_regs *ctx) {{ entries.increment({PID}); return 0; }}
        int leave(struct pt_regs *ctx) {{ returns.increment({PID}); return 0; }}
        """,
        command="python3 -c 'import os; [os.getppid() for _ in range(1009)]'",
        attach=("uprobe:c:getppid:enter", "uretprobe:c:getppid:leave"),
    )
    assert 1009 in session.entries["value"].tolist()
    assert session.entries.sort_index().equals(session.returns.sort_index())


def test_a_usdt_probe_counts_and_is_switched_on_by_its_semaphore(trace: Trace) -> None:
    # Debian's Python has probes with reference counters; it collects garbage some ten
    # times on its own, give or take one.
    def collections(asked: int) -> int:
        session = trace(
            f"BPF_HASH(hits, u32); int started(void *ctx) {{ hits.increment({PID}); return 0; }}",
            command=f"python3 -c 'import gc; gc.disable(); [gc.collect() for _ in range({asked})]'",
            attach=("usdt:python3:python:gc__start:started",),
        )
        return int(session.hits["value"].max())  # the agent is in Python too

    assert abs(collections(1009) - collections(500) - 509) <= 2


def test_samples_and_timers_fire_as_often_as_asked(trace: Trace) -> None:
    session = trace(
        """
        BPF_ARRAY(hits, u64, 2);
        int sampled(struct bpf_perf_event_data *ctx) { hits.increment(0); return 0; }
        int ticked(struct bpf_perf_event_data *ctx) { hits.increment(1); return 0; }
        """,
        command="timeout 2 yes",
        attach=("profile:hz:50:sampled", "interval:ms:100:ticked"),
    )
    # A busy CPU is sampled 50 times a second and ticks 10 times; emulation is not punctual.
    sampled, ticked = session.hits["value"].tolist()
    assert 60 <= sampled <= 140
    assert 12 <= ticked <= 28


def test_software_events_count_page_faults(trace: Trace) -> None:
    touch = "m = mmap.mmap(-1, 4096 * 2003); [m.seek(i * 4096) or m.write_byte(1) for i in range(2003)]"
    session = trace(
        f"BPF_HASH(faults, u32); int faulted(void *ctx) {{ faults.increment({PID}); return 0; }}",
        command=f"python3 -c 'import mmap; {touch}'",
        attach=("software:page-faults:1:faulted",),
    )
    assert session.faults["value"].max() >= 2003


def test_a_glob_attaches_to_every_function_it_matches(trace: Trace, guest: Guest) -> None:
    session = trace(
        "BPF_HASH(calls, u64);"
        " int count(struct pt_regs *ctx) { calls.increment(PT_REGS_IP(ctx)); return 0; }",
        command=WRITES,
        attach=("kprobe:vfs_f*:count",),
    )
    functions = guest.run("cat", "/sys/kernel/tracing/available_filter_functions").splitlines()
    expected = [name.split()[0] for name in functions if re.match(r"vfs_f\w*", name)]
    assert [p.target for p in session.built.bundle.attach] == sorted(expected)


def test_pid_restricts_every_program_to_one_process(trace: Trace) -> None:
    session = trace(
        f"""BPF_HASH(calls, u32);
        int kprobe__vfs_write(struct pt_regs *ctx) {{ calls.increment({PID}); return 0; }}
        KFUNC_PROBE(vfs_write, struct file *f) {{ calls.increment({PID}); return 0; }}""",
        command=WRITES,
        pid=1_000_000,  # nobody
    )
    assert session.calls.empty
    # A hit is one of that process.
    assert session.probes["hits"].tolist() == [0, 0]


@pytest.mark.parametrize("call", ["getppid", "getuid", "sched_yield"])
def test_a_system_call_without_arguments_is_found_under_its_own_name(trace: Trace, call: str) -> None:
    session = trace(
        f"""BPF_HASH(calls, u32);
        int syscall__{call}(struct pt_regs *ctx) {{ calls.increment({PID}); return 0; }}""",
        command=f"python3 -c 'import os; [os.{call}() for _ in range(1009)]'",
    )
    assert session.calls["value"].max() >= 1009
    assert session.calls["value"].max() < 1009 + 20
