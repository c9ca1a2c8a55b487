"""A frame on display for itself: what ``histogram(df)`` and its like give.

It is a panel without a head, so it is live, keeps the pace of the page and leaves
a picture as every panel does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.widgets.panel import Panel
from ktrace_nb.widgets.source import Action, Kind, PanelStatus, ViewData, Window

_TIMED: tuple[Kind, ...] = ("heatmap", "series", "timeline")
"""Kinds with an axis of time; of others a window says that the frame was cut to it."""

_LIVE_S = 1.0
"""A frame that was replaced so short a time ago is taken to be replaced again."""


class FrameView:
    """A frame as one view; a cell that ends with it shows it.

    Args:
        frame: What to show; which columns are read depends on the kind.
        kind: As what.
        title: A heading.
        options: As :attr:`ktrace_nb.widgets.source.ViewData.options` says.
        big: Whether it is to be read from the last row of a lecture hall.

    Raises:
        ValueError: The frame is not what the kind asks for.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        kind: Kind,
        *,
        title: str = "",
        options: Mapping[str, str] | None = None,
        big: bool = False,
    ) -> None:
        self._source = _FrameSource(frame, kind, title, options or {})
        self._panel = Panel(self._source, headed=False, big=big)
        self._source.changed = self._panel.refresh
        self._panel.picture()  # what cannot be shown is told here, where the user sees it

    def update(self, frame: pd.DataFrame) -> None:
        """Show another frame of the same columns; any thread, as often as you like.

        A page that draws it is sent at most five a second, the last one always.

        Raises:
            ValueError: The frame is not what the kind asks for.
        """
        self._source.replace(frame)
        self._panel.refresh()

    @property
    def frame(self) -> pd.DataFrame:
        """What is shown."""
        return self._source.frame

    @property
    def selected(self) -> pd.DataFrame:
        """The rows of the frame that were picked in the view; none if none was."""
        frame = self._source.frame
        return frame.loc[self._source.marks(frame)]

    @property
    def window(self) -> Window | None:
        """The window of time that was picked in the view, seconds on its axis; None for all."""
        return self._source.window

    @window.setter
    def window(self, window: Window | None) -> None:
        self._source.set_window(window)

    def select(self, labels: Sequence[Any]) -> None:
        """Pick rows by the labels of the frame's index, as a click in the view does."""
        self._source.pick(labels)

    def close(self) -> None:
        """Take it out of the page and of the kernel."""
        self._panel.close()

    def _ipython_display_(self, **kwargs: Any) -> None:
        from ktrace_nb.widgets.display import show_panel

        show_panel(self._panel)

    def __repr__(self) -> str:
        return f"<view of {len(self.frame):,} rows>"


class _FrameSource:
    """A source whose one view is a frame."""

    name = ""

    def __init__(self, frame: pd.DataFrame, kind: Kind, title: str, options: Mapping[str, str]) -> None:
        self.frame = frame
        self.window: Window | None = None
        self.changed: Callable[[], None] = lambda: None
        self._kind = kind
        self._title = title
        self._options = options
        self._labels: tuple[Any, ...] = ()
        self._marked: tuple[pd.Index, tuple[Any, ...], NDArray[np.bool_]] | None = None
        """The index and the labels for which marks were looked up last, and the marks."""

        self._generation = 0
        self._replaced = float("-inf")

    def replace(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self._replaced = time.monotonic()
        self._generation += 1

    def pick(self, labels: Sequence[Any]) -> None:
        self._labels = tuple(labels)
        self._generation += 1
        self.changed()

    def set_window(self, window: Window | None) -> None:
        self.window = window
        self._generation += 1
        self.changed()

    def marks(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        # A panel asks several times a second, and a large index takes long. Each is another
        # object when it changes, also that of a frame that grew where it is.
        index, labels, marked = frame.index, self._labels, self._marked
        if marked is None or marked[0] is not index or marked[1] is not labels:
            marked = index, labels, np.asarray(index.isin(list(labels)))
            self._marked = marked
        return marked[2]

    def status(self) -> PanelStatus:
        running = time.monotonic() - self._replaced < _LIVE_S
        return PanelStatus(state="running" if running else "done", elapsed_s=0.0)

    def view_data(self) -> Sequence[ViewData]:
        # The generation first: what changes meanwhile is drawn at the next look.
        generation = self._generation
        frame = self.frame
        return [
            ViewData(
                name=self._title,
                kind=self._kind,
                frame=frame,
                generation=generation,
                options=self._options,
                pick=self.pick,
                marks=self.marks(frame) if self._labels else None,
                window=self.window if self._kind in _TIMED else None,
                set_window=self.set_window,
            )
        ]

    def request_stop(self) -> None:
        """Nothing runs."""

    def request(self, action: Action, argument: str = "") -> None:
        """Nothing can be asked for."""
