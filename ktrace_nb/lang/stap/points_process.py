"""Processes: their beginning and end, their system calls, functions and markers of programs.

``process.begin`` is where a process runs a new program (``sched_process_exec``) and where a
new process runs for the first time (``schedule_tail``, the first function of every task);
``process.end`` is the exit of its first thread, ``process.thread.end`` that of any other
(``sched_process_exit``). All of these run in the process they are about. SystemTap also
runs ``process.begin`` once for each process there is when the session begins: ours does not.

A process is given by its number, by the path of its program, or left out: then it is
any, or, under ``-c`` and ``-x``, the target. By path it is known by its name, which is the
first 15 characters of the program's: all that the kernel keeps at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ktrace_nb.ir import script as ir
from ktrace_nb.lang.stap.context import ProbeContext, Variable
from ktrace_nb.lang.stap.point_types import (
    Components,
    Request,
    Resolved,
    bare,
    finished,
    is_glob,
    text_of,
    unknown,
)
from ktrace_nb.lang.stap.prototypes import tracepoint_variables

_NAME_LENGTH = 15
"""Characters of a task's name. Source: ``TASK_COMM_LEN`` less its NUL, Linux ``include/linux/sched.h``."""
_KERNEL_THREAD = 0x200000
"""``PF_KTHREAD``, Linux ``include/linux/sched.h``."""

_EVENTS = ("begin", "end", "thread", "syscall", "function", "mark", "provider", "library")
_NO_DEBUGINFO = (
    "parameters of programs are in their debuginfo, which is not read; use pointer_arg(1), int_arg(2) …"
)
_NOT_READ = {
    "insn": "single-stepping a process",
    "plt": "probing a program's linkage table",
    "statement": "probing lines and addresses of programs",
}


@dataclass(frozen=True, slots=True)
class _Who:
    """Which processes."""

    path: str
    condition: ir.Expr | None
    target_only: bool


def of_program(request: Request, path: str) -> ir.Expr:
    """Whether the process runs a program, by its name; said in a note."""
    name = path.rpartition("/")[2]
    if is_glob(name):
        raise request.unsupported("a pattern for a program's path is not supported", "name one program")
    request.note(f"processes of {path!r} are known by their name, {name[:_NAME_LENGTH]!r}")
    execname = ir.Intrinsic("execname", type=ir.Type.STRING)
    return ir.Compare("==", execname, ir.Text(name[:_NAME_LENGTH], type=ir.Type.STRING))


def process(request: Request) -> list[Resolved]:
    """``process("path").function("f")``, ``process(pid).syscall``, ``process.begin`` …

    Raises:
        CellError: A part that is missing, or cannot be done.
    """
    rest = request.components[1:]
    if not rest:
        raise request.fault("expected an event behind 'process'", hint=f"known are {', '.join(_EVENTS)}")
    event, *tail = rest
    if event.name in _NOT_READ:
        raise request.unsupported(f"{_NOT_READ[event.name]} is not supported")
    if event.name in ("function", "mark", "provider", "library"):
        return _in_program(request, rest)
    bare(request, event)
    if event.name == "thread":
        if not tail or tail[0].name not in ("begin", "end"):
            unknown(request, tail[0] if tail else event, ("begin", "end"))
        bare(request, tail[0])
        finished(request, tail[1:])
        return _life(request, tail[0].name, thread=True)
    if event.name in ("begin", "end"):
        finished(request, tail)
        return _life(request, event.name, thread=False)
    if event.name == "syscall":
        at_return = bool(tail) and tail[0].name == "return"
        if tail and not at_return:
            unknown(request, tail[0], ("return",))
        finished(request, tail[1:])
        return [_syscall(request, at_return=at_return)]
    unknown(request, event, _EVENTS)


def _who(request: Request) -> _Who:
    argument = request.components[0].argument
    if argument is None:
        return _Who("", None, True)
    if isinstance(argument, int):
        return _Who("", ir.Compare("==", ir.Intrinsic("pid"), ir.Number(argument)), False)
    return _Who(argument, of_program(request, argument), False)


def _all_of(*conditions: ir.Expr | None) -> ir.Expr | None:
    made: ir.Expr | None = None
    for condition in conditions:
        if condition is not None:
            made = condition if made is None else ir.Logical("&&", made, condition)
    return made


# --- begin and end -------------------------------------------------------------------------


def _life(request: Request, what: str, *, thread: bool) -> list[Resolved]:
    who = _who(request)
    leads = ir.Compare("!=" if thread else "==", ir.Intrinsic("pid"), ir.Intrinsic("tid"))
    in_process = _all_of(leads, _is_user_task(request), who.condition)
    if what == "end":
        return [_at_tracepoint(request, "sched_process_exit", who, in_process)]
    made = [] if thread else [_at_tracepoint(request, "sched_process_exec", who, who.condition)]
    if request.facts.can_probe("schedule_tail"):
        made.append(
            Resolved(
                event=ir.Event.KERNEL,
                name=str(request.point),
                context="kprobe",
                requests=(request.probe("kprobe", "schedule_tail"),),
                probe_context=ProbeContext(kind="kprobe", function="a new task", hidden="it has none"),
                condition=in_process,
                target_only=who.target_only,
            )
        )
    elif thread:
        raise request.missing(
            "kernel function", "schedule_tail", hint="new threads cannot be seen on this kernel"
        )
    else:
        request.note("new processes are seen only where they run a program: 'schedule_tail' cannot be probed")
    return made


