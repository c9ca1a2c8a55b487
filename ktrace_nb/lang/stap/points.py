"""Probe points that are built in: what each is on one kernel.

Aliases of scripts and of the tapset are expanded before; what is left begins with one
of :data:`BUILT_IN`, or with ``__syscall``, which the tapset's ``syscall.*`` stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ktrace_nb.diagnostics import Problem
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.syscall_table import NAMES
from ktrace_nb.lang.stap import (
    points_kernel,
    points_perf,
    points_process,
    points_session,
    points_trace,
    procfs,
    syscall_points,
    tree,
)
from ktrace_nb.lang.stap.point_types import Request, Resolved, Settings
from ktrace_nb.lang.stap.successors import SOMETIMES, SUCCESSORS, VDSO


def _kernel(request: Request) -> list[Resolved]:
    second = request.components[1].name if len(request.components) > 1 else ""
    return points_trace.trace(request) if second == "trace" else points_kernel.kernel(request)


_FAMILIES: dict[str, Callable[[Request], list[Resolved]]] = {
    "begin": points_session.session,
    "end": points_session.session,
    "error": points_session.session,
    "never": points_session.session,
    "oneshot": points_session.session,
    "timer": points_session.timer,
    "kernel": _kernel,
    "module": points_kernel.module,
    "kprobe": points_kernel.kprobe,
    "process": points_process.process,
    "perf": points_perf.perf,
    "procfs": procfs.procfs,
    "__syscall": syscall_points.syscall,
}

_UNSUPPORTED = {
    "netfilter": (
        "hooks of netfilter are not supported",
        'kernel.function("ip_rcv"), kernel.trace("net_dev_xmit")',
    ),
    "java": ("methods of Java programs are not supported", None),
    "python2": (
        "functions of Python programs are not supported",
        'process("python3").mark("function__entry")',
    ),
    "python3": (
        "functions of Python programs are not supported",
        'process("python3").mark("function__entry")',
    ),
    "input": ("a session has no input", "change what it does with another cell"),
    "debuginfod": ("debuginfo is not used", None),
}

BUILT_IN = tuple(name for name in _FAMILIES if not name.startswith("_"))
"""What a built-in point begins with."""


def is_built_in(point: tree.Point) -> bool:
    """Whether a point begins with a name that is built in, supported or not."""
    first = point.components[0].name
    return first in _FAMILIES or first in _UNSUPPORTED


def resolve(
    point: tree.Point, facts: KernelFacts, problems: list[Problem], settings: Settings | None = None
) -> list[Resolved]:
    """What a point is on a kernel.

    Args:
        point: A point for which :func:`is_built_in` holds. Whether it is optional is its user's matter.
        facts: The kernel.
        problems: Notes are added: functions renamed, left out, taken in another's place.
        settings: What is known of the script.

    Returns:
        One for each function, system call or tracepoint that matches, or one for all
        of them where the handler uses no variables.

    Raises:
        ProbeNotFoundError: There is nothing like it on this kernel; near matches as hint.
        UnsupportedError: It cannot be done without debuginfo or a module, or not at all.
        CellError: It is written wrongly.
    """
    request = Request(point, facts, problems, settings or Settings())
    name = point.components[0].name
    if name in _UNSUPPORTED:
        message, hint = _UNSUPPORTED[name]
        raise request.unsupported(message, hint)
    return _FAMILIES[name](request)


def silence(resolved: Resolved, facts: KernelFacts) -> str | None:
    """Why a point that was attached may never fire; None if nothing speaks against it.

    Args:
        resolved: The point.
        facts: The kernel.

    Returns:
        A sentence without its full stop, for people.
    """
    if resolved.syscalls:
        reasons = [_silent_call(NAMES.get(number, "")) for number in resolved.syscalls]
        told = [reason for reason in reasons if reason]
        return "; ".join(told) if told and len(told) == len(reasons) else None
    functions = [r.target.partition("+")[0] for r in resolved.requests if r.kind in _OF_FUNCTIONS]
    if len(functions) == 1:
        return _silent_function(functions[0], resolved.alternatives, facts)
    if resolved.context == "uprobe":
        return "no process has called this function; it may be inlined, or the program uses another library"
    return None


_OF_FUNCTIONS = ("kprobe", "kretprobe", "fentry", "fexit")


def _silent_call(call: str) -> str | None:
    if call in VDSO:
        return (
            f"programs do not make the system call {call!r}: the C library answers it in the process (vDSO)"
        )
    later = [s.call for s in SUCCESSORS.get(call, ())] or list(SOMETIMES.get(call, ()))
    if later:
        return f"programs of today call {' or '.join(later)} in place of {call}"
    return None


def _silent_function(name: str, clones: Sequence[str], facts: KernelFacts) -> str | None:
    if clones:
        return f"the compiler made clones of {name!r} that run in its place: {', '.join(clones)}"
    plain = name.strip("_")
    relatives = [
        other
        for other in (f"__{plain}", f"do_{plain}", plain, f"{plain}2", f"{name}_noprof", f"__{plain}_locked")
        if other != name and facts.can_probe(other)
    ]
    if relatives:
        return f"{name!r} may be inlined into its callers, or passed by: see {', '.join(relatives)}"
    return None


__all__ = ["BUILT_IN", "Resolved", "Settings", "is_built_in", "resolve", "silence"]
