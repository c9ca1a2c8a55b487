from __future__ import annotations

import time

import pytest

from ktrace_nb.errors import CellError, UnsupportedError
from ktrace_nb.lang.stap import tree, walk
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.source import Place, Source
from tests.lang.stap.scripts import SCRIPTS


def evaluated(text: str) -> tree.Expression:
    (statement,) = parse(Source(f"probe begin {{ {text} }}")).probes[0].body.body
    assert isinstance(statement, tree.Evaluate)
    return statement.expression


def text_at(at: Place) -> str:
    return at.source.text[at.span.start : at.span.end]


# Loose to close; man stap, "Expressions", and C for what both have.
ORDER = ["||", "&&", "|", "^", "&", "==", "<<", ".", "+", "*"]


@pytest.mark.parametrize("loose", range(len(ORDER)))
def test_operators_bind_in_this_order(loose: int) -> None:
    for close in ORDER[loose + 1 :]:
        for text in (f"a {ORDER[loose]} b {close} c", f"a {close} b {ORDER[loose]} c"):
            node = evaluated(text)
            assert isinstance(node, tree.Binary)
            assert node.op == ORDER[loose], text


@pytest.mark.parametrize("op", [*ORDER, "-", "/", "%", ">>", "!=", "<", ">", "<=", ">="])
def test_binary_operators_are_read_from_left_to_right(op: str) -> None:
    node = evaluated(f"a {op} b {op} c")
    assert isinstance(node, tree.Binary)
    assert isinstance(node.left, tree.Binary)


@pytest.mark.parametrize(
    "op", ["=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "^=", "|=", ".=", "<<<"]
)
def test_assignments_are_read_from_right_to_left(op: str) -> None:
    node = evaluated(f"a {op} b {op} c")
    assert isinstance(node, tree.Assign)
    assert node.op == op
    assert isinstance(node.value, tree.Assign)


def test_in_binds_looser_than_a_comparison_and_closer_than_a_single_ampersand() -> None:
    node = evaluated("a & b == c in d & e")
    assert isinstance(node, tree.Binary)
    assert isinstance(node.left, tree.Binary)
    membership = node.left.right
    assert isinstance(membership, tree.Membership)
    assert isinstance(membership.keys[0], tree.Binary)


def test_every_node_stands_where_its_text_is() -> None:
    source = Source("probe begin { x[1, 2] = f($a->b[3], @count(s)) + -y++ }")
    texts = {type(node).__name__: text_at(node.at) for node in walk.nodes(parse(source).probes[0].body)}
    assert texts["Index"] == "x[1, 2]"
    assert texts["Target"] == "$a->b[3]"
    assert texts["Member"] == "->b"
    assert texts["Subscript"] == "[3]"
    assert texts["Operator"] == "@count(s)"
    assert texts["Call"] == "f($a->b[3], @count(s))"
    assert texts["Unary"] == "-y++"
    assert texts["Step"] == "y++"
    assert texts["Assign"] == "x[1, 2] = f($a->b[3], @count(s)) + -y++"


def test_declarations_and_points_stand_where_their_text_is() -> None:
    source = Source("private global a = 1\nfunction f(b:long) { }\nprobe x.y(1) ?, z { }\n")
    script = parse(source)
    assert text_at(script.globals[0].at) == "a = 1"
    assert text_at(script.functions[0].at) == "function f(b:long) { }"
    assert [text_at(point.at) for point in script.probes[0].points] == ["x.y(1) ?", "z"]
    assert text_at(script.probes[0].points[0].components[1].at) == "y(1)"


def test_a_point_is_shown_as_it_is_written() -> None:
    (probe,) = parse(Source('probe kernel.function("vfs_*").return.maxactive(5) { }')).probes
    assert str(probe.points[0]) == 'kernel.function("vfs_*").return.maxactive(5)'


@pytest.mark.parametrize(
    "written", ["# Says.", "// Says.", "/** Says. */", "/**\n * Says.\n */", "#\n# Says.\n#"]
)
def test_the_comment_in_front_documents_a_declaration(written: str) -> None:
    script = parse(
        Source(f"global x\n{written}\nfunction f() {{ }}\n{written}\nprivate probe a = begin {{ }}")
    )
    assert script.functions[0].doc == "Says."
    assert script.aliases[0].doc == "Says."


@pytest.mark.parametrize(
    "written", ["# No.\n", "/* No. */", "#!/usr/bin/stap", "global x # No.", 'global y = "# No."', ""]
)
def test_other_comments_document_nothing(written: str) -> None:
    assert parse(Source(f"{written}\nfunction f() {{ }}")).functions[0].doc == ""


def test_overloads_are_in_the_order_of_their_priorities() -> None:
    text = (
        "function f():2 { return 2 } function g() { } function f() { return 0 } function f():1 { return 1 }"
    )
    found = [f for f in parse(Source(text)).functions if f.name == "f"]
    assert [walk_number(function) for function in found] == [0, 1, 2]


def walk_number(function: tree.Function) -> int:
    return next(node.value for node in walk.nodes(function.body) if isinstance(node, tree.Number))


def test_intrinsics_are_for_the_tapset_only() -> None:
    text = "intrinsic function pid:long ()"
    (function,) = parse(Source(text), Settings(library=True)).functions
    assert function.body is None
    with pytest.raises(CellError, match="found 'intrinsic'"):
        parse(Source(text))


def test_the_first_error_of_a_macro_argument_is_shown_in_the_script() -> None:
    source = Source("@define f(a) %( @a + %)\nprobe begin { x = @f(1 2) }")
    with pytest.raises(CellError) as raised:
        parse(source)
    assert raised.value.source is source


def test_150_levels_of_a_tree_are_parsed_and_more_refused() -> None:
    text = "probe begin {{ x = {} }}"
    parse(Source(text.format(" + ".join("a" * 140))))
    with pytest.raises(CellError, match="too long"):
        parse(Source(text.format(" + ".join("a" * 160))))


def test_50_parentheses_are_parsed_and_more_refused() -> None:
    text = "probe begin {{ x = {}1{} }}"
    parse(Source(text.format("(" * 50, ")" * 50)))
    with pytest.raises(CellError, match="nested too deeply"):
        parse(Source(text.format("(" * 70, ")" * 70)))


def test_what_needs_guru_mode_is_unsupported_rather_than_wrong() -> None:
    for text in ("%{ %}", "function f() %{ %}", "probe begin { x = %{ 1 %} }", "probe f { $x = 1 }"):
        with pytest.raises(UnsupportedError) as raised:
            parse(Source(text))
        assert raised.value.hint


def test_300_lines_take_less_than_30_ms() -> None:
    lines = [line for line in SCRIPTS[2].split("\n") if line.startswith("  ")]
    body = "\n".join(lines)
    text = "global a, b, c\n" + "".join(
        f"probe timer.s({n}) {{\n{body}\n}}\n" for n in range(300 // (len(lines) + 2) + 1)
    )
    source = Source(text)
    assert source.line_count >= 300
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        parse(source)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.03
