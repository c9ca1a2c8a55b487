"""How strings are kept in the kernel: how long they get, or what number stands for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.ir.fit import Reason, symbol_of
from ktrace_nb.ir.intrinsics import INTRINSICS
from ktrace_nb.ir.script import LONG, Shape, Type

Slot = tuple[str, str]
"""A variable: where it is (a handler, a function, ``global``, ``key``, ``result``), and its name."""


@dataclass
class Shapes:
    """The shapes of all variables that the kernel holds.

    Args:
        longest: Bytes of the longest string.
    """

    longest: int
    functions: Mapping[str, ir.Function]
    known: dict[Slot, Shape] = field(default_factory=dict)
    conflicts: dict[Slot, Reason] = field(default_factory=dict)
    """Variables that cannot have one shape, and where that shows."""

    def settle(self, bodies: Iterable[tuple[str, ir.Body]]) -> None:
        """Find the shapes that make everything in some bodies fit.

        Args:
            bodies: Each with the name of its handler or function.
        """
        bodies = list(bodies)
        while True:
            before = dict(self.known)
            for scope, body in bodies:
                self._look(scope, body)
            if self.known == before:
                return

    def _look(self, scope: str, body: ir.Body) -> None:
        for statement in walk.statements(body):
            if isinstance(statement, ir.Return) and statement.value is not None:
                self._give(("result", scope), scope, statement.value)
            if isinstance(statement, ir.Accumulate) and isinstance(statement.target, ir.Element):
                self._keys(scope, statement.target)
        for expr in walk.expressions(body):
            match expr:
                case ir.Assign(target=target, value=value) if expr.type is Type.STRING:
                    self._give(self._slot(scope, target), scope, value)
                case ir.Call(function=name, arguments=arguments):
                    for parameter, argument in zip(self.functions[name].parameters, arguments, strict=True):
                        self._give((name, parameter.name), scope, argument)
                case ir.Compare(left=left, right=right) if left.type is Type.STRING:
                    self._compare(scope, expr, left, right)
            if isinstance(expr, ir.Element | ir.Contains):
                self._keys(scope, expr)

    def _keys(self, scope: str, element: ir.Element | ir.Contains) -> None:
        for number, key in enumerate(element.keys):
            if key is not None:
                self._give(("key", f"{element.array} {number}"), scope, key)

    def _slot(self, scope: str, target: ir.Local | ir.Global | ir.Element) -> Slot:
        if isinstance(target, ir.Local):
            return scope, target.name
        return "global", target.name if isinstance(target, ir.Global) else target.array

    def _give(self, slot: Slot, scope: str, value: ir.Expr) -> None:
        if value.type is Type.STRING:
            self.join(slot, self.of(scope, value), value)

    def join(self, slot: Slot, shape: Shape | None, value: ir.Expr) -> None:
        """Make room for a value of that shape in a variable."""
        if shape is None:
            return
        known = self.known.get(slot)
        if known is None:
            self.known[slot] = shape
        elif known.symbol != shape.symbol:
            self.conflicts.setdefault(slot, Reason("names and texts are mixed", value.at))
        elif shape.size > known.size:
            self.known[slot] = shape

    def _compare(self, scope: str, expr: ir.Expr, left: ir.Expr, right: ir.Expr) -> None:
        shapes = self.of(scope, left), self.of(scope, right)
        if shapes[0] and shapes[1] and shapes[0].symbol != shapes[1].symbol:
            self.conflicts.setdefault((scope, ""), Reason("a name is compared with a text", expr.at))
        elif shapes[0] and shapes[0].symbol and isinstance(expr, ir.Compare) and expr.op not in ("==", "!="):
            self.conflicts.setdefault((scope, ""), Reason("names are put in order", expr.at))

    def of(self, scope: str, expr: ir.Expr) -> Shape | None:
        """The shape of a value; None as long as nothing tells."""
        if expr.type is not Type.STRING:
            return LONG
        symbol = symbol_of(expr)
        if symbol:
            return Shape(8, symbol=symbol)
        match expr:
            case ir.Text(value=text):
                return Shape(min(len(text) + 1, self.longest), text=True)
            case ir.Local(name=name):
                return self.known.get((scope, name))
            case ir.Global(name=name) | ir.Element(array=name):
                return self.known.get(("global", name))
            case ir.Call(function=name):
                return self.known.get(("result", name))
            case ir.Choose(then=then, otherwise=otherwise):
                return self._either(scope, expr, then, otherwise)
            case ir.Assign(target=target):
                return self.known.get(self._slot(scope, target))
            case ir.AtEntry(operand=operand):
                return self.of(scope, operand)
            case ir.Intrinsic(name=name):
                return Shape(min(INTRINSICS[name].size or self.longest, self.longest), text=True)
        return Shape(self.longest, text=True)

    def _either(self, scope: str, expr: ir.Expr, then: ir.Expr, otherwise: ir.Expr) -> Shape | None:
        a, b = self.of(scope, then), self.of(scope, otherwise)
        if a is None or b is None:
            return a or b
        if a.symbol != b.symbol:
            self.conflicts.setdefault((scope, ""), Reason("names and texts are mixed", expr.at))
        return a if a.size >= b.size else b

    def get(self, scope: str, variable: ir.LocalVariable) -> Shape:
        """The shape of a local; an empty string's where nothing is ever put in it."""
        return self.shape(scope, variable.name, variable.type)

    def shape(self, scope: str, name: str, type_: Type) -> Shape:
        """The shape of any variable."""
        if type_ is not Type.STRING:
            return LONG
        return self.known.get((scope, name), Shape(8, text=True))
