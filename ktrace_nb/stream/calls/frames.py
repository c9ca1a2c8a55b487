"""The frames of a walk: its calls, and what they add up to by function and by caller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.ir.calls import LeftOut
from ktrace_nb.kernel.signatures import ERRNO_NAMES
from ktrace_nb.stream.calls.durations import summed
from ktrace_nb.stream.calls.lazy_text import ARGUMENTS, RESULT, LazyText
from ktrace_nb.stream.calls.states import NO_RETURN, OPEN, STATES, THREAD_ENDED
from ktrace_nb.stream.calls.store import CallStore

PERCENTILES = (50, 95, 99)
_DURATION_BITS = 47  # and 16 of the function: 39 hours


def calls_frame(store: CallStore) -> pd.DataFrame:
    """Every call.

    Returns:
        Indexed by ``call`` (int64), the order of entry; of a walk with ``--errors`` or
        ``--longer``, which sends calls when they are over, the order of return:

        =============== ========= ======================================================
        ``tid``          int32     thread; 0 for the idle threads
        ``pid``          Int32     process, NA if not known
        ``comm``         category  the thread's name when the call began, NA if not known
        ``cpu``          int16     where it began
        ``function``     category
        ``depth``        int16     0 for the outermost call of the thread
        ``parent``       int64     the call it was made from, -1 for none
        ``start_ns``     int64     ``CLOCK_MONOTONIC``
        ``duration_ns``  Int64     NA if its return was not seen
        ``self_ns``      Int64     duration less what of it the calls made from it took
        ``arguments``    str       made when looked at; NA if not recorded
        ``return``       str       likewise; empty of a function that gives nothing
        ``value``        Int64     the result as a number, NA if there is none
        ``error``        category  name of the error returned, NA for none
        ``state``        category  ``returned``, ``open``, ``no return``, ``thread ended``
        =============== ========= ======================================================

        A call's time begins when its entry is written. What an interrupt calls in that
        moment has the call as ``parent`` but begins before it; of such a call only what
        lies within its caller's time counts there, so that ``self_ns`` is never negative.
    """
    calls = store.calls
    rows = calls.rows
    labels = store.roster.labels
    label = calls["label"]
    comms = sorted({known.comm for known in labels if known.comm})
    place = {comm: number for number, comm in enumerate(comms)}
    pid = np.array([known.pid for known in labels], np.int32)[label]
    comm = np.array([place.get(known.comm, -1) for known in labels], np.int64)[label]
    duration = calls["duration"].copy()
    no_duration = duration < 0
    self_ns = store.self_ns()
    columns: dict[str, Any] = {
        "tid": np.array([known.tid for known in labels], np.int32)[label],
        "pid": pd.arrays.IntegerArray(pid, pid < 0),
        "comm": _category(comm, comms),
        "cpu": calls["cpu"].copy(),
        "function": _functions(store, calls["function"]),
        "depth": calls["depth"].copy(),
        "parent": store.parents().copy(),
        "start_ns": calls["start"].copy(),
        "duration_ns": pd.arrays.IntegerArray(np.where(no_duration, 0, duration), no_duration),
        "self_ns": pd.arrays.IntegerArray(np.where(no_duration, 0, self_ns), no_duration.copy()),
        **_value_columns(store, no_duration),
        "state": _category(calls["state"], STATES),
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(rows, name="call"), copy=False)


def paths_frame(store: CallStore) -> pd.DataFrame:
    """What a picture of paths reads of every call, made in a tenth of the time.

    Returns:
        Indexed by ``call`` (int64): ``function`` (category), ``depth`` (int16), ``parent`` (int64) as
        :func:`calls_frame`; ``duration_ns`` and ``self_ns`` (float64, NaN if the return was not seen);
        ``error`` (category, NA for none; which one it was is not told).
    """
    calls = store.calls
    duration = calls["duration"]
    known = duration >= 0
    columns: dict[str, Any] = {
        "function": _functions(store, calls["function"]),
        "depth": calls["depth"].copy(),
        "parent": store.parents().copy(),
        "duration_ns": np.where(known, duration, np.nan),
        "self_ns": np.where(known, store.self_ns(), np.nan),
        "error": _category(calls["failed"].astype(np.int8) - 1, ("error",)),
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(calls.rows, name="call"), copy=False)


def _value_columns(store: CallStore, no_return: NDArray[np.bool_]) -> dict[str, Any]:
    values, calls = store.values, store.calls
    rows = calls.rows
    if values is None:
        nothing = np.ones(rows, bool)
        empty = LazyText._from_sequence([pd.NA] * rows)
        return {
            "arguments": empty,
            "return": empty.copy(),
            "value": pd.arrays.IntegerArray(np.zeros(rows, np.int64), nothing),
            "error": _category(np.full(rows, -1), ()),
        }
    function, result = calls["function"].copy(), calls["result"].copy()
    number = np.where(no_return, 0, values.errors(function, result))
    present = [int(n) for n in np.unique(number) if n]
    codes = np.full(int(number.max(initial=0)) + 1, -1)
    codes[present] = np.arange(len(present))
    unknown = ~np.array([s.is_known for s in values.signatures], bool)[function]
    arguments = LazyText._from_sequence([pd.NA] * rows)
    if store.has_arguments:
        arguments = LazyText(values, ARGUMENTS, function, calls["arguments"].copy(), unknown)
    return {
        "arguments": arguments,
        "return": LazyText(values, RESULT, function, result, no_return.copy()),
        "value": pd.arrays.IntegerArray(
            values.numbers(function, result), no_return | values.is_void(function)
        ),
        "error": _category(codes[number], [ERRNO_NAMES.get(n, str(n)) for n in present]),
    }


def functions_frame(store: CallStore) -> pd.DataFrame:
    """Calls added up by function.

    Returns:
        Indexed by ``function`` (str), most total time first; functions that were called:

        ============================================ ======= =============================================
        ``count``                                     int64   calls
        ``errors``                                    int64   that returned an error
        ``open``                                      int64   under way, or when their thread ended
        ``lost``                                      int64   whose return was missed
        ``self_ns``, ``total_ns``                     int64   without and with the calls made from them;
                                                              of recursive calls the outermost counts
        ``min_ns``, ``p50_ns``, ``p95_ns``,           float64 durations; NaN if none is known
        ``p99_ns``, ``max_ns``
        ============================================ ======= =============================================
    """
    calls, size = store.calls, len(store.functions)
    function, duration, state = calls["function"], calls["duration"], calls["state"]
    known = duration >= 0
    count = np.bincount(function, minlength=size)
    outermost = known & ~_is_nested(function, store.parents())
    data: dict[str, NDArray[Any]] = {
        "count": count,
        "errors": np.bincount(function[calls["failed"]], minlength=size),
        "open": np.bincount(function[(state == OPEN) | (state == THREAD_ENDED)], minlength=size),
        "lost": np.bincount(function[state == NO_RETURN], minlength=size),
        "self_ns": summed(store.self_ns()[known], function[known], size),
        "total_ns": summed(duration[outermost], function[outermost], size),
        **_spread(function[known], duration[known], size),
    }
    called = np.flatnonzero(count)
    called = called[np.argsort(-data["total_ns"][called], kind="stable")]
    index = pd.Index([store.functions[n] for n in called], name="function", dtype=object).astype(str)
    return pd.DataFrame({name: column[called] for name, column in data.items()}, index=index)


def edges_frame(store: CallStore) -> pd.DataFrame:
    """Calls added up by caller and callee.

    Returns:
        Indexed by ``caller`` (str, empty where nothing recorded called) and ``callee`` (str),
        most time first: ``count``, ``errors``, ``total_ns``, ``self_ns`` (int64), all of the callee.
    """
    calls, size = store.calls, len(store.functions)
    function, duration, parent = calls["function"], calls["duration"], store.parents()
    caller = np.full(len(function), size)
    inner = np.flatnonzero(parent >= 0)
    caller[inner] = function[parent[inner]]
    edge = caller * size + function
    which, there = pd.factorize(edge, sort=True)
    known = duration >= 0
    data = {
        "count": np.bincount(which, minlength=len(there)),
        "errors": np.bincount(which[calls["failed"]], minlength=len(there)),
        "total_ns": summed(duration[known], which[known], len(there)),
        "self_ns": summed(store.self_ns()[known], which[known], len(there)),
    }
    order = np.argsort(-data["total_ns"], kind="stable")
    names = np.array([*store.functions, ""], object)
    pairs = [names[there[order] // size], names[there[order] % size]] if size else [[], []]
    index = pd.MultiIndex.from_arrays(pairs, names=["caller", "callee"])
    return pd.DataFrame({name: column[order] for name, column in data.items()}, index=index)


def left_out_frame(left_out: Iterable[LeftOut]) -> pd.DataFrame:
    """Functions that were asked for and are not recorded: ``function``, ``reason`` (str)."""
    listed = [(one.name, one.reason) for one in left_out]
    return pd.DataFrame(listed, columns=["function", "reason"]).astype(str)


def _is_nested(function: NDArray[np.uint16], parent: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Calls that were made, over however many others, from a call of the same function."""
    nested = np.zeros(len(function), bool)
    call, ancestor = np.arange(len(function)), parent
    while len(call):
        there = ancestor >= 0
        call, ancestor = call[there], ancestor[there]
        same = function[call] == function[ancestor]
        nested[call[same]] = True
        call, ancestor = call[~same], parent[ancestor[~same]]
    return nested


