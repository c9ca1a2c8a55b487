// How do TCP connections open and close, and how long do they stay in each state?
//
// sock:inet_sock_set_state fires whenever a socket changes its state. The states are the
// numbers of include/net/tcp_states.h: 1 is ESTABLISHED, 7 is CLOSE, 10 is LISTEN.
struct change {
    u64 at_ns;
    u64 skaddr; // which socket: its address in the kernel, given to another one later
    u32 oldstate;
    u32 newstate;
    u16 sport;
    u16 dport;
};
BPF_RINGBUF_OUTPUT(changes, 256);

TRACEPOINT_PROBE(sock, inet_sock_set_state) {
    struct change *change;
    if (args->protocol != IPPROTO_TCP) return 0;
    change = changes.ringbuf_reserve(sizeof(*change));
    if (!change) return 0;
    change->skaddr = (u64)args->skaddr;
    change->oldstate = args->oldstate;
    change->newstate = args->newstate;
    change->sport = args->sport;
    change->dport = args->dport;
    change->at_ns = bpf_ktime_get_ns();
    changes.ringbuf_submit(change, 0);
    return 0;
}
