"""System calls: ``__syscall.NAME``, which the tapset's ``syscall.NAME`` stands for, and ``sys_NAME``.

A handler for some calls is a program at the raw tracepoint ``sys_enter`` or
``sys_exit`` that looks at the call's number: no function of the kernel is probed, and
a kernel's renaming of its functions does not matter. Parameters are named and typed as
the tracepoints' format files do, ``syscalls/sys_enter_NAME``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.syscall_table import NUMBERS, call_name
from ktrace_nb.kernel.syscalls import entry_prefix
from ktrace_nb.kernel.tracefs import parse_format
from ktrace_nb.lang.stap.context import ProbeContext, Variable
from ktrace_nb.lang.stap.point_types import (
    Components,
    Request,
    Resolved,
    bare,
    is_glob,
    number_of,
    unknown,
)
from ktrace_nb.lang.stap.prototypes import member_of
from ktrace_nb.lang.stap.successors import SUCCESSORS, VDSO, Successor

_PREFIXES = ("sys_", "SyS_", "__x64_sys_", "__se_sys_", "__do_sys_")
_OTHER_ABI = ("compat_sys_", "sys32_", "__ia32_", "__x32_", "ppc_", "ppc64_", "ppc32_", "s390_", "ia64_")
_SUFFIXES = ("call", "return", "maxactive")


@dataclass(frozen=True, slots=True)
class _Where:
    """Which side of a call."""

    at_return: bool
    maxactive: int

    @property
    def context(self) -> str:
        return "sys_exit" if self.at_return else "sys_enter"


def syscall(request: Request) -> list[Resolved]:
    """``__syscall.NAME``, ``__syscall.NAME.return``; the name may be a pattern.

    Raises:
        ProbeNotFoundError: No such call on this kernel.
        UnsupportedError: The kernel is not one for x86-64.
    """
    first, *rest = request.components
    bare(request, first)
    if not rest:
        raise request.fault(f"expected the name of a system call behind {first.name!r}")
    name, *tail = rest
    bare(request, name)
    return list(_resolve(request, name.name, tail))


def from_function(request: Request, function: str, rest: Components) -> list[Resolved] | None:
    """The system call that a function of the kernel was, ``sys_open``; None if it was none.

    Args:
        request: The point.
        function: The function; may be a pattern.
        rest: What stands behind ``function("…")``.

    Raises:
        ProbeNotFoundError: No such call on this kernel.
    """
    if function.startswith(_OTHER_ABI):
        raise request.missing(
            "function", function, hint="calls of 32-bit programs and other machines are not traced"
        )
    prefix = next((p for p in _PREFIXES if function.startswith(p)), None)
    if prefix is None or (prefix.startswith("__") and request.facts.can_probe(function)):
        return None
    name = function.removeprefix(prefix)
    if is_glob(name) and not any(fnmatchcase(call, name) for call in calls(request)):
        return None
    if not is_glob(name) and request.facts.can_probe(function):
        return None  # it is a function of that very name, as on kernels before 4.17
    return list(_resolve(request, name, rest))


def named_call(function: str) -> str | None:
    """The system call that a function's name stands for, for what a script names itself."""
    prefix = next((p for p in _PREFIXES if function.startswith(p)), None)
    return call_name(function.removeprefix(prefix)) if prefix else None


def calls(request: Request) -> list[str]:
    """The system calls of the kernel, by the names of the table."""
    facts = request.facts
    return [name for name in NUMBERS if facts.syscall(name) is not None]


def _resolve(request: Request, name: str, rest: Components) -> Iterator[Resolved]:
    facts = request.facts
    if facts.machine != "x86_64":
        raise request.unsupported(f"numbers of system calls are known for x86-64, not for {facts.machine}")
    where = _where(request, rest)
    if not is_glob(name):
        call = call_name(name)
        if call not in NUMBERS or facts.syscall(call) is None:
            raise request.missing("system call", name, calls(request))
        yield from _with_successors(request, call, where, ())
        return
    matching = [call for call in calls(request) if fnmatchcase(call, name)]
    if not matching:
        raise request.missing("system call", name, calls(request))
    if request.settings.variables_used:
        for call in matching:
            yield from _with_successors(request, call, where, matching)
        return
    # A handler without variables is one program for all of them.
    numbers = () if name == "*" else tuple(sorted(NUMBERS[call] for call in matching))
    context = ProbeContext(
        kind=where.context,
        returns=_returned(request) if where.at_return else None,
        at_return=where.at_return,
        function=f"{len(matching)} system calls",
        hidden="it depends on the call what it is passed",
    )
    yield _resolved(request, f"sys_{name}", where, context, numbers)
    for call in matching:
        yield from _successors(request, call, where, matching)


