"""What a C text says before any compiler has seen it.

The headers for a cell must exist before the cell can be compiled, so the names
it uses are read from its words alone: which headers it includes, which macros
it tests, which names it declares itself. No scope is followed inside functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ktrace_nb.ctokens import DIRECTIVE, IDENTIFIER, Token, tokenize
from ktrace_nb.source import Span

_DIRECTIVE = re.compile(r"#(?:\s|\\\n)*(\w*)")
_INCLUDE = re.compile(r"""#\s*include\s*[<"]([^>"\n]*)[>"]""")
_ASKING = re.compile(r"__has_\w+")
_TAGS = frozenset(("struct", "union", "enum"))
_NO_NAMES = _TAGS | {
    "char", "const", "double", "extern", "float", "int", "long", "return",
    "short", "signed", "static", "unsigned", "void",
}  # fmt: skip
# Where the table macros of bcc have the table's name; first if not said here.
_TABLE_NAME_AT = {"BPF_TABLE": 3, "BPF_F_TABLE": 3, "BPF_QUEUESTACK": 1}


@dataclass(frozen=True, slots=True)
class Mention:
    """A name that a directive mentions, and where."""

    name: str
    span: Span


class CText:
    """A C text taken apart into words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._everything = tokenize(text)

    @cached_property
    def tokens(self) -> list[Token]:
        """Everything outside comments and directives."""
        return [token for token in self._everything if token.kind != DIRECTIVE]

    @cached_property
    def words(self) -> frozenset[str]:
        """All identifiers and keywords outside comments and strings, directives included."""
        return frozenset(token.text for token in self._with_directives if token.kind == IDENTIFIER)

    @cached_property
    def includes(self) -> list[Mention]:
        """The headers asked for, as written between the brackets or quotes."""
        found = []
        for token in self._everything:
            if token.kind == DIRECTIVE and (match := _INCLUDE.match(token.text)):
                start = token.span.start
                found.append(Mention(match[1], Span(start + match.start(1), start + match.end(1))))
        return found

    @cached_property
    def defines(self) -> frozenset[str]:
        """The macros that the text defines, or undefines, somewhere."""
        return frozenset(
            body[0].text for word, body in self._directives if word in ("define", "undef") and body
        )

    @cached_property
    def tested(self) -> list[Mention]:
        """The names that ``#if``, ``#elif``, ``#ifdef`` and ``#ifndef`` ask about."""
        found = []
        for word, body in self._directives:
            if word not in ("if", "elif", "ifdef", "ifndef"):
                continue
            depth = asking = 0
            for token in body:
                depth += (token.text == "(") - (token.text == ")")
                if depth < asking:
                    asking = 0
                if _ASKING.fullmatch(token.text):  # what follows is no macro: __has_include(<x.h>)
                    asking = depth + 1
                elif token.kind == IDENTIFIER and not asking and token.text != "defined":
                    found.append(Mention(token.text, token.span))
        return found

    @cached_property
    def tags(self) -> frozenset[tuple[str, str]]:
        """Every ``struct``, ``union`` or ``enum`` named, in directives too: keyword and tag."""
        tokens = pairwise(self._with_directives)
        return frozenset((a.text, b.text) for a, b in tokens if a.text in _TAGS and b.kind == IDENTIFIER)

    @cached_property
    def variables(self) -> frozenset[str]:
        """Names introduced behind a type's name, at any depth: variables, members, parameters."""
        return frozenset(
            b.text
            for (a, b), (_, c) in pairwise(pairwise(self.tokens))
            if a.kind == b.kind == IDENTIFIER and a.text not in ("return", "case", "goto", "else", "do")
            if c.text in (";", "=", ",", ")", "[", ":") and not b.text.startswith("__")
        )

    @cached_property
    def declared(self) -> frozenset[str]:
        """What the text itself declares outside functions.

        Tags with their keyword (``"struct key_t"``), and the plain names of
        functions, variables, tables, typedefs and enumerators.
        """
        return frozenset(_declared(self.tokens))

    @cached_property
    def _directives(self) -> list[tuple[str, list[Token]]]:
        """Every directive's word, and what follows it."""
        found = []
        for token in self._everything:
            match = _DIRECTIVE.match(token.text) if token.kind == DIRECTIVE else None
            if match:
                found.append((match[1], tokenize(token.text[match.end() :], token.span.start + match.end())))
        return found

    @cached_property
    def _with_directives(self) -> list[Token]:
        """All tokens in order, those of directives too."""
        inside = (token for _, body in self._directives for token in body)
        return sorted([*self.tokens, *inside], key=lambda token: token.span.start)


def _declared(tokens: list[Token]) -> Iterator[str]:
    braces = parens = 0
    in_value = False  # behind the = of a variable
    enums: list[int] = []  # how deep the braces of each open enum stand
    texts = ["", "", *(token.text for token in tokens), "", "", ""]
    for i, token in enumerate(tokens, 2):
        text, before, after = texts[i], texts[i - 1], texts[i + 1]
        braces += (text == "{") - (text == "}")
        parens += (text == "(") - (text == ")")
        if text == "{" and "enum" in (before, texts[i - 2]):
            enums.append(braces)
        elif text == "}" and enums and braces < enums[-1]:
            enums.pop()
        elif not braces and not parens and text in ("=", ",", ";"):
            in_value = text == "="
        if token.kind != IDENTIFIER:
            continue
        if before in _TAGS:
            if after == "{":
                yield f"{before} {text}"
        elif enums and braces == enums[-1]:
            # Before it may stand a macro that writes further ones: FN(a) FN(b) LAST,
            if before in ("{", ",", ")") and after in (",", "=", "}"):
                yield text
        elif braces or in_value or text in _NO_NAMES:
            continue
        elif text.startswith("BPF_") and after == "(":
            yield from _table_name(texts, i)
        elif (not parens and after in ("(", ";", "=", ",", "[")) or (
            texts[i - 2 : i] == ["(", "*"] and texts[i + 1 : i + 3] == [")", "("]
        ):
            yield text


def _table_name(texts: list[str], at: int) -> Iterator[str]:
    """The variable that one of bcc's table macros declares."""
    wanted = next((n for macro, n in _TABLE_NAME_AT.items() if texts[at].startswith(macro)), 0)
    depth = index = 0
    for text in texts[at + 1 :]:
        depth += (text == "(") - (text == ")")
        if not depth:
            return
        index += text == "," and depth == 1
        if index == wanted and text not in ("(", ","):
            yield text
            return
