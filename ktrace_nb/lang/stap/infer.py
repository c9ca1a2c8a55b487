"""Types of a script's variables, keys, parameters and results: those that statements tell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatchmethod

from ktrace_nb.errors import CellError
from ktrace_nb.ir.script import Type
from ktrace_nb.lang.stap import tree, walk
from ktrace_nb.lang.stap.cells import Cell
from ktrace_nb.lang.stap.infer_expressions import ExpressionInference


class Inference(ExpressionInference):
    """The types in one handler or function."""

    def condition(self, node: tree.Expression) -> None:
        """Look at the condition of a probe point.

        Raises:
            CellError: It is no number, or names a variable that the handler has yet to set.
        """
        for part in walk.nodes(node):
            if isinstance(part, tree.Name) and isinstance(self.variable(part), Cell):
                raise CellError(
                    f"{part.name!r} is no global, and a condition is tested before the handler runs",
                    part.at.source,
                    part.at.span,
                    hint=f"put in front of the probes: global {part.name}",
                )
        self.want(node, Type.LONG, "the condition")

    # --- statements --------------------------------------------------------------------

    @singledispatchmethod
    def statement(self, node: tree.Statement) -> None:
        """Look at a statement.

        Raises:
            CellError: Its parts do not fit.
        """
        raise TypeError(node)

    @statement.register
    def _block(self, node: tree.Block) -> None:
        for statement in node.body:
            self.statement(statement)

    @statement.register
    def _evaluate(self, node: tree.Evaluate) -> None:
        self._effect(node.expression)

    def _effect(self, node: tree.Expression) -> None:
        """An expression whose value, if it has one, is not used."""
        if isinstance(node, tree.Call):
            self.call(node)
        elif isinstance(node, tree.Conditional):
            self.want(node.condition, Type.LONG, "the condition")
            self._effect(node.then)
            self._effect(node.otherwise)
        elif isinstance(node, tree.Binary) and node.op in ("&&", "||"):
            self.want(node.left, Type.LONG, f"the operand of {node.op}")
            self._effect(node.right)
        else:
            self.expression(node)

    @statement.register
    def _if(self, node: tree.If) -> None:
        self.want(node.condition, Type.LONG, "the condition")
        self.statement(node.then)
        if node.otherwise is not None:
            self.statement(node.otherwise)

    @statement.register
    def _while(self, node: tree.While) -> None:
        self.want(node.condition, Type.LONG, "the condition")
        self.statement(node.body)

    @statement.register
    def _for(self, node: tree.For) -> None:
        if node.start is not None:
            self._effect(node.start)
        if node.condition is not None:
            self.want(node.condition, Type.LONG, "the condition")
        if node.step is not None:
            self._effect(node.step)
        self.statement(node.body)

    @statement.register
    def _foreach(self, node: tree.Foreach) -> None:
        variables = (*node.names, *([node.value] if node.value else ()))
        _refuse_twice(variables)
        for variable in variables:
            self._note_set(variable)
        if isinstance(node.array, tree.Operator):
            self.expression(node.array)
            for name in node.names[1:]:
                raise CellError(
                    "a histogram is walked by the number of the bucket alone",
                    name.at.source,
                    name.at.span,
                    hint="foreach (count = bucket in @hist_log(x))",
                )
            for name in node.names:
                self._scalar(name).unify(Cell(Type.LONG, name.at), name.at, "a bucket's number")
            if node.value is not None:
                self._scalar(node.value).unify(Cell(Type.LONG, node.value.at), node.value.at, "a count")
        else:
            keys = node.slice or (None,) * len(node.names)
            array = self.element(node.array, keys, node.array.at)
            cells = array.as_array(len(node.names), node.array.at)
            for name, cell in zip(node.names, cells, strict=True):
                self._scalar(name).unify(cell, name.at, f"{name.name!r}")
            array.key_names = array.key_names or tuple(name.name for name in node.names)
            array.read = True
            if node.sort_operator:
                array.cell.unify(
                    Cell(Type.STATISTICS, node.array.at),
                    node.array.at,
                    f"what @{node.sort_operator} sorts by",
                )
            if node.value is not None:
                self._scalar(node.value).unify(array.cell, node.value.at, f"{node.value.name!r}")
        if node.limit is not None:
            self.want(node.limit, Type.LONG, "the limit")
        self.statement(node.body)

    @statement.register
    def _jump(self, node: tree.Break | tree.Continue | tree.Next) -> None:
        pass

    @statement.register
    def _return(self, node: tree.Return) -> None:
        if self._function is None:
            if node.value is not None:
                raise CellError(
                    "a probe returns no value", node.at.source, node.at.span, hint="next leaves it"
                )
            return
        if node.value is not None:
            self._function.returns_value = True
            self.expression(node.value).unify(self._function.result, node.value.at, "the value returned")

    @statement.register
    def _delete(self, node: tree.Delete) -> None:
        target = node.target
        self._note_set(target)
        if isinstance(target, tree.Index) and isinstance(target.base, tree.Name):
            self.element(target.base, target.keys, target.at)

    @statement.register
    def _try(self, node: tree.Try) -> None:
        self.statement(node.body)
        if node.variable is not None:
            self._note_set(node.variable)
            at = node.variable.at
            self._scalar(node.variable).unify(Cell(Type.STRING, at), at, "the message")
        self.statement(node.handler)


def _refuse_twice(names: Sequence[tree.Name]) -> None:
    for number, name in enumerate(names):
        if name.name in (n.name for n in names[:number]):
            raise CellError(
                f"{name.name!r} stands for two things in one loop",
                name.at.source,
                name.at.span,
                hint="each key, and the value, has a variable of its own",
            )
