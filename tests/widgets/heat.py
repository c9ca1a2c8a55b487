"""What the tests and benchmarks of heat maps show."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pandas as pd

from ktrace_nb.widgets import PanelStatus, ViewData
from ktrace_nb.widgets.source import Action
from tests.stream.heat import Growing, bimodal, history_of

__all__ = ["Growing", "HeatSource", "bimodal", "history_of", "view_of"]


def view_of(frame: pd.DataFrame, name: str = "latency", generation: int = 0, **options: str) -> ViewData:
    return ViewData(name=name, kind="heatmap", frame=frame, generation=generation, options=options)


class HeatSource:
    """A running trace with one heat map of 40 buckets that grows whenever it is looked at.

    Args:
        columns: How many columns of a second it has at first.
        hertz: How often it grows; 0 leaves it as it is.
    """

    name = "vfs_read"

    def __init__(self, columns: int = 300, hertz: float = 20) -> None:
        self.growing = Growing()
        for _ in range(columns):
            self.growing.step()
        self.hertz = hertz
        self._started = self._grown = time.monotonic()
        self._generation = 0

    def status(self) -> PanelStatus:
        return PanelStatus(state="running", elapsed_s=time.monotonic() - self._started)

    def view_data(self) -> Sequence[ViewData]:
        now = time.monotonic()
        if self.hertz and now - self._grown >= 1 / self.hertz:
            self.growing.step(now - self._grown)
            self._grown = now
            self._generation += 1
        return [view_of(self.growing.history.frame(), generation=self._generation)]

    def request_stop(self) -> None:
        """It never ends."""

    def request(self, action: Action, argument: str = "") -> None:
        """Nothing can be asked for."""
