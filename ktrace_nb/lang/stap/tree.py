"""The syntax tree of a SystemTap script.

Names are the language reference's. Every node tells its place, which is in a file
of the tapset for what comes from there. Strings are bytes as the kernel has them,
one character per byte (Latin-1): :func:`text_of_bytes` makes what people read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from ktrace_nb.source import Place, Source


@dataclass(frozen=True, slots=True)
class Node:
    """What every part of a tree has."""

    at: Place = field(repr=False, compare=False)


# --- expressions ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number(Node):
    """An integer; wrapped to 64 bits, signed."""

    value: int


@dataclass(frozen=True, slots=True)
class String(Node):
    """A string literal, escapes replaced, adjacent literals joined."""

    value: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A local, a global or a variable of an alias."""

    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    """``array[key, *, key]``; None stands for ``*``. ``base`` may also be a histogram."""

    base: Name | Operator
    keys: tuple[Expression | None, ...]


@dataclass(frozen=True, slots=True)
class Member(Node):
    """``->name`` behind a target variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Subscript(Node):
    """``[index]`` behind a target variable."""

    index: Expression


@dataclass(frozen=True, slots=True)
class Pretty(Node):
    """``$`` (one level) or ``$$`` (all levels) behind a target variable: its contents as text."""

    deep: bool


Accessor: TypeAlias = Member | Subscript | Pretty


@dataclass(frozen=True, slots=True)
class Target(Node):
    """``$name`` with what follows; ``name`` is without the dollar: ``path``, ``$parms``, ``return``."""

    name: str
    accessors: tuple[Accessor, ...] = ()
    address: bool = False
    """Whether ``&`` stands in front."""


@dataclass(frozen=True, slots=True)
class Cast(Node):
    """``@cast(operand, "type", "module")`` with what follows."""

    operand: Expression
    type_name: str
    module: str = ""
    accessors: tuple[Accessor, ...] = ()
    address: bool = False


@dataclass(frozen=True, slots=True)
class Var(Node):
    """``@var("name@file", "module")`` with what follows: a global variable of the kernel."""

    name: str
    module: str = ""
    accessors: tuple[Accessor, ...] = ()
    address: bool = False


@dataclass(frozen=True, slots=True)
class Entry(Node):
    """``@entry(operand)``: its value when the function was entered."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Defined(Node):
    """``@defined(operand)``: whether the target variables in it exist."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class ProbeWrite(Node):
    """``@probewrite(operand)``: whether a probe writes to it; never so here."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``-``, ``+``, ``!`` or ``~``."""

    op: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic, comparison, ``.``, ``&&``, ``||``, ``=~``, ``!~``."""

    op: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """``condition ? then : otherwise``."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Assign(Node):
    """``target op value``; ``op`` is ``=``, ``+=`` … ``.=`` or ``<<<``."""

    op: str
    target: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Step(Node):
    """``++`` or ``--`` before or behind a variable."""

    op: str
    target: Expression
    prefix: bool


@dataclass(frozen=True, slots=True)
class Membership(Node):
    """``[keys] in array``; None stands for ``*``."""

    keys: tuple[Expression | None, ...]
    array: Name


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function's call; the print family (``printf``, ``sprintln`` …) too."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Operator(Node):
    """``@count(x)``, ``@hist_linear(x, 0, 100, 10)``, ``@variance(x, 3)`` …; ``name`` has no ``@``."""

    name: str
    operand: Name | Index
    arguments: tuple[Expression, ...] = ()


Expression: TypeAlias = (
    Number | String | Name | Index | Target | Cast | Var | Entry | Defined | ProbeWrite | Unary | Binary
    | Conditional | Assign | Step | Membership | Call | Operator
)  # fmt: skip


