"""Functions of the kernel and its modules: ``kernel.function``, ``module().function``, ``kprobe.function``.

A point at the entry is a kprobe. At the return it is ``fexit``, where parameters are still
there, if the function has types and the kernel has trampolines, and a kretprobe else,
whose parameters must be put aside at the entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.old_names import CHANGED
from ktrace_nb.lang.stap import syscall_points
from ktrace_nb.lang.stap.context import ProbeContext, Variable
from ktrace_nb.lang.stap.function_names import Found, Wanted, functions, parse
from ktrace_nb.lang.stap.point_types import (
    Components,
    Request,
    Resolved,
    bare,
    is_glob,
    number_of,
    text_of,
    unknown,
)
from ktrace_nb.lang.stap.prototypes import NO_TYPE, REGISTERS, Prototype, member_of, prototype

MOST_TRAMPOLINES = 8
"""Functions of one point that get a program each; beyond that one kretprobe program serves all."""

SUFFIXES = ("call", "return", "inline", "exported", "maxactive", "callee", "callees", "label", "nearest")
"""What may stand behind ``function("…")``."""
_NEEDS_DEBUGINFO = {
    "callee": "which functions a function calls is in the kernel's debuginfo, which is not used",
    "callees": "which functions a function calls is in the kernel's debuginfo, which is not used",
    "label": "labels are in the kernel's debuginfo, which is not used",
}


@dataclass(frozen=True, slots=True)
class _Where:
    """What stands behind the function."""

    at_return: bool = False
    exported: bool = False
    maxactive: int = 0


def function(request: Request, index: int, module: str | None) -> list[Resolved]:
    """``…function("pattern")`` with what follows.

    Args:
        request: The point.
        index: Which component ``function`` is.
        module: Name or pattern of a module; None for the kernel itself.

    Raises:
        CellError: No such function, or something that cannot be done.
    """
    component, rest = request.components[index], request.components[index + 1 :]
    if isinstance(component.argument, int):
        return at_address(request, component.argument, rest)
    wanted = parse(request, text_of(request, component))
    if module is None and not wanted.offset:
        calls = syscall_points.from_function(request, wanted.name, rest)
        if calls is not None:
            return calls
    where = _suffixes(request, rest)
    if wanted.offset:
        return [_inside(request, index, wanted, where, module)]
    found = functions(request, wanted, module)
    if where.exported:
        found = _exported(request, wanted, found)
    settings = request.settings
    if len(found) > 1 and not settings.variables_used:
        return [_many(request, found, where)]
    use_trampolines = len(found) <= MOST_TRAMPOLINES and not settings.registers_used
    return [_one(request, index, each, where, use_trampolines) for each in found]


def statement(request: Request, index: int, module: str | None) -> list[Resolved]:
    """``…statement("function+offset")``, ``…statement(address).absolute``.

    Raises:
        CellError: A line of a source file, or no such function.
    """
    component, rest = request.components[index], request.components[index + 1 :]
    if isinstance(component.argument, int):
        return at_address(request, component.argument, rest)
    wanted = parse(request, text_of(request, component))
    if wanted.line:
        raise request.unsupported(
            f"line {wanted.line!r} of a source file: the kernel carries no line numbers",
            f'kernel.function("{wanted.name}") or kernel.statement("{wanted.name}+OFFSET")',
        )
    for suffix in rest:
        if suffix.name != "nearest":
            unknown(request, suffix, ("nearest",))
    if wanted.offset:
        return [_inside(request, index, wanted, _Where(), module)]
    return [_one(request, index, each, _Where(), False) for each in functions(request, wanted, module)]


def at_address(request: Request, address: int, rest: Components) -> list[Resolved]:
    """``kernel.statement(0xffffffff81000000).absolute``."""
    for suffix in rest:
        if suffix.name != "absolute":
            unknown(request, suffix, ("absolute",))
    address &= (1 << 64) - 1
    symbol = request.facts.symbols.resolve(address)
    if symbol is None:
        raise request.missing("kernel function at address", f"{address:#x}", hint="/proc/kallsyms lists them")
    if not request.facts.can_probe(symbol.name):
        raise request.missing("function to probe", symbol.name, hint="the kernel does not let it be probed")
    return [_kprobe_at(request, str(request.point), symbol.name, symbol.offset)]


def _suffixes(request: Request, rest: Components) -> _Where:
    where = _Where()
    for component in rest:
        name = component.name
        if name in _NEEDS_DEBUGINFO:
            raise request.unsupported(_NEEDS_DEBUGINFO[name], "probe the inner function by its own name")
        if name == "inline":
            raise request.missing(
                "inlined function",
                str(request.point),
                hint="where functions were inlined is in the debuginfo, which is not used",
            )
        if name == "maxactive":
            if not where.at_return:
                raise request.fault("maxactive(N) belongs behind 'return'", component)
            where = replace(where, maxactive=number_of(request, component, least=1))
            continue
        if name not in ("call", "return", "exported"):
            unknown(request, component, SUFFIXES)
        bare(request, component)
        if name == "exported":
            where = replace(where, exported=True)
        elif name == "return":
            where = replace(where, at_return=True)
        elif where.at_return:
            unknown(request, component, ("maxactive",))
    return where


def _exported(request: Request, wanted: Wanted, found: Iterable[Found]) -> list[Found]:
    """Those that modules may call. The linker lists each as ``__ksymtab_NAME``."""
    symbols = request.facts.symbols
    kept = [f for f in found if symbols.addresses(f"__ksymtab_{f.name}")]
    if not kept:
        raise request.missing("exported function", wanted.name)
    return kept


def _one(request: Request, index: int, found: Found, where: _Where, use_trampolines: bool) -> Resolved:
    facts, name = request.facts, found.name
    known = prototype(facts, name)
    variables = _with_old_names(known, found) if known else ()
    hidden = known.hidden if known else NO_TYPE
    point = request.named(index, name)
    clones = tuple(s for s in facts.siblings(name) if not s.endswith(".cold") and s != name)
    if not where.at_return:
        return Resolved(
            event=ir.Event.KERNEL,
            name=point,
            context="kprobe",
            requests=(request.probe("kprobe", name),),
            probe_context=ProbeContext(kind="kprobe", variables=variables, function=name, hidden=hidden),
            alternatives=clones,
        )
    trampoline = use_trampolines and known is not None and _fits_trampoline(request, name, known)
    context = "fexit" if trampoline else "kretprobe"
    target = name
    if trampoline and (module := facts.traceable.get(name, "")):
        target = f"{module}__{name}"
    returned = known.result if known else Variable("return", facts.btf, 0, ir.Result())
    return Resolved(
        event=ir.Event.KERNEL,
        name=point,
        context=context,
        requests=(request.probe(context, target),),
        entry_requests=(request.probe("kprobe", name),),
        entry_context="kprobe",
        arguments=known.words if known else 0,
        probe_context=ProbeContext(
            kind=context,
            variables=variables,
            returns=returned,
            at_return=True,
            parameters_saved=not trampoline,
            function=name,
            hidden=hidden,
        ),
        maxactive=where.maxactive,
        alternatives=clones,
    )


def _many(request: Request, found: list[Found], where: _Where) -> Resolved:
    """All functions of a pattern, for a handler that uses none of their variables."""
    kind = "kretprobe" if where.at_return else "kprobe"
    return Resolved(
        event=ir.Event.KERNEL,
        name=str(request.point),
        context=kind,
        requests=tuple(request.probe(kind, f.name) for f in found),
        entry_requests=tuple(request.probe("kprobe", f.name) for f in found) if where.at_return else (),
        entry_context="kprobe" if where.at_return else "",
        probe_context=ProbeContext(
            kind=kind,
            at_return=where.at_return,
            parameters_saved=where.at_return,
            function=f"{len(found)} functions",
            hidden="it depends on the function",
        ),
        maxactive=where.maxactive,
    )


def _inside(request: Request, index: int, wanted: Wanted, where: _Where, module: str | None) -> Resolved:
    if where.at_return:
        raise request.fault("a return has no offset", hint=f'kernel.function("{wanted.name}").return')
    if is_glob(wanted.name):
        raise request.fault("an offset needs a single function, not a pattern")
    found = functions(request, replace(wanted, offset=0), module)[0]
    return _kprobe_at(
        request, request.named(index, f"{found.name}+{wanted.offset:#x}"), found.name, wanted.offset
    )


def _kprobe_at(request: Request, point: str, name: str, offset: int) -> Resolved:
    target = f"{name}+{offset:#x}" if offset else name
    return Resolved(
        event=ir.Event.KERNEL,
        name=point,
        context="kprobe",
        requests=(request.probe("kprobe", target),),
        probe_context=ProbeContext(
            kind="kprobe", function=target, hidden="inside a function it is not known where variables are"
        ),
    )


def _fits_trampoline(request: Request, name: str, known: Prototype) -> bool:
    facts = request.facts
    return (
        facts.has_trampolines
        and known.has_trampoline
        and known.words <= REGISTERS
        and name in facts.traceable
        # A trampoline goes to the first function of a name; a kretprobe says that there are more.
        and len(facts.symbols.addresses(name)) <= 1
    )


def _with_old_names(known: Prototype, found: Found) -> tuple[Variable, ...]:
    """A function's parameters, and those that older scripts know it to have."""
    old: dict[str, str] = {}
    if found.name in CHANGED:
        old |= CHANGED[found.name].parameters
    if found.renamed is not None:
        old |= found.renamed.parameters
    by_name = {variable.name: variable for variable in known.parameters}
    made = list(known.parameters)
    for name, path in old.items():
        if name in by_name:
            continue
        text, _, mask = path.partition(" & ")
        first, *members = text.split("->")
        variable = by_name.get(first)
        if variable is not None and members:
            variable = member_of(variable, members)
        if variable is None:
            continue
        if mask:
            masked = ir.Binary("&", variable.expr, ir.Number(int(mask)))
            variable = replace(variable, type_id=0, expr=masked)
        made.append(replace(variable, name=name))
    return tuple(made)


