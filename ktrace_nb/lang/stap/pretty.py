"""Values as text: ``$$parms``, ``$var$``, ``$var$$``.

The forms are SystemTap's, down to its odd ones: an array shows its first element
and ``...``, an anonymous struct is ``<class>``, a plain ``$`` shows nested ones as
``{...}`` and arrays as ``[...]``, and after 32 values ``...`` ends a struct.
Source: the manual page stapprobes(3stap), "CONTEXT VARIABLES"; what it leaves
open was looked up in SystemTap's behaviour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ktrace_nb.errors import CellError
from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.btf_format import ENUMS, RECORDS, Kind
from ktrace_nb.lang.stap import variables_walk as walk
from ktrace_nb.lang.stap.variables_types import complete, is_character, is_signed
from ktrace_nb.lang.stap.variables_walk import Spot
from ktrace_nb.source import Place

MOST_VALUES = 32
"""Values that one text may have."""
UNREADABLE = "<unknown>"
"""Stands for a string that cannot be read, as in SystemTap's ``user_string``."""


class Printer:
    """Collects the pieces and values of one text.

    Args:
        at: The place in the script.
        saved: Takes a value at the entry where it is gone at the return.
    """

    def __init__(self, at: Place, saved: Callable[[ir.Expr], ir.Expr]) -> None:
        self._at = at
        self._saved = saved
        self._pieces: list[ir.Piece] = []
        self._values: list[ir.Expr] = []
        self._literal = ""

    def result(self) -> ir.Expr:
        """The text; a constant if nothing of it is a value."""
        if not self._values:
            return ir.Text(self._literal, type=ir.Type.STRING, at=self._at)
        self._end_literal()
        return ir.Format(tuple(self._pieces), tuple(self._values), type=ir.Type.STRING, at=self._at)

    def text(self, literal: str) -> None:
        """Add text as it is."""
        self._literal += literal

    def _end_literal(self) -> None:
        if self._literal:
            self._pieces.append(ir.Piece(text=self._literal))
            self._literal = ""

    # --- one value -----------------------------------------------------------------------

    def plain(self, spot: Spot, *, pointers: bool) -> None:
        """Add a variable as ``$$parms`` does: in hexadecimal, aggregates as a placeholder.

        Args:
            spot: The variable.
            pointers: Whether a pointer is shown as one (``%p``): tracepoints do.
        """
        if spot.type_id and spot.kind in RECORDS | {Kind.ARRAY}:
            self.text("{...}" if spot.kind in RECORDS else "[...]")
        elif pointers and spot.type_id and spot.kind is Kind.PTR:
            self._number(spot, "p")
        else:
            self._number(spot, "x", "#")

    def pretty(self, spot: Spot, *, deep: bool) -> None:
        """Add a value with what is in it, as ``$`` (one level) or ``$$`` does."""
        self._value(spot, deep=deep, top=True)

    def _value(self, spot: Spot, *, deep: bool, top: bool = False) -> None:
        kind = spot.kind if spot.type_id else Kind.INT
        if kind is Kind.ARRAY:
            self._array(spot, deep=deep, top=top)
        elif kind is Kind.PTR:
            self._pointer(spot, deep=deep, top=top)
        elif kind in RECORDS or kind is Kind.FWD:
            self._record(spot, deep=deep, top=top)
        elif kind is Kind.INT or kind in ENUMS:
            self._integer(spot)
        else:  # floating-point numbers
            self.text("?")

    def _integer(self, spot: Spot) -> None:
        if spot.type_id and is_character(spot.btf, spot.type_id) and not spot.bits:
            self._number(spot, "c", "#", quote="'")
        elif spot.type_id and _is_unsigned(spot):
            self._number(spot, "u")
        else:
            self._number(spot, "i")

    def _array(self, spot: Spot, *, deep: bool, top: bool) -> None:
        if not (deep or top):
            self.text("[...]")
            return
        element_id = spot.btf.array(spot.resolved).element_id
        if is_character(spot.btf, element_id) and spot.in_memory:
            self._string(spot)
            return
        self.text("[")
        self._value(walk.element(spot, ir.Number(0), self._at), deep=deep)
        self.text(", ...]")

    def _pointer(self, spot: Spot, *, deep: bool, top: bool) -> None:
        btf = spot.btf
        target = complete(btf, btf.referent(spot.resolved))
        if target and is_character(btf, target):
            self._string(spot)
        elif top and target and btf.kind(target) in RECORDS:
            self._value(walk.pointee(spot), deep=deep, top=True)
        elif top and target and btf.kind(target) is Kind.FUNC_PROTO:
            self.text("<function>:")
            self._number(spot, "p")
        else:
            self._number(spot, "p")

    def _record(self, spot: Spot, *, deep: bool, top: bool) -> None:
        if spot.kind is Kind.FWD or not (deep or top):
            self.text("{...}")
            return
        self.text("{")
        btf = spot.btf
        first = True
        for member in btf.members(spot.resolved):
            inner = btf.kind(btf.resolve(member.type_id))
            if not member.name and inner not in RECORDS:
                continue  # a bit-field without a name is padding
            self.text("" if first else ", ")
            first = False
            if len(self._values) >= MOST_VALUES:
                self.text("...")
                break
            self.text((f".{member.name}" if member.name else _ANONYMOUS[inner]) + "=")
            self._value(walk.inside(spot, member, f"{spot.text}->{member.name}"), deep=deep)
        self.text("}")

    def _string(self, spot: Spot) -> None:
        """A string in quotes; a pointer to none as the number that it is."""
        where = spot.expr if spot.kind is Kind.ARRAY else walk.value(spot, self._at)
        string = ir.Type.STRING
        name = "user_string2" if spot.user else "kernel_string2"
        # An array is never nowhere.
        read = ir.Intrinsic(name, (where, ir.Text(UNREADABLE, type=string)), type=string, at=self._at)
        quoted: ir.Expr = ir.Intrinsic("string_quoted", (self._saved(read),), type=string, at=self._at)
        if spot.kind is not Kind.ARRAY:
            is_null = ir.Compare("==", self._saved(where), ir.Number(0))
            quoted = ir.Choose(is_null, ir.Text("0x0", type=string), quoted, type=string)
        self._add(ir.Piece(conversion="s"), quoted)

    def _number(self, spot: Spot, conversion: str, flags: str = "", quote: str = "") -> None:
        try:
            number = walk.value(spot, self._at)
        except CellError:
            self.text("?")
            return
        self.text(quote)
        self._add(ir.Piece(conversion=conversion, flags=flags), self._saved(number))
        self.text(quote)

    def _add(self, piece: ir.Piece, value: ir.Expr) -> None:
        self._end_literal()
        self._pieces.append(piece)
        self._values.append(replace(value, at=self._at))


_ANONYMOUS = {Kind.STRUCT: "<class>", Kind.UNION: "<union>"}


def _is_unsigned(spot: Spot) -> bool:
    """Whether SystemTap shows a number as unsigned: it takes truth values for signed."""
    resolved = spot.resolved
    if spot.kind is Kind.INT and spot.btf.integer(resolved).boolean:
        return False
    return not is_signed(spot.btf, resolved)
