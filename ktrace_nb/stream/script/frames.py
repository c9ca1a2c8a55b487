"""Globals of a script as frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ktrace_nb.ir.script import GlobalVariable, HistogramShape, Type
from ktrace_nb.stream.histogram import linear_hist, log2_hist
from ktrace_nb.stream.script.codec import Value
from ktrace_nb.stream.script.prints import text_of
from ktrace_nb.stream.script.statistics import LOG_ZERO, Statistics
from ktrace_nb.stream.script.values import Key

STATISTICS = ("count", "sum", "min", "max", "avg")


def key_names(variable: GlobalVariable) -> list[str]:
    """Names of an array's keys: the script's own where it has them, else ``key1`` and so on."""
    names = variable.key_names
    if len(names) != len(variable.keys) or len(set(names)) != len(names) or not all(names):
        return [f"key{i}" for i in range(1, len(variable.keys) + 1)]
    return list(names)


def global_frame(variable: GlobalVariable, entries: Mapping[Key, Value]) -> pd.DataFrame:
    """A global as a frame.

    Args:
        variable: The global.
        entries: Its values by key; of a scalar that with the key ``()``.

    Returns:
        One row per entry, in the order given, indexed by the keys (integers as int64,
        strings as str); a scalar has one row. Columns: ``value`` (int64, or a category
        of strings), or of statistics ``count``, ``sum``, ``min``, ``max`` and ``avg``
        (int64) and, where the script asks for it, ``variance``.
    """
    values = list(entries.values())
    if variable.type is Type.STATISTICS:
        kept = [(k, v) for k, v in entries.items() if isinstance(v, Statistics) and v.count > 0]
        names = (*STATISTICS, "variance") if variable.variance else STATISTICS
        keys = [k for k, _ in kept]
        columns: dict[str, Any] = {n: np.array([v.value(n) for _, v in kept], np.int64) for n in names}
    else:
        keys = list(entries)
        columns = {"value": _column(values, variable.type, category=True)}
    return pd.DataFrame(columns, index=_index(variable, keys))


def _index(variable: GlobalVariable, keys: Sequence[Key]) -> pd.Index:
    if not variable.keys:
        return pd.RangeIndex(len(keys))
    names = key_names(variable)
    levels = [_column([key[i] for key in keys], type_) for i, type_ in enumerate(variable.keys)]
    if len(levels) == 1:
        single: pd.Index = pd.Index(levels[0], name=names[0])
        return single
    return pd.MultiIndex.from_arrays(levels, names=names)


def _column(values: Sequence[object], type_: Type, *, category: bool = False) -> Any:
    if type_ is not Type.STRING:
        return np.array(values, np.int64)
    texts = pd.Index([text_of(str(value)) for value in values], dtype=object).astype(str)
    return pd.Categorical(texts) if category else texts


def histogram_name(variable: GlobalVariable, number: int) -> str:
    """The frame of a global's n-th histogram: ``NAME.hist_log``, ``NAME.hist_linear``, then ``…_2``."""
    shape = variable.histograms[number]
    kind = "hist_log" if shape.is_log else "hist_linear"
    earlier = sum(1 for s in variable.histograms[:number] if s.is_log == shape.is_log)
    return f"{variable.name}.{kind}" + (f"_{earlier + 1}" if earlier else "")


def histogram_frame(
    variable: GlobalVariable, shape: HistogramShape, entries: Mapping[Key, Value]
) -> pd.DataFrame:
    """A histogram of a global's statistics.

    Returns:
        As :func:`~ktrace_nb.stream.histogram.log2_hist` or
        :func:`~ktrace_nb.stream.histogram.linear_hist` lays it out, with the array's
        keys as index levels. Numbers below zero are in buckets of negative number,
        their bit length. In a linear one the bucket below the first bound has
        everything that is less, that above the last everything that is more.
    """
    buckets: list[int] = []
    counts: list[int] = []
    keys: list[Key] = []
    for key, value in entries.items():
        if isinstance(value, Statistics) and value.count > 0:
            for bucket, count in sorted(value.buckets[shape].items()):
                if count > 0:
                    buckets.append(bucket - (LOG_ZERO if shape.is_log else 1))
                    counts.append(count)
                    keys.append(key)
    names = key_names(variable)
    columns = {name: _column([key[i] for key in keys], variable.keys[i]) for i, name in enumerate(names)}
    numbers, hits = np.array(buckets, np.int64), np.array(counts, np.int64)
    if not shape.is_log:
        return linear_hist(numbers, hits, step=shape.step, start=shape.low, keys=columns or None)
    if not len(numbers) or numbers.min() >= 0:
        return log2_hist(numbers, hits, keys=columns or None, bcc=False)
    return _signed(numbers, hits, columns)


def _signed(numbers: Any, hits: Any, columns: Mapping[str, Any]) -> pd.DataFrame:
    """A power-of-two histogram with numbers below zero; buckets that were not hit are left out."""
    low, high = zip(*(_bounds(int(bucket)) for bucket in numbers), strict=True)
    data = {"low": np.array(low, np.int64), "high": np.array(high, np.int64), "count": hits.astype(np.uint64)}
    levels = [*columns.values(), numbers]
    index: pd.Index = pd.Index(numbers, name="bucket")
    if columns:
        index = pd.MultiIndex.from_arrays(levels, names=[*columns, "bucket"])
    return pd.DataFrame(data, index=index)


def _bounds(bucket: int) -> tuple[int, int]:
    if not bucket:
        return 0, 0
    least, most = 1 << (abs(bucket) - 1), (1 << abs(bucket)) - 1
    return (least, most) if bucket > 0 else (-most, -least)
