"""What language a text is in, where nobody says so.

A script of SystemTap consists of declarations, which begin with one of four words
(or define a macro); no C that the kernel's compiler takes begins with one of them.
Every other text is taken for C.
"""

from __future__ import annotations

import re

_LINE = re.compile(r"#!(?P<interpreter>[^\n]*)|#[ \t]*(?P<directive>\w*)[^\n]*")
_SKIPPED = re.compile(r"\s+|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/")
_DECLARATION = re.compile(r"(?:probe|global|private|function)\s+[\w*_]|@define\b")
_DIRECTIVES = frozenset(
    ("define", "include", "if", "ifdef", "ifndef", "pragma", "undef", "error", "line", "endif")
)


def language_of(text: str) -> str:
    """``stap`` or ``c``, by the first words that are neither blank nor a comment.

    ``#`` begins a comment of a script, unless a directive of C's preprocessor follows.
    """
    at = 0
    while True:
        if skipped := _SKIPPED.match(text, at):
            at = skipped.end()
        elif line := _LINE.match(text, at):
            if line["interpreter"] is not None:
                return "stap" if "stap" in line["interpreter"] else "c"
            if line["directive"] in _DIRECTIVES:
                return "c"
            at = line.end()
        else:
            return "stap" if _DECLARATION.match(text, at) else "c"
