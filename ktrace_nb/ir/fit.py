"""What can run in the kernel, and why the rest cannot."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.ir.events import is_event_node
from ktrace_nb.ir.intrinsics import INTRINSICS
from ktrace_nb.ir.script import Type
from ktrace_nb.ir.specialise import Specialiser, Unreadable
from ktrace_nb.source import Place


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something cannot run in the kernel."""

    text: str
    at: Place | None


def symbol_of(expr: ir.Expr) -> str:
    """The function that makes text of the number a string is in the kernel; empty if it is no number."""
    if not isinstance(expr, ir.Intrinsic) or expr.type is not Type.STRING:
        return ""
    place = INTRINSICS[expr.name]
    if place.symbol:
        return place.symbol
    is_name = place.user and not place.kernel and not place.effect and not place.event
    return expr.name if is_name and len(expr.arguments) == 1 and expr.arguments[0].type is Type.LONG else ""


class Fit:
    """Tells what fits in the kernel.

    Args:
        functions: All functions by name.
        arrays: Names of the globals that are arrays.
        user_globals: Globals that do not live in the kernel.
    """

    def __init__(
        self, functions: Mapping[str, ir.Function], arrays: Collection[str], user_globals: Collection[str]
    ) -> None:
        self._functions = functions
        self._arrays = arrays
        self._user_globals = user_globals
        self._known: dict[str, Reason | None] = {}
        self._open: set[str] = set()

    def expression(self, expr: ir.Expr) -> Reason | None:
        """Why an expression cannot be computed in the kernel; None if it can."""
        own = self._node(expr)
        if own is not None:
            return own
        return next(filter(None, map(self.expression, walk.children(expr))), None)

    def _node(self, expr: ir.Expr) -> Reason | None:
        if len(_kinds_of_text(expr)) > 1:
            return Reason("names that are numbers in the kernel are used as text", expr.at)
        match expr:
            case ir.Format():
                return Reason("a string is formatted", expr.at)
            case ir.Match():
                return Reason("a regular expression is matched", expr.at)
            case ir.Statistic() | ir.Histogram() | ir.Bucket():
                return Reason("statistics are read", expr.at)
            case ir.Global(name=name):
                if expr.type is Type.STATISTICS:
                    return Reason("statistics are read", expr.at)
                return self._global(name, expr)
            case ir.Element(array=name, keys=keys) | ir.Contains(array=name, keys=keys):
                if None in keys:
                    return Reason("several entries of an array are looked at", expr.at)
                return self._global(name, expr)
            case ir.Intrinsic(name=name):
                if name == "error" and not isinstance(expr.arguments[0], ir.Text):
                    return Reason("the message of error() is made up", expr.at)
                if not INTRINSICS[name].kernel and not symbol_of(expr):
                    return Reason(f"{name.lstrip('_')}() is computed", expr.at)
            case ir.Call(function=name):
                reason = self.function(name)
                return reason and Reason(reason.text, expr.at)
            case ir.Captured():
                return Reason("a value of the notebook is used", expr.at)
        return None

    def _global(self, name: str, expr: ir.Expr) -> Reason | None:
        if name not in self._user_globals:
            return None
        return Reason(f"{name!r} is kept beside the notebook", expr.at)

    def function(self, name: str) -> Reason | None:
        """Why a function cannot run in the kernel."""
        if name in self._open:
            return Reason(f"{name} calls itself", self._functions[name].at)
        if name not in self._known:
            self._open.add(name)
            self._known[name] = self.body(self._functions[name].body)
            self._open.discard(name)
        return self._known[name]

    def body(self, body: ir.Body) -> Reason | None:
        """Why statements cannot run in the kernel, or be sent to the notebook from there."""
        return next(filter(None, (self._statement(s) for s in body)), None)

    def _statement(self, statement: ir.Stmt) -> Reason | None:
        match statement:
            case ir.Print():
                return self.shipped(statement.arguments)
            case ir.Evaluate(expr=ir.Intrinsic() as expr) if is_message(expr):
                return self.shipped(expr.arguments)
            case ir.Accumulate(target=target, value=value):
                return self._target(target) or self.expression(value)
            case ir.If():
                return (
                    self.expression(statement.condition)
                    or self.body(statement.then)
                    or self.body(statement.otherwise)
                )
            case ir.While():
                return (
                    self.expression(statement.condition)
                    or self.body(statement.body)
                    or self.body(statement.step)
                )
            case ir.Foreach():
                return Reason("foreach walks an array", statement.at)
            case ir.Try():
                return Reason("errors are caught", statement.at)
            case ir.Delete(target=target):
                if isinstance(target, ir.Global) and (
                    target.name in self._arrays or target.type is Type.STATISTICS
                ):
                    return Reason("a whole array or statistics are deleted", statement.at)
                return self._target(target)
        return next(filter(None, map(self.expression, walk.children(statement))), None)

    def _can_specialise(self, call: ir.Call) -> bool:
        """Whether a function can run beside the notebook once what it reads was read for it."""
        if _globals_behind(call.function, self._functions, frozenset()):
            return False
        try:
            Specialiser(self._functions).call(call, lambda e: self.expression(e) is None)
        except Unreadable:
            return False
        return True

    def _target(self, target: ir.Global | ir.Element) -> Reason | None:
        if isinstance(target, ir.Global):
            return self._global(target.name, target)
        if None in target.keys:
            return Reason("several entries of an array are deleted", target.at)
        keys = (self.expression(key) for key in target.keys if key is not None)
        return self._global(target.array, target) or next(filter(None, keys), None)

    def shipped(self, values: tuple[ir.Expr, ...]) -> Reason | None:
        """Why what is printed cannot be sent to the notebook in parts."""
        return next(filter(None, map(self._shippable, values)), None)

    def _shippable(self, expr: ir.Expr) -> Reason | None:
        reason = self.expression(expr)
        if reason is None:
            return None
        is_variant = isinstance(expr, ir.Call) and self._can_specialise(expr)
        if not (can_finish(expr, self._functions) or is_variant):
            return reason
        return next(filter(None, map(self._shippable, walk.children(expr))), None)


