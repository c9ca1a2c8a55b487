"""The texts of the script benchmarks: scripts, and C cells that do the same.

``UNSEEN`` stands for a name, so that a text can be one that nobody has compiled before.
"""

from __future__ import annotations

_COMM = "struct name { char comm[16]; };\n"

PAIRS = {
    "count by name": (
        'global UNSEEN probe kernel.function("vfs_read") { UNSEEN[execname()]++ }',
        _COMM
        + """BPF_HASH(UNSEEN, struct name, u64, 2048);
int kprobe__vfs_read(struct pt_regs *ctx) {
    struct name name = {};
    bpf_get_current_comm(&name.comm, sizeof(name.comm));
    UNSEEN.increment(name);
    return 0;
}
""",
    ),
    "histogram of sizes": (
        'global UNSEEN probe kernel.function("vfs_write") { UNSEEN <<< $count }\n'
        "probe end { print(@hist_log(UNSEEN)) }",
        """BPF_HISTOGRAM(UNSEEN);
int kprobe__vfs_write(struct pt_regs *ctx, void *file, void *buf, size_t count) {
    UNSEEN.increment(bpf_log2l(count));
    return 0;
}
""",
    ),
    "time by thread": (
        'global UNSEEN, ns probe kernel.function("vfs_read") { UNSEEN[tid()] = gettimeofday_ns() }\n'
        'probe kernel.function("vfs_read").return {\n'
        "    if (tid() in UNSEEN) {\n"
        "        ns[execname()] <<< gettimeofday_ns() - UNSEEN[tid()]\n"
        "        delete UNSEEN[tid()]\n"
        "    }\n"
        "}",
        _COMM
        + """struct sum { u64 count; u64 ns; };
BPF_HASH(UNSEEN, u32, u64, 2048);
BPF_PERCPU_HASH(ns, struct name, struct sum, 2048);
int kprobe__vfs_read(struct pt_regs *ctx) {
    u32 tid = bpf_get_current_pid_tgid();
    u64 now = bpf_ktime_get_ns();
    UNSEEN.update(&tid, &now);
    return 0;
}
int kretprobe__vfs_read(struct pt_regs *ctx) {
    u32 tid = bpf_get_current_pid_tgid();
    u64 *begun = UNSEEN.lookup(&tid);
    if (!begun)
        return 0;
    struct name name = {};
    struct sum none = {};
    bpf_get_current_comm(&name.comm, sizeof(name.comm));
    struct sum *sum = ns.lookup_or_try_init(&name, &none);
    if (sum) {
        sum->count++;
        sum->ns += bpf_ktime_get_ns() - *begun;
    }
    UNSEEN.delete(&tid);
    return 0;
}
""",
    ),
    "a line for each event": (
        'probe kernel.function("vfs_write") {\n'
        '    UNSEEN = $count; printf("%s %d %d\\n", execname(), pid(), UNSEEN)\n'
        "}",
        """struct event { char comm[16]; u64 pid; u64 count; };
BPF_RINGBUF_OUTPUT(UNSEEN, 4096);
int kprobe__vfs_write(struct pt_regs *ctx, void *file, void *buf, size_t count) {
    struct event *event = UNSEEN.ringbuf_reserve(sizeof(*event));
    if (!event)
        return 0;
    bpf_get_current_comm(&event->comm, sizeof(event->comm));
    event->pid = bpf_get_current_pid_tgid() >> 32;
    event->count = count;
    UNSEEN.ringbuf_submit(event, 0);
    return 0;
}
""",
    ),
}
"""By what they do: a script, and the cell with the same content."""

