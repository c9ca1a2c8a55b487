"""Parts of handlers: what can be sent ahead, put aside at an entry, or decided in the kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.ir.fit import Fit, symbol_of
from ktrace_nb.ir.intrinsics import INTRINSICS
from ktrace_nb.ir.script import Shape, Type
from ktrace_nb.ir.simplify import is_pure, named_values, without_names


def evaluated(expr: ir.Expr) -> ir.Body:
    """An expression as a body of its own."""
    return (ir.Evaluate(expr),)


def has_variables(expr: ir.Expr) -> bool:
    """Whether an expression uses variables of the script."""
    return any(isinstance(e, ir.Local | ir.Global | ir.Element) for e in walk.expressions(expr))


def may_fail(expr: ir.Expr) -> bool:
    """Whether computing it may be an error; the script may ask for it only where it is none, or catch it."""
    return any(
        isinstance(e, ir.Binary)
        and e.op in ("/", "%")
        and not (isinstance(e.right, ir.Number) and e.right.value)
        for e in walk.expressions(expr)
    )


def is_sendable(expr: ir.Expr) -> bool:
    """Whether a value can be sent along ahead of the statement that uses it."""
    return is_pure(expr) or all(
        not isinstance(e, ir.Assign | ir.Step)
        and not (isinstance(e, ir.Intrinsic) and INTRINSICS[e.name].effect)
        for e in walk.expressions(expr)
    )


def simplified(handler: ir.Handler) -> ir.Handler:
    """A handler whose variables that name what only the notebook can compute are gone."""
    named = named_values(handler.body, lambda e: not walk.globals_used(evaluated(e)))
    beside = {
        name: value
        for name, value in named.items()
        if isinstance(value, ir.Text | ir.Number)
        or (value.type is Type.STRING and not _is_read_in_kernel(value))
    }
    return replace(handler, body=without_names(handler.body, beside)) if beside else handler


def _is_read_in_kernel(expr: ir.Expr) -> bool:
    """Whether a string comes out of the kernel as it is."""
    if isinstance(expr, ir.Intrinsic):
        return INTRINSICS[expr.name].kernel
    return isinstance(expr, ir.AtEntry | ir.Local)


def as_numbers(expr: ir.Expr) -> ir.Expr:
    """An expression for the kernel: names that the notebook makes of a number are that number."""
    expr = walk.with_children(expr, as_numbers)
    symbol = symbol_of(expr)
    if isinstance(expr, ir.Intrinsic) and symbol and not INTRINSICS[expr.name].kernel:
        return ir.Symbol(expr.arguments[0], symbol, type=Type.STRING, at=expr.at)
    return expr


def put_aside(
    body: ir.Body, shape: Callable[[ir.Expr], Shape]
) -> tuple[ir.Body, tuple[tuple[ir.Expr, Shape], ...]]:
    """A body with values of the entry numbered, and those values."""
    found: list[ir.Expr] = []

    def change(expr: ir.Expr) -> ir.Expr:
        if isinstance(expr, ir.AtEntry):
            if expr.operand not in found:
                found.append(expr.operand)
            return ir.EntryValue(found.index(expr.operand), type=expr.type, at=expr.at)
        return walk.with_children(expr, change)

    body = walk.changed_expressions(body, change)
    return body, tuple((as_numbers(e), shape(e)) for e in found)


def guards_of(body: ir.Body, fit: Fit) -> tuple[list[ir.Expr], ir.Body]:
    """Conditions at the beginning of a handler that the kernel can decide, and the rest of it."""
    guards: list[ir.Expr] = []
    while body:
        match body:
            case (ir.If(condition=condition, then=then, otherwise=()),) if _decidable(condition, fit):
                guards.append(condition)
                body = then
            case (ir.If(condition=condition, then=(ir.Next(),), otherwise=()), *rest) if _decidable(
                condition, fit
            ):
                guards.append(ir.Unary("!", condition, at=condition.at))
                body = tuple(rest)
            case _:
                break
    return guards, body


def _decidable(condition: ir.Expr, fit: Fit) -> bool:
    return is_pure(condition) and not has_variables(condition) and fit.expression(condition) is None
