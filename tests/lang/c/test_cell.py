from __future__ import annotations

from ktrace_nb.lang.c.cell import CCell, parse
from ktrace_nb.source import Source

CELL = """\
#include <linux/sched.h>
#define COMM 16
struct event { u64 at; char comm[COMM]; };
typedef struct { u32 dev; u64 slot; } disk_key_t;
#ifdef CONFIG_SMP
struct hidden { int a; };
#endif
BPF_HISTOGRAM(bytes);
BPF_HISTOGRAM(dist, disk_key_t);
BPF_TABLE("lru_hash", u32, u64, seen, 100);
BPF_TABLE("histogram", int, u64, old_way, 64);
BPF_PERF_OUTPUT(events); BPF_RINGBUF_OUTPUT(ring, 8);
BPF_STACK_TRACE(stacks, 1024);
static inline int helper(int a) { return a > 0; }
int kprobe__vfs_read(struct pt_regs *ctx)
{
    struct event e = {};
    events.perf_submit(ctx, &e, sizeof(e));
    bytes.increment(bpf_log2l(1));
    return 0;
}
TRACEPOINT_PROBE(block, block_rq_issue) { return args->dev; }
KFUNC_PROBE(vfs_open, struct path *p) { return 0; }
MODULE_KFUNC_PROBE(nfs, nfs_open, struct inode *i) { return 0; }
RAW_TRACEPOINT_PROBE(sys_enter) { return 0; }
"""


def cell() -> CCell:
    return parse(Source(CELL))


def test_tables_are_found_with_their_kinds() -> None:
    assert {t.name: t.kind for t in cell().tables} == {
        "bytes": "histogram",
        "dist": "histogram",
        "seen": "map",
        "old_way": "histogram",
        "events": "events",
        "ring": "events",
        "stacks": "stacks",
    }


def test_functions_are_found_by_the_names_bcc_gives_them() -> None:
    assert [(f.name, f.is_static) for f in cell().functions] == [
        ("helper", True),
        ("kprobe__vfs_read", False),
        ("tracepoint__block__block_rq_issue", False),
        ("kfunc__vfs_open", False),
        ("kfunc__nfs__nfs_open", False),
        ("raw_tracepoint__sys_enter", False),
    ]


def test_a_body_begins_behind_its_brace() -> None:
    for function in cell().functions:
        assert CELL[function.body - 1] == "{"


def test_structures_that_a_condition_may_take_away_are_left_out() -> None:
    assert cell().structs == ("struct event", "disk_key_t")


def test_calls_know_their_arguments() -> None:
    submit, increment = cell().calls
    assert (submit.table, submit.method, submit.arguments) == (
        "events",
        "perf_submit",
        ("ctx", "&e", "sizeof(e)"),
    )
    span = increment.argument_spans[0]
    assert CELL[span.start : span.end] == "bpf_log2l(1)"


def test_words_of_directives_count() -> None:
    assert {"CONFIG_SMP", "COMM", "linux", "block_rq_issue"} <= cell().words


def test_text_that_is_no_c_is_survived() -> None:
    found = parse(Source('probe kernel.function("vfs_*") { printf("%s\\n", ppfunc()) } BPF_HASH( { ('))
    assert not found.tables
