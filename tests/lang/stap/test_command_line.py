"""argc and argv: a script's arguments as globals."""

from __future__ import annotations

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.lang.stap.script import compile_script
from ktrace_nb.source import Source
from tests.lang.stap.point_kernel import FACTS


def globals_of(text: str, *arguments: str) -> dict[str, ir.GlobalVariable]:
    compiled = compile_script(Source(text), FACTS, arguments=arguments)
    return {g.name: g for g in compiled.placed.script.globals}


def test_arguments_are_globals_where_a_script_names_them() -> None:
    found = globals_of('probe begin { printf("%d %s %s\\n", argc, argv_1, argv_3) }', "one", "zwölf")
    assert found["argc"].initial == 2
    assert found["argv_1"].initial == "one"
    assert found["argv_3"].initial == ""
    assert "argv" not in found


def test_the_array_of_arguments_is_filled_before_everything_else() -> None:
    text = "probe begin { for (i = 1; i <= argc; i++) println(argv[i]) }"
    compiled = compile_script(Source(text), FACTS, arguments=["a", "b"])
    first = min(compiled.placed.user_handlers, key=lambda h: h.order)
    assigned = [
        (s.expr.target.keys[0], s.expr.value)
        for s in first.body
        if isinstance(s, ir.Evaluate)
        and isinstance(s.expr, ir.Assign)
        and isinstance(s.expr.target, ir.Element)
    ]
    assert [
        (k.value, v.value) for k, v in assigned if isinstance(k, ir.Number) and isinstance(v, ir.Text)
    ] == [
        (1, "a"),
        (2, "b"),
    ]


@pytest.mark.parametrize("text", ["global argc\nprobe begin { argc = 7 }", "probe begin { println(1) }"])
def test_what_a_script_declares_itself_or_does_not_name_is_left_alone(text: str) -> None:
    assert globals_of(text, "x").get("argc", ir.GlobalVariable(name="", type=ir.Type.LONG)).initial is None
