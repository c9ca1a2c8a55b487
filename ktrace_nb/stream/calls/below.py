"""Some calls of a frame and everything that was called from them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def with_below(calls: pd.DataFrame, chosen: Iterable[int]) -> pd.DataFrame:
    """The rows of some calls and of the calls made from them, directly or not.

    Args:
        calls: The frame ``calls``, or any part of its rows; ``parent`` is read.
        chosen: Labels of its index; those it does not have are passed over.

    Returns:
        Rows of the frame, in its order.

    Raises:
        KeyError: The frame has no column ``parent``.
    """
    parents: NDArray[np.intp] = calls.index.get_indexer(pd.Index(calls["parent"]))
    by_parent = np.argsort(parents, kind="stable")
    sorted_parents = parents[by_parent]
    taken = np.zeros(len(calls), dtype=bool)
    found = np.flatnonzero(calls.index.isin(list(chosen)))
    while len(found):
        taken[found] = True
        first = np.searchsorted(sorted_parents, found, side="left")
        count = np.searchsorted(sorted_parents, found, side="right") - first
        # The numbers from each first one on, one range behind the other.
        places = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
        below = by_parent[places]
        found = below[~taken[below]]
    return calls[taken]
