"""Names that a kernel, or whoever names its things, has written.

Whoever may name an interface, a mount point or a slab cache may put anything into that name:
control characters, what is no UTF-8, signs that turn the direction of writing. A name of a kstat
is printed, and colons part its four words. So in names each of these, colons and backslashes is
written ``\\xNN`` or ``\\uNNNN``, as Python does: no two names become one, and a name can be told back.
"""

from __future__ import annotations

import re

_OCTAL = re.compile(rb"\\([0-7]{3})")


def printable(text: str, *, also: str = "") -> str:
    """A text that a terminal shows and does not obey.

    Args:
        text: As the kernel told it; bytes that are no UTF-8 are lone surrogates.
        also: Further characters to write as escapes.

    Returns:
        The text in which what is not printable is written as an escape.
    """
    if text.isprintable() and not any(sign in text for sign in also):
        return text
    return "".join(c if c.isprintable() and c not in also else _escape(c) for c in text)


def name_of(text: str) -> str:
    """The word of a 4-tuple that stands for a name: printable, without a colon."""
    return printable(text, also=":\\")


def unmangle(text: str) -> str:
    r"""A name out of ``mountinfo`` or ``mountstats``, where ``\040`` is a space.

    Source: Linux ``fs/seq_file.c``, ``mangle_path()``; proc(5).
    """
    if "\\" not in text:
        return text
    raw = text.encode("utf-8", "surrogateescape")
    plain = _OCTAL.sub(lambda found: bytes((int(found[1], 8) & 0xFF,)), raw)
    return plain.decode("utf-8", "surrogateescape")


def _escape(sign: str) -> str:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
        code -= 0xDC00
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
