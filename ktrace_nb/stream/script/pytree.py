"""Building Python's syntax trees, short to write.

A tree's line numbers are numbers of places in the script, not lines of any text: an
exception's traceback then tells which part of the script it came from, at no cost
while nothing goes wrong.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from types import TracebackType
from typing import TypeVar

from ktrace_nb.source import Place

FILE = "<script>"
"""What generated code is called in tracebacks."""

_Tree = TypeVar("_Tree", bound=ast.AST)


class Places:
    """The places that line numbers stand for; line 1 for none."""

    def __init__(self) -> None:
        self._places: list[Place | None] = [None]

    def mark(self, tree: _Tree, at: Place | None) -> _Tree:
        """Say where a tree comes from, parts of it that are marked already left as they are."""
        if at is None:
            return tree
        if self._places[-1] is not at:
            self._places.append(at)
        return _numbered(tree, len(self._places))

    def finish(self, tree: _Tree) -> _Tree:
        """Mark all that is left as coming from nowhere, which Python wants to be told."""
        return _numbered(tree, 1)

    def of(self, traceback: TracebackType | None) -> Place | None:
        """Where in the script an exception came from, the innermost place that is known."""
        found = None
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == FILE:
                found = self._places[traceback.tb_lineno - 1] or found
            traceback = traceback.tb_next
        return found


def _numbered(tree: _Tree, line: int) -> _Tree:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if hasattr(node, "lineno"):
            continue
        if "lineno" in node._attributes:
            node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
            node.col_offset = node.end_col_offset = 0  # type: ignore[attr-defined]
        waiting.extend(ast.iter_child_nodes(node))
    return tree


def name(identifier: str) -> ast.Name:
    """A name that is read."""
    return ast.Name(identifier, ast.Load())


def constant(value: int | str | bool | None) -> ast.expr:
    """A constant."""
    return ast.Constant(value)


def call(function: str | ast.expr, *arguments: ast.expr, **options: ast.expr) -> ast.Call:
    """A call."""
    called = name(function) if isinstance(function, str) else function
    return ast.Call(called, list(arguments), [ast.keyword(key, value) for key, value in options.items()])


def attribute(of: ast.expr, what: str) -> ast.Attribute:
    """An attribute that is read."""
    return ast.Attribute(of, what, ast.Load())


def tuple_of(items: Iterable[ast.expr]) -> ast.Tuple:
    """A tuple."""
    return ast.Tuple(list(items), ast.Load())


def item(of: ast.expr, index: int) -> ast.Subscript:
    """An item by its number."""
    return ast.Subscript(of, ast.Constant(index), ast.Load())


def bind(identifier: str, value: ast.expr) -> ast.NamedExpr:
    """``(identifier := value)``."""
    return ast.NamedExpr(ast.Name(identifier, ast.Store()), value)


def assign(identifier: str, value: ast.expr) -> ast.stmt:
    """``identifier = value``."""
    return ast.Assign([ast.Name(identifier, ast.Store())], value)


def choose(condition: ast.expr, then: ast.expr, otherwise: ast.expr) -> ast.IfExp:
    """``then if condition else otherwise``."""
    return ast.IfExp(condition, then, otherwise)


def number_of(condition: ast.expr) -> ast.expr:
    """1 or 0 for a truth value."""
    return choose(condition, ast.Constant(1), ast.Constant(0))


def compare(left: ast.expr, op: ast.cmpop, right: ast.expr) -> ast.Compare:
    """``left op right``."""
    return ast.Compare(left, [op], [right])


def function(identifier: str, parameters: Iterable[str], body: list[ast.stmt]) -> ast.FunctionDef:
    """A function."""
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg(p) for p in parameters], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    return ast.FunctionDef(identifier, arguments, body or [ast.Pass()], [])
