"""Comparing a column of numbers with one number, exactly.

A number with a fraction is not compared with integers as a float, which above 2**53 would make
equal what is not: ``x > 5.5`` is ``x > 5`` of integers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare_numbers(series: pd.Series[Any], sign: str, number: Any) -> NDArray[np.bool_]:
    """Compare each value with a number; what is missing satisfies nothing.

    Args:
        series: Numbers, moments or durations.
        sign: One of :data:`COMPARISONS`.
        number: What to compare with: an int of any size, a float, a Timestamp or a Timedelta.
    """
    kind = getattr(series.dtype, "kind", "O")
    known = series.notna().to_numpy()
    if kind in "iu" and isinstance(number, (int, float)):
        if isinstance(number, float):
            if math.isinf(number):
                holds = sign in (("<", "<=", "!=") if number > 0 else (">", ">=", "!="))
                return known & holds
            if sign in ("=", "!="):  # a whole number comes as an int
                return known & (sign == "!=")
            number = math.floor(number) if sign in (">", "<=") else math.ceil(number)
        low, high = (-(2**63), 2**63 - 1) if kind == "i" else (0, 2**64 - 1)
        if not low <= number <= high:
            return known & bool(COMPARISONS[sign](0, number))
    found = COMPARISONS[sign](series.array, number)
    if not isinstance(found, np.ndarray):
        found = pd.Series(found).fillna(False).to_numpy(dtype=bool)
    return known & np.asarray(found, dtype=np.bool_)
