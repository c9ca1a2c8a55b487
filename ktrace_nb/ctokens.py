"""C, cut into tokens with their places; comments and blanks are dropped.

A preprocessor directive is one token, continuation lines included: what it
defines is the compiler's business, what it hides from us is refused there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ktrace_nb.source import Span

IDENTIFIER, NUMBER, STRING, PUNCTUATION, DIRECTIVE = (
    "identifier",
    "number",
    "string",
    "punctuation",
    "directive",
)

_TOKEN = re.compile(
    r"""
      (?P<blank>      \s+ | \\\r?\n | //(?:\\\r?\n|[^\n])* | /\*.*?(?:\*/|\Z) )
    | (?P<directive>  \# (?: \\\r?\n | /\*.*?\*/ | [^\n] )* )
    | (?P<identifier> [A-Za-z_]\w* )
    | (?P<number>     \.?\d (?: [eEpP][+-] | [\w.] )* )
    | (?P<string>     "(?: \\. | [^"\\\n] )*"? | '(?: \\. | [^'\\\n] )*'? )
    | (?P<punctuation> -> | \+\+ | -- | <<=? | >>=? | [=!<>+\-*/%&|^]= | && | \|\| | \.\.\. | . )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token of C."""

    kind: str
    text: str
    span: Span


def tokenize(text: str, offset: int = 0) -> list[Token]:
    """The tokens of a text. Never fails: what is no C becomes single characters.

    Args:
        text: C, or a piece of it.
        offset: Where the piece stands in the whole; added to every place.
    """
    tokens = []
    line_start = not offset
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None and match.lastgroup is not None
        kind, part = match.lastgroup, match.group()
        if kind == DIRECTIVE and not line_start:
            kind, part = PUNCTUATION, "#"
        at += len(part)
        if kind == "blank":
            line_start = line_start or "\n" in part
            continue
        line_start = kind == DIRECTIVE
        tokens.append(Token(kind, part, Span(offset + at - len(part), offset + at)))
    return tokens


def variants(tokens: list[Token]) -> list[list[Token]]:
    """The tokens without directives, once for each way its ``#if``s may turn out.

    The i-th way takes the i-th branch of every conditional that has as many, else
    its last. Braces that only balance within one branch balance in each way.
    """
    count = _most_branches(tokens)
    return [[token for token in _way(tokens, number) if token.kind != DIRECTIVE] for number in range(count)]


def conditional_words(token: Token) -> str:
    """``if``, ``else`` or ``endif`` for a directive that begins, parts or ends a conditional; else empty."""
    word = token.text.lstrip("# \t") if token.kind == DIRECTIVE else ""
    if word.startswith("if"):
        return "if"
    if word.startswith(("else", "elif")):
        return "else"
    return "endif" if word.startswith("endif") else ""


def _most_branches(tokens: list[Token]) -> int:
    most, open_ = 1, [1]
    for token in tokens:
        word = conditional_words(token)
        if word == "if":
            open_.append(1)
        elif word == "else":
            open_[-1] += 1
            most = max(most, open_[-1])
        elif word == "endif" and len(open_) > 1:
            open_.pop()
    return most


def _way(tokens: list[Token], number: int) -> list[Token]:
    """The tokens, of every conditional the branch of that number or else the last."""
    chosen: list[Token] = []
    # For each open conditional: the branches read so far, each a list of tokens.
    open_: list[list[list[Token]]] = []
    for token in tokens:
        word = conditional_words(token)
        if word == "if":
            open_.append([[]])
        elif word == "else" and open_:
            open_[-1].append([])
        elif word == "endif" and open_:
            branches = open_.pop()
            (open_[-1][-1] if open_ else chosen).extend(branches[min(number, len(branches) - 1)])
        else:
            (open_[-1][-1] if open_ else chosen).append(token)
    for branches in open_:
        chosen.extend(branches[min(number, len(branches) - 1)])
    return chosen


def matching(tokens: list[Token], opening: int) -> int:
    """Index of the bracket that closes the one at ``opening``; the end if none does."""
    pairs = {"(": ")", "[": "]", "{": "}"}
    expected: list[str] = []
    for index in range(opening, len(tokens)):
        text = tokens[index].text
        if tokens[index].kind != PUNCTUATION:
            continue
        if text in pairs:
            expected.append(pairs[text])
        elif expected and text == expected[-1]:
            expected.pop()
            if not expected:
                return index
    return len(tokens)


def arguments(tokens: list[Token], opening: int) -> list[list[Token]]:
    """What stands between a parenthesis and its partner, split at its own commas."""
    end = matching(tokens, opening)
    parts: list[list[Token]] = [[]]
    index = opening + 1
    while index < end:
        token = tokens[index]
        if token.text == "," and token.kind == PUNCTUATION:
            parts.append([])
        elif token.kind == PUNCTUATION and token.text in "([{":
            close = min(matching(tokens, index) + 1, end)
            parts[-1] += tokens[index:close]
            index = close
            continue
        else:
            parts[-1].append(token)
        index += 1
    return parts if parts != [[]] else []


def joined(tokens: list[Token]) -> str:
    """Tokens as text again, one blank between words."""
    text = ""
    for token in tokens:
        word = token.kind in (IDENTIFIER, NUMBER)
        text += (" " if word and (text[-1:].isalnum() or text[-1:] == "_") else "") + token.text
    return text
