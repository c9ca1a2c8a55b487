"""What runs in the kernel, what beside the notebook, and what travels between them."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import UnsupportedError
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import walk
from ktrace_nb.ir.fit import Fit
from tests.lang.stap.script_kit import READ, WRITE, code, placed, show

SUBMIT = 'kernel.function("submit_bio")'


def reasons(made: ir.Placed) -> list[str]:
    """Why handlers left the kernel, in the order of the script."""
    return [note.rpartition("runs beside the notebook: ")[2] for note, _ in made.notes]


def sent(made: ir.Placed, number: int = 1) -> list[str]:
    """What the kernel sends with a record."""
    bodies = [h.body for h in made.kernel_handlers] + [f.body for f in made.kernel_functions]
    (ship,) = [
        s for body in bodies for s in walk.statements(body) if isinstance(s, ir.Ship) and s.record == number
    ]
    return [show(value) for value in ship.values]


def stays(text: str) -> bool:
    """Whether every handler of the kernel stays there."""
    return not placed(text).notes


def homes(made: ir.Placed) -> dict[str, str]:
    """Where each global lives, and how handlers in the kernel use it."""
    found = {g.name: "beside" for g in made.user_globals}
    for held in made.kernel_globals:
        found[held.variable.name] = "added" if held.added else "read" if held.read else "set"
    return found


# --- who stays -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "n++",
        "if ($count > 5 && pid() == 7) n += $count",
        "a[pid(), execname()] = $count",
        "s[tid()] <<< $count",
        "delete a[pid(), execname()]",
        "for (i = 0; i < 4; i++) n += i",
        'x = execname()\n  if (x == "cat") n++',
        'if (kernel_string($buf) != "") n++',
        'printf("%s %d\\n", execname(), $count)',
        'println("[" . execname() . "]")',
        'printf("%s\\n", sprintf("%d", $count))',
        "println(substr(kernel_string($buf), 0, 3))",
        "exit()",
        'error("too much")',
    ],
)
def test_a_handler_stays_in_the_kernel_if_everything_in_it_can(body: str) -> None:
    text = f'global n, a, s\nprobe {READ} {{ {body} }}\nprobe begin {{ n = 0\n  a[1, ""] = 1\n  s[1] <<< 1 }}'
    made = placed(text)
    assert made.notes == ()
    assert len(made.kernel_handlers) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("foreach (k in a) println(k)", "foreach walks an array"),
        ('s = sprintf("%d", $count)\n  if (s != "1") n++', "a string is formatted"),
        ('if (execname() =~ "a.*") n++', "a regular expression is matched"),
        ("if (@count(t) > 5) n++\n  t <<< 1", "statistics are read"),
        ("delete a", "a whole array or statistics are deleted"),
        ("delete t\n  t <<< 1", "a whole array or statistics are deleted"),
        ("delete b[*, 1]\n  b[1, 1] = 1", "several entries of an array are deleted"),
        ("if ([*, 1] in b) n++\n  b[1, 1] = 1", "several entries of an array are looked at"),
        ("try { n = 5 / $count } catch { n = 0 }", "errors are caught"),
        ("if (strlen(execname()) > 3) n++", "strlen() is computed"),
    ],
)
def test_a_handler_that_cannot_stay_says_why(body: str, reason: str) -> None:
    made = placed(f"global n, a, b, t\nprobe {READ} {{ {body} }}\nprobe begin {{ n = 0\n  a[1] = 1 }}")
    assert reasons(made) == [reason]


def test_a_note_names_the_probe_and_the_place() -> None:
    text = f"global a\nprobe {READ} {{ foreach (k in a) println(k) }}\nprobe begin {{ a[1] = 1 }}"
    ((note, at),) = placed(text).notes
    assert note.startswith(f"probe {READ} runs beside the notebook")
    assert at is not None and text[at.span.start :].startswith("foreach (k in a)")


def test_a_recursive_function_does_not_keep_a_handler_that_only_prints_its_result_from_staying() -> None:
    made = placed(
        "function deep(n) { if (n < 1) return 0\n  return deep(n - 1) + 1 }\n"
        f"probe {READ} {{ println(deep($count)) }}"
    )
    assert made.notes == ()
    assert sent(made) == ["argument 2"]
    assert [f.name for f in made.user_functions] == ["deep"]


def test_a_recursive_function_that_decides_something_takes_its_handler_along() -> None:
    made = placed(
        "global n\nfunction deep(n) { if (n < 1) return 0\n  return deep(n - 1) + 1 }\n"
        f"probe {READ} {{ if (deep($count) > 3) n++ }}"
    )
    assert reasons(made) == ["deep calls itself"]


def test_a_probe_that_never_fires_is_left_out() -> None:
    made = placed('probe never { println("x") }\nprobe begin { exit() }')
    assert [h.event for h in made.user_handlers] == [ir.Event.BEGIN]


def test_handlers_without_an_event_run_beside_the_notebook() -> None:
    made = placed(
        f"probe begin {{ }}\nprobe end {{ }}\nprobe timer.s(1) {{ }}\nprobe error {{ }}\nprobe {READ} {{ }}"
    )
    assert [h.event.value for h in made.user_handlers] == ["begin", "end", "timer", "error"]
    assert [h.handler.name for h in made.kernel_handlers] == [READ]


# --- what is sent ----------------------------------------------------------------------------


def test_a_print_sends_its_values_once_each() -> None:
    made = placed(f'probe {READ} {{ printf("%d %d %s %d\\n", $count, $count, execname(), 5) }}')
    assert sent(made) == ["argument 2", "execname()"]
    assert code(made.records[0].body) == ['printf("%d %d %s %d\\n", captured 0, captured 0, captured 1, 5)']


def test_numbers_are_computed_in_the_kernel_and_texts_beside_the_notebook() -> None:
    made = placed(f'probe {READ} {{ println($count * 2 + 1, "<" . substr(execname(), 0, 2) . ">") }}')
    assert sent(made) == ["((argument 2 * 2) + 1)", "execname()"]
    assert code(made.records[0].body) == [
        'printf("%d%s\\n", captured 0, (("<" . substr(captured 1, 0, 2)) . ">"))'
    ]


def test_a_choice_of_what_the_kernel_has_is_made_there() -> None:
    assert sent(placed(f"probe {READ} {{ println($count > 5 ? $count : 0) }}")) == [
        "((argument 2 > 5) ? argument 2 : 0)"
    ]


def test_a_print_without_values_sends_an_empty_record() -> None:
    made = placed(f'probe {READ} {{ println("read") }}')
    assert made.records[0].values == ()


def test_every_print_has_a_record_of_its_own_that_knows_its_handler() -> None:
    made = placed(f"probe {READ} {{ println(1)\n  println(2) }}\nprobe {WRITE} {{ println(3) }}")
    assert [(r.number, r.handler) for r in made.records] == [(1, 0), (2, 0), (3, 1)]


def test_a_handler_that_left_gets_the_values_of_the_event_that_it_uses() -> None:
    made = placed(
        f"global a\nprobe {READ} {{ foreach (k in a) println(k, $count, execname(), $count + k) }}\n"
        "probe begin { a[1] = 1 }"
    )
    assert sent(made) == ["argument 2", "execname()"]
    (record,) = made.records
    assert code(record.body) == [
        'foreach (k in a) { printf("%d%d%s%d\\n", k, captured 0, captured 1, (captured 0 + k)) }'
    ]
    assert [v.name for v in record.locals] == ["k"]


def test_variables_that_only_name_a_value_of_the_event_do_not_stand_in_the_way() -> None:
    made = placed(
        f"global last\nprobe {READ} {{ size = $count\n  who = execname()\n"
        '  last = sprintf("%s %d", who, size) }'
    )
    assert sent(made) == ["execname()", "argument 2"]
    assert code(made.records[0].body) == ['last = sprintf("%s %d", captured 0, captured 1)']


def test_nothing_that_may_be_an_error_is_computed_before_the_script_asks_for_it() -> None:
    made = placed(f"probe {READ} {{ try {{ println(100 / $count) }} catch (m) {{ println(m) }} }}")
    assert sent(made) == ["argument 2"]
    assert code(made.records[0].body) == [
        'try { printf("%d\\n", (100 / captured 0)) } catch (m) { printf("%s\\n", m) }'
    ]


def test_a_division_by_a_plain_number_is_no_error() -> None:
    made = placed(
        f"global a\nprobe {READ} {{ foreach (k in a) println($count / 4) }}\nprobe begin {{ a[1] = 1 }}"
    )
    assert sent(made) == ["(argument 2 / 4)"]


# --- guards ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "guard"),
    [
        ("if (pid() == 5) foreach (k in a) println(k)", "if ((pid() == 5))"),
        ("if (pid() == 5) next\n  foreach (k in a) println(k)", "if (!(pid() == 5))"),
        ("if ($count > 3) { if (uid()) foreach (k in a) println(k) }", "if ((argument 2 > 3)) { if (uid())"),
        ('if (execname() != "cat") next\n  foreach (k in a) println(k)', 'if (!(execname() != "cat"))'),
    ],
)
def test_conditions_at_the_beginning_are_decided_in_the_kernel(body: str, guard: str) -> None:
    made = placed(f"global a\nprobe {READ} {{ {body} }}\nprobe begin {{ a[1] = 1 }}")
    assert code(made.kernel_handlers[0].body)[0].startswith(guard)
    assert code(made.records[0].body) == ['foreach (k in a) { printf("%d\\n", k) }']


@pytest.mark.parametrize(
    "body",
    [
        "if (n > 3) foreach (k in a) println(k)",
        "n++\n  if (pid() == 5) foreach (k in a) println(k)",
        "if (pid() == 5) foreach (k in a) println(k)\n  else n++",
        'if (execname() =~ "c.*") foreach (k in a) println(k)',
    ],
)
def test_conditions_that_need_more_than_the_event_are_not(body: str) -> None:
    made = placed(f"global a, n\nprobe {READ} {{ {body} }}\nprobe begin {{ a[1] = n = 1 }}")
    assert [type(s) for s in made.kernel_handlers[0].body] == [ir.Ship]


# --- globals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handlers", "home"),
    [
        (f"probe {READ} {{ x++ }}", "added"),
        (f"probe {READ} {{ x += $count }}", "added"),
        (f"probe {READ} {{ x -= 2 }}", "added"),
        (f"probe {READ} {{ x = $count }}", "set"),
        (f"probe {READ} {{ x++ }}\nprobe {WRITE} {{ x = 0 }}", "set"),
        (f"probe {READ} {{ x++\n  if (x > 5) exit() }}", "read"),
        (f"probe {READ} {{ x |= 4 }}", "read"),
        (f"probe {READ} {{ x++ }}\nprobe end {{ println(x) }}", "added"),
        (f"probe {READ} {{ x++ }}\nprobe timer.s(1) {{ x = 0 }}", "added"),
        (f"probe begin {{ x = 1 }}\nprobe {READ} {{ println(x) }}", "read"),
        ("probe begin { x = 1 }\nprobe end { println(x) }", "beside"),
        (f'probe {READ} {{ if (sprintf("%d", $count) == "5") x = 1 }}', "beside"),
    ],
)
def test_a_scalar_lives_where_it_is_used(handlers: str, home: str) -> None:
    assert homes(placed(f"global x\n{handlers}")) == {"x": home}


@pytest.mark.parametrize(
    ("handlers", "home"),
    [
        (f"probe {READ} {{ x[pid()]++ }}", "added"),
        (f"probe {READ} {{ x[pid()] = 1 }}", "set"),
        (f"probe {READ} {{ x[pid()]++\n  delete x[5] }}", "set"),
        (f"probe {READ} {{ x[pid()]++\n  if (5 in x) exit() }}", "read"),
        (f"probe {READ} {{ y[x[pid()]] = 1 }}", "read"),
        (f"probe {READ} {{ x[pid()] <<< $count }}", "added"),
        (
            f"probe {READ} {{ x[pid()] <<< $count }}\n"
            "probe timer.s(1) { foreach (k in x) println(k)\n  delete x }",
            "added",
        ),
    ],
)
def test_an_array_lives_where_it_is_used(handlers: str, home: str) -> None:
    assert homes(placed(f"global x, y\n{handlers}"))["x"] == home


def test_globals_that_a_handler_takes_along_take_other_handlers_along() -> None:
    made = placed(
        f"global seen, n\nprobe {READ} {{ foreach (k in seen) println(k) }}\n"
        f"probe {WRITE} {{ seen[pid()] = 1 }}\n"
        f"probe {SUBMIT} {{ n++ }}"
    )
    assert reasons(made) == ["foreach walks an array", "'seen' is kept beside the notebook"]
    assert homes(made) == {"seen": "beside", "n": "added"}
    assert sent(made, 2) == ["pid()"]


def test_globals_of_functions_are_taken_along_too() -> None:
    made = placed(
        "global seen\nfunction note(p) { if (p > 0) seen[p] = 1\n  return 0 }\n"
        f"probe {READ} {{ foreach (k in seen) println(k) }}\nprobe {WRITE} {{ note(pid()) }}"
    )
    assert homes(made) == {"seen": "beside"}
    assert len(made.notes) == 2


def test_an_array_with_keys_that_are_names_here_and_texts_there_lives_beside_the_notebook() -> None:
    made = placed(f'global a\nprobe {READ} {{ a[probefunc()]++ }}\nprobe {WRITE} {{ a["other"]++ }}')
    assert homes(made) == {"a": "beside"}
    assert reasons(made) == ["names and texts are mixed"] * 2


# --- entries and functions -----------------------------------------------------------------------


def test_values_of_the_entry_are_taken_once_each() -> None:
    made = placed(
        f"probe {READ}.return {{ println(gettimeofday_ns() - @entry(gettimeofday_ns()),\n"
        "  @entry(gettimeofday_ns()), @entry(tid())) }"
    )
    (held,) = made.kernel_handlers
    assert [show(value) for value, _ in held.entry] == ["gettimeofday_ns()", "tid()"]
    assert "(gettimeofday_ns() - entry 0)" in sent(made)


def test_values_of_the_entry_follow_a_handler_that_left() -> None:
    made = placed(
        f"global a\nprobe {READ}.return {{ foreach (k in a) println(k, @entry(execname())) }}\n"
        "probe begin { a[1] = 1 }"
    )
    (held,) = made.kernel_handlers
    assert [(show(value), shape.size) for value, shape in held.entry] == [("execname()", 16)]
    assert sent(made) == ["entry 0"]


def test_a_function_in_the_kernel_is_there_once_with_what_it_calls() -> None:
    made = placed(
        "function low(x) { if (x > 3) return 3\n  return x }\n"
        "function high(x) { y = low(x)\n  return y * 2 }\n"
        f"probe {READ} {{ if (high($count) > 1) println(1) }}\n"
        f"probe {WRITE} {{ if (high($count) > 2) println(2) }}"
    )
    assert made.notes == ()
    assert [f.function.name for f in made.kernel_functions] == ["low", "high"]


def test_a_function_that_reads_the_kernel_is_given_what_it_reads() -> None:
    made = placed(
        'global n\nfunction flags(b) { x = @cast(b, "bio")->bi_opf\n  if (x > 9) return 9\n  return x }\n'
        f"probe {SUBMIT} {{ foreach (k in n) println(k + flags($bio)) }}\nprobe begin {{ n[1] = 1 }}"
    )
    assert reasons(made) == ["foreach walks an array"]
    (value,) = sent(made)
    assert "argument 0" in value
    assert len(made.records[0].values) == 1


def test_a_function_with_an_effect_is_run_beside_the_notebook_and_not_before() -> None:
    made = placed(
        "global n, calls\nfunction size(x) { calls++\n  return x }\n"
        f"probe {READ} {{ foreach (k in n) println(size($count)) }}\nprobe begin {{ n[1] = 1 }}"
    )
    assert sent(made) == ["argument 2"]
    assert homes(made) == {"n": "beside", "calls": "beside"}


@pytest.mark.parametrize(
    "text",
    [
        'probe begin { println(register("ax")) }',
        "global p\nprobe timer.s(1) { println(user_string(p)) }\nprobe begin { p = 1 }",
        f"global a\nprobe {READ} {{ a[$buf] = 1\n  foreach (k in a) println(user_string(k)) }}",
    ],
)
def test_registers_and_memory_of_a_process_are_not_read_beside_the_notebook(text: str) -> None:
    with pytest.raises(UnsupportedError):
        placed(text)


@pytest.mark.parametrize(
    "text",
    [
        "probe begin { println(kernel_string(0)) }",
        f'global p\nprobe {SUBMIT} {{ p = $bio }}\nprobe end {{ println(@cast(p, "bio")->bi_opf) }}',
    ],
)
def test_memory_of_the_kernel_may_be_read_late(text: str) -> None:
    placed(text)


def test_what_has_a_value_of_its_own_beside_the_notebook_may_be_asked_there() -> None:
    made = placed("probe begin { println(pid(), gettimeofday_s(), execname()) }")
    assert len(made.user_handlers) == 1


def test_every_kernel_part_fits_in_the_kernel() -> None:
    texts = [
        f"global n\nprobe {READ} {{ n++\n  println(n) }}",
        f"global a\nprobe {READ} {{ if (pid() > 5) foreach (k in a) println(k, $count) }}\n"
        "probe begin { a[1] = 1 }",
        f'probe {READ} {{ if (execname() =~ "a") println(kernel_string($buf)) }}',
    ]
    for text in texts:
        made = placed(text)
        functions = {f.name: f for f in made.script.functions}
        fit = Fit(
            functions, {g.name for g in made.script.globals if g.keys}, {g.name for g in made.user_globals}
        )
        assert [fit.body(h.body) for h in made.kernel_handlers] == [None] * len(made.kernel_handlers)
