"""Functions of strings, as SystemTap's tapset defines them.

Source: SystemTap ``tapset/string.stp``, ``tapset/tokenize.stp``, ``runtime/stp_string.c``,
``tapset/linux/ctime.stp``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ktrace_nb.stream.script.errors import ScriptError
from ktrace_nb.stream.script.values import wrap

_ESCAPES = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v", 34: '\\"', 92: "\\\\"}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def substr(text: str, start: int, length: int) -> str:
    """``length`` bytes from ``start`` on, or what there is; nothing if the start is outside."""
    return text[start : start + max(length, 0)] if 0 <= start < len(text) else ""


def stringat(text: str, position: int) -> int:
    """A byte of a string.

    Raises:
        ScriptError: The string does not have it.
    """
    if not 0 <= position < len(text):
        raise ScriptError("Position out of bounds")
    code = ord(text[position])
    return code - 256 if code > 127 else code  # C's char has a sign on x86-64


def isinstr(text: str, part: str) -> int:
    """Whether a string contains another."""
    return int(part in text)


def strcmp(left: str, right: str) -> int:
    """-1, 0 or 1, as the one is less than, equal to or greater than the other."""
    return (left > right) - (left < right)


def str_replace(text: str, part: str, by: str) -> str:
    """All occurrences of a part replaced; an empty part is found nowhere."""
    return text.replace(part, by) if part else text


def strtol(text: str, base: int) -> int:
    """The number at the beginning of a string, as the kernel's ``simple_strtol`` reads it.

    No blanks or ``+`` in front; base 0 goes by ``0x`` and ``0``, base 16 skips ``0x``.
    """
    negative = text.startswith("-")
    rest = text[negative:].lower()
    is_hex = rest.startswith("0x") and rest[2:3] in set("0123456789abcdef")
    if base == 0:
        base = 16 if is_hex else 8 if rest.startswith("0") else 10
    if base == 16 and rest.startswith("0x"):
        rest = rest[2:]
    value = 0
    for char in rest:
        digit = _DIGITS.find(char)
        if not 0 <= digit < base:
            break
        value = value * base + digit
    return wrap(-value if negative else value)


def toupper(text: str) -> str:
    """Small letters made capital."""
    return text.translate(_UPPER)


def tolower(text: str) -> str:
    """Capital letters made small."""
    return text.translate(_LOWER)


def hexadecimal(text: str) -> str:
    """Two digits for each byte."""
    return text.encode("latin-1").hex()


def words(text: str, first: int, count: int, delimiter: str) -> str:
    """Some of the words of a string, joined again; a negative count takes all that follow."""
    found = text.split()
    return delimiter.join(found[max(first, 0) : None if count < 0 else max(first, 0) + count])


# --- escapes -------------------------------------------------------------------------------


def _escaped(text: str) -> list[tuple[str, bool]]:
    """What is written for each character of a string of UTF-8, and whether that is an escape."""
    parts: list[tuple[str, bool]] = []
    at = 0
    data = text.encode("latin-1")
    while at < len(data):
        byte = data[at]
        length = 4 if byte >> 3 == 0b11110 else 3 if byte >> 4 == 0b1110 else 2 if byte >> 5 == 0b110 else 1
        if length > 1:
            try:
                code = ord(data[at : at + length].decode())
            except (UnicodeDecodeError, TypeError):
                length = 1
            else:
                parts.append((f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}", True))
        if length == 1:
            if byte in _ESCAPES:
                parts.append((_ESCAPES[byte], True))
            elif 32 <= byte < 127:
                parts.append((chr(byte), False))
            else:
                parts.append((f"\\{byte:03o}", True))
        at += length
    return parts


def text_strn(text: str, length: int, quoted: int, longest: int) -> str:
    """A string with escapes for what cannot be printed.

    Args:
        text: The string.
        length: Characters of the result at most; 0 for as many as a string may have.
        quoted: Whether to put it in quotes; ``...`` follows if it was cut.
        longest: Characters a string may have.
    """
    room = min(length, longest) if length > 0 else longest
    if quoted:
        room = max(room, 5) - 2
    made = ""
    escape: tuple[int, int] | None = None  # the first that cutting could part: where it begins and ends
    whole = True
    for part, is_escape in _escaped(text):
        if is_escape and escape is None and room - len(made) - 3 < len(part):
            escape = (len(made), len(made) + len(part))
        if len(made) + len(part) > room:
            whole = False
            break
        made += part
    if not quoted:
        return made
    if whole:
        return f'"{made}"'
    # The dots need room, too; no escape is cut in its middle for them.
    end = room - 3
    if escape and escape[0] < end < escape[1]:
        end = escape[0]
    return f'"{made[:end]}"...'


# --- time and addresses ---------------------------------------------------------------------


def ctime(seconds: int) -> str:
    """A moment as text of 24 characters, UTC.

    Raises:
        ScriptError: It needs more than 32 bits.
    """
    if seconds > 0x7FFFFFFF:
        raise ScriptError("Time too far in the future to be converted")
    if seconds < -0x80000000:
        raise ScriptError("Time too far in the past to be converted")
    when = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    return (
        f"{_DAYS[when.weekday()]} {_MONTHS[when.month - 1]}{when.day:3} "
        f"{when.hour:02}:{when.minute:02}:{when.second:02} {when.year}"
    )


def ip_ntop(address: int) -> str:
    """An IPv4 address, as a number whose lowest byte is the first in memory."""
    return ".".join(str(byte) for byte in (address & 0xFFFFFFFF).to_bytes(4, "little"))


def ip6_ntop(first: int, second: int) -> str:
    """An IPv6 address without abbreviations, as the kernel's ``%pI6``: its two halves as read from memory."""
    mask = (1 << 64) - 1
    data = (first & mask).to_bytes(8, "little") + (second & mask).to_bytes(8, "little")
    return ":".join(data[i : i + 2].hex() for i in range(0, 16, 2))
