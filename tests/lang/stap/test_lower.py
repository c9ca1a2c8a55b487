"""What a script becomes: handlers, aliases put together, branches decided, sites named."""

from __future__ import annotations

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from tests.lang.stap.script_kit import READ, WRITE, code, function, handler, local_types, prints, script

# --- aliases -------------------------------------------------------------------------------


def test_prologues_of_aliases_run_before_the_probe_the_innermost_first() -> None:
    made = handler(
        f'probe inner = {READ} {{ println("inner") }}\n'
        'probe outer = inner { println("outer") }\n'
        'probe outer { println("own") }'
    )
    assert code(made.body) == ['printf("inner\\n")', 'printf("outer\\n")', 'printf("own\\n")']


def test_epilogues_run_behind_the_probe_the_innermost_last() -> None:
    made = handler(
        f'probe inner += {READ} {{ println("inner") }}\n'
        'probe outer += inner { println("outer") }\n'
        'probe outer { println("own") }'
    )
    # What an alias adds stands around what it is made of, from the inside to the outside.
    assert sorted(code(made.body)) == ['printf("inner\\n")', 'printf("outer\\n")', 'printf("own\\n")']
    assert code(made.body)[0] == 'printf("own\\n")'


def test_variables_of_an_alias_that_nobody_reads_are_gone_and_need_not_exist() -> None:
    made = handler(
        f"probe reads = {READ} {{ size = $count\n  gone = $no_such_variable }}\n"
        "probe reads { println(size) }"
    )
    assert code(made.body) == ["size = argument 2", 'printf("%d\\n", size)']


def test_what_a_variable_of_an_alias_is_made_of_stays() -> None:
    made = handler(
        f"probe reads = {READ} {{ raw = $count\n  other = 1\n  if (raw > 5) size = raw\n  else size = 0 }}\n"
        "probe reads { println(size) }"
    )
    assert code(made.body) == [
        "raw = argument 2",
        "if ((raw > 5)) { size = raw } else { size = 0 }",
        'printf("%d\\n", size)',
    ]


def test_what_an_alias_does_besides_setting_variables_stays() -> None:
    made = handler(f"global n\nprobe reads = {READ} {{ x = n++\n  y = 1\n  println(2) }}\nprobe reads {{ }}")
    assert code(made.body) == ["x = n++", 'printf("%d\\n", 2)']


def test_an_epilogue_reads_what_its_prologue_set() -> None:
    made = handler(
        f"probe first = {READ} {{ start = $count }}\n"
        "probe both += first { println(start) }\n"
        "probe both { }"
    )
    assert code(made.body) == ["start = argument 2", 'printf("%d\\n", start)']


def test_a_suffix_of_an_alias_goes_to_the_point_it_stands_for() -> None:
    made = handler(f"probe reads = {READ} {{ }}\nprobe reads.return {{ println($return) }}")
    assert made.name == f"{READ}.return"


def test_variables_of_the_tapset_have_nothing_to_do_with_a_global_of_their_name() -> None:
    made = script("global name\nprobe begin { name = 1 }\nprobe syscall.open { n = filename\n  println(n) }")
    assert {g.name: g.type.value for g in made.globals} == {"name": "long"}


def test_a_name_of_the_tapset_is_a_local_of_the_handler() -> None:
    made = handler("probe syscall.open { println(name) }")
    assert local_types(made)["name"] == "string"
    assert code(made.body)[0] == 'name = "open"'


