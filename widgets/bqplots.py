"""What our figures of bqplot have in common.

Three traps of bqplot 0.13: it sends int64 as int32, which wraps, and draws nothing
for uint64, so every number is float64; a misspelt trait is only warned about; and
ticks are drawn in a transition that keeps the labels it began with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bqplot.axes import Axis
from bqplot.figure import Figure
from bqplot.marks import Mark

from ktrace_nb.widgets.ticks import Tick

TICK_STYLE = {"font-size": "13px"}


def plain_figure(marks: Sequence[Mark], axes: Sequence[Axis]) -> Figure:
    """A figure as wide as the page allows, without animation, toolbar and colours of its own."""
    return Figure(
        marks=list(marks),
        axes=list(axes),
        animation_duration=0,
        display_toolbar=False,
        background_style={"fill-opacity": "0"},
        title_style={"font-size": "13px"},
        padding_y=0.0,
        max_aspect_ratio=100,
        layout={"width": "100%", "min_width": "0"},
    )


def assign_ticks(axis: Axis, ticks: tuple[Tick, ...]) -> bool:
    """Put ticks on an axis; say whether they are others than before."""
    # The labels first, in a message of their own: they stay what they are when the drawing begins.
    labels = assign(axis, tick_labels={_javascript(tick.at): tick.label for tick in ticks})
    values = assign(axis, tick_values=np.array([tick.at for tick in ticks], dtype=np.float64))
    return labels or values


def _javascript(number: float) -> str:
    """A number as JavaScript writes it, for bqplot looks labels up by that text."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e21 else repr(number)


def assign(widget: Any, **values: Any) -> bool:
    """Set the traits that differ, in one message; say whether any did."""
    different = {name: value for name, value in values.items() if not _same(getattr(widget, name), value)}
    if len(different) == 1:
        ((name, value),) = different.items()
        setattr(widget, name, value)
    elif different:
        with widget.hold_sync():
            for name, value in different.items():
                setattr(widget, name, value)
    return bool(different)


def _same(old: Any, new: Any) -> bool:
    if isinstance(new, np.ndarray):
        return isinstance(old, np.ndarray) and np.array_equal(old, new, equal_nan=new.dtype.kind == "f")
    return bool(old == new)
