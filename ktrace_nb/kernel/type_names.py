"""Types found by the words C has for them: ``const char *``, ``unsigned long``, ``struct stat *``."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TypeAlias

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, RECORDS, Kind

_IGNORED = frozenset(("const", "volatile", "restrict", "__restrict", "__user", "__kernel"))
_TAGS: dict[str, tuple[Kind, ...]] = {
    "struct": (Kind.STRUCT, Kind.FWD),
    "union": (Kind.UNION, Kind.FWD),
    "enum": tuple(sorted(ENUMS)),
}
_INTEGER_WORDS = frozenset(("unsigned", "signed", "char", "short", "int", "long"))

_Key: TypeAlias = "int | tuple[str, _Key]"


class TypeNames:
    """The types of a kernel by name.

    Args:
        btf: The types.
    """

    def __init__(self, btf: Btf) -> None:
        self._btf = btf

    def find(self, text: str) -> int | None:
        """The type id of a C type without an array or a function in it; qualifiers do not count.

        Returns:
            None if there is no such type. ``void`` is 0.
        """
        words = [word for word in re.findall(r"\w+|\*", text) if word not in _IGNORED]
        base = [word for word in words if word != "*"]
        found = self._base(base) if base else None
        if found is None:
            return None
        key: _Key = found
        for _ in range(words.count("*")):
            key = ("*", key)
        if isinstance(key, int):
            return key
        return self._pointers.get(key)

    def _base(self, words: list[str]) -> int | None:
        btf = self._btf
        if words == ["void"]:
            return 0
        if words[0] in _TAGS:
            found = btf.find(words[-1], *_TAGS[words[0]])
            complete = [i for i in found if btf.kind(i) in RECORDS | ENUMS]
            return next(iter(complete or found), None)
        if _INTEGER_WORDS.issuperset(words):
            return next(iter(btf.find(_integer_name(words), Kind.INT)), None)
        return next(iter(btf.find(words[0], Kind.TYPEDEF, Kind.INT)), None) if len(words) == 1 else None

    @cached_property
    def _pointers(self) -> dict[_Key, int]:
        """One pointer to each thing pointed to."""
        btf = self._btf
        found: dict[_Key, int] = {}
        for type_id in btf.ids():
            if btf.kind(type_id) is Kind.PTR:
                found.setdefault(self._key(type_id), type_id)
        return found

    def _key(self, type_id: int) -> _Key:
        type_id = self._btf.unqualified(type_id)
        if type_id and self._btf.kind(type_id) is Kind.PTR:
            return ("*", self._key(self._btf.referent(type_id)))
        return type_id


def _integer_name(words: list[str]) -> str:
    """An integer type by the name compilers give it in debugging information: ``long unsigned int``."""
    unsigned = ["unsigned"] if "unsigned" in words else []
    if "char" in words:
        return " ".join([*unsigned, "char"]) if "signed" not in words else "signed char"
    size = ["short"] if "short" in words else ["long"] * words.count("long")
    if not size:
        return " ".join([*unsigned, "int"])
    return " ".join([*size, *unsigned, "int"])
