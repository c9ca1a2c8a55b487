"""The types of variables, keys, parameters and results, found from their uses."""

from __future__ import annotations

import pytest

from tests.lang.stap.script_kit import READ, function, handler, local_types, remarks, script, types


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("global n\nprobe begin { n = 1 }", {"n": "long"}),
        ("global s\nprobe begin { s = execname() }", {"s": "string"}),
        ("global s\nprobe begin { s .= sprint(1) }", {"s": "string"}),
        ("global x\nprobe begin { x <<< 1 }", {"x": "stats"}),
        ("global n\nprobe begin { n++ }", {"n": "long"}),
        ('global a\nprobe begin { a["x", 1] = "y" }', {"a": "string[string, long]"}),
        (f"global a\nprobe {READ} {{ a[execname(), pid()] <<< $count }}", {"a": "stats[string, long]"}),
        ('global n = 1, s = ""\nprobe begin { }', {"n": "long", "s": "string"}),
        ("global never_used\nprobe begin { }", {"never_used": "long"}),
    ],
)
def test_a_global_has_the_type_of_what_is_put_in_it(text: str, expected: dict[str, str]) -> None:
    assert types(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The array's own use stands behind the loop.
        (
            'global a\nprobe end { foreach (k in a) println("" . k) }\nprobe begin { a["x"]++ }',
            "long[string]",
        ),
        (
            'global a\nprobe end { foreach (v = k in a) println(v . "") }\nprobe begin { a[1] = "" }',
            "string[long]",
        ),
        ("global a\nprobe end { foreach ([p, q] in a) println(p + 1) }", "long[long, long]"),
        ('global a\nprobe begin { if (["x", 1] in a) exit() }', "long[string, long]"),
        ('global a\nprobe begin { delete a["x"] }', "long[string]"),
        (
            'global a\nprobe begin { a[1, "x"]++\n  foreach ([p, s] in a[*, "x"]) println(s) }',
            "long[long, string]",
        ),
        ("global a, b\nprobe begin { a[1] = execname()\n  b[a[1]] = 1 }", "string[long]"),
    ],
)
def test_keys_have_a_type_wherever_one_tells(text: str, expected: str) -> None:
    assert types(text)["a"] == expected


def test_an_unknown_type_travels_through_assignments_in_both_directions() -> None:
    made = handler('probe begin { a = b\n  b = c\n  c = execname()\n  d = a\n  println(d . "") }')
    assert local_types(made) == dict.fromkeys("abcd", "string")


def test_parameters_get_their_types_from_a_body_or_else_from_a_call() -> None:
    made = script(
        "function twice(x) { return x + x }\n"
        "function same(x) { return x }\n"
        'probe begin { println(twice(1), same("a")) }'
    )
    assert local_types(function(made, "twice")) == {"x": "long"}
    assert local_types(function(made, "same")) == {"x": "string"}
    assert function(made, "same").type.value == "string"


def test_a_result_gets_its_type_through_functions_that_call_one_another() -> None:
    made = script(
        "function even(n) { if (n == 0) return 1\n  return odd(n - 1) }\n"
        "function odd(n) { if (n == 0) return 0\n  return even(n - 1) }\n"
        "probe begin { println(even(4)) }"
    )
    assert {f.name: f.type.value for f in made.functions} == {"even": "long", "odd": "long"}


def test_declared_types_hold_where_nothing_else_tells() -> None:
    made = script("function f:string(x:long, y:string) { }\nprobe begin { f(1, sprint(2)) }")
    assert local_types(function(made, "f")) == {"x": "long", "y": "string"}
    assert function(made, "f").type.value == "string"


def test_a_function_without_a_return_gives_what_its_use_wants() -> None:
    made = script(
        'function hello() { println("hello") }\n'
        'function bye() { println("bye") }\n'
        "probe begin { if (hello()) exit()\n  bye() }"
    )
    assert function(made, "hello").type.value == "long"
    assert function(made, "bye").type.value == "nothing"


