"""A small kernel for tests of probe points, its facts in the kernel's own formats."""

from __future__ import annotations

import re

from ktrace_nb.diagnostics import Problem
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap import points, tree
from ktrace_nb.source import Place, Source, Span
from tests.facts_kit import StoredFacts
from tests.kernel_facts.btf_writer import BtfWriter

KALLSYMS = """\
ffffffff81000000 T _text
ffffffff81001000 T vfs_read
ffffffff81002000 T vfs_write
ffffffff81002800 t vfs_part.part.0
ffffffff81003000 t do_work.isra.0
ffffffff81003500 t do_work.cold
ffffffff81004000 T kernel_clone
ffffffff81004800 T submit_bio
ffffffff81004900 T submit_bio_noacct
ffffffff81005000 t secret
ffffffff81005800 T __schedule
ffffffff81005900 T schedule_tail
ffffffff81006000 T sock_alloc
ffffffff81006100 t sock_inner
ffffffff81006200 T sock_create
ffffffff81006300 T other_file
ffffffff81007000 T ext4_lookup
ffffffff81007100 T ext4_file_write_iter
ffffffff81007200 t ext4_put.isra.0
ffffffff81007300 T seven_words
ffffffff81007400 T by_value
ffffffff81007500 T no_types
ffffffff81007600 T nothing
ffffffff81008000 T __x64_sys_open
ffffffff81008100 T __x64_sys_openat
ffffffff81008200 T __x64_sys_newstat
ffffffff81008300 T __x64_sys_newfstatat
ffffffff81008400 T __x64_sys_gettimeofday
ffffffff81008500 T __x64_sys_bpf
ffffffff81008600 T __x64_sys_fork
ffffffff81008700 T __x64_sys_clone
ffffffff81008800 T __x64_sys_read
ffffffff81008900 T copy_page_noprof
ffffffff82001000 R __ksymtab_vfs_write
ffffffffc0001000 t nfs_open\t[nfs]
ffffffffc0001100 t nfs_close\t[nfs]
"""

_NOT_TRACEABLE = {"_text", "do_work.cold", "__schedule", "__ksymtab_vfs_write"}

_COMMON = """\
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;
"""


def _format(name: str, *fields: str) -> str:
    lines = [
        f"\tfield:{field};\toffset:{16 + 8 * n};\tsize:8;\tsigned:0;\n" for n, field in enumerate(fields)
    ]
    return f'name: {name}\nID: 1\nformat:\n{_COMMON}{"".join(lines)}\nprint fmt: ""\n'


FORMATS = {
    "syscalls/sys_enter_open": _format(
        "sys_enter_open", "const char * filename", "int flags", "umode_t mode"
    ),
    "syscalls/sys_enter_openat": _format(
        "sys_enter_openat", "int dfd", "const char * filename", "int flags", "umode_t mode"
    ),
    "syscalls/sys_enter_newstat": _format(
        "sys_enter_newstat", "const char * filename", "struct stat * statbuf"
    ),
    "syscalls/sys_enter_newfstatat": _format(
        "sys_enter_newfstatat", "int dfd", "const char * filename", "struct stat * statbuf", "int flag"
    ),
    "syscalls/sys_enter_gettimeofday": _format("sys_enter_gettimeofday", "void * tv", "void * tz"),
    "syscalls/sys_enter_fork": _format("sys_enter_fork"),
    "syscalls/sys_enter_clone": _format(
        "sys_enter_clone", "unsigned long clone_flags", "unsigned long newsp"
    ),
    "syscalls/sys_enter_read": _format("sys_enter_read", "unsigned int fd", "char * buf", "size_t count"),
}

EVENTS = ("sched/sched_switch", "sched/sched_wakeup", "sched/sched_process_exec", "sched/sched_process_exit")


