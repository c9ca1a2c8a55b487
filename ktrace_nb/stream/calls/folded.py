"""Folded stacks: a line per call path, what FlameGraph, speedscope and inferno read.

``comm;outermost;...;innermost 1234``: frames with ``;`` between, a space, a whole number.
Source of the format: the header of ``flamegraph.pl``, https://github.com/brendangregg/FlameGraph.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd

from ktrace_nb.stream.calls.durations import summed
from ktrace_nb.stream.calls.paths import call_paths

Weight = Literal["ns", "count"]


def folded(calls: pd.DataFrame, *, weight: Weight = "ns") -> Iterator[str]:
    """Fold calls into one line per path.

    Args:
        calls: A frame of calls.
        weight: ``"ns"``: time spent in the path's last function itself, nanoseconds, so that
            the widths of a flame graph are total times; ``"count"``: how many calls.

    Yields:
        Lines with their line end, sorted; a path of weight 0 has none.
    """
    paths = call_paths(calls, commands=True)
    own = 1 if weight == "count" else np.maximum(calls["self_ns"].to_numpy(np.int64, na_value=0), 0)
    total = summed(own, paths.of_call, len(paths))
    texts = paths.written([frame_name(name) for name in paths.labels])
    yield from sorted(
        f"{text} {number}\n" for text, number in zip(texts, total.tolist(), strict=True) if number
    )


def frame_name(name: str) -> str:
    """A name that cannot be taken for two frames or two lines.

    Threads name themselves: what has a meaning in the format, or is not to be printed, becomes ``_``.
    """
    clean = "".join("_" if char == ";" or not char.isprintable() else char for char in name)
    return clean.strip() or "_"
