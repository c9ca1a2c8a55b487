"""The words of a script in order, and what all parts of the parser say when one is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

from ktrace_nb.diagnostics import Problem
from ktrace_nb.errors import CellError, UnsupportedError
from ktrace_nb.lang.stap.lexer import Token
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.preprocessor import Macro
from ktrace_nb.source import Place

MAX_NESTING = 60
"""Parentheses and blocks within each other; a Python stack holds as many with room to spare."""

EMBEDDED_HINT = "write it in the script language, or as C: %%ktrace without --lang stap takes C for bcc"


class TokenStream:
    """Words to be parsed: ``self.token`` is the next."""

    def __init__(self, tokens: list[Token], settings: Settings, defined: Mapping[str, Macro]) -> None:
        self.tokens = tokens
        self.index = 0
        self.token = tokens[0]
        self.settings = settings
        self.macros = [*defined, *settings.macros]
        self.depth = 0
        self.in_function = False
        self.loops = 0
        self.blocks: list[Token] = []
        """The ``{`` that are open."""

    def advance(self) -> Token:
        """Take the next word."""
        token = self.token
        if token.kind != "end":
            self.index += 1
            self.token = self.tokens[self.index]
        return token

    @property
    def following(self) -> Token:
        """The word behind the next."""
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)]

    @property
    def before(self) -> Place:
        """The word taken last."""
        return self.tokens[max(self.index - 1, 0)].at

    def at_op(self, text: str) -> bool:
        """Whether an operator comes next."""
        token = self.token
        return token.text == text and token.kind == "op"

    def at_keyword(self, text: str) -> bool:
        """Whether a keyword comes next."""
        token = self.token
        return token.text == text and token.kind == "keyword"

    def take_op(self, text: str) -> bool:
        """Take an operator if it comes next."""
        token = self.token
        if token.text == text and token.kind == "op":
            self.advance()
            return True
        return False

    def expect_op(self, text: str, where: str, hint: str | None = None) -> Token:
        """Take an operator that must come next."""
        token = self.token
        if token.text == text and token.kind == "op":
            return self.advance()
        self.unexpected(f"{text!r} {where}", hint)

    def unexpected(
        self, expected: str, hint: str | None = None, *, others: tuple[Problem, ...] = ()
    ) -> NoReturn:
        """Refuse the next word."""
        token = self.token
        if token.error is not None:
            raise token.error
        if token.kind == "end" and self.blocks:
            self.not_closed(self.blocks[-1])
        if token.kind == "embedded":
            self.refuse_embedded(token)
        if token.kind == "keyword" and expected.startswith("a name"):
            hint = hint or f"{token.text!r} is a word of the language"
        raise CellError(
            f"expected {expected}, found {shown(token)}",
            token.source,
            token.at.span,
            hint=hint,
            others=others,
        )

    def not_closed(self, opening: Token) -> NoReturn:
        """Say that a ``{`` lacks its ``}``."""
        hint = "the script ends before its '}'"
        raise CellError("this '{' is not closed", opening.source, opening.at.span, hint=hint)

    def refuse_embedded(self, token: Token) -> NoReturn:
        """Say that there is no embedded C."""
        raise UnsupportedError(
            "embedded C cannot be translated: it is code for a kernel module",
            token.source, token.at.span, hint=EMBEDDED_HINT,
        )  # fmt: skip

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Go one level deeper.

        Raises:
            CellError: That is too deep.
        """
        self.enter()
        yield
        self.depth -= 1

    def enter(self) -> None:
        """Go one level deeper; ``self.depth -= 1`` ends it."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            token = self.token
            hint = f"more than {MAX_NESTING} levels: give parts of it names, or make functions of them"
            raise CellError("this is nested too deeply", token.source, token.at.span, hint=hint)


def shown(token: Token) -> str:
    """A word as messages show it."""
    if token.kind == "end":
        return "the end of the script"
    if token.kind == "string":
        return "a string"
    if token.kind == "embedded":
        return "embedded C"
    if token.kind == "keyword":
        return f"the keyword {token.text!r}"
    return repr(token.text)


def error(message: str, at: Place, hint: str | None = None) -> CellError:
    """A wrong text and its place."""
    return CellError(message, at.source, at.span, hint=hint)


def unsupported(message: str, at: Place, hint: str) -> UnsupportedError:
    """What cannot be translated, its place and the way out."""
    return UnsupportedError(message, at.source, at.span, hint=hint)
