"""The text a user wrote, and places in it.

Every stage that can fail carries a :class:`Span` of the *original* cell, even
where the compiler saw an edited text: :class:`Edited` maps places back.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of character offsets in a source."""

    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """A cell, a file or a one-liner."""

    text: str
    name: str = "cell"

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        for i, char in enumerate(self.text):
            if char == "\n":
                starts.append(i + 1)
        return starts

    @property
    def line_count(self) -> int:
        """How many lines the text has; an empty text has one."""
        return len(self._line_starts)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def offset(self, line: int, column: int) -> int:
        """Offset of a line and column counted from 1; clamped to the line."""
        line = min(max(line, 1), self.line_count)
        start = self._line_starts[line - 1]
        return min(start + max(column, 1) - 1, start + len(self.line(line)))

    def line(self, number: int) -> str:
        """The text of a line counted from 1, without its line end."""
        start = self._line_starts[number - 1]
        end = self._line_starts[number] - 1 if number < self.line_count else len(self.text)
        return self.text[start:end]

    def token_at(self, line: int, column: int) -> Span:
        """The identifier, number or single character that starts at a place."""
        start = self.offset(line, column)
        end = start
        while end < len(self.text) and (self.text[end].isalnum() or self.text[end] == "_"):
            end += 1
        return Span(start, max(end, min(start + 1, len(self.text))))

    def line_span(self, number: int) -> Span:
        """A line without its indentation and trailing blanks."""
        text = self.line(number)
        start = self._line_starts[number - 1]
        return Span(start + len(text) - len(text.lstrip()), start + len(text.rstrip()))

    def written(self, span: Span) -> tuple[Source, Span]:
        """Where a place was written: here, unless the text was put together of others."""
        return self, span


@dataclass(frozen=True)
class Joined(Source):
    """Several sources as one text; messages about it name the places in them.

    Made by :func:`join`.
    """

    parts: tuple[tuple[int, Source], ...] = ()
    """The sources and the offsets of their beginnings, rising."""

    def written(self, span: Span) -> tuple[Source, Span]:
        """Where a place was written."""
        start, part = self.parts[bisect_right(self.parts, span.start, key=lambda pair: pair[0]) - 1]
        return part, Span(span.start - start, min(span.end - start, len(part.text)))


def join(sources: list[Source], name: str) -> Joined:
    """One text of several sources, each beginning on a line of its own."""
    parts: list[tuple[int, Source]] = []
    length = 0
    for source in sources:
        parts.append((length, source))
        length += len(source.text) + 1
    return Joined("\n".join(source.text for source in sources), name, tuple(parts))


@dataclass(frozen=True, slots=True)
class Place:
    """A range of a source."""

    source: Source
    span: Span

    def to(self, end: Place) -> Place:
        """From the beginning of this place to the end of another, where both are in one source."""
        if end.source is not self.source or end.span.end < self.span.start:
            return self
        return Place(self.source, Span(self.span.start, end.span.end))


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text of a span."""

    span: Span
    text: str


class Edited:
    """A source after edits that keep every line on its line.

    Raises:
        ValueError: Edits overlap, or one would add a line. Line ends that an
            edit takes away are put behind its text.
    """

    def __init__(self, source: Source, edits: list[Edit]) -> None:
        self.source = source
        parts: list[str] = []
        # (offset in the edited text, offset in the source), ascending; between
        # two marks both advance together, inside a replacement the source stays.
        self._marks: list[tuple[int, int, bool]] = []
        done = length = 0
        for edit in sorted(edits, key=lambda e: (e.span.start, e.span.end)):
            if edit.span.start < done:
                raise ValueError("edits overlap")
            missing = source.text.count("\n", edit.span.start, edit.span.end) - edit.text.count("\n")
            if missing < 0:
                raise ValueError("an edit must not add lines")
            text = edit.text + "\n" * missing
            parts += [source.text[done : edit.span.start], text]
            self._marks.append((length, done, True))
            length += edit.span.start - done
            self._marks.append((length, edit.span.start, False))
            length += len(text)
            done = edit.span.end
        parts.append(source.text[done:])
        self._marks.append((length, done, True))
        self.text = "".join(parts)
        self._after = Source(self.text, source.name)

    def offset_of(self, offset: int) -> int:
        """Where a place of the source, outside any replaced span, stands in the edited text."""
        length, origin, _ = max(mark for mark in self._marks if mark[2] and mark[1] <= offset)
        return length + offset - origin

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset in the edited text."""
        return self._after.position(offset)

    def original(self, line: int, column: int) -> tuple[int, int]:
        """Where a line and column of the edited text stand in the source."""
        at = self._after.offset(line, column)
        index = bisect_right(self._marks, (at, len(self.source.text) + 1, True)) - 1
        start, origin, moves = self._marks[index]
        return self.source.position(origin + (at - start if moves else 0))
