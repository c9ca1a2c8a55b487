"""From the expressions of a tree to typed IR.

Everything has its type by now (see :mod:`~ktrace_nb.lang.stap.infer`); what is left are names, target
variables, and conditions that are decided already: ``@defined($x)`` chooses a branch,
and what stands in the other one need not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatchmethod

from ktrace_nb.errors import CellError
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.ir.script import Type
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.cells import Cell
from ktrace_nb.lang.stap.column_names import column_names
from ktrace_nb.lang.stap.infer import Inference
from ktrace_nb.lang.stap.infer_expressions import HISTOGRAMS, format_pieces, no_one_value, no_value
from ktrace_nb.lang.stap.symbols import PRINTING, GlobalSymbol, Symbols
from ktrace_nb.lang.stap.variables import Access
from ktrace_nb.source import Place

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_MOST_BUCKETS = 10_000


class Sites:
    """Numbers of the places that print: one for each place and types, however many handlers it is in."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Place, tuple[Type, ...]], int] = {}

    def number(self, at: Place, arguments: Iterable[ir.Expr]) -> int:
        """The number of a place, from 1."""
        return self._numbers.setdefault((at, tuple(a.type for a in arguments)), len(self._numbers) + 1)


class ExpressionConverter:
    """Makes IR of the expressions of one handler or function.

    Args:
        symbols: The script's globals and functions.
        inference: The types found in this very handler or function.
        access: Target variables here.
        sites: Numbers for places that print.
    """

    def __init__(
        self,
        symbols: Symbols,
        inference: Inference,
        access: Access,
        sites: Sites,
    ) -> None:
        self._symbols = symbols
        self._inference = inference
        self._access = access
        self._sites = sites
        self._values: dict[str, ir.Element] = {}
        """Loop variables that stand for statistics, and the entry each is."""

    # --- expressions -------------------------------------------------------------------

    @singledispatchmethod
    def expression(self, node: tree.Expression) -> ir.Expr:
        """An expression as IR.

        Raises:
            CellError: It has no meaning here.
        """
        raise TypeError(node)

    @expression.register
    def _(self, node: tree.Number) -> ir.Expr:
        return ir.Number(node.value, at=node.at)

    @expression.register
    def _(self, node: tree.String) -> ir.Expr:
        return ir.Text(node.value, type=Type.STRING, at=node.at)

    @expression.register
    def _(self, node: tree.Name) -> ir.Expr:
        if node.name in self._values:
            raise no_one_value(node)
        return self._number_or_text(node, self._variable(node))

    def _number_or_text(self, node: tree.Name | tree.Index, made: ir.Expr) -> ir.Expr:
        if made.type is Type.STATISTICS:
            raise no_one_value(node)
        return made

    def _variable(self, node: tree.Name) -> ir.Local | ir.Global:
        found = self._inference.variable(node)
        if isinstance(found, Cell):
            return ir.Local(node.name, type=type_of(found), at=node.at)
        return ir.Global(found.name, type=type_of(found.cell), at=node.at)

    @expression.register
    def _(self, node: tree.Index) -> ir.Expr:
        if isinstance(node.base, tree.Operator):
            (bucket,) = node.keys
            assert bucket is not None
            return ir.Bucket(self._histogram(node.base), self.expression(bucket), at=node.at)
        return self._number_or_text(node, self._element(node))

    def _element(self, node: tree.Index) -> ir.Element:
        assert isinstance(node.base, tree.Name)
        symbol = self._array(node.base)
        return ir.Element(symbol.name, self._keys(node.keys), type=type_of(symbol.cell), at=node.at)

    def _array(self, name: tree.Name) -> GlobalSymbol:
        found = self._inference.variable(name)
        assert isinstance(found, GlobalSymbol)
        return found

    def _keys(self, keys: Iterable[tree.Expression | None]) -> tuple[ir.Expr | None, ...]:
        return tuple(None if key is None else self.expression(key) for key in keys)

    @expression.register
    def _(self, node: tree.Target) -> ir.Expr:
        return self._access.target(node)

    @expression.register
    def _(self, node: tree.Cast) -> ir.Expr:
        return self._access.cast(node, self.expression(node.operand))

    @expression.register
    def _(self, node: tree.Var) -> ir.Expr:
        return self._access.var(node)

    @expression.register
    def _(self, node: tree.Entry) -> ir.Expr:
        operand = self.expression(node.operand)
        context = self._access.context
        if context is None or not context.at_return:
            raise CellError(
                "@entry has a meaning only in a return probe",
                node.at.source,
                node.at.span,
                hint="add .return to the probe point, or leave @entry out",
            )
        if isinstance(operand, ir.AtEntry) or _is_constant(operand):
            return operand
        if not context.parameters_saved and _is_of_registers(operand):
            return operand
        return ir.AtEntry(_without_entry(operand), type=operand.type, at=node.at)

    @expression.register
    def _(self, node: tree.Defined) -> ir.Expr:
        return ir.Number(int(self._access.defined(node.operand)), at=node.at)

    @expression.register
    def _(self, node: tree.ProbeWrite) -> ir.Expr:
        return ir.Number(0, at=node.at)

    @expression.register
    def _(self, node: tree.Unary) -> ir.Expr:
        operand = self.expression(node.operand)
        if node.op == "+":
            return operand
        if isinstance(operand, ir.Number):
            value = {"-": -operand.value, "~": ~operand.value, "!": int(not operand.value)}[node.op]
            return ir.Number(_wrap(value), at=node.at)
        return ir.Unary(node.op, operand, at=node.at)

    @expression.register
    def _(self, node: tree.Binary) -> ir.Expr:
        if node.op in ("&&", "||"):
            return self._logical(node)
        left = self.expression(node.left)
        if node.op in ("=~", "!~"):
            return ir.Match(left, _string(node.right), node.op == "!~", at=node.at)
        right = self.expression(node.right)
        if node.op == ".":
            if isinstance(left, ir.Text) and isinstance(right, ir.Text):
                return ir.Text(left.value + right.value, type=Type.STRING, at=node.at)
            return ir.Concat(left, right, type=Type.STRING, at=node.at)
        if node.op in _COMPARISONS:
            return ir.Compare(node.op, left, right, at=node.at)
        return ir.Binary(node.op, left, right, at=node.at)

    def _logical(self, node: tree.Binary) -> ir.Expr:
        left = self.expression(node.left)
        if isinstance(left, ir.Number):
            if bool(left.value) == (node.op == "||"):
                return ir.Number(int(bool(left.value)), at=node.at)
            return _truth(self.expression(node.right), node.at)
        right = self.expression(node.right)
        if isinstance(right, ir.Number) and bool(right.value) == (node.op == "&&"):
            return _truth(left, node.at)
        return ir.Logical(node.op, left, right, at=node.at)

    @expression.register
    def _(self, node: tree.Conditional) -> ir.Expr:
        condition = self.expression(node.condition)
        if isinstance(condition, ir.Number):
            return self.expression(node.then if condition.value else node.otherwise)
        then = self.expression(node.then)
        return ir.Choose(condition, then, self.expression(node.otherwise), type=then.type, at=node.at)

    @expression.register
    def _(self, node: tree.Assign) -> ir.Expr:
        if node.op == "<<<":
            raise CellError(
                "<<< is a statement, it gives no value",
                node.at.source,
                node.at.span,
                hint="@count(x), @sum(x) ... read what was added",
            )
        target = self._target(node.target)
        value = self.expression(node.value)
        return ir.Assign(target, node.op.removesuffix("="), value, type=target.type, at=node.at)

    @expression.register
    def _(self, node: tree.Step) -> ir.Expr:
        by = 1 if node.op == "++" else -1
        return ir.Step(self._target(node.target), by, node.prefix, at=node.at)

    def _target(self, node: tree.Expression) -> ir.Local | ir.Global | ir.Element:
        if isinstance(node, tree.Name):
            return self._variable(node)
        assert isinstance(node, tree.Index)
        return self._element(node)

    @expression.register
    def _(self, node: tree.Membership) -> ir.Expr:
        return ir.Contains(self._array(node.array).name, self._keys(node.keys), at=node.at)

    @expression.register
    def _(self, node: tree.Operator) -> ir.Expr:
        of = self._statistics(node.operand)
        if node.name == "variance":
            symbol = self._statistics_symbol(node.operand)
            symbol.variance = True
            if node.arguments:
                symbol.bit_shift = _constant(node.arguments[0])
        return ir.Statistic(node.name, of, at=node.at)

    def _statistics(self, node: tree.Name | tree.Index) -> ir.Global | ir.Element:
        if isinstance(node, tree.Name) and node.name in self._values:
            return self._values[node.name]
        found = self._variable(node) if isinstance(node, tree.Name) else self._element(node)
        if isinstance(found, ir.Local):
            raise CellError(
                f"{found.name!r} is no global, and only globals hold statistics",
                node.at.source,
                node.at.span,
                hint=f"put in front of the probes: global {found.name}",
            )
        return found

    def _statistics_symbol(self, node: tree.Name | tree.Index) -> GlobalSymbol:
        of = self._statistics(node)
        name = of.name if isinstance(of, ir.Global) else of.array
        return next(g for g in self._symbols.all_globals() if g.name == name)

    def _histogram(self, node: tree.Operator) -> ir.Histogram:
        of = self._statistics(node.operand)
        shape = ir.HistogramShape(*map(_constant, node.arguments))
        if shape.step and (shape.high - shape.low) // shape.step > _MOST_BUCKETS:
            raise CellError(
                f"a histogram of {(shape.high - shape.low) // shape.step:,} buckets is too large",
                node.at.source,
                node.at.span,
                hint=f"take a wider step: {_MOST_BUCKETS:,} buckets at most",
            )
        symbol = self._statistics_symbol(node.operand)
        if shape not in symbol.histograms:
            symbol.histograms.append(shape)
        return ir.Histogram(of, shape, type=Type.STRING, at=node.at)

    @expression.register
    def _(self, node: tree.Call) -> ir.Expr:
        if node.name in PRINTING:
            pieces, arguments = self._printed(node)
            return ir.Format(pieces, arguments, type=Type.STRING, at=node.at)
        if not self._symbols.function(node.name, len(node.arguments), node.at).gives_value:
            raise no_value(node)
        return self._call(node)

    def _call(self, node: tree.Call) -> ir.Expr:
        """A function's call, whether it gives a value or not."""
        symbol = self._symbols.function(node.name, len(node.arguments), node.at)
        arguments = tuple(self.expression(argument) for argument in node.arguments)
        type_ = type_of(symbol.result) if symbol.gives_value else Type.NOTHING
        if symbol.is_intrinsic:
            return ir.Intrinsic(symbol.declaration.name, arguments, type=type_, at=node.at)
        return ir.Call(symbol.name, arguments, type=type_, at=node.at)

    # --- printing ----------------------------------------------------------------------

    def _printed(self, node: tree.Call) -> tuple[tuple[ir.Piece, ...], tuple[ir.Expr, ...]]:
        """What a call of the print family puts out."""
        if node.name.endswith("f"):
            return format_pieces(node), tuple(self.expression(a) for a in node.arguments[1:])
        arguments, between = node.arguments, ""
        if node.name.removesuffix("ln").endswith("d"):
            between, arguments = _string(node.arguments[0]), node.arguments[1:]
        pieces: list[ir.Piece] = []
        made: list[ir.Expr] = []
        for number, argument in enumerate(arguments):
            if number and between:
                pieces.append(ir.Piece(between))
            if isinstance(argument, tree.Operator) and argument.name in HISTOGRAMS:
                value: ir.Expr = self._histogram(argument)
            else:
                value = self.expression(argument)
            if isinstance(argument, tree.String):
                pieces.append(ir.Piece(argument.value))
                continue
            pieces.append(ir.Piece(conversion="s" if value.type is Type.STRING else "d"))
            made.append(value)
        if node.name.endswith("ln"):
            pieces.append(ir.Piece("\n"))
        return tuple(pieces), tuple(made)

    def _print(self, node: tree.Call) -> ir.Print:
        pieces, arguments = self._printed(node)
        return ir.Print(
            self._sites.number(node.at, arguments), pieces, arguments, column_names(node), at=node.at
        )


