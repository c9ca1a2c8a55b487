"""Where in a script the cursor is, told from the text in front of it.

The text is unfinished while somebody types, so nothing is parsed: words, strings,
comments and braces tell enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PART = re.compile(
    r'"(?:[^"\\\n]|\\.)*(?P<closed>")?'
    r"|/\*(?:[^*]|\*(?!/))*(?P<ended>\*/)?"
    r"|(?://|\#)[^\n]*(?P<line>\n)?"
    r"|[{}]|(?<![.\w$@])(?:probe|function|global|private)\b"
)
_CONDITION = re.compile(r"\s+if\s*\(.*", re.DOTALL)
_SEPARATOR = re.compile(r'("(?:[^"\\\n]|\\.)*"?)|,|(?<![=!<>])\+?=(?!=)')


@dataclass(frozen=True, slots=True)
class Cursor:
    """What is in front of the cursor."""

    where: str
    """``top`` (a declaration may begin), ``point`` (of a probe), ``body``, ``text`` (a string in
    a body, a comment)."""
    before: str = ""
    """At a point: the point so far. In a body: the line so far."""
    points: str = ""
    """In a body: the points of its probe; empty in a function."""


def cursor_in(text: str) -> Cursor:
    """Where the end of a text is."""
    depth = 0
    header = ""
    word, word_end = "", 0
    for part in _PART.finditer(text):
        found = part.group()
        if found[0] == '"':
            if not part["closed"] and part.end() == len(text) and (depth or word != "probe"):
                return Cursor("text")
        elif found[:2] in ("/*", "//") or found[0] == "#":
            if not (part["ended"] or part["line"]) and part.end() == len(text):
                return Cursor("text")
        elif found == "{":
            if not depth:
                header = text[word_end : part.start()] if word == "probe" else ""
            depth += 1
        elif found == "}":
            depth = max(0, depth - 1)
            word = "" if not depth else word
        elif not depth:
            word, word_end = found, part.end()
    if depth:
        return Cursor("body", text.rpartition("\n")[2], header.strip())
    if word == "probe" and text[word_end : word_end + 1].isspace():
        return Cursor("point", _last_point(text[word_end:]))
    return Cursor("top", text.rpartition("\n")[2])


def points_of(header: str) -> list[str]:
    """The points in front of a body, without what stands behind them; of an alias those it stands for."""
    found: list[str] = []
    start = 0
    for match in _SEPARATOR.finditer(header + ","):
        if match[1] is None:
            found = [] if match.group().endswith("=") else [*found, header[start : match.start()]]
            start = match.end()
    points = (_CONDITION.sub("", point).strip().rstrip("?!+").strip() for point in found)
    return [point for point in points if point]


def aliases_in(text: str) -> list[str]:
    """The finished aliases of a text: ``probe name = points { … }``."""
    found = []
    depth = start = 0
    word, opened = "", 0
    for part in _PART.finditer(text):
        token = part.group()
        if token == "{":
            opened = part.start() if not depth else opened
            depth += 1
        elif token == "}":
            depth = max(0, depth - 1)
            header = [m.group() for m in _SEPARATOR.finditer(text[start:opened]) if m[1] is None]
            if not depth and word == "probe" and any(sign.endswith("=") for sign in header):
                found.append(text[start : part.end()])
            word = "" if not depth else word
        elif not depth and token.isalpha():
            word, start = token, part.start()
    return found


def _last_point(header: str) -> str:
    ends = [match.end() for match in _SEPARATOR.finditer(header) if match[1] is None]
    return header[ends[-1] if ends else 0 :].lstrip()
