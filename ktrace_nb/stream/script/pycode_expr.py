"""Python for the expressions of a script.

Names in generated code: ``v_x`` is the local ``x``, ``f_x`` the function, ``g_x_get`` the
method ``get`` of the global, ``i_x`` the intrinsic; those that begin with ``_`` hold a
value between two steps. ``_t`` is used within one step only.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, TypeAlias

from ktrace_nb.ir import script as ir
from ktrace_nb.stream.script.environment import Environment
from ktrace_nb.stream.script.formats import compile_format
from ktrace_nb.stream.script.memory import loader
from ktrace_nb.stream.script.pytree import (
    Places,
    attribute,
    bind,
    call,
    choose,
    compare,
    constant,
    item,
    name,
    number_of,
    tuple_of,
)
from ktrace_nb.stream.script.regex import compile_regex
from ktrace_nb.stream.script.values import HIGHEST, LOWEST, extend, wrap

_COMPARISONS: dict[str, type[ast.cmpop]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
}
_WRAPPING: dict[str, type[ast.operator]] = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult}
_BITS: dict[str, type[ast.operator]] = {"&": ast.BitAnd, "|": ast.BitOr, "^": ast.BitXor}
_FUNCTIONS = {"/": "divide", "%": "remainder", "<<": "shift_left", ">>": "shift_right"}
_NUL_MAKERS = frozenset("cbm")
_KERNEL_ONLY = ir.Argument | ir.Result | ir.AtEntry | ir.EntryValue

_Method: TypeAlias = Callable[[Any, Any], ast.expr]


class ExpressionWriter:
    """Turns expressions into Python.

    Args:
        places: Where line numbers are kept.
        arrays: Names of the globals that have keys.
        constants: Objects that generated code finds by name; more are put in.
        environment: The session.
    """

    def __init__(
        self,
        places: Places,
        *,
        arrays: frozenset[str],
        constants: dict[str, Any],
        environment: Environment,
    ) -> None:
        self.places = places
        self._environment = environment
        self._longest = environment.cut.longest
        self.arrays = arrays
        self._constants = constants
        self._temporaries = 0

    def constant_object(self, kind: str, value: object) -> ast.Name:
        """A name for an object that no literal can write."""
        identifier = f"{kind}_{len(self._constants)}"
        self._constants[identifier] = value
        return name(identifier)

    def temporary(self) -> str:
        """A name that nothing else has."""
        self._temporaries += 1
        return f"_{self._temporaries}"

    # --- entry points ----------------------------------------------------------------------

    def value(self, expr: ir.Expr) -> ast.expr:
        """What an expression gives: an integer of 64 bits, or a string."""
        kind = type(expr)
        if kind in (ir.Compare, ir.Logical, ir.Match, ir.Contains) or self._is_not(expr):
            return self._at(number_of(self.truth(expr)), expr)
        method: _Method | None = _VALUES.get(kind)
        if method is None:
            where = "runs only in the kernel" if isinstance(expr, _KERNEL_ONLY) else "gives no value"
            raise ValueError(f"{kind.__name__} {where}")
        return self._at(method(self, expr), expr)

    def truth(self, expr: ir.Expr) -> ast.expr:
        """Something that Python takes for true if an integer is not 0."""
        match expr:
            case ir.Compare(op=op, left=left, right=right):
                made: ast.expr = compare(self.value(left), _COMPARISONS[op](), self.value(right))
            case ir.Logical(op=op, left=left, right=right):
                both = ast.And() if op == "&&" else ast.Or()
                made = ast.BoolOp(both, [self.truth(left), self.truth(right)])
            case ir.Unary(op="!", operand=operand):
                made = ast.UnaryOp(ast.Not(), self.truth(operand))
            case ir.Match(subject=subject, pattern=pattern, negated=negated):
                search = self.constant_object("regex", compile_regex(pattern).search)
                found = call(search, self.value(subject))
                made = compare(found, ast.Is() if negated else ast.IsNot(), constant(None))
            case ir.Contains(array=array, keys=keys):
                if None in keys:
                    made = call("contains_any", name(f"g_{array}"), self.slice(keys))
                else:
                    made = self.method(array, "contains", self.key(keys))
            case _:
                return self.value(expr)
        return self._at(made, expr)

    def _is_not(self, expr: ir.Expr) -> bool:
        return isinstance(expr, ir.Unary) and expr.op == "!"

    def _at(self, tree: ast.expr, expr: ir.Expr) -> ast.expr:
        return self.places.mark(tree, expr.at)

    # --- pieces that others need -----------------------------------------------------------

    def method(self, global_name: str, what: str, *arguments: ast.expr) -> ast.Call:
        """A method of a global."""
        return call(f"g_{global_name}_{what}", *arguments)

    def key(self, keys: tuple[ir.Expr | None, ...]) -> ast.expr:
        """An array's key without wildcards."""
        return tuple_of(self.value(part) for part in keys if part is not None)

    def slice(self, keys: tuple[ir.Expr | None, ...]) -> ast.expr:
        """A key with wildcards."""
        return tuple_of(constant(None) if part is None else self.value(part) for part in keys)

    def wrapped(self, value: ast.expr) -> ast.expr:
        """The value in 64 bits; a comparison where it is in range already."""
        inside = ast.Compare(constant(LOWEST), [ast.LtE(), ast.LtE()], [bind("_t", value), constant(HIGHEST)])
        return choose(inside, name("_t"), call("wrap", name("_t")))

    def binary(self, op: str, left: ast.expr, right: ast.expr) -> ast.expr:
        """An operation of :class:`ir.Binary`, or ``.``."""
        if op in _WRAPPING:
            return self.wrapped(ast.BinOp(left, _WRAPPING[op](), right))
        if op in _BITS:
            return ast.BinOp(left, _BITS[op](), right)
        if op == ".":
            return self._cut(ast.BinOp(left, ast.Add(), right))
        return call(_FUNCTIONS[op], left, right)

    def _cut(self, value: ast.expr) -> ast.expr:
        fits = compare(call("len", bind("_t", value)), ast.LtE(), constant(self._longest))
        return choose(fits, name("_t"), call("cut", name("_t")))

    def statistics(self, of: ir.Global | ir.Element) -> ast.expr:
        """The statistics of a global or of an entry."""
        if isinstance(of, ir.Element):
            return self.method(of.array, "stat", self.key(of.keys))
        return self.method(of.name, "stat")

    def store(self, target: ir.Local | ir.Global | ir.Element, value: ast.expr) -> ast.expr | None:
        """A call that sets a global or an entry; None for a local."""
        if isinstance(target, ir.Local):
            return None
        if isinstance(target, ir.Element):
            return self.method(target.array, "set", self.key(target.keys), value)
        return self.method(target.name, "set", value)

    def shape(self, shape: ir.HistogramShape) -> ast.Name:
        """A histogram's shape."""
        return self.constant_object("shape", shape)

    # --- values ----------------------------------------------------------------------------

    def _number(self, expr: ir.Number) -> ast.expr:
        return constant(wrap(expr.value))

    def _text(self, expr: ir.Text) -> ast.expr:
        return constant(expr.value)

    def _local(self, expr: ir.Local) -> ast.expr:
        return name(f"v_{expr.name}")

    def _global(self, expr: ir.Global) -> ast.expr:
        return self.method(expr.name, "get")

    def _element(self, expr: ir.Element) -> ast.expr:
        return self.method(expr.array, "get", self.key(expr.keys))

    def _unary(self, expr: ir.Unary) -> ast.expr:
        operand = self.value(expr.operand)
        if expr.op == "~":
            return ast.UnaryOp(ast.Invert(), operand)
        return self.wrapped(ast.UnaryOp(ast.USub(), operand))

    def _binary(self, expr: ir.Binary) -> ast.expr:
        return self.binary(expr.op, self.value(expr.left), self.value(expr.right))

    def _concat(self, expr: ir.Concat) -> ast.expr:
        return self.binary(".", self.value(expr.left), self.value(expr.right))

    def _choose(self, expr: ir.Choose) -> ast.expr:
        return choose(self.truth(expr.condition), self.value(expr.then), self.value(expr.otherwise))

    def _call(self, expr: ir.Call) -> ast.expr:
        depth = ast.BinOp(name("_depth"), ast.Add(), constant(1))
        return call(f"f_{expr.function}", depth, name("_rounds"), *map(self.value, expr.arguments))

    def _intrinsic(self, expr: ir.Intrinsic) -> ast.expr:
        return call(f"i_{expr.name}", *map(self.value, expr.arguments))

    def _load(self, expr: ir.Load) -> ast.expr:
        if expr.user:
            raise ValueError("memory of a process is read only in the kernel")
        return call(self.constant_object("load", loader(expr, self._environment)), self.value(expr.address))

    def _extend(self, expr: ir.Extend) -> ast.expr:
        operand = self.value(expr.operand)
        if expr.signed or expr.size == 8:
            return call(self._extender(expr.size), operand)
        return ast.BinOp(operand, ast.BitAnd(), constant((1 << 8 * expr.size) - 1))

    def _extender(self, size: int) -> ast.Name:
        return self.constant_object("extend", lambda value: extend(value, size, True))

    def _statistic(self, expr: ir.Statistic) -> ast.expr:
        statistics = self.statistics(expr.of)
        if expr.what in ("count", "sum"):
            return attribute(statistics, expr.what)
        return call(attribute(statistics, "value"), constant(expr.what))

    def _histogram(self, expr: ir.Histogram) -> ast.expr:
        return call("histogram_text", self.statistics(expr.of), self.shape(expr.shape))

    def _bucket(self, expr: ir.Bucket) -> ast.expr:
        histogram = expr.histogram
        bucket = attribute(self.statistics(histogram.of), "bucket")
        return call(bucket, self.shape(histogram.shape), self.value(expr.index))

    def _format(self, expr: ir.Format) -> ast.expr:
        formatter = self.constant_object("format", compile_format(expr.pieces))
        made: ast.expr = call(formatter, tuple_of(map(self.value, expr.arguments)))
        if any(piece.conversion in _NUL_MAKERS or "0" in piece.flags for piece in expr.pieces):
            # A string ends at its first NUL.
            made = item(call(attribute(made, "partition"), constant("\0")), 0)
        return self._cut(made)

    def _captured(self, expr: ir.Captured) -> ast.expr:
        value = bind("_t", item(name("_captured"), expr.index))
        is_fault = compare(attribute(value, "__class__"), ast.Is(), name("Fault"))
        return choose(is_fault, call("fault", name("_t")), name("_t"))

    # --- assignments -----------------------------------------------------------------------

    def _assign(self, expr: ir.Assign) -> ast.expr:
        target = expr.target
        if isinstance(target, ir.Local):
            value = self.value(expr.value)
            if expr.op:
                value = self.binary(expr.op, self.value(target), value)
            return bind(f"v_{target.name}", value)
        new = self.temporary()
        if not expr.op:
            stored = self.store(target, bind(new, self.value(expr.value)))
            assert stored
            return item(tuple_of((stored, name(new))), 1)
        before, write = self.read_and_write(target)
        return item(
            tuple_of((write(bind(new, self.binary(expr.op, before, self.value(expr.value)))), name(new))), 1
        )

    def _step(self, expr: ir.Step) -> ast.expr:
        target = expr.target
        by = constant(expr.by)
        if isinstance(target, ir.Local):
            after = bind(f"v_{target.name}", self.binary("+", self.value(target), by))
            return after if expr.prefix else item(tuple_of((self.value(target), after)), 0)
        old, new = self.temporary(), self.temporary()
        before, write = self.read_and_write(target)
        after = bind(new, self.binary("+", bind(old, before), by))
        return item(tuple_of((write(after), name(new if expr.prefix else old))), 1)

    def read_and_write(
        self, target: ir.Global | ir.Element
    ) -> tuple[ast.expr, Callable[[ast.expr], ast.expr]]:
        """What reads a global or an entry, and what makes the call that then sets it.

        The key is computed once, by whichever of the two is evaluated first: the
        arguments of the call are, from left to right.
        """
        if isinstance(target, ir.Global):
            return self.method(target.name, "get"), lambda value: self.method(target.name, "set", value)
        key = self.temporary()
        first = bind(key, self.key(target.keys))
        return (
            self.method(target.array, "get", name(key)),
            lambda value: self.method(target.array, "set", first, value),
        )


_VALUES: dict[type[ir.Expr], _Method] = {
    ir.Number: ExpressionWriter._number,
    ir.Text: ExpressionWriter._text,
    ir.Local: ExpressionWriter._local,
    ir.Global: ExpressionWriter._global,
    ir.Element: ExpressionWriter._element,
    ir.Unary: ExpressionWriter._unary,
    ir.Binary: ExpressionWriter._binary,
    ir.Concat: ExpressionWriter._concat,
    ir.Choose: ExpressionWriter._choose,
    ir.Call: ExpressionWriter._call,
    ir.Intrinsic: ExpressionWriter._intrinsic,
    ir.Load: ExpressionWriter._load,
    ir.Extend: ExpressionWriter._extend,
    ir.Statistic: ExpressionWriter._statistic,
    ir.Histogram: ExpressionWriter._histogram,
    ir.Bucket: ExpressionWriter._bucket,
    ir.Format: ExpressionWriter._format,
    ir.Captured: ExpressionWriter._captured,
    ir.Assign: ExpressionWriter._assign,
    ir.Step: ExpressionWriter._step,
}
