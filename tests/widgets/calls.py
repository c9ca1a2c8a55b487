"""Calls without a kernel: frames and feeds as a walk would have, made of numbers."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ktrace_nb.stream.calls.feed import Feed, FrameFeed, Steps
from ktrace_nb.widgets import PanelStatus, ViewData

NAMES = (
    "vfs_read",
    "ext4_file_read_iter",
    "ext4_map_blocks",
    "ext4_es_lookup_extent",
    "ext4_readdir",
    "ext4_lookup",
    "ext4_iget",
    "jbd2_journal_start",
    "submit_bio",
    "<img src=x onerror=alert(1)>",
)
ERRORS = ("ENOENT", "EAGAIN")


def synthetic_calls(
    count: int, *, threads: int = 4, functions: int = 200, deepest: int = 12, seed: int = 1
) -> pd.DataFrame:
    """So many calls of properly nested functions by threads that interrupt each other.

    Args:
        count: Rows of the frame.
        threads: Threads they are spread over.
        functions: Different functions.
        deepest: Levels of nesting.
        seed: The same numbers give the same frame.
    """
    rng = random.Random(seed)
    names = [*NAMES, *(f"ext4_helper_{n}" for n in range(functions - len(NAMES)))]
    open_calls: list[list[int]] = [[] for _ in range(threads)]
    start, end, depth, tid, parent, function = ([0] * count for _ in range(6))
    now, thread, begun = 1_000_000_000_000, 0, 0
    while begun < count or any(open_calls):
        if rng.random() < 0.02:
            thread = rng.randrange(threads)
        now += int(rng.expovariate(1 / 900)) + 20 + (rng.random() < 0.0005) * rng.randrange(40_000_000)
        below = open_calls[thread]
        if begun < count and (not below or (rng.random() < 0.52 and len(below) < deepest)):
            start[begun], depth[begun], tid[begun] = now, len(below), 3400 + thread
            parent[begun] = below[-1] if below else -1
            function[begun] = min(int(rng.paretovariate(0.7)), functions) - 1
            below.append(begun)
            begun += 1
        elif below:
            end[below.pop()] = now
        else:
            thread = next(number for number, calls in enumerate(open_calls) if calls)
    fate = np.random.default_rng(seed).random(count)
    duration = pd.array(np.array(end) - np.array(start), dtype="Int64")
    duration[fate < 0.0002] = pd.NA
    error = [None if f <= 0.99 else ERRORS[0] if f > 0.995 else ERRORS[1] for f in fate]
    return pd.DataFrame(
        {
            "tid": np.array(tid, dtype=np.int32),
            "comm": pd.Categorical([f"ls-{n - 3400}" for n in tid]),
            "function": pd.Categorical([names[n] for n in function], categories=names),
            "depth": np.array(depth, dtype=np.int16),
            "parent": np.array(parent, dtype=np.int64),
            "start_ns": np.array(start, dtype=np.int64),
            "duration_ns": duration,
            "arguments": [f"dir=0xffff8880{n:08x}, flags={n % 7}" for n in range(count)],
            "return": [f"-{e}" if e else "0" for e in error],
            "error": pd.Categorical(error, categories=list(ERRORS)),
            "state": pd.Categorical(np.where(fate < 0.0002, "no return", "returned")),
        },
        index=pd.RangeIndex(count, name="call"),
    )


def repeated(calls: pd.DataFrame, times: int) -> pd.DataFrame:
    """A frame of calls behind itself, so many times."""
    span = int(calls["start_ns"].max() + calls["duration_ns"].max() - calls["start_ns"].min()) + 1000
    turn = np.repeat(np.arange(times), len(calls))
    long = pd.concat([calls] * times, ignore_index=True).rename_axis("call")
    long["start_ns"] += turn * span
    long["parent"] = np.where(long["parent"] < 0, -1, long["parent"] + turn * len(calls))
    return long


class GrowingFeed:
    """The first steps of a feed, more as time goes by.

    Args:
        feed: All of it.
        hertz: Steps a second.
        begun: Steps there are at once.
    """

    def __init__(self, feed: Feed, hertz: float, begun: int = 0) -> None:
        self.functions = feed.functions
        self.threads = feed.threads
        self._feed = feed
        self._hertz = hertz
        self._begun = begun
        self._since = time.monotonic()

    def count(self) -> int:
        grown = self._begun + int((time.monotonic() - self._since) * self._hertz)
        return min(grown, self._feed.count())

    def steps(self, start: int, stop: int) -> Steps:
        return self._feed.steps(start, min(stop, self.count()))

    def tell(self, call: int) -> str:
        return self._feed.tell(call)


class Walked:
    """A source with an indent view.

    Args:
        calls: The frame.
        hertz: Steps that come in a second; 0 has all of them at once, and is over.
        begun: Steps there are at once.
    """

    name = "walk"

    def __init__(self, calls: pd.DataFrame, *, hertz: float = 0, begun: int = 0) -> None:
        self.calls = calls
        self.feed: Feed = FrameFeed(calls)
        if hertz:
            self.feed = GrowingFeed(self.feed, hertz, begun)
        self.hertz = hertz
        self.total = 2 * len(calls)
        self.over = not hertz
        self.selected: Sequence[int] = []
        self.selected_at = 0.0
        self.started = time.monotonic()

    def status(self) -> PanelStatus:
        return PanelStatus(
            state="done" if self.over else "running", elapsed_s=time.monotonic() - self.started
        )

    def view_data(self) -> Sequence[ViewData]:
        return [
            ViewData(
                name="calls",
                kind="indent",
                frame=self.calls,
                feed=self.feed,
                generation=self.feed.count(),
                options={} if self.hertz else {"follow": "no"},
                selected=self.select,
            )
        ]

    def select(self, calls: Sequence[int]) -> None:
        self.selected = calls
        self.selected_at = time.time()

    def request_stop(self) -> None:
        self.over = True

    def request(self, action: str, argument: str = "") -> None:
        """Nothing can be asked for."""
