"""Texts of variables, in the forms of the manual page stapprobes(3stap)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ktrace_nb.ir import script as ir
from ktrace_nb.lang.stap.context import Variable
from tests.kernel_facts.btf_writer import BtfWriter
from tests.lang.stap.variables_kit import SMALL, context, facts, lowered, shown

ITEM = (
    "{.<union>={...}, .name=[...], .next=%p, .title=%s, .data=%p, .grid=[...], .here={...},"
    " .tiny=%u, .high=%i, .rest=%i, .on=%i, .state=%i, .big=?, .ratio=?}"
).replace(".<union>", "<union>")
DEEP = (
    "{<union>={.wide=%u, .low=%i}, .name=%s, .next=%p, .title=%s, .data=%p,"
    " .grid=[{.x=%i, .y=%u}, ...], .here={.x=%i, .y=%u},"
    " .tiny=%u, .high=%i, .rest=%i, .on=%i, .state=%i, .big=?, .ratio=?}"
)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("$item$", ITEM),
        ("$item$$", DEEP),
        ('@cast(p, "item")$', ITEM),
        ('@cast(p, "item *")$', ITEM),
        ("$item->here$", "{.x=%i, .y=%u}"),
        ("$item->grid$", "[{...}, ...]"),
        ("$item->grid$$", "[{.x=%i, .y=%u}, ...]"),
        ("$item->name$", "%s"),
        ("$item->title$", "%s"),
        ("$item->next$", ITEM),
        ("$item->state$", "%i"),
        ("$item->name[0]$", "'%#c'"),
        ("$count$", "%i"),
        ("$size$", "%u"),
        ("$data$", "%p"),
        ("$numbers$", "%p"),
        ("$items$", "%p"),
        ("$call$", "<function>:%p"),
        ("$secret$", "%p"),
        ("$ratio$", "?"),
        ("$point$", "{.x=%i, .y=%u}"),
        ("$$locals", ""),
    ],
)
def test_a_value_is_shown_with_what_is_in_it(text: str, form: str) -> None:
    assert shown(lowered(text)) == form


def some(*names: str, **more: object):  # type: ignore[no-untyped-def]
    where = context(**more)  # type: ignore[arg-type]
    return replace(where, variables=tuple(v for v in where.variables if v.name in names))


def test_all_parameters_are_shown_in_hexadecimal() -> None:
    found = lowered("$$parms", some("item", "count", "text"))
    assert shown(found) == "item=%#x count=%#x text=%#x"
    assert isinstance(found, ir.Format)
    assert found.arguments == (ir.Argument(0), ir.Extend(ir.Argument(1), 4, True), ir.Argument(3))
    assert found.type is ir.Type.STRING
    assert lowered("$$vars", some("item", "count", "text")) == found


def test_structs_by_value_are_left_out_of_the_plain_form_and_what_cannot_be_read_is_a_question_mark() -> None:
    assert shown(lowered("$$parms", some("whole", "count", "ratio"))) == "count=%#x whole={...} ratio=?"


def test_tracepoints_show_pointers_as_such() -> None:
    where = some("item", "count", kind="raw_tracepoint")
    assert shown(lowered("$$vars", where)) == "item=%p count=%#x"


def test_all_parameters_may_be_shown_with_what_is_in_them() -> None:
    assert shown(lowered("$$parms$", some("item", "count"))) == f"item={ITEM} count=%i"
    assert shown(lowered("$$parms$$", some("item", "count"))) == f"item={DEEP} count=%i"


def test_what_is_returned_is_shown_if_anything_is() -> None:
    returned = Variable("return", SMALL.btf, SMALL.int, ir.Result())
    where = context("kretprobe", at_return=True, parameters_saved=True, returns=returned)
    found = lowered("$$return", where)
    assert shown(found) == "return=%#x"
    assert isinstance(found, ir.Format) and found.arguments == (ir.Extend(ir.Result(), 4, True),)
    assert shown(lowered("$$return$", where)) == "return=%i"
    assert lowered("$$return", replace(where, returns=None)) == ir.Text("", type=ir.Type.STRING)


def test_at_a_return_each_value_is_that_of_the_entry() -> None:
    where = context("kretprobe", at_return=True, parameters_saved=True)
    found = lowered("$item->here$", where)
    assert isinstance(found, ir.Format)
    assert all(isinstance(value, ir.AtEntry) for value in found.arguments)


def test_a_string_is_quoted_and_comes_from_where_its_pointer_leads() -> None:
    string = ir.Type.STRING
    found = lowered("$item->name$")
    assert isinstance(found, ir.Format)
    address = lowered("$item->name")
    read = ir.Intrinsic("kernel_string2", (address, ir.Text("<unknown>", type=string)), type=string)
    assert found.arguments == (ir.Intrinsic("string_quoted", (read,), type=string),)
    where = context(variables=(Variable("path", SMALL.btf, SMALL.string, ir.Argument(0), user=True),))
    found = lowered("$path$", where)
    assert isinstance(found, ir.Format)
    (choice,) = found.arguments
    assert isinstance(choice, ir.Choose) and choice.then == ir.Text("0x0", type=string)
    assert isinstance(choice.otherwise, ir.Intrinsic)
    (inner,) = choice.otherwise.arguments
    assert isinstance(inner, ir.Intrinsic) and inner.name == "user_string2"


def test_after_32_values_dots_end_a_struct() -> None:
    w = BtfWriter()
    number = w.integer("int", 4, signed=True)
    w.record("long_one", 160, [(f"m{i}", number, 32 * i) for i in range(40)])
    found = lowered('@cast(p, "long_one")$', context(variables=()), facts(btf=w.blob()))
    assert isinstance(found, ir.Format) and len(found.arguments) == 32
    assert shown(found).endswith(".m31=%i, ...}")


def test_padding_between_bit_fields_is_not_shown() -> None:
    w = BtfWriter()
    number = w.integer("int", 4, signed=True)
    w.record("flags", 4, [("a", number, 0, 3), ("", number, 3, 5), ("b", number, 8, 2)])
    found = lowered('@cast(p, "flags")$', context(variables=()), facts(btf=w.blob()))
    assert shown(found) == "{.a=%i, .b=%i}"
