"""What a comparison of two runs shows, before anybody draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ktrace_nb.stream.text import cell, printable
from ktrace_nb.widgets.ticks import time_label

ROWS = 500
"""A page shows so many, the first of the frame."""

MARKS = {"both": "", "only a": "gone", "only b": "new"}
"""What is said of a row by its ``status``."""

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of numbers."""

    group: str
    """What is measured."""

    side: str
    """``a``, ``b`` or ``change``."""

    source: str
    """Its name in the frame."""

    def text(self, value: Any) -> str:
        """Write one of its numbers."""
        if pd.isna(value):
            return NOTHING
        time = "_ns_" in self.source
        if self.side != "change":
            return time_label(float(value) * 1e-9) if time else cell(value)
        size = abs(value)
        said = time_label(float(size) * 1e-9) if time else cell(size)
        return said if not value else f"{'+' if value > 0 else '−'}{said}"


@dataclass(frozen=True, slots=True)
class Side:
    """A frame of two runs, ready to be shown."""

    head: str
    """What the rows are: ``function``, ``caller → callee`` or ``path``."""

    columns: tuple[Column, ...]
    names: tuple[str, ...]
    marks: tuple[str, ...]
    """``new``, ``gone`` or nothing, for each row."""

    numbers: tuple[tuple[float | None, ...], ...]
    texts: tuple[tuple[str, ...], ...]
    left: int
    """Rows of the frame that are not here."""

    notes: tuple[str, ...]
    """What else has to be said."""

    @property
    def longest(self) -> float:
        """The largest difference in self time, whichever way."""
        return max((abs(change) for change in self.changes), default=0.0)

    @property
    def changes(self) -> list[float]:
        """Difference in self time for each row, the whole of it where one run has none."""
        place = {column.source: number for number, column in enumerate(self.columns)}
        return [(row[place["self_ns_b"]] or 0.0) - (row[place["self_ns_a"]] or 0.0) for row in self.numbers]


def side_by_side(frame: pd.DataFrame, limit: int = ROWS) -> Side:
    """Make the rows of a comparison.

    Args:
        frame: As :func:`ktrace_nb.compare` returns it, or any part of its rows.
        limit: How many of its first rows.

    Raises:
        ValueError: It is not a comparison.
    """
    columns = _columns(frame)
    top = frame.head(limit)
    values = [top[column.source].tolist() for column in columns]
    texts = [
        [column.text(value) for value in numbers] for column, numbers in zip(columns, values, strict=True)
    ]
    numbers = [[None if pd.isna(value) else float(value) for value in column] for column in values]
    return Side(
        head=" → ".join(printable(str(name)) for name in frame.index.names),
        columns=columns,
        names=tuple(_name(label) for label in top.index),
        marks=tuple(MARKS[str(status)] for status in top["status"]),
        numbers=tuple(zip(*numbers, strict=True)),
        texts=tuple(zip(*texts, strict=True)),
        left=len(frame) - len(top),
        notes=tuple(_notes(frame)),
    )


def _columns(frame: pd.DataFrame) -> tuple[Column, ...]:
    groups = {"count": "calls", "self_ns": "self time", "total_ns": "total time", "errors": "errors"}
    columns = tuple(
        Column(said, side, f"{measure}_{side}")
        for measure, said in groups.items()
        for side in ("a", "b", "change")
    )
    for name in ("status", *(column.source for column in columns)):
        if name not in frame.columns:
            raise ValueError(f"no column {name!r} in the frame, wanted what ktrace_nb.compare(a, b) returns")
    if not frame[["errors_a", "errors_b"]].fillna(0).to_numpy().any():
        columns = tuple(column for column in columns if column.group != "errors")
    return columns


def _name(label: Any) -> str:
    parts = label if isinstance(label, tuple) else (label,)
    return printable(" → ".join(str(part) or "(outermost)" for part in parts))


def _notes(frame: pd.DataFrame) -> list[str]:
    counts = frame["status"].value_counts()
    rows = "1 row" if len(frame) == 1 else f"{len(frame):,} rows"
    notes = [f"{rows}, {int(counts.get('only b', 0)):,} new, {int(counts.get('only a', 0)):,} gone"]
    about = frame.attrs.get("ktrace", {})
    if about.get("per") in ("call", "second"):
        notes.append(f"numbers are per {about['per']}")
    for run, lost in about.get("lost", {}).items():
        said = ", ".join(
            f"{count:,} lost: {printable(str(reason))}" for reason, count in lost.items() if count
        )
        if said:
            notes.append(f"⚠ {run}: {said}")
    return notes
