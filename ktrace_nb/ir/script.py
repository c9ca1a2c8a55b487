"""A script after its language is done with it: typed, every name resolved.

Values are 64-bit signed integers and strings of bytes (one character per byte,
Latin-1). Nothing here knows a language or a kernel: memory is read by
:class:`Load` at an address, arguments by their number.

A :class:`Script` says what is to happen; :mod:`ktrace_nb.ir.placement` makes a
:class:`Placed` of it, which says where: in the kernel, or beside the notebook.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from ktrace_nb.ir.program import ProbeRequest
from ktrace_nb.source import Place


class Type(Enum):
    """What an expression gives."""

    LONG = "long"
    STRING = "string"
    STATISTICS = "stats"
    NOTHING = "nothing"
    """Of a function that returns no value."""


# --- variables ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LocalVariable:
    """A variable of one handler or function."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalVariable:
    """A global: a scalar, an array, or statistics of either."""

    name: str
    type: Type
    """Of the value."""
    keys: tuple[Type, ...] = ()
    """Types of an array's keys; empty for a scalar."""
    key_names: tuple[str, ...] = ()
    """What the script calls the keys where it walks the array."""
    initial: int | str | None = None
    size: int = 0
    """Entries an array may have; 0 for the default."""
    wraps: bool = False
    histograms: tuple[HistogramShape, ...] = ()
    """Those that the script asks for."""
    variance: bool = False
    """Whether the script asks for ``@variance``."""
    bit_shift: int = 0
    """Of ``@variance``."""
    at: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class HistogramShape:
    """``@hist_log`` (``step`` 0), or ``@hist_linear(x, low, high, step)``."""

    low: int = 0
    high: int = 0
    step: int = 0

    @property
    def is_log(self) -> bool:
        """Whether buckets are powers of two."""
        return self.step == 0


# --- expressions -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Expr:
    """What every expression has."""

    type: Type = Type.LONG
    at: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Number(Expr):
    """A constant."""

    value: int


@dataclass(frozen=True, slots=True)
class Text(Expr):
    """A constant string."""

    value: str


@dataclass(frozen=True, slots=True)
class Local(Expr):
    """A local variable or parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class Global(Expr):
    """A global scalar (or statistics that are no array)."""

    name: str


@dataclass(frozen=True, slots=True)
class Element(Expr):
    """An array's entry; a key that is None stands for every one (slices)."""

    array: str
    keys: tuple[Expr | None, ...]


@dataclass(frozen=True, slots=True)
class Unary(Expr):
    """``-``, ``!`` (0 or 1) or ``~``."""

    op: str
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(Expr):
    """``+ - * / % << >> & | ^`` of integers, wrapped to 64 bits.

    Division truncates, the remainder has the dividend's sign; division by zero is an
    error of the script. Shifts use the low six bits of the count; ``>>`` keeps the sign.
    """

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Compare(Expr):
    """``== != < <= > >=`` of two integers or two strings (byte by byte); 0 or 1."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Logical(Expr):
    """``&&`` or ``||`` of integers, the right side only where needed; 0 or 1."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Choose(Expr):
    """``condition ? then : otherwise``."""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class Concat(Expr):
    """Two strings joined, cut at the script's longest."""

    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Match(Expr):
    """Whether a regular expression matches somewhere in a string; 0 or 1."""

    subject: Expr
    pattern: str
    """POSIX extended syntax."""
    negated: bool


@dataclass(frozen=True, slots=True)
class Contains(Expr):
    """Whether an array has the entry; 0 or 1. A key that is None stands for any."""

    array: str
    keys: tuple[Expr | None, ...]


@dataclass(frozen=True, slots=True)
class Assign(Expr):
    """Set a variable; gives the value set. ``op`` is empty, or of :class:`Binary`, or ``.``."""

    target: Local | Global | Element
    op: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Step(Expr):
    """Add ``by`` (1 or -1) to a variable; gives the value before, with ``prefix`` after."""

    target: Local | Global | Element
    by: int
    prefix: bool


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A function of the script or of the tapset, by its unique name."""

    function: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Intrinsic(Expr):
    """Something of :mod:`ktrace_nb.ir.intrinsics`."""

    name: str
    arguments: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Symbol(Expr):
    """In the kernel: a number that stands for the string that the user intrinsic ``name`` makes of it."""

    operand: Expr
    name: str


@dataclass(frozen=True, slots=True)
class Argument(Expr):
    """The raw value of the probe's argument ``index``, 0 first: 64 bits as the function got them."""

    index: int


@dataclass(frozen=True, slots=True)
class Result(Expr):
    """What the probed function or system call returned, 64 raw bits."""


@dataclass(frozen=True, slots=True)
class Load(Expr):
    """An integer read from memory at an address.

    A read that fails is an error of the script. ``bits`` other than 0 takes that many
    bits from bit ``shift`` (counted from the lowest) of the ``size`` bytes.
    """

    address: Expr
    size: int
    """Bytes: 1, 2, 4 or 8."""
    signed: bool
    user: bool = False
    """Whether the address is one of the process."""
    shift: int = 0
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Extend(Expr):
    """The low ``size`` bytes of an integer as a number with or without sign."""

    operand: Expr
    size: int
    signed: bool


