"""The rates of the last minutes, kept beside the frames they were told by."""

from __future__ import annotations

import math
from collections import deque

import pandas as pd

from ktrace_nb.widgets.board_rows import Label, labels_of

SECONDS = 180.0
"""How far a board looks back."""

MOMENTS = 400
"""So many at most, however often frames come."""


class Past:
    """Gives each frame of health the rates of the frames before it. Not thread-safe."""

    def __init__(self) -> None:
        self._moments: deque[tuple[float, dict[Label, float | None]]] = deque(maxlen=MOMENTS)

    def with_past(self, frame: pd.DataFrame, at_s: float) -> pd.DataFrame:
        """A frame with its past.

        Args:
            frame: Of health, with a column ``rate``: per second, since the frame before.
            at_s: When it was made, seconds of a clock that never goes back.

        Returns:
            The same with ``attrs["past"]``: ``at_s``, a list of moments, and ``rates``, by name and
            part a list of rates at these moments, None where there was none.
        """
        labels = labels_of(frame)
        rates = {label: _digits(rate) for label, rate in zip(labels, frame["rate"].tolist(), strict=True)}
        self._moments.append((round(at_s, 2), rates))
        while self._moments[0][0] < at_s - SECONDS:
            self._moments.popleft()
        by_name: dict[str, dict[str, list[float | None]]] = {}
        for name, part in labels:
            told = [moment.get((name, part)) for _, moment in self._moments]
            by_name.setdefault(name, {})[part] = told
        shown = frame.copy(deep=False)
        shown.attrs["past"] = {"at_s": [at for at, _ in self._moments], "rates": by_name}
        return shown


def _digits(rate: float) -> float | None:
    """As many as a line of twenty pixels can show."""
    return float(f"{rate:.4g}") if math.isfinite(rate) else None