WALK = "walk through a module"
DOCUMENTS = {
    "programs by calls of a system call": """
global UNSEEN
probe kernel.function("sys_gettimeofday").return { UNSEEN[execname()]++ }
probe timer.s(5) { exit() }
probe end {
  foreach (name+ in UNSEEN)
    if (UNSEEN[name] / 5 > 1) printf("%s\\t%d\\t%d\\n", name, UNSEEN[name], UNSEEN[name] / 5)
}
""",
    "one line for each call": """
probe kernel.function("sys_gettimeofday").return { UNSEEN = pid(); printf("%d\\t%s\\n", UNSEEN, execname()) }
""",
    "stat calls that fail": """
global UNSEEN
probe syscall.*stat { UNSEEN[tid()] = argstr }
probe syscall.*stat.return {
  if (returnstr(1) != "0")
    printf("%s(%d) %s(%s) -> %s\\n", execname(), pid(), probefunc(), UNSEEN[tid()], returnstr(1))
}
""",
    "network top": """
global UNSEEN, received
probe netdev.transmit { UNSEEN[pid(), dev_name, execname(), uid()] <<< length }
probe netdev.receive { received[pid(), dev_name, execname(), uid()] <<< length }
function show() {
  foreach ([pid, dev, exec, uid] in received-)
    printf("%5d %5d %-7s %7d %7d %-15s\\n", pid, uid, dev, @count(UNSEEN[pid, dev, exec, uid]),
           @sum(received[pid, dev, exec, uid]) / 1024, exec)
  delete UNSEEN
  delete received
}
probe timer.s(5), end, error { show() }
""",
    "files open for long": """
global UNSEEN, names
probe kernel.function("sys_open").return {
  UNSEEN[execname(), task_tid(task_current()), $return] = gettimeofday_us()
  names[execname(), task_tid(task_current()), $return] = user_string($filename)
}
probe kernel.function("sys_close") {
  us = gettimeofday_us() - UNSEEN[execname(), task_tid(task_current()), $fd]
  if (us >= 1000000 && names[execname(), task_tid(task_current()), $fd] != "")
    printf("%10s %6d.%.5d %30s\\n", execname(), us / 1000000, us % 1000000,
           names[execname(), task_tid(task_current()), $fd])
}
""",
    WALK: """
probe module("ext3").function("*").call { printf("%s -> %s\\n", thread_indent(1), probefunc()) }
probe module("ext3").function("*").return { printf("%s <- %s\\n", thread_indent(-1), probefunc()) }
""",
}
"""What the scripts of the project's source documents do."""

_ONLY_C = "if (bpf_get_current_pid_tgid() >> 32 != PID || ctx->args[1] != __NR_GETPPID) return 0;"
_ONLY = "if (pid() == PID && $id == __NR_GETPPID)"
_COUNT_C = _COMM + "BPF_HASH(a, struct name, u64, 2048);\n"
_COUNT_BODY = """struct name name = {};
    bpf_get_current_comm(&name.comm, sizeof(name.comm));
    a.increment(name);
    return 0;
}
"""
_SUM_C = """struct sum { s64 count, sum, min, max; };
BPF_PERCPU_ARRAY(s, struct sum, 1);
"""
_SUM_BODY = """u32 zero = 0;
    struct sum *sum = s.lookup(&zero);
    if (!sum) return 0;
    if (!sum->count || x < sum->min) sum->min = x;
    if (!sum->count || x > sum->max) sum->max = x;
    sum->count++;
    sum->sum += x;
    return 0;
}
"""
_RAW = f"RAW_TRACEPOINT_PROBE(sys_enter) {{\n    {_ONLY_C}\n    "
COSTS = {
    "a[execname()]++": (
        f'global a probe kernel.trace("sys_enter") {{ {_ONLY} a[execname()]++ }}',
        _COUNT_C + _RAW + _COUNT_BODY,
    ),
    "s <<< x": (
        f'global s probe kernel.trace("sys_enter") {{ {_ONLY} s <<< $id }}',
        _SUM_C + _RAW + "s64 x = ctx->args[1];\n    " + _SUM_BODY,
    ),
}
"""On this machine: a script and a cell that look at the getppid(2) of one process."""

LAB_COSTS = {
    "a[execname()]++": (
        'global a probe kernel.function("vfs_write") { a[execname()]++ }',
        _COUNT_C + "int kprobe__vfs_write(struct pt_regs *ctx) {\n    " + _COUNT_BODY,
    ),
    "s <<< x": (
        'global s probe kernel.function("vfs_write") { s <<< $count }',
        _SUM_C
        + "int kprobe__vfs_write(struct pt_regs *ctx, void *file, void *buf, size_t x) {\n    "
        + _SUM_BODY,
    ),
}
"""In the lab: the same for every write."""


def long_script(lines: int) -> str:
    """A script of about so many lines: probes of ten lines, each with its own arrays, and a report."""
    functions = ("vfs_read", "vfs_write", "vfs_open", "vfs_fsync", "vfs_getattr")
    parts = ["global UNSEEN"]
    for i in range(lines // 10 - 1):
        name = functions[i % len(functions)]
        point = f'kernel.function("{name}")' + (".return" if i % 3 == 2 else "")
        parts.append(f"""
global count{i}, time{i}
probe {point} {{
  if (pid() == target()) {{
    count{i}[execname(), tid()]++
    time{i} <<< gettimeofday_us() - UNSEEN
    UNSEEN = gettimeofday_us()
  }} else if (uid() == {i})
    printf("%s %d %s\\n", execname(), uid(), "{name}")
}}""")
    parts.append("probe end { foreach ([name, tid] in count0- limit 10) println(name, tid, @sum(time0)) }")
    return "\n".join(parts)
