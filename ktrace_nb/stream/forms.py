"""Frames as files that other programs read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

import pandas as pd

_INT64 = range(-(1 << 63), 1 << 63)
_ROWS = 10_000
"""Rows of a frame that are turned into JSON at a time."""


def write_parquet(frame: pd.DataFrame, file: IO[bytes]) -> None:
    """With dtypes, index and ``attrs``; integers of more than 64 bits as strings."""
    wide = {str(name): column.map(str) for name, column in frame.items() if _is_wide(column)}
    frame.assign(**wide).to_parquet(file)


def _is_wide(column: pd.Series[Any]) -> bool:
    return column.dtype == object and any(isinstance(v, int) and v not in _INT64 for v in column)


def write_csv(frame: pd.DataFrame, file: IO[bytes]) -> None:
    """As text with commas, the index in the first columns; NaN is empty."""
    frame.to_csv(file, index_label=_level_names(frame), encoding="utf-8", errors="backslashreplace")


def write_json(frame: pd.DataFrame, file: IO[bytes]) -> None:
    """As a list of rows, the index among their fields; NaN is ``null``, integers keep all digits."""
    names = [*_level_names(frame), *map(str, frame.columns)]
    between = "["
    for row in _rows(frame):
        text = json.dumps(dict(zip(names, row, strict=True)), allow_nan=False)
        file.write(f"{between}\n{text}".encode())
        between = ","
    file.write(b"\n]\n" if between == "," else b"[]\n")


def _rows(frame: pd.DataFrame) -> Iterator[Sequence[Any]]:
    """Rows of plain values, the index in front."""
    for start in range(0, len(frame), _ROWS):
        some = frame.iloc[start : start + _ROWS]
        levels = [some.index.get_level_values(level).tolist() for level in range(some.index.nlevels)]
        columns = [some.iloc[:, number].tolist() for number in range(some.shape[1])]
        yield from zip(*(map(_plain, values) for values in (*levels, *columns)), strict=True)


def _plain(value: Any) -> Any:
    """A value as JSON has it: what is not a number is null."""
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
        return [_plain(item) for item in value] if isinstance(value, list) else _plain(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if pd.isna(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _level_names(frame: pd.DataFrame) -> list[str]:
    """What the levels of the index are called in a file: unlike any column."""
    columns = {str(name) for name in frame.columns}
    names = []
    for number, level in enumerate(frame.index.names):
        name = str(level) if level is not None else "index" if frame.index.nlevels == 1 else f"index_{number}"
        while name in columns:
            name += "_index"
        columns.add(name)
        names.append(name)
    return names


WRITERS: dict[str, Callable[[pd.DataFrame, IO[bytes]], None]] = {
    "csv": write_csv,
    "parquet": write_parquet,
    "json": write_json,
}
