"""Histograms over time for tests, made of numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ktrace_nb.stream.histogram import log2_hist
from ktrace_nb.stream.over_time import HeatHistory


def history_of(moments: dict[float, dict[int, int]], unit: str = "ns") -> pd.DataFrame:
    """A histogram at several moments: moment to bucket to what was counted up to then."""
    frames = {at: log2_hist(list(hist), list(hist.values()), unit=unit) for at, hist in moments.items()}
    return pd.concat(frames, names=["at_s"])


class Growing:
    """A latency of two humps, one of which comes and goes every 30 s.

    Args:
        seed: Of the random numbers.
    """

    def __init__(self, seed: int = 6) -> None:
        self.history = HeatHistory(every_s=1.0)
        self._random = np.random.default_rng(seed)
        self._counts = np.zeros(40, dtype=np.uint64)
        self._buckets = np.arange(8, 48)

    def step(self, seconds: float = 1.0) -> None:
        """Let some time pass."""
        at = self.history.at_s + seconds
        slow = 400 * max(0.0, np.sin(at / 30 * 2 * np.pi)) ** 2
        fast = 9_000 * np.exp(-((self._buckets - 13 - np.sin(at / 47)) ** 2) / 3)
        tail = slow * np.exp(-((self._buckets - 24) ** 2) / 6) + 4 * np.exp(-(self._buckets - 8) / 3)
        self._counts += self._random.poisson((fast + tail) * seconds).astype(np.uint64)
        self.history.add(at, log2_hist(self._buckets, self._counts, unit="ns"))


def bimodal(columns: int = 300) -> pd.DataFrame:
    """The same, after so many seconds."""
    growing = Growing()
    for _ in range(columns):
        growing.step()
    return growing.history.frame()
