"""What the rows of a timeline are called, and their colours: numbers for what comes again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.text import printable

HUES = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2")
"""Told apart with every kind of colour vision; vermilion is left for what is picked.

Source: M. Okabe, K. Ito, "Color Universal Design", 2008.
"""

LIGHTNESS = (0.0, 0.45, -0.35)
"""How far to white (or to black) the colours of the first, second and third thread of a name are."""

STATE_COLOURS = {
    "running": "#009e73",
    "runnable": "#e69f00",
    "sleeping": "#8fb8d8",
    "disk sleep": "#cc79a7",
    "stopped": "#f0e442",
    "tracing stop": "#f0e442",
    "parked": "#9aa3ad",
    "idle": "#9aa3ad",
    "returned": "#56b4e9",
    "no return": "#cc79a7",
    "thread ended": "#9aa3ad",
    "open": "#e69f00",
}
NAMELESS = "#9aa3ad"


def shifted(colour: str, by: float) -> str:
    """A colour nearer to white, or by a negative number nearer to black."""
    goal = 255 if by > 0 else 0
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(part + abs(by) * (goal - part)):02x}" for part in parts)


@dataclass(slots=True)
class Colours:
    """A colour per name, and lighter and darker ones of it for the threads of that name.

    The name's hash decides, so that it has the same colour in most pictures; but no colour is
    taken a second time before all have been.
    """

    _places: dict[str, int] = field(default_factory=dict)
    _members: dict[str, int] = field(default_factory=dict)
    _free: list[int] = field(default_factory=list)

    def of(self, name: str) -> str:
        """The colour of one more thread of a name."""
        member = self._members.get(name, 0)
        self._members[name] = member + 1
        round_, hue = divmod(self._place(name), len(HUES))
        by = LIGHTNESS[(round_ + member) % len(LIGHTNESS)]
        return shifted(HUES[hue], by) if by else HUES[hue]

    def _place(self, name: str) -> int:
        """Which colour a name has: first all hues as they are, then all of them lighter, then darker."""
        if name not in self._places:
            taken = len(self._places)
            if taken % len(HUES) == 0:
                self._free = list(range(len(HUES)))
            start = crc32(name.encode(errors="surrogateescape")) % len(HUES)
            hue = min(self._free, key=lambda free: (free - start) % len(HUES))
            self._free.remove(hue)
            self._places[name] = taken - taken % len(HUES) + hue
        return self._places[name]


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a column."""

    name: str
    """Printable."""

    colour: str
    order: float | None
    """Where its lane stands among others; None if that is decided by how much time it has."""


class Names:
    """The values of one or two columns by number, in the order in which they came.

    Args:
        kind: ``cpu``, ``task``, ``state``, or any column's name.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.entries: list[Entry] = []
        self._numbers: dict[Any, int] = {}
        self._colours = Colours()

    def numbers(self, columns: Sequence[pd.Series[Any]]) -> NDArray[np.int32]:
        """The number of each row's value; -1 for a CPU that is none."""
        parts = [_factorized(column) for column in columns]
        codes, values = parts[0]
        keys: list[Any] = [(value,) for value in values]
        if len(parts) == 2:
            codes, found = pd.factorize(codes.astype(np.int64) << 32 | parts[1][0].astype(np.int64))
            keys = [(values[pair >> 32], parts[1][1][pair & 0xFFFFFFFF]) for pair in found.tolist()]
        table = np.array([*map(self._number, keys), -1], np.int32)
        return np.asarray(table[codes])

    def _number(self, key: tuple[Any, ...]) -> int:
        key = tuple(None if pd.isna(value) else value for value in key)
        if self.kind == "cpu" and (key[0] is None or key[0] < 0):
            return -1
        if key not in self._numbers:
            self._numbers[key] = len(self.entries)
            self.entries.append(self._entry(key))
        return self._numbers[key]

    def _entry(self, key: tuple[Any, ...]) -> Entry:
        text = [_text(value) for value in key]
        match self.kind:
            case "cpu":
                return Entry(f"CPU {text[0]}", self._colours.of(f"CPU {text[0]}"), float(key[0]))
            case "task" if len(key) == 2:
                return Entry(f"{text[0]} ({text[1]})", self._colours.of(text[0]), None)
            case "state":
                return Entry(text[0], STATE_COLOURS.get(text[0]) or self._colours.of(text[0]), None)
            case "task" if not isinstance(key[0], str):
                return Entry(f"task {text[0]}", self._colours.of(text[0]), None)
        number = isinstance(key[0], (int, float, np.number)) and not isinstance(key[0], bool)
        name = f"{printable(self.kind)} {text[0]}" if number else text[0]
        return Entry(name, self._colours.of(name), float(key[0]) if number else None)


def _factorized(column: pd.Series[Any]) -> tuple[NDArray[Any], list[Any]]:
    """The place of each value among those that occur, and these."""
    if isinstance(column.array, pd.Categorical):
        codes, found = pd.factorize(np.asarray(column.array.codes))
        names = np.asarray(column.array.categories, dtype=object)
        return codes, [None if code < 0 else names[code] for code in found.tolist()]
    codes, values = pd.factorize(column, use_na_sentinel=False)
    return codes, np.asarray(values, dtype=object).tolist()


def _text(value: Any) -> str:
    if value is None:
        return "?"
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    return printable(str(value))
