"""A health board on display for itself: what ``health_board(frame)`` gives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pandas as pd

from ktrace_nb.widgets.alone import FrameView
from ktrace_nb.widgets.board_past import Past
from ktrace_nb.widgets.board_rows import board_of


class HealthBoard(FrameView):
    """A frame of health on display, with the rates of the frames that it showed before.

    Args:
        frame: As :func:`ktrace_nb.widgets.health_board` says.
        title: A heading.
        big: Whether it is to be read from the last row of a lecture hall.
        clock: Seconds, monotonic.

    Raises:
        ValueError: The frame is none of health.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        *,
        title: str = "",
        big: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        board_of(frame)
        self._clock = clock
        self._past = Past()
        self._remembering = threading.Lock()
        super().__init__(self._past.with_past(frame, clock()), "health", title=title, big=big)

    def update(self, frame: pd.DataFrame) -> None:
        """Show another frame; any thread. One that equals the last is not shown again.

        Raises:
            ValueError: The frame is none of health.
        """
        board_of(frame)
        with self._remembering:
            shown = self._past.with_past(frame, self._clock())
            if not frame.equals(self.frame):
                super().update(shown)