def kprobe(request: Request) -> list[Resolved]:
    """``kprobe.function("f")``, ``kprobe.module("m").function("f")``, ``kprobe.statement(address)``."""
    first, *rest = request.components
    bare(request, first)
    if not rest:
        raise request.fault("expected function(...) behind 'kprobe'", first)
    if rest[0].name == "function":
        return function(request, 1, None)
    if rest[0].name == "statement":
        return statement(request, 1, None)
    if rest[0].name == "module" and len(rest) > 1 and rest[1].name == "function":
        return function(request, 2, text_of(request, rest[0]))
    unknown(request, rest[0], ("function", "module", "statement"))


def kernel(request: Request) -> list[Resolved]:
    """``kernel.function``, ``kernel.statement``; ``kernel.trace`` is resolved elsewhere."""
    return _inner(request, 1, None)


def module(request: Request) -> list[Resolved]:
    """``module("m").function``, ``module("m").statement``."""
    return _inner(request, 1, text_of(request, request.components[0]))


def _inner(request: Request, index: int, module: str | None) -> list[Resolved]:
    components = request.components
    known = ("function", "statement") if module else ("function", "statement", "trace")
    if len(components) <= index:
        raise request.fault(f"expected function(...) behind {components[0].name!r}", components[0])
    name = components[index].name
    if name == "function":
        return function(request, index, module)
    if name == "statement":
        return statement(request, index, module)
    if name in ("data", "mark"):
        raise request.unsupported(f"{components[0].name}.{name} is not supported", _INSTEAD[name])
    unknown(request, components[index], known)


_INSTEAD = {
    "data": "watch the functions that change it",
    "mark": 'kernel markers are tracepoints since Linux 2.6.32: kernel.trace("NAME")',
}
