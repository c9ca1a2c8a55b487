"""What numbers over time look like, before anybody draws them.

The live view (bqplot), the static picture (SVG) and the text draw the same
:class:`SeriesPicture`: a line per column, or per key. More than a few hundred moments
are condensed: the line is then the mean, and a band goes from the least to the most,
so that a spike of one moment is still seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.text import key_label, number_columns, printable
from ktrace_nb.widgets.keys import number_keys
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.ticks import Tick, moment_ticks, value_ticks
from ktrace_nb.widgets.units import unit_of

MOST_LINES = 8
"""More of them cannot be told apart."""

MOST_MOMENTS = 300
"""More of them are condensed."""

_AXIS_WORDS = {"share": "share", "bytes": "bytes", "kb": "bytes", "bytes_per_s": "bytes per second"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """One column, or one key."""

    title: str
    unit: str
    """As :func:`ktrace_nb.widgets.units.unit_of` says it, or as it was asked for."""

    rows: NDArray[np.intp]
    """Where in the frame its numbers are, in the order of time."""

    values: NDArray[Any]
    """Its numbers as they are in the frame, those that are missing left out."""

    mean: NDArray[np.float64]
    """A number per moment of the picture; NaN is a gap. float64 on purpose: bqplot sends
    int64 as int32 and draws nothing for uint64."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def last(self) -> Any:
        """Its latest number, every digit of it; None if it has none."""
        last = self.values[-1] if len(self.values) else None
        return last.item() if isinstance(last, np.generic) else last


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesPicture:
    """Lines over one axis of time."""

    name: str
    lines: tuple[Line, ...]
    left_out: int
    """How many columns or keys are not drawn."""

    at_s: NDArray[np.float64]
    """The moments, seconds since the start; condensed, each in the middle of its own."""

    moments: int
    """How many there are in the frame."""

    seen: tuple[float, float]
    """The first and the last of them."""

    banded: bool
    """Whether lines have bands from the least to the most."""

    keyed: bool
    span: tuple[float, float]
    ticks: tuple[Tick, ...]
    axis_label: str
    bottom: float
    top: float
    value_ticks: tuple[Tick, ...]
    value_label: str

    @property
    def note(self) -> str:
        """What has to be said of it; may be empty."""
        if not self.lines:
            return "nothing measured yet"
        parts = []
        if len(self.at_s) < self.moments:
            parts.append(
                f"{self.moments:,} moments in {len(self.at_s):,} steps: mean, and band of least to most"
            )
        elif self.banded:
            parts.append("band: least to most")
        if self.left_out:
            parts.append(f"{self.left_out:,} more not drawn")
        return " · ".join(parts)


def series_picture(frame: pd.DataFrame, *, name: str = "", unit: str = "") -> SeriesPicture:
    """Lay numbers over time out.

    Args:
        frame: Indexed by ``at_s`` (seconds), a line per column of numbers, where ``NAME_min`` and
            ``NAME_max`` are the band of ``NAME``; or by ``at_s`` and keys after it, then a line per
            key of the first column of numbers.
        name: What it is called.
        unit: Of the numbers; by default what the columns' names say.

    Raises:
        ValueError: The frame has no ``at_s`` in its index, or no numbers.
    """
    at_s, columns = _checked(frame)
    # Moments in order; what is at the same moment stays in the frame's order.
    order = np.argsort(at_s, kind="stable")
    lines, left_out = (
        _keyed(frame, columns[0], order) if frame.index.nlevels > 1 else _wide(frame, columns, order)
    )
    moments, moment = np.unique(at_s, return_inverse=True)
    slot_of, steps = _steps(moments)
    slot = slot_of[moment]
    drawn = tuple(_line(frame, one, slot, len(steps), unit or unit_of(one.column)) for one in lines)
    units = {unit_of(one.column) for one in lines}
    # Lines of several units share an axis without one.
    unit = unit or (units.pop() if len(units) == 1 else "")
    first, last = (float(moments[0]), float(moments[-1])) if len(moments) else (0.0, 1.0)
    begin, end, ticks, written_in = moment_ticks(first, last)
    bottom, top, levels = value_ticks(*_extent(drawn), unit=unit)
    return SeriesPicture(
        name=printable(name),
        lines=drawn if len(moments) else (),
        left_out=left_out,
        at_s=steps,
        moments=len(moments),
        seen=(first, last),
        banded=len(steps) < len(moments) or any(one.low != one.column for one in lines),
        keyed=frame.index.nlevels > 1,
        span=(begin, end),
        ticks=ticks,
        axis_label=f"{written_in} since the start",
        bottom=bottom,
        top=top,
        value_ticks=levels,
        value_label=_value_label(lines, unit),
    )


