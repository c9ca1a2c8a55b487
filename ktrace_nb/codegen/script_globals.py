"""Variables as C: locals, scalars in arrays of one entry, arrays in hashes, statistics per CPU.

Additions are atomic. Anything else that reads a global and sets it anew is not: of two
CPUs that do so at once one may lose, as may a value read beside an addition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ktrace_nb.codegen import script_numbers, script_strings
from ktrace_nb.codegen.script_tables import buckets_key_type, key_type, value_type
from ktrace_nb.codegen.script_values import Buffer, is_constant
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.walk import locals_read

if TYPE_CHECKING:
    from ktrace_nb.codegen.script_body import Body
_E2BIG = 7


@dataclass(frozen=True, slots=True)
class Key:
    """A key that has been put together."""

    at: str
    """C of a pointer to it."""
    bucket: str = ""
    """With the key of a histogram around it: C of a pointer to that, and of its bucket."""
    bucket_member: str = ""


# --- reading -----------------------------------------------------------------------------


def scalar(body: Body, name: str) -> str:
    """C of a pointer to a scalar, NULL to the verifier."""
    return f"{layout.map_name(name)}.lookup(&{body.use('zero')})"


def key(body: Body, array: str, keys: tuple[ir.Expr | None, ...], *, buckets: bool = False) -> Key:
    """Put a key together.

    Raises:
        ValueError: The key is not whole.
    """
    kernel_global = body.unit.globals[array]
    size = layout.offsets(kernel_global.keys)[-1]
    if buckets:
        pointer, member = body.structure(buckets_key_type(kernel_global), size + 8, "key")
        base = f"{member}key."
        made = Key(f"&{member}key", pointer, f"{member}bucket")
    else:
        pointer, base = body.structure(key_type(kernel_global), size, "key")
        made = Key(pointer)
    for i, (expr, shape) in enumerate(zip(keys, kernel_global.keys, strict=True)):
        if expr is None:
            raise ValueError("a slice of an array cannot be in the kernel")
        put(body, expr, shape, f"{base}k{i}")
    return made


def put(body: Body, expr: ir.Expr, shape: ir.Shape, to: str, *, padded: bool = True) -> None:
    """Write what puts a value into a slot."""
    if layout.is_text(shape):
        body.put_text(expr, Buffer(to, shape.size), padded=padded)
    else:
        body.put(f"{to} = {body.number(expr)};")


def read(body: Body, expr: ir.Global | ir.Element) -> str:
    """C of an integer or symbol that is kept; 0 where there is no entry."""
    if isinstance(expr, ir.Global):
        return body.keep(f"ktrace_read_({scalar(body, expr.name)})")
    made = key(body, expr.array, expr.keys)
    return body.keep(f"ktrace_read_({layout.map_name(expr.array)}.lookup({made.at}))")


def contains(body: Body, array: str, keys: tuple[ir.Expr | None, ...]) -> str:
    """C of whether there is an entry."""
    made = key(body, array, keys)
    return body.keep(f"{layout.map_name(array)}.lookup({made.at}) != 0")


def put_scalar(body: Body, name: str, to: Buffer, *, padded: bool) -> None:
    """Write what copies a scalar string."""
    _put_found(body, body.unit.globals[name], scalar(body, name), to, padded=padded)


def put_element(body: Body, expr: ir.Element, to: Buffer, *, padded: bool) -> None:
    """Write what copies an entry's string; the empty one where there is no entry."""
    made = key(body, expr.array, expr.keys)
    found = f"{layout.map_name(expr.array)}.lookup({made.at})"
    _put_found(body, body.unit.globals[expr.array], found, to, padded=padded)


def _put_found(body: Body, kernel_global: ir.KernelGlobal, pointer: str, to: Buffer, *, padded: bool) -> None:
    found = body.name("found")
    body.put(f"{value_type(kernel_global)} *{found} = {pointer};")
    with body.lines.block(f"if ({found})"):
        source = Buffer(f"{found}->text", kernel_global.value.size)
        script_strings.copy(body, source, to, padded=padded)
    with body.lines.block("else"):
        script_strings.zero(body, to)


