"""A small kernel whose memory is this process's own, and a way to ask it.

The types are told twice: as BTF, which the code under test reads, and to
:mod:`ctypes`, which lays them out as C does. Values that ctypes wrote are then
read back by carrying out the IR on this process's real memory.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping

from ktrace_nb.ir import script as ir
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.context import ProbeContext, Variable
from ktrace_nb.lang.stap.variables import Access
from ktrace_nb.source import Place, Source, Span
from tests.facts_kit import StoredFacts
from tests.kernel_facts.btf_writer import BtfWriter


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_short), ("y", ctypes.c_ushort))


class Number(ctypes.Union):
    _fields_ = (("wide", ctypes.c_ulong), ("low", ctypes.c_int))


class Item(ctypes.Structure):
    pass


Item._anonymous_ = ("number",)
Item._fields_ = (
    ("number", Number),
    ("name", ctypes.c_char * 8),
    ("next", ctypes.POINTER(Item)),
    ("title", ctypes.c_char_p),
    ("data", ctypes.c_void_p),
    ("grid", Point * 3),
    ("here", Point),
    ("tiny", ctypes.c_uint, 3),
    ("high", ctypes.c_int, 7),
    ("rest", ctypes.c_int, 22),
    ("on", ctypes.c_uint8),
    ("state", ctypes.c_int),
    ("big", ctypes.c_ulonglong * 2),
    ("ratio", ctypes.c_double),
)


class Small:
    """The ids of the types."""

    def __init__(self) -> None:
        w = BtfWriter()
        self.int = w.integer("int", 4, signed=True)
        self.uint = w.integer("unsigned int", 4)
        self.long = w.integer("long int", 8, signed=True)
        self.ulong = w.integer("long unsigned int", 8)
        self.short = w.integer("short int", 2, signed=True)
        self.ushort = w.integer("short unsigned int", 2)
        self.char = w.integer("char", 1)
        self.bool = w.integer("_Bool", 1, boolean=True)
        self.huge = w.integer("__int128", 16, signed=True)
        self.double = w.add(Kind.FLOAT, "double", 8)
        self.u64 = w.refer(Kind.TYPEDEF, self.ulong, "u64")
        self.point = w.record("point", 4, [("x", self.short, 0), ("y", self.ushort, 16)])
        number = w.record("", 8, [("wide", self.u64, 0), ("low", self.int, 0)], union=True)
        name = w.array(self.char, 8)
        # The struct comes after its pointer: ids may refer onwards.
        char_const = w.refer(Kind.CONST, self.char)
        self.string = w.refer(Kind.PTR, char_const)
        self.void = w.refer(Kind.PTR, 0)
        grid = w.array(self.point, 3)
        state = w.enum("state", [("IDLE", 0), ("BUSY", 5), ("LOST", -1)], signed=True)
        self.item_pointer = w.refer(Kind.PTR, w.first + len(w.types) + 1)
        self.item = w.record(
            "item",
            ctypes.sizeof(Item),
            [
                ("", number, 0),
                ("name", name, 8 * 8),
                ("next", self.item_pointer, 16 * 8),
                ("title", self.string, 24 * 8),
                ("data", self.void, 32 * 8),
                ("grid", grid, 40 * 8),
                ("here", self.point, 52 * 8),
                ("tiny", self.uint, 56 * 8, 3),
                ("high", self.int, 56 * 8 + 3, 7),
                ("rest", self.int, 56 * 8 + 10, 22),
                ("on", self.bool, 60 * 8),
                ("state", state, 64 * 8),
                ("big", self.huge, 72 * 8),
                ("ratio", self.double, 88 * 8),
            ],
        )
        self.item_pointers = w.refer(Kind.PTR, self.item_pointer)
        self.item_type = w.refer(Kind.TYPEDEF, self.item, "item_t")
        self.hidden = w.refer(Kind.PTR, w.add(Kind.FWD, "secret"))
        self.call = w.refer(Kind.PTR, w.prototype(self.int, [("", self.string), ("", 0)]))
        self.numbers = w.refer(Kind.PTR, self.int)
        self.user_point = w.refer(Kind.PTR, w.refer(Kind.TYPE_TAG, self.point, "user"))
        counter = w.add(Kind.VAR, "counter", self.int, [1])
        w.add(Kind.DATASEC, ".data..percpu", 4, [counter, 0, 4], 1)
        w.add(Kind.VAR, "typed", self.item, [1])
        self.data = w.blob()
        self.btf = Btf(self.data)


SMALL = Small()


class Kernel(StoredFacts):
    """Facts of the small kernel; symbols are ``name: address`` of this process."""

    def __init__(self, symbols: Mapping[str, int], btf: bytes = SMALL.data) -> None:
        lines = [f"{address:016x} D {name}\n" for name, address in symbols.items()]
        super().__init__({"btf": btf, "kallsyms": "".join(lines).encode(), "functions": b""})


def facts(btf: bytes = SMALL.data, **symbols: int) -> KernelFacts:
    return KernelFacts(Kernel(symbols, btf), release="6.12.0", machine="x86_64", cpus=2)


def context(kind: str = "kprobe", **more: object) -> ProbeContext:
    """A function ``handle`` with a parameter of every sort."""
    s = SMALL
    types = {
        "item": s.item_pointer,
        "count": s.int,
        "size": s.u64,
        "text": s.string,
        "data": s.void,
        "items": s.item_pointers,
        "secret": s.hidden,
        "call": s.call,
        "flag": s.bool,
        "unknown": 0,
        "numbers": s.numbers,
        "point": s.point,
        "whole": s.item,
        "user_point": s.user_point,
        "ratio": s.double,
    }
    variables = tuple(
        Variable(name, s.btf, type_id, ir.Argument(i)) for i, (name, type_id) in enumerate(types.items())
    )
    settings: dict[str, object] = {"function": "handle", "variables": variables, **more}
    return ProbeContext(kind=kind, **settings)  # type: ignore[arg-type]


_PART = re.compile(r"->(\w+)|\[([^\]]*)\]|(\$\$|\$)")
_START = re.compile(
    r'(&?)(?:\$(\$?\w+)|@cast\((\w+), "([^"]*)"(?:, "([^"]*)")?\)|@var\("([^"]*)"(?:, "([^"]*)")?\))'
)


def parsed(text: str) -> tree.Target | tree.Cast | tree.Var:
    """The tree of a target variable; an index or a cast's operand is a number or a name."""
    source = Source(text)
    start = _START.match(text)
    assert start is not None, text
    accessors: list[tree.Accessor] = []
    end = start.end()
    while end < len(text):
        part = _PART.match(text, end)
        assert part is not None, text
        at = Place(source, Span(part.start(), part.end()))
        if part[1]:
            accessors.append(tree.Member(at, part[1]))
        elif part[3]:
            accessors.append(tree.Pretty(at, part[3] == "$$"))
        else:
            accessors.append(tree.Subscript(at, _operand(at, part[2])))
        end = part.end()
    at = Place(source, Span(0, len(text)))
    address, name, operand, type_name, module, variable, variable_module = start.groups()
    rest = (tuple(accessors), bool(address))
    if name:
        return tree.Target(at, name, *rest)
    if type_name is not None:
        return tree.Cast(at, _operand(at, operand), type_name, module or "", *rest)
    return tree.Var(at, variable, variable_module or "", *rest)


