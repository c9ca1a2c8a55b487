"""Tracepoints as tracefs describes them.

The ``format`` file of a tracepoint tells what its record holds; a program
attached to it gets a pointer to that record. :func:`record_struct` writes it as
the C struct that bcc's users know by the name ``tracepoint__CATEGORY__EVENT``.

Source of the format: Linux ``Documentation/trace/events.rst``, "Event formats".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, RECORDS, Kind
from ktrace_nb.kernel.errors import FactError

COMMON = 8
"""Bytes at the start of a record that a program may not read. Source: bcc's ``__do_not_use__``, and
``tp_prog_is_valid_access`` in Linux ``kernel/trace/bpf_trace.c``: the first word is the kernel's own."""

_FIELD = re.compile(
    r"\tfield:(?P<declaration>[^;]*);\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);(?:\s*signed:(?P<signed>\d);)?"
)
_DECLARATION = re.compile(r"(?P<type>.*?)\s*\b(?P<name>\w+)(?P<dimensions>(?:\[[^\]]*\])*)", re.DOTALL)
_DYNAMIC = re.compile(r"__(?P<how>data|rel)_loc\s+(?P<type>.*?)\s*(?:\[\])?")
_INTEGERS = {1: "char", 2: "short", 4: "int", 8: "long long"}
_C_SIZES = {"_Bool": 1, "char": 1, "short": 2, "int": 4, "long": 8, "signed": 4, "unsigned": 4}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a tracepoint's record."""

    name: str
    type: str
    """As the kernel's source writes it: ``const char *``; of an array, its element's."""

    offset: int
    """Bytes from the start of the record."""

    size: int
    """Bytes; of a dynamic array, the four that say where it is."""

    signed: bool
    dimensions: str
    """``[16]``, ``[TASK_COMM_LEN]``, ``[]``; empty if it is no array."""

    dynamic: str
    """``data`` if the field holds offset and length of an array elsewhere in the
    record, ``rel`` if that offset counts from the field's end, else empty."""

    @property
    def words(self) -> list[str]:
        """The identifiers in the type."""
        return re.findall(r"[A-Za-z_]\w*", self.type)


@dataclass(frozen=True)
class Format:
    """What a tracepoint records."""

    name: str
    id: int
    fields: tuple[Field, ...]
    """Those common to all tracepoints first."""

    print_format: str
    """How the kernel would print a record: a format and C expressions, as text."""

    @cached_property
    def own_fields(self) -> tuple[Field, ...]:
        """The fields of this very tracepoint."""
        return tuple(field for field in self.fields if not field.name.startswith("common_"))


def parse_format(text: str) -> Format:
    """Read a ``format`` file.

    Raises:
        FactError: Not a format file, or a field that cannot be read.
    """
    name = re.search(r"^name: (\S+)$", text, re.MULTILINE)
    number = re.search(r"^ID: (\d+)$", text, re.MULTILINE)
    if not name or not number:
        raise FactError(f"expected the format of a tracepoint, found {text[:40]!r}")
    fields = tuple(_field(match) for match in _FIELD.finditer(text))
    if len(fields) != text.count("\tfield:"):
        raise FactError(f"malformed format of tracepoint {name[1]!r}: a field has no offset and size")
    print_format = re.search(r"^print fmt: (.*)\Z", text, re.MULTILINE | re.DOTALL)
    return Format(name[1], int(number[1]), fields, print_format[1].strip() if print_format else "")


def parse_events(text: str) -> tuple[str, ...]:
    """Read ``available_events``: the tracepoints as ``category/event``, in its order."""
    return tuple(line.strip().replace(":", "/", 1) for line in text.splitlines() if ":" in line)


def struct_name(tracepoint: str) -> str:
    """The tag of the record of ``category/event``: ``tracepoint__CATEGORY__EVENT``."""
    return "tracepoint__" + tracepoint.replace("/", "__")


def record_struct(tracepoint: str, layout: Format, btf: Btf) -> str:
    """The C struct of a tracepoint's record.

    Every field stands at its offset under its own name and type. A dynamic
    array ``NAME`` is an ``int data_loc_NAME``: length in the upper 16 bits,
    offset in the lower. A type that the BTF does not know becomes an integer of
    the same size and sign, an unknown pointer a ``void *``.

    The arguments of a system call take 8 bytes each whatever their type; the
    field then has the type's own size, so that -100 reads as -100.

    Args:
        tracepoint: ``category/event``.
        layout: What it records.
        btf: The kernel's types; those that the fields name must be declared before.

    Raises:
        FactError: Fields overlap.
    """
    lines = ["unsigned long long __do_not_use__;"]
    end = COMMON
    for field in layout.own_fields:
        if field.offset < end:
            raise FactError(f"malformed format of tracepoint {tracepoint!r}: {field.name!r} overlaps")
        if field.offset > end:
            lines.append(f"char __pad_{end}[{field.offset - end}];")
        declaration, size = _declare(field, btf)
        lines.append(f"{declaration};")
        end = field.offset + size
    body = "".join(f"\t{line}\n" for line in lines)
    return f"struct {struct_name(tracepoint)} {{\n{body}}};\n"


def _field(match: re.Match[str]) -> Field:
    text = match["declaration"].strip()
    declaration = _DECLARATION.fullmatch(text)
    if not declaration or not declaration["type"]:
        raise FactError(f"malformed format of a tracepoint: field {text!r}")
    type_, dynamic = declaration["type"], _DYNAMIC.fullmatch(declaration["type"])
    return Field(
        declaration["name"],
        dynamic["type"] if dynamic else type_,
        int(match["offset"]),
        int(match["size"]),
        match["signed"] == "1",
        declaration["dimensions"],
        dynamic["how"] if dynamic else "",
    )


def _declare(field: Field, btf: Btf) -> tuple[str, int]:
    """A field's declaration and how many bytes it takes."""
    if field.dynamic:
        return f"int {field.dynamic}_loc_{field.name}", 4
    size = type_size(field.type, btf)
    if field.dimensions:
        # What stands between the brackets may be a macro; the size is a number.
        if size and field.size % size == 0:
            return f"{field.type} {field.name}[{field.size // size}]", field.size
        return f"char {field.name}[{field.size}]", field.size
    if size == field.size or (0 < size < field.size and btf.byte_order == "little"):
        return f"{field.type} {field.name}", size
    if "*" in field.type and field.size == btf.pointer_size:
        return f"void *{field.name}", field.size
    if field.size in _INTEGERS:
        sign = "signed" if field.signed else "unsigned"
        return f"{sign} {_INTEGERS[field.size]} {field.name}", field.size
    return f"char {field.name}[{field.size}]", field.size


def type_size(type_: str, btf: Btf) -> int:
    """The size in bytes of a C type given by its words, 0 if the BTF does not know it."""
    words = [w for w in re.findall(r"\w+|\*", type_) if w not in ("const", "volatile")]
    base = [w for w in words if w != "*"]
    if _C_SIZES.keys() >= set(base):
        size = 8 if "long" in base else min((_C_SIZES[w] for w in base), default=0)
    elif base[0] in ("struct", "union", "enum"):
        found = btf.find(base[-1], *(ENUMS if base[0] == "enum" else RECORDS))
        # A struct that is only pointed to need not be known.
        size = btf.size(found[0]) if found else btf.pointer_size * ("*" in words)
    elif base == ["void"]:
        size = btf.pointer_size * ("*" in words)
    else:
        found = btf.find(base[0], Kind.TYPEDEF) if len(base) == 1 else []
        size = btf.size(found[0]) if found else 0
    return btf.pointer_size if size and "*" in words else size
