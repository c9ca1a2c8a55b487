"""From the tree of a script to the :class:`~ktrace_nb.ir.script.Script` for one kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ktrace_nb.diagnostics import Problem
from ktrace_nb.errors import CellError
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk as ir_walk
from ktrace_nb.ir.program import ProbeRequest
from ktrace_nb.ir.script import Type
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.syscall_table import call_name
from ktrace_nb.lang.stap import points, tree, walk
from ktrace_nb.lang.stap.bind import ARGUMENT, Answers, Binder
from ktrace_nb.lang.stap.context import ProbeContext
from ktrace_nb.lang.stap.convert import Converter
from ktrace_nb.lang.stap.convert_expressions import Sites
from ktrace_nb.lang.stap.derive import Derived, Deriver, uses_of
from ktrace_nb.lang.stap.infer import Inference
from ktrace_nb.lang.stap.library import Library
from ktrace_nb.lang.stap.procfs import with_reply
from ktrace_nb.lang.stap.symbols import FunctionSymbol, GlobalSymbol, Symbols
from ktrace_nb.lang.stap.unset import unset_notes
from ktrace_nb.lang.stap.variables import Access
from ktrace_nb.source import Place

_NO_TARGET = ir.Compare("==", ir.Intrinsic("target"), ir.Number(0))
_IS_TARGET = ir.Logical("||", _NO_TARGET, ir.Compare("==", ir.Intrinsic("pid"), ir.Intrinsic("target")))
"""Under ``-c`` or ``-x`` the process asked for, else every one."""


_MOST_NESTED_CALLS = 16
"""Functions that are looked at within one another; Python's own stack has an end."""


@dataclass(frozen=True)
class Lowered:
    """A script for one kernel, and what there is to say about it."""

    script: ir.Script
    problems: tuple[Problem, ...]


def lower(script: tree.Script, facts: KernelFacts, library: Library, limits: ir.Limits) -> Lowered:
    """Resolve, type and lower a script.

    Raises:
        CellError: What the language says of the text, or a probe point that does not exist.
    """
    if not script.probes:
        raise CellError(
            "this script has no probe",
            script.source,
            script.source.line_span(1),
            hint='begin with: probe begin { println("hello") }',
        )
    return _Lowering(script, facts, library, limits).run()


@dataclass(eq=False)
class _Body:
    """A handler on its way."""

    derived: Derived
    block: tree.Block
    inference: Inference


