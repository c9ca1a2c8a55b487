"""Where each part of a script runs.

A handler of a kernel event stays in the kernel if all of it can. What it prints is
sent as the values it is made of, and formatted on arrival. A handler that cannot
stay becomes two: a part in the kernel that sends along every value that only the
event has, and the handler itself, run beside the notebook in the order of arrival.
The globals it shares then live there too, so that every handler sees what the one
before it did; other handlers that touch them follow.

The kernel's memory can be read beside the notebook, too. Handlers without an event do so;
of those that were moved there, only for what nothing could read beforehand, because
its address comes of what is known there alone: by then it may have changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count

from ktrace_nb.diagnostics import Problem
from ktrace_nb.errors import UnsupportedError
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.ir.events import can_be_late, is_event_node, of_event
from ktrace_nb.ir.fit import Fit, Reason, can_finish, is_message
from ktrace_nb.ir.intrinsics import INTRINSICS
from ktrace_nb.ir.parts import (
    as_numbers,
    evaluated,
    guards_of,
    has_variables,
    is_sendable,
    may_fail,
    put_aside,
    simplified,
)
from ktrace_nb.ir.script import Event, Shape, Type
from ktrace_nb.ir.shapes import Shapes
from ktrace_nb.ir.simplify import inline_functions, named_values, without_names
from ktrace_nb.ir.specialise import Specialiser, Unreadable
from ktrace_nb.ir.uses import KernelUses
from ktrace_nb.source import Place

NO_SCOPE = ""


def place(script: ir.Script) -> ir.Placed:
    """Decide what runs where.

    Raises:
        UnsupportedError: A handler that cannot stay in the kernel reads memory of a process
            by a value that is known only beside the notebook.
    """
    script = inline_functions(script)
    script = replace(script, handlers=tuple(h for h in script.handlers if h.event is not Event.NEVER))
    return _Placement(script).run()


@dataclass
class _Split:
    """Values that go with a record."""

    values: list[ir.Expr] = field(default_factory=list)

    def capture(self, expr: ir.Expr) -> ir.Captured:
        """The place of a value in the record; equal ones share it."""
        if expr not in self.values:
            self.values.append(expr)
        return ir.Captured(self.values.index(expr), type=expr.type, at=expr.at)


class _Placement:
    def __init__(self, script: ir.Script) -> None:
        self._script = script
        self._functions = {f.name: f for f in script.functions}
        self._globals = {g.name: g for g in script.globals}
        self._arrays = {g.name for g in script.globals if g.keys}
        self._ahead = Fit(self._functions, self._arrays, self._globals.keys())
        """What fits in the kernel without any global."""
        self._events = [simplified(h) for h in script.handlers if h.event is Event.KERNEL]
        self._user_events = [h for h in script.handlers if h.event is not Event.KERNEL]
        self._deferred: dict[int, Reason] = {}
        self._user_globals: set[str] = set()
        self._numbers = count(1)
        self._records: list[ir.Record] = []
        self._user_functions: dict[str, ir.Function] = {}
        self._specialiser = Specialiser(self._functions, may_be_late=True)
        self._late: dict[int, Place | None] = {}
        """Handlers that read the kernel's memory after their event, and where first."""

    def run(self) -> ir.Placed:
        shapes = self._decide()
        fit = self._fit()
        kernel: list[ir.KernelHandler] = []
        for handler in self._events:
            if handler.number in self._deferred:
                kernel.append(self._defer(handler, fit, shapes))
            else:
                kernel.append(self._keep(handler, shapes))
        functions = self._kernel_functions(kernel, shapes)
        held = self._kernel_globals(shapes)
        names = {g.variable.name for g in held}
        for handler in self._user_events:
            self._want_functions(handler.body)
        return ir.Placed(
            script=self._script,
            kernel_globals=held,
            kernel_functions=functions,
            kernel_handlers=tuple(kernel),
            records=tuple(self._records),
            user_globals=tuple(g for g in self._script.globals if g.name not in names),
            user_handlers=tuple(self._checked(h) for h in self._user_events),
            user_functions=tuple({**self._user_functions, **self._specialiser.variants}.values()),
            notes=tuple(
                (
                    f"probe {h.name} runs beside the notebook: {self._deferred[h.number].text}",
                    self._deferred[h.number].at,
                )
                for h in self._events
                if h.number in self._deferred
            ),
            late_reads=tuple((h.name, self._late[h.number]) for h in self._events if h.number in self._late),
        )

    # --- who stays -------------------------------------------------------------------------

    def _fit(self) -> Fit:
        return Fit(self._functions, self._arrays, self._user_globals)

    def _decide(self) -> Shapes:
        """Find out which handlers stay in the kernel; gives the shapes of what they hold."""
        while True:
            before = len(self._deferred), len(self._user_globals)
            fit = self._fit()
            for handler in self._events:
                if handler.number not in self._deferred:
                    reason = fit.body(handler.body) or self._entry_reason(handler, fit)
                    if reason is not None:
                        self._leave(handler, reason)
            if (len(self._deferred), len(self._user_globals)) == before:
                shapes = self._shapes()
                if not self._resolve_conflicts(shapes):
                    return shapes

    def _leave(self, handler: ir.Handler, reason: Reason) -> None:
        self._deferred[handler.number] = reason
        self._user_globals |= self._touched(handler.body)

    def _entry_reason(self, handler: ir.Handler, fit: Fit) -> Reason | None:
        entries = (e.operand for e in walk.expressions(handler.body) if isinstance(e, ir.AtEntry))
        return next(filter(None, map(fit.expression, entries)), None)

    def _touched(self, body: ir.Body, above: frozenset[str] = frozenset()) -> set[str]:
        """Globals that a body and the functions it calls touch."""
        found = walk.globals_used(body)
        for name in walk.calls(body) - above:
            found |= self._touched(self._functions[name].body, above | {name})
        return found

    def _staying(self) -> list[ir.Handler]:
        return [h for h in self._events if h.number not in self._deferred]

    def _shapes(self) -> Shapes:
        shapes = Shapes(self._script.limits.max_string, self._functions)
        staying = self._staying()
        functions = self._called(h.body for h in staying)
        bodies = [(_scope(h), h.body) for h in staying] + [(n, self._functions[n].body) for n in functions]
        in_kernel = {name for _, body in bodies for name in walk.globals_used(body)}
        for variable in self._script.globals:
            if variable.name in in_kernel and isinstance(variable.initial, str):
                size = min(len(variable.initial) + 1, shapes.longest)
                value = ir.Text(variable.initial, type=Type.STRING, at=variable.at)
                shapes.join(("global", variable.name), Shape(size, text=True), value)
        # What is written beside the notebook may be as long as strings get.
        user_bodies = [h.body for h in self._user_events]
        user_bodies += [self._functions[n].body for n in self._called(user_bodies)]
        for body in user_bodies:
            self._written_beside(body, in_kernel, shapes)
        shapes.settle(bodies)
        return shapes

    def _written_beside(self, body: ir.Body, in_kernel: set[str], shapes: Shapes) -> None:
        for expr in walk.expressions(body):
            if not isinstance(expr, ir.Assign) or isinstance(expr.target, ir.Local):
                continue
            target = expr.target
            name = target.name if isinstance(target, ir.Global) else target.array
            if name not in in_kernel:
                continue
            long = Shape(shapes.longest, text=True)
            if expr.type is Type.STRING:
                size = len(expr.value.value) + 1 if isinstance(expr.value, ir.Text) else shapes.longest
                shapes.join(("global", name), Shape(min(size, shapes.longest), text=True), expr)
            for number, key in enumerate(target.keys if isinstance(target, ir.Element) else ()):
                if key is not None and key.type is Type.STRING:
                    shapes.join(("key", f"{name} {number}"), long, key)

    def _resolve_conflicts(self, shapes: Shapes) -> bool:
        """Let go what has no one shape; gives whether there was anything."""
        for (scope, name), reason in shapes.conflicts.items():
            if scope in ("global", "key"):
                variable = name.partition(" ")[0]
                self._user_globals.add(variable)
                for handler in self._staying():
                    if variable in self._touched(handler.body):
                        self._leave(handler, reason)
            for handler in self._staying():
                if scope in (_scope(handler), *self._called([handler.body])) or scope == "result":
                    self._leave(handler, reason)
        return bool(shapes.conflicts)

    def _called(self, bodies: Iterable[ir.Body]) -> list[str]:
        """Names of the functions that bodies call, and those call, callees first."""
        found: dict[str, None] = {}

        def visit(body: ir.Body, above: frozenset[str]) -> None:
            for name in sorted(walk.calls(body)):
                if name not in found and name not in above:
                    visit(self._functions[name].body, above | {name})
                    found[name] = None

        for body in bodies:
            visit(body, frozenset())
        return list(found)

    # --- handlers that stay ----------------------------------------------------------------

    def _keep(self, handler: ir.Handler, shapes: Shapes) -> ir.KernelHandler:
        scope = _scope(handler)
        body, entry = put_aside(handler.body, lambda e: shapes.of(scope, e) or ir.LONG)
        body = self._in_kernel(body, scope, handler.number, shapes)
        names = walk.locals_read(body)
        locals_ = tuple(
            ir.KernelLocal(v.name, shapes.get(scope, v)) for v in handler.locals if v.name in names
        )
        return ir.KernelHandler(handler, body, locals_, entry)

    def _in_kernel(self, body: ir.Body, scope: str, handler: int, shapes: Shapes) -> ir.Body:
        """A body as the kernel runs it: what it prints is sent."""

        def change(statement: ir.Stmt) -> ir.Body | ir.Stmt:
            match statement:
                case ir.Print(arguments=arguments):
                    return self._ship(statement, arguments, scope, handler, shapes)
                case ir.Evaluate(expr=ir.Intrinsic() as expr) if is_message(expr):
                    made = self._ship(statement, expr.arguments, scope, handler, shapes)
                    return (made, ir.Next(at=statement.at)) if expr.name == "error" else made
            return walk.with_children(statement, as_numbers)

        return walk.changed_body(body, change)

    def _ship(
        self, statement: ir.Stmt, values: tuple[ir.Expr, ...], scope: str, handler: int, shapes: Shapes
    ) -> ir.Ship:
        split = _Split()
        fit = self._fit()
        parts = tuple(self._split(value, split, fit) for value in values)
        if isinstance(statement, ir.Print):
            made: ir.Stmt = replace(statement, arguments=parts)
        else:
            assert isinstance(statement, ir.Evaluate)
            made = replace(statement, expr=replace(statement.expr, arguments=parts))  # type: ignore[call-arg]
        self._want_functions((made,))
        number = self._record(handler, split, scope, (made,), (), shapes)
        return ir.Ship(number, tuple(map(as_numbers, split.values)), at=statement.at)

    def _split(self, expr: ir.Expr, split: _Split, fit: Fit) -> ir.Expr:
        """An expression for the notebook, what the kernel computes of it captured."""
        if isinstance(expr, ir.Number | ir.Text):
            return expr
        if fit.expression(expr) is None and (
            of_event(expr) or not can_finish(expr, self._functions) or has_variables(expr)
        ):
            return split.capture(expr)
        if isinstance(expr, ir.Call):
            name, wanted = self._specialiser.call(expr, lambda e: fit.expression(e) is None)
            changed = walk.with_children(expr, lambda child: self._split(child, split, fit))
            assert isinstance(changed, ir.Call)
            return replace(
                changed, function=name, arguments=(*changed.arguments, *map(split.capture, wanted))
            )
        return walk.with_children(expr, lambda child: self._split(child, split, fit))

    def _record(
        self,
        handler: int,
        split: _Split,
        scope: str,
        body: ir.Body,
        locals_: tuple[ir.LocalVariable, ...],
        shapes: Shapes,
    ) -> int:
        number = next(self._numbers)
        sent = tuple(ir.Evaluate(value) for value in split.values)
        shapes.settle([(n, self._functions[n].body) for n in self._called([sent])] + [(scope, sent)])
        values = tuple(shapes.of(scope, value) or Shape(shapes.longest, text=True) for value in split.values)
        self._records.append(ir.Record(number, handler, values, body, locals_))
        return number

    def _kernel_functions(
        self, kernel: Iterable[ir.KernelHandler], shapes: Shapes
    ) -> tuple[ir.KernelFunction, ...]:
        made = []
        bodies = [(*h.body, *(ir.Evaluate(e) for e, _ in h.entry)) for h in kernel]
        for name in self._called(bodies):
            function = self._functions[name]
            body = self._in_kernel(function.body, name, -1, shapes)
            made.append(
                ir.KernelFunction(
                    function,
                    tuple(ir.KernelLocal(p.name, shapes.get(name, p)) for p in function.parameters),
                    tuple(ir.KernelLocal(v.name, shapes.get(name, v)) for v in function.locals),
                    shapes.shape("result", name, function.type),
                    body,
                )
            )
        return tuple(made)

    def _kernel_globals(self, shapes: Shapes) -> tuple[ir.KernelGlobal, ...]:
        staying = self._staying()
        bodies = [h.body for h in staying] + [
            self._functions[n].body for n in self._called(h.body for h in staying)
        ]
        uses = KernelUses(bodies)
        made = []
        for variable in self._script.globals:
            if variable.name not in uses.named or variable.name in self._user_globals:
                continue
            keys = tuple(
                shapes.shape("key", f"{variable.name} {number}", type_)
                for number, type_ in enumerate(variable.keys)
            )
            value = shapes.shape("global", variable.name, variable.type)
            read = variable.name in uses.read
            made.append(
                ir.KernelGlobal(variable, keys, value, read, variable.name not in uses.read | uses.set)
            )
        return tuple(made)

    # --- handlers that leave ---------------------------------------------------------------

    def _defer(self, handler: ir.Handler, fit: Fit, shapes: Shapes) -> ir.KernelHandler:
        # What is read later is read once, in its turn, and not wherever its name is used.
        named = named_values(
            handler.body, lambda e: not walk.globals_used(evaluated(e)) and not self._is_read_late(e)
        )
        body = without_names(handler.body, named)
        body, entry = put_aside(body, lambda e: shapes.of(NO_SCOPE, e) or ir.LONG)
        guards, body = guards_of(body, fit)
        split = _Split()
        made = self._captured_body(body, split, handler)
        self._want_functions(made)
        number = self._record(handler.number, split, NO_SCOPE, made, handler.locals, shapes)
        kernel: ir.Body = (ir.Ship(number, tuple(map(as_numbers, split.values)), at=handler.at),)
        for guard in reversed(guards):
            kernel = (ir.If(as_numbers(guard), kernel, at=guard.at),)
        return ir.KernelHandler(handler, kernel, (), entry)

    def _is_readable(self, expr: ir.Expr) -> bool:
        """Whether the kernel can compute a value ahead of a handler that runs beside the notebook."""
        return not has_variables(expr) and not may_fail(expr) and self._ahead.expression(expr) is None

    def _is_read_late(self, expr: ir.Expr) -> bool:
        """Whether a value has parts of the kernel's memory that nothing can read ahead."""
        return any(can_be_late(e) and not self._is_readable(e) for e in walk.expressions(expr))

    def _captured_body(self, body: ir.Body, split: _Split, handler: ir.Handler) -> ir.Body:
        def change(expr: ir.Expr, near: Place | None) -> ir.Expr:
            if isinstance(expr, ir.Number | ir.Text | ir.Local):
                return expr
            # What is wrong in a function of the tapset is shown where the script calls it.
            if expr.at is not None and handler.at is not None and expr.at.source is handler.at.source:
                near = expr.at
            calls = walk.calls(expr)
            needs_event = of_event(expr) or any(map(self._specialiser.needs_event, calls))
            can_be_sent = is_sendable(expr) and not any(map(self._has_effect, calls))
            if needs_event and can_be_sent and self._is_readable(expr):
                return split.capture(expr)
            if is_event_node(expr):
                if not can_be_late(expr):
                    raise self._unreadable(expr, handler)
                self._late.setdefault(handler.number, near or handler.at)
            if isinstance(expr, ir.Call):
                try:
                    name, wanted = self._specialiser.call(expr, self._is_readable)
                except Unreadable as error:
                    raise self._unreadable(
                        replace(error.expr, at=expr.at or error.expr.at), handler
                    ) from None
                if name in self._specialiser.late:
                    self._late.setdefault(handler.number, near or handler.at)
                changed = walk.with_children(expr, lambda child: change(child, near))
                assert isinstance(changed, ir.Call)
                return replace(
                    changed, function=name, arguments=(*changed.arguments, *map(split.capture, wanted))
                )
            return walk.with_children(expr, lambda child: change(child, near))

        return walk.changed_expressions(body, lambda expr: change(expr, None))

    def _has_effect(self, name: str, above: frozenset[str] = frozenset()) -> bool:
        """Whether a function does more than give a value."""
        if name in above:
            return False
        body = self._functions[name].body
        return (
            any(isinstance(s, ir.Print | ir.Accumulate | ir.Delete) for s in walk.statements(body))
            or bool(walk.globals_used(body))
            or any(isinstance(e, ir.Intrinsic) and INTRINSICS[e.name].effect for e in walk.expressions(body))
            or any(self._has_effect(inner, above | {name}) for inner in walk.calls(body))
        )

    def _unreadable(self, expr: ir.Expr, handler: ir.Handler) -> UnsupportedError:
        reason = self._deferred[handler.number]
        at = expr.at or handler.at
        text = "this must be read while the event happens, but the probe runs beside the notebook"
        assert at is not None
        others = []
        if reason.at is not None and reason.at != at:
            others = [Problem(f"{reason.text} here", reason.at.source, reason.at.span, severity="note")]
        return UnsupportedError(
            f"{text}: {reason.text}",
            at.source,
            at.span,
            hint="read it into a variable first, or do the rest in a timer or end probe",
            others=others,
        )

    # --- beside the notebook -----------------------------------------------------------------

    def _want_functions(self, body: ir.Body) -> None:
        """Have the functions that a body calls there, as they are."""
        for name in walk.calls(body):
            if name not in self._user_functions and name in self._functions:
                function = self._functions[name]
                self._user_functions[name] = function
                self._want_functions(function.body)

    def _checked(self, handler: ir.Handler) -> ir.Handler:
        """A handler without an event, refused if it needs one.

        Raises:
            UnsupportedError: It reads registers, or memory of a process.
        """
        functions = [self._functions[name].body for name in self._called([handler.body])]
        for body in (handler.body, *functions):
            for expr in walk.expressions(body):
                has_value = isinstance(expr, ir.Intrinsic) and INTRINSICS[expr.name].user
                if is_event_node(expr) and not has_value and not can_be_late(expr):
                    at = expr.at or handler.at
                    assert at is not None
                    raise UnsupportedError(
                        f"{handler.name} runs beside the notebook, where this cannot be read",
                        at.source,
                        at.span,
                        hint="read it in a probe of the kernel, timer.profile for instance, into a global",
                    )
        return handler


def _scope(handler: ir.Handler) -> str:
    return handler.function
