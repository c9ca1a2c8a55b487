"""Old names on new kernels, system calls and their successors, and why a probe is silent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.old_names import CHANGED, FUNCTIONS, TRACEPOINTS
from ktrace_nb.kernel.syscall_table import NUMBERS, call_name
from ktrace_nb.lang.stap import points
from ktrace_nb.lang.stap.successors import SOMETIMES, SUCCESSORS, VDSO
from tests.lang.stap.point_kernel import FACTS, names, one, resolve, targets

HEADERS = [
    Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    Path("/usr/include/asm/unistd_64.h"),
]


def test_numbers_of_system_calls_are_those_of_the_c_library() -> None:
    header = next(path for path in HEADERS if path.exists()).read_text()
    expected = {m[1]: int(m[2]) for m in re.finditer(r"^#define __NR_(\w+) (\d+)$", header, re.MULTILINE)}
    assert len(expected) > 300
    assert {name: NUMBERS.get(name) for name in expected} == expected


def test_every_name_of_a_call_leads_to_the_table() -> None:
    assert call_name("newstat") == "stat"
    assert call_name("recv") == "recvfrom"
    assert call_name("openat") == "openat"
    assert call_name("no_such_call") == "no_such_call"


def test_a_system_call_is_told_by_its_number() -> None:
    made, _ = resolve("__syscall.read.return")
    assert [(m.context, m.syscalls, targets(m)) for m in made] == [
        ("sys_exit", (0,), [("raw_tracepoint", "sys_exit")])
    ]
    context = made[0].probe_context
    assert [(v.name, v.expr, v.user) for v in context.variables] == [
        ("fd", ir.Argument(0), True),
        ("buf", ir.Argument(1), True),
        ("count", ir.Argument(2), True),
    ]
    btf = FACTS.btf
    assert btf.name(context.variables[0].type_id) == "unsigned int"
    assert btf.name(btf.resolve(btf.referent(context.variables[1].type_id))) == "char"
    assert btf.name(context.variables[2].type_id) == "size_t"
    assert context.returns is not None
    assert btf.name(context.returns.type_id) == "long int"
    assert not context.parameters_saved
    assert made[0].name == 'kernel.function("__x64_sys_read").return'


def test_a_script_that_names_open_sees_openat_too_and_is_told_so() -> None:
    made, notes = resolve('kernel.function("sys_open").return')
    assert [m.syscalls for m in made] == [(2,), (257,)]
    assert names(made[1]) == ["filename", "flags", "mode", "dfd"]
    # openat(dfd, filename, flags, mode): everything stands one place further.
    assert [v.expr for v in made[1].probe_context.variables[:3]] == [ir.Argument(n) for n in (1, 2, 3)]
    assert notes == ["programs of today call 'openat' in place of 'open': it is probed too"]


def test_a_script_that_names_both_keeps_them_apart() -> None:
    made, notes = resolve("__syscall.open", named_syscalls=frozenset(("open", "openat")))
    assert ([m.syscalls for m in made], notes) == ([(2,)], [])


def test_stat_is_newfstatat_that_follows_links() -> None:
    made, _ = resolve("__syscall.stat")
    assert [m.syscalls for m in made] == [(4,), (262,)]
    # AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, in the fourth argument.
    flags = ir.Binary("&", ir.Argument(3), ir.Number(0x1100))
    assert made[1].condition == ir.Compare("==", flags, ir.Number(0))


def test_fork_is_a_clone_that_shares_no_memory() -> None:
    made, _ = resolve("__syscall.fork")
    assert [m.syscalls for m in made] == [(57,), (56,)]
    # CLONE_VM | CLONE_VFORK, in the first argument.
    flags = ir.Binary("&", ir.Argument(0), ir.Number(0x4100))
    assert made[1].condition == ir.Compare("==", flags, ir.Number(0))


def test_a_call_that_programs_answer_themselves_says_so() -> None:
    made, notes = resolve('kernel.function("sys_gettimeofday").return')
    assert [m.syscalls for m in made] == [(96,)]
    assert notes == [
        "programs seldom make the system call 'gettimeofday': "
        "the C library answers it in the process itself (vDSO)"
    ]


def test_a_pattern_of_calls_is_one_program_where_no_variables_are_used() -> None:
    every = one("__syscall.*", variables_used=False)
    assert (every.syscalls, every.context) == ((), "sys_enter")
    opens = one("__syscall.open*", variables_used=False)
    assert opens.syscalls == (2, 257)
    assert len(resolve("__syscall.open*")[0]) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("do_fork", "kernel_clone"),
        ("_do_fork", "kernel_clone"),
        ("generic_make_request", "submit_bio_noacct"),
        ("ext3_lookup", "ext4_lookup"),
        ("ext3_file_write", "ext4_file_write_iter"),
        ("__vfs_read", "vfs_read"),
    ],
)
def test_an_old_name_is_found_and_said(old: str, new: str) -> None:
    (made,), notes = resolve(f'kernel.function("{old}")')
    assert targets(made) == [("kprobe", new)]
    assert len(notes) == 1
    assert notes[0].startswith(f"'{old}' is '{new}' on this kernel (Linux ")


def test_parameters_of_do_fork_are_members_of_what_kernel_clone_gets() -> None:
    made = one('kernel.function("do_fork")')
    variables = {v.name: v.expr for v in made.probe_context.variables}
    # struct kernel_clone_args of the small kernel: flags at 0, stack at 40.
    start = ir.Argument(0)
    assert variables["clone_flags"] == ir.Load(ir.Binary("+", start, ir.Number(0)), 8, False)
    assert variables["stack_start"] == ir.Load(ir.Binary("+", start, ir.Number(40)), 8, False)
    assert "parent_tidptr" not in variables


def test_submit_bio_still_tells_whether_it_writes() -> None:
    rw = next(v for v in one('kernel.function("submit_bio")').probe_context.variables if v.name == "rw")
    flags = ir.Load(ir.Binary("+", ir.Argument(0), ir.Number(16)), 4, False)
    assert rw.expr == ir.Binary("&", flags, ir.Number(1))


def test_a_pattern_of_old_names_is_translated() -> None:
    made, notes = resolve('kernel.function("ext3_l*")')
    assert [target for m in made for _, target in targets(m)] == ["ext4_lookup"]
    assert notes == ["'ext3_l*' is 'ext4_l*' on this kernel"]


def test_rows_of_old_names_lead_somewhere() -> None:
    for name, row in FUNCTIONS.items():
        assert row.to or row.instead, name
        assert name not in row.to
        assert re.fullmatch(r"(\d[\d.]*(, [0-9a-f]{12})?)?", row.since), name
    assert all(re.match(r"\d", since) for _, since in TRACEPOINTS.values())
    assert all(re.match(r"\d", row.since) for row in CHANGED.values())


def test_successors_are_system_calls() -> None:
    for call, successors in SUCCESSORS.items():
        assert call in NUMBERS
        assert all(successor.call in NUMBERS for successor in successors)
    for call, others in SOMETIMES.items():
        assert NUMBERS.keys() >= {call, *others}
    assert NUMBERS.keys() >= VDSO


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("__syscall.read", None),
        ("__syscall.open", "programs of today call openat or openat2 in place of open"),
        (
            "__syscall.gettimeofday",
            "programs do not make the system call 'gettimeofday': "
            "the C library answers it in the process (vDSO)",
        ),
        ('kernel.function("vfs_read")', None),
        ('kernel.function("submit_bio")', None),
        ('kernel.function("sock_alloc")', None),
    ],
)
def test_a_silent_probe_is_explained(text: str, reason: str | None) -> None:
    assert points.silence(resolve(text)[0][0], FACTS) == reason