def _at_tracepoint(request: Request, name: str, who: _Who, condition: ir.Expr | None) -> Resolved:
    if not request.facts.has_raw_tracepoint(name):
        raise request.missing("tracepoint", name)
    return Resolved(
        event=ir.Event.KERNEL,
        name=str(request.point),
        context="raw_tracepoint",
        requests=(request.probe("raw_tracepoint", name),),
        arguments=len(tracepoint_variables(request.facts, name) or ()),
        probe_context=ProbeContext(
            kind="raw_tracepoint", function=f"tracepoint {name}", hidden="this point belongs to no function"
        ),
        condition=condition,
        target_only=who.target_only,
    )


def _is_user_task(request: Request) -> ir.Expr | None:
    """Whether the task is no thread of the kernel's own; None where its types do not tell."""
    btf = request.facts.btf
    task = request.facts.type_names.find("struct task_struct")
    member = btf.member(task, "flags") if task else None
    if member is None:
        return None
    place = ir.Binary("+", ir.Intrinsic("task_current"), ir.Number(member.bit_offset // 8))
    flag = ir.Binary("&", ir.Load(place, 4, False), ir.Number(_KERNEL_THREAD))
    return ir.Compare("==", flag, ir.Number(0))


# --- system calls --------------------------------------------------------------------------


def _syscall(request: Request, *, at_return: bool) -> Resolved:
    who = _who(request)
    facts = request.facts
    context = "sys_exit" if at_return else "sys_enter"
    number = ir.Intrinsic("__register", (ir.Text("orig_ax", type=ir.Type.STRING),))
    variables = [Variable("syscall", facts.btf, 0, number)]
    variables += [Variable(f"arg{n + 1}", facts.btf, 0, ir.Argument(n), user=True) for n in range(6)]
    return Resolved(
        event=ir.Event.KERNEL,
        name=str(request.point),
        context=context,
        requests=(request.probe("raw_tracepoint", context),),
        entry_requests=(request.probe("raw_tracepoint", "sys_enter"),) if at_return else (),
        entry_context="sys_enter" if at_return else "",
        probe_context=ProbeContext(
            kind=context,
            variables=tuple(variables),
            returns=Variable("return", facts.btf, 0, ir.Result()) if at_return else None,
            at_return=at_return,
            function="system call",
        ),
        condition=who.condition,
        target_only=who.target_only,
    )


# --- functions and markers -----------------------------------------------------------------


def _in_program(request: Request, rest: Components) -> list[Resolved]:
    first = request.components[0]
    path = request.settings.command if first.argument is None else first.argument
    if not path:
        raise request.fault(
            "which program?", first, hint='process("/usr/bin/python3").function("main"), or -c PROGRAM'
        )
    condition: ir.Expr | None = None
    if isinstance(path, int):
        condition = ir.Compare("==", ir.Intrinsic("pid"), ir.Number(path))
        path = f"/proc/{path}/exe"
    if rest[0].name == "library":
        if condition is None and isinstance(first.argument, str):
            condition = of_program(request, first.argument)
        path, rest = text_of(request, rest[0]), rest[1:]
    if is_glob(path):
        raise request.unsupported("a pattern for a program's path is not supported", "name one program")
    provider = ""
    if rest and rest[0].name == "provider":
        provider, rest = text_of(request, rest[0]), rest[1:]
    if not rest or rest[0].name not in ("function", "mark"):
        unknown(request, rest[0] if rest else first, ("function", "mark"))
    name = text_of(request, rest[0])
    if rest[0].name == "mark":
        finished(request, rest[1:])
        made = _mark(request, path, provider, name)
    else:
        made = _function(request, path, name, rest[1:])
    return [replace(made, condition=condition, target_only=first.argument is None)]


def _function(request: Request, path: str, name: str, rest: Components) -> Resolved:
    at_return = False
    for component in rest:
        if component.name not in ("return", "call") or at_return:
            unknown(request, component, ("call", "return"))
        bare(request, component)
        at_return = component.name == "return"
    name, _, file = name.partition("@")
    if is_glob(name):
        raise request.unsupported("patterns for functions of programs are not supported", "name one function")
    if file:
        request.note(
            f"{name!r} is taken from any file: lines and files are in the debuginfo, which is not read"
        )
    kind = "uretprobe" if at_return else "uprobe"
    btf = request.facts.btf
    return Resolved(
        event=ir.Event.KERNEL,
        name=str(request.point),
        context=kind,
        requests=(request.probe(kind, f"{path}:{name}"),),
        entry_requests=(request.probe("uprobe", f"{path}:{name}"),) if at_return else (),
        entry_context="uprobe" if at_return else "",
        probe_context=ProbeContext(
            kind=kind,
            returns=Variable("return", btf, 0, ir.Result(), user=True) if at_return else None,
            at_return=at_return,
            parameters_saved=at_return,
            function=name,
            hidden=_NO_DEBUGINFO,
        ),
    )


def _mark(request: Request, path: str, provider: str, name: str) -> Resolved:
    if is_glob(name):
        raise request.unsupported("patterns for markers are not supported", "name one marker")
    target = f"{path}:{provider}:{name}" if provider else f"{path}:{name}"
    return Resolved(
        event=ir.Event.KERNEL,
        name=str(request.point),
        context="usdt",
        requests=(request.probe("usdt", target),),
        probe_context=ProbeContext(
            kind="usdt", function=f"marker {name}", hidden="a marker's arguments are not read"
        ),
    )
