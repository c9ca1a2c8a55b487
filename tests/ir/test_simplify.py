"""Small functions go into their callers, names into what uses them; what a script does stays the same."""

from __future__ import annotations

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.script import Type
from ktrace_nb.ir.simplify import fold, inline_functions, is_pure, named_values, without_names
from tests.lang.stap.script_kit import READ, code, script, show


def inlined(function: str, call: str) -> list[str]:
    """The first handler once small functions are in their callers."""
    text = f"global n, m\n{function}\nprobe begin {{ x = {call} }}\nprobe end {{ n = m = 1 }}"
    return code(inline_functions(script(text)).handlers[0].body)


@pytest.mark.parametrize(
    ("function", "call", "expected"),
    [
        ("function f(x) { return x * 2 }", "f(3)", "x = (3 * 2)"),
        ("function f(x) { return x + x }", "f(pid())", "x = (pid() + pid())"),
        ("function f(a, b) { return b - a }", "f(1, 2)", "x = (2 - 1)"),
        ("function g(x) { return x + 1 }\nfunction f(x) { return g(x) * 2 }", "f(3)", "x = ((3 + 1) * 2)"),
        ("function f() { return n }", "f()", "x = n"),
        ("function f(x) { return x > 5 ? 5 : x }", "f(m)", "x = ((m > 5) ? 5 : m)"),
        ("function f(x) { return x * 2 }", "f(n++)", "x = (n++ * 2)"),
    ],
)
def test_a_function_that_is_one_expression_goes_into_its_caller(
    function: str, call: str, expected: str
) -> None:
    assert inlined(function, call) == [expected]


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("function f(x) { return x + x }", "f(n++)"),  # it would be done twice
        ("function f(x) { return 0 }", "f(n++)"),  # not at all
        ("function f(c, x) { return c ? x : 0 }", "f(0, n++)"),  # only sometimes
        ("function f(c, x) { return c && x }", "f(0, n++)"),
        ("function f(a, b) { return b - a }", "f(n++, n++)"),  # in another order
        ("function f(a, b) { return b - a }", "f(n, n++)"),
        ("function f(x) { return n + x }", "f(n++)"),  # behind what it changes
        ("function f(x) { y = x\n  return y }", "f(1)"),
        ("function f(x) { if (x) return 1\n  return 2 }", "f(1)"),
        ("function f(x) { return x ? f(x - 1) : 0 }", "f(3)"),
        ("function f(x) { return x++ }", "f(1)"),
    ],
)
def test_a_function_stays_where_its_arguments_could_tell_the_difference(function: str, call: str) -> None:
    assert inlined(function, call) == [f"x = {call}"]


def test_functions_that_are_in_all_their_callers_are_gone() -> None:
    made = inline_functions(
        script(
            "function f(x) { return x + 1 }\nfunction g(x) { y = f(x)\n  return y }\n"
            "probe begin { println(g(1)) }"
        )
    )
    assert [f.name for f in made.functions] == ["g"]


# --- names ---------------------------------------------------------------------------------


def names(body: str) -> dict[str, str]:
    """The values that locals of a handler only name."""
    (handler, _) = script(f"global n, a\nprobe {READ} {{ {body} }}\nprobe end {{ n = a[1] }}").handlers
    return {name: show(value) for name, value in named_values(handler.body, lambda e: True).items()}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("x = $count\n  println(x)", {"x": "argument 2"}),
        ("x = $count\n  y = x + 1\n  println(y)", {"x": "argument 2", "y": "(argument 2 + 1)"}),
        ("x = 1\n  x = 2\n  println(x)", {}),
        ("x = $count\n  x++", {}),
        ("if (n) x = 1\n  println(x)", {}),
        ("println(x)\n  x = $count", {}),  # it is read before it is set
        ("x = y\n  y = 1", {}),
        ("x = n++", {}),
        ("x = 5\n  foreach (x in a) println(x)", {}),
        ('x = "a"\n  try { exit() } catch (x) { println(x) }', {}),
    ],
)
def test_a_variable_names_a_value_if_it_is_set_once_before_anything_reads_it(
    body: str, expected: dict[str, str]
) -> None:
    assert names(body) == expected


def test_named_values_stand_where_the_names_did_and_decide_what_hangs_on_them() -> None:
    (handler,) = script(
        f'probe {READ} {{ kind = "read"\n  if (kind == "write") println("w")\n  else println(kind . "!") }}'
    ).handlers
    body = without_names(handler.body, named_values(handler.body, lambda e: True))
    assert code(body) == ['printf("%s\\n", "read!")']


# --- constants -------------------------------------------------------------------------------


def number(value: int) -> ir.Number:
    return ir.Number(value)


def text(value: str) -> ir.Text:
    return ir.Text(value, type=Type.STRING)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (ir.Compare("<", number(-1), number(1)), "1"),
        (ir.Compare("==", text("a"), text("b")), "0"),
        (ir.Compare(">=", text("b"), text("a")), "1"),
        (ir.Unary("!", number(0)), "1"),
        (ir.Choose(number(0), number(1), number(2)), "2"),
        (ir.Concat(text("a"), text("b"), type=Type.STRING), '"ab"'),
        (ir.Logical("&&", number(0), ir.Argument(0)), "0"),
        (ir.Logical("||", number(7), ir.Argument(0)), "1"),
        (ir.Logical("&&", number(7), ir.Argument(0)), "(argument 0 != 0)"),
        (ir.Logical("||", number(0), number(5)), "1"),
        (ir.Compare("==", ir.Argument(0), number(1)), "(argument 0 == 1)"),
    ],
)
def test_constants_are_computed(expr: ir.Expr, expected: str) -> None:
    assert show(fold(expr)) == expected


@pytest.mark.parametrize(
    ("expr", "pure"),
    [
        (ir.Intrinsic("pid"), True),
        (ir.Load(ir.Argument(0), 8, False), True),
        (ir.Intrinsic("exit"), False),
        (ir.Step(ir.Global("n"), 1, False), False),
        (ir.Assign(ir.Local("x"), "", number(1)), False),
        (ir.Call("f", ()), False),
        (ir.Binary("+", number(1), ir.Step(ir.Global("n"), 1, False)), False),
    ],
)
def test_what_only_gives_a_value_is_pure(expr: ir.Expr, pure: bool) -> None:
    assert is_pure(expr) is pure
