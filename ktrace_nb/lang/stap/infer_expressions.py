"""Types of expressions: what is put together in them must be of one type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatchmethod

from ktrace_nb.diagnostics import Problem, near_hint
from ktrace_nb.errors import CellError, UnsupportedError
from ktrace_nb.ir.format_text import parse_format
from ktrace_nb.ir.script import Piece, Type
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.cells import Cell
from ktrace_nb.lang.stap.symbols import PRINTING, FunctionSymbol, GlobalSymbol, Symbols
from ktrace_nb.source import Place

HISTOGRAMS = ("hist_log", "hist_linear")
_STAR = -2
"""A width or precision that an argument gives."""


class ExpressionInference:
    """The types of the expressions of one handler or function.

    Args:
        symbols: The script's globals and functions.
        locals: The variables here; filled as they are met.
        function: The function whose body is looked at; None in a handler.
        found: Told of every function called for the first time.
    """

    def __init__(
        self,
        symbols: Symbols,
        locals: dict[str, Cell],
        found: Callable[[FunctionSymbol], object],
        function: FunctionSymbol | None = None,
    ) -> None:
        self._symbols = symbols
        self.locals = locals
        self._function = function
        self._parameters = {p.name for p in function.declaration.parameters} if function else set()
        self._found = found
        self._read: dict[str, Place] = {}
        self._set = set(self._parameters)

    def never_set(self) -> list[tuple[str, Place]]:
        """The variables here that are read and never given a value, and where each is read first."""
        return [(name, at) for name, at in self._read.items() if name not in self._set]

    # --- names -------------------------------------------------------------------------

    def variable(self, name: tree.Name) -> Cell | GlobalSymbol:
        """What a name stands for."""
        if name.name not in self._parameters:
            symbol = self._symbols.global_variable(name.name, name.at)
            if symbol is not None:
                return symbol
        return self.locals.setdefault(name.name, Cell())

    def _scalar(self, name: tree.Name) -> Cell:
        found = self.variable(name)
        if isinstance(found, Cell):
            return found
        found.as_array(0, name.at)
        return found.cell

    def element(self, base: tree.Name, keys: Sequence[tree.Expression | None], at: Place) -> GlobalSymbol:
        """The array that is indexed, its keys put equal to those given.

        Raises:
            CellError: It is no global, or its keys are others.
        """
        found = self.variable(base)
        if isinstance(found, Cell):
            arrays = [g.name for g in self._symbols.globals.values()]
            hint = near_hint(base.name, arrays) or f"put in front of the probes: global {base.name}"
            raise CellError(f"no array {base.name!r} is declared", base.at.source, base.at.span, hint=hint)
        for cell, key in zip(found.as_array(len(keys), at), keys, strict=True):
            if key is not None:
                self.expression(key).unify(cell, key.at, "this key")
        return found

    # --- expressions -------------------------------------------------------------------

    def want(self, node: tree.Expression, type_: Type, what: str) -> None:
        """Put an expression's type equal to a given one."""
        self.expression(node).unify(Cell(type_, node.at), node.at, what)

    @singledispatchmethod
    def expression(self, node: tree.Expression) -> Cell:
        """The type of an expression.

        Raises:
            CellError: Its parts do not fit.
        """
        raise TypeError(node)

    @expression.register
    def _(self, node: tree.Number) -> Cell:
        return Cell(Type.LONG, node.at)

    @expression.register
    def _(self, node: tree.String) -> Cell:
        return Cell(Type.STRING, node.at)

    @expression.register
    def _(self, node: tree.Name) -> Cell:
        return self._number_or_text(node)

    def _number_or_text(self, node: tree.Name | tree.Index) -> Cell:
        self._note_read(node.base if isinstance(node, tree.Index) else node)
        cell = self._place(node)
        if cell.type is Type.STATISTICS:
            raise no_one_value(node, cell)
        return cell

    def _place(self, node: tree.Expression) -> Cell:
        """The type of what is written to or filled: a variable or an entry."""
        if isinstance(node, tree.Name):
            return self._scalar(node)
        if isinstance(node, tree.Target):
            raise UnsupportedError(
                f"${node.name} is written to, and here it would be the kernel's memory",
                node.at.source,
                node.at.span,
                hint="copy it to a variable and change that; only read probes of procfs set $value",
            )
        assert isinstance(node, tree.Index) and isinstance(node.base, tree.Name)
        return self.element(node.base, node.keys, node.at).cell

    def _note_read(self, node: tree.Expression) -> None:
        if isinstance(node, tree.Name):
            found = self.variable(node)
            if isinstance(found, GlobalSymbol):
                found.read = True
            else:
                self._read.setdefault(node.name, node.at)

    def _note_set(self, node: tree.Expression) -> None:
        base = node.base if isinstance(node, tree.Index) else node
        if isinstance(base, tree.Name):
            found = self.variable(base)
            if isinstance(found, GlobalSymbol):
                found.written = True
            else:
                self._set.add(base.name)

    def _filled(self, node: tree.Expression, what: str) -> None:
        """Have a variable hold statistics."""
        self._place(node).unify(Cell(Type.STATISTICS, node.at), node.at, what)

    @expression.register
    def _(self, node: tree.Index) -> Cell:
        if isinstance(node.base, tree.Operator):
            self.expression(node.base)
            bucket = node.keys[0] if len(node.keys) == 1 else None
            if bucket is None:
                raise CellError(
                    "a histogram has one index, the number of a bucket",
                    node.at.source,
                    node.at.span,
                    hint="@hist_log(x)[3]",
                )
            self.want(bucket, Type.LONG, "the number of the bucket")
            return Cell(Type.LONG, node.at)
        if None in node.keys:
            raise CellError(
                "an element is read by its keys",
                node.at.source,
                node.at.span,
                hint="* stands for any key in 'in', delete and foreach",
            )
        return self._number_or_text(node)

    @expression.register
    def _(self, node: tree.Target) -> Cell:
        self._accessors(node.accessors)
        pretty = node.name.startswith("$") or _is_pretty(node.accessors)
        return Cell(Type.STRING if pretty else Type.LONG, node.at)

    @expression.register
    def _(self, node: tree.Cast) -> Cell:
        self.want(node.operand, Type.LONG, "what @cast reads")
        self._accessors(node.accessors)
        return Cell(Type.STRING if _is_pretty(node.accessors) else Type.LONG, node.at)

    @expression.register
    def _(self, node: tree.Var) -> Cell:
        self._accessors(node.accessors)
        return Cell(Type.STRING if _is_pretty(node.accessors) else Type.LONG, node.at)

    def _accessors(self, accessors: Sequence[tree.Accessor]) -> None:
        for accessor in accessors:
            if isinstance(accessor, tree.Subscript):
                self.want(accessor.index, Type.LONG, "the index")

    @expression.register
    def _(self, node: tree.Entry) -> Cell:
        return self.expression(node.operand)

    @expression.register
    def _(self, node: tree.Defined) -> Cell:
        return Cell(Type.LONG, node.at)

    @expression.register
    def _(self, node: tree.ProbeWrite) -> Cell:
        return Cell(Type.LONG, node.at)

    @expression.register
    def _(self, node: tree.Unary) -> Cell:
        self.want(node.operand, Type.LONG, f"the operand of {node.op}")
        return Cell(Type.LONG, node.at)

    @expression.register
    def _(self, node: tree.Binary) -> Cell:
        op = node.op
        if op == ".":
            for side in (node.left, node.right):
                self.want(side, Type.STRING, "the operand of '.'")
            return Cell(Type.STRING, node.at)
        if op in ("=~", "!~"):
            self.want(node.left, Type.STRING, f"the operand of {op}")
            return Cell(Type.LONG, node.at)
        if op in ("==", "!=", "<", "<=", ">", ">="):
            left = self.expression(node.left)
            self.expression(node.right).unify(left, node.right.at, f"the right side of {op}")
            return Cell(Type.LONG, node.at)
        for side in (node.left, node.right):
            self.want(side, Type.LONG, f"the operand of {op}")
        return Cell(Type.LONG, node.at)

    @expression.register
    def _(self, node: tree.Conditional) -> Cell:
        self.want(node.condition, Type.LONG, "the condition")
        then = self.expression(node.then)
        self.expression(node.otherwise).unify(then, node.otherwise.at, "what is taken otherwise")
        return then

    @expression.register
    def _(self, node: tree.Assign) -> Cell:
        self._note_set(node.target)
        if node.op == "<<<":
            self._filled(node.target, "the target of <<<")
            self.want(node.value, Type.LONG, "what is added to statistics")
            return Cell(Type.LONG, node.at)
        target = self._changed(node.target)
        if node.op == "=":
            self.expression(node.value).unify(target, node.value.at, "the value")
            return target
        type_ = Type.STRING if node.op == ".=" else Type.LONG
        target.unify(Cell(type_, node.at), node.target.at, f"the target of {node.op}")
        self.want(node.value, type_, "the value")
        return target

    @expression.register
    def _(self, node: tree.Step) -> Cell:
        self._note_set(node.target)
        wanted = Cell(Type.LONG, node.at)
        self._changed(node.target).unify(wanted, node.target.at, f"the operand of {node.op}")
        return Cell(Type.LONG, node.at)

    def _changed(self, target: tree.Expression) -> Cell:
        """The type of what gets a new value."""
        cell = self._place(target)
        if cell.type is Type.STATISTICS:
            hint = "x <<< value adds to them, delete x empties them"
            raise _of_statistics("statistics cannot be set to a value", target.at, hint, cell)
        return cell

    @expression.register
    def _(self, node: tree.Membership) -> Cell:
        self._note_read(node.array)
        self.element(node.array, node.keys, node.at)
        return Cell(Type.LONG, node.at)

    @expression.register
    def _(self, node: tree.Operator) -> Cell:
        self._filled(node.operand, f"the operand of @{node.name}")
        return Cell(Type.LONG, node.at)

    @expression.register
    def _(self, node: tree.Call) -> Cell:
        cell = self.call(node)
        if cell.type is Type.NOTHING:
            raise no_value(node)
        return cell

    def call(self, node: tree.Call) -> Cell:
        """The type of what a function gives, :attr:`Type.NOTHING` if it only does something.

        Raises:
            CellError: There is no such function, or it wants other arguments.
        """
        if node.name in PRINTING:
            return self._print(node)
        symbol = self._symbols.function(node.name, len(node.arguments), node.at)
        overload: FunctionSymbol | None = symbol
        while overload is not None and not overload.seen:
            overload.seen = True
            self._found(overload)
            overload = overload.following
        names = [p.name for p in symbol.declaration.parameters]
        for name, argument, cell in zip(names, node.arguments, symbol.parameters, strict=True):
            self.expression(argument).unify(cell, argument.at, f"{name!r} of {node.name}()")
        return symbol.result

    def _print(self, node: tree.Call) -> Cell:
        if node.name.endswith("f"):
            self._formatted(node)
        else:
            delimited = node.name.removesuffix("ln").endswith("d")
            for argument in node.arguments[1:] if delimited else node.arguments:
                self.expression(argument)
        return Cell(Type.STRING if PRINTING[node.name] else Type.NOTHING, node.at)

    def _formatted(self, node: tree.Call) -> None:
        conversions = [p for p in format_pieces(node) if p.conversion and p.conversion != "%"]
        given = len(node.arguments) - 1
        wanted = len(conversions) + sum((p.width == _STAR) + (p.precision == _STAR) for p in conversions)
        if given != wanted:
            raise CellError(
                f"the format wants {wanted} argument{'' if wanted == 1 else 's'}, found {given}",
                node.at.source,
                node.at.span,
                hint="one for each %d, %s ..., and one for each * in them; %% prints a percent sign",
            )
        arguments = iter(node.arguments[1:])
        for piece in conversions:
            for what, count in (("width", piece.width), ("precision", piece.precision)):
                if count == _STAR:
                    self.want(next(arguments), Type.LONG, f"the {what} of %{piece.conversion}")
            type_ = Type.STRING if piece.conversion == "s" else Type.LONG
            argument = next(arguments)
            self.expression(argument).unify(
                Cell(type_, node.at),
                argument.at,
                f"the argument of %{piece.conversion}",
                "%s prints a string" if type_ is Type.LONG else "%d prints a number",
            )


