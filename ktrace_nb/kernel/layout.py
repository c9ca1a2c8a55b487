"""Where a C compiler would put the members of a struct, and how to make it put them elsewhere.

BTF says where every member stands, not which attributes the source carried.
A record whose offsets no compiler would choose must have been packed; for any
other, alignment follows from the members.

Source of the rules: System V ABI, AMD64 supplement, section 3.1.2
("Aggregates and Unions", "Bit-Fields"); other LP64 ABIs of Linux agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, RECORDS, Kind, Member
from ktrace_nb.kernel.errors import FactError

MAX_ALIGNMENT = 16
"""Bytes; that of ``__int128`` and ``long double``."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Room between members: whole bytes from a byte boundary on, or fewer than 8 bits."""

    bits: int


class Layout:
    """How the records of one BTF are laid out."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._alignment: dict[int, int] = {}
        self._packed: set[int] = set()
        self._open: set[int] = set()

    def alignment(self, type_id: int) -> int:
        """The alignment in bytes that the type needs by itself, 1 where it is packed.

        Raises:
            FactError: A record contains itself.
        """
        btf = self._btf
        type_id = btf.resolve(type_id)
        while (kind := btf.kind(type_id)) is Kind.ARRAY:
            type_id = btf.resolve(btf.array(type_id).element_id)
        if kind in RECORDS:
            if type_id not in self._alignment:
                self._measure(type_id)
            return self._alignment[type_id]
        if kind is Kind.PTR:
            return btf.pointer_size
        if kind in (Kind.INT, Kind.FLOAT) or kind in ENUMS:
            return min(btf.size(type_id), MAX_ALIGNMENT)
        return 1

    def is_packed(self, record: int) -> bool:
        """Whether a struct or union must carry ``__attribute__((packed))``."""
        self.alignment(record)
        return record in self._packed

    def members(self, record: int) -> Iterator[Member | Gap]:
        """The members of a struct or union, and what must stand between and behind them.

        With the gaps written out, and packed if :meth:`is_packed` says so, a
        compiler gives every member its offset and the record its size.

        Raises:
            FactError: Members overlap or lie outside the record.
        """
        btf = self._btf
        union = btf.kind(record) is Kind.UNION
        packed = self.is_packed(record)
        used = 0  # bits the compiler has given out
        for member in btf.members(record):
            width = member.bitfield_size or 8 * btf.size(member.type_id)
            start = member.bit_offset
            if union:
                if start:
                    raise FactError(f"malformed BTF: a member of union {record} does not begin at 0")
            elif start < used:
                raise FactError(f"malformed BTF: members of type {record} overlap")
            elif member.bitfield_size:
                yield from _bit_gaps(used, start)
            else:
                unit = 8 if packed else 8 * self.alignment(member.type_id)
                if _round_up(used, unit) != start:
                    yield Gap(start - _round_up(used, 8))
            yield member
            used = max(used, start + width)
        size = 8 * btf.size(record)
        if used > size:
            raise FactError(f"malformed BTF: members of type {record} lie outside it")
        if _round_up(used, 8 * self.alignment(record)) != size:
            yield Gap(size if union else size - _round_up(used, 8))

    def _measure(self, record: int) -> None:
        btf = self._btf
        if record in self._open:
            raise FactError(f"malformed BTF: {btf.name(record)!r} (type {record}) contains itself")
        self._open.add(record)
        alignment, packed = 1, False
        for member in btf.members(record):
            own = self.alignment(member.type_id)
            if member.bitfield_size:
                # A bit-field never crosses a boundary of its declared type.
                unit = 8 * btf.size(member.type_id)
                last = member.bit_offset + member.bitfield_size - 1
                packed |= member.bit_offset // unit != last // unit
            else:
                packed |= bool(member.bit_offset % (8 * own))
            alignment = max(alignment, own)
        packed |= bool(btf.size(record) % alignment)
        if packed:
            self._packed.add(record)
        self._alignment[record] = 1 if packed else alignment
        self._open.remove(record)


def _bit_gaps(used: int, start: int) -> Iterator[Gap]:
    """What fills the bits from ``used`` to ``start``: up to a byte, bytes, the rest."""
    if used % 8 and start > used:
        rest = min(start - used, 8 - used % 8)
        yield Gap(rest)
        used += rest
    whole = (start - used) // 8 * 8
    if whole:
        yield Gap(whole)
    if start - used - whole:
        yield Gap(start - used - whole)


def _round_up(bits: int, unit: int) -> int:
    return -(-bits // unit) * unit
