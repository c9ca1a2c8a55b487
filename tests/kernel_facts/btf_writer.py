"""Writes small BTF blobs, so that tests can say what a kernel would not."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind


class BtfWriter:
    """Adds types and gives their ids; what refers to a type names its id.

    Args:
        base: Write a split blob on top of it.
        byte_order: ``"<"`` or ``">"``.
    """

    def __init__(self, base: Btf | None = None, byte_order: str = "<") -> None:
        self.base = base
        self.byte_order = byte_order
        self.types: list[bytes] = []
        self.strings = b"" if base else b"\0"
        self.first_string = len(base_strings(base)) if base else 0
        self.first = base.end if base else 1

    def string(self, text: str) -> int:
        """The offset of a name."""
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return self.first_string + len(self.strings) - len(text.encode()) - 1

    def add(
        self,
        kind: int,
        name: str = "",
        value: int = 0,
        words: Sequence[int] = (),
        count: int = 0,
        flag: int = 0,
    ) -> int:
        """A type of any kind: ``value`` is its size or what it refers to, ``words`` follow."""
        info = flag << 31 | kind << 24 | count
        self.types.append(self._pack(self.string(name), info, value, *words))
        return self.first + len(self.types) - 1

    def integer(self, name: str, size: int, *, signed: bool = False, boolean: bool = False) -> int:
        return self.add(Kind.INT, name, size, [(signed << 0 | boolean << 2) << 24 | 8 * size])

    def refer(self, kind: Kind, target: int, name: str = "") -> int:
        """A pointer, typedef, qualifier, type tag or function."""
        return self.add(kind, name, target)

    def array(self, element: int, length: int) -> int:
        return self.add(Kind.ARRAY, words=[element, 1, length])

    def record(
        self,
        name: str,
        size: int,
        members: Sequence[tuple[str, int, int] | tuple[str, int, int, int]],
        *,
        union: bool = False,
    ) -> int:
        """A struct or union of (name, type, bit offset[, bits]) members."""
        flag = int(any(len(member) == 4 for member in members))
        words = []
        for member in members:
            bits = member[3] if len(member) == 4 else 0
            words += [self.string(member[0]), member[1], bits << 24 | member[2]]
        return self.add(Kind.UNION if union else Kind.STRUCT, name, size, words, len(members), flag)

    def enum(
        self, name: str, constants: Sequence[tuple[str, int]], size: int = 4, *, signed: bool = False
    ) -> int:
        words = []
        for constant, value in constants:
            words += [self.string(constant), value & 0xFFFFFFFF]
            if size == 8:
                words.append(value >> 32 & 0xFFFFFFFF)
        return self.add(Kind.ENUM64 if size == 8 else Kind.ENUM, name, size, words, len(constants), signed)

    def prototype(self, result: int, parameters: Sequence[tuple[str, int]]) -> int:
        words = [word for name, type_id in parameters for word in (self.string(name), type_id)]
        return self.add(Kind.FUNC_PROTO, "", result, words, len(parameters))

    def blob(self) -> bytes:
        """The BTF."""
        types = b"".join(self.types)
        head = struct.pack(
            self.byte_order + "HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(self.strings)
        )
        return head + types + self.strings

    def btf(self) -> Btf:
        """The BTF, read back."""
        return Btf(self.blob(), self.base)

    def _pack(self, *words: int) -> bytes:
        return struct.pack(f"{self.byte_order}{len(words)}I", *words)


def base_strings(base: Btf) -> bytes:
    """The strings of a blob that this writer made."""
    return base._strings
