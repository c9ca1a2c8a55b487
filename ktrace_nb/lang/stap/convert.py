"""From the tree of a handler or function to typed IR: its statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import singledispatchmethod

from ktrace_nb.errors import CellError
from ktrace_nb.ir import script as ir
from ktrace_nb.ir.script import Type
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.cells import Cell
from ktrace_nb.lang.stap.convert_expressions import ExpressionConverter, type_of
from ktrace_nb.lang.stap.symbols import PRINTING, FunctionSymbol


class Converter(ExpressionConverter):
    """Makes IR of one handler's or function's tree.

    Args:
        symbols: The script's globals and functions.
        inference: The types found in this very handler or function.
        access: Target variables here.
        sites: Numbers for places that print.
    """

    _function: FunctionSymbol | None = None
    """The function of the script that is made, None for a handler."""

    def function(self, symbol: FunctionSymbol) -> ir.Function:
        """A function with a body."""
        self._function = symbol
        body = symbol.declaration.body
        assert body is not None
        converted = self.body(body)
        parameters = tuple(
            ir.LocalVariable(p.name, type_of(cell))
            for p, cell in zip(symbol.declaration.parameters, symbol.parameters, strict=True)
        )
        names = {p.name for p in parameters}
        return ir.Function(
            symbol.name,
            parameters,
            tuple(v for v in self.locals() if v.name not in names),
            type_of(symbol.result) if symbol.gives_value else Type.NOTHING,
            converted,
            symbol.declaration.at,
        )

    def locals(self) -> tuple[ir.LocalVariable, ...]:
        """The variables here, those that stand for statistics left out."""
        found = ((name, type_of(cell)) for name, cell in self._inference.locals.items())
        return tuple(ir.LocalVariable(name, type_) for name, type_ in found if type_ is not Type.STATISTICS)

    def body(self, *statements: tree.Statement) -> ir.Body:
        """Statements as IR."""
        return tuple(made for statement in statements for made in self._statement(statement))

    # --- statements --------------------------------------------------------------------

    @singledispatchmethod
    def _statement(self, node: tree.Statement) -> Iterable[ir.Stmt]:
        raise TypeError(node)

    @_statement.register
    def _block_statement(self, node: tree.Block) -> Iterable[ir.Stmt]:
        return self.body(*node.body)

    @_statement.register
    def _evaluate_statement(self, node: tree.Evaluate) -> Iterable[ir.Stmt]:
        expression = node.expression
        if isinstance(expression, tree.Assign) and expression.op == "<<<":
            assert isinstance(expression.target, tree.Name | tree.Index)
            target = self._statistics(expression.target)
            return [ir.Accumulate(target, self.expression(expression.value), at=node.at)]
        if isinstance(expression, tree.Call) and PRINTING.get(expression.name) is False:
            return [self._print(expression)]
        if isinstance(expression, tree.Conditional):
            # As a statement it is an if; its branches may be of any kind.
            branches = [tree.Evaluate(e.at, e) for e in (expression.then, expression.otherwise)]
            return self._statement(tree.If(node.at, expression.condition, *branches))
        if isinstance(expression, tree.Binary) and expression.op in ("&&", "||"):
            done = tree.Evaluate(expression.right.at, expression.right)
            left = expression.left if expression.op == "&&" else tree.Unary(node.at, "!", expression.left)
            return self._statement(tree.If(node.at, left, done))
        made = self._call(expression) if isinstance(expression, tree.Call) else self.expression(expression)
        return [ir.Evaluate(made, at=node.at)]

    @_statement.register
    def _if_statement(self, node: tree.If) -> Iterable[ir.Stmt]:
        condition = self.expression(node.condition)
        if isinstance(condition, ir.Number):
            taken = node.then if condition.value else node.otherwise
            return [] if taken is None else self.body(taken)
        then = self.body(node.then)
        otherwise = () if node.otherwise is None else self.body(node.otherwise)
        return [ir.If(condition, then, otherwise, at=node.at)]

    @_statement.register
    def _while_statement(self, node: tree.While) -> Iterable[ir.Stmt]:
        return [ir.While(self.expression(node.condition), self.body(node.body), at=node.at)]

    @_statement.register
    def _for_statement(self, node: tree.For) -> Iterable[ir.Stmt]:
        start = [] if node.start is None else self.body(tree.Evaluate(node.start.at, node.start))
        step = () if node.step is None else self.body(tree.Evaluate(node.step.at, node.step))
        condition = ir.Number(1, at=node.at) if node.condition is None else self.expression(node.condition)
        return [*start, ir.While(condition, self.body(node.body), step, at=node.at)]

    @_statement.register
    def _foreach_statement(self, node: tree.Foreach) -> Iterable[ir.Stmt]:
        names = tuple(name.name for name in node.names)
        for name in (*node.names, *([node.value] if node.value else [])):
            if not isinstance(self._inference.variable(name), Cell):
                raise CellError(
                    f"{name.name!r} is a global, and a loop sets variables of its own",
                    name.at.source,
                    name.at.span,
                    hint="choose a name that is not declared",
                )
        value = node.value.name if node.value else ""
        histogram = None
        if isinstance(node.array, tree.Operator):
            histogram, array = self._histogram(node.array), ""
        else:
            symbol = self._array(node.array)
            array = symbol.name
            if value and type_of(symbol.cell) is Type.STATISTICS:
                keys = tuple(
                    ir.Local(name, type=type_of(cell), at=node.at)
                    for name, cell in zip(names, symbol.keys or (), strict=True)
                )
                self._values[value] = ir.Element(array, keys, type=Type.STATISTICS, at=node.at)
                value = ""
        return [
            ir.Foreach(
                value,
                names,
                array,
                self._keys(node.slice),
                node.sort_by,
                node.sort_operator,
                node.descending,
                None if node.limit is None else self.expression(node.limit),
                self.body(node.body),
                histogram,
                at=node.at,
            )
        ]

    @_statement.register
    def _break_statement(self, node: tree.Break) -> Iterable[ir.Stmt]:
        return [ir.Break(at=node.at)]

    @_statement.register
    def _continue_statement(self, node: tree.Continue) -> Iterable[ir.Stmt]:
        return [ir.Continue(at=node.at)]

    @_statement.register
    def _next_statement(self, node: tree.Next) -> Iterable[ir.Stmt]:
        if self._function is None:
            return [ir.Next(at=node.at)]
        following = self._function.following
        if following is None:
            return [ir.Return(None, at=node.at)]
        arguments = tuple(
            ir.Local(p.name, type=type_of(cell), at=node.at)
            for p, cell in zip(self._function.declaration.parameters, self._function.parameters, strict=True)
        )
        call = ir.Call(following.name, arguments, type=type_of(following.result), at=node.at)
        if not following.gives_value:
            return [ir.Evaluate(call, at=node.at), ir.Return(None, at=node.at)]
        return [ir.Return(call, at=node.at)]

    @_statement.register
    def _return_statement(self, node: tree.Return) -> Iterable[ir.Stmt]:
        if self._function is None:
            return [ir.Next(at=node.at)]
        return [ir.Return(None if node.value is None else self.expression(node.value), at=node.at)]

    @_statement.register
    def _delete_statement(self, node: tree.Delete) -> Iterable[ir.Stmt]:
        target = node.target
        if isinstance(target, tree.Index):
            return [ir.Delete(self._element(target), at=node.at)]
        assert isinstance(target, tree.Name)
        variable = self._variable(target)
        if isinstance(variable, ir.Local):
            # A local has no other first value than nothing.
            empty = ir.Text("", type=Type.STRING) if variable.type is Type.STRING else ir.Number(0)
            emptied = ir.Assign(variable, "", replace(empty, at=node.at), type=variable.type, at=node.at)
            return [ir.Evaluate(emptied, at=node.at)]
        return [ir.Delete(variable, at=node.at)]

    @_statement.register
    def _try_statement(self, node: tree.Try) -> Iterable[ir.Stmt]:
        variable = node.variable.name if node.variable else ""
        return [ir.Try(self.body(node.body), variable, self.body(node.handler), at=node.at)]
