"""From a walk to C for bcc: programs at entries and returns, and those that tell of threads.

The C needs nothing of the kernel's headers. One program at entries and one at returns
serve all functions, which they tell apart by the cookie of the attachment; of
trampolines every function has two of its own. ``calls.h``, put in front, has what they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ktrace_nb.errors import UnsupportedError
from ktrace_nb.ir import calls as ir
from ktrace_nb.ir.program import Output, Program
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.source import Edited, Source, Span

RING_PAGES = 4096
"""Pages of the ring, a power of two: 16 MiB, some 200,000 records."""
_TRACKED = 16_384
"""Processes that may be recorded at once."""
_THREADS = 16_384
"""Threads that may have calls open at once."""
_OPEN = 65_536
"""Calls that may be open at once, in all threads together, where programs keep them."""

_REGISTERS = {"di": 14, "si": 13, "dx": 12, "cx": 11, "r8": 9, "r9": 8, "ax": 10, "sp": 19}
"""Words of ``struct pt_regs`` (Linux ``arch/x86/include/asm/ptrace.h``)."""
_ARGUMENTS = ("di", "si", "dx", "cx", "r8", "r9")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkOptions:
    """What is said beside the patterns that the C depends on."""

    capped: bool = False
    """Whether records are admitted at a rate that is set while programs run."""
    throttled: bool = False
    """Whether programs run for a share of the time that is set while they do."""
    ring_pages: int = RING_PAGES


def program_of(walk: ir.Walk, facts: KernelFacts, options: WalkOptions) -> Program:
    """The C of a walk as something to compile.

    Raises:
        UnsupportedError: A kernel whose registers are others.
    """
    if facts.machine != "x86_64":
        raise UnsupportedError(f"calls are recorded on x86_64 only, this is {facts.machine}")
    lines, outputs = _tables(walk, options)
    programs = list(_programs(walk, facts, options))
    text = "".join(f"{line}\n" for line in [*_defines(walk), *_text(lines)])
    functions, bodies = [], []
    for name, body in programs:
        at = len(text) + len("\nint ")
        functions.append((name, Span(at, at + len(name))))
        text += f"\nint {name}(u64 *ctx)\n{{\n"
        bodies.append(len(text) - 1)
        text += "".join(f"\t{line}\n" for line in body) + "}\n"
    source = Source(text, "calls.c")
    return Program(
        source=source,
        code=Edited(source, []),
        probes=(),
        outputs=tuple(outputs),
        functions=tuple(functions),
        bodies=tuple(bodies),
        capped=options.capped,
        throttled=options.throttled,
        walk=walk,
    )


@cache
def _helpers() -> str:
    return (resources.files("ktrace_nb.codegen") / "calls.h").read_text(encoding="utf-8")


def _text(tables: list[str]) -> list[str]:
    """The helpers, with the tables behind the structures that are in them."""
    head, mark, rest = _helpers().partition("CALLS_INLINE_ u32 calls_thread_(void)")
    return [*head.splitlines(), *tables, "", *(mark + rest).splitlines()]


def _defines(walk: ir.Walk) -> list[str]:
    focus = walk.focus
    wanted = {
        "TRACKED": "1" if focus.tracked else "",
        "STATE": "1" if _has_state(walk) else "",
        "ROOTS": "1" if focus.roots else "",
        "DEPTH": str(focus.depth or ""),
        "FOLLOW": f"{focus.followed:#x}ULL" if focus.follow else "",
        "COMPLETED": "1" if focus.completed else "",
        "ERRORS": "1" if focus.errors else "",
        "LONGER": f"{focus.longer_ns}ULL" if focus.longer_ns else "",
    }
    # What is not defined must say so: a test of an unknown name is an error, see codegen/directives.py.
    return [
        f"#define CALLS_{name}_ {value}" if value else f"#undef CALLS_{name}_"
        for name, value in wanted.items()
    ]


def _has_state(walk: ir.Walk) -> bool:
    """Whether programs keep open calls; the tracer does so itself."""
    return walk.focus.stateful and walk.means != ir.GRAPH


def _tables(walk: ir.Walk, options: WalkOptions) -> tuple[list[str], list[Output]]:
    """Declarations of the maps, and the maps in their order."""
    focus = walk.focus
    lines, outputs = [], []
    if focus.tracked:
        lines.append(f"BPF_HASH({ir.TRACKED}, u32, u8, {_TRACKED});")
        outputs.append(Output(ir.TRACKED, "map"))
    if _has_state(walk):
        lines.append(f"BPF_HASH({ir.THREADS}, u32, u32, {_THREADS});")
        lines.append(f"BPF_HASH({ir.OPEN}, struct calls_level_, struct calls_open_, {_OPEN});")
        outputs += [Output(ir.THREADS, "map"), Output(ir.OPEN, "map")]
    if focus.follow and _has_state(walk):
        lines.append(f"BPF_ARRAY({ir.FOLLOWED}, u64, 1);")
        outputs.append(Output(ir.FOLLOWED, "map"))
    lines.append(f"BPF_RINGBUF_OUTPUT({ir.RING}, {options.ring_pages});")
    outputs.append(Output(ir.RING, "events"))
    return lines, outputs


# --- programs ------------------------------------------------------------------------------


def _programs(walk: ir.Walk, facts: KernelFacts, options: WalkOptions) -> Iterator[tuple[str, list[str]]]:
    """Names and bodies; each counts its hits in the row of its number."""
    made: list[tuple[str, list[str]]] = []
    if walk.means == ir.FENTRY:
        for number, function in enumerate(walk.functions):
            cookie = f"{function.cookie(number):#x}ULL"
            made.append((ir.own_program(ir.ENTRY_PROGRAM, number), _entry(cookie, trampoline=True)))
            made.append((ir.own_program(ir.RETURN_PROGRAM, number), _return(cookie, trampoline=True)))
    elif walk.means != ir.GRAPH:
        cookie = "bpf_get_attach_cookie(ctx)"
        made.append((ir.ENTRY_PROGRAM, _entry(cookie, trampoline=False)))
        made.append((ir.RETURN_PROGRAM, _return(cookie, trampoline=False)))
    for row, (name, body) in enumerate(made):
        skipped = " || ktrace_skip_()" if options.throttled else ""
        guards = ["if (!calls_is_tracked_(bpf_get_current_pid_tgid() >> 32))", "\treturn 0;"]
        guards += [f"if (ktrace_off_({ir.SWITCH_ROW}){skipped})", "\treturn 0;"]
        yield name, [*guards, f"ktrace_hit_({row});", *body, "return 0;"]
    for row, (name, body) in enumerate(_thread_programs(facts), len(made)):
        yield name, [f"ktrace_hit_({row});", *body, "return 0;"]


def _entry(cookie: str, *, trampoline: bool) -> list[str]:
    if trampoline:
        values = [f"calls_argument_(ctx, {i})" for i in range(len(_ARGUMENTS))]
        frame = "calls_frame_of_(ctx)"
    else:
        values = [f"ctx[{_REGISTERS[name]}]" for name in _ARGUMENTS]
        frame = f"ctx[{_REGISTERS['sp']}] >> 3"
    return [f"u64 values[] = {{{', '.join(values)}}};", f"calls_enter_({cookie}, {frame}, values);"]


def _return(cookie: str, *, trampoline: bool) -> list[str]:
    if trampoline:
        lines = ["u64 result = 0;", "bpf_get_func_ret(ctx, &result);"]
        return [*lines, f"calls_leave_({cookie}, calls_frame_of_(ctx), result);"]
    # At the return its address is no longer on the stack.
    frame = f"(ctx[{_REGISTERS['sp']}] - 8) >> 3"
    return [f"calls_leave_({cookie}, {frame}, ctx[{_REGISTERS['ax']}]);"]


def _thread_programs(facts: KernelFacts) -> list[tuple[str, list[str]]]:
    task = facts.btf.find("task_struct", Kind.STRUCT)[0]

    def offset(name: str) -> int:
        member = facts.btf.member(task, name)
        assert member is not None, name
        return member.bit_offset // 8

    tid, process, comm = offset("pid"), offset("tgid"), offset("comm")
    not_tracked = ["if (!calls_is_tracked_(process))", "\treturn 0;"]

    def of(argument: int) -> list[str]:
        return [
            f"u32 tid = calls_member_(ctx[{argument}], {tid});",
            f"u32 process = calls_member_(ctx[{argument}], {process});",
        ]

    fork = [
        *of(1),
        "#ifdef CALLS_TRACKED_",
        "u8 yes = 1;",
        "if (!calls_is_tracked_(bpf_get_current_pid_tgid() >> 32))",
        "\treturn 0;",
        f"{ir.TRACKED}.update(&process, &yes);",
        "#endif",
        f"calls_send_thread_(CALLS_THREAD_, CALLS_FORK_, tid, process, (const char *)(ctx[1] + {comm}));",
    ]
    run = [
        *of(0),
        *not_tracked,
        f"calls_send_thread_(CALLS_THREAD_, CALLS_EXEC_, tid, process, (const char *)(ctx[0] + {comm}));",
    ]
    rename = [
        *of(0),
        *not_tracked,
        "calls_send_thread_(CALLS_THREAD_, CALLS_RENAMED_, tid, process, (const char *)ctx[1]);",
    ]
    free = [
        *of(0),
        "calls_forget_(tid);",
        *not_tracked,
        "#ifdef CALLS_TRACKED_",
        "if (tid == process)",
        f"\t{ir.TRACKED}.delete(&process);",
        "#endif",
        "calls_send_thread_(CALLS_END_, 0, tid, process, 0);",
    ]
    return list(zip(ir.THREAD_PROGRAMS, (fork, run, rename, free), strict=True))
