"""How handlers in the kernel use globals."""

from __future__ import annotations

from collections.abc import Iterable

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk


class KernelUses:
    """How handlers in the kernel use globals."""

    def __init__(self, bodies: Iterable[ir.Body]) -> None:
        self.named: set[str] = set()
        self.read: set[str] = set()
        self.set: set[str] = set()
        """Set to a value or deleted, not only added to."""
        for body in bodies:
            self.named |= walk.globals_used(body)
            for statement in walk.statements(body):
                self._statement(statement)

    def _statement(self, statement: ir.Stmt) -> None:
        match statement:
            case ir.Evaluate(expr=ir.Step(target=target)):
                self._inner(target)
            case ir.Evaluate(expr=ir.Assign(target=target, op=op, value=value)):
                self._inner(target)
                if not isinstance(target, ir.Local) and op not in ("+", "-"):
                    self.set.add(_name(target))
                    if op:
                        self.read.add(_name(target))
                self._reads(value)
            case ir.Accumulate(target=target, value=value):
                self._inner(target)
                self._reads(value)
            case ir.Delete(target=target):
                self._inner(target)
                self.set.add(_name(target))
            case _:
                for child in _own_children(statement):
                    self._reads(child)

    def _inner(self, target: ir.Local | ir.Global | ir.Element) -> None:
        """The keys of a target are read, itself is not."""
        for child in walk.children(target):
            self._reads(child)

    def _reads(self, expr: ir.Expr) -> None:
        for e in walk.expressions(expr):
            if isinstance(e, ir.Global | ir.Element):
                self.read.add(_name(e))
            elif isinstance(e, ir.Contains):
                self.read.add(e.array)
            if isinstance(e, ir.Assign | ir.Step) and not isinstance(e.target, ir.Local):
                self.set.add(_name(e.target))


def _own_children(statement: ir.Stmt) -> list[ir.Expr]:
    """The expressions of a statement, those of the statements in it left out."""
    found: list[ir.Expr] = []

    def note(expr: ir.Expr) -> ir.Expr:
        found.append(expr)
        return expr

    walk.with_children(statement, note)
    return found


def _name(target: ir.Local | ir.Global | ir.Element) -> str:
    return target.array if isinstance(target, ir.Element) else target.name
