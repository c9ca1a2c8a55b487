"""What a piece of a kernel's health is.

A piece is one number that the kernel keeps, told twice. One account is ours: it begins with the
kernel's number and adds every event that changes it. The other is the kernel's number as it is
now. Where both agree nothing was missed; how far they are apart is the *drift*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kstat.files import Snapshot

TOTAL = ""
"""The label of a number as a whole."""

Kind: TypeAlias = Literal["counter", "level"]
"""A counter only grows, a level comes and goes."""

Parse: TypeAlias = Callable[[Snapshot], Mapping[str, int]]
"""Makes numbers, by the labels of their parts, of the kernel's files."""

Rows: TypeAlias = Callable[[Mapping[str, int]], Mapping[str, int]]
"""Gives the parts that are watched their rows, from 0; is told the numbers at the start."""

ReadWords: TypeAlias = Callable[[list[int]], list[int]]
"""Reads words of 64 bits of the kernel's memory, by their addresses."""

Constants: TypeAlias = Callable[[KernelFacts, ReadWords], Mapping[str, int]]
"""What the C of changes needs to know of one kernel, by the names used there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Where the kernel changes a number, and by how much.

    The C of ``by``, ``row`` and ``given`` may use ``ctx->args[N]`` of a tracepoint, the parameters
    of a function, the functions ``word(address)`` and ``half(address)``, which read 64 and 16 bits
    of the kernel's memory, and the names of :attr:`Piece.constants`.
    """

    points: tuple[str, ...]
    """Probe points, of which the first is taken that the kernel has: ``raw_tracepoint:EVENT``,
    ``fentry:FUNCTION(PARAMETERS)`` or ``fexit:FUNCTION(PARAMETERS, RESULT)``, parameters as in C."""

    by: str = "1"
    """What is added; what is less than 0 is taken away."""

    row: str = "0"
    """Which part of the number changes; a row that is not watched is nobody's."""

    given: str = "1"
    """The number changes only where this is not 0."""

    optional: bool = False
    """Whether a kernel may lack all points: it has then nothing that could happen there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The kernel's own number."""

    files: tuple[str, ...]
    """Where it is told, as :class:`ktrace_nb.kstat.files.Files` takes paths."""

    parse: Parse

    refresh: tuple[str, ...] = ()
    """Files that have the kernel add up what each CPU keeps for itself when they are read."""

    settle: tuple[str, ...] = ()
    """The same for files that take a ``1``; a kernel may lack them."""

    only_above: bool = False
    """Whether it may tell too much, never too little: then of several looks the least is nearest."""


def _whole(_: Mapping[str, int]) -> Mapping[str, int]:
    return {TOTAL: 0}


def _nothing(_: KernelFacts, __: ReadWords) -> Mapping[str, int]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One number of a kernel's health."""

    name: str
    title: str
    unit: str
    kind: Kind
    changes: tuple[Change, ...]
    account: Account
    """What our account starts from, and what it is compared with."""

    least: float | None = None
    """Below this all is not well; None where the band is open. Of a level the level, of a counter its
    rate per second."""

    most: float | None = None
    """Above this neither."""

    ceiling: Account | None = None
    """Where the kernel tells ``most``, if that is None; it is read once, when watching begins."""

    rows: Rows = _whole
    constants: Constants = _nothing
    note: str = ""
    """What the number includes that its title does not tell, and what sets the accounts apart."""