# --- setting -----------------------------------------------------------------------------


def assign(body: Body, expr: ir.Assign, *, wanted: bool) -> str:
    """Write an assignment; gives C of the integer that was set if it is wanted."""
    target = expr.target
    if _is_text(body, target):
        assign_text(body, expr)
        return "0"
    if isinstance(target, ir.Local):
        return _assign_local(body, expr)
    if isinstance(target, ir.Global):
        return _assign_scalar(body, expr, wanted=wanted)
    return _assign_element(body, expr, wanted=wanted)


def _is_text(body: Body, target: ir.Expr) -> bool:
    return target.type is ir.Type.STRING and not body.shape(target).symbol


def _assign_local(body: Body, expr: ir.Assign) -> str:
    assert isinstance(expr.target, ir.Local)
    name = body.variables[expr.target.name].c
    value = body.number(expr.value)
    if expr.op:
        value = script_numbers.binary(body, expr.op, name, value, expr)
    body.put(f"{name} = {value};")
    return name


def _assign_scalar(body: Body, expr: ir.Assign, *, wanted: bool) -> str:
    assert isinstance(expr.target, ir.Global)
    value = body.number(expr.value)
    at = scalar(body, expr.target.name)
    if expr.op in ("+", "-"):
        return _add(body, at, negated(value) if expr.op == "-" else value, wanted=wanted, after=True)
    if expr.op:
        old = body.keep(f"ktrace_read_({at})")
        value = script_numbers.binary(body, expr.op, old, value, expr)
    value = body.steady(value) if wanted else value
    body.put(f"ktrace_write_({at}, {value});")
    return value


def negated(value: str) -> str:
    """C of minus a value."""
    return str(-int(value)) if is_constant(value) else f"-{value}"


def _add(body: Body, at: str, by: str, *, wanted: bool, after: bool) -> str:
    """Add to a scalar; gives its value before or after, as far as nobody else adds meanwhile."""
    if not wanted:
        body.put(f"ktrace_add_({at}, {by});")
        return "0"
    pointer, old = body.name("found"), body.name("n")
    body.put(f"s64 *{pointer} = {at};")
    body.put(f"u64 {old} = ktrace_read_({pointer});")
    body.put(f"ktrace_add_({pointer}, {by});")
    return f"({old} + {by})" if after else old


def _assign_element(body: Body, expr: ir.Assign, *, wanted: bool) -> str:
    assert isinstance(expr.target, ir.Element)
    array = expr.target.array
    name = layout.map_name(array)
    made = key(body, array, expr.target.keys)
    value = body.number(expr.value)
    if expr.op in ("+", "-"):
        by = body.steady(negated(value) if expr.op == "-" else value)
        return _add_element(body, array, made, by, expr, wanted=wanted, after=True)
    if expr.op:
        pointer = entry(body, array, made, expr)
        value = body.steady(script_numbers.binary(body, expr.op, f"(u64)*{pointer}", value, expr))
        body.put(f"*{pointer} = {value};")
        return value
    new = body.name("value")
    body.put(f"s64 {new} = {value};")
    _check(body, f"{name}.update({made.at}, &{new})", array, expr)
    return f"(u64){new}"


def _check(body: Body, update: str, array: str, expr: ir.Expr) -> None:
    """Write an insertion; a map that is full is an error, others are in the ledger."""
    with body.lines.block(f"if ({update} == -{_E2BIG})"):
        body.fail(layout.ARRAY_FULL, expr.at, name=array)


def entry(body: Body, array: str, made: Key, expr: ir.Expr | ir.Stmt) -> str:
    """Write what finds an entry or makes it with zeros; gives a pointer that is not NULL."""
    kind = value_type(body.unit.globals[array])
    pointer = body.name("found")
    if kind == "s64":
        empty = f"&{body.use('nothing')}"
    else:
        new = body.name("new")
        body.put(f"{kind} {new} = {{}};")
        empty = f"&{new}"
    body.put(f"{kind} *{pointer} = {layout.map_name(array)}.lookup_or_try_init({made.at}, {empty});")
    with body.lines.block(f"if (!{pointer})"):
        body.fail(layout.ARRAY_FULL, expr.at, name=array)
    return pointer


