"""Looking through IR, and making changed copies of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

from ktrace_nb.ir import script as ir

Node = TypeVar("Node", ir.Expr, ir.Stmt)
_SKIPPED = frozenset(("type", "at"))


_known: dict[type, tuple[str, ...]] = {}


def _parts(kind: type[ir.Expr | ir.Stmt]) -> tuple[str, ...]:
    """Names of the fields that may hold parts; asked millions of times for a wildcard."""
    if kind not in _known:
        _known[kind] = tuple(f.name for f in fields(kind) if f.name not in _SKIPPED)
    return _known[kind]


def children(node: ir.Expr | ir.Stmt) -> Iterator[ir.Expr]:
    """The expressions directly in a node; of a statement also those of the statements in it."""
    for name in _parts(type(node)):
        yield from _expressions(getattr(node, name))


def _expressions(value: Any) -> Iterator[ir.Expr]:
    if isinstance(value, ir.Expr):
        yield value
    elif isinstance(value, ir.Stmt):
        yield from children(value)
    elif isinstance(value, tuple):
        for item in value:
            yield from _expressions(item)


def expressions(node: ir.Expr | ir.Stmt | ir.Body) -> Iterator[ir.Expr]:
    """Every expression in a node, itself included, outermost first."""
    direct = (node,) if isinstance(node, ir.Expr) else _expressions(node)
    for expr in direct:
        yield expr
        for child in children(expr):
            yield from expressions(child)


def statements(body: ir.Body) -> Iterator[ir.Stmt]:
    """Every statement of a body and of the bodies in it, in order."""
    for statement in body:
        yield statement
        for name in _parts(type(statement)):
            value = getattr(statement, name)
            if isinstance(value, tuple) and value and isinstance(value[0], ir.Stmt):
                yield from statements(value)


def with_children(node: Node, change: Callable[[ir.Expr], ir.Expr]) -> Node:
    """A node with each expression directly in it changed; the node itself if none is.

    In a statement only its own expressions are changed, not those of the bodies in it.
    """
    changes: dict[str, Any] = {}
    for name in _parts(type(node)):
        value = getattr(node, name)
        if isinstance(value, ir.Expr):
            made: Any = change(value)
        elif isinstance(value, tuple) and any(isinstance(item, ir.Expr) for item in value):
            made = tuple(change(item) if isinstance(item, ir.Expr) else item for item in value)
            if all(a is b for a, b in zip(made, value, strict=True)):
                continue
        else:
            continue
        if made is not value:
            changes[name] = made
    return replace(node, **changes) if changes else node


def changed_body(body: ir.Body, change: Callable[[ir.Stmt], ir.Body | ir.Stmt]) -> ir.Body:
    """A body with each statement changed, after the bodies in it have been; several may come of one."""
    result: list[ir.Stmt] = []
    for statement in body:
        inner: dict[str, Any] = {}
        for name in _parts(type(statement)):
            value = getattr(statement, name)
            if isinstance(value, tuple) and value and isinstance(value[0], ir.Stmt):
                inner[name] = changed_body(value, change)
        made = change(replace(statement, **inner) if inner else statement)
        result += made if isinstance(made, tuple) else (made,)
    return tuple(result)


def changed_expressions(body: ir.Body, change: Callable[[ir.Expr], ir.Expr]) -> ir.Body:
    """A body with the outermost expressions of all its statements changed."""
    return changed_body(body, lambda statement: with_children(statement, change))


def locals_read(node: ir.Expr | ir.Stmt | ir.Body) -> set[str]:
    """Names of the locals in a node."""
    return {e.name for e in expressions(node) if isinstance(e, ir.Local)}


def globals_used(node: ir.Expr | ir.Stmt | ir.Body) -> set[str]:
    """Names of the globals that a node itself touches, functions it calls not looked into."""
    found: set[str] = set()
    for expr in expressions(node):
        if isinstance(expr, ir.Global):
            found.add(expr.name)
        elif isinstance(expr, ir.Element | ir.Contains):
            found.add(expr.array)
    if isinstance(node, tuple):
        found |= {s.array for s in statements(node) if isinstance(s, ir.Foreach) and s.array}
    return found


def calls(node: ir.Expr | ir.Stmt | ir.Body) -> set[str]:
    """Names of the functions that a node calls."""
    return {e.function for e in expressions(node) if isinstance(e, ir.Call)}
