"""The names of a script: what each stands for, and the type it turns out to have.

Types are found by putting equal what must be equal: every variable, key, parameter
and result has a :class:`Cell`, and the first use that tells decides for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ktrace_nb.diagnostics import Problem, near_hint
from ktrace_nb.errors import CellError
from ktrace_nb.ir import script as ir
from ktrace_nb.ir.script import Type
from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.cells import Cell
from ktrace_nb.lang.stap.library import Library
from ktrace_nb.source import Place, Source, Span

PRINTING = {f"{s}print{rest}": bool(s) for s in ("", "s") for rest in ("", "f", "ln", "d", "dln")}
"""The functions that print, and whether each gives a string instead."""

_TYPE_NAMES = {"long": Type.LONG, "string": Type.STRING}


@dataclass(eq=False, slots=True)
class GlobalSymbol:
    """A global of the script or of the tapset."""

    name: str
    """Unique in the whole script."""
    declaration: tree.Global
    cell: Cell
    keys: tuple[Cell, ...] | None = None
    """None until something tells whether it is an array, and of how many keys."""
    first_use: Place | None = None
    key_names: tuple[str, ...] = ()
    histograms: list[ir.HistogramShape] = field(default_factory=list)
    variance: bool = False
    bit_shift: int = 0
    written: bool = False
    read: bool = False

    def as_array(self, count: int, at: Place) -> tuple[Cell, ...]:
        """Its keys, used with so many.

        Raises:
            CellError: Elsewhere it is used otherwise.
        """
        if self.keys is None:
            self.keys = tuple(Cell() for _ in range(count))
            self.first_use = at
        if len(self.keys) != count:
            raise self._wrong_use(at, _keys_words(count))
        return self.keys

    def _wrong_use(self, at: Place, used: str) -> CellError:
        assert self.keys is not None
        was = _keys_words(len(self.keys))
        others = []
        if self.first_use:
            others = [Problem("first used here", self.first_use.source, self.first_use.span, severity="note")]
        message = f"{self.declaration.name!r} is used {used} here, and {was} elsewhere"
        return CellError(message, at.source, at.span, hint=self._keys_hint(), others=others)

    def _keys_hint(self) -> str:
        """How it is to be used."""
        if not self.keys:
            return "a variable is a scalar or an array, not both"
        example = ", ".join(["key"] * len(self.keys))
        return f"it is an array: {self.declaration.name}[{example}]"


def _keys_words(count: int) -> str:
    return "as a scalar" if count == 0 else "with 1 key" if count == 1 else f"with {count} keys"


@dataclass(eq=False, slots=True)
class FunctionSymbol:
    """A function of the script or of the tapset."""

    name: str
    """Unique in the whole script."""
    declaration: tree.Function
    parameters: tuple[Cell, ...]
    result: Cell
    following: FunctionSymbol | None = None
    """The overload that ``next`` goes on with."""
    locals: dict[str, Cell] = field(default_factory=dict)
    returns_value: bool = False
    seen: bool = False

    @property
    def is_intrinsic(self) -> bool:
        """Whether it has no body."""
        return self.declaration.body is None

    @property
    def gives_value(self) -> bool:
        """Whether it can be used as a value: it returns one, or its uses want one.

        One that only its uses tell is 0 or empty. Source: SystemTap types a function by its
        uses too, and lets results begin as 0 or "" (``elaborate.cxx``, ``translate.cxx``).
        """
        return self.returns_value or self.result.type not in (None, Type.NOTHING)


class Symbols:
    """All globals and functions that a script may name.

    Args:
        script: The script.
        library: What it can use besides.
    """

    def __init__(self, script: tree.Script, library: Library) -> None:
        self._library = library
        self._script = script
        self.globals: dict[str, GlobalSymbol] = {}
        self._library_globals: dict[tuple[str, str], GlobalSymbol] = {}
        self._functions: dict[tuple[str, int], FunctionSymbol] = {}
        self._declared: dict[str, list[tree.Function]] = {}
        for declaration in script.globals:
            self.globals[declaration.name] = _global_symbol(declaration.name, declaration)
        for function in script.functions:
            self._declared.setdefault(function.name, []).append(function)

    @property
    def source(self) -> Source:
        """The script's text."""
        return self._script.source

    def is_function(self, name: str, count: int) -> bool:
        """Whether the script or the tapset has a function with so many parameters."""
        declared = (*self._declared.get(name, ()), *self._library.functions(name))
        return any(len(f.parameters) == count for f in declared)

    def all_globals(self) -> Iterator[GlobalSymbol]:
        """Globals of the script, then those of the tapset that are used."""
        yield from self.globals.values()
        yield from self._library_globals.values()

    def global_variable(self, name: str, at: Place) -> GlobalSymbol | None:
        """The global a name stands for where it is written; None if it is a local there."""
        if at.source is self._script.source:
            found = self.globals.get(name)
            return found or self._public_global(name)
        key = at.source.name, name
        if key not in self._library_globals:
            declaration = self._library.global_variable(name, at.source.name)
            if declaration is None:
                return None
            unique = name if name.startswith("_") else f"_{name}"
            self._library_globals[key] = _global_symbol(unique, declaration)
        return self._library_globals[key]

    def _public_global(self, name: str) -> GlobalSymbol | None:
        """A global of the tapset that is meant for scripts, a constant mostly."""
        declaration = None if name.startswith("_") else self._library.public_global(name)
        return self.global_variable(name, declaration.at) if declaration else None

    def function(self, name: str, count: int, at: Place) -> FunctionSymbol:
        """The function that a call with so many arguments means.

        Raises:
            CellError: There is none.
        """
        own = self._declared.get(name, [])
        # A function of the tapset calls its own, whatever the script has of that name.
        groups = [own, self._library.functions(name)]
        if at.source is not self._script.source:
            groups.reverse()
        for declared in groups:
            fitting = [f for f in declared if len(f.parameters) == count]
            if fitting:
                return self._symbol(fitting, own=declared is own)
        raise self._no_function(name, count, at, groups[0] or groups[1])

    def _symbol(self, overloads: list[tree.Function], *, own: bool) -> FunctionSymbol:
        first = overloads[0]
        unique = f"{first.name}/{len(first.parameters)}" + ("" if own else "@tapset")
        key = unique, 0
        if key in self._functions:
            return self._functions[key]
        following: FunctionSymbol | None = None
        for number in range(len(overloads) - 1, -1, -1):
            declaration = overloads[number]
            alone = own and len(self._declared[declaration.name]) == 1
            name = declaration.name if alone else f"{unique}#{number}"
            symbol = _function_symbol(name, declaration)
            symbol.following = following
            if following is not None:
                for mine, theirs in zip(symbol.parameters, following.parameters, strict=True):
                    mine.unify(theirs, declaration.at, "the parameter of an overload")
                symbol.result.unify(following.result, declaration.at, "the result of an overload")
            self._functions[unique, number] = symbol
            following = symbol
        return self._functions[key]

    def _no_function(self, name: str, count: int, at: Place, declared: list[tree.Function]) -> CellError:
        if declared:
            counts = sorted({len(f.parameters) for f in declared})
            wanted = " or ".join(map(str, counts))
            return CellError(
                f"function {name!r} takes {wanted} argument{'s' if counts != [1] else ''}, found {count}",
                at.source,
                at.span,
                hint=" or ".join(_form(f) for f in declared),
            )
        known = [*self._declared, *self._library.function_names, *PRINTING]
        hint = near_hint(name, known) or "neither the script nor the tapset has one of that name"
        return CellError(f"no function {name!r}", at.source, at.span, hint=hint)

    def used_functions(self) -> list[FunctionSymbol]:
        """Functions with a body that something calls, in the order they were met."""
        return [f for f in self._functions.values() if f.seen and not f.is_intrinsic]


