"""What the page shows of a table: texts, shares of bars, rates, and what it says below.

Every cell is sent as it is shown, ``1.50 MiB``, and where that has lost digits as it is,
``1572865``: for its tooltip and for what is copied.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.text import IDENTIFIERS, more_rows, printable
from ktrace_nb.widgets.rates import Change
from ktrace_nb.widgets.row_filter import Found
from ktrace_nb.widgets.rows import Column, column_named, columns_of, top_places
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.units import MISSING, format_rate, format_values

ROWS = 20
LIMITS = (10, 20, 50)
LONGEST_TEXT = 200
"""A cell is cut after so many characters; the rest is in its tooltip and in what is copied."""

LONGEST_EXACT = 10_000

_MOST_KEPT = 1000
_COMPARABLE = frozenset({str, int, float, bool, type(None)})

Bars: TypeAlias = Literal["sorted", "all", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What whoever looks has asked for."""

    sort: str = ""
    """Key of a column; the empty one keeps the frame's order."""

    descending: bool = True
    limit: int = ROWS
    """Rows at most, one of :data:`LIMITS`."""

    words: str = ""
    """See :mod:`ktrace_nb.widgets.row_filter`."""

    bars: Bars = "sorted"
    """Which columns have bars: the one it is sorted by, all that say how much, or none."""

    rates: bool = True
    exact: bool = False
    """Every number with all its digits."""

    def changed_by(self, message: Mapping[str, Any]) -> Wishes:
        """What is asked for after a message of the page; what makes no sense in it is ignored."""
        changes: dict[str, Any] = {}
        for name in ("sort", "words"):
            if isinstance(message.get(name), str):
                changes[name] = message[name]
        for name in ("descending", "rates", "exact"):
            if isinstance(message.get(name), bool):
                changes[name] = message[name]
        if message.get("limit") in LIMITS:
            changes["limit"] = message["limit"]
        if message.get("bars") in get_args(Bars):
            changes["bars"] = message["bars"]
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The rows that are shown."""

    columns: tuple[Column, ...]
    sort: Column | None
    found: Found
    places: NDArray[np.intp]
    """Of the rows in the frame."""

    values: tuple[list[Any], ...]
    """Of the rows, by column."""


def choose(frame: pd.DataFrame, wishes: Wishes, found: Found | None = None) -> Shown:
    """Pick the rows to show.

    Args:
        frame: Any frame.
        wishes: What was asked for.
        found: What the filter keeps; by default all.
    """
    columns = columns_of(frame)
    sort = column_named(columns, wishes.sort)
    found = found or Found(None)
    places = top_places(frame, sort, descending=wishes.descending, limit=wishes.limit, kept=found.mask)
    values = tuple(column.take(frame, places) for column in columns)
    return Shown(columns=columns, sort=sort, found=found, places=places, values=values)


def table_state(
    view: ViewData,
    wishes: Wishes,
    shown: Shown | None = None,
    *,
    change: Change | None = None,
    picked: Sequence[int] = (),
    hidden: int = 0,
    writer: Writer | None = None,
) -> dict[str, Any]:
    """What the page shows.

    Args:
        view: The table.
        wishes: What was asked for.
        shown: The rows to show; by default all are looked through.
        change: How they changed.
        picked: Which of the rows shown are picked, counted from 0.
        hidden: How many picked rows are not shown.
        writer: Of a view that is drawn again and again.
    """
    shown = shown or choose(view.frame, wishes)
    writer = writer or Writer()
    columns, sort = shown.columns, shown.sort
    written = [
        writer.write(column, values, exact=wishes.exact)
        for column, values in zip(columns, shown.values, strict=True)
    ]
    barred = [
        column.is_measure and (wishes.bars == "all" or (wishes.bars == "sorted" and column is sort))
        for column in columns
    ]
    nothing = [0] * len(shown.places)
    bars = [shares(part) if bar else nothing for part, bar in zip(shown.values, barred, strict=True)]
    rates = [] if change is None else _rates(change, sort)
    return {
        "title": printable(view.name),
        "names": [column.name for column in columns],
        "keys": [column.key for column in columns],
        "numeric": [column.is_number for column in columns],
        "units": [column.unit for column in columns],
        "plain": [column.name in IDENTIFIERS for column in columns],
        "barred": barred,
        "rows": _turned([part.texts for part in written]),
        "exact": _turned([part.exact for part in written]),
        "bars": _turned(bars),
        "rates": rates,
        "fresh": [] if change is None else [row for row, new in enumerate(change.is_new) if new],
        "picked": list(picked),
        "sort": sort.key if sort else "",
        "descending": wishes.descending,
        "limit": wishes.limit,
        "words": wishes.words,
        "hint": shown.found.hint,
        "barring": wishes.bars,
        "rating": wishes.rates,
        "exactly": wishes.exact,
        "foot": _foot(view.frame, shown, len(picked), hidden),
    }


def _turned(columns: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(row) for row in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class Written:
    """A column's values of the rows shown."""

    texts: list[str]
    exact: list[str | None]
    """Without separators and unit, None where the text has every digit; what is missing is empty."""


