"""Regular expressions of ``=~``: POSIX extended syntax turned into Python's, for strings of bytes.

As SystemTap reads them: ``^`` and ``$`` are anchors everywhere, a backslash takes the
meaning of any character away (there are no classes like ``\\d`` and no references to
groups), ``(?:...)`` is allowed, ``.`` matches every character, and classes are those of
the C locale. Whether a string matches at all does not depend on which of several
matches is taken, so Python's leftmost-first search answers the same as POSIX's.
Source: SystemTap ``stapregex-parse.cxx``; POSIX.1-2017, Base Definitions, 9.4.
"""

from __future__ import annotations

import re

_MOST_REPEATS = 12344
_CLASSES = {
    "alpha": r"A-Za-z",
    "alnum": r"A-Za-z0-9",
    "blank": r" \t",
    "cntrl": r"\x01-\x1f\x7f",
    "digit": r"0-9",
    "d": r"0-9",
    "xdigit": r"0-9a-fA-F",
    "graph": r"!-~",
    "lower": r"a-z",
    "l": r"a-z",
    "print": r" -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r" \t\r\n\v\f",
    "s": r" \t\r\n\v\f",
    "upper": r"A-Z",
    "u": r"A-Z",
}
_BOUNDS = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")


def compile_regex(pattern: str) -> re.Pattern[str]:
    """A pattern of a script for Python; use its ``search``.

    Raises:
        ValueError: It is none, and why.
    """
    return re.compile(_Reader(pattern).read(), re.DOTALL)


class _Reader:
    """Goes through a pattern once, from left to right."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._open = 0
        self._made: list[str] = []

    def read(self) -> str:
        """Python's pattern."""
        repeatable = anchor = False
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in "*+?{":
                if anchor:
                    raise ValueError(f"{char!r} behind an anchor")
                if not repeatable:
                    raise ValueError(f"unexpected {char!r}")
                self._repeat(char)
                continue
            anchor = char in "^$"
            repeatable = self._item(char)
        if self._open:
            raise ValueError("expected ')', found the end")
        return "".join(self._made)

    def _item(self, char: str) -> bool:
        """Read what is no repetition; whether it can be repeated."""
        self._at += 1
        if char == "\\":
            if self._at == len(self._text):
                raise ValueError("a backslash at the end")
            self._made.append(re.escape(self._text[self._at]))
            self._at += 1
        elif char == "[":
            self._made.append(self._class())
        elif char == "(":
            if self._text.startswith("?", self._at):
                if not self._text.startswith("?:", self._at):
                    raise ValueError(f"unexpected {'(' + self._text[self._at : self._at + 2]!r}")
                self._at += 2
            self._open += 1
            self._made.append("(?:")
            return False
        elif char == ")":
            if not self._open:
                raise ValueError("unbalanced ')'")
            self._open -= 1
            self._made.append(")")
        elif char == "|":
            self._made.append("|")
            return False
        else:
            # "$" of Python would also match before a last line end.
            self._made.append({"^": r"\A", "$": r"\Z", ".": "."}.get(char) or re.escape(char))
        return True

    def _repeat(self, char: str) -> None:
        suffix = char
        if char == "{":
            match = _BOUNDS.match(self._text, self._at)
            if not match:
                raise ValueError("expected a number of repetitions behind '{'")
            numbers = [int(n) for n in (match[1], match[3]) if n]
            if max(numbers) > _MOST_REPEATS:
                raise ValueError(f"{max(numbers)} repetitions, at most {_MOST_REPEATS}")
            if len(numbers) == 2 and numbers[0] > numbers[1]:
                raise ValueError(f"repetitions from {numbers[0]} to {numbers[1]}")
            suffix = match[0]
            self._at = match.end()
        else:
            self._at += 1
        # A group of its own: "a+*" and "a*?" are no possessive or lazy repetitions here.
        item = self._last_item()
        self._made.append(f"(?:{item}{suffix})")

    def _last_item(self) -> str:
        """Take the last thing read off again, a whole group if it is one."""
        parts = [self._made.pop()]
        depth = int(parts[0] == ")")
        while depth:
            part = self._made.pop()
            depth += (part == ")") - (part == "(?:")
            parts.append(part)
        return "".join(reversed(parts))

    def _class(self) -> str:
        inverted = self._text.startswith("^", self._at)
        self._at += inverted
        parts: list[str] = []
        first = True
        while first or not self._text.startswith("]", self._at):
            if self._at >= len(self._text):
                raise ValueError("unclosed character class")
            parts.append(self._named_class() if self._text.startswith("[:", self._at) else self._range())
            first = False
        self._at += 1
        return f"[{'^' * inverted}{''.join(parts)}]"

    def _named_class(self) -> str:
        end = self._text.find(":]", self._at)
        if end < 0:
            raise ValueError("unclosed character class")
        name = self._text[self._at + 2 : end]
        if name not in _CLASSES:
            raise ValueError(f"unknown character class {name!r}")
        self._at = end + 2
        return _CLASSES[name]

    def _range(self) -> str:
        low = self._character()
        if not self._text.startswith("-", self._at) or self._text.startswith("-]", self._at):
            return _quoted(low)
        self._at += 1
        high = self._character()
        if high < low:
            raise ValueError(f"inverted character range {low}-{high}")
        return f"{_quoted(low)}-{_quoted(high)}"

    def _character(self) -> str:
        if self._text.startswith("\\", self._at):
            self._at += 1
        if self._at >= len(self._text):
            raise ValueError("unclosed character class")
        self._at += 1
        return self._text[self._at - 1]


def _quoted(char: str) -> str:
    return f"\\x{ord(char):02x}"
