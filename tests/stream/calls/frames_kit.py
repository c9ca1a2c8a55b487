"""Frames of calls made by hand, and a big one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

DTYPES = {
    "tid": "int32",
    "pid": "Int32",
    "comm": "category",
    "cpu": "int16",
    "function": "category",
    "depth": "int16",
    "parent": "int64",
    "start_ns": "int64",
    "duration_ns": "Int64",
    "self_ns": "Int64",
    "arguments": "object",
    "return": "object",
    "value": "Int64",
    "error": "category",
    "state": "category",
}


@dataclass(frozen=True)
class C:
    """A call from ``start`` to ``end`` (None: its return was not seen), and those made from it."""

    function: str
    start: int
    end: int | None
    inner: Sequence[C] = ()
    tid: int = 100
    pid: int | None = 100
    comm: str = "ls"
    cpu: int = 0
    arguments: str = ""
    result: str | None = "0"
    error: str | None = None
    state: str = ""
    own: int | None = None
    """Self time where it is not what the times of the inner calls say."""


def calls_frame(*outermost: C) -> pd.DataFrame:
    """The frame of some calls, with the columns and dtypes of ``session.calls``."""
    found: list[tuple[C, int, int]] = []

    def visit(call: C, depth: int, parent: int) -> None:
        at = len(found)
        found.append((call, depth, parent))
        for inner in call.inner:
            visit(inner, depth + 1, at)

    for call in outermost:
        visit(call, 0, -1)
    # In order of entry: stable, so that a caller stays in front of what it calls.
    order = sorted(range(len(found)), key=lambda at: found[at][0].start)
    place = {at: row for row, at in enumerate(order)}
    rows = []
    for at in order:
        call, depth, parent = found[at]
        duration = None if call.end is None else call.end - call.start
        inner = sum(c.end - c.start for c in call.inner if c.end is not None)
        own = call.own if call.own is not None or duration is None else duration - inner
        rows.append(
            {
                "tid": call.tid,
                "pid": call.pid,
                "comm": call.comm,
                "cpu": call.cpu,
                "function": call.function,
                "depth": depth,
                "parent": place.get(parent, -1),
                "start_ns": call.start,
                "duration_ns": duration,
                "self_ns": own,
                "arguments": call.arguments,
                "return": call.result if call.end is not None else None,
                "value": None,
                "error": call.error,
                "state": call.state or ("open" if call.end is None else "returned"),
            }
        )
    frame = pd.DataFrame(rows, columns=list(DTYPES)).astype(DTYPES)
    frame.index = pd.RangeIndex(len(frame), name="call")
    return frame


def _named(codes: Any, names: list[str]) -> Any:
    return pd.Categorical.from_codes(codes.tolist(), pd.Index(names))


def many_calls(count: int) -> pd.DataFrame:
    """So many calls: a tree of ten calls, five deep, over and over, on four threads in turn."""
    depth = np.array([0, 1, 2, 2, 3, 4, 1, 2, 0, 1])
    parent = np.array([-1, 0, 1, 1, 3, 4, 0, 6, -1, 8])
    start = np.array([0, 10, 20, 110, 120, 130, 400, 410, 1000, 1100])
    duration = np.array([900, 300, 50, 190, 170, 100, 400, 300, 500, 333])
    own = np.array([200, 60, 50, 20, 70, 100, 100, 300, 167, 333])
    turns, at = np.divmod(np.arange(count), 10)
    return pd.DataFrame(
        {
            "tid": (1000 + turns % 4).astype("int32"),
            "pid": pd.array(1000 + turns % 4, dtype="Int32"),
            "comm": _named(turns % 4, [f"worker {n}" for n in range(4)]),
            "cpu": (turns % 4).astype("int16"),
            "function": _named(at, [f"ext4_function_{n}" for n in range(10)]),
            "depth": depth[at].astype("int16"),
            "parent": np.where(parent[at] < 0, -1, turns * 10 + parent[at]),
            "start_ns": 3_600_000_000_000 + turns * 2000 + start[at],
            "duration_ns": pd.array(duration[at], dtype="Int64"),
            "self_ns": pd.array(own[at], dtype="Int64"),
            "arguments": np.array([f"inode=0xffff8880{n:08x}, flags=0" for n in range(10)], object)[at],
            "return": np.where(at == 5, "-ENOENT", "0").astype(object),
            "value": pd.array(np.where(at == 5, -2, 0), dtype="Int64"),
            "error": _named(np.where(at == 5, 0, -1), ["ENOENT"]),
            "state": _named(np.zeros(count, np.int8), ["returned", "open"]),
        },
        index=pd.RangeIndex(count, name="call"),
    )