def _spread(
    function: NDArray[np.uint16], duration: NDArray[np.int64], size: int
) -> dict[str, NDArray[np.float64]]:
    """Smallest, percentiles (as numpy's, linear between neighbours) and largest duration by function."""
    ordered = _by_function(function, duration).astype(np.float64)
    count = np.bincount(function, minlength=size)
    first = np.cumsum(count) - count
    there = np.flatnonzero(count)
    found: dict[str, NDArray[np.float64]] = {}
    shares = {"min_ns": 0, **{f"p{p}_ns": p for p in PERCENTILES}, "max_ns": 100}
    for name, share in shares.items():
        place = (count[there] - 1) * (share / 100)
        low = np.floor(place).astype(np.int64)
        high = np.ceil(place).astype(np.int64)
        below, above = ordered[first[there] + low], ordered[first[there] + high]
        found[name] = np.full(size, np.nan)
        found[name][there] = below + (above - below) * (place - low)
    return found


def _by_function(function: NDArray[np.uint16], duration: NDArray[np.int64]) -> NDArray[np.int64]:
    """Durations in order, those of the first function first."""
    if int(duration.max(initial=0)) >> _DURATION_BITS:
        return duration[np.lexsort((duration, function))]
    # Numbers alone are sorted in a tenth of the time that finding their order takes.
    both = function.astype(np.int64) << _DURATION_BITS | duration
    both.sort()
    ordered: NDArray[np.int64] = both & ((1 << _DURATION_BITS) - 1)
    return ordered


def _functions(store: CallStore, codes: NDArray[np.uint16]) -> pd.Categorical:
    return _category(codes, store.functions)


def _category(codes: NDArray[Any], names: Iterable[str]) -> pd.Categorical:
    categories = pd.Index(list(names), dtype=object).astype(str)
    return pd.Categorical.from_codes(codes.astype(np.int32), categories=categories, validate=False)
