"""Where the time goes, path by path: calls merged into one tree, drawn as an icicle or a flame.

The kernel sends the largest nodes of the tree; the page lays them out, and draws
on a canvas what is at least a pixel wide. So zooming, searching and another
measure need no answer from Python.
"""

from __future__ import annotations

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
from ktrace_nb.widgets.still import DearView, headed, module

MOST_NODES = 2500
"""As many as the page can show at once; 100 KB."""


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


class FlameView(DearView):
    """A tree of calls on a canvas.

    Args:
        view: The calls as they stand.
        running: Whether more will come.
    """

    _esm = module("shortcuts.js", "flame_tree.js", "flame.js")
    _css = assets.read("calls.css") + assets.read("flame.css")

    shown = "tree"
    tree = traitlets.Dict().tag(sync=True)

    def __init__(self, view: ViewData, running: Callable[[], bool] = lambda: False) -> None:
        self._builder = TreeBuilder()
        super().__init__(view, running)

    def draw(self, view: ViewData) -> dict[str, Any]:
        """The nodes that the page lays out."""
        self._merged = self._builder.update(view.frame)
        return flame_state(self._merged, title=view.name)

    def still(self) -> tuple[str, str]:
        """The picture as it stands, as HTML and as text."""
        title = str(self.tree["title"])
        return headed(title, tree_html(self._merged)), tree_text(self._merged, title=title)
