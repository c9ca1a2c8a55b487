"""Kstats on display: a table of statistics with their rates, read while somebody looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.errors import KTraceError
from ktrace_nb.kstat.frames import LEVELS, frame, rates
from ktrace_nb.kstat.model import Kstat
from ktrace_nb.kstat.select import Selection
from ktrace_nb.widgets import show
from ktrace_nb.widgets.source import Action, PanelStatus, ViewData


class KstatBrowser:
    """A live table of kstats: displays itself where a cell ends with it.

    It reads when a page shows it, at most once an interval, and never otherwise.

    Args:
        target: What the kernel's machine is called.
        read: Gives the kstats that a selection wants.
        selection: Which.
        interval_s: Seconds from one reading to the next, at least.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        target: str,
        read: Callable[[Selection], list[Kstat]],
        selection: Selection,
        *,
        interval_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = f"kstat {target}"
        self.frame = frame([])
        """What was read last, as :func:`ktrace_nb.kstat.frames.frame` lays it out."""

        self._read = read
        self._selection = selection
        self._interval_s = interval_s
        self._clock = clock
        self._begun = clock()
        self._read_at = float("-inf")
        self._over_at: float | None = None
        self._problem = ""
        self._shown = _shown(self.frame, None)
        self._readings = 0
        self._picks = 0
        self._picked: tuple[Any, ...] = ()

    @property
    def selected(self) -> pd.DataFrame:
        """The rows that are picked in the table, as they were read last; empty if none are."""
        return self.frame[self.frame.index.isin(self._picked)]

    def stop(self) -> None:
        """Read no more; what was read last stays."""
        self.request_stop()

    def _ipython_display_(self) -> None:
        show(self)

    def status(self) -> PanelStatus:
        """Running until it is stopped, or the target is lost."""
        ended = self._over_at
        return PanelStatus(
            state="running" if ended is None else "failed" if self._problem else "done",
            elapsed_s=(self._clock() if ended is None else ended) - self._begun,
            message=self._problem or _told(self.frame),
        )

    def view_data(self) -> Sequence[ViewData]:
        """The table, read anew if it is time to."""
        if self._over_at is None and self._clock() - self._read_at >= self._interval_s:
            self._renew()
        return [
            ViewData(
                name="statistics",
                kind="table",
                frame=self._shown,
                generation=(self._readings, self._picks),
                options={"sort": "rate"},
                pick=self._pick,
                marks=self._marks(),
            )
        ]

    def request_stop(self) -> None:
        """Read no more."""
        if self._over_at is None:
            self._over_at = self._clock()

    def request(self, action: Action, argument: str = "") -> None:
        """It has no other controls."""

    def _renew(self) -> None:
        self._read_at = self._clock()
        before = self.frame if self._readings else None
        try:
            self.frame = frame(self._selection.narrow(self._read(self._selection)))
        except KTraceError as error:
            self._problem = error.message
            self.request_stop()
            return
        self._shown = _shown(self.frame, before)
        self._readings += 1

    def _pick(self, labels: Sequence[Any]) -> None:
        self._picked = tuple(labels)
        self._picks += 1

    def _marks(self) -> NDArray[np.bool_] | None:
        return np.asarray(self._shown.index.isin(self._picked)) if self._picked else None


def _shown(now: pd.DataFrame, before: pd.DataFrame | None) -> pd.DataFrame:
    """Values and, of counters, how fast they went since the frame before: ``rate``, float64, per second."""
    rate = pd.Series(np.nan, index=now.index, dtype=np.float64)
    if before is not None and len(now):
        rate = rates(before, now)["rate"].reindex(now.index)
    shown = now[["value"]].assign(rate=rate.to_numpy(), unit=now["unit"], **{"class": now["class"]})
    assert tuple(shown.index.names) == LEVELS
    return shown


def _told(now: pd.DataFrame) -> str:
    errors: dict[str, str] = now.attrs["kstat"]["errors"]
    if not errors:
        return ""
    name, why = next(iter(errors.items()))
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    return f"cannot be read: {name}: {why}{more}"
