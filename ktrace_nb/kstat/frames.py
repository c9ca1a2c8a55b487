"""Kstats as frames: long, wide, and how fast their counters went.

``frame(kstats)`` has one row per statistic, ``wide()`` one per kstat, ``rates()`` compares two
moments. Frames have the latter two as methods, too: ``later.kstat.rates(earlier)`` and
``later.kstat.wide()``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from ktrace_nb.kstat.entries import words
from ktrace_nb.kstat.model import LIMITS, Kstat, Number, Scalar, Type
from ktrace_nb.kstat.steps import Sample, step

LEVELS = ("module", "instance", "name", "statistic")
COLUMNS = ("value", "type", "counter", "unit", "class", "crtime_ns", "snaptime_ns")

_TEXTS = frozenset({Type.CHAR, Type.STRING})
_UNSIGNED = frozenset({Type.UINT32, Type.UINT64})
_WHOLE = _UNSIGNED | {Type.INT32, Type.INT64}
_NUMBERS = _WHOLE | {Type.DOUBLE}
_NULLABLE = {"int64": "Int64", "uint64": "UInt64"}
_EXACT = 2**53
"""Up to here a float64 tells every integer from its neighbours."""


def frame(kstats: Iterable[Kstat]) -> pd.DataFrame:
    """Lay kstats out, one row per statistic.

    Args:
        kstats: In the order that the rows are to have.

    Returns:
        Indexed by ``module`` (str), ``instance`` (int64), ``name`` (str) and ``statistic`` (str):

        =============== ======= =================================================================
        ``value``        *       what it was; see below
        ``type``         str     ``uint64``, ``string`` and so on, see :class:`Type`
        ``counter``      bool    whether it only grows
        ``unit``         str     ``ns``, ``bytes`` …; empty for plain numbers
        ``class``        str     of its kstat
        ``crtime_ns``    int64   when the kstat was created, ``CLOCK_MONOTONIC`` of its kernel
        ``snaptime_ns``  int64   when the value was taken, the same clock
        =============== ======= =================================================================

        ``value`` is uint64 if all that was selected is unsigned, int64 if some of it is signed, float64 if
        some of it is a double, str if all of it is text, as long as that holds every value exactly; else it
        is object with Python's own numbers and texts.

        ``attrs["kstat"]["errors"]`` is a dict of ``module:instance:name`` to why a kstat could not be read;
        such a kstat has no rows.
    """
    kstats = list(kstats)
    rows = [(kstat, name, value) for kstat in kstats for name, value in kstat.data.items()]
    levels: list[Any] = [
        _texts([kstat.id.module for kstat, _, _ in rows]),
        np.array([kstat.id.instance for kstat, _, _ in rows], np.int64),
        _texts([kstat.id.name for kstat, _, _ in rows]),
        _texts([name for _, name, _ in rows]),
    ]
    data = {
        "value": column([value.value for _, _, value in rows], [value.type for _, _, value in rows]),
        "type": _texts([value.type.value for _, _, value in rows]),
        "counter": np.array([value.counter for _, _, value in rows], bool),
        "unit": _texts([value.unit for _, _, value in rows]),
        "class": _texts([kstat.class_ for kstat, _, _ in rows]),
        "crtime_ns": np.array([kstat.crtime_ns for kstat, _, _ in rows], np.int64),
        "snaptime_ns": np.array([kstat.snaptime_ns for kstat, _, _ in rows], np.int64),
    }
    result = pd.DataFrame(data, index=pd.MultiIndex.from_arrays(levels, names=LEVELS))
    result.attrs["kstat"] = {"errors": {words(kstat.id): kstat.error for kstat in kstats if kstat.error}}
    return result


def wide(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per kstat, one column per statistic.

    Args:
        frame: As :func:`frame` gives it.

    Returns:
        Indexed by ``module``, ``instance`` and ``name``, in the frame's order; the columns are the
        statistics in the order they first come. Each has the dtype that ``value`` would have of it
        alone; one that some kstat lacks is UInt64 or Int64 (which know a missing value), float64 with
        NaN, str, or object with None. ``attrs`` are the frame's.

    Raises:
        ValueError: It is no such frame.
    """
    _check(frame)
    kstats = cast(pd.MultiIndex, frame.index).droplevel("statistic").unique()
    place = dict(zip(kstats, range(len(kstats)), strict=True))
    table: dict[str, list[Scalar | None]] = {}
    types: dict[str, list[Type]] = {}
    for key, value, type_ in zip(frame.index, frame["value"].tolist(), frame["type"], strict=True):
        table.setdefault(key[3], [None] * len(kstats))[place[key[:3]]] = value
        types.setdefault(key[3], []).append(Type(type_))
    columns = {name: column(cells, types[name]) for name, cells in table.items()}
    result = pd.DataFrame(columns, index=kstats)
    result.attrs = dict(frame.attrs)
    return result


