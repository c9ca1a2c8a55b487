"""Points that cannot be, each with what is said about it."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import CellError, ProbeNotFoundError, UnsupportedError
from tests.lang.stap.point_kernel import kernel, resolve

TIMERS = "known are s, sec, ms, msec, us, usec, ns, nsec, hz, jiffies, profile"
FILE = 'name the functions by a pattern of their own: kernel.function("sock_*")'
CALLEES = "which functions a function calls is in the kernel's debuginfo, which is not used"
INNER = "probe the inner function by its own name"
INLINED = "where functions were inlined is in the debuginfo, which is not used"

REFUSED = [
    ('begin("x")', CellError, "expected a number in begin(...), found 'x'", None),
    ("never(1)", CellError, "'never' takes nothing in parentheses", None),
    ("oneshot(1)", CellError, "'oneshot' takes nothing in parentheses", None),
    ("begin.call", ProbeNotFoundError, "no probe point 'begin.call' on this kernel", None),
    ("timer", CellError, "expected a unit behind 'timer'", TIMERS),
    ("timer.weeks(1)", ProbeNotFoundError, "no probe point 'timer.weeks(1)' on this kernel", TIMERS),
    ("timer.ms", CellError, "expected a number in ms(...), found nothing", None),
    ("timer.ms(0)", CellError, "ms(0) is too small", "at least 1"),
    ("timer.s(5).randomize(5)", CellError, "randomize(5) must be less than the 5 it is added to", None),
    (
        "timer.s(5).randomise(1)",
        ProbeNotFoundError,
        "no probe point 'timer.s(5).randomise(1)' on this kernel",
        "did you mean randomize?",
    ),
    ("timer.profile.freq", CellError, "expected hz(N) behind 'freq'", None),
    (
        'kernel.function("vfs_reed")',
        ProbeNotFoundError,
        "no kernel function 'vfs_reed' on this kernel",
        "did you mean vfs_read, vfs_write?",
    ),
    (
        'kernel.function("zzz")',
        ProbeNotFoundError,
        "no kernel function 'zzz' on this kernel",
        "it may be inlined into its callers, or in a module that is not loaded",
    ),
    ('kernel.function("zzz_*")', ProbeNotFoundError, "no kernel function 'zzz_*' on this kernel", None),
    (
        'kernel.function("secret")',
        ProbeNotFoundError,
        "no function to probe 'secret' on this kernel",
        "it exists, but is on the kprobes blacklist",
    ),
    (
        'kernel.function("__schedule")',
        ProbeNotFoundError,
        "no function to probe '__schedule' on this kernel",
        "it exists, but the kernel does not let it be traced",
    ),
    (
        'kernel.function("context_switch")',
        ProbeNotFoundError,
        "no function to probe 'context_switch' on this kernel",
        'probe kernel.trace("sched_switch")',
    ),
    (
        'kernel.function("compat_sys_open")',
        ProbeNotFoundError,
        "no function 'compat_sys_open' on this kernel",
        "calls of 32-bit programs and other machines are not traced",
    ),
    (
        'kernel.function("sys_opan")',
        ProbeNotFoundError,
        "no system call 'opan' on this kernel",
        "did you mean open?",
    ),
    (
        'kernel.function("vfs_read").inline',
        ProbeNotFoundError,
        "no inlined function 'kernel.function(\"vfs_read\").inline' on this kernel",
        INLINED,
    ),
    ('kernel.function("vfs_read").callees(2)', UnsupportedError, CALLEES, INNER),
    ('kernel.function("vfs_read").callee("rw_verify_area")', UnsupportedError, CALLEES, INNER),
    (
        'kernel.function("vfs_read").label("out")',
        UnsupportedError,
        "labels are in the kernel's debuginfo, which is not used",
        INNER,
    ),
    (
        'kernel.function("vfs_read").maxactive(3)',
        CellError,
        "maxactive(N) belongs behind 'return'",
        None,
    ),
    (
        'kernel.function("vfs_read").retrun',
        ProbeNotFoundError,
        "no probe point 'kernel.function(\"vfs_read\").retrun' on this kernel",
        "did you mean return?",
    ),
    ("kernel.function", CellError, "expected a string in function(...), found nothing", None),
    (
        'kernel.function("@x")',
        CellError,
        "expected a function, function@file or function+offset, found '@x'",
        None,
    ),
    (
        'kernel.function("*@fs/unknown.c")',
        UnsupportedError,
        "which functions are in 'fs/unknown.c' is not known: the kernel carries no file names",
        FILE,
    ),
    (
        'kernel.function("vfs_read+4").return',
        CellError,
        "a return has no offset",
        'kernel.function("vfs_read").return',
    ),
    (
        'kernel.function("vfs_*+4")',
        CellError,
        "an offset needs a single function, not a pattern",
        None,
    ),
    (
        'kernel.statement("vfs_read@fs/read_write.c:450")',
        UnsupportedError,
        "line '450' of a source file: the kernel carries no line numbers",
        'kernel.function("vfs_read") or kernel.statement("vfs_read+OFFSET")',
    ),
    (
        "kernel.statement(0x1000).absolute",
        ProbeNotFoundError,
        "no kernel function at address '0x1000' on this kernel",
        "/proc/kallsyms lists them",
    ),
    (
        'kernel.function("vfs_read").exported',
        ProbeNotFoundError,
        "no exported function 'vfs_read' on this kernel",
        None,
    ),
    (
        'kernel.data("pid_max").write',
        UnsupportedError,
        "kernel.data is not supported",
        "watch the functions that change it",
    ),
    (
        'kernel.mark("x")',
        UnsupportedError,
        "kernel.mark is not supported",
        'kernel markers are tracepoints since Linux 2.6.32: kernel.trace("NAME")',
    ),
    (
        'module("xfs").function("xfs_read")',
        ProbeNotFoundError,
        "no loaded module 'xfs' on this kernel",
        "load it first: modprobe xfs",
    ),
    (
        'module("nfs").function("nfs_opn")',
        ProbeNotFoundError,
        "no function in module 'nfs' 'nfs_opn' on this kernel",
        "did you mean nfs_open, nfs_close?",
    ),
    (
        'kernel.trace("sched_swich")',
        ProbeNotFoundError,
        "no tracepoint 'sched_swich' on this kernel",
        "did you mean sched_switch, sched_wakeup?",
    ),
    (
        'kernel.trace("syscalls:sys_enter_open")',
        ProbeNotFoundError,
        "no tracepoint 'syscalls:sys_enter_open' on this kernel",
        "probe syscall.open",
    ),
    (
        "perf.sw.moons",
        ProbeNotFoundError,
        "no probe point 'perf.sw.moons' on this kernel",
        "known are cpu_clock, task_clock, page_faults, context_switches, cpu_migrations, page_faults_min, "
        "page_faults_maj, alignment_faults, emulation_faults",
    ),
    ("perf.type(1)", CellError, "expected config(N) behind 'type'", None),
    (
        'perf.hw.cpu_cycles.counter("c")',
        UnsupportedError,
        "a counter that is read by name (.counter) is not supported",
        "count with the handler: perf.hw.instructions.sample(1000) { n += 1000 }",
    ),
    (
        "process",
        CellError,
        "expected an event behind 'process'",
        "known are begin, end, thread, syscall, function, mark, provider, library",
    ),
    (
        'process.function("main")',
        CellError,
        "which program?",
        'process("/usr/bin/python3").function("main"), or -c PROGRAM',
    ),
    (
        'process("/bin/*").function("main")',
        UnsupportedError,
        "a pattern for a program's path is not supported",
        "name one program",
    ),
    (
        'process("/bin/cat").function("m*")',
        UnsupportedError,
        "patterns for functions of programs are not supported",
        "name one function",
    ),
    ("process.insn", UnsupportedError, "single-stepping a process is not supported", None),
    (
        'process("/bin/cat").plt("read")',
        UnsupportedError,
        "probing a program's linkage table is not supported",
        None,
    ),
    (
        'process("/bin/cat").statement("*@cat.c:3")',
        UnsupportedError,
        "probing lines and addresses of programs is not supported",
        None,
    ),
    (
        'procfs("limit").write',
        UnsupportedError,
        "nobody can write to a script from outside",
        "set globals with -G NAME=VALUE",
    ),
    (
        'netfilter.hook("NF_INET_LOCAL_OUT").pf("NFPROTO_IPV4")',
        UnsupportedError,
        "hooks of netfilter are not supported",
        'kernel.function("ip_rcv"), kernel.trace("net_dev_xmit")',
    ),
    (
        'java("app").class("C").method("m")',
        UnsupportedError,
        "methods of Java programs are not supported",
        None,
    ),
    (
        "input.line",
        UnsupportedError,
        "a session has no input",
        "change what it does with another cell",
    ),
    (
        "__syscall.opn",
        ProbeNotFoundError,
        "no system call 'opn' on this kernel",
        "did you mean open?",
    ),
    ("__syscall", CellError, "expected the name of a system call behind '__syscall'", None),
    ("__syscall.zz*", ProbeNotFoundError, "no system call 'zz*' on this kernel", None),
]


@pytest.mark.parametrize(("text", "kind", "message", "hint"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_is_refused(text: str, kind: type[CellError], message: str, hint: str | None) -> None:
    with pytest.raises(CellError) as caught:
        resolve(text)
    assert (type(caught.value), caught.value.message, caught.value.hint) == (kind, message, hint)
    assert caught.value.span is not None


def test_system_calls_of_other_machines_have_other_numbers() -> None:
    with pytest.raises(
        UnsupportedError, match="numbers of system calls are known for x86-64, not for aarch64"
    ):
        resolve("__syscall.open", facts=kernel(machine="aarch64"))