def write(column: Column, values: list[Any], *, exact: bool) -> Written:
    """Write some of a column's values.

    Args:
        column: Which.
        values: Of some rows.
        exact: Whether numbers keep every digit in the text too.
    """
    unit = "" if exact else column.unit
    if exact and column.is_number and any(isinstance(value, float) for value in values):
        texts = [_grouped(value) for value in values]
    else:
        texts = format_values(values, column.name, unit)
    if not column.is_number:
        return Written([_cut(text, LONGEST_TEXT) for text in texts], [*map(_whole, texts)])
    return Written(texts, [_digits(value, text) for value, text in zip(values, texts, strict=True)])


class Writer:
    """Writes columns as :func:`write` does, each anew only if its values are not those of the last time.

    Names and numbers of processes mostly stay while what is counted of them grows.
    """

    def __init__(self) -> None:
        self._last: dict[Column, tuple[list[type], list[Any], bool, Written]] = {}

    def write(self, column: Column, values: list[Any], *, exact: bool) -> Written:
        """Write some of a column's values."""
        kinds = [*map(type, values)]  # 1 equals 1.0 and True, and is written as neither is
        last = self._last.get(column)
        if last is not None and last[0] == kinds and last[1:3] == (values, exact):
            return last[3]
        written = write(column, values, exact=exact)
        # Others may not be comparable: what is equal to pd.NA is not known.
        if _COMPARABLE.issuperset(kinds):
            if len(self._last) >= _MOST_KEPT:
                self._last.clear()  # of a frame whose columns are others each time
            self._last[column] = kinds, values, exact, written
        else:
            self._last.pop(column, None)
        return written


def tooltip(column: Column, exact: str | None) -> str:
    """What a cell has lost, with separators and its unit; as ``tooltipOf`` of the page has it."""
    if not exact or not column.is_number:
        return exact or ""
    number = f"{int(exact):,}" if exact.lstrip("-").isdecimal() else exact
    unit = {"share": "", "us": "µs", "per_s": "/s", "bytes_per_s": "bytes/s"}.get(column.unit, column.unit)
    return f"{number} {unit}".strip()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _whole(text: str) -> str | None:
    return _cut(text, LONGEST_EXACT) if len(text) > LONGEST_TEXT else "" if text == MISSING else None


def _digits(value: Any, text: str) -> str | None:
    if text == MISSING:
        return ""
    exact = repr(value) if isinstance(value, float) else str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        exact = str(int(value))
    return None if text.replace(",", "") == exact else exact


def _grouped(value: Any) -> str:
    if not isinstance(value, float) or not math.isfinite(value):
        return MISSING if pd.isna(value) else str(value) if isinstance(value, float) else f"{value:,}"
    return f"{int(value):,}" if value.is_integer() and abs(value) < 1e15 else f"{value!r}"


def shares(values: Sequence[Any]) -> list[int]:
    """How long each bar is, in percent of the largest; what is there has 1 at least.

    What is missing, 0 and below has none; the infinite has all.
    """
    numbers = [0.0 if value is None or pd.isna(value) else float(value) for value in values]
    largest = max((number for number in numbers if math.isfinite(number)), default=0.0)
    return [
        0 if number <= 0 else 100 if math.isinf(number) else max(1, round(100 * (number / largest)))
        for number in numbers
    ]


def _rates(change: Change, sort: Column | None) -> list[str]:
    unit = sort.unit if sort else ""
    return ["" if rate is None else format_rate(rate, unit) for rate in change.per_s]


def _foot(frame: pd.DataFrame, shown: Shown, picked: int, hidden: int) -> str:
    count, there = len(frame), len(shown.places)
    mask = shown.found.mask
    if mask is None:
        total = "no rows yet" if not count else "1 row" if count == 1 else f"{count:,} rows"
        parts = [f"{total}, {more_rows(count - there)} not shown" if count > there else total]
    else:
        kept = int(np.count_nonzero(mask))
        total = f"{kept:,} of {count:,} rows"
        parts = [f"{total}, {more_rows(kept - there)} not shown" if kept > there else total]
    if picked:
        parts.append(f"{picked:,} picked")
    if hidden:
        parts.append(f"{hidden:,} picked {'row' if hidden == 1 else 'rows'} not shown")
    return " · ".join(parts)