# --- what is decided already ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "if (@defined($nothing)) println($nothing)\n  else println($count)",
            ['printf("%d\\n", argument 2)'],
        ),
        ("if (@defined($count)) println($count)\n  else println($nothing)", ['printf("%d\\n", argument 2)']),
        ("if (!@defined($count)) println($nothing)", []),
        ("println(@defined($nothing) ? $nothing : 7)", ['printf("%d\\n", 7)']),
        ("println(@choose_defined($nothing, $count))", ['printf("%d\\n", argument 2)']),
        ("if (@defined($nothing) && $nothing > 5) exit()", []),
        (
            "if (@defined($count) && $count > 5) exit()",
            ["if (((argument 2 > 5) != 0)) { exit() }"],
        ),
        ("if (@defined($nothing) || @defined($pos)) println(1)", ['printf("%d\\n", 1)']),
        ("if (0) println($nothing)", []),
        ("x = 1 ? $count : $nothing", ["x = argument 2"]),
        ("while (@defined($nothing)) println($nothing)", None),
    ],
)
def test_a_condition_on_what_exists_chooses_a_branch_and_the_other_need_not_mean_anything(
    body: str, expected: list[str] | None
) -> None:
    text = f"probe {READ} {{ {body} }}"
    if expected is None:
        with pytest.raises(Exception, match="no variable '\\$nothing'"):
            script(text)
        return
    assert code(handler(text).body) == expected


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("-5", "-5"),
        ("~0", "-1"),
        ("!3", "0"),
        ("+7", "7"),
        ("0 || 0", "0"),
        ("2 && 3", "1"),
        ("0 && pid()", "0"),
    ],
)
def test_constants_are_computed(expression: str, value: str) -> None:
    assert code(handler(f"probe begin {{ x = {expression} }}").body) == [f"x = {value}"]


def test_the_smallest_number_wraps_when_its_sign_is_changed() -> None:
    assert code(handler("probe begin { x = -(-0x8000000000000000) }").body) == ["x = -9223372036854775808"]


def test_literals_that_are_joined_are_one() -> None:
    assert code(handler('probe begin { s = "a" . "b" . "c" }').body) == ['s = "abc"']


# --- printing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ('printf("%s %d\\n", execname(), pid())', ("execname", "pid")),
        ('printf("%d %d\\n", $count, $count)', ("count", "count_2")),
        ('printf("%d %d %d\\n", pid(), pid(), pid())', ("pid", "pid_2", "pid_3")),
        ('printf("%s\\n", kernel_string($buf))', ("buf",)),
        ('printf("%d\\n", $count + 1)', ("count",)),
        ('printf("%d %d\\n", 1, 2)', ("arg1", "arg2")),
        ('printf("%d\\n", @count(s[1]))', ("count_s",)),
        ('printf("%d\\n", a[pid()])', ("a",)),
        ('printf("%d\\n", -n)', ("n",)),
        ('println("took ", n, " us")', ("n",)),
        ('printd(",", pid(), n)', ("pid", "n")),
        ('printf("%s\\n", n > 1 ? "many" : sprint(n))', ("arg1",)),
        ('printf("%s\\n", sprint(pid()))', ("arg1",)),
        ('println("a")', ()),
    ],
)
def test_columns_are_called_as_what_is_printed(call: str, names: tuple[str, ...]) -> None:
    made = script(f"global s, a, n = 0\nprobe {READ} {{ {call} }}\nprobe begin {{ s[1] <<< 1\n  a[1] = 1 }}")
    (site,) = prints(made.handlers[0].body)
    assert site.names == names
    assert len(site.arguments) == len(site.names)


def test_a_member_names_its_column() -> None:
    (site,) = prints(handler('probe kernel.function("submit_bio") { println($bio->bi_opf) }').body)
    assert site.names == ("bi_opf",)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('print("a", 1)', 'printf("a%d", 1)'),
        ('println("a", pid(), "b")', 'printf("a%db\\n", pid())'),
        ('printd(":", 1, execname(), 2)', 'printf("%d:%s:%d", 1, execname(), 2)'),
        ('printdln("", 1, 2)', 'printf("%d%d\\n", 1, 2)'),
        ("println()", 'printf("\\n")'),
    ],
)
def test_every_way_to_print_is_a_format(call: str, expected: str) -> None:
    assert code(handler(f"probe begin {{ {call} }}").body) == [expected]


def test_a_percent_sign_in_a_text_is_no_conversion() -> None:
    (site,) = prints(handler('probe begin { println("100%d", 5) }').body)
    assert [(p.text, p.conversion) for p in site.pieces] == [("100%d", ""), ("", "d"), ("\n", "")]


def test_one_printf_in_several_handlers_is_one_site() -> None:
    made = script(f"probe {READ}, {WRITE} {{ println(ppfunc()) }}")
    first, second = (prints(h.body)[0].site for h in made.handlers)
    assert first == second


def test_two_printfs_are_two_sites() -> None:
    first, second = prints(handler("probe begin { println(1)\n  println(1) }").body)
    assert first.site != second.site


