"""From a C type to columns.

The types come from the program's own BTF, which LLVM wrote, so names, offsets
and bit-fields are exactly the compiler's. A structure becomes one column per
scalar member:

=================================== ===========================================
C                                   column
=================================== ===========================================
``u8`` … ``u64``, ``s8`` … ``s64``  the numpy integer of that size, exact
``bool``                            bool
``char name[n]``                    categorical of strings, up to the first NUL
``enum``                            categorical of the enumerators' names
pointers                            uint64
bit-fields                          the smallest integer that holds them
``__be16``, ``__be32``, ``__be64``  unsigned, turned to this machine's order
``struct in_addr``, ``__be32 *addr``  categorical of IPv4 addresses as text
``struct in6_addr``                 categorical of IPv6 addresses as text
``__int128``                        Python integers (object); IPv6 text if ``*addr``
members of structs                  ``outer.inner``; anonymous ones without prefix
members of unions                   all of them, side by side
short arrays                        ``name[0]``, ``name[1]``, …
arrays of over 32 elements          lists (object)
=================================== ===========================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, RECORDS, Kind

LONGEST_FLAT_ARRAY = 32

INTEGER, BOOL, TEXT, ENUM, BITS, IPV4, IPV6, WIDE, ARRAY = (
    "integer", "bool", "text", "enum", "bits", "ipv4", "ipv6", "wide", "array",
)  # fmt: skip

_BIG_ENDIAN = {"__be16": ">u2", "__be32": ">u4", "__be64": ">u8"}
_ADDRESS = re.compile(r"addr\d*(\.|$)|_ip$|^ip$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Column:
    """One scalar of a record."""

    name: str
    offset: int
    """Bytes from the start of the record; for bit-fields of the first byte they touch."""
    dtype: str
    """How the bytes are read, as numpy spells it; ``V`` for what needs more than a view."""
    kind: str = INTEGER
    names: tuple[tuple[int, str], ...] = ()
    """An enum's constants."""
    bit: int = 0
    """Of a bit-field: bits to its right within its first byte."""
    bits: int = 0
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """A record of fixed size."""

    type_name: str
    size: int
    columns: tuple[Column, ...]


def layout_of(btf: Btf, type_id: int, scalar_name: str) -> Layout:
    """The layout of a type; ``scalar_name`` names the column of one that is no structure.

    Raises:
        FactError: The type has no size, or the BTF is malformed.
    """
    resolved = btf.resolve(type_id)
    size = btf.size(type_id)
    address = _address(btf, type_id, scalar_name)
    if btf.kind(resolved) in RECORDS and address is None:
        return Layout(type_name(btf, type_id), size, tuple(_unique(_members(btf, resolved, "", 0))))
    return Layout(type_name(btf, type_id), size, tuple(_columns(btf, type_id, scalar_name, 0)))


def plain_layout(size: int, scalar_name: str) -> Layout:
    """The layout of bytes whose type nobody knows: a number where one fits."""
    if size in (1, 2, 4, 8):
        return Layout(f"u{8 * size}", size, (Column(scalar_name, 0, f"<u{size}"),))
    return Layout(f"char [{size}]", size, (Column(scalar_name, 0, f"V{size}", ARRAY),))


def type_name(btf: Btf, type_id: int) -> str:
    """A type as C spells it, without qualifiers: ``struct data_t``, ``u32``."""
    type_id = btf.unqualified(type_id)
    kind = btf.kind(type_id)
    prefix = {Kind.STRUCT: "struct ", Kind.UNION: "union ", Kind.ENUM: "enum ", Kind.ENUM64: "enum "}
    return prefix.get(kind, "") + btf.name(type_id)


def _members(btf: Btf, record: int, prefix: str, start: int) -> Iterator[Column]:
    """Columns of a structure; ``start`` is its offset in bits."""
    for member in btf.members(record):
        name = prefix + member.name
        at = start + member.bit_offset
        if member.bitfield_size:
            if member.name:
                yield _bitfield(btf, member.type_id, name, at, member.bitfield_size)
        elif member.name:
            yield from _columns(btf, member.type_id, name, at)
        else:
            yield from _members(btf, btf.resolve(member.type_id), prefix, at)


