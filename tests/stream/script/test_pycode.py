from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.script import Binary, Compare, Expr, Type
from ktrace_nb.source import Place, Source, Span
from ktrace_nb.stream.script import pycode
from ktrace_nb.stream.script.arrays import Array
from ktrace_nb.stream.script.errors import Fault, LimitError, ScriptError
from ktrace_nb.stream.script.values import HIGHEST, LOWEST, divide, remainder, wrap
from tests.stream.script.kit import LINEAR, LOG, Session, World, call, lit, local, put, show

i, j, k, t = local("i"), local("j"), local("k"), local("t")
n = ir.Global("n")
x = ir.Global("x", type=Type.STATISTICS)
longs = st.integers(LOWEST, HIGHEST) | st.integers(-3, 70)


def a(*keys: Expr | None) -> ir.Element:
    return ir.Element("a", keys)


def xs(*keys: Expr | None) -> ir.Element:
    return ir.Element("xs", keys, type=Type.STATISTICS)


def add(target: ir.Local | ir.Global | ir.Element, by: int = 1) -> ir.Evaluate:
    return ir.Evaluate(ir.Step(target, by, False))


def count_to(variable: ir.Local, most: int, *body: ir.Stmt) -> tuple[ir.Stmt, ...]:
    """``for (v = 0; v < most; v++) body``."""
    return put(variable, lit(0)), ir.While(Compare("<", variable, lit(most)), body, (add(variable),))


def text(expr: str) -> Expr:
    return lit(expr)


@given(longs, longs)
def test_arithmetic_is_that_of_64_bits(left: int, right: int) -> None:
    one, other = ir.Captured(0), ir.Captured(1)
    expected = {
        "+": wrap(left + right),
        "-": wrap(left - right),
        "*": wrap(left * right),
        "&": left & right,
        "|": left | right,
        "^": left ^ right,
        "<<": wrap(left << (right & 63)),
        ">>": left >> (right & 63),
    }
    if right:
        expected |= {"/": divide(left, right), "%": remainder(left, right)}
    world = World()
    world.run(*(show("%d", Binary(op, one, other)) for op in expected), captured=(left, right))
    assert [values[0] for _, values in world.session.printed] == list(expected.values())


def test_operators_nest_without_disturbing_each_other() -> None:
    expr = Binary(
        "-",
        Binary("*", lit(3), Binary("+", lit(4), lit(5))),
        Binary("*", lit(2), Binary("-", lit(7), lit(1))),
    )
    assert World().value(expr) == 15
    assert World().value(ir.Unary("-", lit(LOWEST))) == LOWEST
    assert World().value(ir.Unary("~", lit(5))) == -6
    assert World().value(ir.Extend(lit(0x1FF), 1, True)) == -1
    assert World().value(ir.Extend(lit(-1), 2, False)) == 0xFFFF


@pytest.mark.parametrize(
    ("expr", "value"),
    [
        (Compare("==", text("a"), text("a")), 1),
        (Compare("<", text("a"), text("\xe9")), 1),
        (Compare(">=", lit(2), lit(3)), 0),
        (Compare("!=", lit(2), lit(3)), 1),
        (ir.Unary("!", lit(5)), 0),
        (ir.Unary("!", lit(0)), 1),
        (ir.Choose(lit(7), lit(1), lit(2)), 1),
        (ir.Match(text("sys_open"), "^sys_", False), 1),
        (ir.Match(text("sys_open"), "^sys_", True), 0),
        (ir.Logical("&&", lit(2), lit(3)), 1),
        (ir.Logical("||", lit(0), lit(0)), 0),
    ],
)
def test_conditions_are_0_or_1(expr: Expr, value: int) -> None:
    result = World().value(expr)
    assert result == value
    assert type(result) is int


def test_the_right_side_of_a_logical_operator_runs_only_where_it_is_needed() -> None:
    world = World()
    set_n = ir.Assign(n, "", lit(1))
    world.run(ir.Evaluate(ir.Logical("&&", lit(0), set_n)), ir.Evaluate(ir.Logical("||", lit(1), set_n)))
    assert world.globals["n"].entries == {(): 0}
    world.run(ir.Evaluate(ir.Logical("&&", lit(1), set_n)))
    assert world.globals["n"].entries == {(): 1}


