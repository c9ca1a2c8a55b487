"""Integers of 64 bits and strings of bytes, as a script computes with them.

Python's integers have no end and its division rounds down; these functions make
them behave like the kernel's. Generated code calls :func:`wrap` only where a
result left the range, which a comparison in place tells.
"""

from __future__ import annotations

from typing import TypeAlias

from ktrace_nb.stream.script.errors import ScriptError

Value: TypeAlias = int | str
Key: TypeAlias = tuple[Value, ...]

LOWEST = -(1 << 63)
HIGHEST = (1 << 63) - 1
MASK = (1 << 64) - 1


def wrap(value: int) -> int:
    """The low 64 bits of an integer as a signed number."""
    return ((value - LOWEST) & MASK) + LOWEST


def divide(left: int, right: int) -> int:
    """The quotient, rounded towards zero; the lowest number divided by -1 is itself.

    Raises:
        ScriptError: Division by zero.
    """
    if right > 0 <= left:
        return left // right
    if not right:
        raise ScriptError("division by 0")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) and quotient <= HIGHEST else -quotient


def remainder(left: int, right: int) -> int:
    """What division leaves, with the sign of ``left``.

    Raises:
        ScriptError: Division by zero.
    """
    if right > 0 <= left:
        return left % right
    if not right:
        raise ScriptError("division by 0")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def shift_left(value: int, count: int) -> int:
    """``value << count``, of which the low six bits count."""
    return wrap(value << (count & 63))


def shift_right(value: int, count: int) -> int:
    """``value >> count``, of which the low six bits count; the sign stays."""
    return value >> (count & 63)


def extend(value: int, size: int, signed: bool) -> int:
    """The low ``size`` bytes of a number, with or without sign; 8 bytes always have one."""
    bits = 8 * size
    low = value & ((1 << bits) - 1)
    return low - (1 << bits) if (signed or size == 8) and low >> (bits - 1) else low


class Cutter:
    """Cuts strings at the script's longest, and counts how often.

    Args:
        max_string: Bytes of a string, the NUL that ends it included (``MAXSTRINGLEN``).
    """

    def __init__(self, max_string: int) -> None:
        self.longest = max_string - 1
        """Characters a string may have."""
        self.cuts = 0
        """Strings that were too long."""

    def __call__(self, text: str) -> str:
        """The text, or as much of it as there is room for."""
        if len(text) > self.longest:
            self.cuts += 1
            return text[: self.longest]
        return text
