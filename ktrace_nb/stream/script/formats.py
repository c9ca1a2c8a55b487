"""Text made of values as ``printf`` and ``sprintf`` of SystemTap make it.

It differs from C's ``printf`` in a few places: integers have 64 bits whatever the
letter; a precision does not turn ``0`` padding off, ``%.0d`` of 0 is ``0``; ``%#x`` of 0
is ``0x0`` and ``%#o`` always has a 0 in front; ``%p`` is ``%#x``; ``%#c`` writes unprintable
characters as escapes; ``%b`` writes the bytes of a number, ``%m`` and ``%M`` those of
memory, here already read (``%M`` in hexadecimal); ``0`` with ``%s`` adds a NUL.
Source: SystemTap ``runtime/vsprintf.c``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ktrace_nb.ir.format_text import arguments_of
from ktrace_nb.ir.script import Piece
from ktrace_nb.stream.script.values import MASK, Value

Formatter: TypeAlias = Callable[[Sequence[Value]], str]
_Render: TypeAlias = Callable[[str, str, int, int, Any], str]
"""A conversion's letter, its flags, width and precision (-1 for none), and the value."""

_WIDEST = 8192
"""Characters a value may be padded to (``STP_BUFFER_SIZE``)."""
_SIZES = (1, 2, 4, 8)
_ESCAPES = {7: "a", 8: "b", 12: "f", 10: "n", 13: "r", 9: "t", 11: "v", 39: "'", 92: "\\"}


def compile_format(pieces: Sequence[Piece]) -> Formatter:
    """A function that makes the text of the arguments, in the order of the conversions."""
    if all(map(_is_plain, pieces)):
        return _plain(pieces)
    steps: list[tuple[str, Piece | None, _Render | None]] = []
    for piece in pieces:
        if arguments_of(piece):
            steps.append(("", piece, _RENDERERS[piece.conversion]))
        else:
            steps.append((_literal(piece), None, None))

    def text(values: Sequence[Value]) -> str:
        rest = iter(values)
        parts = []
        for literal, piece, render in steps:
            if piece is None or render is None:
                parts.append(literal)
                continue
            width = int(next(rest)) if piece.width == -2 else piece.width
            precision = max(0, int(next(rest))) if piece.precision == -2 else piece.precision
            flags = piece.flags
            if piece.width == -2 and width < 0:
                flags += "-"
                width = -width
            parts.append(render(piece.conversion, flags, min(width, _WIDEST), precision, next(rest)))
        return "".join(parts)

    return text


class Formats:
    """Compiled formats, each made when it is first used.

    Keeps what it was given: pieces are told apart by being the same object.
    """

    def __init__(self) -> None:
        self._made: dict[int, tuple[Sequence[Piece], Formatter]] = {}

    def __call__(self, pieces: Sequence[Piece]) -> Formatter:
        """The function that makes the text of values after these pieces."""
        made = self._made.get(id(pieces))
        if made is None:
            made = self._made[id(pieces)] = (pieces, compile_format(pieces))
        return made[1]


# --- what Python's own formatting does alike -----------------------------------------------


def _literal(piece: Piece) -> str:
    return "%" if piece.conversion == "%" else piece.text


def _is_plain(piece: Piece) -> bool:
    """Whether Python's ``%`` writes it as SystemTap does."""
    if piece.width == -2 or piece.precision == -2 or piece.width > _WIDEST:
        return False
    if piece.conversion == "s":
        return "0" not in piece.flags
    return piece.conversion in ("", "%", *"diuxXp") and piece.precision == -1


def _plain(pieces: Sequence[Piece]) -> Formatter:
    template = ""
    unsigned: list[bool] = []
    for piece in pieces:
        what = piece.conversion
        if what in ("", "%"):
            template += _literal(piece).replace("%", "%%")
            continue
        flags = piece.flags
        letter = {"i": "d", "u": "d", "p": "x"}.get(what, what)
        if what in "uxXp":
            flags = flags.replace("+", "").replace(" ", "")
        if what in "diu":
            flags = flags.replace("#", "")
        if what == "p":
            flags += "#"
        width = str(piece.width) if piece.width >= 0 else ""
        precision = f".{piece.precision}" if piece.precision >= 0 else ""
        template += f"%{flags}{width}{precision}{letter}"
        unsigned.append(what in "uxXp")
    if not any(unsigned):
        return lambda values: template % tuple(values)

    def text(values: Sequence[Any]) -> str:
        return template % tuple([v & MASK if u else v for v, u in zip(values, unsigned, strict=True)])

    return text


# --- the rest ------------------------------------------------------------------------------


def _number(what: str, flags: str, width: int, precision: int, value: int) -> str:
    sign = ""
    if what in "di":
        sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
        value = abs(value)
    else:
        value &= MASK
    prefix = ""
    if "#" in flags or what == "p":
        prefix = {"x": "0x", "p": "0x", "X": "0X", "o": "0"}.get(what, "")
    digits = format(value, {"x": "x", "p": "x", "X": "X", "o": "o"}.get(what, "d")).rjust(
        min(precision, _WIDEST), "0"
    )
    front = sign + prefix
    if "-" in flags:
        return (front + digits).ljust(width)
    if "0" in flags:
        return front + digits.rjust(width - len(front), "0")
    return (front + digits).rjust(width)


def _aligned(flags: str, width: int, text: str) -> str:
    return text.ljust(width) if "-" in flags else text.rjust(width)


def _string(what: str, flags: str, width: int, precision: int, value: str) -> str:
    text = value[:precision] if precision >= 0 else value
    return _aligned(flags, width, text) + ("\0" if "0" in flags else "")


def _character(what: str, flags: str, width: int, precision: int, value: int) -> str:
    code = value & 0xFF
    text = chr(code)
    if "#" in flags and (not 32 <= code < 127 or code in _ESCAPES):
        text = "\\" + (_ESCAPES.get(code) or f"{code:03o}")
    return _aligned(flags, width, text)


def _binary(what: str, flags: str, width: int, precision: int, value: int) -> str:
    size = precision if precision in _SIZES else -1
    if width < 0:
        width = size = 8 if size < 0 else size
    elif size < 0:
        size = width if width in _SIZES else 8
    text = (value & (1 << 8 * size) - 1).to_bytes(size, "little").decode("latin-1")
    return text.ljust(width, "\0") if "-" in flags else text.rjust(width, "\0")


def _memory(what: str, flags: str, width: int, precision: int, value: str) -> str:
    text = value[: max(1, precision)]
    if what == "M":
        text = text.encode("latin-1").hex()
    return _aligned(flags, width, text) + ("\0" if "0" in flags else "")


_RENDERERS: dict[str, _Render] = {
    **dict.fromkeys("diuoxXp", _number),
    "s": _string,
    "c": _character,
    "b": _binary,
    "m": _memory,
    "M": _memory,
}
