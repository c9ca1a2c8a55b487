"""Two runs side by side: what was called more often, what took longer, what is new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from ktrace_nb.errors import OptionError
from ktrace_nb.results import Results
from ktrace_nb.stream.calls.sums import by_edge, by_function, by_path

By = Literal["functions", "edges", "paths"]
Per = Literal["run", "call", "second"]

MEASURES = ("count", "errors", "self_ns", "total_ns", "p50_ns")
STATUS = ("both", "only a", "only b")

_ADD = {"functions": by_function, "edges": by_edge, "paths": by_path}
_INDEX = {"functions": ["function"], "edges": ["caller", "callee"], "paths": ["path"]}
# What is divided; a median is of calls already.
_DIVIDED = {
    "run": (),
    "call": ("errors", "self_ns", "total_ns"),
    "second": ("count", "errors", "self_ns", "total_ns"),
}


def compare(
    a: Results | pd.DataFrame,
    b: Results | pd.DataFrame,
    *,
    by: By = "functions",
    per: Per = "run",
    seconds: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Compare the calls of two runs.

    Args:
        a: A session that recorded calls, its ``calls``, or its ``functions`` or ``edges``.
        b: The other one.
        by: ``"functions"``; ``"edges"``, caller and callee; or ``"paths"``, all functions
            from the outermost with ``;`` between, which shows calls made in a new way.
        per: What numbers are of: the whole ``"run"``; a ``"call"`` (errors and times are
            divided by the count); a ``"second"``.
        seconds: How long each run was, for ``"second"``. By default a session's
            ``elapsed``, and of a frame of calls the time from the first entry to the last
            return.

    Returns:
        Indexed by ``function`` (str), or ``caller`` and ``callee``, or ``path``; sorted by
        how much self time differs, most first. ``status`` (category: ``both``, ``only a``,
        ``only b``), then of each measure ``_a``, ``_b``, ``_change`` (b less a) and
        ``_ratio`` (float64, b by a, ``inf`` where a has none, NaN where neither has any):

        ============= ====================================================================
        ``count``     calls
        ``errors``    calls that returned an error
        ``self_ns``   time in the functions themselves, nanoseconds
        ``total_ns``  time with what they called, nanoseconds; of functions, of recursive
                      calls the outermost only
        ``p50_ns``    median duration of a call, nanoseconds; NaN if no return was seen,
                      or the frame has none
        ============= ====================================================================

        int64 per run, float64 where divided; what one run does not have is 0 there, and NaN
        per call and as a median. ``attrs["ktrace"]`` is a dict: ``by``, ``per``, ``seconds``,
        ``a`` and ``b`` (the runs' own), ``lost`` (``{"a": {reason: count}, "b": …}``) and
        ``complete``.

    Raises:
        OptionError: Not what calls can be compared by, or no calls.
    """
    if by not in _ADD:
        raise OptionError(f"no comparison by {by!r}", hint=f"one of {', '.join(_ADD)}")
    if per not in _DIVIDED:
        raise OptionError(f"no numbers per {per!r}", hint=f"one of {', '.join(_DIVIDED)}")
    frames = [_frame(run, by) for run in (a, b)]
    lengths = [_length(run) for run in (a, b)] if seconds is None else [*seconds]
    if per == "second" and not all(length and length > 0 for length in lengths):
        raise OptionError("how long a run was is not known", hint="seconds=(12.5, 10.0) tells")
    divisors = lengths if per == "second" else [None, None]
    sums = [_sums(frame, by) for frame in frames]
    joined = sums[0].add_suffix("_a").join(sums[1].add_suffix("_b"), how="outer")
    in_a, in_b = (joined.index.isin(one.index) for one in sums)
    result = pd.DataFrame({"status": _status(in_a, in_b)}, index=joined.index)
    for measure in MEASURES:
        sides = []
        for side, length in zip("ab", divisors, strict=True):
            values = joined[f"{measure}_{side}"]
            if measure != "p50_ns":
                values = values.fillna(0).astype("int64")
            if measure in _DIVIDED[per]:
                values = values / (joined[f"count_{side}"] if length is None else length)
            sides.append(values)
        result[f"{measure}_a"], result[f"{measure}_b"] = sides
        result[f"{measure}_change"] = sides[1] - sides[0]
        result[f"{measure}_ratio"] = sides[1].astype("float64") / sides[0].astype("float64")
    result = _sorted(result)
    result.attrs["ktrace"] = _about(frames, by, per, lengths)
    return result


def _frame(run: Results | pd.DataFrame, by: By) -> pd.DataFrame:
    """What a run's numbers are taken from: calls, or a frame already added up."""
    if isinstance(run, Results):
        if "calls" not in run.outputs.names:
            raise OptionError(f"session {run.name!r} recorded no calls", hint="--calls 'ext4_*' records them")
        return run["calls"]
    if not isinstance(run, pd.DataFrame):
        raise OptionError(f"{type(run).__name__} has no calls", hint="compare sessions or their frames")
    if _is_calls(run) or (list(run.index.names) == _INDEX[by] and {*MEASURES[:-1]} <= {*run.columns}):
        return run
    raise OptionError(f"not a frame of calls or {by}", hint="e.g. compare(a.calls, b.calls)")


def _is_calls(frame: pd.DataFrame) -> bool:
    return {"function", "parent", "depth", "duration_ns", "self_ns", "error"} <= {*frame.columns}


def _sums(frame: pd.DataFrame, by: By) -> pd.DataFrame:
    if _is_calls(frame):
        return _ADD[by](frame)
    sums = frame[frame["count"] > 0].reindex(columns=list(MEASURES))
    if isinstance(sums.index, pd.MultiIndex):
        levels = [sums.index.get_level_values(name).astype(object) for name in _INDEX["edges"]]
        return sums.set_axis(pd.MultiIndex.from_arrays(levels, names=sums.index.names))
    return sums.set_axis(sums.index.astype(object))


def _length(run: Results | pd.DataFrame) -> float | None:
    if isinstance(run, Results):
        return float(getattr(run, "elapsed", 0.0)) or _length(run["calls"])
    if not _is_calls(run) or not len(run):
        return None
    start = run["start_ns"].to_numpy(np.int64)
    ends = start + run["duration_ns"].to_numpy(np.int64, na_value=0)
    return float(ends.max() - start.min()) / 1e9


def _status(in_a: Any, in_b: Any) -> Any:
    both, only_a, only_b = STATUS
    return pd.Categorical(
        np.where(in_a & in_b, both, np.where(in_a, only_a, only_b)), categories=list(STATUS)
    )


def _sorted(result: pd.DataFrame) -> pd.DataFrame:
    # A side that is missing has no time, whatever the numbers are per.
    keys = [
        -(result[f"{measure}_b"].fillna(0) - result[f"{measure}_a"].fillna(0)).abs().to_numpy(np.float64)
        for measure in ("count", "total_ns", "self_ns")
    ]
    # The index was sorted by the join, and so are rows that nothing tells apart.
    return result.iloc[np.lexsort(keys)]


def _about(frames: list[pd.DataFrame], by: By, per: Per, lengths: Sequence[float | None]) -> dict[str, Any]:
    runs = [dict(frame.attrs.get("ktrace", {})) for frame in frames]
    lost = {side: dict(run.get("lost", {})) for side, run in zip("ab", runs, strict=True)}
    return {
        "by": by,
        "per": per,
        "seconds": tuple(lengths) if all(lengths) else None,
        "a": runs[0],
        "b": runs[1],
        "lost": lost,
        "complete": not any(lost.values()),
    }