def _btf(*, trampolines: bool) -> bytes:
    w = BtfWriter()
    integer, unsigned = w.integer("int", 4, signed=True), w.integer("unsigned int", 4)
    char, long = w.integer("char", 1, signed=True), w.integer("long int", 8, signed=True)
    ulong = w.integer("long unsigned int", 8)
    string = w.refer(Kind.PTR, w.refer(Kind.CONST, char))
    pointer = w.refer(Kind.PTR, 0)
    w.refer(Kind.TYPEDEF, w.integer("short unsigned int", 2), "umode_t")
    w.refer(Kind.TYPEDEF, ulong, "size_t")
    w.refer(Kind.PTR, w.record("stat", 144, [("st_size", long, 8 * 48)]))
    w.refer(Kind.PTR, char)
    task = w.refer(Kind.PTR, w.record("task_struct", 64, [("flags", unsigned, 8 * 44)]))
    bio = w.refer(Kind.PTR, w.record("bio", 32, [("bi_opf", unsigned, 8 * 16)]))
    args = w.refer(
        Kind.PTR, w.record("kernel_clone_args", 64, [("flags", ulong, 0), ("stack", ulong, 8 * 40)])
    )
    pair = w.record("pair", 16, [("first", long, 0), ("second", long, 64)])

    def function(name: str, result: int, *parameters: tuple[str, int]) -> None:
        w.refer(Kind.FUNC, w.prototype(result, parameters), name)

    function("vfs_read", long, ("file", pointer), ("buf", string), ("count", ulong), ("pos", pointer))
    function("vfs_write", long, ("file", pointer), ("buf", string), ("count", ulong), ("pos", pointer))
    function("kernel_clone", integer, ("args", args))
    function("submit_bio", 0, ("bio", bio))
    function("submit_bio_noacct", 0, ("bio", bio))
    function("seven_words", integer, *((f"p{n}", long) for n in range(7)))
    function("by_value", integer, ("before", integer), ("pair", pair), ("behind", integer))
    function("ext4_lookup", pointer, ("dir", pointer))
    function("ext4_file_write_iter", long, ("iocb", pointer), ("from", pointer))
    function("sock_alloc", pointer)
    function("sock_inner", integer, ("sock", pointer))
    function("sock_create", integer, ("family", integer))
    function("nothing", 0)
    function("copy_page_noprof", pointer)
    function("__traceiter_sched_switch", integer, ("__data", pointer), ("prev", task), ("next", task))
    traced = w.prototype(0, [("", pointer), ("", task), ("", task)])
    w.refer(Kind.TYPEDEF, w.refer(Kind.PTR, traced), "btf_trace_sched_switch")
    woken = w.prototype(0, [("", pointer), ("", task)])
    w.refer(Kind.TYPEDEF, w.refer(Kind.PTR, woken), "btf_trace_sched_wakeup")
    if trampolines:
        function("register_ftrace_direct", integer)
    return w.blob()


def kernel(
    *, trampolines: bool = True, config: str = "CONFIG_HZ=250\n", machine: str = "x86_64"
) -> KernelFacts:
    """The facts."""
    functions = []
    for line in KALLSYMS.splitlines():
        name, _, module = line.split(" ", 2)[2].partition("\t")
        if name not in _NOT_TRACEABLE:
            functions.append(f"{name} {module}".strip())
    events = [*EVENTS, *FORMATS]
    facts = {
        "kallsyms": KALLSYMS.encode(),
        "functions": "\n".join(functions).encode(),
        "blacklist": b"0xffffffff81005000-0xffffffff81005100\tsecret\n",
        "tracepoints": "\n".join(event.replace("/", ":") for event in events).encode(),
        "config": config.encode(),
        "btf": _btf(trampolines=trampolines),
    }
    return KernelFacts(StoredFacts(facts, FORMATS), release="6.12.0", machine=machine, cpus=2)


FACTS = kernel()

_PART = re.compile(r'([\w*?]+)(?:\(("[^"]*"|-?\w+)\))?(?:\.|$)')


def point(text: str) -> tree.Point:
    """A probe point from its text."""
    source = Source(text)
    components = []
    for match in _PART.finditer(text):
        argument = match[2]
        value: int | str | None = argument
        if argument is not None:
            value = argument[1:-1] if argument.startswith('"') else int(argument, 0)
        components.append(tree.Component(Place(source, Span(*match.span())), match[1], value))
    return tree.Point(Place(source, Span(0, len(text))), tuple(components))


def resolve(
    text: str, *, facts: KernelFacts = FACTS, **settings: object
) -> tuple[list[points.Resolved], list[str]]:
    """What a point is, and the notes."""
    problems: list[Problem] = []
    made = points.resolve(point(text), facts, problems, points.Settings(**settings))  # type: ignore[arg-type]
    assert all(problem.severity == "note" for problem in problems)
    return made, [problem.message for problem in problems]


def one(text: str, *, facts: KernelFacts = FACTS, **settings: object) -> points.Resolved:
    """The only point that a text stands for."""
    (made,), _ = resolve(text, facts=facts, **settings)
    return made


def targets(resolved: points.Resolved) -> list[tuple[str, str]]:
    """Kind and target of each place it is at."""
    return [(request.kind, request.target) for request in resolved.requests]


def names(resolved: points.Resolved) -> list[str]:
    """The names of its variables."""
    return [variable.name for variable in resolved.probe_context.variables]