def test_joined_strings_are_cut_at_the_longest() -> None:
    world = World(Session(max_string=6))
    assert world.value(ir.Concat(text("abc"), text("def"), type=Type.STRING)) == "abcde"
    assert world.session.cut.cuts == 1


def test_what_is_printed_is_not_cut() -> None:
    assert World(Session(max_string=6)).run(show("%s%s", text("abc"), text("def"))) == "abcdef"


def test_sprintf_gives_a_string_that_ends_at_its_first_nul() -> None:
    pieces = (ir.Piece("a"), ir.Piece("", "c"), ir.Piece("b"))
    assert World().value(ir.Format(pieces, (lit(0),), type=Type.STRING)) == "a"
    assert World().value(ir.Format(pieces, (lit(45),), type=Type.STRING)) == "a-b"


@pytest.mark.parametrize("target", [i, n, a(lit(1), lit(2))])
def test_variables_of_every_kind_are_set_and_stepped(target: ir.Local | ir.Global | ir.Element) -> None:
    shown = World().run(
        put(target, lit(10)),
        put(target, lit(5), "-"),
        show("%d ", target),
        show("%d %d ", ir.Step(target, 1, False), target),
        show("%d %d ", ir.Step(target, -1, True), target),
        show("%d %d ", ir.Assign(target, "", lit(3)), target),
        show("%d %d ", ir.Assign(target, "*", lit(7)), target),
        add(target, -1),
        show("%d", target),
    )
    assert shown == "5 5 6 5 5 3 3 21 21 20"


def test_a_string_is_appended_to() -> None:
    assert World().run(put(t, text("a")), put(t, text("b"), "."), show("%s", t)) == "ab"


def test_a_key_is_computed_once_where_an_entry_is_changed() -> None:
    world = World()
    world.run(
        put(a(ir.Step(i, 1, False)), lit(5), "+"),
        show("%d", i),
        ir.Evaluate(ir.Step(a(ir.Step(i, 1, False)), 1, True)),
    )
    assert world.globals["a"].entries == {(0,): 5, (1,): 1}


def test_a_for_loop_runs_its_step_after_continue() -> None:
    shown = World().run(
        *count_to(
            i,
            6,
            ir.If(Compare("==", i, lit(2)), (ir.Continue(),)),
            ir.If(Compare("==", i, lit(4)), (ir.Break(),)),
            show("%d ", i),
        )
    )
    assert shown == "0 1 3 "


def test_loops_nest() -> None:
    inner = count_to(j, 3, ir.If(Compare(">", j, i), (ir.Continue(),)), show("%d%d ", i, j))
    assert World().run(*count_to(i, 3, *inner)) == "00 10 11 20 21 22 "


def test_a_handler_that_loops_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pycode, "MOST_ROUNDS", 1000)
    caught = ir.Try((ir.While(lit(1), (add(i),)),), "t", ())
    with pytest.raises(LimitError, match="more than 1000 rounds"):
        World().run(caught)


def test_a_foreach_walks_keys_and_values() -> None:
    world = World()
    for key, value in (((1, 2), 5), ((3, 4), 9), ((1, 7), 7)):
        world.globals["a"].entries[key] = value
    walked = ir.Foreach("k", ("i", "j"), "a", (), 0, "", True, None, (show("%d,%d=%d ", i, j, k),))
    assert world.run(walked) == "3,4=9 1,7=7 1,2=5 "
    sliced = ir.Foreach(
        "k", ("i", "j"), "a", (lit(1), None), None, "", False, lit(1), (show("%d,%d=%d ", i, j, k),)
    )
    assert world.run(sliced) == "1,2=5 "


def test_a_foreach_sorts_statistics_by_what_is_asked_for() -> None:
    body = (show("%d:%d ", i, ir.Statistic("sum", xs(i))),)
    walked = ir.Foreach("", ("i",), "xs", (), 0, "sum", True, None, body)
    adding = [ir.Accumulate(xs(lit(key)), lit(value)) for key, value in ((1, 2), (1, 2), (2, 9), (3, 1))]
    assert World().run(*adding, walked) == "2:9 1:4 3:1 "