def test_one_print_of_a_number_here_and_a_string_there_is_two_sites() -> None:
    made = script(
        f'probe a = {READ} {{ x = $count }}\nprobe b = {WRITE} {{ x = "w" }}\nprobe a, b {{ println(x) }}'
    )
    first, second = (prints(h.body)[0].site for h in made.handlers)
    assert first != second


# --- statistics and loops --------------------------------------------------------------------


def test_a_loop_value_that_is_statistics_stands_for_the_entry() -> None:
    made = script(
        f"global s\nprobe {READ} {{ s[pid(), execname()] <<< $count }}\n"
        "probe end { foreach (v = [p, e] in s) println(@count(v), @sum(v)) }"
    )
    assert code(made.handlers[1].body) == [
        'foreach (p, e in s) { printf("%d%d\\n", @count(s[p, e]), @sum(s[p, e])) }'
    ]


def test_statistics_remember_what_is_asked_of_them() -> None:
    (made,) = script(
        "global s\nprobe begin { s <<< 1\n  print(@hist_linear(s, -10, 10, 5))\n  print(@hist_log(s))\n"
        "  println(@hist_log(s)[2], @variance(s, 3)) }"
    ).globals
    assert made.histograms == (ir.HistogramShape(-10, 10, 5), ir.HistogramShape())
    assert (made.variance, made.bit_shift) == (True, 3)


def test_a_loop_says_how_it_is_sorted_and_how_far_it_goes() -> None:
    made = script(
        "global a, s\nprobe end { foreach ([p, q] in a- limit 5) { }\n  foreach ([p+, q] in a) { }\n"
        "  foreach (k in s @sum-) { }\n  foreach (k in s) { } }\n"
        "probe begin { a[1, 2] = 3\n  s[1] <<< 1 }"
    ).handlers[0]
    loops = [s for s in made.body if isinstance(s, ir.Foreach)]
    assert [(f.sort_by, f.descending, f.statistic) for f in loops] == [
        (0, True, ""),
        (1, False, ""),
        (0, True, "sum"),
        (None, False, ""),
    ]
    assert [None if f.limit is None else f.limit == ir.Number(5) for f in loops] == [True, None, None, None]


def test_a_for_loop_is_a_while_loop_with_a_step() -> None:
    (start, loop) = handler(
        "probe begin { for (i = 0; i < 3; i++) { if (i == 1) continue\n  println(i) } }"
    ).body
    assert code((start,)) == ["i = 0"]
    assert isinstance(loop, ir.While)
    assert code(loop.step) == ["i++"]


def test_a_for_loop_without_anything_never_ends() -> None:
    (loop,) = handler("probe begin { for (;;) exit() }").body
    assert code((loop,)) == ["while (1) { exit() }"]


def test_delete_of_a_local_makes_it_empty() -> None:
    assert code(handler('probe begin { x = 1\n  s = "a"\n  delete x\n  delete s }').body)[2:] == [
        "x = 0",
        's = ""',
    ]


def test_a_choice_as_a_statement_is_an_if() -> None:
    made = handler('probe begin { pid() > 1 ? println("a") : exit() }')
    assert code(made.body) == ['if ((pid() > 1)) { printf("a\\n") } else { exit() }']


# --- functions -------------------------------------------------------------------------------


def test_next_in_a_function_goes_on_with_the_function_declared_next() -> None:
    made = script(
        'function f(x) { if (x) next\n  return "a" }\n'
        'function f(x) { return "b" }\nprobe begin { println(f(1)) }'
    )
    names = {code(f.body)[-1]: f.name for f in made.functions}
    first, second = names['return "a"'], names['return "b"']
    assert code(function(made, first).body)[0] == f"if (x) {{ return {second}(x) }}"


def test_functions_that_nobody_calls_are_left_out() -> None:
    assert script("function unused(x) { return x }\nprobe begin { exit() }").functions == ()


# --- handlers --------------------------------------------------------------------------------


def targets(made: ir.Handler) -> list[str]:
    return [request.target for request in made.requests]


def test_one_handler_at_several_points_is_one_program() -> None:
    made = handler(f"probe {READ}, {WRITE} {{ println(pid()) }}")
    assert targets(made) == ["vfs_read", "vfs_write"]
    assert {r.function for r in made.requests} == {made.function}


