"""What cannot be read is refused at its place, with the way out."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import CellError, UnsupportedError
from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap.context import ProbeContext, Variable
from ktrace_nb.lang.stap.variables import Access
from tests.lang.stap.variables_kit import SMALL, context, convert, facts, lowered, parsed

MEMBERS = "its members are wide, low, name, next, title, data, grid, here, tiny, high, rest, on and 3 more"
VOID = 'say what it is: @cast({}, "struct name")->member'


@pytest.mark.parametrize(
    ("text", "marked", "message", "hint"),
    [
        ("$itme", "$itme", "no variable '$itme' in handle", "did you mean $item, $items?"),
        ("$item->stat", "->stat", "struct item has no member 'stat'", "did you mean state?"),
        ("$item->qqq", "->qqq", "struct item has no member 'qqq'", MEMBERS),
        (
            "$item->next->here->z",
            "->z",
            "struct point has no member 'z'",
            "its members are x, y",
        ),
        ("$count->x", "->x", "->x needs a struct or union, $count is int", None),
        ("$numbers->x", "->x", "->x needs a struct or union, $numbers is int *", None),
        ("$item->grid->x", "->x", "->x needs a struct or union, $item->grid is struct point [3]", None),
        (
            "$data->x",
            "->x",
            "$data is void *: ->x needs to know what it points to",
            VOID.format("$data"),
        ),
        (
            "$item->data[1]",
            "[1]",
            "$item->data is void *: [] needs to know what it points to",
            VOID.format("$item->data"),
        ),
        ("$unknown->x", "->x", "the type of $unknown is not known", VOID.format("$unknown")),
        ("$unknown[0]", "[0]", "the type of $unknown is not known", VOID.format("$unknown")),
        ("$count[0]", "[0]", "[] needs an array or a pointer, $count is int", None),
        (
            "$item->here[0]",
            "[0]",
            "[] needs an array or a pointer, $item->here is struct point",
            None,
        ),
        ("$secret[1]", "[1]", "the size of struct secret is not known", None),
        ("$call[0]", "[0]", "the size of int (const char *, ...) is not known", None),
        (
            "$secret->x",
            "->x",
            "the kernel does not tell what is in struct secret",
            '@cast($secret, "type", "module")->x finds the types of a module',
        ),
        (
            "$item->here",
            "$item->here",
            "$item->here is struct point, which is no number",
            "take a member such as $item->here->x or its address &$item->here"
            " or all of it as text, $item->here$",
        ),
        (
            "$item->big",
            "$item->big",
            "$item->big is __int128, which cannot be read as a number",
            None,
        ),
        (
            "$item->ratio",
            "$item->ratio",
            "$item->ratio is double, which cannot be read as a number",
            None,
        ),
        ("$ratio", "$ratio", "$ratio is double, which cannot be read as a number", None),
        (
            "$point",
            "$point",
            "$point is struct point, which is no number",
            "take a member such as $point->x",
        ),
        ("$whole", "$whole", "$whole is struct item, which is no number", None),
        ("$whole->state", "->state", "$whole is struct item passed by value, which cannot be read", None),
        ("&$item->high", "&$item->high", "$item->high is a bit-field, which has no address", None),
        (
            "&$count",
            "&$count",
            "$count is in a register, it has no address",
            "& gives the address of what a pointer leads to, such as &$pointer->member",
        ),
        ("&$item->here$", "&$item->here$", "a text has no address", None),
        ("$item$->state", "$", "$ and $$ come last", None),
        ("&$$parms", "&$$parms", "a text has no address", None),
        ("$$parms->x", "$$parms->x", "$$parms is a text, it has no members", None),
        ("$$return", "$$return", "there is no $$return here", None),
        (
            "$return",
            "$return",
            "$return has a value only at a return",
            "add .return to the probe point",
        ),
        (
            '@cast(p, "itme")->x',
            '@cast(p, "itme")->x',
            "no type 'itme' in the kernel",
            "did you mean item?",
        ),
        (
            '@cast(p, "struct item_t")->x',
            '@cast(p, "struct item_t")->x',
            "no type 'struct item_t' in the kernel",
            "did you mean item_t, item?",
        ),
        (
            '@cast(p, "item", "xfs")->state',
            '@cast(p, "item", "xfs")->state',
            "module 'xfs' is not loaded, or has no types",
            None,
        ),
        (
            '@cast(p, "item")->nothing',
            "->nothing",
            "struct item has no member 'nothing'",
            MEMBERS,
        ),
        (
            '@cast(p, "tm", "<time.h>")->tm_sec',
            '@cast(p, "tm", "<time.h>")->tm_sec',
            'types of the header "<time.h>" are not known here, only those of the kernel',
            '"<linux/...>" as module reads a type of the kernel from the process\'s memory',
        ),
        (
            '@cast(p, "node", "/bin/sh")->x',
            '@cast(p, "node", "/bin/sh")->x',
            "types of the program /bin/sh are not known here, only those of the kernel",
            '"<linux/...>" as module reads a type of the kernel from the process\'s memory',
        ),
        (
            '@var("counter")',
            '@var("counter")',
            "'counter' is a per-CPU variable: every CPU has one of its own, at an address of its own",
            None,
        ),
        ('@var("nowhere")', '@var("nowhere")', "no global variable 'nowhere' in the kernel", None),
        (
            '@var("environ", "/bin/sh")',
            '@var("environ", "/bin/sh")',
            "variables of programs cannot be read, only those of the kernel",
            None,
        ),
        (
            '@var("plain")->x',
            '@var("plain")->x',
            'the type of @var("plain") is not known',
            'say what it is: @cast(&@var("plain"), "struct name")->member',
        ),
    ],
)
def test_it_is_refused(text: str, marked: str, message: str, hint: str | None) -> None:
    with pytest.raises(CellError) as caught:
        lowered(text, kernel=facts(plain=0x1000))
    error = caught.value
    assert error.message == message
    assert error.hint == hint
    assert error.span is not None
    assert text[error.span.start : error.span.end] == marked


def refusal(text: str, where: ProbeContext | None, kernel: KernelFacts | None = None) -> CellError:
    node = parsed(text)
    with pytest.raises(CellError) as caught:
        Access(kernel or facts(), where, convert).target(node)  # type: ignore[arg-type]
    return caught.value


def test_where_nothing_is_probed_there_are_no_variables() -> None:
    error = refusal("$item", None)
    assert error.message == "there is no $item here: only handlers of kernel events have target variables"
    assert error.hint == "give a function what it needs as an argument"
    assert refusal("$$vars", None).message == "there is no $$vars here"


def test_a_function_without_types_says_so() -> None:
    where = ProbeContext(kind="kprobe", function="handle", hidden="the kernel has no type of this function")
    error = refusal("$item", where)
    assert (error.message, error.hint) == (
        "no variable '$item' in handle",
        "the kernel has no type of this function",
    )


def test_few_variables_are_all_named_where_none_is_near() -> None:
    variables = (Variable("fd", SMALL.btf, SMALL.int, ir.Argument(0)),)
    where = ProbeContext(kind="sys_enter", function="system call close", variables=variables)
    error = refusal("$buffer", where)
    assert (error.message, error.hint) == ("no variable '$buffer' in system call close", "there are $fd")


def test_a_function_that_returns_nothing_has_no_return() -> None:
    error = refusal("$return", context("kretprobe", at_return=True))
    assert error.message == "handle returns nothing"


def test_an_index_that_is_known_only_at_the_return_is_refused_there() -> None:
    error = refusal("$item->grid[i]->x", context("kretprobe", at_return=True, parameters_saved=True))
    assert error.message == (
        "at a return, an index into a parameter must be a plain number: it is read at the entry"
    )
    assert error.hint == 'read it now: @cast(@entry($item), "type")[...]'


def test_globals_are_refused_where_their_address_is_not_known() -> None:
    with pytest.raises(CellError, match="the kernel hides the addresses of its variables"):
        lowered('@var("jiffies")', kernel=facts(jiffies=0))


def test_programs_have_no_globals_of_the_kernel() -> None:
    error = refusal("$plain", context("uprobe", variables=()), facts(plain=0x1000))
    assert error.message == "no variable '$plain' in handle"
    with pytest.raises(UnsupportedError, match="variables of programs cannot be read"):
        lowered('@var("plain")', context("uprobe"), facts(plain=0x1000))
