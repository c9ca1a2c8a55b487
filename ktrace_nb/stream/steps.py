"""Rows of a frame read as transitions between states: which columns say so, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.machines import Machine
from ktrace_nb.stream.window import TIME_NAMES

OBJECT_NAMES = ("skaddr", "sk", "sock", "tid", "pid", "task", "object", "dev", "device")
"""Columns taken for what is in a state where none is named, best first."""

_SUFFIXES = ("state", "")
"""``oldstate`` is preferred to ``oldport``; what stands between is ignored."""

Codes: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The rows of a frame as transitions between numbered states."""

    names: tuple[str, ...]
    """Of each state, in the order in which they come up."""

    start: Codes
    """Of each row the state that was left, -1 if the row does not say."""

    end: Codes
    """And the one that was entered."""

    count: NDArray[Any] | None
    """How many each row stands for; None is one each."""

    spent: NDArray[np.int64] | None
    """Nanoseconds in the state that was left, summed over what the row stands for; negative where
    it is not known. None if the frame has no times."""

    timed: NDArray[Any] | None
    """Of how many that a row stands for the time is known."""

    out_of_order: int
    """Rows whose time was negative."""


def read_steps(frame: pd.DataFrame, machine: Machine, *, by: str = "", at: str = "") -> Steps:
    """Read a frame's rows as transitions.

    Raises:
        ValueError: A column is missing, or a count is negative.
    """
    before, after = ends_of(frame)
    names, start, end = _numbered(machine, _column(frame, before), _column(frame, after))
    count = _counts(frame, before, after)
    spent = _told(frame, count)
    if spent is None:
        object_name, time_name = _found(frame, by, OBJECT_NAMES), _found(frame, at, (*TIME_NAMES, "at_s"))
        if object_name and time_name and pd.api.types.is_numeric_dtype(_column(frame, time_name).dtype):
            moments = _nanoseconds(_column(frame, time_name), seconds=time_name.endswith("_s"))
            ended = np.array([name in machine.ends for name in names], dtype=bool)
            objects, _ = pd.factorize(_column(frame, object_name))
            spent = _between(objects, moments, start, end, ended)
    return Steps(
        names=names,
        start=start,
        end=end,
        count=count,
        spent=spent,
        timed=None if spent is None else _timed(frame, spent, count),
        out_of_order=0 if spent is None else int(np.count_nonzero(spent == _NEGATIVE)),
    )


def ends_of(frame: pd.DataFrame) -> tuple[str, str]:
    """The columns or index levels that say which state was left and which was entered.

    Raises:
        ValueError: There are none, or one is missing.
    """
    names = [str(name) for name in (*frame.index.names, *frame.columns) if name is not None]
    if "from" in names and "to" in names:
        return "from", "to"
    alone = [("from", "to")] if "from" in names else [("to", "from")] if "to" in names else []
    for first, second in (("old", "new"), ("prev", "next")):
        rests = [name.removeprefix(first) for name in names if name.startswith(first)]
        pairs = [rest for rest in rests if second + rest in names]
        if pairs:
            best = min(pairs, key=_preference)
            return first + best, second + best
        alone += [(name, second + name.removeprefix(first)) for name in names if name.startswith(first)]
        alone += [(name, first + name.removeprefix(second)) for name in names if name.startswith(second)]
    if alone:
        have, lacks = min(alone, key=lambda pair: "state" not in pair[0])
        raise ValueError(f"there is {have!r} in the frame, but no {lacks!r}")
    raise ValueError(
        "no column says which state was left and which was entered, wanted from and to, old… and new…, "
        f"or prev… and next…; there is {', '.join(names) or 'none at all'}"
    )


def _preference(rest: str) -> int:
    bare = rest.strip("_")
    return _SUFFIXES.index(bare) if bare in _SUFFIXES else len(_SUFFIXES)


def _column(frame: pd.DataFrame, name: str) -> Any:
    return frame[name] if name in frame.columns else frame.index.get_level_values(name)


def _found(frame: pd.DataFrame, named: str, usual: tuple[str, ...]) -> str:
    """A column that is named, which must be there, or else the first usual one; empty if none."""
    names = [*frame.index.names, *frame.columns]
    if named:
        if named not in names:
            there = ", ".join(str(name) for name in names if name is not None)
            raise ValueError(f"no {named!r} in the frame; there is {there or 'nothing'}")
        return named
    return next((name for name in usual if name in names), "")


