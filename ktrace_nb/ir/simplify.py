"""Making scripts simpler before they are placed: small functions go into their callers,
variables that only name a value go into what uses it, constants are computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.ir.intrinsics import INTRINSICS

_MOST_INLINED = 64
"""How deep functions are put into their callers."""


def is_pure(expr: ir.Expr) -> bool:
    """Whether an expression only gives a value, so that it may be evaluated elsewhere or twice."""
    return not any(
        isinstance(e, ir.Assign | ir.Step | ir.Call)
        or (isinstance(e, ir.Intrinsic) and INTRINSICS[e.name].effect)
        for e in walk.expressions(expr)
    )


# --- functions that are one expression ---------------------------------------------------


def inline_functions(script: ir.Script) -> ir.Script:
    """Replace calls of functions that do no more than return an expression."""
    simple = {f.name: f for f in script.functions if _is_expression(f)}

    def inline(expr: ir.Expr, depth: int = 0) -> ir.Expr:
        expr = walk.with_children(expr, lambda child: inline(child, depth))
        if not isinstance(expr, ir.Call) or expr.function not in simple or depth > _MOST_INLINED:
            return expr
        function = simple[expr.function]
        statement = function.body[0]
        assert isinstance(statement, ir.Return) and statement.value is not None
        names = [p.name for p in function.parameters]
        values = dict(zip(names, expr.arguments, strict=True))
        if not _keeps_order(statement.value, values):
            return expr
        made = substitute(statement.value, values)
        return inline(_placed_at(made, expr), depth + 1)

    def in_body(body: ir.Body) -> ir.Body:
        return walk.changed_expressions(body, inline)

    handlers = tuple(replace(h, body=in_body(h.body)) for h in script.handlers)
    functions = tuple(replace(f, body=in_body(f.body)) for f in script.functions)
    return replace(script, handlers=handlers, functions=_called(functions, handlers))


def _keeps_order(body: ir.Expr, values: Mapping[str, ir.Expr]) -> bool:
    """Whether arguments may be evaluated where a function uses them, not in front of it.

    One that does something must be evaluated once, in any case, and nothing may notice that it was later.
    """
    doing = [name for name, value in values.items() if not is_pure(value)]
    if not doing:
        return True
    others = [value for name, value in values.items() if name not in doing]
    uses = Counter(e.name for e in walk.expressions(body) if isinstance(e, ir.Local))
    return (
        len(doing) == 1
        and uses[doing[0]] == 1
        and _is_always_read(body, doing[0])
        and not walk.globals_used(body)
        and is_pure(body)
        and all(isinstance(value, ir.Number | ir.Text) for value in others)
    )


def _is_always_read(expr: ir.Expr, name: str) -> bool:
    match expr:
        case ir.Local(name=found):
            return found == name
        case ir.Choose(condition=first) | ir.Logical(left=first):
            return _is_always_read(first, name)
    return any(_is_always_read(child, name) for child in walk.children(expr))


def _is_expression(function: ir.Function) -> bool:
    match function.body:
        case (ir.Return(value=ir.Expr() as value),):
            return not any(
                isinstance(e, ir.Call) and e.function == function.name for e in walk.expressions(value)
            ) and not any(
                isinstance(e, ir.Assign | ir.Step) and isinstance(e.target, ir.Local)
                for e in walk.expressions(value)
            )
    return False


def _placed_at(made: ir.Expr, call: ir.Expr) -> ir.Expr:
    """What goes wrong in a function of the tapset is shown where the script calls it."""
    return replace(made, at=call.at)


def _called(functions: tuple[ir.Function, ...], handlers: tuple[ir.Handler, ...]) -> tuple[ir.Function, ...]:
    by_name = {f.name: f for f in functions}
    waiting = [name for h in handlers for name in walk.calls(h.body)]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += walk.calls(by_name[name].body)
    return tuple(f for f in functions if f.name in found)


def substitute(expr: ir.Expr, values: Mapping[str, ir.Expr]) -> ir.Expr:
    """An expression with locals replaced by values."""
    if isinstance(expr, ir.Local) and expr.name in values:
        return values[expr.name]
    return fold(walk.with_children(expr, lambda child: substitute(child, values)))


# --- variables that name a value ---------------------------------------------------------


def named_values(body: ir.Body, may: Callable[[ir.Expr], bool]) -> dict[str, ir.Expr]:
    """Locals that are set once, at the beginning of everything, to a value of the event.

    Args:
        body: The handler's.
        may: Whether a value may be used later instead of when it was assigned.

    Returns:
        The value of each, other such locals in it replaced.
    """
    sets = Counter(
        e.target.name
        for e in walk.expressions(body)
        if isinstance(e, ir.Assign | ir.Step) and isinstance(e.target, ir.Local)
    )
    for statement in walk.statements(body):
        if isinstance(statement, ir.Foreach):
            sets.update([statement.value, *statement.names] * 2)
        elif isinstance(statement, ir.Try):
            sets.update([statement.variable] * 2)
    found: dict[str, ir.Expr] = {}
    seen: set[str] = set()
    for statement in body:
        match statement:
            case ir.Evaluate(expr=ir.Assign(target=ir.Local(name=name), op="", value=value)):
                value = substitute(value, found)
                is_known = not walk.locals_read(value)
                if sets[name] == 1 and name not in seen and is_known and is_pure(value) and may(value):
                    found[name] = value
        seen |= walk.locals_read((statement,))
    return found


def without_names(body: ir.Body, values: Mapping[str, ir.Expr]) -> ir.Body:
    """A body with named values put where they are used, and their assignments gone."""

    def change(statement: ir.Stmt) -> ir.Body | ir.Stmt:
        match statement:
            case ir.Evaluate(expr=ir.Assign(target=ir.Local(name=name))) if name in values:
                return ()
        return walk.with_children(statement, lambda expr: substitute(expr, values))

    return _decided(walk.changed_body(body, change))


def _decided(body: ir.Body) -> ir.Body:
    """A body without the branches that constants exclude."""

    def change(statement: ir.Stmt) -> ir.Body | ir.Stmt:
        match statement:
            case ir.If(condition=ir.Number(value=value)):
                return statement.then if value else statement.otherwise
        return statement

    return walk.changed_body(body, change)


def fold(expr: ir.Expr) -> ir.Expr:
    """Compute what is constant: comparisons of constants and what hangs on them."""
    match expr:
        case ir.Compare(op=op, left=ir.Text() | ir.Number() as left, right=ir.Text() | ir.Number() as right):
            return ir.Number(int(_compared(op, left.value, right.value)), at=expr.at)
        case ir.Unary(op="!", operand=ir.Number(value=value)):
            return ir.Number(int(not value), at=expr.at)
        case ir.Choose(condition=ir.Number(value=value)):
            return expr.then if value else expr.otherwise
        case ir.Concat(left=ir.Text() as left, right=ir.Text() as right):
            return replace(left, value=left.value + right.value)
        case ir.Logical(op=op, left=ir.Number(value=value)):
            if bool(value) == (op == "||"):
                return ir.Number(int(bool(value)), at=expr.at)
            return fold(ir.Compare("!=", expr.right, ir.Number(0, at=expr.at), at=expr.at))
    return expr


def _compared(op: str, left: int | str, right: int | str) -> bool:
    a, b = (left, right)
    match op:
        case "==":
            return a == b
        case "!=":
            return a != b
        case "<":
            return a < b  # type: ignore[operator]
        case "<=":
            return a <= b  # type: ignore[operator]
        case ">":
            return a > b  # type: ignore[operator]
        case _:
            return a >= b  # type: ignore[operator]
