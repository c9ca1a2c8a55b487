"""From a value to what it leads to: ``->member``, ``[index]``, and the number at the end.

A :class:`Spot` is a typed place, in memory or in a register. Each accessor makes
another of it; :func:`value` reads the number there, :func:`address` tells where it
is. As in SystemTap ``->`` goes through any number of pointers and into embedded
structs alike, an array's value is its address, and a struct has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ktrace_nb.diagnostics import near_hint
from ktrace_nb.errors import CellError
from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, RECORDS, Kind, Member
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.variables_types import (
    complete,
    ctype_text,
    is_signed,
    member_names,
    points_to_user,
)
from ktrace_nb.source import Place

WORD = 8
"""Bytes of the largest number; a pointer's too, on every machine that is traced."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Something of a type, in memory or in a register."""

    btf: Btf
    type_id: int
    """0: unknown."""
    expr: ir.Expr
    """Its address; its value if it is not in memory."""
    in_memory: bool
    user: bool
    """Whether it, or what it points to, is in the process's memory."""
    text: str
    """How the script writes it, for messages."""
    shift: int = 0
    """Of a bit-field, or of a part of a register: bits below it."""
    bits: int = 0
    """Of a bit-field: its width."""

    @property
    def kind(self) -> Kind:
        """What its type is behind all names."""
        return self.btf.kind(self.resolved)

    @property
    def resolved(self) -> int:
        """Its type behind all names."""
        return complete(self.btf, self.type_id)

    @property
    def type_text(self) -> str:
        """Its type in C."""
        return ctype_text(self.btf, self.type_id)


def follow(spot: Spot, accessor: tree.Accessor, convert: Callable[[tree.Expression], ir.Expr]) -> Spot:
    """Where an accessor leads.

    Raises:
        CellError: Nowhere.
    """
    if isinstance(accessor, tree.Member):
        return member(spot, accessor.name, accessor.at)
    assert isinstance(accessor, tree.Subscript)
    return element(spot, convert(accessor.index), accessor.at)


def member(spot: Spot, name: str, at: Place) -> Spot:
    """``spot->name``."""
    record = _record(spot, f"->{name}", at)
    found = record.btf.member(record.resolved, name)
    if found is None:
        known = member_names(record.btf, record.resolved)
        hint = near_hint(name, known) or _list("its members are", known)
        raise CellError(f"{record.type_text} has no member '{name}'", at.source, at.span, hint=hint)
    return inside(record, found, f"{spot.text}->{name}")


