"""Words of the SystemTap language.

One regular expression finds the words; what is wrong with one becomes a token of
kind ``junk`` that carries its error, because a wrong word in a part that the
preprocessor leaves out is no error.

Strings are decoded here. An escape that C does not know stands for its character:
``"\\."`` is a dot, which is how SystemTap reads it and regular expressions need it.
Source of the lexical rules: man stap, "General syntax".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ktrace_nb.errors import CellError
from ktrace_nb.lang.stap.tree import bytes_of_text
from ktrace_nb.source import Place, Source, Span

KEYWORDS = frozenset((
    "probe", "global", "private", "function", "if", "else", "for", "foreach", "in", "limit", "return",
    "delete", "while", "break", "continue", "next", "string", "long", "try", "catch",
))  # fmt: skip

_WORD = re.compile(
    r"""(?P<blank>(?:[ \t\r\n\f\v]+|\\\r?\n|//[^\n]*|/\*.*?\*/)+)
    |(?P<argument>[$@](?:[0-9]+|\#))
    |(?P<comment>\#[^\n]*)
    |(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
    |(?P<at>@[A-Za-z0-9_$]*)
    |(?P<number>[0-9][A-Za-z0-9_]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<embedded>%\{.*?%\})
    |(?P<junk>/\*|%\{|")
    |(?P<op><<<|>>>|<<=|>>=|[=!]~|[-+*/%&^|.<>=!]=|&&|\|\||\+\+|--|->|<<|>>|%[(?:)]|[!-/:-@\[-`{-~])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]*)|(\r?\n)|(.))", re.DOTALL)
_ESCAPED = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
_LOOKALIKES = {**dict.fromkeys("“”„«»", 'a straight quote "'), **dict.fromkeys("‘’", "a straight quote '"),
               **dict.fromkeys("–—−", "a minus -"),
               "→": "an arrow ->", "≤": "<=", "≥": ">=", "≠": "!="}  # fmt: skip


class Token:
    """A word.

    ``kind`` is ``name``, ``keyword``, ``at`` (``@word``), ``number``, ``string``
    (``text`` is decoded), ``op``, ``embedded``, ``junk`` or ``end``.
    """

    __slots__ = ("end", "error", "glued", "kind", "source", "start", "text")

    def __init__(
        self, kind: str, text: str, source: Source, start: int, end: int, glued: bool = False
    ) -> None:
        self.kind = kind
        self.text = text
        self.source = source
        self.start = start
        self.end = end
        self.glued = glued
        """Whether it follows the word before without a blank."""
        self.error: CellError | None = None

    @property
    def at(self) -> Place:
        """Where it stands."""
        return Place(self.source, Span(self.start, self.end))

    def moved(self, to: Token) -> Token:
        """The same word at another's place."""
        token = Token(self.kind, self.text, to.source, to.start, to.end, self.glued)
        token.error = self.error
        return token

    def is_op(self, text: str) -> bool:
        """Whether it is this operator."""
        return self.kind == "op" and self.text == text

    def __repr__(self) -> str:
        return f"Token({self.kind}, {self.text!r})"


def words(source: Source, arguments: Sequence[str] = ()) -> list[Token]:
    """The words of a text, comments left out; the last is of kind ``end``.

    Args:
        source: The text.
        arguments: What ``$1``, ``@1`` and so on stand for.
    """
    text = source.text
    found: list[Token] = []
    at, length, glued = 0, len(text), False
    match_at = _WORD.match
    while at < length:
        match = match_at(text, at)
        if match is None:
            found.append(_stray(source, at, glued))
            at, glued = at + 1, True
            continue
        kind, end = match.lastgroup, match.end()
        assert kind is not None
        if kind in ("blank", "comment"):
            at, glued = end, False
            continue
        word = text[at:end]
        if kind == "name":
            found.append(Token("keyword" if word in KEYWORDS else "name", word, source, at, end, glued))
        elif kind == "string":
            found.append(_string(word, source, at, end, glued))
        elif kind == "argument":
            found += _argument(Token(kind, word, source, at, end, glued), arguments)
        elif kind == "junk":
            found.append(_unterminated(source, at, glued))
            end = found[-1].end
        else:
            found.append(Token(kind, word, source, at, end, glued))
        at, glued = end, True
    found.append(Token("end", "", source, length, length))
    return found


def _junk(source: Source, start: int, end: int, glued: bool, message: str, hint: str | None = None) -> Token:
    token = Token("junk", source.text[start:end], source, start, end, glued)
    token.error = CellError(message, source, Span(start, end), hint=hint)
    return token


def _stray(source: Source, at: int, glued: bool) -> Token:
    char = source.text[at]
    looks_like = _LOOKALIKES.get(char)
    hint = f"this looks like {looks_like} but is another character" if looks_like else None
    shown = repr(char) if char.isprintable() else f"U+{ord(char):04X}"
    return _junk(source, at, at + 1, glued, f"unexpected character {shown}", hint)


def _unterminated(source: Source, at: int, glued: bool) -> Token:
    text = source.text
    if text.startswith("/*", at):
        return _junk(source, at, len(text), glued, "this comment does not end", "*/ ends it")
    if text.startswith("%{", at):
        return _junk(source, at, len(text), glued, "this embedded C does not end", "%} ends it")
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    hint = r'a string ends with " on the line it begins on; \n stands for a line end in it'
    return _junk(source, at, end, glued, "this string does not end", hint)


def _string(word: str, source: Source, start: int, end: int, glued: bool) -> Token:
    inside = word[1:-1]
    if "\\" not in inside and inside.isascii():
        return Token("string", inside, source, start, end, glued)
    try:
        return Token("string", _decoded(inside), source, start, end, glued)
    except _BadEscapeError as problem:
        begin = start + 1 + problem.start
        return _junk(source, begin, start + 1 + problem.end, glued, problem.message, problem.hint)
    except UnicodeEncodeError:
        return _junk(source, start, end, glued, "this string has half a character in it", "a lone surrogate")


class _BadEscapeError(Exception):
    def __init__(self, match: re.Match[str], message: str, hint: str) -> None:
        self.start, self.end = match.span()
        self.message = message
        self.hint = hint


def _decoded(text: str) -> str:
    parts: list[str] = []
    done = 0
    for match in _ESCAPE.finditer(text):
        parts.append(bytes_of_text(text[done : match.start()]))
        octal, hexadecimal, line_end, char = match.groups()
        if octal is not None or hexadecimal:
            value = int(octal, 8) if octal is not None else int(hexadecimal, 16)
            if value > 0xFF:
                hint = 'a byte ends at \\377 or \\xff; "\\xff" "f" keeps a letter behind it apart'
                raise _BadEscapeError(match, "this escape is no byte", hint)
            parts.append(chr(value))
        elif hexadecimal is not None:
            raise _BadEscapeError(match, r"\x needs digits behind it", r"\x1b is the escape character")
        elif line_end is None:
            parts.append(_ESCAPED.get(char) or bytes_of_text(char))
        done = match.end()
    parts.append(bytes_of_text(text[done:]))
    return "".join(parts)


def _argument(token: Token, arguments: Sequence[str]) -> list[Token]:
    """What ``$1`` (words), ``@1`` (a string), ``$#`` and ``@#`` (how many) stand for."""
    sign, which = token.text[0], token.text[1:]
    place = (token.source, token.start, token.end, token.glued)
    if which == "#":
        kind = "number" if sign == "$" else "string"
        return [Token(kind, str(len(arguments)), *place)]
    # No int() of a number of any length: it is slow, then refused.
    number = int(which) if len(which) < 6 else 10**6
    if not 1 <= number <= len(arguments):
        given = f"{len(arguments)} argument{'s' if len(arguments) != 1 else ''}"
        hint = "arguments stand behind the script's name: ktrace-nb run script.stp ARG"
        return [_junk(*place, f"there is no argument {token.text}: the script was given {given}", hint)]
    value = arguments[number - 1]
    if sign == "@":
        try:
            return [Token("string", bytes_of_text(value), *place)]
        except UnicodeEncodeError:
            return [_junk(*place, f"argument {number} has half a character in it")]
    if re.search(r"[$@][0-9#]", value):
        return [_junk(*place, f"argument {number} names an argument itself: {value!r}")]
    pasted = words(Source(value, f"argument {number}"))[:-1]
    moved = [word.moved(token) for word in pasted]
    for word, original in zip(moved, pasted, strict=True):
        if original.error is not None:
            message = f"in argument {number}, {value!r}: {original.error.message}"
            word.error = CellError(message, token.source, token.at.span, hint=original.error.hint)
    if moved:
        moved[0].glued = token.glued
    return moved


def comments(text: str) -> list[tuple[int, int]]:
    """Where the comments of a text begin and end, in order."""
    found = []
    for match in _COMMENT.finditer(text):
        if match.lastgroup == "comment":
            found.append(match.span())
    return found


_COMMENT = re.compile(
    r"""(?P<comment>(?<![$@])\#[^\n]*|//[^\n]*|/\*.*?\*/)|(?:"(?:[^"\\\n]|\\.)*")|(?:%\{.*?%\})""",
    re.VERBOSE | re.DOTALL,
)
