"""The form of BTF: kinds of types, what each says, and where each begins.

Source: Linux ``Documentation/bpf/btf.rst`` and ``include/uapi/linux/btf.h``.
"""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from ktrace_nb.kernel.errors import FactError

Words: TypeAlias = "array[int]"
"""32-bit words."""


class Kind(IntEnum):
    """``BTF_KIND_*``."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


KINDS = tuple(Kind)
QUALIFIERS = frozenset((Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG))
RECORDS = frozenset((Kind.STRUCT, Kind.UNION))
ENUMS = frozenset((Kind.ENUM, Kind.ENUM64))
TAGGED = RECORDS | ENUMS
REFERRING = QUALIFIERS | {Kind.PTR, Kind.TYPEDEF, Kind.FUNC, Kind.VAR, Kind.DECL_TAG}

MAX_DEPTH = 32
"""How many types may refer on to the next. Source: ``MAX_RESOLVE_DEPTH``, Linux ``kernel/bpf/btf.c``."""

NAMED = TAGGED | {Kind.INT, Kind.FWD, Kind.TYPEDEF, Kind.FUNC, Kind.VAR, Kind.DATASEC, Kind.FLOAT}


# How many 32-bit words follow the three that every type has: always, and for each element.
_TAIL: dict[int, tuple[int, int]] = {
    **dict.fromkeys(Kind, (0, 0)),
    Kind.INT: (1, 0),
    Kind.ARRAY: (3, 0),
    Kind.STRUCT: (0, 3),
    Kind.UNION: (0, 3),
    Kind.ENUM: (0, 2),
    Kind.FUNC_PROTO: (0, 2),
    Kind.VAR: (1, 0),
    Kind.DATASEC: (0, 3),
    Kind.DECL_TAG: (1, 0),
    Kind.ENUM64: (0, 3),
}
# An unknown kind is sent far past the end, which spares the walk a test per type.
_UNKNOWN = 1 << 40


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union."""

    name: str
    """Empty for an anonymous struct or union."""

    type_id: int
    bit_offset: int
    bitfield_size: int
    """Bits; 0 if the member is not a bit-field."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function; type 0 at the end of the list stands for ``...``."""

    name: str
    type_id: int


@dataclass(frozen=True, slots=True)
class Enumerator:
    """One constant of an enum."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Array:
    """An array type; a flexible array has length 0."""

    element_id: int
    length: int


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer type of the language."""

    size: int
    """Bytes."""

    signed: bool
    boolean: bool


@dataclass(frozen=True, slots=True)
class SectionEntry:
    """Where a variable stands in its section; ``type_id`` is the VAR."""

    type_id: int
    offset: int
    size: int


def read_sections(data: bytes, *, split: bool) -> tuple[Words, bytes, str]:
    """The type words, turned to this machine's byte order, the strings, and the order they came in."""
    if len(data) < 24:
        raise FactError(f"malformed BTF: {len(data)} bytes are too few")
    order = {b"\x9f\xeb": "<", b"\xeb\x9f": ">"}.get(bytes(data[:2]))
    if order is None:
        raise FactError(f"expected BTF, found bytes that begin with {bytes(data[:4])!r}")
    head = struct.unpack_from(order + "HBBIIIII", data)
    version, header_size, types_at, types_size, strings_at, strings_size = head[1], *head[3:]
    if version != 1:
        raise FactError(f"BTF of version {version}, expected 1")
    types = data[header_size + types_at : header_size + types_at + types_size]
    strings = bytes(data[header_size + strings_at : header_size + strings_at + strings_size])
    if len(types) != types_size or len(strings) != strings_size or types_size % 4:
        raise FactError("malformed BTF: a section is cut off")
    # A split blob needs no empty string in front, its base has one.
    if (strings and strings[-1]) or (not split and strings[:1] != b"\0"):
        raise FactError("malformed BTF: the strings do not begin and end with a NUL byte")
    words = array("I")
    words.frombytes(types)
    byte_order = "little" if order == "<" else "big"
    if byte_order != sys.byteorder:
        words.byteswap()
    return words, strings, byte_order


def find_types(words: Words) -> Words:
    """Where each type begins, in words."""
    always, each = zip(*(_TAIL[k] if 0 < k < len(KINDS) else (_UNKNOWN, 0) for k in range(32)), strict=True)
    places = array("I")
    add = places.append
    place, end = 0, len(words)
    try:
        while place < end:
            add(place)
            info = words[place + 1]
            kind = info >> 24 & 31
            place += 3 + always[kind] + each[kind] * (info & 0xFFFF)
    except IndexError:
        raise FactError("malformed BTF: the last type is cut off") from None
    if place >= _UNKNOWN:
        raise FactError(f"BTF with a type of kind {kind}, which this version does not know")
    if place != end:
        raise FactError("malformed BTF: the last type is cut off")
    return places
