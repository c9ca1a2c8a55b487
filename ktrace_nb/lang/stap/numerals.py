"""Numbers as the language writes them: decimal, ``0x`` hexadecimal, ``0`` octal."""

from __future__ import annotations

import re

from ktrace_nb.errors import CellError
from ktrace_nb.lang.stap.lexer import Token

_NUMERAL = re.compile(r"0[xX](?P<hexadecimal>[0-9A-Fa-f]+)|(?P<octal>0[0-7]*)|(?P<decimal>[1-9][0-9]*)")
_SUFFIXES = {"us": "timer.us", "ms": "timer.ms", "ns": "timer.ns", "s": "timer.s"}


def number_of(token: Token) -> int:
    """The value of a number, wrapped to 64 bits, signed.

    Values from 2**63 wrap to negative ones, as SystemTap's do (man stap, "General
    syntax"); larger ones are refused.

    Raises:
        CellError: It is none, or does not fit.
    """
    match = _NUMERAL.fullmatch(token.text)
    if match is None:
        raise CellError(f"no number: {token.text!r}", token.source, token.at.span, hint=_hint(token.text))
    # No int() of a number of any length: it is slow, then refused.
    digits = match[0].lower().removeprefix("0x").lstrip("0") or "0"
    base = 16 if match["hexadecimal"] else 8 if match["octal"] else 10
    value = int(digits, base) if len(digits) < 64 else 1 << 64
    if value >= 1 << 64:
        hint = "the largest is 18446744073709551615 (0xffffffffffffffff), which is -1"
        raise CellError("this number does not fit 64 bits", token.source, token.at.span, hint=hint)
    return value - (1 << 64) if value >= 1 << 63 else value


def _hint(text: str) -> str:
    lower = text.lower()
    if "_" in text:
        return f"digits are not grouped: {text.replace('_', '')}"
    if re.fullmatch(r"0b[01]+", lower):
        return f"there are no binary numbers: {hex(int(lower[2:66], 2))}"
    if re.fullmatch(r"0[0-9]+", text):
        return "a leading 0 makes a number octal, with digits 0 to 7"
    if re.fullmatch(r"[0-9]+[ul]+", lower):
        return f"numbers are signed and have 64 bits, with no letters behind: {text.rstrip('uUlL')}"
    unit = re.fullmatch(r"[0-9]+(us|ms|ns|s)", lower)
    if unit:
        return f"units are part of names: {_SUFFIXES[unit[1]]}({text[: -len(unit[1])]})"
    return "numbers are decimal, hexadecimal (0x1f) or octal (017); names do not begin with a digit"
