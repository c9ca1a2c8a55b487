"""Where the time goes, path by path: calls merged into one tree, drawn as an icicle or a flame.

The kernel sends the largest nodes of the tree; the page lays them out, and draws
on a canvas what is at least a pixel wide. So zooming, searching and another
measure need no answer from Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import traitlets

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets import assets
from ktrace_nb.widgets.calltree import CallTree, TreeBuilder, top_nodes
from ktrace_nb.widgets.flame_picture import said, tree_html, tree_text
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.still import StandingView, headed, module

MOST_NODES = 2500
"""As many as the page can show at once; 100 KB."""

REST = 50
"""Between two updates it rests so many times as long as the last one took."""


def flame_state(tree: CallTree, *, title: str = "") -> dict[str, Any]:
    """What the page draws: the largest nodes, as columns of little-endian numbers.

    Reals of 64 bits for what may be large: JavaScript has no other numbers.
    """
    top, merged = top_nodes(tree, MOST_NODES)
    used, function = np.unique(top.function, return_inverse=True)
    return {
        "title": printable(title),
        "foot": said(tree, merged),
        "names": [printable(top.names[number]) for number in used.tolist()],
        "function": function.astype("<i4").tobytes(),
        "parent": top.parent.astype("<i4").tobytes(),
        "count": top.count.astype("<f8").tobytes(),
        "errors": top.errors.astype("<f8").tobytes(),
        "total": top.total_ns.astype("<f8").tobytes(),
        "self": top.self_ns.astype("<f8").tobytes(),
    }


def flame(calls: pd.DataFrame, *, title: str = "") -> FlameView:
    """Show where the time of calls went: click zooms, Escape goes back, ``/`` searches.

    Args:
        calls: A frame of calls, or any part of its rows; see
            :func:`ktrace_nb.widgets.flame_tree` for the columns that are read.
        title: A heading.

    Raises:
        ValueError: A column is missing, or a label of the index occurs twice.
    """
    return FlameView(ViewData(name=title, kind="flame", frame=calls, generation=0))


class FlameView(StandingView):
    """A tree of calls on a canvas.

    Args:
        view: The calls as they stand.
        running: Whether more will come. While it does, updates leave time for other
            work: a tree of a million calls takes some 0.2 s.
    """

    _esm = module("flame_tree.js", "flame.js")
    _css = assets.read("calls.css") + assets.read("flame.css")

    tree = traitlets.Dict().tag(sync=True)

    def __init__(self, view: ViewData, running: Callable[[], bool] = lambda: False) -> None:
        self._builder = TreeBuilder()
        self._running = running
        self._skipped = False
        super().__init__(tree=self._draw(view))

    @property
    def stale(self) -> bool:
        """Whether it has to be drawn again although the frame is the same."""
        return self._skipped

    def update(self, view: ViewData) -> bool:
        """Show the frame; say whether anything had changed."""
        self._skipped = time.monotonic() < self._due and self._running()
        if self._skipped:
            return False
        new = self._draw(view)
        if new == self.tree:
            return False
        self.tree = new
        return True

    def _draw(self, view: ViewData) -> dict[str, Any]:
        begun = time.thread_time()
        self._merged = self._builder.update(view.frame)
        state = flame_state(self._merged, title=view.name)
        self._due = time.monotonic() + REST * (time.thread_time() - begun)
        return state

    def still(self) -> tuple[str, str]:
        """The picture as it stands, as HTML and as text."""
        title = str(self.tree["title"])
        return headed(title, tree_html(self._merged)), tree_text(self._merged, title=title)