def _numbered(machine: Machine, *columns: Any) -> tuple[tuple[str, ...], Codes, Codes]:
    """The states of two columns, numbered alike by what they are called."""
    numbers: dict[str, int] = {}
    found = []
    for column in columns:
        codes, values = pd.factorize(column)
        own = [numbers.setdefault(machine.call(value), len(numbers)) for value in _plain(values)]
        found.append(np.array([*own, -1], dtype=np.int64)[codes])  # -1, the last, is missing
    return tuple(numbers), found[0], found[1]


def _plain(values: Any) -> list[Any]:
    """Distinct values as Python's own objects."""
    listed: list[Any] = values.tolist()
    return listed


def _counts(frame: pd.DataFrame, before: str, after: str) -> NDArray[Any] | None:
    levels = frame.index.names
    # A map in the kernel keyed by the two states has its count in ``value``.
    keyed = before in levels and after in levels
    name = "count" if "count" in frame.columns else "value" if keyed and "value" in frame.columns else ""
    if not name:
        return None
    column = frame[name]
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        raise ValueError(f"{name!r} holds {column.dtype}, wanted numbers")
    if column.hasnans:
        column = column.fillna(0)
    values = column.to_numpy()
    if values.dtype.kind == "O":  # Python's integers, of any size
        values = np.array([int(value) for value in values.tolist()], dtype=np.uint64)
    if values.dtype.kind == "f":
        values = np.where(np.isfinite(values), values, 0).astype(np.int64)
    if len(values) and values.min() < 0:
        raise ValueError(f"{name!r} holds {values.min()}, wanted counts of 0 and more")
    return values


_UNKNOWN = -1
_NEGATIVE = -2


def _told(frame: pd.DataFrame, count: NDArray[Any] | None) -> NDArray[np.int64] | None:
    """Times that the frame has already."""
    name = next((name for name in ("total_ns", "mean_ns") if name in frame.columns), "")
    if not name:
        return None
    column = frame[name]
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise ValueError(f"{name!r} holds {column.dtype}, wanted numbers")
    if "timed" in frame.columns:
        column = column.where(frame["timed"] > 0)
    times = 1 if count is None or name == "total_ns" else count
    if column.dtype.kind in "iu" and isinstance(times, int) and not column.hasnans:
        exact = column.to_numpy()
        return np.where(exact < 0, _NEGATIVE, np.minimum(exact, 2**63 - 1)).astype(np.int64)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan) * times
    known = np.isfinite(values)
    capped = np.where(known, np.clip(values, _NEGATIVE, 2.0**63 - 1024), _UNKNOWN)
    return np.where(known & (values < 0), _NEGATIVE, capped).astype(np.int64)


def _timed(frame: pd.DataFrame, spent: NDArray[np.int64], count: NDArray[Any] | None) -> NDArray[Any]:
    """Of how many that a row stands for the time is known."""
    if "timed" in frame.columns and pd.api.types.is_integer_dtype(frame["timed"].dtype):
        number = np.asarray(frame["timed"].fillna(0).clip(lower=0))
    else:
        number = np.ones(len(spent), dtype=np.int64) if count is None else count
    return np.where(spent >= 0, number, 0)


def _nanoseconds(column: Any, *, seconds: bool) -> NDArray[np.int64]:
    """Moments as integers; missing ones as the smallest."""
    values = np.asarray(column)
    if values.dtype.kind == "f" or seconds:
        scaled = values.astype(np.float64) * (1e9 if seconds else 1.0)
        usable = np.abs(scaled) < 2.0**63
        return np.where(usable, np.where(usable, scaled, 0), np.iinfo(np.int64).min).astype(np.int64)
    return values.astype(np.int64)


def _between(
    objects: Codes, moments: NDArray[np.int64], start: Codes, end: Codes, ended: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Of each event the time since the event before of the same object, if they fit together."""
    count = len(objects)
    spent = np.full(count, _UNKNOWN, dtype=np.int64)
    if count < 2:
        return spent
    order = None if (moments[1:] >= moments[:-1]).all() else np.argsort(moments, kind="stable")
    own = objects if order is None else objects[order]
    # Numbers of 16 bits are sorted by their digits, many times as fast.
    small = own.astype(np.int16) if own.max(initial=0) < 2**15 else own
    grouped = np.argsort(small, kind="stable")
    order = grouped if order is None else order[grouped]
    later, earlier = order[1:], order[:-1]
    state = start[later]
    missing = np.iinfo(np.int64).min
    fits = (objects[later] == objects[earlier]) & (objects[later] >= 0)
    fits &= (state >= 0) & (state == end[earlier])
    fits &= (moments[earlier] != missing) & (moments[later] != missing)
    if ended.any():
        fits &= ~ended[state]
    rows = later[fits]
    spent[rows] = moments[rows] - moments[earlier[fits]]
    return spent