def test_a_foreach_walks_the_buckets_of_a_histogram() -> None:
    # SystemTap's testsuite, systemtap.maps/log_edge: 1, 2, 3, 4.
    histogram = ir.Histogram(x, LOG)
    shown = show("bucket %d: %d\n", i, ir.Bucket(histogram, i))
    body = (ir.If(k, (shown,)),)
    walked = ir.Foreach("k", ("i",), "", (), None, "", False, None, body, histogram)
    adding = [ir.Accumulate(x, lit(value)) for value in (1, 2, 3, 4)]
    assert World().run(*adding, walked) == "bucket 65: 1\nbucket 66: 2\nbucket 67: 1\n"
    few = ir.Foreach("", ("i",), "", (), None, "", False, lit(71), (add(j),), histogram)
    assert World().run(few, show("%d", j)) == "71"


def test_statistics_are_read_and_printed() -> None:
    world = World()
    world.run(*(ir.Accumulate(x, lit(value)) for value in (5, 25, -3)))
    numbers = [ir.Statistic(what, x) for what in ("count", "sum", "min", "max", "avg", "variance")]
    assert world.run(show("%d %d %d %d %d %d", *numbers)) == "3 27 -3 25 9 208"
    shown = world.run(show("%s", ir.Histogram(x, LINEAR, type=Type.STRING)))
    assert shown.splitlines()[1] == "   <0 |@                                                  1"
    assert world.value(ir.Bucket(ir.Histogram(x, LINEAR), lit(3))) == 1


def test_statistics_of_an_absent_entry_are_empty() -> None:
    # SystemTap's testsuite, systemtap.maps/absentstats.
    assert World().value(ir.Statistic("count", xs(lit(4)))) == 0
    assert World().value(ir.Statistic("sum", xs(lit(4)))) == 0
    for expr in (ir.Statistic("max", xs(lit(4))), ir.Bucket(ir.Histogram(xs(lit(4)), LOG), lit(5))):
        with pytest.raises(ScriptError, match=r"^empty aggregate$"):
            World().value(expr)


def test_entries_are_deleted_one_by_one_by_slice_and_all() -> None:
    world = World()
    array = world.globals["a"]
    assert isinstance(array, Array)
    array.entries = {(1, 1): 1, (1, 2): 2, (2, 1): 3}
    world.run(ir.Delete(a(lit(1), lit(1))))
    assert len(array) == 2
    world.run(ir.Delete(a(None, lit(2))))
    assert list(array.entries) == [(2, 1)]
    world.run(ir.Delete(a(None, None)))
    assert len(array) == 0
    array.entries = {(1,): 1}
    world.run(ir.Delete(ir.Global("a")))
    assert len(array) == 0


def test_deleting_a_scalar_gives_it_its_first_value() -> None:
    world = World()
    world.run(put(n, lit(9)), ir.Accumulate(x, lit(1)), ir.Delete(n), ir.Delete(x))
    assert world.run(show("%d %d", n, ir.Statistic("count", x))) == "0 0"


def test_membership_takes_wildcards() -> None:
    world = World()
    world.globals["a"].entries[(9, 1)] = 0
    shown = [
        ir.Contains("a", keys)
        for keys in ((lit(9), lit(1)), (lit(9), None), (None, lit(2)), (lit(1), lit(9)))
    ]
    assert world.run(show("%d%d%d%d", *shown)) == "1100"


# --- errors --------------------------------------------------------------------------------


def test_a_caught_error_gives_its_message() -> None:
    body = (show("a", *()), put(i, Binary("/", lit(1), lit(0))), show("b", *()))
    assert World().run(ir.Try(body, "t", (show(" %s", t),)), show(" c", *())) == "a division by 0 c"


def test_an_error_tells_the_token_it_is_near() -> None:
    source = Source("probe begin {\n  x = 1 / y\n}\n", "cell")
    at = Place(source, Span(source.text.index("/"), source.text.index("/") + 1))
    with pytest.raises(ScriptError) as raised:
        World().run(put(i, Binary("/", lit(1), j, at=at)))
    assert raised.value.at == at
    assert str(raised.value) == "division by 0 near operator '/' at cell:2:9"


