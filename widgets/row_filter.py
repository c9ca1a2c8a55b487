"""Which rows of a table to keep, as somebody typed it.

Terms stand side by side, and a row has to satisfy all of them::

    bash                 some cell contains it, in upper or lower case
    "two words"          likewise, with a blank or a sign of comparison in it
    comm=bash            the cell is that; != is not
    bytes>1.5MiB         a number, in the column's unit or in one that is named
    wait_ns<5ms

A term that cannot be understood is left out and told in a hint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ktrace_nb.stream.text import cell, printable
from ktrace_nb.widgets.comparisons import compare_numbers
from ktrace_nb.widgets.rows import Column
from ktrace_nb.widgets.units import MISSING, parse_quantity

MOST_SLOW_ROWS = 50_000
"""Values that have no fast search, such as lists, are searched in frames of so many rows at most."""

_TOKEN = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_COMPARISON = re.compile(r'("[^"]+"|[^\s<>=!"]+)(<=|>=|!=|==|=|<|>)(.*)', re.DOTALL)
_OF_NUMBERS = re.compile(r"[-+.e0-9]+")

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Found:
    """What a filter keeps."""

    mask: Mask | None
    """Of each row whether it is kept; None keeps all."""

    hint: str = ""
    """What was not understood; empty if all was."""


class _HintError(ValueError):
    """A term that cannot be used; the message is for whoever typed it."""


def find_rows(frame: pd.DataFrame, columns: Sequence[Column], text: str) -> Found:
    """Find the rows that satisfy every term.

    Args:
        frame: Any frame.
        columns: Its columns, see :func:`ktrace_nb.widgets.rows.columns_of`.
        text: What was typed.
    """
    mask: Mask | None = None
    hints: list[str] = []
    for term in _TOKEN.findall(text):
        try:
            kept = _satisfy(frame, columns, term)
        except _HintError as problem:
            hints.append(printable(str(problem)))
            continue
        mask = kept if mask is None else mask & kept
    return Found(mask, "; ".join(hints))


def _satisfy(frame: pd.DataFrame, columns: Sequence[Column], term: str) -> Mask:
    match = _COMPARISON.fullmatch(term)
    if match is None:
        return _contains(frame, columns, _bare(term))
    name, sign, value = _bare(match[1]), match[2].replace("==", "="), _bare(match[3])
    column = _column(columns, name)
    if not value:
        raise _HintError(f"{name}{sign} wants a value behind it")
    if value == MISSING and sign in ("=", "!="):
        missing = column.series(frame).isna().to_numpy()
        return np.asarray(missing if sign == "=" else ~missing)
    return _compare(frame, column, sign, value)


def _bare(text: str) -> str:
    return text.replace('"', "")


def _column(columns: Sequence[Column], name: str) -> Column:
    for column in columns:
        if name.lower() in (column.name.lower(), column.key.lower()):
            return column
    near = get_close_matches(name, [column.name for column in columns], n=1)
    advice = f"did you mean {near[0]}?" if near else "put text with such a sign in quotes"
    raise _HintError(f"no column {name!r}: {advice}")


def _compare(frame: pd.DataFrame, column: Column, sign: str, value: str) -> Mask:
    series = column.series(frame)
    kind = getattr(series.dtype, "kind", "O")
    try:
        if column.is_number:
            return compare_numbers(series, sign, parse_quantity(value, column.unit))
        if kind == "m":
            return compare_numbers(series, sign, pd.Timedelta(parse_quantity(value, "ns"), "ns"))
        if kind == "M":
            return compare_numbers(series, sign, _moment(value, series))
    except (ValueError, TypeError, OverflowError) as problem:
        raise _HintError(f"{column.name}: {problem}") from None
    if sign not in ("=", "!="):
        raise _HintError(f"{column.name} holds no numbers: use = or !=")
    same = _search(frame, column, value.lower(), whole=True)
    return same if sign == "=" else ~same


def _moment(value: str, series: pd.Series[Any]) -> pd.Timestamp:
    moment = pd.Timestamp(value)
    zone = getattr(series.dtype, "tz", None)
    return moment.tz_localize(zone) if zone is not None and moment.tz is None else moment


def _contains(frame: pd.DataFrame, columns: Sequence[Column], text: str) -> Mask:
    found: Mask = np.zeros(len(frame), dtype=np.bool_)
    number = text.lower().replace(",", "")
    for column in columns:
        if not column.is_number:
            found |= _search(frame, column, text.lower(), whole=False)
        elif _OF_NUMBERS.fullmatch(number):
            found |= _search(frame, column, number, whole=False)
    return found


def _search(frame: pd.DataFrame, column: Column, text: str, *, whole: bool) -> Mask:
    """Whether each cell contains or is a text of lower case."""

    def fits(value: Any) -> bool:
        shown = (str(value) if column.is_number else cell(value)).lower()
        return shown == text if whole else text in shown

    coded = column.coded(frame)
    if coded is not None:
        codes, distinct = coded
        return np.asarray(np.array([*map(fits, distinct), False], dtype=np.bool_)[codes])
    series = column.series(frame)
    if pd.api.types.is_bool_dtype(series.dtype):
        yes = series.fillna(False).to_numpy(dtype=bool)
        known = series.notna().to_numpy()
        return (yes & fits(True)) | (~yes & known & fits(False))
    # A backslash may stand for an escape that is shown in place of a control character.
    fast = None if "\\" in text else _search_arrow(series, text, whole=whole)
    return _search_distinct(column.name, series, fits) if fast is None else fast


def _search_arrow(series: pd.Series[Any], text: str, *, whole: bool) -> Mask | None:
    """The search for texts and numbers; None if they are not as Arrow has them."""
    if not _is_plain(series):
        return None
    try:
        texts = pa.array(series, from_pandas=True)
        if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
            if pa.types.is_binary(texts.type) or pa.types.is_nested(texts.type):
                return None
            texts = texts.cast(pa.string())
        found = (
            pc.equal(pc.utf8_lower(texts), text)
            if whole
            else pc.match_substring(texts, text, ignore_case=True)
        )
    except (pa.ArrowException, UnicodeError, TypeError, ValueError):
        return None  # mixed values, or bytes that are no text
    return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _is_plain(series: pd.Series[Any]) -> bool:
    dtype = series.dtype
    if isinstance(dtype, (pd.StringDtype, pd.ArrowDtype)) or pd.api.types.is_numeric_dtype(dtype):
        return True
    return dtype.kind == "O" and bool(len(series)) and isinstance(series.iloc[0], (str, type(None)))


def _search_distinct(name: str, series: pd.Series[Any], fits: Callable[[Any], bool]) -> Mask:
    """The search of everything else: of each distinct value once, where values can be told apart."""
    if isinstance(series.dtype, np.dtype):
        try:
            codes, distinct = pd.factorize(series)
        except TypeError:  # lists have no hash
            pass
        else:
            return np.array([*map(fits, distinct), False], dtype=np.bool_)[codes]
    if len(series) > MOST_SLOW_ROWS:
        raise _HintError(f"{name} is not searched in more than {MOST_SLOW_ROWS:,} rows")
    return np.fromiter(map(fits, series.tolist()), dtype=np.bool_, count=len(series))
