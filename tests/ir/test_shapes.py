"""How long strings get in the kernel, and which of them are numbers there."""

from __future__ import annotations

import pytest

from ktrace_nb.ir import script as ir
from tests.lang.stap.script_kit import READ, WRITE, placed


def slots(made: ir.Placed) -> dict[str, str]:
    """Every string the kernel keeps: ``16`` bytes, or the function that makes text of its number."""
    found = {v.name: _word(v.shape) for h in made.kernel_handlers for v in h.locals if v.shape != ir.LONG}
    for held in made.kernel_globals:
        for number, key in enumerate(held.keys):
            if key != ir.LONG:
                found[f"{held.variable.name}[{number}]"] = _word(key)
        if held.value != ir.LONG:
            found[held.variable.name] = _word(held.value)
    return found


def _word(shape: ir.Shape) -> str:
    assert shape.text == (not shape.symbol)
    return shape.symbol or str(shape.size)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # TASK_COMM_LEN is 16, the NUL included: include/linux/sched.h.
        (f"global who\nprobe {READ} {{ who = execname() }}", {"who": "16"}),
        (f"global a\nprobe {READ} {{ a[execname()]++ }}", {"a[0]": "16"}),
        (f'global a\nprobe {READ} {{ a["four"]++ }}', {"a[0]": "5"}),
        (f'global a\nprobe {READ} {{ a["four"]++ }}\nprobe {WRITE} {{ a["sixteen"]++ }}', {"a[0]": "8"}),
        (f'global a\nprobe {READ} {{ a["four"]++ }}\nprobe {WRITE} {{ a[execname()]++ }}', {"a[0]": "16"}),
        (f"global a\nprobe {READ} {{ a[kernel_string($buf)]++ }}", {"a[0]": "128"}),
        (f'global s = "initial"\nprobe {READ} {{ if (s == "x") exit() }}', {"s": "8"}),
        (f'global s\nprobe {READ} {{ s = $count > 5 ? "large" : "no" }}', {"s": "6"}),
        (f"global s, t\nprobe {READ} {{ s = execname()\n  t = s }}", {"s": "16", "t": "16"}),
        (f"global a\nprobe {READ} {{ a[pid(), execname()] = execname() }}", {"a[1]": "16", "a": "16"}),
        (f"global n\nprobe {READ} {{ n[pid()] = $count }}", {}),
    ],
)
def test_a_string_has_the_bytes_of_the_longest_that_is_put_in_it(text: str, expected: dict[str, str]) -> None:
    assert slots(placed(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"global a\nprobe {READ} {{ a[probefunc()]++ }}", {"a[0]": "symname"}),
        (f"global a\nprobe {READ} {{ a[backtrace()]++ }}", {"a[0]": "__kernel_stack"}),
        (
            f"global a\nprobe {READ} {{ a[ubacktrace(), execname()]++ }}",
            {"a[0]": "__user_stack", "a[1]": "16"},
        ),
        (f"global s\nprobe {READ} {{ s = probefunc() }}", {"s": "symname"}),
        (f"global a\nprobe {READ}.return {{ a[errno_str($return)]++ }}", {"a[0]": "errno_str"}),
        (f"global a\nprobe {READ} {{ f = probefunc()\n  a[f]++ }}", {"a[0]": "symname"}),
    ],
)
def test_names_of_numbers_are_numbers_in_the_kernel(text: str, expected: dict[str, str]) -> None:
    made = placed(text)
    assert {slot: word for slot, word in slots(made).items() if slot != "f"} == expected
    assert made.notes == ()


def test_what_is_written_beside_the_notebook_makes_room_in_the_kernel() -> None:
    made = placed(f'global s\nprobe {READ} {{ if (s == "x") exit() }}\nprobe begin {{ s = "a longer text" }}')
    assert slots(made) == {"s": "14"}
    made = placed(
        f'global s\nprobe {READ} {{ if (s == "x") exit() }}\nprobe begin {{ s = sprintf("%d", pid()) }}'
    )
    assert slots(made) == {"s": "128"}


def test_keys_that_are_written_beside_the_notebook_may_be_as_long_as_strings_get() -> None:
    made = placed(
        f"global a\nprobe {READ} {{ if (execname() in a) exit() }}\nprobe begin {{ a[sprint(1)] = 1 }}"
    )
    assert slots(made) == {"a[0]": "128"}


def test_parameters_and_results_of_functions_have_the_room_their_calls_need() -> None:
    made = placed(
        'function pick(s) { if (s == "cat") return "yes"\n  return s }\nglobal a\n'
        f'probe {READ} {{ a[pick(execname())]++ }}\nprobe {WRITE} {{ a[pick("x")]++ }}'
    )
    (held,) = made.kernel_functions
    assert [p.shape.size for p in held.parameters] == [16]
    assert held.result.size == 16
    assert slots(made) == {"a[0]": "16"}


def test_a_literal_longer_than_strings_get_is_cut() -> None:
    assert slots(placed(f'global s\nprobe {READ} {{ s = "{"x" * 500}" }}')) == {"s": "128"}


@pytest.mark.parametrize(
    "text",
    [
        f"global a\nprobe {READ} {{ a[probefunc()]++ }}\nprobe {WRITE} {{ a[execname()]++ }}",
        f"global a\nprobe {READ} {{ a[probefunc()]++ }}\nprobe {WRITE} {{ a[backtrace()]++ }}",
        f'global s\nprobe {READ} {{ s = probefunc() }}\nprobe {WRITE} {{ s = "none" }}',
        f'global s\nprobe {READ} {{ s = $count ? probefunc() : "none" }}',
        f'global n\nprobe {READ} {{ if (probefunc() == "vfs_read") n++ }}',
        f"global n\nprobe {READ} {{ if (probefunc() < backtrace()) n++ }}",
    ],
)
def test_what_can_be_kept_neither_as_a_number_nor_as_a_text_leaves_the_kernel(text: str) -> None:
    made = placed(text)
    assert made.notes != ()
    assert made.kernel_globals == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"probe {READ} {{ println(execname(), pid()) }}", ["16", "long"]),
        (f"probe {READ} {{ println(probefunc()) }}", ["symname"]),
        (f"probe {READ} {{ println(kernel_string($buf)) }}", ["128"]),
        (f"probe {READ}.return {{ println(errno_str($return)) }}", ["errno_str"]),
        (f'probe {READ} {{ println($count ? "some" : "none") }}', ["5"]),
    ],
)
def test_values_of_a_record_have_shapes_of_their_own(text: str, words: list[str]) -> None:
    (record,) = placed(text).records
    assert ["long" if shape == ir.LONG else _word(shape) for shape in record.values] == words
