"""Which name a kernel's type or constant gets in C.

Kernel types may share a name with each other or with something declared
elsewhere; a suffix then tells them apart: ``struct irq_info___2``,
``struct bpf_insn___kernel``.
"""

from __future__ import annotations

from collections.abc import Collection

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.errors import FactError

KEYWORDS = {Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum", Kind.ENUM64: "enum"}


class Names:
    """The names given so far.

    Args:
        btf: Where the types come from.
        reserved: What is declared elsewhere, tags with their keyword.
    """

    def __init__(self, btf: Btf, reserved: Collection[str]) -> None:
        self._btf = btf
        self._reserved = reserved
        self._given: dict[int, str] = {}
        self._owner: dict[str, int] = {}

    def plain(self, type_id: int) -> str:
        """The type's name in the kernel, with its keyword."""
        btf = self._btf
        name = identifier(btf.name(type_id))
        if not name:
            raise FactError(f"malformed BTF: type {type_id} has no name")
        kind = btf.kind(type_id)
        if kind is Kind.FWD:
            return f"{'union' if btf.is_union(type_id) else 'struct'} {name}"
        return f"{KEYWORDS.get(kind, '')} {name}".lstrip()

    def of_type(self, type_id: int) -> str:
        """The type's name here, with its keyword; the same at every call."""
        if type_id not in self._given:
            keyword, _, name = self.plain(type_id).rpartition(" ")
            # struct, union and enum tags share one name space, all else the other.
            self._given[type_id] = self._claim(keyword, name, type_id, "tag " if keyword else "")
        return self._given[type_id]

    def of_pointee(self, type_id: int) -> str:
        """The same for what is pointed to: a reserved name means the reserved type."""
        plain = self.plain(type_id)
        is_forward = self._btf.kind(type_id) is Kind.FWD
        return plain if is_forward or plain in self._reserved else self.of_type(type_id)

    def of_constant(self, name: str, enum_id: int) -> str:
        """The name of one of an enum's constants."""
        return self._claim("", identifier(name), enum_id, "")

    def is_reserved(self, name: str) -> bool:
        """Whether a name, with its keyword, is declared elsewhere."""
        return name in self._reserved

    def _claim(self, keyword: str, plain: str, owner: int, space: str) -> str:
        if f"{keyword} {plain}".lstrip() in self._reserved:
            plain += "___kernel"
        name, count = plain, 1
        while self._owner.setdefault(space + name, owner) != owner:
            count += 1
            name = f"{plain}___{count}"
        return f"{keyword} {name}".lstrip()


def identifier(name: str) -> str:
    """A name as C takes it; types that came from Rust have others."""
    if not name or name.isidentifier():
        return name
    return "_" + "".join(c if c.isalnum() else "_" for c in name)