def test_an_error_in_a_function_tells_its_place_there() -> None:
    source = Source("function f() { foo[1] = 2 }")
    at = Place(source, Span(source.text.index("foo"), source.text.index("foo") + 3))
    body = (ir.Evaluate(ir.Assign(ir.Element("full", (lit(1),)), "", lit(2)), at=at),)
    world = World(functions=[ir.Function("f", (), (), Type.NOTHING, body)])
    world.globals["full"] = Array(size=0)
    with pytest.raises(ScriptError) as raised:
        world.run(ir.Evaluate(ir.Call("f", ()), at=Place(source, Span(0, 8))))
    assert str(raised.value) == "Array overflow, check MAXMAPENTRIES near identifier 'foo' at cell:1:16"


def test_a_value_that_could_not_be_read_is_an_error_once_it_is_used() -> None:
    fault = Fault(-4096)
    used = ir.Captured(0)
    assert World().run(ir.If(lit(0), (show("%d", used),)), show("ok", *()), captured=(fault,)) == "ok"
    with pytest.raises(ScriptError) as raised:
        World().run(show("%d", used), captured=(fault,))
    assert raised.value.message == "read fault [man error::fault] at 0xfffffffffffff000"


def test_error_of_the_script_can_be_caught() -> None:
    body = (ir.Evaluate(call("error", text("no good"), type=Type.NOTHING)),)
    assert World().run(ir.Try(body, "t", (show("%s", t),))) == "no good"


# --- functions -----------------------------------------------------------------------------


def factorial() -> ir.Function:
    number = ir.Local("number")
    less = ir.Call("factorial", (Binary("-", number, lit(1)),))
    body = (
        ir.If(Compare("<=", number, lit(1)), (ir.Return(lit(1)),)),
        ir.Return(Binary("*", number, less)),
    )
    return ir.Function("factorial", (ir.LocalVariable("number", Type.LONG),), (), Type.LONG, body)


def test_functions_call_themselves_as_deep_as_they_may() -> None:
    world = World(Session(max_nesting=20), [factorial()])
    assert world.value(ir.Call("factorial", (lit(20),))) == 2432902008176640000
    with pytest.raises(ScriptError, match=r"^MAXNESTING exceeded$"):
        world.value(ir.Call("factorial", (lit(21),)))


def test_a_function_deeper_than_python_goes_is_stopped_the_same_way() -> None:
    world = World(Session(max_nesting=10**6), [factorial()])
    with pytest.raises(ScriptError, match=r"^MAXNESTING exceeded$"):
        world.value(ir.Call("factorial", (lit(10**5),)))


def test_a_function_without_a_return_gives_nothing() -> None:
    variables = (ir.LocalVariable("t", Type.STRING),)
    function = ir.Function("f", (), variables, Type.STRING, ())
    assert World(functions=[function]).value(ir.Call("f", (), type=Type.STRING)) == ""


def test_next_in_a_function_leaves_the_handler() -> None:
    function = ir.Function("f", (), (), Type.NOTHING, (ir.Next(),))
    world = World(functions=[function])
    assert world.run(show("a", *()), ir.Evaluate(ir.Call("f", ())), show("b", *())) == "a"
    assert world.run(show("a", *()), ir.Next(), show("b", *())) == "a"


def test_exit_lets_the_handler_run_on() -> None:
    world = World()
    assert world.run(ir.Evaluate(call("exit", type=Type.NOTHING)), show("still here", *())) == "still here"
    assert world.session.exits == 1


def test_what_is_printed_reaches_the_session_with_its_site_and_values() -> None:
    world = World()
    assert world.run(show("%d %s\n", lit(5), text("x"))) == "5 x\n"
    assert world.session.printed == [(1, (5, "x"))]


@pytest.mark.parametrize(
    "expr", [ir.Load(lit(1), 8, True, user=True), ir.Argument(0), ir.Result(), ir.EntryValue(0)]
)
def test_what_runs_only_in_the_kernel_is_refused(expr: Expr) -> None:
    with pytest.raises(ValueError, match="only in the kernel"):
        World().run(show("%d", expr))
    with pytest.raises(ValueError, match="Ship runs only in the kernel"):
        World().run(ir.Ship(1, ()))
