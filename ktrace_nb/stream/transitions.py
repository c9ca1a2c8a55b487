"""Transitions between states: counted, and how long each object was in a state before it left it.

A kernel tells of a transition when it happens, for instance by the tracepoint
``sock:inet_sock_set_state``: which socket, from which state, to which. The time a socket spent in
a state is the time between two events of that socket, the second of which leaves the state that
the first entered. Where the two do not fit together something was missed, or the address was
given to another socket meanwhile, and no time is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.machines import machine_of
from ktrace_nb.stream.steps import Codes, Steps, read_steps


def transitions_of(
    events: pd.DataFrame,
    *,
    by: str = "",
    at: str = "",
    machine: str = "",
) -> pd.DataFrame:
    """Count transitions, and measure the time in the state before each.

    Args:
        events: A row per event (or per kind of transition, with ``count``): the two states as
            columns or index levels ``from`` and ``to``, ``old…`` and ``new…`` or ``prev…`` and ``next…``.
        by: The column that says what changes its state; by default the first there is of
            ``skaddr``, ``sk``, ``sock``, ``tid``, ``pid``, ``task``, ``object``, ``dev``.
        at: The column with the time of an event, nanoseconds; by default ``ts``, ``at_ns`` and the like,
            or ``at_s`` in seconds. Without times, or without something that changes its state,
            transitions are counted alone.
        machine: ``tcp`` or ``task`` for their states' names, and to take no time in a state in which an
            object ends.

    Returns:
        A row per pair of states, in the order in which the pairs come up:

        ============ ======== ==============================================================
        ``from``      category the state that was left
        ``to``        category the state that was entered
        ``count``     int64    how often
        ``timed``     int64    of how many of these the time in the state before is known
        ``total_ns``  int64    that time, added up
        ``mean_ns``   float64  its mean, missing if it is not known of any
        ``p95_ns``    float64  95 % of the known times are at most this (nearest rank)
        ============ ======== ==============================================================

    Raises:
        ValueError: A column is missing, there is no such machine, or a count is negative.
    """
    steps = read_steps(events, machine_of(machine), by=by, at=at)
    rows = np.flatnonzero((steps.start >= 0) & (steps.end >= 0))
    width = max(len(steps.names), 1)
    pair = steps.start[rows] * width + steps.end[rows]
    codes, pairs = pd.factorize(pair)
    sums = sums_of(steps, rows, codes, len(pairs))
    names = pd.Index(steps.names, dtype="str")
    means = [ns / n if n else np.nan for ns, n in zip(sums.total_ns, sums.timed, strict=True)]
    known = np.empty(0, dtype=np.int64) if steps.spent is None else np.flatnonzero(steps.spent[rows] >= 0)
    percentile = np.full(len(pairs), np.nan)
    if steps.spent is not None and steps.timed is not None:
        weights = np.maximum(steps.timed[rows][known].astype(np.float64), 1)
        each = steps.spent[rows][known] / weights
        percentile = _nearest_rank(codes[known], each, weights, len(pairs))
    return pd.DataFrame(
        {
            "from": pd.Categorical.from_codes(pairs // width, categories=names),
            "to": pd.Categorical.from_codes(pairs % width, categories=names),
            "count": _integers(sums.count),
            "timed": _integers(sums.timed),
            "total_ns": _integers(sums.total_ns),
            "mean_ns": np.array(means, dtype=np.float64),
            "p95_ns": percentile,
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What groups of rows come to, exactly."""

    count: list[int]
    timed: list[int]
    total_ns: list[int]


def sums_of(steps: Steps, rows: Codes, codes: Codes, groups: int) -> Sums:
    """Add rows up.

    Args:
        steps: The rows.
        rows: Which of them.
        codes: Of each of these the group it belongs to.
        groups: How many groups there are.
    """
    if steps.count is None:
        count = np.bincount(codes, minlength=groups).tolist()
    else:
        count = exact_sums(codes, steps.count[rows], groups)
    if steps.spent is None or steps.timed is None:
        return Sums(count=count, timed=[0] * groups, total_ns=[0] * groups)
    spent = steps.spent[rows]
    known = spent >= 0
    return Sums(
        count=count,
        timed=exact_sums(codes[known], steps.timed[rows][known], groups),
        total_ns=exact_sums(codes[known], spent[known], groups),
    )


def _integers(values: list[int]) -> NDArray[Any]:
    """As int64, unless they are larger."""
    large = any(value >= 2**63 for value in values)
    return np.array(values, dtype=object if large else np.int64)


def exact_sums(codes: Codes, values: NDArray[Any], count: int) -> list[int]:
    """Sums by code, exact whatever they come to.

    Args:
        codes: Of each value the sum it belongs to.
        values: Integers that are not negative.
        count: How many sums there are.
    """
    wide = values.astype(np.uint64)
    sums = [np.zeros(count, dtype=np.uint64) for _ in range(2)]
    np.add.at(sums[0], codes, wide >> np.uint64(32))
    np.add.at(sums[1], codes, wide & np.uint64(2**32 - 1))
    return [(high << 32) + low for high, low in zip(sums[0].tolist(), sums[1].tolist(), strict=True)]


def _nearest_rank(
    codes: Codes, each: NDArray[np.float64], weights: NDArray[np.float64], groups: int
) -> NDArray[np.float64]:
    """The 95th percentile of each group: the smallest value that 95 % are not above.

    Args:
        codes: Of each value its group.
        each: The values; of a row that stands for several, their mean.
        weights: How many each stands for.
        groups: How many groups there are.
    """
    found = np.full(groups, np.nan)
    if not len(codes):
        return found
    by_time = np.argsort(each, kind="stable")
    small = codes[by_time].astype(np.int16) if groups < 2**15 else codes[by_time]
    order = by_time[np.argsort(small, kind="stable")]
    own = codes[order]
    first = np.flatnonzero(np.r_[True, own[1:] != own[:-1]])
    last = np.r_[first[1:], len(order)] - 1
    running = np.cumsum(weights[order])
    before = np.r_[0.0, running][first]
    wanted = before + 0.95 * (running[last] - before)
    # The sum of many weights is not exact: a hair less is as good.
    place = np.searchsorted(running, wanted * (1 - 1e-12), side="left")
    found[own[first]] = each[order[np.minimum(place, last)]]
    return found
