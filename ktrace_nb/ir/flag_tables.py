"""Names of the values and bits of a number, by a table that is one string.

The tapset has the tables: an ``open`` flags word, an ``fcntl`` command, a signal.
The intrinsic ``__flags(value, table)`` is :func:`flag_text`.

A table is a list of entries with ``|`` between them, in the order they are printed:

====================  ==============================================================
``NAME=value``        Bits: printed if all bits of the value are set.
``NAME=0``            Printed if the whole number is 0.
``NAME=value/mask``   A field: printed if the bits of the mask have just this value.
====================  ==============================================================

What has been printed is taken away; what is left at the end is printed in
hexadecimal. ``open`` begins ``O_RDONLY=0/3|O_WRONLY=1/3|O_RDWR=2/3|O_CREAT=0100``.

A table that begins with ``=`` is an enumeration: one name for the whole number, or
the number in hexadecimal. ``lseek`` has ``=SEEK_SET=0|SEEK_CUR=1|SEEK_END=2``.

Values and masks are written as in C: decimal, ``0100``, ``0x40``, with or without a minus.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

_ALL = (1 << 64) - 1
_WORD = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of a table."""

    name: str
    value: int
    """Unsigned, 64 bits."""
    mask: int
    """The bits that must have the value, for bits the value itself; 0 if the whole number must be 0."""

    def fits(self, number: int, left: int) -> bool:
        """Whether the name is to be printed.

        Args:
            number: The whole of it.
            left: What of it has no name yet.
        """
        if not self.mask:
            return number == 0
        return number & self.mask == self.value and (not self.value or left & self.value == self.value)


@dataclass(frozen=True, slots=True)
class Table:
    """A table, read."""

    entries: tuple[Entry, ...]
    enumeration: bool
    """Whether a name stands for the whole number."""


@cache
def read_table(table: str) -> Table:
    """Read a table.

    Raises:
        ValueError: It is not written as a table is.
    """
    enumeration = table.startswith("=")
    return Table(tuple(map(_entry, table.removeprefix("=").split("|"))), enumeration)


def flag_text(value: int, table: str) -> str:
    """What a number says.

    Args:
        value: 64 bits, signed or not. A negative one that has a place in 32 bits is taken
            as an ``int``: its hexadecimal has eight digits.
        table: See above.

    Raises:
        ValueError: The table is not written as a table is.
    """
    read = read_table(table)
    if read.enumeration:
        written = (value & _ALL, _unsigned(value))
        named = (entry.name for entry in read.entries if entry.value in written)
        return next(named, None) or _hexadecimal(_unsigned(value))
    number = left = _unsigned(value)
    names = []
    for entry in read.entries:
        if entry.fits(number, left):
            names.append(entry.name)
            left &= ~entry.value
    if left or not names:
        names.append(_hexadecimal(left))
    return "|".join(names)


def _unsigned(value: int) -> int:
    return value & (_WORD if -(1 << 31) <= value < 0 else _ALL)


def _hexadecimal(value: int) -> str:
    return f"0x{value:x}"


def _entry(text: str) -> Entry:
    name, equals, numbers = text.partition("=")
    if not name or not equals:
        raise ValueError(f"not an entry of a table: {text!r}")
    value, slash, mask = numbers.partition("/")
    number = _number(value) & _ALL
    return Entry(name, number, _number(mask) & _ALL if slash else number)


def _number(text: str) -> int:
    """An integer as C writes it."""
    digits = text.removeprefix("-")
    octal = len(digits) > 1 and digits.isdigit() and digits.startswith("0")
    number = int(digits, 8 if octal else 0)
    return -number if text.startswith("-") else number
