"""Format strings of ``printf`` taken apart.

SystemTap reads a conversion as ``%``, at most one flag of ``-+ #0``, a width, a
precision, ``l``, and one of ``b c d i m M o p s u x X``. A ``0`` behind another flag is
therefore the first digit of the width: ``%-05d`` is ``%-5d``. Several flags are
taken here too.
Source: SystemTap ``staptree.cxx``, ``print_format::string_to_components``.
"""

from __future__ import annotations

import re

from ktrace_nb.ir.script import Piece

_CONVERSION = re.compile(
    r"%(?P<flags>0|[-+ #]*)(?P<width>\*|\d*)(?:\.(?P<precision>\*|\d+)?)?l?(?P<what>.?)", re.DOTALL
)
_KNOWN = "bcdimMopsuxX"
_SIZES = (1, 2, 4, 8)


class FormatError(ValueError):
    """A format that cannot be read.

    Args:
        message: What is wrong.
        offset: Where in the text, in characters.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def parse_format(text: str) -> tuple[Piece, ...]:
    """The pieces of a format string; literal text between conversions is one piece.

    Args:
        text: The string, its escapes already replaced.

    Raises:
        FormatError: A conversion there is none of.
    """
    pieces: list[Piece] = []
    literal = ""
    at = 0
    while at < len(text):
        percent = text.find("%", at)
        if percent < 0:
            literal += text[at:]
            break
        literal += text[at:percent]
        if percent + 1 == len(text) or text[percent + 1] == "%":
            literal += "%"
            at = percent + 2
            continue
        match = _CONVERSION.match(text, percent)
        assert match  # everything behind the percent sign is optional
        if literal:
            pieces.append(Piece(literal))
            literal = ""
        pieces.append(_piece(match))
        at = match.end()
    if literal:
        pieces.append(Piece(literal))
    return tuple(pieces)


def _piece(match: re.Match[str]) -> Piece:
    what = match["what"]
    if not what or what not in _KNOWN:
        message = f"no conversion {match[0]!r}" if what else f"conversion {match[0]!r} without its letter"
        raise FormatError(message, match.start())
    width, precision = _count(match["width"]), _count(match["precision"])
    size = 0
    if what == "b":
        # Each of width and precision stands for the other where one is missing.
        size = precision if precision in _SIZES else width if precision < 0 and width in _SIZES else 8
    return Piece("", what, match["flags"], width, precision, size)


def _count(digits: str | None) -> int:
    if digits == "*":
        return -2
    return int(digits) if digits else -1


def arguments_of(piece: Piece) -> int:
    """How many arguments a piece takes: none for text, more than one with ``*``."""
    if piece.conversion in ("", "%"):
        return 0
    return 1 + (piece.width == -2) + (piece.precision == -2)