# --- statements ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block(Node):
    """``{ … }``; an empty statement is an empty block."""

    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Evaluate(Node):
    """An expression as a statement."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class If(Node):
    """``if (condition) then else otherwise``."""

    condition: Expression
    then: Statement
    otherwise: Statement | None = None


@dataclass(frozen=True, slots=True)
class While(Node):
    """``while (condition) body``."""

    condition: Expression
    body: Statement


@dataclass(frozen=True, slots=True)
class For(Node):
    """``for (start; condition; step) body``; each of the three may be missing."""

    start: Expression | None
    condition: Expression | None
    step: Expression | None
    body: Statement


@dataclass(frozen=True, slots=True)
class Foreach(Node):
    """``foreach (value = [names] in array[slice] limit n) body``."""

    value: Name | None
    names: tuple[Name, ...]
    array: Name | Operator
    slice: tuple[Expression | None, ...]
    """Keys to keep to; empty if there is no slice, None for ``*``."""
    sort_by: int | None
    """0 for the value, n for the n-th name, None for the order of the array."""
    sort_operator: str
    """Of an array of statistics, what of it is the value: ``count``, ``sum`` …; empty if not said."""
    descending: bool
    limit: Expression | None
    body: Statement


@dataclass(frozen=True, slots=True)
class Break(Node):
    """``break``."""


@dataclass(frozen=True, slots=True)
class Continue(Node):
    """``continue``."""


@dataclass(frozen=True, slots=True)
class Next(Node):
    """``next``: leave the handler, or go on with the next function of the same name."""


@dataclass(frozen=True, slots=True)
class Return(Node):
    """``return value``."""

    value: Expression | None


@dataclass(frozen=True, slots=True)
class Delete(Node):
    """``delete target``: a scalar, an element, a slice or a whole array."""

    target: Expression


@dataclass(frozen=True, slots=True)
class Try(Node):
    """``try body catch (variable) handler``."""

    body: Block
    variable: Name | None
    handler: Block


Statement: TypeAlias = (
    Block | Evaluate | If | While | For | Foreach | Break | Continue | Next | Return | Delete | Try
)


# --- declarations --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Global(Node):
    """``global name[size]% = initial``."""

    name: str
    size: int | None = None
    wraps: bool = False
    """``%``: the oldest entries make room for new ones."""
    initial: Number | String | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """A function's parameter."""

    name: str
    type: str = ""
    """``long``, ``string`` or empty."""


@dataclass(frozen=True, slots=True)
class Function(Node):
    """A function; an intrinsic of the tapset has no body."""

    name: str
    parameters: tuple[Parameter, ...]
    type: str
    """Of the result: ``long``, ``string`` or empty."""
    body: Block | None
    private: bool = False
    doc: str = ""
    """The comment in front of it, markers removed."""


@dataclass(frozen=True, slots=True)
class Component(Node):
    """One part of a probe point: ``function("vfs_*")``."""

    name: str
    """May contain ``*`` and ``?``."""
    argument: int | str | None = None


@dataclass(frozen=True, slots=True)
class Point(Node):
    """A probe point."""

    components: tuple[Component, ...]
    optional: bool = False
    """``?``: no error if it does not exist."""
    sufficient: bool = False
    """``!``: if it exists, those behind it are left out."""
    condition: Expression | None = None

    def __str__(self) -> str:
        return ".".join(_component_text(component) for component in self.components)


@dataclass(frozen=True, slots=True)
class Probe(Node):
    """``probe points { body }``."""

    points: tuple[Point, ...]
    body: Block


@dataclass(frozen=True, slots=True)
class Alias(Node):
    """``probe name = points { prologue }``, or ``+=`` with an epilogue."""

    names: tuple[Point, ...]
    epilogue: bool
    """Whether ``+=`` was written: the body runs behind the probe's own."""
    points: tuple[Point, ...]
    body: Block
    private: bool = False
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """A file or a cell."""

    source: Source
    globals: tuple[Global, ...]
    functions: tuple[Function, ...]
    probes: tuple[Probe, ...]
    aliases: tuple[Alias, ...]


def _component_text(component: Component) -> str:
    argument = component.argument
    if argument is None:
        return component.name
    return f'{component.name}("{argument}")' if isinstance(argument, str) else f"{component.name}({argument})"


def text_of_bytes(value: str) -> str:
    """What a string of bytes says: UTF-8 where it is, replacement characters where not."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace")


def bytes_of_text(value: str) -> str:
    """The string of bytes for a text, in UTF-8."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")
