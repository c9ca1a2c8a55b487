"""Frames that change all the time, one of each kind of view: what the live benchmarks show."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd

from ktrace_nb.stream.histogram import log2_hist
from ktrace_nb.widgets.source import Action, Kind, PanelStatus, ViewData

BUCKETS = np.arange(1, 25)
MOMENTS = 300
HEAT_BUCKETS = 40
SERIES = ("reads_per_s", "writes_per_s", "busy_percent")
CPUS = 4
SPELLS = 400
TCP = ("CLOSE", "SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT")
LINES = 200


def histogram(age: int) -> pd.DataFrame:
    """24 bars."""
    bell = np.exp(-((BUCKETS - 12) ** 2) / 8) + 0.2 * np.exp(-((BUCKETS - 20) ** 2) / 4)
    return log2_hist(BUCKETS, np.floor((1000 + age) * 1000 * bell).astype(np.uint64), unit="ns")


def table(age: int) -> pd.DataFrame:
    """40 rows, of which 20 are shown; every number of half of them changes."""
    number = np.arange(40)
    moving = number % 2 == 0
    return pd.DataFrame(
        {
            "comm": _names(),
            "pid": number + 1000,
            "bytes": (number * 1_000_003 + moving * age * 4096).astype(np.uint64),
            "calls": (number * 17 + moving * age).astype(np.uint64),
            "mean_us": number * 1.5 + moving * (age % 7),
        }
    )


def heatmap(age: int) -> pd.DataFrame:
    """300 moments of 40 buckets, one moment later each time."""
    moments = age + np.arange(MOMENTS)
    buckets = np.arange(HEAT_BUCKETS)
    ridge = 20 + 8 * np.sin(moments / 20)
    grown = np.exp(-((buckets[None, :] - ridge[:, None]) ** 2) / 18) * 500
    counts = np.cumsum(np.floor(grown), axis=0).astype(np.uint64).ravel()
    index = pd.MultiIndex.from_product([moments * 0.2, buckets], names=["at_s", "bucket"])
    low = np.where(buckets > 0, 2.0 ** (buckets - 1), 0).astype(np.uint64)
    high = (2.0**buckets - 1).astype(np.uint64)
    columns = {"low_ns": np.tile(low, MOMENTS), "high_ns": np.tile(high, MOMENTS), "count": counts}
    return pd.DataFrame(columns, index=index)


def series(age: int) -> pd.DataFrame:
    """Three lines of 300 points, one point later each time."""
    moments = age + np.arange(MOMENTS)
    lines = {name: 50 + 40 * np.sin(moments / (5 + 3 * n)) for n, name in enumerate(SERIES)}
    return pd.DataFrame(lines, index=pd.Index(moments * 0.2, name="at_s"))


def timeline(age: int) -> pd.DataFrame:
    """400 spells on four CPUs, eight more each time."""
    number = np.arange(SPELLS + 8 * age)
    return pd.DataFrame(
        {
            "start_ns": number // CPUS * 1_000_000,
            "duration_ns": 200_000 + number % 7 * 100_000,
            "cpu": number % CPUS,
            "comm": _names().take(number % 40),
            "tid": 1000 + number % 40,
        }
    )


def states(age: int) -> pd.DataFrame:
    """Six states of TCP in a ring, each transition more often each time."""
    count = (np.arange(len(TCP)) + 1) * (1000 + age)
    following = [*TCP[1:], TCP[0]]
    return pd.DataFrame({"from": TCP, "to": following, "count": count, "mean_ns": count * 1000.0})


def text(age: int) -> pd.DataFrame:
    """200 lines, four more each time."""
    number = np.arange(4 * age, 4 * age + LINES)
    lines = [f'{n}: openat("/etc/passwd") = {n % 7}' for n in number]
    return pd.DataFrame({"text": pd.Series(lines, index=number, dtype=object)})


@cache
def _names() -> pd.Categorical[str]:
    return pd.Categorical([f"proc-{n:02}" for n in range(40)])


FRAMES: Mapping[Kind, Callable[[int], pd.DataFrame]] = {
    "histogram": histogram,
    "table": table,
    "heatmap": heatmap,
    "series": series,
    "timeline": timeline,
    "states": states,
    "text": text,
}
OPTIONS: Mapping[Kind, Mapping[str, str]] = {"table": {"sort": "bytes"}, "timeline": {"lane": "cpu"}}


class Live:
    """A trace that never ends, with a view of each kind that is asked for.

    The number of its hits is the time at which its frames were made, milliseconds since
    1970: what a page shows of it says how old the frames are.

    Args:
        kinds: Which views it has.
        hertz: How often its frames change.
        ages: Its frames go round after so many; 0 is never.
        steps: They change whenever they are asked for, so many times; 0 is by the clock, for ever.
    """

    name = "live"

    def __init__(self, kinds: Sequence[Kind], *, hertz: float = 20, ages: int = 0, steps: int = 0) -> None:
        self.kinds = kinds
        self.hertz = hertz
        self.ages = ages
        self.steps = steps
        self.made_ms = int(time.time() * 1000)
        self._started = time.monotonic()
        self._shown = 0

    def generation(self) -> int:
        """The number of the frames it has now."""
        if self.steps:
            return self._shown
        return int((time.monotonic() - self._started) * self.hertz)

    def status(self) -> PanelStatus:
        """Running, and the time if its frames still change; a panel asks just before the frames."""
        if not self.steps or self._shown < self.steps:
            self.made_ms = int(time.time() * 1000)
        return PanelStatus(state="running", elapsed_s=time.monotonic() - self._started, hits=self.made_ms)

    def view_data(self) -> Sequence[ViewData]:
        """Its frames, in order."""
        if self.steps and self._shown < self.steps:
            self._shown += 1
        number = self.generation()
        age = number % self.ages if self.ages else number
        return [
            ViewData(
                name=kind,
                kind=kind,
                frame=FRAMES[kind](age),
                generation=number,
                options=OPTIONS.get(kind, {}),
            )
            for kind in self.kinds
        ]

    def request_stop(self) -> None:
        """It does not stop."""

    def request(self, action: Action, argument: str = "") -> None:
        """It has no controls."""
