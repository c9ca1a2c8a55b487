"""Tracepoints: ``kernel.trace("sched_switch")``, ``kernel.trace("sched:sched_*")``.

A handler is at the raw tracepoint: its ``$variables`` are what the kernel's source passes,
not the fields of the record that ``perf`` and ``bpftrace`` show.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.old_names import TRACEPOINTS
from ktrace_nb.lang.stap.context import ProbeContext
from ktrace_nb.lang.stap.point_types import Request, Resolved, finished, is_glob, text_of
from ktrace_nb.lang.stap.prototypes import tracepoint_variables

_NOT_RAW = ("syscalls", "ftrace", "kprobes", "uprobes", "synthetic", "eprobes")
"""Categories of events that are made from others: no raw tracepoint has their names."""
_BTF_PREFIX = "btf_trace_"


def trace(request: Request) -> list[Resolved]:
    """One point for each tracepoint that matches.

    Raises:
        ProbeNotFoundError: There is none.
    """
    component, rest = request.components[1], request.components[2:]
    finished(request, rest)
    pattern = text_of(request, component)
    category, colon, name = pattern.partition(":")
    if not colon:
        category, name = "*", pattern
    names = _matching(request.facts, category, name)
    if not names and name in TRACEPOINTS:
        today, since = TRACEPOINTS[name]
        names = _matching(request.facts, "*", today)
        if names:
            request.note(f"tracepoint {name!r} is {today!r} on this kernel (Linux {since})")
    if not names:
        if category == "syscalls" or name.startswith(("sys_enter_", "sys_exit_")):
            call = name.removeprefix("sys_enter_").removeprefix("sys_exit_")
            raise request.missing("tracepoint", pattern, hint=f"probe syscall.{call}")
        known = events(request.facts)
        raise request.missing("tracepoint", pattern, known if not colon else _with_category(request.facts))
    if len(names) > 1 and not request.settings.variables_used:
        return [_many(request, pattern, names)]
    return [_one(request, each) for each in names]


def events(facts: KernelFacts) -> list[str]:
    """The names of all raw tracepoints."""
    typed = {n.removeprefix(_BTF_PREFIX) for n in facts.btf.names(Kind.TYPEDEF) if n.startswith(_BTF_PREFIX)}
    listed = {n.partition("/")[2] for n in facts.tracepoints if n.partition("/")[0] not in _NOT_RAW}
    return sorted(typed | listed)


def _with_category(facts: KernelFacts) -> list[str]:
    return [n.replace("/", ":") for n in facts.tracepoints if n.partition("/")[0] not in _NOT_RAW]


def _matching(facts: KernelFacts, category: str, name: str) -> list[str]:
    if category == "*":
        if not is_glob(name):
            listed = any(
                n.partition("/")[0] not in _NOT_RAW for n in facts.tracepoints if n.endswith(f"/{name}")
            )
            typed = bool(facts.btf.find(f"{_BTF_PREFIX}{name}", Kind.TYPEDEF))
            return [name] if typed or listed else []
        return [event for event in events(facts) if fnmatchcase(event, name)]
    found = set()
    for tracepoint in facts.tracepoints:
        of, _, event = tracepoint.partition("/")
        if of not in _NOT_RAW and fnmatchcase(of, category) and fnmatchcase(event, name):
            found.add(event)
    return sorted(found)


def _one(request: Request, name: str) -> Resolved:
    variables = tracepoint_variables(request.facts, name)
    return Resolved(
        event=ir.Event.KERNEL,
        name=request.named(1, name),
        context="raw_tracepoint",
        requests=(request.probe("raw_tracepoint", name),),
        arguments=len(variables or ()),
        probe_context=ProbeContext(
            kind="raw_tracepoint",
            variables=variables or (),
            function=f"tracepoint {name}",
            hidden="" if variables is not None else "the kernel has no types of this tracepoint",
        ),
    )


def _many(request: Request, pattern: str, names: list[str]) -> Resolved:
    return Resolved(
        event=ir.Event.KERNEL,
        name=request.named(1, pattern),
        context="raw_tracepoint",
        requests=tuple(request.probe("raw_tracepoint", name) for name in names),
        probe_context=ProbeContext(
            kind="raw_tracepoint", function=f"{len(names)} tracepoints", hidden="it depends on the tracepoint"
        ),
    )
