"""Functions that need the event, made into functions that do not.

A function that runs beside the notebook cannot read registers or memory. Where it is
called with values of the event, what it reads depends on nothing else: it is read in
the kernel and handed to a variant of the function as one more argument. What is left
may be read later, if it is the kernel's memory and whoever asks does not mind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.ir.events import can_be_late, is_event_node, of_event
from ktrace_nb.ir.simplify import is_pure, named_values, substitute

Readable = Callable[[ir.Expr], bool]
"""Whether the kernel can compute an expression for the caller."""

_MOST_DEEP = 20


class Unreadable(Exception):  # noqa: N818 (named for what happened)
    """A function reads memory by a value that only it knows."""

    def __init__(self, expr: ir.Expr) -> None:
        super().__init__(expr)
        self.expr = expr


@dataclass
class Specialiser:
    """Makes variants of functions.

    Args:
        functions: All functions by name.
        may_be_late: Whether they may read the kernel's memory after the event.
    """

    functions: Mapping[str, ir.Function]
    may_be_late: bool = False
    variants: dict[str, ir.Function] = field(default_factory=dict)
    """Those that were made, and functions that they call as they are."""
    late: set[str] = field(default_factory=set)
    """Those that read the kernel's memory after the event."""
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _known: dict[tuple[object, ...], tuple[str, tuple[ir.Expr, ...]]] = field(default_factory=dict)

    def _reads_late(self, name: str, above: frozenset[str] = frozenset()) -> bool:
        """Whether a function that needs the event, and those it calls, can read all of it later."""
        if name in above:
            return True
        body = self.functions[name].body
        return all(can_be_late(e) for e in walk.expressions(body) if is_event_node(e)) and all(
            self._reads_late(inner, above | {name}) for inner in walk.calls(body)
        )

    def _calls_itself(self, name: str) -> bool:
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            called = walk.calls(self.functions[waiting.pop()].body)
            waiting += called - seen
            seen |= called
        return name in seen

    def needs_event(self, name: str, above: frozenset[str] = frozenset()) -> bool:
        """Whether a function or one it calls needs the event."""
        if name in above:
            return False
        body = self.functions[name].body
        return any(is_event_node(e) for e in walk.expressions(body)) or any(
            self.needs_event(inner, above | {name}) for inner in walk.calls(body)
        )

    def call(self, call: ir.Call, readable: Readable, depth: int = 0) -> tuple[str, tuple[ir.Expr, ...]]:
        """The variant for a call: its name, and what the kernel reads for it.

        Raises:
            Unreadable: Something of it cannot be read beforehand.
        """
        function = self.functions[call.function]
        if not self.needs_event(call.function):
            self._keep(call.function)
            return call.function, ()
        if self.may_be_late and self._calls_itself(call.function) and self._reads_late(call.function):
            self._keep(call.function)
            self.late.add(call.function)
            return call.function, ()
        if depth > _MOST_DEEP:
            raise Unreadable(call)
        bound = self._bound(function, call)
        key = (call.function, *sorted(bound.items(), key=lambda item: item[0]))
        if key not in self._known:
            # A function that calls itself would need a value more each time.
            self._known[key] = self._make(function, bound, readable, depth)
        return self._known[key]

    def _keep(self, name: str) -> None:
        if name not in self.variants:
            self.variants[name] = self.functions[name]
            for inner in walk.calls(self.functions[name].body):
                self._keep(inner)

    def _bound(self, function: ir.Function, call: ir.Call) -> dict[str, ir.Expr]:
        """Locals of a function whose values are known to the caller."""
        assigned = {
            e.target.name
            for e in walk.expressions(function.body)
            if isinstance(e, ir.Assign | ir.Step) and isinstance(e.target, ir.Local)
        }
        bound = {
            parameter.name: argument
            for parameter, argument in zip(function.parameters, call.arguments, strict=True)
            if parameter.name not in assigned and is_pure(argument)
        }
        body = walk.changed_expressions(function.body, lambda e: substitute(e, bound))
        return {**bound, **named_values(body, lambda e: not walk.globals_used((ir.Evaluate(e),)))}

    def _make(
        self, function: ir.Function, bound: Mapping[str, ir.Expr], readable: Readable, depth: int
    ) -> tuple[str, tuple[ir.Expr, ...]]:
        found: list[ir.Expr] = []
        late: list[ir.Expr] = []
        own = {p.name for p in (*function.parameters, *function.locals)}

        def parameter(expr: ir.Expr) -> ir.Expr:
            if expr not in found:
                found.append(expr)
            return ir.Local(f"event {found.index(expr)}", type=expr.type, at=expr.at)

        def change(expr: ir.Expr) -> ir.Expr:
            if isinstance(expr, ir.Number | ir.Text | ir.Local):
                return expr
            if of_event(expr):
                closed = substitute(expr, bound)
                free = walk.locals_read(expr) & own - bound.keys()
                if not free and is_pure(closed) and readable(closed):
                    return parameter(closed)
            if is_event_node(expr):
                if not self.may_be_late or not can_be_late(expr):
                    raise Unreadable(expr)
                late.append(expr)
            if isinstance(expr, ir.Call) and self.needs_event(expr.function):
                made = self._inner(expr, bound, readable, depth, parameter, change)
                late.extend([expr] if made.function in self.late else ())
                return made
            expr = walk.with_children(expr, change)
            if isinstance(expr, ir.Call):
                self._keep(expr.function)
            return expr

        body = walk.changed_expressions(function.body, change)
        name = f"{function.name} at event {next(self._numbers)}"
        extra = tuple(ir.LocalVariable(f"event {n}", e.type) for n, e in enumerate(found))
        if late:
            self.late.add(name)
        self.variants[name] = replace(
            function, name=name, parameters=(*function.parameters, *extra), body=body
        )
        return name, tuple(found)

    def _inner(
        self,
        call: ir.Call,
        bound: Mapping[str, ir.Expr],
        readable: Readable,
        depth: int,
        parameter: Callable[[ir.Expr], ir.Expr],
        change: Callable[[ir.Expr], ir.Expr],
    ) -> ir.Call:
        closed = substitute(call, bound)
        assert isinstance(closed, ir.Call)
        name, wanted = self.call(closed, readable, depth + 1)
        changed = walk.with_children(call, change)
        assert isinstance(changed, ir.Call)
        return replace(changed, function=name, arguments=(*changed.arguments, *map(parameter, wanted)))
