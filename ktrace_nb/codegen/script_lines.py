"""Lines of C, each with the place of the script that it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ktrace_nb.source import Place


@dataclass(frozen=True, slots=True)
class Line:
    """One line of C."""

    text: str
    at: Place | None


class Lines:
    """Text being written, indented as its blocks nest."""

    def __init__(self, indent: int = 0) -> None:
        self.written: list[Line] = []
        self.at: Place | None = None
        """The place of lines that follow."""
        self._indent = indent

    def put(self, text: str) -> None:
        """Add a line."""
        self.written.append(Line("\t" * self._indent + text if text else "", self.at))

    def label(self, name: str) -> None:
        """Add a label, with an empty statement in case nothing follows it."""
        self.written.append(Line(f"{name}: ;", self.at))

    @contextmanager
    def block(self, head: str, tail: str = "}") -> Iterator[None]:
        """Lines written meanwhile go between ``head {`` and ``tail``."""
        if head == "else" and self.written[-1:] == [Line("\t" * self._indent + "}", self.at)]:
            self.written.pop()
            head = "} else"
        self.put(f"{head} {{" if head else "{")
        with self.deeper():
            yield
        self.put(tail)

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Lines written meanwhile are indented further."""
        self._indent += 1
        yield
        self._indent -= 1

    @contextmanager
    def held(self) -> Iterator[list[Line]]:
        """Lines written meanwhile go into the list given, not here; :meth:`add` puts them in their place."""
        outer, self.written = self.written, []
        try:
            yield self.written
        finally:
            self.written = outer

    def add(self, lines: list[Line]) -> None:
        """Add lines as they are."""
        self.written += lines
