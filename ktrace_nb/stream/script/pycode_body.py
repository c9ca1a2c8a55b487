"""Python for the statements of a script."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ktrace_nb.ir import script as ir
from ktrace_nb.stream.script.pycode_expr import ExpressionWriter
from ktrace_nb.stream.script.pytree import (
    assign,
    attribute,
    call,
    compare,
    constant,
    function,
    name,
    tuple_of,
)

HANDLER_NEXT = "NextHandler"
_STORE = ast.Store


class BodyWriter:
    """Turns bodies into Python functions.

    Loops that the script bounds draw their rounds from one iterator, ``_rounds``, which a
    handler gets anew: when it is used up, the script has run wild.

    Args:
        expressions: What writes the expressions.
    """

    def __init__(self, expressions: ExpressionWriter) -> None:
        self._expressions = expressions
        self._value = expressions.value
        self._in_function = False
        self._steps: list[ir.Body] = []
        """Of the loops around, what runs after each round."""

    # --- functions -------------------------------------------------------------------------

    def handler(self, identifier: str, body: ir.Body, variables: Sequence[ir.LocalVariable]) -> ast.stmt:
        """A function of the captured values."""
        self._in_function = False
        statements = [*self._first_values(variables), assign("_depth", constant(0)), *self._body(body)]
        return self._finished(function(identifier, ("_captured", "_rounds"), statements))

    def function(self, made: ir.Function, max_nesting: int) -> ast.stmt:
        """A function of the script; its first parameter is how deep it is called."""
        self._in_function = True
        names = [f"v_{parameter.name}" for parameter in made.parameters]
        own = {parameter.name for parameter in made.parameters}
        too_deep = compare(name("_depth"), ast.Gt(), constant(max_nesting))
        statements: list[ast.stmt] = [
            ast.If(too_deep, [ast.Expr(call("nested_too_deep"))], []),
            *self._first_values([v for v in made.locals if v.name not in own]),
            *self._body(made.body),
        ]
        if made.type is not ir.Type.NOTHING:
            statements.append(ast.Return(constant(_first_value(made.type))))
        return self._finished(function(f"f_{made.name}", ("_depth", "_rounds", *names), statements))

    def _finished(self, tree: ast.stmt) -> ast.stmt:
        return self._expressions.places.finish(tree)

    def _first_values(self, variables: Sequence[ir.LocalVariable]) -> list[ast.stmt]:
        return [assign(f"v_{variable.name}", constant(_first_value(variable.type))) for variable in variables]

    # --- statements ------------------------------------------------------------------------

    def _body(self, body: ir.Body) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for statement in body:
            for tree in self._statement(statement):
                made.append(self._expressions.places.mark(tree, statement.at))
        return made

    def _block(self, body: ir.Body) -> list[ast.stmt]:
        return self._body(body) or [ast.Pass()]

    def _statement(self, statement: ir.Stmt) -> list[ast.stmt]:
        match statement:
            case ir.Evaluate(expr=expr):
                return [self._effect(expr)]
            case ir.Accumulate(target=target, value=value):
                return [ast.Expr(self._accumulate(target, value))]
            case ir.Print(site=site, pieces=pieces, arguments=arguments):
                values = tuple_of(map(self._value, arguments))
                shown = self._expressions.constant_object("pieces", pieces)
                return [ast.Expr(call("put_out", constant(site), shown, values))]
            case ir.If(condition=condition, then=then, otherwise=otherwise):
                test = self._expressions.truth(condition)
                return [ast.If(test, self._block(then), self._body(otherwise))]
            case ir.While():
                return [self._while(statement)]
            case ir.Foreach():
                return self._foreach(statement)
            case ir.Break():
                return [ast.Break()]
            case ir.Continue():
                return [*self._body(self._steps[-1]), ast.Continue()]
            case ir.Next():
                return [ast.Raise(name(HANDLER_NEXT), None) if self._in_function else ast.Return(None)]
            case ir.Return(value=value):
                return [ast.Return(None if value is None else self._value(value))]
            case ir.Delete(target=target):
                return [ast.Expr(self._delete(target))]
            case ir.Try():
                return [self._try(statement)]
        raise ValueError(f"{type(statement).__name__} runs only in the kernel")

    def _effect(self, expr: ir.Expr) -> ast.stmt:
        """An expression whose value nobody wants."""
        expressions = self._expressions
        match expr:
            case ir.Assign(target=ir.Local(name=variable), op="", value=value):
                return assign(f"v_{variable}", self._value(value))
            case ir.Assign(target=(ir.Global() | ir.Element()) as target, op="", value=value):
                stored = expressions.store(target, self._value(value))
                assert stored
                return ast.Expr(stored)
            case ir.Assign(target=ir.Local() as local, op=op, value=value):
                made = expressions.binary(op, self._value(local), self._value(value))
                return assign(f"v_{local.name}", made)
            case ir.Assign(target=(ir.Global() | ir.Element()) as target, op=op, value=value):
                before, write = expressions.read_and_write(target)
                return ast.Expr(write(expressions.binary(op, before, self._value(value))))
            case ir.Step(target=ir.Local() as local, by=by):
                return assign(f"v_{local.name}", expressions.binary("+", self._value(local), constant(by)))
            case ir.Step(target=(ir.Global() | ir.Element()) as target, by=by):
                before, write = expressions.read_and_write(target)
                return ast.Expr(write(expressions.binary("+", before, constant(by))))
        return ast.Expr(self._value(expr))

    def _accumulate(self, target: ir.Global | ir.Element, value: ir.Expr) -> ast.expr:
        if isinstance(target, ir.Element):
            key = self._expressions.key(target.keys)
            return self._expressions.method(target.array, "accumulate", key, self._value(value))
        return self._expressions.method(target.name, "accumulate", self._value(value))

    def _delete(self, target: ir.Global | ir.Element) -> ast.expr:
        expressions = self._expressions
        if isinstance(target, ir.Global):
            return expressions.method(target.name, "clear" if target.name in expressions.arrays else "reset")
        if not target.keys or all(part is None for part in target.keys):
            return expressions.method(target.array, "clear")
        if None in target.keys:
            return call("delete_all", name(f"g_{target.array}"), expressions.slice(target.keys))
        return expressions.method(target.array, "delete", expressions.key(target.keys))

    # --- loops -----------------------------------------------------------------------------

    def _loop_body(self, body: ir.Body, step: ir.Body) -> list[ast.stmt]:
        self._steps.append(step)
        made = [*self._body(body), *self._body(step)]
        self._steps.pop()
        return made

    def _while(self, loop: ir.While) -> ast.stmt:
        leave = ast.If(ast.UnaryOp(ast.Not(), self._expressions.truth(loop.condition)), [ast.Break()], [])
        body = [leave, *self._loop_body(loop.body, loop.step)]
        target = ast.Name("_round", _STORE())
        return ast.For(target, name("_rounds"), body, [ast.Expr(call("run_wild"))])

    def _foreach(self, loop: ir.Foreach) -> list[ast.stmt]:
        if loop.histogram is not None:
            return self._foreach_bucket(loop)
        limit = constant(None) if loop.limit is None else self._value(loop.limit)
        walked = call(
            "walk",
            name(f"g_{loop.array}"),
            self._expressions.slice(loop.slice),
            sort_by=constant(loop.sort_by),
            statistic=constant(loop.statistic),
            descending=constant(loop.descending),
            limit=limit,
        )
        keys: ast.expr = ast.Name("_key", _STORE())
        if loop.names:
            keys = ast.Tuple([ast.Name(f"v_{key}", _STORE()) for key in loop.names], _STORE())
        value = ast.Name(f"v_{loop.value}" if loop.value else "_value", _STORE())
        target = ast.Tuple([keys, value], _STORE())
        return [ast.For(target, walked, self._loop_body(loop.body, ()) or [ast.Pass()], [])]

    def _foreach_bucket(self, loop: ir.Foreach) -> list[ast.stmt]:
        assert loop.histogram is not None
        statistics = self._expressions.temporary()
        shape = self._expressions.shape(loop.histogram.shape)
        count = call("bucket_count", shape)
        if loop.limit is not None:
            count = call("min", self._value(loop.limit), count)
        index = loop.names[0] if loop.names else ""
        target = ast.Name(f"v_{index}" if index else "_bucket", _STORE())
        body = self._loop_body(loop.body, ())
        if loop.value:
            bucket = attribute(name(statistics), "bucket")
            body.insert(0, assign(f"v_{loop.value}", call(bucket, shape, name(target.id))))
        return [
            assign(statistics, self._expressions.statistics(loop.histogram.of)),
            ast.For(target, call("range", count), body or [ast.Pass()], []),
        ]

    # --- errors ----------------------------------------------------------------------------

    def _try(self, statement: ir.Try) -> ast.stmt:
        caught = self._expressions.temporary()
        handler = self._body(statement.handler)
        if statement.variable:
            message = call("cut", attribute(name(caught), "message"))
            handler.insert(0, assign(f"v_{statement.variable}", message))
        return ast.Try(
            self._block(statement.body),
            [
                ast.ExceptHandler(name("LimitError"), None, [ast.Raise()]),
                ast.ExceptHandler(name("ScriptError"), caught, handler or [ast.Pass()]),
            ],
            [],
            [],
        )


def _first_value(kind: ir.Type) -> int | str:
    return "" if kind is ir.Type.STRING else 0