class _Lowering:
    def __init__(self, script: tree.Script, facts: KernelFacts, library: Library, limits: ir.Limits) -> None:
        self._script = script
        self._facts = facts
        self._limits = limits
        self._problems: list[Problem] = []
        settings = points.Settings(named_syscalls=_named_syscalls(script))
        self._deriver = Deriver(script, library, facts, settings, self._problems)
        self._symbols = Symbols(script, library)
        self._sites = Sites()
        self._inferences: dict[FunctionSymbol, Inference] = {}
        self._waiting: list[FunctionSymbol] = []
        self._nested = 0

    def run(self) -> Lowered:
        bodies = [body for probe in self._script.probes for body in self._bodies(probe)]
        for body in bodies:
            body.inference.statement(body.block)
            for condition in body.derived.conditions:
                body.inference.condition(condition)
            self._infer_waiting()
        self._infer_uncalled()
        self._problems += unset_notes(
            [b.inference for b in bodies if b.derived.resolved.event is not ir.Event.NEVER]
            + list(self._inferences.values()),
            self._symbols,
        )
        handlers = [self._handler(body) for body in bodies]
        functions = [self._function(symbol) for symbol in self._symbols.used_functions()]
        binder = Binder(
            functions,
            {"HZ": ir.Number(self._ticks_per_second()), "__possible_cpus": ir.Number(self._facts.cpus)},
        )
        handlers = [
            binder.bind(handler, _answers(body.derived))
            for handler, body in zip(handlers, bodies, strict=True)
        ]
        made = ir.Script(
            globals=tuple(_global(symbol) for symbol in self._symbols.all_globals()),
            functions=binder.functions,
            handlers=tuple(_merged(handlers)),
            limits=self._limits,
        )
        return Lowered(made, tuple(self._problems))

    def _ticks_per_second(self) -> int:
        setting = self._facts.config.get("CONFIG_HZ", "")
        return int(setting) if setting.isdigit() else 250

    # --- handlers ------------------------------------------------------------------------

    def _bodies(self, probe: tree.Probe) -> Iterable[_Body]:
        for derived in self._deriver.derive(probe.points, uses_of(probe.body)):
            block = _assembled(derived, probe)
            if derived.resolved.event is ir.Event.READ:
                block = with_reply(block)
            yield _Body(derived, block, Inference(self._symbols, {}, self._infer))

    def _handler(self, body: _Body) -> ir.Handler:
        handler = self._converted(body)
        if handler.context == "fexit" and any(
            isinstance(e, ir.AtEntry) for e in ir_walk.expressions(handler.body)
        ):
            # A trampoline has no place to keep what was read at the entry.
            handler = self._converted(replace(body, derived=self._deriver.with_entry(body.derived)))
        return handler

    def _converted(self, body: _Body) -> ir.Handler:
        resolved = body.derived.resolved
        converter = self._converter(body.inference, resolved.probe_context)
        made = converter.body(body.block)
        for condition in reversed(body.derived.conditions):
            made = (ir.If(converter.expression(condition), made, at=condition.at),)
        if resolved.condition is not None:
            made = (ir.If(resolved.condition, made, at=body.block.at),)
        if resolved.target_only:
            made = (ir.If(_IS_TARGET, made, at=body.block.at),)
        if resolved.exits:
            made = (
                *made,
                ir.Evaluate(ir.Intrinsic("exit", type=Type.NOTHING, at=body.block.at), at=body.block.at),
            )
        return ir.Handler(
            number=0,
            event=resolved.event,
            name=resolved.name,
            body=made,
            locals=converter.locals(),
            order=resolved.order,
            file=resolved.file,
            period_ns=resolved.period_ns,
            randomize_ns=resolved.randomize_ns,
            context=resolved.context,
            arguments=resolved.arguments,
            requests=resolved.requests,
            entry_requests=resolved.entry_requests,
            entry_context=resolved.entry_context,
            syscalls=resolved.syscalls,
            alias=body.derived.alias,
            silence=points.silence(resolved, self._facts) or "",
            at=body.block.at,
        )

    # --- functions -----------------------------------------------------------------------

    def _infer(self, symbol: FunctionSymbol) -> None:
        """Find a function's types; before its first call is looked at, so that a wrong call is to blame."""
        if symbol.is_intrinsic or symbol in self._inferences:
            return
        if self._nested == _MOST_NESTED_CALLS:
            self._waiting.append(symbol)
            return
        inference = Inference(self._symbols, symbol.locals, self._infer, symbol)
        self._inferences[symbol] = inference
        assert symbol.declaration.body is not None
        self._nested += 1
        inference.statement(symbol.declaration.body)
        self._nested -= 1

    def _infer_waiting(self) -> None:
        while self._waiting:
            self._infer(self._waiting.pop())

    def _infer_uncalled(self) -> None:
        """What nobody calls is looked at all the same: a mistake in it should show now."""
        for function in self._script.functions:
            symbol: FunctionSymbol | None = self._symbols.function(
                function.name, len(function.parameters), function.at
            )
            while symbol is not None:
                self._infer(symbol)
                symbol = symbol.following
        self._infer_waiting()

    def _function(self, symbol: FunctionSymbol) -> ir.Function:
        return self._converter(self._inferences[symbol], None).function(symbol)

    def _converter(self, inference: Inference, context: ProbeContext | None) -> Converter:
        def convert(node: tree.Expression) -> ir.Expr:
            return converter.expression(node)

        converter = Converter(self._symbols, inference, Access(self._facts, context, convert), self._sites)
        return converter


def _answers(derived: Derived) -> Answers:
    """What a probe says of itself."""
    resolved = derived.resolved
    answers: dict[str, ir.Expr | tuple[ir.Expr, ...]] = {
        "pp": ir.Text(resolved.name, type=Type.STRING),
        "pn": ir.Text(derived.alias or resolved.name, type=Type.STRING),
        "ppfunc": _function_name(resolved),
        "is_return": ir.Number(int(resolved.probe_context.at_return)),
    }
    if resolved.context in ("sys_enter", "sys_exit") and len(resolved.syscalls) == 1:
        # Its program is at a tracepoint, which tells no function.
        answers["ppfunc"] = answers["probefunc"] = ir.Text(resolved.name.split('"')[1], type=Type.STRING)
        parameters = tuple(v.expr for v in resolved.probe_context.variables)
        if parameters != tuple(map(ir.Argument, range(len(parameters)))):
            answers[ARGUMENT] = parameters
    return answers


