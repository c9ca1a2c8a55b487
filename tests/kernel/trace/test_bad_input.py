"""Whatever is wrong: a short error at its place, and nothing left attached."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import CompileError, KTraceError, ProbeNotFoundError, VerifierError
from tests.kernel.trace.kit import Guest, Trace

pytestmark = pytest.mark.kernel


def refused(trace: Trace, guest: Guest, cell: str, **options: object) -> KTraceError:
    before = guest.attached()
    with pytest.raises(KTraceError) as caught:
        trace(cell, **options)
    assert guest.attached() == before
    return caught.value


def test_c_that_does_not_compile_points_at_the_mistake(trace: Trace, guest: Guest) -> None:
    cell = (
        "BPF_HASH(h, u32);\nint kprobe__vfs_read(void *ctx) {\n    u32 k = 1\n    h.increment(k);\n"
        "    return 0;\n}"
    )
    error = refused(trace, guest, cell)
    assert isinstance(error, CompileError)
    assert error.lines() == [
        "CompileError: expected ';' at end of declaration",
        "cell:3:14",
        "        u32 k = 1",
        "                 ^",
    ]


def test_a_mistake_behind_an_edited_call_keeps_its_column(trace: Trace, guest: Guest) -> None:
    cell = "BPF_HASH(h, u32);\nint kprobe__vfs_read(void *ctx) { h.increment(1); return nothing; }"
    error = refused(trace, guest, cell)
    assert error.lines()[1:4] == [
        "cell:2:58",
        "    int kprobe__vfs_read(void *ctx) { h.increment(1); return nothing; }",
        "                                                             ^^^^^^^",
    ]


def test_a_member_that_this_kernel_lacks_gets_near_ones(trace: Trace, guest: Guest) -> None:
    cell = "int kprobe__vfs_read(struct pt_regs *ctx, struct file *f) { return f->f_innode != 0; }"
    assert refused(trace, guest, cell).problems[0].hint == "did you mean f_inode?"


def test_a_program_the_verifier_refuses_gets_reason_and_line(trace: Trace, guest: Guest) -> None:
    cell = (
        "BPF_HASH(h, u32);\nint kprobe__vfs_read(void *ctx) {\n    u32 k = 1;\n    u64 *v = h.lookup(&k);\n"
        "    *v += 1;\n    return 0;\n}"
    )
    error = refused(trace, guest, cell)
    assert isinstance(error, VerifierError)
    assert "the pointer may be NULL here" in error.message
    assert error.lines()[1:4] == ["cell:5:5", "        *v += 1;", "        ^^^^^^^^"]
    assert "--show bytecode" in (error.hint or "")


@pytest.mark.parametrize(
    ("cell", "options", "near"),
    [
        ("int kprobe__vfs_reed(void *ctx) { return 0; }", {}, "vfs_read"),
        ("TRACEPOINT_PROBE(sched, sched_swich) { return 0; }", {}, "sched/sched_switch"),
        ("RAW_TRACEPOINT_PROBE(sys_entry) { return 0; }", {}, "sys_enter"),
        ("KFUNC_PROBE(vfs_opne) { return 0; }", {}, "vfs_open"),
        ("int syscall__opanat(void *ctx) { return 0; }", {}, "openat"),
        ("int f(void *ctx) { return 0; }", {"attach": ("uprobe:c:mallloc:f",)}, "malloc"),
        (
            "int f(void *ctx) { return 0; }",
            {"attach": ("usdt:python3:python:gc__strat:f",)},
            "python:gc__start",
        ),
    ],
)
def test_an_unknown_probe_gets_near_matches(
    trace: Trace, guest: Guest, cell: str, options: dict[str, object], near: str
) -> None:
    error = refused(trace, guest, cell, **options)
    assert isinstance(error, ProbeNotFoundError)
    assert near in (error.hint or "")
    assert error.span is not None


def test_a_file_that_is_not_there_is_named(trace: Trace, guest: Guest) -> None:
    error = refused(trace, guest, "int f(void *ctx) { return 0; }", attach=("uprobe:/no/such:main:f",))
    assert "/no/such" in error.message


def test_a_command_that_cannot_run_leaves_nothing(trace: Trace, guest: Guest) -> None:
    error = refused(trace, guest, "int kprobe__vfs_read(void *ctx) { return 0; }", command="no-such-program")
    assert "no-such-program" in error.message


def test_when_one_probe_cannot_be_attached_none_stays(trace: Trace, guest: Guest) -> None:
    cell = "int kprobe__vfs_read(void *ctx) { return 0; }\nint f(void *ctx) { return 0; }"
    refused(trace, guest, cell, attach=("uprobe:c:no_such_function:f",))


def test_a_macro_nobody_defines_is_no_silent_branch(trace: Trace, guest: Guest) -> None:
    cell = "#ifdef SOME_HEADER_MACRO\nint a;\n#endif\nint kprobe__vfs_read(void *ctx) { return 0; }"
    error = refused(trace, guest, cell)
    assert "SOME_HEADER_MACRO" in error.message
    assert error.lines()[1] == "cell:1:8"


def test_a_stack_too_deep_names_the_program(trace: Trace, guest: Guest) -> None:
    cell = (
        "int kprobe__vfs_read(void *ctx) { char b[600]; bpf_get_current_comm(&b, sizeof(b));\n"
        ' bpf_trace_printk("%s", b); return 0; }'
    )
    error = refused(trace, guest, cell)
    assert isinstance(error, CompileError)
    assert "stack" in error.message
    assert error.span is not None
    # LLVM ends the compiler's process over this; the next cell gets a new one.
    trace("int kprobe__vfs_read(void *ctx) { return 0; }", seconds=0.2)
