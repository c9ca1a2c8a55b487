"""C declarations of a kernel's types, exact to the bit.

:class:`Declarations` is told which types are wanted and writes them, and what
they need, in an order a C compiler accepts. Every member is kept and stands
where the kernel has it. What is only pointed to is declared forward, unless the
member that points to it is one of those to follow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import ENUMS, QUALIFIERS, RECORDS, Kind
from ktrace_nb.kernel.cnames import KEYWORDS, Names, identifier
from ktrace_nb.kernel.errors import FactError
from ktrace_nb.kernel.layout import Gap, Layout

_QUALIFIERS = {Kind.CONST: "const", Kind.VOLATILE: "volatile", Kind.RESTRICT: "__restrict"}
_INTEGER_WORDS = frozenset(("unsigned", "signed", "char", "short", "int", "long", "_Bool", "__int128"))
_INTEGERS = {1: "char", 2: "short", 4: "int", 8: "long", 16: "__int128"}
_FLOATS = {4: "float", 8: "double", 16: "long double"}
_ENUM_MODES = {1: "QI", 2: "HI", 4: "", 8: "DI"}
_COMPILERS_OWN = "__builtin_va_list"


class Declarations:
    """The declarations written so far, and what they declare.

    Args:
        btf: Where the types come from.
        reserved: What is declared elsewhere: ``"struct x"``, ``"union x"``,
            ``"enum x"``, or the plain name of a typedef, constant, function or
            variable. A pointer to a reserved struct means that very struct; a
            value of it is a copy under another name, so that sizes stay right.
        follow: Names of members whose pointee is to be complete too.
    """

    def __init__(self, btf: Btf, *, reserved: Collection[str] = (), follow: Collection[str] = ()) -> None:
        self._btf = btf
        self._follow = follow
        self._names = Names(btf, reserved)
        self._layout = Layout(btf)
        self._lines: list[str] = []
        self._mentioned: set[str] = set()
        self._open: set[int] = set()
        self._done: set[int] = set()
        self._wanted: list[int] = []
        self._pads = 0
        self.enumerators: dict[str, int] = {}
        """Every constant declared, with its value."""

    def add(self, type_ids: Iterable[int]) -> None:
        """Declare these types completely.

        Of several types with one name the first that is wanted keeps it.

        Raises:
            FactError: The BTF is malformed, e.g. a struct contains itself.
        """
        self._wanted = list(type_ids)
        for type_id in self._wanted:
            if self._btf.kind(type_id) in (*KEYWORDS, Kind.TYPEDEF) and self._btf.name(type_id):
                self._names.of_type(type_id)
        try:
            for type_id in self._wanted:  # grows meanwhile: following a pointer appends
                self._complete(type_id)
        except RecursionError:
            raise FactError("malformed BTF: types nested too deeply") from None

    def take(self) -> str:
        """The text of what was declared since the last call."""
        lines, self._lines = self._lines, []
        return "".join(line + "\n" for line in lines)

    def declared(self, *kinds: Kind) -> Mapping[str, int]:
        """Named types of these kinds that are complete: name without keyword, type id."""
        btf = self._btf
        named = (i for i in self._done if btf.kind(i) in kinds and btf.name(i))
        return dict(sorted((self._names.of_type(i).rpartition(" ")[2], i) for i in named))

    def declare(self, type_id: int, declarator: str) -> str:
        """A declaration of something of a type, without a semicolon.

        Args:
            type_id: What it is; it must have been added before.
            declarator: The variable's name; empty gives the type's own name.
        """
        return self._declare(type_id, declarator, pointee=False)

    def _declare(self, type_id: int, declarator: str, *, pointee: bool) -> str:
        btf = self._btf
        kind = btf.kind(type_id)
        if kind is Kind.VOID:
            return f"void {declarator}".rstrip()
        if kind is Kind.PTR:
            inner = btf.referent(type_id)
            binds = btf.kind(btf.unqualified(inner)) in (Kind.ARRAY, Kind.FUNC_PROTO)
            return self._declare(inner, f"(*{declarator})" if binds else f"*{declarator}", pointee=True)
        if kind is Kind.ARRAY:
            array = btf.array(type_id)
            return self._declare(array.element_id, f"{declarator}[{array.length}]", pointee=False)
        if kind is Kind.FUNC_PROTO:
            call = f"{declarator}({self._parameters(type_id)})"
            return self._declare(btf.result(type_id), call, pointee=True)
        if kind in QUALIFIERS:
            return self._qualified(type_id, declarator, pointee=pointee)
        return f"{self._specifier(type_id, pointee=pointee)} {declarator}".rstrip()

    def _parameters(self, prototype: int) -> str:
        parameters = self._btf.parameters(prototype)
        if len(parameters) == 1 and not parameters[0].type_id:
            return ""  # C before C23 wants a named parameter in front of an ellipsis
        texts = [self._declare(p.type_id, "", pointee=True) if p.type_id else "..." for p in parameters]
        return ", ".join(texts) or "void"

    def _qualified(self, type_id: int, declarator: str, *, pointee: bool) -> str:
        btf = self._btf
        kind, inner = btf.kind(type_id), btf.referent(type_id)
        base = btf.kind(btf.unqualified(inner))
        # A type tag says nothing to this compiler; an array or function cannot be
        # qualified, and only a pointer can be restricted.
        if (
            kind is Kind.TYPE_TAG
            or base in (Kind.ARRAY, Kind.FUNC_PROTO)
            or (kind is Kind.RESTRICT and btf.kind(btf.resolve(inner)) is not Kind.PTR)
        ):
            return self._declare(inner, declarator, pointee=pointee)
        if base is Kind.PTR:
            return self._declare(inner, f"{_QUALIFIERS[kind]} {declarator}".rstrip(), pointee=pointee)
        return f"{_QUALIFIERS[kind]} {self._declare(inner, declarator, pointee=pointee)}"

    def _specifier(self, type_id: int, *, pointee: bool) -> str:
        """How a type is written that needs nothing around a declarator."""
        btf = self._btf
        kind, name = btf.kind(type_id), btf.name(type_id)
        if kind is Kind.INT:
            return name if _INTEGER_WORDS.issuperset(name.split()) else self._integer(type_id)
        if kind is Kind.FLOAT:
            return self._by_size(_FLOATS, type_id)
        if kind is Kind.TYPEDEF:
            return name if name == _COMPILERS_OWN else self._names.of_type(type_id)
        if kind is Kind.FWD or (kind in KEYWORDS and name and pointee):
            return self._names.of_pointee(type_id)
        if kind in KEYWORDS and name:
            return self._names.of_type(type_id)
        if kind in RECORDS:
            return f"{KEYWORDS[kind]} {self._body(type_id)}"
        if kind not in ENUMS:
            raise FactError(f"malformed BTF: {kind.name} {name!r} (type {type_id}) is not a type of C")
        if type_id in self._done:  # its constants stand already, and it has no name to go by
            return self._integer(type_id)
        self._done.add(type_id)
        return self._enum(type_id)

    def _integer(self, type_id: int) -> str:
        signed = "signed" if self._btf.is_signed(type_id) else "unsigned"
        return f"{signed} {self._by_size(_INTEGERS, type_id)}"

    def _by_size(self, names: Mapping[int, str], type_id: int) -> str:
        size = self._btf.size(type_id)
        if size not in names:
            raise FactError(f"malformed BTF: {self._btf.name(type_id)!r} (type {type_id}) has {size} bytes")
        return names[size]

    def _complete(self, type_id: int) -> None:
        """Write what must stand in front of a value of the type."""
        btf = self._btf
        type_id = btf.unqualified(type_id)
        kind = btf.kind(type_id)
        if type_id in self._done and kind is not Kind.TYPEDEF:
            return
        if kind is Kind.ARRAY:
            self._complete(btf.array(type_id).element_id)
        elif kind is Kind.TYPEDEF:
            self._typedef(type_id)
            base = btf.unqualified(btf.referent(type_id))
            if btf.name(base) or btf.kind(base) is Kind.ARRAY:
                self._complete(base)
        elif kind in RECORDS and btf.name(type_id):
            self._record(type_id)
        elif kind in RECORDS:
            self._members(type_id)
        else:
            self._mention(type_id)

    def _mention(self, type_id: int) -> None:
        """Write what must stand in front of a pointer to the type, or a function with it."""
        btf = self._btf
        type_id = btf.unqualified(type_id)
        kind = btf.kind(type_id)
        if kind is Kind.PTR:
            self._mention(btf.referent(type_id))
        elif kind is Kind.ARRAY:
            # Even a pointer to an array wants to know the size of an element.
            self._complete(type_id)
        elif kind is Kind.TYPEDEF:
            self._typedef(type_id)
        elif kind is Kind.FUNC_PROTO:
            self._mention(btf.result(type_id))
            for parameter in btf.parameters(type_id):
                self._mention(parameter.type_id)
        elif kind in ENUMS:
            if type_id not in self._done:
                self._done.add(type_id)
                self._lines.append(f"{self._enum(type_id)};")
        elif kind is Kind.FWD or (kind in RECORDS and btf.name(type_id)):
            self._forward(self._names.of_pointee(type_id))
        elif kind in RECORDS:
            self._members(type_id)

    def _forward(self, name: str) -> None:
        if name not in self._mentioned:
            self._mentioned.add(name)
            self._lines.append(f"{name};")

    def _typedef(self, type_id: int) -> None:
        btf = self._btf
        if type_id in self._done or btf.name(type_id) == _COMPILERS_OWN:
            return
        self._enter(type_id)
        target = btf.referent(type_id)
        base = btf.unqualified(target)
        kind = btf.kind(base)
        if kind in RECORDS and btf.name(base):
            self._forward(self._names.of_type(base))
        elif kind not in ENUMS or btf.name(base):  # an anonymous enum is written in place
            self._complete(target)
        self._lines.append(f"typedef {self.declare(target, self._names.of_type(type_id))};")
        self._done.add(type_id)

    def _record(self, record: int) -> None:
        self._enter(record)
        self._members(record)
        name = self._names.of_type(record)
        self._lines.append(f"{name} {self._body(record)};")
        self._mentioned.add(name)
        self._done.add(record)

    def _enter(self, type_id: int) -> None:
        if type_id in self._open:
            raise FactError(f"malformed BTF: {self._btf.name(type_id)!r} (type {type_id}) contains itself")
        self._open.add(type_id)

    def _members(self, record: int) -> None:
        for member in self._btf.members(record):
            self._complete(member.type_id)
            if member.name in self._follow:
                self._follow_pointer(member.type_id)

    def _follow_pointer(self, type_id: int) -> None:
        btf = self._btf
        behind_pointer = False
        while (kind := btf.kind(type_id := btf.resolve(type_id))) in (Kind.PTR, Kind.ARRAY):
            behind_pointer |= kind is Kind.PTR
            type_id = btf.referent(type_id) if kind is Kind.PTR else btf.array(type_id).element_id
        if not behind_pointer or not btf.name(type_id) or not (kind in RECORDS or kind is Kind.FWD):
            return
        if self._names.is_reserved(self._names.plain(type_id)):
            return
        if kind is Kind.FWD:
            # Not known where this pointer was compiled, but perhaps elsewhere in the kernel.
            wanted = Kind.UNION if btf.is_union(type_id) else Kind.STRUCT
            self._wanted += btf.find(btf.name(type_id), wanted)[:1]
        else:
            self._wanted.append(type_id)

    def _enum(self, type_id: int) -> str:
        btf = self._btf
        constants = []
        for enumerator in btf.enumerators(type_id):
            name = self._names.of_constant(enumerator.name, type_id)
            self.enumerators[name] = enumerator.value
            constants.append(f"{name} = {_literal(enumerator.value)}")
        tag = self._names.of_type(type_id) if btf.name(type_id) else "enum"
        # An enum that was only ever declared forward has no constants, but C wants one.
        body = ", ".join(constants) or f"__empty_enum_{type_id}"
        mode = self._by_size(_ENUM_MODES, type_id)
        return f"{tag} {{ {body} }}" + (f" __attribute__((mode({mode})))" if mode else "")

    def _body(self, record: int) -> str:
        """The braces of a struct or union, and ``packed`` where it must be."""
        parts = []
        for part in self._layout.members(record):
            if isinstance(part, Gap):
                parts.append(self._gap(part))
            else:
                text = self.declare(part.type_id, identifier(part.name))
                parts.append(f"{text}:{part.bitfield_size}" if part.bitfield_size else text)
        inside = "".join("\n\t" + f"{part};".replace("\n", "\n\t") for part in parts)
        return f"{{{inside}\n}}" + (" __attribute__((packed))" if self._layout.is_packed(record) else "")

    def _gap(self, gap: Gap) -> str:
        if gap.bits % 8:
            return f"unsigned char :{gap.bits}"
        self._pads += 1
        return f"char __pad{self._pads}[{gap.bits // 8}]"


def _literal(value: int) -> str:
    if -(1 << 31) < value < 1 << 31:
        return str(value)
    # The lowest value has no literal of its own.
    return f"({value + 1}LL - 1)" if value < 0 else f"{value:#x}{'' if value < 1 << 32 else 'ULL'}"
