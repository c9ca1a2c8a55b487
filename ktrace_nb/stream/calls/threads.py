"""Which track of a trace viewer a call is drawn on.

A viewer has a track per thread and knows threads by number. The idle threads, one per CPU,
all have the number 0 and run at the same time, so each gets a number above every real one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.calls.paths import Numbers, codes
from ktrace_nb.stream.calls.records import PID_MAX_LIMIT

IDLE_PID = PID_MAX_LIMIT
"""Stands for the process of the idle threads; CPU n's is this plus 1 plus n."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """The tracks of some calls."""

    pid: Numbers
    """Of each call; int64."""
    tid: Numbers
    """Of each call; int64."""
    comm: NDArray[np.object_]
    """Of each call, the name its track has."""
    processes: dict[int, str]
    """Names by pid."""
    threads: dict[tuple[int, int], str]
    """Names by pid and tid."""


def tracks_of(calls: pd.DataFrame) -> Tracks:
    """Give every call its track.

    A thread of an unknown process is drawn as a process of its own number. A thread that
    changed its name, by ``exec`` for one, is called by the last; a process by its first thread.

    Args:
        calls: A frame of calls, in order of entry.
    """
    real = calls["tid"].to_numpy(np.int64)
    idle = real == 0
    tid = np.where(idle, IDLE_PID + 1 + calls["cpu"].to_numpy(np.int64), real)
    known = calls["pid"].notna().to_numpy()
    pid = np.where(known, calls["pid"].to_numpy(np.int64, na_value=0), tid)
    pid = np.where(idle, IDLE_PID, pid)
    keys = (pid << 32) | tid
    found, at = np.unique(keys, return_inverse=True)
    last = np.zeros(len(found), np.int64)
    np.maximum.at(last, at, np.arange(len(calls)))
    comms, comm = codes(calls["comm"])
    names = np.array([comms[n] for n in comm[last].tolist()], dtype=object)
    threads = {_both(key): name for key, name in zip(found.tolist(), names.tolist(), strict=True)}
    processes: dict[int, str] = {}
    for (process, thread), name in threads.items():
        if process == thread or process not in processes:
            processes[process] = name
    if idle.any():
        processes[IDLE_PID] = "idle"
    return Tracks(pid, tid, names[at], processes, threads)


def _both(key: int) -> tuple[int, int]:
    return key >> 32, key & 0xFFFFFFFF


def track_numbers(calls: pd.DataFrame) -> NDArray[Any]:
    """Of each call a number that calls of one track share, and no others; int64."""
    real = calls["tid"].to_numpy(np.int64)
    return np.where(real == 0, -1 - calls["cpu"].to_numpy(np.int64), real)