def _is_pretty(accessors: Sequence[tree.Accessor]) -> bool:
    return bool(accessors) and isinstance(accessors[-1], tree.Pretty)


def no_value(node: tree.Call) -> CellError:
    """A call stands where a value is wanted, and gives none."""
    if node.name in PRINTING:
        hint = f"s{node.name} gives the text instead of printing it"
    else:
        hint = "call it as a statement of its own"
    return CellError(f"{node.name}() gives no value", node.at.source, node.at.span, hint=hint)


def no_one_value(node: tree.Name | tree.Index, cell: Cell | None = None) -> CellError:
    """Statistics stand where a number or a string is wanted."""
    name = node.name if isinstance(node, tree.Name) else "x"
    hint = f"@count({name}), @sum, @min, @max and @avg give numbers; print(@hist_log({name})) prints them all"
    return _of_statistics("statistics have no value as a whole", node.at, hint, cell)


def _of_statistics(message: str, at: Place, hint: str, cell: Cell | None) -> CellError:
    decided = cell.at if cell else None
    others = []
    if decided is not None and decided != at:
        others = [Problem("statistics because of this", decided.source, decided.span, severity="note")]
    return CellError(message, at.source, at.span, hint=hint, others=others)


def format_pieces(node: tree.Call) -> tuple[Piece, ...]:
    """The parts of a printf's format.

    Raises:
        CellError: It cannot be read.
    """
    text = node.arguments[0]
    assert isinstance(text, tree.String)
    try:
        return parse_format(text.value)
    except ValueError as error:
        hint = (
            "%d, %i, %u, %x, %o, %p, %c and %b print numbers, %s strings, %m memory; %% prints a percent sign"
        )
        raise CellError(str(error), text.at.source, text.at.span, hint=hint) from None