def view_picture(view: ViewData) -> SeriesPicture:
    """Lay a view of numbers over time out.

    Raises:
        ValueError: The frame has no ``at_s`` in its index, or no numbers.
    """
    return series_picture(view.frame, name=view.name, unit=view.options.get("unit", ""))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which rows and columns a line is made of."""

    title: str
    rows: NDArray[np.intp]
    column: str
    low: str
    high: str


def _checked(frame: pd.DataFrame) -> tuple[NDArray[np.float64], list[str]]:
    """The moment of each row, and the columns of numbers.

    Raises:
        ValueError: There is none.
    """
    if frame.index.names[0] != "at_s":
        levels = ", ".join(map(repr, frame.index.names))
        raise ValueError(f"no series: indexed by {levels}, wanted 'at_s' first; try frame.set_index")
    at_s = np.asarray(frame.index.get_level_values(0), dtype=np.float64) if len(frame) else np.empty(0)
    if not np.isfinite(at_s).all():
        raise ValueError("no series: a moment in 'at_s' is missing; try frame[frame.index.notna()]")
    columns = number_columns(frame)
    # A band has no line of its own where its line is there.
    ends = {name + end for name in columns for end in ("_min", "_max")}
    columns = [name for name in columns if name not in ends]
    if not columns and len(frame.columns):
        raise ValueError(f"no series: none of the columns {list(frame.columns)} is of numbers")
    if not columns:
        raise ValueError("no series: it has no columns")
    return at_s, columns


def _wide(frame: pd.DataFrame, columns: list[str], order: NDArray[np.intp]) -> tuple[list[_Wanted], int]:
    drawn = columns
    if len(columns) > MOST_LINES:
        sizes = {name: float(np.nansum(np.abs(_real(frame[name])))) for name in columns}
        largest = sorted(columns, key=lambda name: -sizes[name])[:MOST_LINES]
        drawn = [name for name in columns if name in largest]
    return [_wanted(frame, printable(name), order, name) for name in drawn], len(columns) - len(drawn)


def _keyed(frame: pd.DataFrame, column: str, order: NDArray[np.intp]) -> tuple[list[_Wanted], int]:
    index = frame.index
    assert isinstance(index, pd.MultiIndex)
    group, count = number_keys(index, range(1, index.nlevels))
    sizes = np.bincount(group, weights=np.nan_to_num(np.abs(_real(frame[column]))), minlength=count)
    # In order of appearance, so that a line keeps its colour when another one overtakes it.
    largest = np.sort(np.argsort(-sizes, kind="stable")[:MOST_LINES])
    names = [str(name) for name in index.names[1:]]
    lines = []
    for number in largest.tolist():
        rows = order[group[order] == number]
        lines.append(
            _wanted(frame, key_label(dict(zip(names, index[rows[0]][1:], strict=True))), rows, column)
        )
    return lines, count - len(lines)


def _wanted(frame: pd.DataFrame, title: str, rows: NDArray[np.intp], column: str) -> _Wanted:
    low, high = f"{column}_min", f"{column}_max"
    return _Wanted(
        title,
        rows,
        column,
        low if low in frame.columns else column,
        high if high in frame.columns else column,
    )


def _real(series: pd.Series[Any]) -> NDArray[np.float64]:
    """A column as reals, NaN for whatever cannot be drawn."""
    values: NDArray[np.float64] = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _steps(moments: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """In which step each moment is, and when the steps are."""
    if len(moments) <= MOST_MOMENTS:
        return np.arange(len(moments)), moments
    # Steps begin at round times, so that they stay where they are while moments come.
    least = (moments[-1] - moments[0]) / MOST_MOMENTS
    power = 10.0 ** np.floor(np.log10(least))
    width = next(step * power for step in (1, 2, 5, 10) if step * power >= least)
    number = np.floor(moments / width)
    _, slot = np.unique(number, return_inverse=True)
    return slot, np.bincount(slot, weights=moments) / np.bincount(slot)


def _line(frame: pd.DataFrame, wanted: _Wanted, slot: NDArray[np.intp], count: int, unit: str) -> Line:
    rows, where = wanted.rows, slot[wanted.rows]
    values = _real(frame[wanted.column])[rows]
    known = ~np.isnan(values)
    places = where[known]
    with np.errstate(invalid="ignore"):
        mean = np.bincount(places, weights=values[known], minlength=count) / np.bincount(
            places, minlength=count
        )
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.fmin.at(low, where, _real(frame[wanted.low])[rows])
    np.fmax.at(high, where, _real(frame[wanted.high])[rows])
    gap = np.isnan(mean)
    return Line(
        title=wanted.title,
        unit=unit,
        rows=rows,
        values=frame[wanted.column].to_numpy()[rows][known],
        mean=mean,
        low=np.where(gap | np.isinf(low), mean, low),
        high=np.where(gap | np.isinf(high), mean, high),
    )


def _extent(lines: Sequence[Line]) -> tuple[float, float]:
    lows = [float(np.nanmin(line.low)) for line in lines if not np.isnan(line.low).all()]
    highs = [float(np.nanmax(line.high)) for line in lines if not np.isnan(line.high).all()]
    return min(lows, default=0.0), max(highs, default=0.0)


def _value_label(lines: Sequence[_Wanted], unit: str) -> str:
    columns = {line.column for line in lines}
    if len(columns) == 1:
        (column,) = columns
        named = unit_of(column) == unit
        return printable(column if named or not unit else f"{column}, {unit}")
    if unit in ("ns", "us", "ms", "s"):
        return "time"
    return "per second" if unit == "per_s" else _AXIS_WORDS.get(unit, printable(unit) or "value")
