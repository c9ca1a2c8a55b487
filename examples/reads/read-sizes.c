// How large are the reads of this machine, and who reads?
//
// vfs_read() serves every read(2) from a file, a pipe, a terminal. Its return
// value is the number of bytes read, 0 at the end of a file, negative for an error.
BPF_HISTOGRAM(bytes);
BPF_HASH(by_pid, u32, u64);

int kretprobe__vfs_read(struct pt_regs *ctx) {
    int n = PT_REGS_RC(ctx);
    if (n <= 0) return 0;
    bytes.increment(bpf_log2l(n));
    by_pid.increment(bpf_get_current_pid_tgid() >> 32, n);
    return 0;
}
