"""BTF, a program's own description of its C types.

The kernel carries one for itself (``/sys/kernel/btf/vmlinux``), one more for
each module, and the compiler writes one for every BPF program. All types stand
in one table and refer to each other by their place in it, the type id; id 0 is
``void``. :class:`Btf` keeps the table as the array of 32-bit words it came as
and answers by id: reading 126,000 types takes no longer than finding where
each begins.

A module's BTF is *split*: its ids and strings go on where those of its base
end, so that it can refer to the kernel's types.

Source of the format: Linux ``Documentation/bpf/btf.rst`` and
``include/uapi/linux/btf.h``.
"""

from __future__ import annotations

from array import array
from functools import cached_property

from ktrace_nb.kernel.btf_format import (
    ENUMS,
    KINDS,
    MAX_DEPTH,
    NAMED,
    QUALIFIERS,
    RECORDS,
    REFERRING,
    TAGGED,
    Array,
    Enumerator,
    Integer,
    Kind,
    Member,
    Parameter,
    SectionEntry,
    Words,
    find_types,
    read_sections,
)
from ktrace_nb.kernel.errors import FactError

_VOID: Words = array("I", (0, 0, 0))


class Btf:
    """The types of one BTF blob and of the base it extends.

    Args:
        data: The blob: a file of ``/sys/kernel/btf``, or a ``.BTF`` section.
        base: What a split blob extends.

    Raises:
        FactError: Not BTF, cut off, or of a kind this reader does not know.
            Every method raises it too, where the blob turns out to be
            malformed in the part asked for, or the type is of another kind.
    """

    def __init__(self, data: bytes, base: Btf | None = None) -> None:
        self.base = base
        self._types, self._strings, self.byte_order = read_sections(data, split=base is not None)
        self._strings_start: int = base._strings_end if base else 0
        self._strings_end: int = self._strings_start + len(self._strings)
        self._places = find_types(self._types)
        self.first: int = base.end if base else 1
        """The lowest type id of this blob itself."""
        self.end: int = self.first + len(self._places)
        """One more than the highest type id."""

    def ids(self) -> range:
        """The type ids of this blob itself, without those of its base."""
        return range(self.first, self.end)

    def kind(self, type_id: int) -> Kind:
        """What the type is."""
        words, place = self._find(type_id)
        return KINDS[words[place + 1] >> 24 & 31]

    def name(self, type_id: int) -> str:
        """The type's name without ``struct`` or the like; empty if it has none."""
        words, place = self._find(type_id)
        return self._string(words[place])

    def members(self, type_id: int) -> list[Member]:
        """The members of a struct or union in the order of their declaration."""
        words, place, count = self._elements(type_id, RECORDS)
        string = self._string
        if words[place + 1] >> 31:
            return [
                Member(string(words[p]), words[p + 1], words[p + 2] & 0xFFFFFF, words[p + 2] >> 24)
                for p in range(place + 3, place + 3 + 3 * count, 3)
            ]
        return [
            Member(string(words[p]), words[p + 1], words[p + 2], 0)
            for p in range(place + 3, place + 3 + 3 * count, 3)
        ]

    def enumerators(self, type_id: int) -> list[Enumerator]:
        """The constants of an enum in the order of their declaration."""
        words, place, count = self._elements(type_id, ENUMS)
        wide = KINDS[words[place + 1] >> 24 & 31] is Kind.ENUM64
        bits, step = (64, 3) if wide else (32, 2)
        signed = self.is_signed(type_id)
        found = []
        for p in range(place + 3, place + 3 + step * count, step):
            value = words[p + 1] | words[p + 2] << 32 if wide else words[p + 1]
            if signed and value >> (bits - 1):
                value -= 1 << bits
            found.append(Enumerator(self._string(words[p]), value))
        return found

    def parameters(self, type_id: int) -> list[Parameter]:
        """The parameters of a FUNC_PROTO."""
        words, place, count = self._elements(type_id, {Kind.FUNC_PROTO})
        return [
            Parameter(self._string(words[p]), words[p + 1])
            for p in range(place + 3, place + 3 + 2 * count, 2)
        ]

    def result(self, type_id: int) -> int:
        """The type id of what a FUNC_PROTO returns."""
        words, place = self._of_kind(type_id, {Kind.FUNC_PROTO})
        return words[place + 2]

    def section(self, type_id: int) -> list[SectionEntry]:
        """The variables of a DATASEC by rising offset."""
        words, place, count = self._elements(type_id, {Kind.DATASEC})
        return [
            SectionEntry(words[p], words[p + 1], words[p + 2])
            for p in range(place + 3, place + 3 + 3 * count, 3)
        ]

    def array(self, type_id: int) -> Array:
        """Element and length of an ARRAY."""
        words, place = self._of_kind(type_id, {Kind.ARRAY})
        return Array(words[place + 3], words[place + 5])

    def integer(self, type_id: int) -> Integer:
        """Size and encoding of an INT."""
        words, place = self._of_kind(type_id, {Kind.INT})
        size, detail = words[place + 2], words[place + 3]
        # Bit-fields were once INTs of fewer bits than their size; a member says its width itself now.
        if detail & 0xFFFFFF != 8 * size:
            raise FactError(f"malformed BTF: {self._describe(type_id)} does not fill its {size} bytes")
        return Integer(size, bool(detail >> 24 & 1), bool(detail >> 24 & 4))

    def referent(self, type_id: int) -> int:
        """The type that a pointer, typedef, qualifier, tag, VAR or FUNC refers to."""
        words, place = self._of_kind(type_id, REFERRING)
        return words[place + 2]

    def component(self, type_id: int) -> int:
        """Which member or parameter a DECL_TAG belongs to, -1 for the whole."""
        words, place = self._of_kind(type_id, {Kind.DECL_TAG})
        index = words[place + 3]
        return -1 if index == 0xFFFFFFFF else index

    def linkage(self, type_id: int) -> int:
        """Of a FUNC or VAR: 0 static, 1 global, 2 extern."""
        words, place = self._of_kind(type_id, {Kind.FUNC, Kind.VAR})
        return words[place + 1] & 0xFFFF if self.kind(type_id) is Kind.FUNC else words[place + 3]

    def is_union(self, type_id: int) -> bool:
        """Whether a FWD stands for a union, not a struct."""
        words, place = self._of_kind(type_id, {Kind.FWD})
        return bool(words[place + 1] >> 31)

    def is_signed(self, type_id: int) -> bool:
        """Whether an INT or enum is signed."""
        words, place = self._of_kind(type_id, ENUMS | {Kind.INT})
        if self.kind(type_id) is Kind.INT:
            return self.integer(type_id).signed
        return bool(words[place + 1] >> 31) or not self._enums_tell_sign

    def unqualified(self, type_id: int) -> int:
        """The type without ``const``, ``volatile``, ``restrict`` and type tags around it."""
        return self._skip(type_id, QUALIFIERS)

    def resolve(self, type_id: int) -> int:
        """The type behind typedefs and qualifiers."""
        return self._skip(type_id, QUALIFIERS | {Kind.TYPEDEF})

    def size(self, type_id: int) -> int:
        """The size of a value of the type in bytes, as ``sizeof`` gives it."""
        count = 1
        for _ in range(MAX_DEPTH):
            type_id = self.resolve(type_id)
            words, place = self._find(type_id)
            kind = KINDS[words[place + 1] >> 24 & 31]
            if kind is Kind.PTR:
                return count * self.pointer_size
            if kind is not Kind.ARRAY:
                if kind in TAGGED or kind is Kind.INT or kind is Kind.FLOAT or kind is Kind.DATASEC:
                    return count * words[place + 2]
                break
            count *= words[place + 5]
            type_id = words[place + 3]
        raise FactError(f"expected a type with a size, found {self._describe(type_id)}")

    @cached_property
    def pointer_size(self) -> int:
        """The size of a pointer in bytes: that of ``long``, and 8 if nothing uses one."""
        for name in ("long unsigned int", "long int", "unsigned long", "long"):
            for type_id in self.find(name, Kind.INT):
                return self.size(type_id)
        return 8

    def find(self, name: str, *kinds: Kind) -> list[int]:
        """The types of that name and of one of the kinds, rising; those of the base first."""
        found = self.base.find(name, *kinds) if self.base else []
        return found + [i for i in self._by_name.get(name, ()) if self.kind(i) in kinds]

    def names(self, *kinds: Kind) -> list[str]:
        """All names of types of these kinds, for completion and near matches; sorted."""
        found = {n for n, ids in self._by_name.items() if any(self.kind(i) in kinds for i in ids)}
        return sorted(found.union(self.base.names(*kinds) if self.base else ()))

    def function(self, name: str) -> int | None:
        """The FUNC of that name, whose referent is its FUNC_PROTO."""
        return next(iter(self.find(name, Kind.FUNC)), None)

    def enumerator(self, name: str) -> int | None:
        """The enum that declares a constant of this name."""
        if self.base and (found := self.base.enumerator(name)) is not None:
            return found
        return self._by_enumerator.get(name)

    def constant(self, name: str) -> int | None:
        """The value of an enumerator."""
        type_id = self.enumerator(name)
        if type_id is None:
            return None
        return next(e.value for e in self.enumerators(type_id) if e.name == name)

    def member(self, type_id: int, name: str) -> Member | None:
        """The member of that name, also inside anonymous structs and unions.

        Args:
            type_id: A struct or union, or a typedef or qualified form of one.
            name: Without dots.

        Returns:
            The member with ``bit_offset`` counted from the outermost type.
        """
        pending = [(self.resolve(type_id), 0)]
        seen: set[int] = set()
        for record, start in pending:
            if record in seen:
                continue
            seen.add(record)
            for member in self.members(record):
                if member.name == name:
                    return Member(name, member.type_id, start + member.bit_offset, member.bitfield_size)
                if not member.name:
                    inner = self.resolve(member.type_id)
                    # An anonymous bit-field has no name either, and nothing inside.
                    if self.kind(inner) in RECORDS:
                        pending.append((inner, start + member.bit_offset))
        return None

    def _find(self, type_id: int) -> tuple[Words, int]:
        """The words the type stands in, and where it begins."""
        blob = self
        while type_id < blob.first:
            if blob.base is None:
                if type_id == 0:
                    return _VOID, 0
                break
            blob = blob.base
        # A negative or too high id must not reach into the array from its end.
        if not blob.first <= type_id < blob.end:
            raise FactError(f"malformed BTF: no type {type_id}, they end at {self.end - 1}")
        return blob._types, blob._places[type_id - blob.first]

    def _of_kind(self, type_id: int, kinds: frozenset[Kind] | set[Kind]) -> tuple[Words, int]:
        words, place = self._find(type_id)
        if words[place + 1] >> 24 & 31 not in kinds:
            wanted = " or ".join(sorted(kind.name for kind in kinds))
            raise FactError(f"expected {wanted}, found {self._describe(type_id)}")
        return words, place

    def _elements(self, type_id: int, kinds: frozenset[Kind] | set[Kind]) -> tuple[Words, int, int]:
        words, place = self._of_kind(type_id, kinds)
        return words, place, words[place + 1] & 0xFFFF

    def _skip(self, type_id: int, kinds: frozenset[Kind]) -> int:
        for _ in range(MAX_DEPTH):
            words, place = self._find(type_id)
            if words[place + 1] >> 24 & 31 not in kinds:
                return type_id
            type_id = words[place + 2]
        raise FactError(f"malformed BTF: {self._describe(type_id)} refers on without end")

    def _string(self, offset: int) -> str:
        blob = self
        while offset < blob._strings_start and blob.base:
            blob = blob.base
        start = offset - blob._strings_start
        try:
            return blob._strings[start : blob._strings.index(0, start)].decode()
        except ValueError:  # past the end, or not UTF-8
            raise FactError(f"malformed BTF: no name at offset {offset}") from None

    def _describe(self, type_id: int) -> str:
        kind = self.kind(type_id).name
        return f"{kind} {self.name(type_id)!r} (type {type_id})" if type_id else "void"

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        words = self._types
        wanted = [kind in NAMED for kind in range(32)]
        by_offset: dict[int, list[int]] = {}
        for type_id, place in enumerate(self._places, self.first):
            if wanted[words[place + 1] >> 24 & 31] and words[place]:
                by_offset.setdefault(words[place], []).append(type_id)
        index: dict[str, list[int]] = {}
        # One split of all strings is faster than one slice for each name.
        offset = self._strings_start
        for text in self._strings.split(b"\0"):
            ids = by_offset.pop(offset, None)
            if ids:
                index.setdefault(text.decode(errors="replace"), []).extend(ids)
            offset += len(text) + 1
        # What is left are names that stand in the base's strings, or inside another's.
        for offset, ids in by_offset.items():
            index.setdefault(self._string(offset), []).extend(ids)
        return index

    @cached_property
    def _by_enumerator(self) -> dict[str, int]:
        words = self._types
        by_offset: dict[int, int] = {}
        steps = {Kind.ENUM: 2, Kind.ENUM64: 3}
        for type_id, place in enumerate(self._places, self.first):
            info = words[place + 1]
            step = steps.get(info >> 24 & 31)  # type: ignore[call-overload]
            if step:
                for at in range(place + 3, place + 3 + step * (info & 0xFFFF), step):
                    by_offset.setdefault(words[at], type_id)
        return {self._string(offset): type_id for offset, type_id in by_offset.items()}

    @cached_property
    def _enums_tell_sign(self) -> bool:
        # Until Linux commit 6089fb325cf7 ("bpf: Add btf enum64 support", v6.0) an
        # enum did not say whether it is signed, and every value was read as int.
        if self.base:
            return self.base._enums_tell_sign
        infos = (self._types[place + 1] for place in self._places)
        return any(
            (info >> 31 and info >> 24 & 31 == Kind.ENUM) or info >> 24 & 31 == Kind.ENUM64 for info in infos
        )
