"""The IR as text; what is expected is written from the meaning of each node."""

from __future__ import annotations

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.listing import body_text, expr_text, format_text
from ktrace_nb.ir.script import Type
from ktrace_nb.ir.unread import unread_globals

A, B = ir.Global("a"), ir.Local("b")


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (ir.Binary("*", ir.Binary("+", A, B), ir.Number(2)), "(a + b) * 2"),
        (ir.Unary("-", ir.Compare("<", A, B)), "-(a < b)"),
        (ir.Element("seen", (ir.Text("x\ny", type=Type.STRING), None)), 'seen["x\\ny", *]'),
        (ir.Contains("seen", (A, None)), "[a, *] in seen"),
        (ir.Assign(A, "+", ir.Number(1)), "a += 1"),
        (ir.Step(A, 1, False), "a++"),
        (ir.Step(A, -1, True), "--a"),
        (ir.Load(ir.Binary("+", ir.Argument(0), ir.Number(8)), 4, True), "load_s32(arg(0) + 8)"),
        (ir.Load(B, 8, False, True, 3, 5), "load_user_u64(b, bits 3 to 7)"),
        (ir.Extend(ir.Result(), 4, True), "s32(result())"),
        (ir.AtEntry(ir.Argument(1)), "at_entry(arg(1))"),
        (ir.Histogram(A, ir.HistogramShape(0, 100, 10)), "@hist_linear(a, 0, 100, 10)"),
        (ir.Match(B, "^x", True), 'b !~ "^x"'),
    ],
)
def test_an_expression_reads_as_the_script_wrote_it(expr: ir.Expr, text: str) -> None:
    assert expr_text(expr) == text


def test_a_format_is_put_together_again() -> None:
    pieces = (
        ir.Piece("100% "),
        ir.Piece(conversion="d", flags="-", width=5),
        ir.Piece(conversion="s", width=-2, precision=3),
        ir.Piece("\n"),
    )
    assert format_text(pieces) == '"100%% %-5d%*.3s\\n"'


def test_bodies_are_indented() -> None:
    inner = ir.If(ir.Compare(">", A, ir.Number(0)), (ir.Accumulate(ir.Global("s"), A),), (ir.Next(),))
    walk = ir.Foreach("", ("k",), "n", (), 0, "", True, ir.Number(3), (inner,))
    assert body_text((walk, ir.Ship(2, (A, B)), ir.Return(None))) == [
        "  foreach (k in n, by the value falling, at most 3)",
        "    if (a > 0)",
        "      s <<< a",
        "    else",
        "      next",
        "  send record 2: a, b",
        "  return",
    ]


def script(*body: ir.Stmt) -> ir.Script:
    names = ("a", "n", "s")
    variables = tuple(ir.GlobalVariable(name=name, type=Type.LONG) for name in names)
    handler = ir.Handler(number=0, event=ir.Event.BEGIN, name="begin", body=body)
    return ir.Script(globals=variables, functions=(), handlers=(handler,))


def test_globals_that_are_only_filled_are_unread() -> None:
    element = ir.Element("n", (A,))
    filled = script(
        ir.Evaluate(ir.Assign(A, "", ir.Number(1))),
        ir.Evaluate(ir.Step(element, 1, False)),
        ir.Accumulate(ir.Global("s"), ir.Number(3)),
    )
    # a is the key of n, so it is read.
    assert unread_globals(filled) == ["n", "s"]


@pytest.mark.parametrize(
    "reading",
    [
        ir.Evaluate(ir.Call("f", (ir.Element("n", (ir.Number(1),)),))),
        ir.Evaluate(ir.Contains("n", (ir.Number(1),))),
        ir.Foreach("", ("k",), "n", (), None, "", False, None, ()),
        ir.Evaluate(ir.Assign(A, "", ir.Step(ir.Element("n", (ir.Number(1),)), 1, False))),
    ],
)
def test_globals_that_something_looks_at_are_not(reading: ir.Stmt) -> None:
    fill = ir.Evaluate(ir.Step(ir.Element("n", (ir.Number(1),)), 1, False))
    assert "n" not in unread_globals(script(fill, reading))


def test_globals_that_nothing_touches_are_not_unread() -> None:
    assert unread_globals(script()) == []