def inside(record: Spot, found: Member, text: str) -> Spot:
    """A member of a record, by its description."""
    spot = replace(record, type_id=found.type_id, text=text, bits=found.bitfield_size)
    offset = found.bit_offset
    if not record.in_memory:
        return replace(spot, shift=record.shift + offset)
    if not found.bitfield_size:
        return replace(spot, expr=moved(record.expr, offset // 8), shift=0)
    # The unit that the type gives is where compilers put the field; in a packed struct it
    # may lie across two of them, and then the bytes it touches are what there is to read.
    size = record.btf.size(found.type_id)
    start = offset // (8 * size) * size
    if offset + found.bitfield_size > 8 * (start + size):
        start = offset // 8
    return replace(spot, expr=moved(record.expr, start), shift=offset - 8 * start)


def element(spot: Spot, index: ir.Expr, at: Place) -> Spot:
    """``spot[index]``."""
    btf, kind, resolved = spot.btf, spot.kind, spot.resolved
    text = f"{spot.text}[{index.value if isinstance(index, ir.Number) else '...'}]"
    if kind is Kind.ARRAY and spot.in_memory:
        return indexed(replace(spot, type_id=btf.array(resolved).element_id, text=text), index, at)
    if kind is Kind.PTR:
        start = replace(pointee(spot), text=text)
        if not start.resolved:
            raise _untyped(spot, "[]", at)
        return indexed(start, index, at)
    if not spot.type_id:
        raise _unknown(spot, at)
    raise CellError(f"[] needs an array or a pointer, {spot.text} is {spot.type_text}", at.source, at.span)


def indexed(first: Spot, index: ir.Expr, at: Place) -> Spot:
    """The element ``index`` of an array that begins with ``first``."""
    if first.kind in (Kind.FWD, Kind.FUNC_PROTO, Kind.VOID):
        raise CellError(f"the size of {first.type_text} is not known", at.source, at.span)
    size = first.btf.size(first.type_id)
    if isinstance(index, ir.Number):
        return replace(first, expr=moved(first.expr, index.value * size))
    scaled = index if size == 1 else ir.Binary("*", index, ir.Number(size))
    return replace(first, expr=ir.Binary("+", first.expr, scaled))


def pointee(spot: Spot) -> Spot:
    """What a pointer points to; the pointer itself is read for it."""
    target = spot.btf.referent(spot.resolved)
    user = spot.user or points_to_user(spot.btf, spot.resolved)
    return Spot(spot.btf, target, _pointer(spot), True, user, f"*{spot.text}")


def _record(spot: Spot, access: str, at: Place) -> Spot:
    """The struct or union that a spot is or leads to."""
    if not spot.type_id:
        raise _unknown(spot, at)
    reached = spot
    while reached.kind is Kind.PTR:
        reached = pointee(reached)
        if not reached.resolved:
            raise _untyped(spot, access, at)
    if reached.kind is Kind.FWD:
        raise CellError(
            f"the kernel does not tell what is in {reached.type_text}",
            at.source,
            at.span,
            hint=f'@cast({spot.text}, "type", "module"){access} finds the types of a module',
        )
    if reached.kind not in RECORDS:
        raise CellError(
            f"{access} needs a struct or union, {spot.text} is {spot.type_text}", at.source, at.span
        )
    if not reached.in_memory and reached.btf.size(reached.type_id) > WORD:
        raise CellError(
            f"{spot.text} is {spot.type_text} passed by value, which cannot be read", at.source, at.span
        )
    return reached


def value(spot: Spot, at: Place) -> ir.Expr:
    """The number a spot holds.

    Raises:
        CellError: It holds none: a struct, a floating-point number.
    """
    if not spot.type_id:
        return spot.expr if not spot.in_memory else ir.Load(spot.expr, WORD, True, spot.user, at=at)
    btf, kind, resolved = spot.btf, spot.kind, spot.resolved
    if kind is Kind.ARRAY and spot.in_memory:
        return spot.expr
    if kind is Kind.PTR:
        return _pointer(spot, at)
    if kind in RECORDS:
        raise CellError(
            f"{spot.text} is {spot.type_text}, which is no number", at.source, at.span, hint=_instead(spot)
        )
    if kind not in ENUMS | {Kind.INT} or btf.size(resolved) > WORD:
        raise CellError(
            f"{spot.text} is {spot.type_text}, which cannot be read as a number", at.source, at.span
        )
    size, signed = btf.size(resolved), is_signed(btf, resolved)
    if not spot.in_memory:
        return _register(spot, size, signed, at)
    if not spot.bits:
        return ir.Load(spot.expr, size, signed, spot.user, at=at)
    touched = spot.shift + spot.bits
    size = max(size, next((s for s in (1, 2, 4, 8) if 8 * s >= touched), WORD + 1))
    if size > WORD:
        raise CellError(f"{spot.text} is a bit-field that lies across nine bytes", at.source, at.span)
    return ir.Load(spot.expr, size, signed, spot.user, spot.shift, spot.bits, at=at)


def address(spot: Spot, at: Place) -> ir.Expr:
    """Where a spot is.

    Raises:
        CellError: In a register, or inside a byte.
    """
    if spot.bits:
        raise CellError(f"{spot.text} is a bit-field, which has no address", at.source, at.span)
    if not spot.in_memory:
        raise CellError(
            f"{spot.text} is in a register, it has no address",
            at.source,
            at.span,
            hint="& gives the address of what a pointer leads to, such as &$pointer->member",
        )
    return spot.expr


def moved(start: ir.Expr, offset: int) -> ir.Expr:
    """An address some bytes further."""
    if not offset:
        return start
    if isinstance(start, ir.Binary) and start.op == "+" and isinstance(start.right, ir.Number):
        return moved(start.left, start.right.value + offset)
    if isinstance(start, ir.Number):
        return ir.Number(wrapped(start.value + offset))
    return ir.Binary("+", start, ir.Number(offset))


def wrapped(number: int) -> int:
    """A number as 64 bits with sign hold it: addresses of the kernel are negative."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _pointer(spot: Spot, at: Place | None = None) -> ir.Expr:
    if spot.in_memory:
        return ir.Load(spot.expr, WORD, False, spot.user, at=at)
    return spot.expr


def _register(spot: Spot, size: int, signed: bool, at: Place) -> ir.Expr:
    if spot.bits:  # to the top, and back down with or without the sign
        up = ir.Binary("<<", spot.expr, ir.Number(64 - spot.shift - spot.bits))
        down = ir.Binary(">>", up, ir.Number(64 - spot.bits))
        return down if signed else ir.Binary("&", down, ir.Number(wrapped((1 << spot.bits) - 1)))
    expr = ir.Binary(">>", spot.expr, ir.Number(spot.shift)) if spot.shift else spot.expr
    return expr if size == WORD else ir.Extend(expr, size, signed, at=at)


def _instead(record: Spot) -> str | None:
    """What there is to read of a struct or union."""
    ways = [
        f"a member such as {record.text}->{name}" for name in member_names(record.btf, record.resolved)[:1]
    ]
    if record.in_memory:
        ways += [f"its address &{record.text}", f"all of it as text, {record.text}$"]
    elif record.btf.size(record.type_id) > WORD:
        return None  # by value, in more than one register
    return f"take {' or '.join(ways)}" if ways else None


def _unknown(spot: Spot, at: Place) -> CellError:
    return CellError(
        f"the type of {spot.text} is not known",
        at.source,
        at.span,
        hint=f'say what it is: @cast({spot.text}, "struct name")->member',
    )


def _untyped(spot: Spot, access: str, at: Place) -> CellError:
    return CellError(
        f"{spot.text} is {spot.type_text}: {access} needs to know what it points to",
        at.source,
        at.span,
        hint=f'say what it is: @cast({spot.text}, "struct name")->member',
    )


def _list(lead: str, names: list[str], most: int = 12) -> str | None:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{lead} {', '.join(names[:most])}{more}" if names else None