@dataclass(frozen=True, slots=True)
class AtEntry(Expr):
    """The value an expression had when the function was entered; 0 or "" if that was missed."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Statistic(Expr):
    """``@count``, ``@sum``, ``@min``, ``@max``, ``@avg`` or ``@variance`` of statistics."""

    what: str
    of: Global | Element


@dataclass(frozen=True, slots=True)
class Histogram(Expr):
    """A histogram of statistics, as text (only to be printed)."""

    of: Global | Element
    shape: HistogramShape


@dataclass(frozen=True, slots=True)
class Bucket(Expr):
    """The count in bucket ``index`` of a histogram."""

    histogram: Histogram
    index: Expr


@dataclass(frozen=True, slots=True)
class Format(Expr):
    """A string made as ``sprintf`` makes it."""

    pieces: tuple[Piece, ...]
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Captured(Expr):
    """A value that the kernel sent along, beside the notebook."""

    index: int


@dataclass(frozen=True, slots=True)
class EntryValue(Expr):
    """A value that was put aside when the function was entered, in the kernel."""

    index: int


# --- what is printed ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a format: literal text, or a conversion of the next argument.

    ``width`` and ``precision`` of -1 are not given, of -2 (``*``) are taken from
    the arguments in front of the value.
    """

    text: str = ""
    conversion: str = ""
    """``d i u x X o p s c m M b n``, or ``%``; empty for literal text."""
    flags: str = ""
    """Some of ``-+ #0``."""
    width: int = -1
    precision: int = -1
    size: int = 0
    """Bytes of ``%b`` and the like; 0 if not given."""


# --- statements --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Stmt:
    """What every statement has."""

    at: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Evaluate(Stmt):
    """An expression for its effect."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Accumulate(Stmt):
    """``target <<< value``."""

    target: Global | Element
    value: Expr


@dataclass(frozen=True, slots=True)
class Print(Stmt):
    """Text put out; a site of its own."""

    site: int
    """Number of the place in the script, unique."""
    pieces: tuple[Piece, ...]
    arguments: tuple[Expr, ...]
    names: tuple[str, ...] = ()
    """What the arguments are called, as columns of a frame."""


@dataclass(frozen=True, slots=True)
class If(Stmt):
    """``if``."""

    condition: Expr
    then: Body
    otherwise: Body = ()


@dataclass(frozen=True, slots=True)
class While(Stmt):
    """Also ``for``: ``step`` runs after each round, ``continue`` included."""

    condition: Expr
    body: Body
    step: Body = ()


@dataclass(frozen=True, slots=True)
class Foreach(Stmt):
    """Walk the entries of an array, or the bucket numbers of a histogram."""

    value: str
    """Local for the value, empty if there is none."""
    names: tuple[str, ...]
    """Locals for the keys."""
    array: str
    """Empty if a histogram is walked."""
    slice: tuple[Expr | None, ...]
    sort_by: int | None
    """0 for the value, n for the n-th key; None for the array's own order."""
    statistic: str
    """What of statistics is the value to sort by; empty for ``count``."""
    descending: bool
    limit: Expr | None
    body: Body
    histogram: Histogram | None = None


@dataclass(frozen=True, slots=True)
class Break(Stmt):
    """``break``."""


@dataclass(frozen=True, slots=True)
class Continue(Stmt):
    """``continue``."""


@dataclass(frozen=True, slots=True)
class Next(Stmt):
    """Leave the handler."""


@dataclass(frozen=True, slots=True)
class Return(Stmt):
    """Leave the function."""

    value: Expr | None


@dataclass(frozen=True, slots=True)
class Delete(Stmt):
    """Remove an entry, those of a slice, a whole array (no keys), or set a scalar to its first value."""

    target: Global | Element


@dataclass(frozen=True, slots=True)
class Try(Stmt):
    """``try``; ``variable`` is the local that gets the message, empty if none."""

    body: Body
    variable: str
    handler: Body


@dataclass(frozen=True, slots=True)
class Ship(Stmt):
    """Send a record to the notebook; only in the kernel."""

    record: int
    values: tuple[Expr, ...]


Body: TypeAlias = tuple[Stmt, ...]


# --- the whole ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Function:
    """A function."""

    name: str
    """Unique; overloads are told apart."""
    parameters: tuple[LocalVariable, ...]
    locals: tuple[LocalVariable, ...]
    type: Type
    body: Body
    at: Place | None = field(default=None, compare=False)