def _add_element(
    body: Body, array: str, made: Key, by: str, expr: ir.Expr, *, wanted: bool, after: bool
) -> str:
    pointer = entry(body, array, made, expr)
    old = body.keep(f"*{pointer}") if wanted else "0"
    body.put(f"__sync_fetch_and_add({pointer}, {by});")
    return f"({old} + {by})" if after and wanted else old


def step(body: Body, expr: ir.Step, *, wanted: bool) -> str:
    """Write ``++`` or ``--``; gives C of the value if it is wanted."""
    target, by = expr.target, str(expr.by)
    if isinstance(target, ir.Local):
        name = body.variables[target.name].c
        old = body.keep(name) if wanted and not expr.prefix else name
        body.put(f"{name} += {by};")
        return old
    if isinstance(target, ir.Global):
        return _add(body, scalar(body, target.name), by, wanted=wanted, after=expr.prefix)
    made = key(body, target.array, target.keys)
    return _add_element(body, target.array, made, by, expr, wanted=wanted, after=expr.prefix)


def assign_text(body: Body, expr: ir.Assign) -> Buffer:
    """Write an assignment of a string; gives a buffer that holds it."""
    target = expr.target
    value = ir.Concat(target, expr.value, type=ir.Type.STRING, at=expr.at) if expr.op == "." else expr.value
    if isinstance(target, ir.Local):
        variable = body.variables[target.name]
        to = Buffer(variable.c, variable.shape.size)
        if not isinstance(value, ir.Text | ir.Intrinsic | ir.Local) and target.name in locals_read(value):
            script_strings.copy(body, body.text(value), to, padded=True)
        else:
            body.put_text(value, to)
        return to
    shape = body.shape(target)
    made = key(body, target.array, target.keys) if isinstance(target, ir.Element) else None
    to = body.buffer(shape.size)
    body.put_text(value, to)
    kind = value_type(body.unit.globals[target.array if isinstance(target, ir.Element) else target.name])
    if isinstance(target, ir.Element):
        assert made is not None
        update = f"{layout.map_name(target.array)}.update({made.at}, ({kind} *){to.at})"
        _check(body, update, target.array, expr)
        return to
    pointer = body.name("found")
    body.put(f"{kind} *{pointer} = {scalar(body, target.name)};")
    with body.lines.block(f"if ({pointer})"):
        script_strings.copy(body, to, Buffer(f"{pointer}->text", shape.size), padded=True)
    return to


def delete(body: Body, statement: ir.Delete) -> None:
    """Write the removal of an entry, or set a scalar to what it was first.

    Raises:
        ValueError: A whole array, a slice, or statistics that are no array.
    """
    target = statement.target
    if isinstance(target, ir.Element):
        _delete_entry(body, target)
        return
    variable = body.unit.globals[target.name].variable
    if variable.keys or variable.type is ir.Type.STATISTICS:
        raise ValueError(f"{target.name!r} cannot be deleted in the kernel")
    if variable.type is ir.Type.STRING:
        first: ir.Expr = ir.Text(str(variable.initial or ""), type=ir.Type.STRING)
    else:
        first = ir.Number(int(variable.initial or 0))
    assign(body, ir.Assign(target, "", first, type=variable.type, at=statement.at), wanted=False)


def _delete_entry(body: Body, target: ir.Element) -> None:
    kernel_global = body.unit.globals[target.array]
    histograms = kernel_global.variable.histograms
    made = key(body, target.array, target.keys, buckets=bool(histograms))
    body.put(f"{layout.map_name(target.array)}.delete({made.at});")
    for i, histogram in enumerate(histograms):
        index = body.name("bucket")
        count = layout.bucket_count(histogram)
        with body.lines.block(f"for (u32 {index} = 0; {index} < {count}; {index}++)"):
            body.put(f"{made.bucket_member} = {index};")
            body.put(f"{layout.buckets_map_name(target.array, i)}.delete({made.bucket});")
