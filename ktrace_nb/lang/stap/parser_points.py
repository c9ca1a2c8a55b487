"""Probe points: ``kernel.function("vfs_*").return ?``, ``syscall.{open,close}``."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ktrace_nb.lang.stap import tree
from ktrace_nb.lang.stap.parser_expressions import LEVELS
from ktrace_nb.lang.stap.parser_statements import StatementParser
from ktrace_nb.lang.stap.parser_tokens import error
from ktrace_nb.source import Place

MAX_POINTS = 1000
"""What braces may make of one probe."""
_WILDCARDS = "wildcards name many at once: syscall.*"


@dataclass(frozen=True, slots=True)
class _Suffix:
    """``?``, ``!`` and ``if (…)`` behind a point."""

    optional: bool = False
    sufficient: bool = False
    condition: tree.Expression | None = None


class PointParser(StatementParser):
    """Parses probe points."""

    def points(self) -> list[tree.Point]:
        """Probe points with commas between them."""
        found: list[tree.Point] = []
        while True:
            found += self._point()
            if len(found) > MAX_POINTS:
                raise error(
                    f"more than {MAX_POINTS} probe points",
                    found[0].at,
                    "wildcards name many at once: syscall.*",
                )
            if not self.take_op(","):
                return found

    def _point(self) -> list[tree.Point]:
        """One point, or as many as its braces make of it."""
        start = self.token.at
        points: list[tree.Point] = []
        while True:
            tails = self._component()
            for point in points:
                if point.optional or point.condition is not None:
                    raise error(
                        "'?', '!' and 'if' stand at the end of a point",
                        point.at,
                        'kernel.function("a").return ?',
                    )
            if not points:
                points = tails
            else:
                if len(points) * len(tails) > MAX_POINTS:
                    raise error(
                        f"more than {MAX_POINTS} probe points",
                        start,
                        "wildcards name many at once: syscall.*",
                    )
                points = [
                    replace(tail, components=(*point.components, *tail.components))
                    for point in points
                    for tail in tails
                ]
            if not self.take_op("."):
                break
        suffix = self._suffix()
        at = start.to(self.before)
        return [self._with_suffix(point, suffix, at) for point in points]

    def _with_suffix(self, point: tree.Point, suffix: _Suffix, at: Place) -> tree.Point:
        if suffix.optional and point.optional:
            raise error("'?' or '!' twice at one point", point.at, "inside the braces or behind them")
        if suffix.condition is not None and point.condition is not None:
            raise error("'if' twice at one point", point.at, "if (a && b)")
        return tree.Point(
            at,
            point.components,
            point.optional or suffix.optional,
            point.sufficient or suffix.sufficient,
            point.condition if suffix.condition is None else suffix.condition,
        )

    def _suffix(self) -> _Suffix:
        suffix = _Suffix()
        if self.at_op("?") or self.at_op("!"):
            sufficient = self.advance().text == "!"
            # What is sufficient is optional too (man stapprobes).
            suffix = _Suffix(True, sufficient)
            if self.at_op("?") or self.at_op("!"):
                raise error("'?' or '!' twice at one point", self.token.at, "! says what ? says, too")
        if self.at_keyword("if"):
            self.advance()
            opening = self.expect_op("(", "behind if", "probe point if (condition) { … }")
            suffix = replace(suffix, condition=self.expression())
            self.close(")", opening)
        return suffix

    def _component(self) -> list[tree.Point]:
        """One component; braces make several, each of which may have more behind it."""
        token = self.token
        if token.is_op("{"):
            if self.index and self.tokens[self.index - 1].is_op(".") and not token.glued:
                self.unexpected("a probe point", "the '.' in front has nothing behind it")
            self.advance()
            with self.nested():
                points = self.points()
            self.close("}", token)
            return points
        name = self._component_name()
        argument: int | str | None = None
        if self.at_op("("):
            opening = self.advance()
            if self.token.kind == "string":
                argument = self.string().value
            elif self.token.kind == "number" or self.at_op("-"):
                argument = self.signed_number("a number").value
            else:
                hint = f"leave the parentheses out: {name}" if self.at_op(")") else None
                if self.token.kind == "name":
                    hint = f'names stand in quotes: {name}("{self.token.text}")'
                self.unexpected("a string or a number", hint)
            if self.token.kind == "op" and self.token.text in LEVELS:
                self.unexpected("')'", "the argument is one string or number, no expression")
            self.close(")", opening)
        at = token.at.to(self.before)
        return [tree.Point(at, (tree.Component(at, name, argument),))]

    def _component_name(self) -> str:
        """A name, of which ``*`` may be a part."""
        parts: list[str] = []
        while True:
            token = self.token
            word = token.kind in ("name", "keyword") or (token.kind == "number" and bool(parts))
            if (parts and not token.glued) or not (word or token.is_op("*")):
                break
            if "$" in token.text:
                break
            parts.append(self.advance().text)
        if not parts:
            hint = f"{self.tokens[self.index - 1].text!r} has nothing behind it"
            if self.token.kind == "string":
                hint = f'kernel.function("{self.token.text}") probes a function of the kernel'
            self.unexpected("a probe point", hint)
        return "".join(parts)