def rates(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """How fast counters went between two moments, by the times their kstats were taken.

    Args:
        before: As :func:`frame` gives it.
        after: The same later; other kstats may be in it.

    Returns:
        The counters of both, in the order of ``after``, what is gone at the end; indexed as they are:

        =========== ======= =====================================================================
        ``rate``     float64 per second; NaN where there is none, and ``note`` says why
        ``delta``    *       by how much it went; UInt64, or Float64 where a counter is a float
        ``seconds``  float64 between the two times; NaN if it is not in both
        ``unit``     str     of the counter and of ``delta``
        ``note``     str     empty, or one of :mod:`ktrace_nb.kstat.steps`: what was wrong
        =========== ======= =====================================================================

        ``attrs["kstat"]["notes"]`` is a dict of each note to the statistics it is about, as
        ``module:instance:name:statistic``. If both frames tell in ``attrs["kstat"]["boot_id"]`` when their
        kernel began, as :func:`ktrace_nb.kstat.read` has them do, and it began anew, nothing has a rate.

    Raises:
        ValueError: They are no such frames.
    """
    _check(before)
    _check(after)
    counters = {key for frame in (before, after) for key in frame.index[frame["counter"]]}
    then, now = _samples(before, counters), _samples(after, counters)
    keys = [*now, *(key for key in then if key not in now)]
    boots = {boot for frame in (before, after) if (boot := frame.attrs.get("kstat", {}).get("boot_id"))}
    steps = [step(then.get(key), now.get(key), same_kernel=len(boots) < 2) for key in keys]
    units = [(now.get(key) or then[key]).unit for key in keys]
    result = pd.DataFrame(
        {
            "rate": np.array([one.rate for one in steps], np.float64),
            "delta": _deltas([one.delta for one in steps]),
            "seconds": np.array([one.seconds for one in steps], np.float64),
            "unit": _texts(units),
            "note": _texts([one.note for one in steps]),
        },
        index=_index(keys),
    )
    notes: dict[str, list[str]] = {}
    for key, one in zip(keys, steps, strict=True):
        if one.note:
            notes.setdefault(one.note, []).append(":".join(map(str, key)))
    result.attrs["kstat"] = {"notes": notes}
    return result


def column(values: Sequence[Scalar | None], types: Iterable[Type]) -> Any:
    """Values in the dtype that suits their types and holds them exactly; None is a missing one."""
    kinds = set(types)
    there = [value for value in values if value is not None]
    gaps = len(there) < len(values)
    if kinds and kinds <= _TEXTS:
        return _texts(values)
    if kinds <= _WHOLE:
        signed = not kinds <= _UNSIGNED
        low, high = LIMITS[Type.INT64 if signed else Type.UINT64]
        if all(low <= value <= high for value in there if not isinstance(value, str)):
            dtype = "int64" if signed else "uint64"
            return pd.array(values, dtype=cast(Any, _NULLABLE[dtype])) if gaps else np.array(values, dtype)
    elif kinds <= _NUMBERS and all(
        isinstance(value, float) or abs(value) <= _EXACT for value in there if not isinstance(value, str)
    ):
        return np.array([np.nan if value is None else value for value in values], np.float64)
    exact = np.empty(len(values), object)
    exact[:] = values
    return exact


def _deltas(values: Sequence[Number | None]) -> Any:
    floats = any(isinstance(value, float) for value in values)
    return pd.array(values, dtype=cast(Any, "Float64" if floats else "UInt64"))


def _samples(frame: pd.DataFrame, keys: Container[Any]) -> dict[tuple[Any, ...], Sample]:
    """The rows of these keys."""
    rows = zip(frame.index, *(frame[name].tolist() for name in COLUMNS if name != "class"), strict=True)
    return {
        key: Sample(
            value=value, type=Type(type_), counter=counter, unit=unit, crtime_ns=created, snaptime_ns=taken
        )
        for key, value, type_, counter, unit, created, taken in rows
        if key in keys
    }


def _index(keys: Sequence[tuple[Any, ...]]) -> pd.MultiIndex:
    modules, instances, names, statistics = zip(*keys, strict=True) if keys else ((), (), (), ())
    levels: list[Any] = [_texts(modules), np.array(instances, np.int64), _texts(names), _texts(statistics)]
    return pd.MultiIndex.from_arrays(levels, names=LEVELS)


def _texts(values: Iterable[Any]) -> Any:
    return pd.array(list(values), dtype="str")


def _check(frame: pd.DataFrame) -> None:
    if tuple(frame.index.names) != LEVELS or not {*COLUMNS} <= {*frame.columns}:
        raise ValueError(f"no frame of kstats: wanted the index {', '.join(LEVELS)} and {', '.join(COLUMNS)}")


@pd.api.extensions.register_dataframe_accessor("kstat")
class KstatAccessor:
    """``frame.kstat``: what can be made of a frame of kstats.

    Args:
        frame: As :func:`frame` gives it.

    Raises:
        AttributeError: It is no such frame.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        try:
            _check(frame)
        except ValueError as error:
            raise AttributeError(str(error)) from None
        self._frame = frame

    def rates(self, before: pd.DataFrame) -> pd.DataFrame:
        """How fast counters went since an earlier frame, see :func:`rates`."""
        return rates(before, self._frame)

    def wide(self) -> pd.DataFrame:
        """One row per kstat, see :func:`wide`."""
        return wide(self._frame)
