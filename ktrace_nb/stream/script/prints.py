"""What a script prints: text as it stands, and a table for every place that prints values.

Strings of a script are bytes, one Latin-1 character each; they become text here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.ir import script as ir
from ktrace_nb.ir.walk import statements

TEXT_LINES = 100_000
"""Printed lines kept at most; the oldest go."""

KEEP_ROWS = 1_000_000
"""Rows kept of one place that prints; what comes later is counted, not kept."""

_CHUNK = 4096

Values: TypeAlias = tuple[int | str, ...]


def text_of(value: str) -> str:
    """What a string of bytes says: UTF-8 where it is, replacement characters where not."""
    return value if value.isascii() else value.encode("latin-1", "replace").decode("utf-8", "replace")


class TextSink:
    """Printed text, in lines."""

    def __init__(self, most: int = TEXT_LINES) -> None:
        self.lines: list[str] = []
        """Whole lines, without their ends; the oldest go when there are too many."""
        self.printed = 0
        """Whole lines so far."""
        self._most = most
        self._open: list[str] = []
        self._is_ended = True

    def write(self, text: str) -> None:
        """Put out text, a string of bytes."""
        if not text:
            return
        first = text.find("\n")
        if first < 0:
            self._open.append(text)
            return
        if self._open:
            self._open.append(text)
            text = "".join(self._open)
            self._open = []
            first = -1
        if first == len(text) - 1:  # one line, as most are
            self.lines.append(text_of(text[:-1]))
            self.printed += 1
        else:
            *whole, rest = text.split("\n")
            self.lines += map(text_of, whole)
            self.printed += len(whole)
            self._open = [rest] if rest else []
        # A list gives up its first items at the cost of moving all others.
        if len(self.lines) > self._most + self._most // 4:
            del self.lines[: -self._most]

    def close(self) -> None:
        """Nothing more will come: what has no end is a line too."""
        if self._open:
            self.lines.append(text_of("".join(self._open)))
            self.printed += 1
            self._open, self._is_ended = [], False

    def forget(self) -> None:
        """Begin anew; the count of lines goes on."""
        self.lines, self._open = [], []

    def text(self) -> str:
        """All that is kept."""
        whole = "".join(line + "\n" for line in self.lines)
        return whole + text_of("".join(self._open)) if self._is_ended else whole[:-1]


class Site:
    """The table of one place that prints.

    Args:
        name: Of its frame.
        columns: Names of the columns, one per argument.
        texts: Which arguments are strings.
    """

    def __init__(self, name: str, columns: Sequence[str], texts: Sequence[bool]) -> None:
        self.name = name
        self.columns = tuple(columns)
        self._texts = tuple(texts)
        self._before = -1
        self._begin()

    def _begin(self) -> None:
        self.arrived = 0
        """Rows that were printed."""
        self._rows: list[Values] = []
        self._chunks: list[list[NDArray[Any]]] = [[] for _ in self.columns]
        self._codes: list[dict[str, int]] = [{} for _ in self.columns]

    @property
    def generation(self) -> int:
        """Changes with every row, and when they are forgotten."""
        return self._before + 1 + self.arrived

    def forget(self) -> None:
        """Begin anew; what was handed out stays as it is."""
        self._before += self.arrived + 1
        self._begin()

    def add(self, values: Values) -> None:
        """Append a row."""
        self.arrived += 1
        if self.arrived <= KEEP_ROWS:
            self._rows.append(values)
            if len(self._rows) >= _CHUNK:
                self._pack()

    @property
    def not_kept(self) -> int:
        """Rows that came when there was no room left."""
        return max(0, self.arrived - KEEP_ROWS)

    def _pack(self) -> None:
        if not self._rows:
            return
        columns = zip(*self._rows, strict=True)
        for column, chunks, codes, is_text in zip(
            columns, self._chunks, self._codes, self._texts, strict=True
        ):
            if is_text:
                numbers = [codes.setdefault(text_of(str(value)), len(codes)) for value in column]
                chunks.append(np.array(numbers, np.int32))
            else:
                chunks.append(np.array(column, np.int64))
        self._rows = []

    def frame(self) -> pd.DataFrame:
        """All rows kept: integers as int64, strings as categories."""
        self._pack()
        values: dict[str, Any] = {}
        for name, chunks, codes, is_text in zip(
            self.columns, self._chunks, self._codes, self._texts, strict=True
        ):
            dtype = np.int32 if is_text else np.int64
            if len(chunks) > 1:
                chunks[:] = [np.concatenate(chunks)]
            whole: NDArray[Any] = chunks[0] if chunks else np.empty(0, dtype)
            if is_text:
                known = pd.Index(list(codes), dtype=object).astype(str)
                values[name] = pd.Categorical.from_codes(whole, categories=known)
            else:
                values[name] = whole
        return pd.DataFrame(values, index=pd.RangeIndex(self.kept))

    @property
    def kept(self) -> int:
        """Rows there are."""
        return self.arrived - self.not_kept


def sites_of(placed: ir.Placed, taken: Iterable[str]) -> dict[int, Site]:
    """Tables for all places that print values, by the number of the place.

    A table is named after what its handler waits for: ``vfs_read``, ``begin``,
    ``timer_s_5``; further ones of the same handler get ``_2``, ``_3``.

    Args:
        placed: The script.
        taken: Names that are in use.
    """
    handlers = {handler.number: handler for handler in placed.script.handlers}
    bodies: list[tuple[str, ir.Body]] = [
        *((_sender(placed, record, handlers), record.body) for record in placed.records),
        *((handler.title, handler.body) for handler in placed.user_handlers),
        *((function.name, function.body) for function in placed.user_functions),
    ]
    used = set(taken)
    sites: dict[int, Site] = {}
    for title, body in bodies:
        for place in (s for s in statements(body) if isinstance(s, ir.Print)):
            arguments = place.arguments
            if place.site in sites or all(isinstance(a, ir.Histogram) for a in arguments):
                continue
            name = _unused(_identifier(title), used)
            used.add(name)
            names = place.names if len(place.names) == len(arguments) else ()
            columns = _columns(names or [f"arg{i}" for i in range(1, len(arguments) + 1)])
            texts = [_is_text(argument) for argument in arguments]
            sites[place.site] = Site(name, columns, texts)
    return sites


def _sender(placed: ir.Placed, record: ir.Record, handlers: Mapping[int, ir.Handler]) -> str:
    """Name of the handler, or of the function, that sends a record."""
    if record.handler in handlers:
        return handlers[record.handler].title
    for function in placed.kernel_functions:
        if any(isinstance(s, ir.Ship) and s.record == record.number for s in statements(function.body)):
            return function.function.name
    return "printed"


def _is_text(argument: ir.Expr) -> bool:
    return argument.type is ir.Type.STRING or isinstance(argument, ir.Histogram)


def _columns(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        found.append(_unused(name or "value", set(found)))
    return found


def _unused(name: str, used: set[str]) -> str:
    if name not in used:
        return name
    return next(f"{name}_{n}" for n in range(2, len(used) + 3) if f"{name}_{n}" not in used)


def _identifier(title: str) -> str:
    """A name for what a probe point is: the function it names, or all of it."""
    match = re.search(r'(?:function|call|trace|mark|statement)\("([^"@]+)', title)
    name = re.sub(r"\W+", "_", match[1] if match else title).strip("_")
    if match and ").return" in title:
        name += "_return"
    return name or "printed"
