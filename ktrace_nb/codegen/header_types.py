"""Which of a kernel's types a cell needs, and their declarations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ktrace_nb.codegen.ctext import CText
from ktrace_nb.diagnostics import Problem
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, Kind
from ktrace_nb.kernel.cdecl import Declarations
from ktrace_nb.source import Source

KEYWORDS = {"struct": (Kind.STRUCT,), "union": (Kind.UNION,), "enum": tuple(ENUMS)}

# What bcc's own headers need, and how it is declared should the kernel not have it.
BASIC_TYPES = {
    "__u8": "unsigned char",
    "__u16": "unsigned short",
    "__u32": "unsigned int",
    "__u64": "unsigned long long",
    "__s8": "signed char",
    "__s16": "short",
    "__s32": "int",
    "__s64": "long long",
    "u8": "unsigned char",
    "u16": "unsigned short",
    "u32": "unsigned int",
    "u64": "unsigned long long",
    "s8": "signed char",
    "s16": "short",
    "s32": "int",
    "s64": "long long",
    "__le16": "unsigned short",
    "__le32": "unsigned int",
    "__le64": "unsigned long long",
    "__be16": "unsigned short",
    "__be32": "unsigned int",
    "__be64": "unsigned long long",
    "__wsum": "unsigned int",
    "bool": "_Bool",
    "size_t": "unsigned long",
    "uintptr_t": "unsigned long",
}
# Typedefs of the source that a kernel may not have used, and then does not describe.
OTHER_TYPES = {
    "__sum16": "unsigned short",
    "clockid_t": "int",
    "int8_t": "signed char",
    "int16_t": "short",
    "int32_t": "int",
    "int64_t": "long long",
    "mode_t": "unsigned int",
    "off_t": "long",
    "ssize_t": "long",
    "time64_t": "long long",
    "uint": "unsigned int",
    "uint8_t": "unsigned char",
    "uint16_t": "unsigned short",
    "uint32_t": "unsigned int",
    "uint64_t": "unsigned long long",
    "ulong": "unsigned long",
    "ushort": "unsigned short",
}


@dataclass(frozen=True)
class Provided:
    """What of the kernel a cell uses; for ``--show facts``."""

    structs: tuple[str, ...]
    """Tags that the cell names, without keyword."""

    unions: tuple[str, ...]
    enums: tuple[str, ...]
    typedefs: tuple[str, ...]
    constants: Mapping[str, int]
    """Enumerators and their values."""

    macros: tuple[str, ...]
    functions: tuple[str, ...]
    """Those that the kernel's headers define inline."""

    settings: Mapping[str, str]
    """``CONFIG_`` macros that are set."""

    tracepoints: tuple[str, ...]
    """``category/event`` of those whose record the cell names."""


class CellTypes:
    """The types of one cell.

    Args:
        btf: The kernel's types.
        reserved: What bcc or the cell declares, tags with their keyword.
        words: The identifiers of the cell: a member of such a name is followed
            if it is a pointer, so that what it points to is complete.
    """

    def __init__(self, btf: Btf, *, reserved: Collection[str], words: Collection[str]) -> None:
        self._btf = btf
        self._reserved = reserved
        self._words = words
        self._tags: dict[tuple[str, str], list[int]] = {}
        self._typedefs: dict[str, int] = {}
        self._constants: dict[str, int] = {}  # enumerator: its enum
        self._fallbacks: set[str] = set()
        self._declarations = Declarations(btf, reserved=reserved, follow=words)
        self.want_tags([("struct", "pt_regs")])  # every probe's context

    def basic(self) -> str:
        """Declare the types that bcc's own headers need; to be called first."""
        found = {name: self._btf.find(name, Kind.TYPEDEF) for name in BASIC_TYPES}
        self._declarations.add(ids[0] for ids in found.values() if ids)
        missing = (f"typedef {BASIC_TYPES[name]} {name};\n" for name, ids in found.items() if not ids)
        return self._declarations.take() + "".join(missing)

    def want_tags(self, tags: Iterable[tuple[str, str]]) -> None:
        """Ask for structs, unions and enums by keyword and tag; an unknown one is left to the compiler."""
        for keyword, tag in sorted(tags):
            found = self._btf.find(tag, *KEYWORDS[keyword])
            if found and f"{keyword} {tag}" not in self._reserved:
                self._tags[keyword, tag] = found

    def want_words(self, words: Iterable[str]) -> None:
        """Ask for whatever typedef or enumerator has one of these names."""
        btf = self._btf
        for word in sorted(words):
            if word in self._reserved or word in BASIC_TYPES:
                continue
            if typedefs := btf.find(word, Kind.TYPEDEF):
                self._typedefs[word] = typedefs[0]
            elif (enum := btf.enumerator(word)) is not None:
                self._constants[word] = enum
            elif word in OTHER_TYPES:
                self._fallbacks.add(word)

    def declare(self) -> str:
        """Declare what was asked for."""
        tagged = [ids[0] for ids in self._tags.values()]
        # Enumerators last: a typedef of the same anonymous enum gives it a name.
        self._declarations.add([*tagged, *self._typedefs.values(), *self._constants.values()])
        fallbacks = (f"typedef {OTHER_TYPES[name]} {name};\n" for name in sorted(self._fallbacks))
        return "".join(fallbacks) + self._declarations.take()

    def ambiguities(self, text: CText, source: Source) -> Iterator[Problem]:
        """Tags that several types of the kernel share, each a note at its first place."""
        for (keyword, tag), ids in self._tags.items():
            if len(ids) > 1:
                token = next((token for token in text.tokens if token.text == tag), None)
                span = token.span if token else None
                sizes = " and ".join(str(self._btf.size(type_id)) for type_id in ids)
                message = f'the kernel has {len(ids)} types "{keyword} {tag}" of {sizes} bytes'
                yield Problem(message, source, span, "the first is used", severity="note")

    def provided(
        self,
        *,
        macros: Iterable[str],
        functions: Iterable[str],
        settings: Mapping[str, str],
        tracepoints: Iterable[str],
    ) -> Provided:
        """What was asked for and is there, with what else the cell uses."""
        values = self._declarations.enumerators
        return Provided(
            structs=self._tagged("struct"),
            unions=self._tagged("union"),
            enums=self._tagged("enum"),
            typedefs=(*self._typedefs, *sorted(self._fallbacks)),
            constants={name: values[name] for name in self._constants if name in values},
            macros=tuple(macros),
            functions=tuple(functions),
            settings=dict(settings),
            tracepoints=tuple(tracepoints),
        )

    def _tagged(self, wanted: str) -> tuple[str, ...]:
        named = (tag for keyword, tag in self._tags if keyword == wanted and tag in self._words)
        return tuple(sorted(named))