def _columns(btf: Btf, type_id: int, name: str, at: int) -> Iterator[Column]:
    address = _address(btf, type_id, name)
    offset = at // 8
    if address is not None:
        yield Column(name, offset, "S4" if address == IPV4 else "V16", address)
        return
    big_endian = next((_BIG_ENDIAN[n] for n in _typedefs(btf, type_id) if n in _BIG_ENDIAN), None)
    resolved = btf.resolve(type_id)
    kind = btf.kind(resolved)
    if big_endian:
        yield Column(name, offset, big_endian)
    elif kind in RECORDS:
        yield from _members(btf, resolved, f"{name}.", at)
    elif kind is Kind.ARRAY:
        yield from _array(btf, resolved, name, at)
    elif kind in ENUMS:
        constants = tuple((e.value, e.name) for e in btf.enumerators(resolved))
        sign = "i" if btf.is_signed(resolved) else "u"
        yield Column(name, offset, f"<{sign}{btf.size(resolved)}", ENUM, constants)
    elif kind is Kind.INT:
        yield _integer(btf, resolved, name, offset)
    elif kind is Kind.PTR:
        yield Column(name, offset, f"<u{btf.pointer_size}")
    elif kind is Kind.FLOAT:
        yield Column(name, offset, f"<f{btf.size(resolved)}")
    else:
        yield Column(name, offset, f"V{btf.size(resolved)}", ARRAY)


def _integer(btf: Btf, type_id: int, name: str, offset: int) -> Column:
    integer = btf.integer(type_id)
    if integer.boolean:
        return Column(name, offset, "?", BOOL)
    if integer.size == 16:
        kind = IPV6 if _ADDRESS.search(name) else WIDE
        return Column(name, offset, "V16", kind, signed=integer.signed)
    return Column(name, offset, f"<{'i' if integer.signed else 'u'}{integer.size}")


def _bitfield(btf: Btf, type_id: int, name: str, at: int, bits: int) -> Column:
    resolved = btf.resolve(type_id)
    signed = btf.kind(resolved) is Kind.INT and btf.is_signed(resolved)
    size = next(s for s in (1, 2, 4, 8) if 8 * s >= bits)
    return Column(
        name, at // 8, f"<{'i' if signed else 'u'}{size}", BITS, bit=at % 8, bits=bits, signed=signed
    )


def _array(btf: Btf, type_id: int, name: str, at: int) -> Iterator[Column]:
    element, length = btf.array(type_id).element_id, btf.array(type_id).length
    if not length:
        return
    resolved = btf.resolve(element)
    is_char = btf.kind(resolved) is Kind.INT and btf.name(resolved) == "char"
    if is_char:
        yield Column(name, at // 8, f"S{length}", TEXT)
    elif length <= LONGEST_FLAT_ARRAY:
        step = 8 * btf.size(element)
        for i in range(length):
            yield from _columns(btf, element, f"{name}[{i}]", at + i * step)
    else:
        # Nested arrays and arrays of structures stay bytes; scalars become lists.
        inner = list(_columns(btf, element, "", 0))
        plain = len(inner) == 1 and inner[0].kind == INTEGER
        dtype = f"({length},){inner[0].dtype}" if plain else f"V{length * btf.size(element)}"
        yield Column(name, at // 8, dtype, ARRAY)


def _typedefs(btf: Btf, type_id: int) -> Iterator[str]:
    """Names of the typedefs around a type, the outermost first."""
    type_id = btf.unqualified(type_id)
    while btf.kind(type_id) is Kind.TYPEDEF:
        yield btf.name(type_id)
        type_id = btf.unqualified(btf.referent(type_id))


def _address(btf: Btf, type_id: int, name: str) -> str | None:
    """Whether a type is declared to be an IP address."""
    resolved = btf.resolve(type_id)
    if btf.kind(resolved) in RECORDS:
        return {"in_addr": IPV4, "in6_addr": IPV6}.get(btf.name(resolved))
    if "__be32" in _typedefs(btf, type_id) and _ADDRESS.search(name):
        return IPV4
    return None


def _unique(columns: Iterator[Column]) -> Iterator[Column]:
    """Drop later columns of a name already taken (members of anonymous unions may collide)."""
    seen: set[str] = set()
    for column in columns:
        if column.name not in seen:
            seen.add(column.name)
            yield column
