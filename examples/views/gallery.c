/* How long reads take, and how much each program reads. */
BPF_HASH(_began, u32, u64);
BPF_HISTOGRAM(latency_ns);
struct who { char comm[TASK_COMM_LEN]; };
BPF_HASH(bytes, struct who, u64);

int kprobe__vfs_read(struct pt_regs *ctx) {
    u32 tid = bpf_get_current_pid_tgid();
    u64 now = bpf_ktime_get_ns();
    _began.update(&tid, &now);
    return 0;
}

int kretprobe__vfs_read(struct pt_regs *ctx) {
    u32 tid = bpf_get_current_pid_tgid();
    u64 *at = _began.lookup(&tid);
    struct who who = {};
    int n = PT_REGS_RC(ctx);
    if (!at) return 0;
    latency_ns.increment(bpf_log2l(bpf_ktime_get_ns() - *at));
    _began.delete(&tid);
    if (n > 0) {
        bpf_get_current_comm(who.comm, sizeof(who.comm));
        bytes.increment(who, n);
    }
    return 0;
}