def test_overloads_have_parameters_and_results_of_one_type() -> None:
    made = script(
        'function f(x) { if (x == 1) next\n  return "one" }\n'
        "function f(x) { return sprint(x) }\n"
        "probe begin { println(f(2)) }"
    )
    assert [f.type.value for f in made.functions] == ["string", "string"]
    assert {tuple(local_types(f).items()) for f in made.functions} == {(("x", "long"),)}


def test_functions_of_one_name_are_told_apart_by_their_number_of_arguments() -> None:
    made = script(
        "function f(x) { return x }\nfunction f(x, y) { return x . y }\n"
        'probe begin { println(f(1), f("a", "b")) }'
    )
    assert sorted((len(f.parameters), f.type.value) for f in made.functions) == [(1, "long"), (2, "string")]


def test_the_tapset_serves_calls_that_no_function_of_the_script_fits() -> None:
    made = handler('function execname(x) { return "own" }\nprobe begin { println(execname(), execname(1)) }')
    assert len(made.body) == 1


def test_variables_of_handlers_with_one_name_have_nothing_to_do_with_each_other() -> None:
    made = script('probe begin { x = 1\n  println(x + 1) }\nprobe end { x = "a"\n  println(x . "b") }')
    assert [local_types(h)["x"] for h in made.handlers] == ["long", "string"]


def test_a_parameter_hides_a_global_of_its_name() -> None:
    made = script(
        'global x\nfunction f(x) { return x . "" }\nprobe begin { x = 1\n  println(f("a"), x + 1) }'
    )
    assert local_types(function(made, "f")) == {"x": "string"}
    assert made.globals[0].type.value == "long"


def test_the_message_of_catch_is_a_string() -> None:
    made = handler('probe begin { try { error("a") } catch (m) { println(m) } }')
    assert local_types(made) == {"m": "string"}


def test_loop_variables_over_a_histogram_are_numbers() -> None:
    made = handler("global s\nprobe begin { s <<< 1\n  foreach (n = b in @hist_log(s)) println(n, b) }")
    assert local_types(made) == {"n": "long", "b": "long"}


def test_loop_values_that_are_statistics_are_no_variables() -> None:
    made = script(
        "global s\nprobe end { foreach (v = k in s) println(@count(v), k) }\nprobe begin { s[1] <<< 1 }"
    )
    assert [local_types(h) for h in made.handlers] == [{"k": "long"}, {}]


def test_branches_of_a_statement_may_be_of_any_kind() -> None:
    made = handler('global n\nprobe begin { pid() ? println("a") : n++ }')
    assert len(made.body) == 1


def test_keys_of_a_global_are_called_as_its_first_loop_calls_them() -> None:
    made = script(
        "global a\nprobe begin { a[1, 2] = 3 }\n"
        "probe end { foreach ([pid, size] in a) println(pid)\n  foreach ([x, y] in a) println(x) }"
    )
    assert made.globals[0].key_names == ("pid", "size")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('probe begin { println("" . execname) }', ["'execname' is never set here, so it is \"\""]),
        ("probe begin { count = 1\n  println(cuont + 1) }", ["'cuont' is never set here, so it is 0"]),
        ("global n\nprobe begin { println(n) }", ["the global 'n' is read and never set"]),
        ("global a\nprobe begin { foreach (k in a) println(k) }", ["the global 'a' is read and never set"]),
        (
            "function f(x) { return x + y }\nprobe begin { println(f(1)) }",
            ["'y' is never set here, so it is 0"],
        ),
    ],
)
def test_what_is_read_and_never_set_is_remarked(text: str, expected: list[str]) -> None:
    assert remarks(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "global n = 1\nprobe begin { println(n) }",
        "global n\nprobe begin { n++\n  println(n) }",
        "global a\nprobe begin { foreach (k in a) println(k)\n  a[1] = 1 }",
        'probe begin { try { error("a") } catch (m) { println(m) } }',
        f"probe reads = {READ} {{ size = $count }}\nprobe reads {{ println(size) }}",
        "function f(x) { return x }\nprobe begin { println(f(1)) }",
        "probe begin { if (pid() > 1) x = 1\n  println(x) }",
    ],
)
def test_what_is_set_somewhere_is_not_remarked(text: str) -> None:
    assert remarks(text) == []