class Event(Enum):
    """What a handler waits for."""

    BEGIN = "begin"
    END = "end"
    ERROR = "error"
    NEVER = "never"
    READ = "read"
    """Somebody asks for a text."""
    TIMER = "timer"
    """A clock beside the notebook."""
    KERNEL = "kernel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """What happens when something happens."""

    number: int
    event: Event
    name: str
    """The probe point as ``pp()`` gives it."""
    body: Body
    locals: tuple[LocalVariable, ...] = ()
    order: int = 0
    """Of ``begin``, ``end`` and ``error``: lower ones run first."""
    period_ns: int = 0
    """Of a timer."""
    randomize_ns: int = 0
    """Of a timer: each period differs by up to so much."""
    file: str = ""
    """Of a text that can be asked for, its name."""
    context: str = ""
    """Of a kernel event: what the program gets. ``kprobe``, ``kretprobe``, ``fentry``, ``fexit``,
    ``raw_tracepoint``, ``sys_enter``, ``sys_exit``, ``perf``, ``uprobe``, ``uretprobe``, ``usdt``."""
    arguments: int = 0
    """How many arguments the probed function has, where that is known (``fexit``)."""
    requests: tuple[ProbeRequest, ...] = ()
    """Where it is attached; ``function`` of each is :attr:`function`."""
    entry_requests: tuple[ProbeRequest, ...] = ()
    """Where values of :class:`AtEntry` are taken; ``function`` of each is :attr:`entry_function`."""
    entry_context: str = ""
    """What the program there gets: ``kprobe``, ``sys_enter``, ``uprobe``."""
    syscalls: tuple[int, ...] = ()
    """With ``sys_enter`` and ``sys_exit``: numbers of the calls it is for; empty for all."""
    alias: str = field(default="", compare=False)
    """The alias it was named by, ``syscall.open``; empty if the point was named directly."""
    silence: str = field(default="", compare=False)
    """Why it may never happen though it is attached; empty if nothing speaks against it."""
    at: Place | None = field(default=None, compare=False)

    @property
    def function(self) -> str:
        """Name of its program in the kernel."""
        return f"probe_{self.number}"

    @property
    def title(self) -> str:
        """What whoever wrote the script calls it."""
        return self.alias or self.name

    @property
    def entry_function(self) -> str:
        """Name of the program that runs where the function is entered."""
        return f"entry_{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the language, by SystemTap's names."""

    max_string: int = 128
    """``MAXSTRINGLEN``: bytes of a string, the NUL included."""
    max_action: int = 1000
    """``MAXACTION``: statements a handler in the kernel may run."""
    max_errors: int = 0
    """``MAXERRORS``: errors of handlers before the script ends."""
    max_skipped: int = 100
    """``MAXSKIPPED``: events that may be skipped before the script ends."""
    max_map_entries: int = 2048
    """``MAXMAPENTRIES``: entries of an array without a size."""
    max_nesting: int = 128
    """``MAXNESTING``: function calls within one another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A whole script."""

    globals: tuple[GlobalVariable, ...]
    functions: tuple[Function, ...]
    handlers: tuple[Handler, ...]
    limits: Limits = Limits()


# --- after placement ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    """How a value is kept in the kernel.

    An integer has ``size`` 8. A string has the bytes it may need, NUL included; or,
    with ``symbol``, it is kept as a 64-bit number that only the notebook turns into
    text, with the function of that name in :mod:`ktrace_nb.ir.intrinsics`.
    """

    size: int = 8
    text: bool = False
    symbol: str = ""


LONG = Shape()


@dataclass(frozen=True, slots=True)
class KernelGlobal:
    """A global that lives in the kernel."""

    variable: GlobalVariable
    keys: tuple[Shape, ...]
    value: Shape
    read: bool = False
    """Whether handlers in the kernel read it; if not, they only add to it or set it."""
    added: bool = False
    """Whether they only ever add (``++``, ``+=``, ``<<<``): what is there may be moved away at any moment."""


@dataclass(frozen=True, slots=True)
class KernelLocal:
    """A local variable in the kernel."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class KernelFunction:
    """A function that handlers in the kernel call; never recursive."""

    function: Function
    parameters: tuple[KernelLocal, ...]
    locals: tuple[KernelLocal, ...]
    result: Shape
    body: Body


@dataclass(frozen=True, slots=True)
class KernelHandler:
    """A handler's part in the kernel."""

    handler: Handler
    body: Body
    locals: tuple[KernelLocal, ...]
    entry: tuple[tuple[Expr, Shape], ...] = ()
    """What :class:`EntryValue` gives, by its index."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the kernel sends, and what the notebook does with it."""

    number: int
    """From 1; 0 is no record."""
    handler: int
    values: tuple[Shape, ...]
    body: Body
    """Statements over :class:`Captured`; run in the order of arrival."""
    locals: tuple[LocalVariable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A script with everything where it belongs."""

    script: Script
    kernel_globals: tuple[KernelGlobal, ...]
    kernel_functions: tuple[KernelFunction, ...]
    kernel_handlers: tuple[KernelHandler, ...]
    records: tuple[Record, ...]
    user_globals: tuple[GlobalVariable, ...]
    user_handlers: tuple[Handler, ...]
    """``begin``, ``end``, ``error`` and timers."""
    user_functions: tuple[Function, ...]
    notes: tuple[tuple[str, Place | None], ...] = ()
    """What the user should know: handlers that could not stay in the kernel, and why."""
    late_reads: tuple[tuple[str, Place | None], ...] = ()
    """Of those, by name, that read the kernel's memory after their event, and where first."""