def type_of(cell: Cell) -> Type:
    """A cell's type; what nothing ever told is a number."""
    return cell.type or Type.LONG


def _wrap(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _truth(value: ir.Expr, at: Place) -> ir.Expr:
    if isinstance(value, ir.Number):
        return ir.Number(int(bool(value.value)), at=at)
    return ir.Compare("!=", value, ir.Number(0, at=at), at=at)


def _string(node: tree.Expression) -> str:
    """A literal, which the grammar asked for."""
    assert isinstance(node, tree.String)
    return node.value


def _constant(node: tree.Expression) -> int:
    """A number, which the grammar asked for."""
    assert isinstance(node, tree.Number)
    return node.value


def _is_constant(expr: ir.Expr) -> bool:
    return isinstance(expr, ir.Number | ir.Text)


def _is_of_registers(expr: ir.Expr) -> bool:
    """Whether a value is in the saved registers still when the function returns."""
    return isinstance(expr, ir.Argument) or (isinstance(expr, ir.Extend) and _is_of_registers(expr.operand))


def _without_entry(expr: ir.Expr) -> ir.Expr:
    """An expression of parameters that were to be put aside one by one, to be put aside whole."""
    if isinstance(expr, ir.AtEntry):
        return expr.operand
    return walk.with_children(expr, _without_entry)