def _kinds_of_text(expr: ir.Expr) -> set[str]:
    """How the strings that an expression brings together are kept, as far as it tells itself."""
    match expr:
        case ir.Compare(left=left, right=right) if left.type is Type.STRING:
            return _kinds(left) | _kinds(right)
        case ir.Choose() if expr.type is Type.STRING:
            return _kinds(expr)
        case ir.Concat(left=left, right=right):
            return _kinds(left) | _kinds(right) | {""}
    return set()


def _kinds(expr: ir.Expr) -> set[str]:
    if isinstance(expr, ir.Choose):
        return _kinds(expr.then) | _kinds(expr.otherwise)
    if isinstance(expr, ir.Local | ir.Global | ir.Element | ir.Call | ir.Assign):
        return set()  # shapes tell
    return {symbol_of(expr)}


def _globals_behind(name: str, functions: Mapping[str, ir.Function], above: frozenset[str]) -> bool:
    """Whether a function or one it calls touches globals."""
    if name in above:
        return False
    body = functions[name].body
    return bool(walk.globals_used(body)) or any(
        _globals_behind(inner, functions, above | {name}) for inner in walk.calls(body)
    )


def is_message(expr: ir.Intrinsic) -> bool:
    """Whether a call does something beside the notebook and gives nothing back to the kernel."""
    place = INTRINSICS[expr.name]
    return place.effect and (
        not place.kernel or (expr.name == "error" and not isinstance(expr.arguments[0], ir.Text))
    )


def can_finish(expr: ir.Expr, functions: Mapping[str, ir.Function]) -> bool:
    """Whether a node can be computed beside the notebook once its parts are there."""
    match expr:
        case (
            ir.Concat()
            | ir.Format()
            | ir.Match()
            | ir.Compare()
            | ir.Choose()
            | ir.Unary()
            | ir.Binary()
            | ir.Logical()
        ):
            return True
        case ir.Intrinsic():
            place = INTRINSICS[expr.name]
            return place.user and not place.event
        case ir.Call(function=name):
            return is_plain(name, functions, frozenset())
    return False


def is_plain(name: str, functions: Mapping[str, ir.Function], above: frozenset[str]) -> bool:
    """Whether a function computes its result from its arguments alone."""
    if name in above:
        return True
    body = functions[name].body
    return (
        not walk.globals_used(body)
        and not any(is_event_node(e) for e in walk.expressions(body))
        and all(is_plain(inner, functions, above | {name}) for inner in walk.calls(body))
    )
