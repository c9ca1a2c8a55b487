"""Strings as C: bytes in buffers, zeros behind their end, or numbers for which the notebook has the text."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ktrace_nb.codegen import script_globals, script_intrinsics, script_numbers, script_statements
from ktrace_nb.codegen.script_values import Buffer
from ktrace_nb.ir import script as ir
from ktrace_nb.ir.intrinsics import INTRINSICS
from ktrace_nb.ir.walk import expressions

if TYPE_CHECKING:
    from ktrace_nb.codegen.script_body import Body


def shape(body: Body, expr: ir.Expr) -> ir.Shape:
    """How a value would best be kept: with the bytes it may need, or as a symbol.

    Raises:
        ValueError: The expression cannot be in the kernel.
    """
    if expr.type is not ir.Type.STRING:
        return ir.LONG
    most = body.unit.limits.max_string
    match expr:
        case ir.Text(value=value):
            return ir.Shape(min(len(value) + 1, most), text=True)
        case ir.Local(name=name):
            return body.variables[name].shape
        case ir.Global(name=name) | ir.Element(array=name):
            return body.unit.globals[name].value
        case ir.Assign(target=target):
            return shape(body, target)
        case ir.Choose(then=then, otherwise=otherwise):
            return _wider(shape(body, then), shape(body, otherwise))
        case ir.Concat(left=left, right=right):
            both = shape(body, left).size + shape(body, right).size - 1
            return ir.Shape(min(both, most), text=True)
        case ir.Call(function=name):
            return body.unit.functions[name].result
        case ir.EntryValue(index=index):
            return body.handler.entry[index][1]
        case ir.Symbol(name=name):
            return ir.Shape(text=True, symbol=name)
        case ir.Intrinsic(name=name):
            place = INTRINSICS[name]
            return ir.Shape(8 if place.symbol else place.size or most, text=True, symbol=place.symbol)
    raise ValueError(f"the string of {type(expr).__name__} cannot be in the kernel")


def _wider(one: ir.Shape, other: ir.Shape) -> ir.Shape:
    if one.symbol or other.symbol:
        return one if one.symbol else other
    return one if one.size >= other.size else other


def can_fault(expr: ir.Expr) -> bool:
    """Whether evaluating an expression reads memory that may not be there."""
    return any(
        isinstance(e, ir.Load | ir.Call | ir.Argument)
        or (isinstance(e, ir.Intrinsic) and e.name in script_intrinsics.READS)
        for e in expressions(expr)
    )


def text(body: Body, expr: ir.Expr) -> Buffer:
    """A string's bytes: where they are, or in a buffer made for them."""
    if isinstance(expr, ir.Local):
        variable = body.variables[expr.name]
        return Buffer(variable.c, variable.shape.size)
    if isinstance(expr, ir.Assign):
        return script_globals.assign_text(body, expr)
    buffer = body.buffer(shape(body, expr).size)
    put(body, expr, buffer, padded=True)
    return buffer


def put(body: Body, expr: ir.Expr, to: Buffer, *, padded: bool) -> None:
    """Write what puts a string somewhere.

    Args:
        body: Where to write.
        expr: The string.
        to: Where it goes; longer ones are cut.
        padded: Whether the bytes behind its end must be zeros.
    """
    match expr:
        case ir.Text(value=value):
            put_constant(body, value, to, padded=padded)
        case ir.Global(name=name):
            script_globals.put_scalar(body, name, to, padded=padded)
        case ir.Element():
            script_globals.put_element(body, expr, to, padded=padded)
        case ir.Choose(condition=condition, then=then, otherwise=otherwise):
            with body.lines.block(f"if ({body.condition(condition)})"):
                put(body, then, to, padded=padded)
            with body.lines.block("else"):
                put(body, otherwise, to, padded=padded)
        case ir.Concat():
            copy(body, _joined(body, expr), to, padded=padded)
        case ir.Call():
            script_statements.call(body, expr, to)
        case ir.EntryValue(index=index):
            _put_entry_value(body, index, expr, to, padded=padded)
        case ir.Intrinsic():
            script_intrinsics.put(body, expr, to, padded=padded)
        case _:
            copy(body, text(body, expr), to, padded=padded)


def put_constant(body: Body, value: str, to: Buffer, *, padded: bool) -> None:
    """Write what puts a constant string somewhere, word by word: bcc loads no constants from memory."""
    data = value.split("\0", 1)[0].encode("latin-1")[: to.size - 1] + b"\0"
    if len(value) >= to.size:
        body.put("ktrace_count_(0, KTRACE_TRUNCATED);")
    words = _words(data)
    for i, word in enumerate(words):
        body.put(f"((u64 *){to.at})[{i}] = {word:#x};" if word else f"((u64 *){to.at})[{i}] = 0;")
    if padded:
        zero(body, to, len(words))