def _operand(at: Place, text: str) -> tree.Expression:
    if re.fullmatch(r"-?\w*\d", text) and not text[0].isalpha():
        return tree.Number(at, int(text, 0))
    return tree.Name(at, text)


def convert(node: tree.Expression) -> ir.Expr:
    if isinstance(node, tree.Number):
        return ir.Number(node.value)
    assert isinstance(node, tree.Name)
    return ir.Local(node.name)


def lowered(text: str, where: ProbeContext | None = None, kernel: KernelFacts | None = None) -> ir.Expr:
    """The IR of a target variable."""
    access = Access(kernel or facts(), where or context(), convert)
    node = parsed(text)
    if isinstance(node, tree.Target):
        return access.target(node)
    if isinstance(node, tree.Cast):
        return access.cast(node, convert(node.operand))
    return access.var(node)


def number(expr: ir.Expr, arguments: list[int] | None = None, **names: int) -> int:
    """What an expression gives, carried out on this process's memory."""

    def run(expr: ir.Expr) -> int:
        match expr:
            case ir.Number():
                return expr.value
            case ir.Argument():
                return _wrap((arguments or [])[expr.index])
            case ir.Local():
                return names[expr.name]
            case ir.AtEntry():
                return run(expr.operand)
            case ir.Binary():
                left, right = run(expr.left), run(expr.right)
                results = {"+": left + right, "*": left * right, "&": left & right}
                shifts = {"<<": left << (right & 63), ">>": left >> (right & 63)}
                return _wrap({**results, **shifts}[expr.op])
            case ir.Extend():
                return int.from_bytes(
                    (run(expr.operand) % (1 << 64)).to_bytes(8, "little")[: expr.size],
                    "little",
                    signed=expr.signed,
                )
            case ir.Load():
                data = ctypes.string_at(run(expr.address) % (1 << 64), expr.size)
                found = int.from_bytes(data, "little")
                width = expr.bits or 8 * expr.size
                found = found >> expr.shift & ((1 << width) - 1)
                return _wrap(found - (1 << width) if expr.signed and found >> (width - 1) else found)
        raise TypeError(expr)

    return run(expr)


def _wrap(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def shown(expr: ir.Expr) -> str:
    """The format of a text, as printf has it."""
    if isinstance(expr, ir.Text):
        return expr.value
    assert isinstance(expr, ir.Format)
    return "".join(p.text or f"%{p.flags}{p.conversion}" for p in expr.pieces)
