"""Globals that a script fills and never looks at: whoever runs it wants to see them in the end."""

from __future__ import annotations

from collections.abc import Iterator

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.walk import expressions, statements


def unread_globals(script: ir.Script) -> list[str]:
    """Names of globals that are set, counted up or added to, and read nowhere.

    SystemTap shows these of itself when a script ends (man stap, "Automatic printing of
    unused global variables").
    """
    bodies = [*(f.body for f in script.functions), *(h.body for h in script.handlers)]
    mentioned: dict[str, int] = {}
    filled: dict[str, int] = {}
    for body in bodies:
        for name in _mentions(body):
            mentioned[name] = mentioned.get(name, 0) + 1
        for name in _fills(body):
            filled[name] = filled.get(name, 0) + 1
    return [g.name for g in script.globals if g.name in filled and mentioned[g.name] == filled[g.name]]


def _mentions(body: ir.Body) -> Iterator[str]:
    for expr in expressions(body):
        if isinstance(expr, ir.Global):
            yield expr.name
        elif isinstance(expr, ir.Element | ir.Contains):
            yield expr.array
    yield from (s.array for s in statements(body) if isinstance(s, ir.Foreach) and s.array)


def _fills(body: ir.Body) -> Iterator[str]:
    for statement in statements(body):
        target: ir.Expr | None = None
        if isinstance(statement, ir.Accumulate):
            target = statement.target
        elif isinstance(statement, ir.Evaluate) and isinstance(statement.expr, ir.Assign | ir.Step):
            target = statement.expr.target
        if isinstance(target, ir.Global):
            yield target.name
        elif isinstance(target, ir.Element):
            yield target.array