def _words(data: bytes) -> list[int]:
    padded = data.ljust((len(data) + 7) & ~7, b"\0")
    return [int(n) for (n,) in struct.iter_unpack("<Q", padded)]


def zero(body: Body, to: Buffer, first_word: int = 0) -> None:
    """Write what clears a buffer, from one of its words on."""
    if 8 * first_word < to.room:
        at = f"(u64 *){to.at} + {first_word}" if first_word else to.at
        body.put(f"KTRACE_ZERO_({at}, {to.room - 8 * first_word});")


def copy(body: Body, source: Buffer, to: Buffer, *, padded: bool) -> None:
    """Write what copies a string, cut to what there is room for; zeros are behind the source's end."""
    if source.at == to.at:
        return
    room = min(source.room, to.room)
    body.put(f"KTRACE_COPY_({to.at}, {source.at}, {room});")
    if source.size > to.size:
        body.put(f"if (((char *){source.at})[{to.size - 1}])")
        body.put("\tktrace_count_(0, KTRACE_TRUNCATED);")
        for at in range(to.size - 1, to.room):
            body.put(f"((char *){to.at})[{at}] = 0;")
    elif padded:
        zero(body, to, room // 8)


def _joined(body: Body, expr: ir.Concat) -> Buffer:
    """Two strings one behind the other in a buffer with room for both.

    ``bpf_probe_read_kernel_str()`` copies up to the end and says where that is.
    """
    left = text(body, expr.left)
    right = text(body, expr.right)
    both = body.buffer(left.room + right.room)
    zero(body, both)
    end = body.name("end")
    body.put(f"u64 {end} = ktrace_copy_string_({both.at}, {left.room}, {left.at});")
    with body.lines.block(f"if ({end} < {left.room})"):
        body.put(f"bpf_probe_read_kernel_str((char *){both.at} + {end}, {right.room}, {right.at});")
    return Buffer(both.at, left.size + right.size - 1)


# --- comparison --------------------------------------------------------------------------


def compare(body: Body, op: str, left: ir.Expr, right: ir.Expr) -> str:
    """C of whether two strings compare as said."""
    if isinstance(left, ir.Text) and not isinstance(right, ir.Text):
        mirrored = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(op, op)
        return compare(body, mirrored, right, left)
    a = text(body, left)
    if isinstance(right, ir.Text) and op in ("==", "!="):
        return _equals_constant(op, a, right.value)
    if _changes_strings(right):
        held = body.buffer(a.size)
        copy(body, a, held, padded=True)
        a = held
    b = text(body, right)
    words = min(a.room, b.room) // 8
    pointers = f"(u64 *){a.at}, (u64 *){b.at}, {words}"
    # Where one has more room, what is there counts as far as it is not the end.
    longer = a if a.room > b.room else b if b.room > a.room else None
    more = f"(*((u64 *){longer.at} + {words}) & 0xff)" if longer else ""
    if op in ("==", "!="):
        differ = f"ktrace_differ_({pointers})" + (f" || {more}" if more else "")
        return differ if op == "!=" else f"!({differ})"
    compared = f"ktrace_compare_({pointers})"
    if longer:
        result = body.name("n")
        body.put(f"s64 {result} = {compared};")
        with body.lines.block(f"if (!{result} && {more})"):
            body.put(f"{result} = {1 if longer is a else -1};")
        compared = result
    return f"{compared} {op} 0"


def _changes_strings(expr: ir.Expr) -> bool:
    """Whether evaluating an expression may change another string."""
    return any(isinstance(e, ir.Assign | ir.Call) for e in expressions(expr))


def _equals_constant(op: str, a: Buffer, value: str) -> str:
    data = value.split("\0", 1)[0].encode("latin-1")
    if len(data) >= a.size:
        return "0" if op == "==" else "1"  # it is longer than the other can be
    words = _words(data + b"\0")
    tests = [f"((u64 *){a.at})[{i}] {op} {word:#x}" for i, word in enumerate(words)]
    return (" && " if op == "==" else " || ").join(tests)


def _put_entry_value(body: Body, index: int, expr: ir.Expr, to: Buffer, *, padded: bool) -> None:
    entry = body.use("entry")
    script_numbers.check_entry(body, index, expr)
    with body.lines.block(f"if ({entry})"):
        copy(body, Buffer(f"{entry}->v{index}", body.handler.entry[index][1].size), to, padded=padded)
    with body.lines.block("else"):
        zero(body, to)
