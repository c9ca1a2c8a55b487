from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.lang.stap import tree, unparse
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.lang.stap.unparse_expressions import expression, string
from ktrace_nb.source import Place, Source, Span
from tests.lang.stap.golden import Case, cases
from tests.lang.stap.scripts import SCRIPTS

AT = Place(Source(""), Span(0, 0))
Declarations = tuple[object, ...]


def declarations(script: tree.Script) -> Declarations:
    return script.globals, script.functions, script.probes, script.aliases


def again(script: tree.Script, settings: Settings) -> Declarations:
    return declarations(parse(Source(unparse.script(script)), settings))


@pytest.mark.parametrize("case", cases("stap/parse_ok"), ids=lambda case: case.path.stem)
def test_a_printed_script_is_the_same_script(case: Case) -> None:
    script = parse(Source(case.text), case.settings)
    assert again(script, case.settings) == declarations(script)


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_printed_longer_script_is_the_same_script(text: str) -> None:
    script = parse(Source(text))
    assert again(script, Settings()) == declarations(script)


names = st.sampled_from(["a", "b", "c"]).map(lambda name: tree.Name(AT, name))
bytes_ = st.binary(max_size=6).map(lambda data: data.decode("latin-1"))
strings = bytes_.map(lambda value: tree.String(AT, value))
numbers = st.integers(-(2**63), 2**63 - 1).map(lambda value: tree.Number(AT, value))
leaves = names | strings | numbers | st.just(tree.Target(AT, "x", (tree.Member(AT, "y"),), True))
ARITHMETIC = ["+", "-", "*", "/", "%", "<<", ">>", ".", "&", "|", "^", "&&", "||", "==", "<", ">=", "!="]


def larger(inner: st.SearchStrategy[tree.Expression]) -> st.SearchStrategy[tree.Expression]:
    keys = st.lists(inner | st.none(), min_size=1, max_size=2).map(tuple)
    given_keys = st.lists(inner, min_size=1, max_size=2).map(tuple)
    types, no_module = st.sampled_from(["", "t"]), st.just("")
    members = st.sampled_from([(tree.Member(AT, "m"),), (tree.Subscript(AT, tree.Number(AT, 1)),)])
    return st.one_of(
        st.builds(tree.Binary, st.just(AT), st.sampled_from(ARITHMETIC), inner, inner),
        st.builds(tree.Binary, st.just(AT), st.sampled_from(["=~", "!~"]), inner, strings),
        st.builds(tree.Unary, st.just(AT), st.sampled_from("-+!~"), inner),
        st.builds(tree.Conditional, st.just(AT), inner, inner, inner),
        st.builds(tree.Assign, st.just(AT), st.sampled_from(["=", "+=", "<<<", ".="]), names, inner),
        st.builds(tree.Step, st.just(AT), st.sampled_from(["++", "--"]), names, st.booleans()),
        st.builds(tree.Membership, st.just(AT), keys, names),
        st.builds(tree.Index, st.just(AT), names, given_keys),
        st.builds(tree.Call, st.just(AT), st.just("f"), st.lists(inner, max_size=2).map(tuple)),
        st.builds(tree.Cast, st.just(AT), inner, types, no_module, members, st.booleans()),
        st.builds(tree.Entry, st.just(AT), inner),
        st.builds(tree.Operator, st.just(AT), st.just("sum"), names),
    )  # fmt: skip


@given(st.recursive(leaves, larger, max_leaves=12))
def test_any_expression_is_printed_with_the_parentheses_it_needs(node: tree.Expression) -> None:
    text = f"probe begin {{ f({expression(node)}) }}"
    (statement,) = parse(Source(text)).probes[0].body.body
    assert isinstance(statement, tree.Evaluate)
    assert isinstance(statement.expression, tree.Call)
    assert statement.expression.arguments == (node,), text


@given(st.lists(st.recursive(leaves, larger, max_leaves=4), min_size=2, max_size=4))
def test_statements_side_by_side_stay_apart(nodes: list[tree.Expression]) -> None:
    block = tree.Block(AT, tuple(tree.Evaluate(AT, node) for node in nodes))
    assert parse(Source(f"probe begin {unparse.block(block)}")).probes[0].body == block


def test_parentheses_are_left_out_where_they_say_nothing() -> None:
    text = "((a + (b * c)) - ((d))) == (e . (f)) ? (g) : ((h && i) || j)"
    (statement,) = parse(Source(f"probe begin {{ {text} }}")).probes[0].body.body
    assert isinstance(statement, tree.Evaluate)
    assert expression(statement.expression) == "a + b * c - d == e . f ? g : h && i || j"


def test_strings_are_printed_readable() -> None:
    assert string(tree.bytes_of_text('é\t"\\日')) == '"é\\t\\"\\\\日"'
    assert string("\xff\x001") == '"\\377\\0001"'


def test_a_script_is_printed_with_a_declaration_a_paragraph() -> None:
    text = (
        "global a%[10]\nglobal b = -1\n\n"
        "# Adds.\nfunction f:long (x:long) {\n  return x + 1\n}\n\n"
        "probe p = begin {}\n\n"
        "probe p, timer.s(1) ? if (b) {\n  if (a[1])\n    next\n  else {\n    b++\n  }\n}\n"
    )
    assert unparse.script(parse(Source(text))) == text
