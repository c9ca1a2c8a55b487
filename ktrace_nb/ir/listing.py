"""Expressions and statements of the IR as text, for ``--show ir``.

It reads much like the script it came from. What the language has no words for is
written as a function: ``arg(0)``, ``load_u32(address)``, ``at_entry(…)``; ``sent(2)``
is a value that the kernel sent along, ``symbol(probefunc, ip())`` a number that
becomes text beside the notebook.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ktrace_nb.ir import script as ir

_INDENT = "  "


def expr_text(expr: ir.Expr) -> str:
    """An expression."""
    return _EXPRESSIONS[type(expr)](expr)


def body_text(body: ir.Body, depth: int = 1) -> list[str]:
    """Statements, one a line, indented by so many steps."""
    return [line for statement in body for line in _statement(statement, depth)]


# --- expressions -------------------------------------------------------------------------


def _list(items: Sequence[ir.Expr | None]) -> str:
    return ", ".join("*" if item is None else expr_text(item) for item in items)


_COMPOUND = (
    ir.Binary, ir.Compare, ir.Logical, ir.Choose, ir.Concat, ir.Match, ir.Assign, ir.Contains,
)  # fmt: skip


def _operand(expr: ir.Expr) -> str:
    text = expr_text(expr)
    return f"({text})" if isinstance(expr, _COMPOUND) else text


def _pair(expr: Any) -> str:
    return f"{_operand(expr.left)} {expr.op} {_operand(expr.right)}"


def _contains(expr: ir.Contains) -> str:
    return f"[{_list(expr.keys)}] in {expr.array}"


def _match(expr: ir.Match) -> str:
    return f"{_operand(expr.subject)} {'!~' if expr.negated else '=~'} {_quoted(expr.pattern)}"


def _assign(expr: ir.Assign) -> str:
    return f"{expr_text(expr.target)} {expr.op}= {expr_text(expr.value)}"


def _step(expr: ir.Step) -> str:
    sign = "++" if expr.by > 0 else "--"
    return f"{sign}{expr_text(expr.target)}" if expr.prefix else f"{expr_text(expr.target)}{sign}"


def _load(expr: ir.Load) -> str:
    kind = f"load{'_user' if expr.user else ''}_{'s' if expr.signed else 'u'}{8 * expr.size}"
    bits = f", bits {expr.shift} to {expr.shift + expr.bits - 1}" if expr.bits else ""
    return f"{kind}({expr_text(expr.address)}{bits})"


def _histogram(expr: ir.Histogram) -> str:
    shape = expr.shape
    if shape.is_log:
        return f"@hist_log({expr_text(expr.of)})"
    return f"@hist_linear({expr_text(expr.of)}, {shape.low}, {shape.high}, {shape.step})"


def format_text(pieces: Sequence[ir.Piece]) -> str:
    """The format that pieces are of, in quotes."""
    return _quoted("".join(_piece(piece) for piece in pieces))


def _piece(piece: ir.Piece) -> str:
    if not piece.conversion:
        return piece.text.replace("%", "%%")
    width, precision = _amount(piece.width), _amount(piece.precision)
    size = str(piece.size) if piece.size else ""
    return f"%{piece.flags}{width}{'.' + precision if precision else ''}{size}{piece.conversion}"


def _amount(value: int) -> str:
    return {-1: "", -2: "*"}.get(value, str(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_EXPRESSIONS: dict[type[ir.Expr], Callable[[Any], str]] = {
    ir.Number: lambda e: str(e.value),
    ir.Text: lambda e: _quoted(e.value),
    ir.Local: lambda e: e.name,
    ir.Global: lambda e: e.name,
    ir.Element: lambda e: f"{e.array}[{_list(e.keys)}]",
    ir.Unary: lambda e: f"{e.op}{_operand(e.operand)}",
    ir.Binary: _pair,
    ir.Compare: _pair,
    ir.Logical: _pair,
    ir.Choose: lambda e: f"{_operand(e.condition)} ? {_operand(e.then)} : {_operand(e.otherwise)}",
    ir.Concat: lambda e: f"{_operand(e.left)} . {_operand(e.right)}",
    ir.Match: _match,
    ir.Contains: _contains,
    ir.Assign: _assign,
    ir.Step: _step,
    ir.Call: lambda e: f"{e.function}({_list(e.arguments)})",
    ir.Intrinsic: lambda e: f"{e.name}({_list(e.arguments)})",
    ir.Symbol: lambda e: f"symbol({e.name}, {expr_text(e.operand)})",
    ir.Argument: lambda e: f"arg({e.index})",
    ir.Result: lambda _: "result()",
    ir.Load: _load,
    ir.Extend: lambda e: f"{'s' if e.signed else 'u'}{8 * e.size}({expr_text(e.operand)})",
    ir.AtEntry: lambda e: f"at_entry({expr_text(e.operand)})",
    ir.Statistic: lambda e: f"@{e.what}({expr_text(e.of)})",
    ir.Histogram: _histogram,
    ir.Bucket: lambda e: f"{expr_text(e.histogram)}[{expr_text(e.index)}]",
    ir.Format: lambda e: f"sprintf({', '.join([format_text(e.pieces), *map(expr_text, e.arguments)])})",
    ir.Captured: lambda e: f"sent({e.index})",
    ir.EntryValue: lambda e: f"entry({e.index})",
}


# --- statements --------------------------------------------------------------------------


def _statement(node: ir.Stmt, depth: int) -> list[str]:
    lead = _INDENT * depth
    match node:
        case ir.If():
            lines = [f"{lead}if ({expr_text(node.condition)})", *body_text(node.then, depth + 1)]
            if node.otherwise:
                lines += [f"{lead}else", *body_text(node.otherwise, depth + 1)]
            return lines
        case ir.While():
            lines = [f"{lead}while ({expr_text(node.condition)})", *body_text(node.body, depth + 1)]
            if node.step:
                lines += [f"{lead}each round", *body_text(node.step, depth + 1)]
            return lines
        case ir.Foreach():
            return [f"{lead}{_foreach(node)}", *body_text(node.body, depth + 1)]
        case ir.Try():
            catch = f"{lead}catch" + (f" ({node.variable})" if node.variable else "")
            body, handler = body_text(node.body, depth + 1), body_text(node.handler, depth + 1)
            return [f"{lead}try", *body, catch, *handler]
        case _:
            return [lead + _simple(node)]


def _simple(node: ir.Stmt) -> str:
    match node:
        case ir.Evaluate():
            return expr_text(node.expr)
        case ir.Accumulate():
            return f"{expr_text(node.target)} <<< {expr_text(node.value)}"
        case ir.Print():
            return f"print({', '.join([format_text(node.pieces), *map(expr_text, node.arguments)])})"
        case ir.Return():
            return "return" if node.value is None else f"return {expr_text(node.value)}"
        case ir.Delete():
            return f"delete {expr_text(node.target)}"
        case ir.Ship():
            return f"send record {node.record}: {_list(node.values) or 'nothing but that it happened'}"
        case _:
            return type(node).__name__.lower()  # break, continue, next


def _foreach(node: ir.Foreach) -> str:
    walked = node.array or (expr_text(node.histogram) if node.histogram else "")
    names = node.names[0] if len(node.names) == 1 else f"[{', '.join(node.names)}]"
    value = f"{node.value} = " if node.value else ""
    kept = f"[{_list(node.slice)}]" if node.slice else ""
    order = ""
    if node.sort_by is not None:
        by = (
            f"key {node.sort_by}" if node.sort_by else f"@{node.statistic}" if node.statistic else "the value"
        )
        order = f", by {by} {'falling' if node.descending else 'rising'}"
    limit = f", at most {expr_text(node.limit)}" if node.limit is not None else ""
    return f"foreach ({value}{names} in {walked}{kept}{order}{limit})"
