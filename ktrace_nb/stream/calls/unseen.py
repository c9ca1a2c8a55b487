"""When calls whose return was not seen ended at the latest."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ktrace_nb.stream.calls.paths import Numbers, parent_rows
from ktrace_nb.stream.calls.threads import track_numbers


def latest_ends(calls: pd.DataFrame) -> Numbers:
    """Bound the end of every call that has no duration.

    Such a call had ended when its thread next entered a function that is no deeper, and
    when its caller returned.

    Args:
        calls: A frame of calls, in order of entry.

    Returns:
        int64 nanoseconds of ``CLOCK_MONOTONIC``; -1 where nothing bounds it (the call may
        still last), or the call's return was seen.
    """
    ends = np.full(len(calls), -1, np.int64)
    unseen = np.flatnonzero(calls["duration_ns"].isna().to_numpy())
    if not unseen.size:
        return ends
    depth = calls["depth"].to_numpy(np.int64)
    start = calls["start_ns"].to_numpy(np.int64)
    above = parent_rows(calls)
    returned = start + calls["duration_ns"].to_numpy(np.int64, na_value=0)
    track = track_numbers(calls)
    order = np.argsort(track, kind="stable")
    place = np.empty(len(calls), np.int64)
    place[order] = np.arange(len(calls))
    # From the outermost inwards: the bound of a caller bounds what it called.
    for level in np.unique(depth[unseen]).tolist():
        rows = unseen[depth[unseen] == level]
        shallow = np.flatnonzero(depth[order] <= level)
        after = np.searchsorted(shallow, place[rows], side="right")
        following = order[shallow[np.minimum(after, len(shallow) - 1)]]
        same = (after < len(shallow)) & (track[following] == track[rows])
        by_next = np.where(same, start[following], -1)
        caller = above[rows]
        seen = ~calls["duration_ns"].isna().to_numpy()[caller]
        by_caller = np.where(caller >= 0, np.where(seen, returned[caller], ends[caller]), -1)
        both = (by_next >= 0) & (by_caller >= 0)
        ends[rows] = np.where(both, np.minimum(by_next, by_caller), np.maximum(by_next, by_caller))
    return ends
