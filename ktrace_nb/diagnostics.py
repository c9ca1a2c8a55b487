"""How a problem is shown: message, excerpt with carets, hint.

The form is the same for every language and every stage::

    ProbeNotFoundError: no kernel function 'vfs_reed' on this kernel
    cell:1:5
        int kprobe__vfs_reed(void *ctx)
            ^^^^^^^^^^^^^^^^
    hint: did you mean vfs_read, vfs_write?
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ktrace_nb.source import Source, Span


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a cell."""

    message: str
    source: Source | None = None
    span: Span | None = None
    hint: str | None = None
    severity: str = "error"

    def lines(self, kind: str) -> list[str]:
        """The problem as text, ``kind`` in front of the message."""
        text = [f"{kind}: {self.message}"]
        if self.source is not None and self.span is not None:
            text += excerpt(self.source, self.span)
        if self.hint:
            text.append(f"hint: {self.hint}")
        return text

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``ktrace-nb check --json``; line and column count from 1."""
        place: dict[str, Any] = {}
        if self.source is not None and self.span is not None:
            source, span = self.source.written(self.span)
            line, column = source.position(span.start)
            end_line, end_column = source.position(span.end)
            place = {
                "file": source.name,
                "line": line,
                "column": column,
                "end_line": end_line,
                "end_column": end_column,
            }
        return {"severity": self.severity, "message": self.message, "hint": self.hint, **place}


def excerpt(source: Source, span: Span) -> list[str]:
    """The place's name, its line and carets under the span."""
    source, span = source.written(span)
    line, column = source.position(span.start)
    text = source.line(line)
    width = max(1, min(span.end - span.start, len(text) - column + 1))
    # A tab must stay a tab in front of the carets, else they stand elsewhere.
    lead = "".join("\t" if char == "\t" else " " for char in text[: column - 1])
    return [f"{source.name}:{line}:{column}", f"    {text}", f"    {lead}{'^' * width}"]


def near(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Known names that look like ``name``, best first."""
    names = list(known)
    close = get_close_matches(name, names, n=count, cutoff=0.75) if len(names) < 5000 else []
    if len(close) < count:
        # difflib is quadratic: over a kernel's 60,000 functions look only at
        # names that share a beginning or an end, or contain the name.
        stem, tail = name[: max(3, len(name) // 2)], name[min(len(name) - 3, len(name) // 2) :]
        pool = [k for k in names if k.startswith(stem) or (len(name) > 3 and (k.endswith(tail) or name in k))]
        close += [k for k in get_close_matches(name, pool, n=count, cutoff=0.6) if k not in close]
    return close[:count]


def near_hint(name: str, known: Iterable[str]) -> str | None:
    """``did you mean ...?``, or None if nothing is near."""
    found = near(name, known)
    return f"did you mean {', '.join(found)}?" if found else None