def test_handlers_that_differ_are_kept_apart() -> None:
    made = script(f"probe {READ}, {WRITE} {{ println(ppfunc()) }}")
    assert [targets(h) for h in made.handlers] == [["vfs_read"], ["vfs_write"]]
    assert [h.number for h in made.handlers] == [0, 1]


def test_two_probes_at_one_point_stay_two_in_the_order_they_were_written() -> None:
    made = script(f'probe {READ} {{ println("a") }}\nprobe {READ} {{ println("b") }}')
    assert [code(h.body) for h in made.handlers] == [['printf("a\\n")'], ['printf("b\\n")']]


def test_begin_handlers_are_never_merged() -> None:
    made = script('probe begin { println("a") }\nprobe begin { println("a") }\nprobe begin, begin { }')
    assert len(made.handlers) == 4


def test_a_point_behind_one_that_suffices_is_left_out() -> None:
    assert targets(handler(f"probe {READ}!, {WRITE} {{ println(1) }}")) == ["vfs_read"]
    assert targets(handler(f'probe kernel.function("no_such")!, {WRITE} {{ println(1) }}')) == ["vfs_write"]


def test_the_condition_of_a_point_stands_around_its_handler_alone() -> None:
    made = script(
        f"global on\nprobe begin {{ on = 1 }}\nprobe {READ} if (on > 1), {WRITE} {{ println(pid()) }}"
    )
    bodies = {h.name: code(h.body) for h in made.handlers}
    assert bodies[READ] == ['if ((on > 1)) { printf("%d\\n", pid()) }']
    assert bodies[WRITE] == ['printf("%d\\n", pid())']


def test_conditions_of_aliases_and_of_their_users_both_hold() -> None:
    made = script(
        f"global a, b\nprobe begin {{ a = b = 1 }}\nprobe reads = {READ} if (a) {{ }}\n"
        "probe reads if (b) { println(1) }"
    )
    text = code(made.handlers[1].body)[0]
    assert "if (a)" in text and "if (b)" in text and text.endswith('{ printf("%d\\n", 1) } }')


def test_a_oneshot_probe_ends_the_session() -> None:
    assert code(handler('probe oneshot { println("x") }').body) == ['printf("x\\n")', "exit()"]


def test_points_know_their_order_and_period() -> None:
    made = script("probe begin(-5) { }\nprobe end(7) { }\nprobe timer.ms(200) { }")
    assert [(h.event, h.order, h.period_ns) for h in made.handlers] == [
        (ir.Event.BEGIN, -5, 0),
        (ir.Event.END, 7, 0),
        (ir.Event.TIMER, 0, 200_000_000),
    ]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("pp()", '"kernel.function(\\"vfs_read\\")"'),
        ("ppfunc()", '"vfs_read"'),
        ("is_return()", "0"),
    ],
)
def test_a_probe_knows_its_own_name(call: str, expected: str) -> None:
    (site,) = prints(handler(f"probe {READ} {{ println({call}) }}").body)
    (argument,) = site.arguments
    assert isinstance(argument, ir.Text | ir.Number)
    assert str(argument.value) == expected.strip('"').replace('\\"', '"')


def test_values_of_the_entry_are_put_aside_at_a_return() -> None:
    made = handler(f"probe {READ}.return {{ println(gettimeofday_ns() - @entry(gettimeofday_ns())) }}")
    assert made.context == "kretprobe"
    assert [r.target for r in made.entry_requests] == ["vfs_read"]


def test_parameters_at_a_return_need_nothing_put_aside_where_the_kernel_keeps_them() -> None:
    made = handler(f"probe {READ}.return {{ println($count, $return) }}")
    assert made.context == "fexit"
    assert not any(isinstance(e, ir.AtEntry) for e in walk.expressions(made.body))


def test_probes_written_twice_happen_twice() -> None:
    twice = "global n\nprobe syscall.read { n++ }\nprobe syscall.read { n++ }\n"
    assert len(script(twice).handlers) == 2
    assert len(script("global n\nprobe syscall.read, syscall.read { n++ }").handlers) == 2
    assert len(script("global n\nprobe syscall.read, syscall.gettimeofday { n++ }").handlers) == 1
