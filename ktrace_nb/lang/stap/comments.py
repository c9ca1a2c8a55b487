"""The comment in front of a declaration, which documents it."""

from __future__ import annotations

import re
from functools import cached_property

from ktrace_nb.lang.stap.lexer import comments
from ktrace_nb.source import Place


class Comments:
    """The comments of a text."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _by_end(self) -> dict[int, int]:
        """Where comments begin that stand on lines of their own, by the end of what they say."""
        found = {}
        for start, end in comments(self._text):
            line = self._text.rfind("\n", 0, start) + 1
            if not self._text[line:start].strip() and not (start == 0 and self._text.startswith("#!")):
                found[end] = start
        return found

    def before(self, at: Place) -> str:
        """What the comment directly in front of a place says; empty if there is none."""
        if at.source.text is not self._text:
            return ""
        lines: list[str] = []
        start = at.span.start
        while True:
            end = self._end_of_line_before(start)
            begin = self._by_end.get(end, -1)
            if begin < 0:
                break
            comment = self._text[begin:end]
            if comment.startswith("/*"):
                if not lines and comment.startswith("/**"):
                    lines = _lines_of_block(comment)
                break
            text = comment[1:] if comment[0] == "#" else comment[2:].removeprefix("/")
            lines.insert(0, text.removeprefix(" ").rstrip())
            start = begin
        while lines and not lines[0]:
            del lines[0]
        while lines and not lines[-1]:
            del lines[-1]
        return "\n".join(lines)

    def _end_of_line_before(self, start: int) -> int:
        """Where the text in front of a place ends, if at most one line end is between; -1 if not."""
        text = self._text
        end = start
        line_ends = 0
        while end > 0 and text[end - 1] in " \t\r\n\f\v":
            end -= 1
            line_ends += text[end] == "\n"
        return end if line_ends <= 1 else -1


def _lines_of_block(comment: str) -> list[str]:
    inside = comment[3:-2] if len(comment) > 4 else ""
    return [re.sub(r"^[ \t]*\*? ?", "", line).rstrip() for line in inside.split("\n")]
