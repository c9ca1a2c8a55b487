"""What the writers of a program's parts hand one another."""

from __future__ import annotations

from dataclasses import dataclass

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.intrinsics import INTRINSICS
from ktrace_nb.ir.walk import expressions


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes with a string in them, zeros behind its end."""

    at: str
    """C of a pointer to them, 8-byte aligned."""
    size: int
    """Bytes a string may need here, its NUL included."""

    @property
    def room(self) -> int:
        """Bytes that are there."""
        return (self.size + 7) & ~7


@dataclass(frozen=True, slots=True)
class Variable:
    """A local of the script."""

    c: str
    """Its name in C, or of a string a pointer to it."""
    shape: ir.Shape


@dataclass(frozen=True, slots=True)
class Faults:
    """Reads that fail for the sake of a value that is sent or put aside are noted beside it."""

    index: int
    """Of the value."""
    slot: str
    """C of the value's place, which gets the address."""
    is_text: bool
    label: str
    """Where to go on."""


@dataclass(frozen=True, slots=True)
class Returning:
    """Where a function that is written out puts its result, and where it goes on."""

    number: str
    """The variable of an integer's; empty for a string."""
    text: Buffer | None
    label: str


def is_constant(c: str) -> bool:
    """Whether C is a decimal number."""
    return c.lstrip("-").isdigit()


def has_effect(expr: ir.Expr) -> bool:
    """Whether evaluating an expression changes what others may read."""
    return any(
        isinstance(e, ir.Assign | ir.Step | ir.Call)
        or (isinstance(e, ir.Intrinsic) and INTRINSICS[e.name].effect)
        for e in expressions(expr)
    )
