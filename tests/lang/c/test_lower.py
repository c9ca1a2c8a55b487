from __future__ import annotations

import pytest

from ktrace_nb.errors import CellError, OptionError
from ktrace_nb.ir.program import LINE_BASE, Program
from ktrace_nb.lang.c.cell import parse
from ktrace_nb.lang.c.lower import lower
from ktrace_nb.source import Source


def lowered(text: str, **options: object) -> Program:
    return lower(parse(Source(text)), **options)  # type: ignore[arg-type]


PROBE = "int kprobe__vfs_read(void *ctx) { return 0; }\n"


@pytest.mark.parametrize(
    ("function", "kind", "target"),
    [
        ("int kprobe__vfs_read(void *ctx) {}", "kprobe", "vfs_read"),
        ("int kretprobe__vfs_read(void *ctx) {}", "kretprobe", "vfs_read"),
        ("int syscall__openat(void *ctx) {}", "syscall", "openat"),
        ("TRACEPOINT_PROBE(sched, sched_switch) {}", "tracepoint", "sched/sched_switch"),
        ("int tracepoint__odd__cat__event(void *ctx) {}", "tracepoint", "odd__cat/event"),
        ("RAW_TRACEPOINT_PROBE(sys_enter) {}", "raw_tracepoint", "sys_enter"),
        ("KFUNC_PROBE(vfs_open, struct path *p) {}", "fentry", "vfs_open"),
        ("KRETFUNC_PROBE(vfs_open) {}", "fexit", "vfs_open"),
        ("LSM_PROBE(file_open, struct file *f) {}", "lsm", "file_open"),
    ],
)
def test_programs_go_where_their_names_say(function: str, kind: str, target: str) -> None:
    (request,) = lowered(function).probes
    assert (request.kind, request.target) == (kind, target)


def test_attach_options_take_over_from_names_and_may_be_many() -> None:
    program = lowered(
        PROBE, attach=["kprobe:ext4_*:kprobe__vfs_read", "uprobe:/bin/sh:main:kprobe__vfs_read"]
    )
    assert [(r.kind, r.target) for r in program.probes] == [("kprobe", "ext4_*"), ("uprobe", "/bin/sh:main")]


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("kprobe:x", "expected KIND:TARGET:FUNCTION"),
        ("kprube:x:kprobe__vfs_read", "no kind 'kprube'"),
        ("kprobe:x:nowhere", "no program 'nowhere'"),
    ],
)
def test_a_wrong_attach_option_says_what_is_wrong(option: str, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        lowered(PROBE, attach=[option])


def test_a_program_that_goes_nowhere_is_refused_at_its_place() -> None:
    with pytest.raises(CellError, match="'trace_it' is attached to nothing") as caught:
        lowered("static int h(void) { return 1; }\nint trace_it(void *ctx) { return h(); }")
    assert "cell:2:5" in caught.value.lines()


def test_a_cell_without_programs_is_refused() -> None:
    with pytest.raises(CellError, match="defines no probe"):
        lowered("BPF_HASH(h);")


def test_increments_become_exact_and_stay_on_their_lines() -> None:
    text = (
        "BPF_HASH(h, u32);\nBPF_ARRAY(a, u64, 4);\nBPF_HISTOGRAM(d);\nBPF_HASH(odd, u32, struct x);\n"
        "int kprobe__f(void *ctx) {\n h.increment(1,\n  2);\n a.increment(3); d.increment(4);\n"
        " odd.increment(5);\n return 0; }"
    )
    code = lowered(text).code.text
    assert code.count("\n") == text.count("\n")
    assert "ktrace_key_ = 1; typeof(h.leaf) ktrace_by_ = " in code.replace("\n", "")
    assert "a.atomic_increment(3); d.atomic_increment(4);" in code
    assert "odd.increment(5)" in code


def test_a_pid_guards_every_program_and_no_helper() -> None:
    text = "static int h(void) { return 1; }\n" + PROBE + "KFUNC_PROBE(vfs_open) { return h(); }"
    code = lowered(text, pid=42).code.text
    assert code.count("bpf_get_current_pid_tgid() >> 32 != 42") == 2


@pytest.mark.parametrize(
    ("use", "scale"),
    [
        ("d.increment(bpf_log2l(n));", "log2"),
        ("int slot = bpf_log2(n); d.increment(slot);", "log2"),
        ("int slot; slot = bpf_log2l(n / 1000); d.atomic_increment(slot);", "log2"),
        ("d.increment(n / 10);", "linear"),
        ("int other = bpf_log2l(n); d.increment(n);", "linear"),
    ],
)
def test_the_scale_of_a_histogram_follows_its_key(use: str, scale: str) -> None:
    program = lowered("BPF_HISTOGRAM(d);\nint kprobe__f(void *ctx) { int n = 1; " + use + " return 0; }")
    assert program.outputs[0].scale == scale


def test_the_scale_of_a_keyed_histogram_follows_its_member() -> None:
    program = lowered(
        "struct k { u32 dev; u64 slot; };\nBPF_HISTOGRAM(d, struct k);\n"
        "int kprobe__f(void *ctx) {"
        " struct k k = {.dev = 1, .slot = bpf_log2l(9)}; d.increment(k); return 0; }"
    )
    assert program.outputs[0].scale == "log2"


def test_event_types_are_those_of_the_variables_submitted() -> None:
    program = lowered(
        "struct a { int x; }; BPF_PERF_OUTPUT(out); BPF_RINGBUF_OUTPUT(ring, 8);\n"
        "int kprobe__f(void *ctx) {\n"
        " struct a one = {}; u64 two = 1; struct a *three = ring.ringbuf_reserve(4);\n"
        " out.perf_submit(ctx, &one, sizeof(one)); out.perf_submit(ctx, &two, 8);\n"
        " if (three) ring.ringbuf_submit(three, 0); return 0; }"
    )
    assert [o.type_names for o in program.outputs] == [("struct a", "u64"), ("struct a",)]


def test_marks_give_bodies_their_lines_and_columns() -> None:
    text = "static int h(void)\n{\n return 1; }\n" + PROBE
    program = lowered(text, pid=7)
    marked = program.marked_text().split("\n")
    at = marked.index(f"#line {LINE_BASE + 4}")
    column = text.split("\n")[3].index("{") + 1
    assert marked[at + 1][:column].isspace()
    assert marked[at + 1][column:].startswith(" if (bpf_get_current_pid_tgid()")
    assert f"#line {LINE_BASE + 2}" in marked