def _function_name(resolved: points.Resolved) -> ir.Expr:
    """What ``ppfunc()`` gives: of one function its name, of many the name of the one that was hit."""
    if len({r.target for r in resolved.requests}) > 1:
        return ir.Intrinsic("probefunc", type=Type.STRING)
    return ir.Text(resolved.probe_context.function, type=Type.STRING)


def _assembled(derived: Derived, probe: tree.Probe) -> tree.Block:
    """Everything that runs at a point, what aliases set and nobody reads left out."""
    needed = walk.names(probe.body) | walk.names(derived.epilogues)
    prologues = [walk.needed_part(block, needed) for block in reversed(derived.prologues)]
    blocks = [*(b for b in reversed(prologues) if b.body), probe.body, *derived.epilogues]
    return tree.Block(probe.at, tuple(blocks)) if len(blocks) > 1 else probe.body


def _merged(handlers: Sequence[ir.Handler]) -> list[ir.Handler]:
    """Handlers of one probe that differ in nothing but where they are attached become one."""
    groups: dict[tuple[ir.Handler, Place | None, int], list[ir.Handler]] = {}
    for number, handler in enumerate(handlers):
        if handler.event is not ir.Event.KERNEL or handler.context in ("fentry", "fexit"):
            groups[handler, handler.at, number] = [handler]  # a trampoline belongs to one function
            continue
        key = replace(handler, name="", requests=(), entry_requests=(), syscalls=())
        members = groups.setdefault((key, handler.at, -1), [])
        if any(_same_place(handler, member) for member in members):
            groups[handler, handler.at, number] = [handler]  # named twice, it happens twice
        else:
            members.append(handler)
    merged = []
    for number, members in enumerate(groups.values()):
        first = members[0]
        made = replace(first, number=number)
        requests = _distinct(r for m in members for r in m.requests)
        entries = _distinct(r for m in members for r in m.entry_requests)
        every = any(not m.syscalls for m in members)
        titles = list(dict.fromkeys(m.title for m in members))
        more = f" and {len(titles) - 1} more" if len(titles) > 1 else ""
        merged.append(
            replace(
                made,
                alias=titles[0] + more if made.alias or more else "",
                requests=tuple(replace(r, function=made.function) for r in requests),
                entry_requests=tuple(replace(r, function=made.entry_function) for r in entries),
                syscalls=() if every else tuple(sorted({n for m in members for n in m.syscalls})),
            )
        )
    return merged


def _same_place(one: ir.Handler, other: ir.Handler) -> bool:
    """Whether two handlers would run at the same moment."""
    requests = {(r.kind, r.target) for r in one.requests} & {(r.kind, r.target) for r in other.requests}
    return bool(requests) and (not one.syscalls or bool(set(one.syscalls) & set(other.syscalls)))


def _distinct(requests: Iterable[ProbeRequest]) -> list[ProbeRequest]:
    found = {(r.kind, r.target): r for r in requests}
    return list(found.values())


def _global(symbol: GlobalSymbol) -> ir.GlobalVariable:
    declaration = symbol.declaration
    initial = None if declaration.initial is None else declaration.initial.value
    return ir.GlobalVariable(
        name=symbol.name,
        type=symbol.cell.type or Type.LONG,
        keys=tuple(cell.type or Type.LONG for cell in symbol.keys or ()),
        key_names=symbol.key_names,
        initial=initial,
        size=declaration.size or 0,
        wraps=declaration.wraps,
        histograms=tuple(symbol.histograms),
        variance=symbol.variance,
        bit_shift=symbol.bit_shift,
        at=declaration.at,
    )


def _named_syscalls(script: tree.Script) -> frozenset[str]:
    """System calls that a script names one by one."""
    named: set[str] = set()
    for node in walk.nodes((script.probes, script.aliases)):
        if isinstance(node, tree.Point) and len(node.components) > 1:
            first, second, *_ = (c.name for c in node.components)
            if first in ("syscall", "nd_syscall", "__syscall") and not {"*", "?"} & set(second):
                named |= {second, call_name(second)}
        if isinstance(node, tree.Component) and isinstance(node.argument, str):
            for prefix in ("sys_", "SyS_", "__x64_sys_"):
                if node.argument.startswith(prefix) and node.name == "function":
                    named.add(node.argument.removeprefix(prefix).partition("@")[0])
    return frozenset(named)