def _where(request: Request, rest: Components) -> _Where:
    at_return, maxactive = False, 0
    for component in rest:
        if component.name == "maxactive" and at_return:
            maxactive = number_of(request, component, least=1)
        elif component.name == "return" and not at_return:
            bare(request, component)
            at_return = True
        elif component.name == "call" and not at_return:
            bare(request, component)
        else:
            unknown(request, component, _SUFFIXES)
    return _Where(at_return, maxactive)


def _with_successors(request: Request, call: str, where: _Where, named: Iterable[str]) -> Iterator[Resolved]:
    variables = _parameters(request, call)
    yield _one(
        request, call, call, where, variables or (), hidden="" if variables is not None else _NO_FORMAT
    )
    yield from _successors(request, call, where, named)
    if call in VDSO and not named and not request.settings.by_pattern:
        request.note(
            f"programs seldom make the system call {call!r}: "
            "the C library answers it in the process itself (vDSO)",
            f'process("libc.so.6").function("{call}") sees every call of one program',
        )


_NO_FORMAT = "the kernel does not describe this system call's parameters"


def _successors(request: Request, call: str, where: _Where, named: Iterable[str]) -> Iterator[Resolved]:
    for successor in SUCCESSORS.get(call, ()):
        new = successor.call
        if new in named or new in request.settings.named_syscalls or request.facts.syscall(new) is None:
            continue
        variables, lacking = _mapped(request, call, successor)
        text = f"programs of today call {new!r} in place of {call!r}: it is probed too"
        if request.settings.variables_used and lacking:
            text += f", with {', '.join('$' + name for name in lacking)} as 0"
        request.note(text, f"name syscall.{new} in the script to keep the two apart")
        yield replace(_one(request, new, call, where, variables), condition=successor.condition)


def _one(
    request: Request, call: str, named: str, where: _Where, variables: tuple[Variable, ...], hidden: str = ""
) -> Resolved:
    """A point at one call; ``named`` is the call that the script knows."""
    context = ProbeContext(
        kind=where.context,
        variables=variables,
        returns=_returned(request) if where.at_return else None,
        at_return=where.at_return,
        function=f"system call {named}" if named == call else f"system call {named} ({call})",
        hidden=hidden,
    )
    function = request.facts.syscall(call) or f"sys_{call}"
    return _resolved(request, function, where, context, (NUMBERS[call],))


def _resolved(
    request: Request, function: str, where: _Where, context: ProbeContext, numbers: tuple[int, ...]
) -> Resolved:
    return Resolved(
        event=ir.Event.KERNEL,
        name=f'kernel.function("{function}").{"return" if where.at_return else "call"}',
        context=where.context,
        requests=(request.probe("raw_tracepoint", where.context),),
        entry_context="sys_enter" if where.at_return else "",
        entry_requests=(request.probe("raw_tracepoint", "sys_enter"),) if where.at_return else (),
        syscalls=numbers,
        probe_context=context,
        maxactive=where.maxactive,
    )


def _returned(request: Request) -> Variable:
    facts = request.facts
    return Variable("return", facts.btf, facts.type_names.find("long") or 0, ir.Result())


def _parameters(request: Request, call: str) -> tuple[Variable, ...] | None:
    """The parameters of a call in order; None if the kernel does not tell."""
    facts = request.facts
    event = _event(facts, call)
    text = facts.formats([event]).get(event)
    if text is None:
        return None
    fields = [field for field in parse_format(text).own_fields if field.name != "__syscall_nr"]
    return tuple(
        Variable(
            field.name, facts.btf, facts.type_names.find(field.type) or 0, ir.Argument(number), user=True
        )
        for number, field in enumerate(fields)
    )


def fetch_formats(facts: KernelFacts) -> None:
    """Have the parameters of all calls read at once, for a pattern that names many."""
    facts.formats([_event(facts, call) for call in NUMBERS if facts.syscall(call) is not None])


def _event(facts: KernelFacts, call: str) -> str:
    function = facts.syscall(call) or ""
    return f"syscalls/sys_enter_{function.removeprefix(entry_prefix(facts.traceable))}"


def _mapped(
    request: Request, call: str, successor: Successor
) -> tuple[tuple[Variable, ...], tuple[str, ...]]:
    """A successor's parameters under the old call's names, and the names of those it lacks."""
    new = {variable.name: variable for variable in _parameters(request, successor.call) or ()}
    found: list[Variable] = []
    lacking: list[str] = []
    old = _parameters(request, call) or ()
    for variable in old:
        name, *path = successor.renamed.get(variable.name, variable.name).split("->")
        taken = new.get(name)
        if taken is not None and path:
            taken = member_of(taken, path)
        if taken is not None:
            found.append(replace(taken, name=variable.name))
        else:
            lacking.append(variable.name)
            found.append(replace(variable, type_id=0, expr=ir.Number(0)))
    # Those that only the successor has can be asked for with @defined.
    known = {variable.name for variable in old}
    found += [v for v in new.values() if v.name not in known]
    return tuple(found), tuple(lacking)