def _global_symbol(name: str, declaration: tree.Global) -> GlobalSymbol:
    cell = Cell()
    symbol = GlobalSymbol(name, declaration, cell)
    if declaration.initial is not None:
        type_ = Type.STRING if isinstance(declaration.initial, tree.String) else Type.LONG
        cell.unify(Cell(type_, declaration.at), declaration.at, declaration.name)
        symbol.as_array(0, declaration.at)
    return symbol


def _function_symbol(name: str, declaration: tree.Function) -> FunctionSymbol:
    head = _head(declaration)
    # Of the tapset, the whole declaration tells more than one parameter does.
    parameters = tuple(
        _declared_cell(p.type, head if declaration.body is None else p.at) for p in declaration.parameters
    )
    result = _declared_cell(declaration.type, head)
    if declaration.body is None and not declaration.type:
        result = Cell(Type.NOTHING, head)
    symbol = FunctionSymbol(name, declaration, parameters, result)
    for parameter, cell in zip(declaration.parameters, parameters, strict=True):
        symbol.locals[parameter.name] = cell
    return symbol


def _declared_cell(type_name: str, at: Place) -> Cell:
    return Cell(_TYPE_NAMES[type_name], at) if type_name else Cell()


def _head(function: tree.Function) -> Place:
    """A function without its body."""
    if function.body is None:
        return function.at
    start, end = function.at.span.start, function.body.at.span.start
    text = function.at.source.text[start:end].rstrip()
    return Place(function.at.source, Span(start, start + len(text)))


def _form(function: tree.Function) -> str:
    parameters = ", ".join(p.name for p in function.parameters)
    return f"{function.name}({parameters})"
