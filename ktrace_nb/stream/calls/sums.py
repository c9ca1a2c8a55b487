"""Calls added up by function, by edge and by path: what comparing and drawing start from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ktrace_nb.stream.calls.durations import summed
from ktrace_nb.stream.calls.paths import Numbers, Paths, call_paths, codes, parent_rows

SUMS = ("count", "errors", "self_ns", "total_ns")
"""Columns that add up."""


def by_function(calls: pd.DataFrame) -> pd.DataFrame:
    """Calls added up by function.

    Args:
        calls: A frame of calls, all or some of them.

    Returns:
        Indexed by ``function`` (str): ``count``, ``errors``, ``self_ns`` and ``total_ns``
        (int64; of recursive calls ``total_ns`` has the outermost only), ``p50_ns`` (float64,
        NaN without a call whose return was seen).
    """
    names, function = codes(calls["function"])
    frame = _sums(calls, function, len(names), ~_again(calls))
    return frame.set_axis(pd.Index(names, name="function", dtype=object)).loc[lambda f: f["count"] > 0]


def by_edge(calls: pd.DataFrame) -> pd.DataFrame:
    """Calls added up by caller and callee.

    Returns:
        Indexed by ``caller`` (str, ``""`` of the outermost) and ``callee`` (str), columns as
        :func:`by_function`; ``total_ns`` has every call.
    """
    names, function = codes(calls["function"])
    above = parent_rows(calls)
    caller = np.where(above >= 0, function[above], len(names))
    keys, edge = np.unique(caller * (len(names) + 1) + function, return_inverse=True)
    frame = _sums(calls, edge, len(keys), np.ones(len(calls), np.bool_))
    known = (*names, "")
    index = pd.MultiIndex.from_arrays(
        [
            pd.Index([known[n] for n in (keys // (len(names) + 1)).tolist()], dtype=object),
            pd.Index([known[n] for n in (keys % (len(names) + 1)).tolist()], dtype=object),
        ],
        names=["caller", "callee"],
    )
    return frame.set_axis(index)


def by_path(calls: pd.DataFrame, paths: Paths | None = None) -> pd.DataFrame:
    """Calls added up by path.

    Returns:
        Indexed by ``path`` (str, functions from the outermost with ``;`` between), columns as
        :func:`by_function`; ``total_ns`` has every call.
    """
    paths = paths or call_paths(calls)
    frame = _sums(calls, paths.of_call, len(paths), np.ones(len(calls), np.bool_))
    return frame.set_axis(pd.Index(paths.written(), name="path", dtype=object)).loc[lambda f: f["count"] > 0]


def _again(calls: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether a call was made, at whatever distance, from a call of the same function."""
    paths = call_paths(calls)
    return paths.recursive()[paths.of_call]


def _sums(
    calls: pd.DataFrame, group: Numbers, groups: int, totalled: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> pd.DataFrame:
    returned = calls["duration_ns"].notna().to_numpy()
    duration = calls["duration_ns"].to_numpy(np.int64, na_value=0)
    own = calls["self_ns"].to_numpy(np.int64, na_value=0)
    failed = calls["error"].notna().to_numpy()
    frame = pd.DataFrame(
        {
            "count": np.bincount(group, minlength=groups).astype(np.int64),
            "errors": np.bincount(group, weights=failed, minlength=groups).astype(np.int64),
            "self_ns": summed(own, group, groups),
            "total_ns": summed(np.where(totalled, duration, 0), group, groups),
        }
    )
    medians = pd.Series(duration[returned]).groupby(group[returned]).median()
    return frame.assign(p50_ns=medians.reindex(range(groups)).to_numpy(np.float64))
