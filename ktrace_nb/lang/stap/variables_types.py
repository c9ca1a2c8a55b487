"""C types in words, and words as types.

What ``@cast(p, "task_struct")`` names is looked for in the order SystemTap has:
a typedef or basic type of that very name first, then a struct, a union, an enum.
"""

from __future__ import annotations

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, RECORDS, Kind
from ktrace_nb.kernel.type_names import TypeNames

_KEYWORDS = {Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum", Kind.ENUM64: "enum"}
_QUALIFIERS = {Kind.CONST: "const", Kind.VOLATILE: "volatile", Kind.RESTRICT: "restrict"}
_USER_TAG = "user"
"""``__user`` in the kernel's sources. Source: Linux ``include/linux/compiler_types.h``."""


def ctype_text(btf: Btf, type_id: int) -> str:
    """A type as C writes it: ``struct file *``, ``char [16]``, ``int (*)(void *)``.

    A struct, union or enum without a name is ``struct {...}``.
    """
    return _declared(btf, type_id, "")


def _declared(btf: Btf, type_id: int, inside: str) -> str:
    kind = btf.kind(type_id)
    if kind is Kind.PTR:
        target = btf.referent(type_id)
        binds = btf.kind(btf.unqualified(target)) in (Kind.ARRAY, Kind.FUNC_PROTO)
        return _declared(btf, target, f"(*{inside})" if binds else f"*{inside}")
    if kind is Kind.ARRAY:
        array = btf.array(type_id)
        return _declared(btf, array.element_id, f"{inside}[{array.length or ''}]")
    if kind is Kind.FUNC_PROTO:
        texts = [ctype_text(btf, p.type_id) if p.type_id else "..." for p in btf.parameters(type_id)]
        return _declared(btf, btf.result(type_id), f"{inside}({', '.join(texts) or 'void'})")
    if kind is Kind.TYPE_TAG:
        return _declared(btf, btf.referent(type_id), inside)
    if kind in _QUALIFIERS:
        target = btf.referent(type_id)
        if btf.kind(target) is Kind.PTR:
            return _declared(btf, target, f" {_QUALIFIERS[kind]} {inside}".rstrip())
        return f"{_QUALIFIERS[kind]} {_declared(btf, target, inside)}"
    return f"{type_name(btf, type_id)} {inside}".rstrip().replace("  ", " ")


def type_name(btf: Btf, type_id: int) -> str:
    """The name of a type that is no pointer, array or function, with its keyword."""
    kind, name = btf.kind(type_id), btf.name(type_id)
    if kind is Kind.VOID:
        return "void"
    if kind is Kind.FWD:
        return f"{'union' if btf.is_union(type_id) else 'struct'} {name}"
    if kind in _KEYWORDS:
        return f"{_KEYWORDS[kind]} {name or '{...}'}"
    return name


def find_type(names: TypeNames, text: str) -> int | None:
    """The type that the words of a ``@cast`` mean; None if there is none."""
    words = text.replace("*", " * ").split()
    if words[:1] == ["class"]:  # C++ and DWARF make little difference of it
        words[0] = "struct"
    for keyword in ((), ("struct",), ("union",), ("enum",)):
        found = names.find(" ".join((*keyword, *words)))
        if found is not None:
            return found
        if words[:1] and words[0] in ("struct", "union", "enum"):
            break
    return None


def complete(btf: Btf, type_id: int) -> int:
    """The type behind typedefs and qualifiers; where it is only declared, its definition if there is one."""
    resolved = btf.resolve(type_id)
    if btf.kind(resolved) is not Kind.FWD:
        return resolved
    wanted = Kind.UNION if btf.is_union(resolved) else Kind.STRUCT
    return next(iter(btf.find(btf.name(resolved), wanted)), resolved)


def is_character(btf: Btf, type_id: int) -> bool:
    """Whether a type is a character to SystemTap: ``char`` of either sign, and so ``u8`` as well.

    BTF does not tell characters from other integers of one byte; neither does C.
    """
    resolved = btf.resolve(type_id)
    if not resolved or btf.kind(resolved) is not Kind.INT:
        return False
    integer = btf.integer(resolved)
    return integer.size == 1 and not integer.boolean


def points_to_user(btf: Btf, pointer: int) -> bool:
    """Whether a pointer is marked ``__user``; only kernels built by clang keep the mark."""
    target = btf.referent(pointer)
    while btf.kind(target) in (Kind.TYPE_TAG, Kind.CONST, Kind.VOLATILE):
        if btf.kind(target) is Kind.TYPE_TAG and btf.name(target) == _USER_TAG:
            return True
        target = btf.referent(target)
    return False


def member_names(btf: Btf, record: int) -> list[str]:
    """The members that ``->`` finds in a struct or union, those of anonymous ones inside it included."""
    names: list[str] = []
    for member in btf.members(record):
        inner = btf.resolve(member.type_id)
        if member.name:
            names.append(member.name)
        elif btf.kind(inner) in RECORDS:
            names += member_names(btf, inner)
    return names


def is_signed(btf: Btf, resolved: int) -> bool:
    """Whether numbers of a type have a sign; pointers and truth values have none."""
    kind = btf.kind(resolved)
    return kind in ENUMS | {Kind.INT} and btf.is_signed(resolved)
