"""The keys of a frame's rows, by the codes that its index has anyway.

A frame may have a million keys of which a few are drawn: none is made into a Python
object that nobody looks at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def number_keys(index: pd.MultiIndex, levels: Sequence[int]) -> tuple[NDArray[np.intp], int]:
    """Number the distinct keys of an index from 0, in order of appearance.

    Args:
        index: The rows' labels.
        levels: The levels that make up the key, one at least.

    Returns:
        The number of each row's key, and how many there are.
    """
    group = np.zeros(len(index), dtype=np.int64)
    for level in levels:
        size = len(index.levels[level]) + 1  # and one for what is missing
        if group.size and (int(group.max()) + 1) * size > np.iinfo(np.int64).max:
            group = pd.factorize(group)[0].astype(np.int64)
        group = group * size + np.asarray(index.codes[level], dtype=np.int64) + 1
    numbers, keys = pd.factorize(group)
    return numbers, len(keys)
