"""Numbers read through ``$variables``, held against what ctypes wrote into memory."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.lang.stap.context import ProbeContext, Variable
from ktrace_nb.lang.stap.variables import Access, describe
from ktrace_nb.lang.stap.variables_types import ctype_text
from tests.lang.stap.variables_kit import (
    SMALL,
    Item,
    Point,
    context,
    convert,
    facts,
    lowered,
    number,
    parsed,
)

ALL_ONES = (1 << 64) - 1


@pytest.fixture
def items() -> list[Item]:
    """Two items, the second behind the first."""
    second = Item(wide=7, name=b"second", state=5)
    second.grid[2] = Point(-9, 9)
    first = Item(wide=(1 << 63) + 5, name=b"first", state=-1, next=ctypes.pointer(second), on=1)
    first.title, first.data = b"a title", 0x1234
    first.here = Point(-2, 65535)
    for i in range(3):
        first.grid[i] = Point(-i, i + 100)
    first.tiny, first.high, first.rest = 5, -60, -2000000
    return [first, second]


def read(text: str, items: list[Item], where: ProbeContext | None = None, **names: int) -> int:
    """A number, where the arguments are an item, -3 with garbage above, and pointers to items."""
    pointers = (ctypes.POINTER(Item) * 2)(ctypes.pointer(items[0]), ctypes.pointer(items[1]))
    values = (ctypes.c_int * 3)(10, -20, 30)
    item = ctypes.addressof(items[0])
    arguments = [item, 0xABCD0000FFFFFFFD, ALL_ONES, 0, item, ctypes.addressof(pointers), 0, 0]
    arguments += [0xFF01, 5, ctypes.addressof(values), 0x8001FFFE, item, ctypes.addressof(items[0].here)]
    return number(lowered(text, where), arguments, item=item, **names)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$count", -3),
        ("$size", -1),
        ("$flag", 1),
        ("$unknown", 5),
        ("$item->wide", -(1 << 63) + 5),
        ("$item->low", 5),
        ("$item->tiny", 5),
        ("$item->high", -60),
        ("$item->rest", -2000000),
        ("$item->on", 1),
        ("$item->state", -1),
        ("$item->data", 0x1234),
        ("$item->here->x", -2),
        ("$item->here->y", 65535),
        ("$item->grid[2]->x", -2),
        ("$item->grid[1]->y", 101),
        ("$item->name[1]", ord("i")),
        ("$item->next->state", 5),
        ("$item->next->grid[2]->y", 9),
        ("$item->title[2]", ord("t")),
        ("$item[0]->state", -1),
        ("$items[0]->state", -1),
        ("$items[1]->state", 5),
        ("$items->state", -1),  # through two pointers, as SystemTap does
        ("$numbers[1]", -20),
        ("$point->x", -2),
        ("$point->y", 0x8001),
        ("$user_point->y", 65535),
        ('@cast(item, "item")->state', -1),
        ('@cast(item, "struct item")->next->state', 5),
        ('@cast(item, "struct item *")->here->x', -2),
        ('@cast(item, "item_t", "kernel")->grid[1]->y', 101),
        ('@cast(item, "const struct item *", "kernel<linux/item.h>")->state', -1),
        ('@cast(item, "item")[0]->state', -1),
        ('@cast(item, "char *")[9]', ord("i")),
        ('@cast(item, "u64")[0]', -(1 << 63) + 5),
        ('@cast(item, "int")[16]', -1),
    ],
)
def test_a_number_is_what_c_has_in_its_place(items: list[Item], text: str, value: int) -> None:
    assert read(text, items) == value


def test_an_index_may_be_any_expression(items: list[Item]) -> None:
    assert [read("$item->grid[i]->y", items, i=i) for i in range(3)] == [100, 101, 102]
    assert [read("$numbers[i]", items, i=i) for i in range(3)] == [10, -20, 30]
    assert [read("$item->title[i]", items, i=i) for i in range(7)] == list(b"a title")


def test_an_array_is_its_address_and_so_is_what_an_ampersand_is_put_before(items: list[Item]) -> None:
    item = ctypes.addressof(items[0])
    assert read("$item->name", items) == item + Item.name.offset
    assert read("$item->grid", items) == item + Item.grid.offset
    assert read("&$item->here", items) == item + Item.here.offset
    assert read("&$item->here->y", items) == item + Item.here.offset + 2
    assert read("&$item->grid[2]->y", items) == item + Item.grid.offset + 10
    assert read('&@cast(item, "item")->state', items) == item + Item.state.offset
    assert read("$item->title", items) == read('@cast(item, "item")->title', items)


def test_every_member_is_read_from_the_bytes_that_c_gives_it() -> None:
    for name in ("name", "next", "title", "data", "grid", "here", "state", "on"):
        found = lowered(f"&$item->{name}")
        assert number(found, [0]) == getattr(Item, name).offset


def test_a_cast_alone_cuts_a_number_to_an_integer_as_c_does() -> None:
    assert number(lowered('@cast(n, "int")'), n=0x1_FFFF_FFFE) == -2
    assert number(lowered('@cast(n, "short unsigned int")'), n=0x1_8001) == 0x8001
    for name in ("u64", "struct item", "struct item *", "void *"):
        assert lowered(f'@cast(n, "{name}")') == ir.Local("n")


def test_memory_is_the_kernels_unless_the_variable_leads_into_the_process() -> None:
    where = context(kind="sys_enter")
    of_user = replace(where, variables=tuple(replace(v, user=True) for v in where.variables))
    plain, user = lowered("$item->next->state", where), lowered("$item->next->state", of_user)
    assert [load.user for load in _loads(plain)] == [False, False]
    assert [load.user for load in _loads(user)] == [True, True]
    assert [load.user for load in _loads(lowered("$user_point->x", where))] == [True]
    assert [load.user for load in _loads(lowered('@cast(p, "item", "<linux/item.h>")->state'))] == [True]
    assert [load.user for load in _loads(lowered('@cast(p, "item")->state', context("uprobe")))] == [True]


def test_pointers_are_read_without_a_sign_and_members_with_that_of_their_type() -> None:
    (state,) = _loads(lowered("$item->state"))
    (title,) = _loads(lowered("$item->title"))
    (wide,) = _loads(lowered("$item->wide"))
    assert (state.size, state.signed) == (4, True)
    assert (title.size, title.signed) == (8, False)
    assert (wide.size, wide.signed) == (8, False)


def _loads(expr: ir.Expr) -> list[ir.Load]:
    if isinstance(expr, ir.Load):
        return [*_loads(expr.address), expr]
    children = (getattr(expr, name, None) for name in ("left", "right", "operand"))
    return [load for child in children if isinstance(child, ir.Expr) for load in _loads(child)]


# --- at a return ---------------------------------------------------------------------------


def at_return(*, saved: bool) -> ProbeContext:
    returned = Variable("return", SMALL.btf, SMALL.item_pointer, ir.Result())
    kind = "kretprobe" if saved else "fexit"
    return context(kind, at_return=True, parameters_saved=saved, returns=returned)


def test_parameters_at_a_kretprobe_are_those_of_the_entry() -> None:
    where = at_return(saved=True)
    assert lowered("$size", where) == ir.AtEntry(ir.Argument(2))
    assert lowered("$item->state", where) == ir.AtEntry(lowered("$item->state"))


def test_parameters_that_the_kernel_still_has_are_taken_as_they_are_but_not_what_they_led_to() -> None:
    where = at_return(saved=False)
    assert lowered("$size", where) == ir.Argument(2)
    assert lowered("$count", where) == ir.Extend(ir.Argument(1), 4, True)
    assert lowered("&$item->here", where) == lowered("&$item->here")
    assert lowered("$item->state", where) == ir.AtEntry(lowered("$item->state"))


def test_what_is_returned_is_followed_at_the_return() -> None:
    found = lowered("$return->state", at_return(saved=True))
    assert found == ir.Load(ir.Binary("+", ir.Result(), ir.Number(Item.state.offset)), 4, True)
    assert lowered("$return", at_return(saved=True)) == ir.Result()


# --- global variables ----------------------------------------------------------------------


def test_a_global_of_a_known_type_is_read_by_it() -> None:
    jiffies = ctypes.c_ulong(ALL_ONES)
    kernel = facts(jiffies=ctypes.addressof(jiffies))
    assert number(lowered('@var("jiffies")', kernel=kernel)) == -1
    assert number(lowered('@var("jiffies@kernel/time/timer.c", "kernel")', kernel=kernel)) == -1
    assert number(lowered("$jiffies", kernel=kernel)) == -1


def test_a_global_is_read_by_its_type_in_btf_and_is_a_long_without() -> None:
    item = Item(state=5)
    plain = ctypes.c_long(-12)
    kernel = facts(typed=ctypes.addressof(item), plain=ctypes.addressof(plain))
    assert number(lowered('@var("typed")->state', kernel=kernel)) == 5
    assert number(lowered("$typed->state", kernel=kernel)) == 5
    assert number(lowered('@var("plain")', kernel=kernel)) == -12
    assert number(lowered('&@var("plain")', kernel=kernel)) == ctypes.addressof(plain)


def test_a_parameter_comes_before_a_global_of_its_name() -> None:
    kernel = facts(count=0x1000)
    assert lowered('@var("count")', kernel=kernel) == lowered("$count")
    assert lowered('@var("count", "kernel")', kernel=kernel) == ir.Load(ir.Number(0x1000), 8, True)


def test_addresses_of_the_kernel_are_negative_numbers() -> None:
    kernel = facts(plain=0xFFFFFFFF81000000)
    assert lowered('&@var("plain")', kernel=kernel) == ir.Number(0xFFFFFFFF81000000 - (1 << 64))


# --- what there is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "defined"),
    [
        ("$item", True),
        ("$item->next->state", True),
        ("$item->nothing", False),
        ("$nothing", False),
        ("$return", False),
        ("$data->x", False),
        ('@cast(p, "item")->state', True),
        ('@cast(p, "item")->nothing', False),
        ('@cast(p, "no_such")', False),
        ('@var("nowhere")', False),
        ("$$vars", True),
        ("$$return", False),
    ],
)
def test_defined_says_whether_it_can_be_read(text: str, defined: bool) -> None:
    assert Access(facts(), context(), convert).defined(parsed(text)) is defined


def test_variables_are_listed_with_their_types() -> None:
    listed = dict(describe(at_return(saved=True)))
    assert next(iter(listed)) == "$return"
    assert listed["$item"] == "struct item *"
    assert listed["$text"] == "const char *"
    assert listed["$items"] == "struct item **"
    assert listed["$call"] == "int (*)(const char *, ...)"
    assert listed["$size"] == "u64"
    assert listed["$unknown"] == "long"
    assert listed["$secret"] == "struct secret *"


def test_types_are_written_as_c_writes_them() -> None:
    btf = SMALL.btf
    texts = {ctype_text(btf, m.type_id) for m in btf.members(SMALL.item)}
    assert {"union {...}", "char [8]", "struct point [3]", "void *", "enum state", "double"} <= texts
    assert ctype_text(btf, 0) == "void"
    assert btf.kind(SMALL.item_type) is Kind.TYPEDEF and ctype_text(btf, SMALL.item_type) == "item_t"
