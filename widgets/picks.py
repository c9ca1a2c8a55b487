"""Rows that are picked in a chart, by what of it was clicked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.widgets.chart import Picture, buckets_of
from ktrace_nb.widgets.series_picture import SeriesPicture
from ktrace_nb.widgets.source import ViewData

How: TypeAlias = Literal["only", "add", "drop"]
"""What was clicked is all that is picked from now on, or is picked too, or no more."""

Part: TypeAlias = tuple[str, str]
"""A chart by its title, and a part of it by its label; empty for all of it."""

_MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Change:
    """What a page asks for. To hear it twice means what it means once."""

    how: How
    parts: frozenset[Part]
    """Of a chart, by its title, a part, by its label."""

    @classmethod
    def read(cls, message: Mapping[str, Any]) -> Change | None:
        """Take it out of a message of the page; None if there is none in it."""
        how, parts = message.get("how"), message.get("parts")
        if how not in ("only", "add", "drop") or not isinstance(parts, list) or len(parts) > _MOST_PARTS:
            return None
        pairs = [tuple(map(str, part)) for part in parts if isinstance(part, list) and len(part) == 2]
        return cls(how, frozenset(pairs))  # type: ignore[arg-type]  # of two each, as was asked


def picked_labels(
    view: ViewData, rows: NDArray[np.intp], how: How
) -> tuple[list[Any], NDArray[np.bool_] | None]:
    """What is picked after a change.

    Args:
        view: What is shown, with what is picked in it now.
        rows: Positions of the rows that were clicked.
        how: What becomes of them.

    Returns:
        The labels of the rows that are picked then, and of each row whether it is; None if none is.
    """
    marks = np.zeros(len(view.frame), dtype=bool)
    if how != "only" and view.marks is not None:
        marks |= view.marks
    marks[rows] = how != "drop"
    labels = view.frame.index[marks].tolist()
    return labels, marks if labels else None


def rows_of_bars(frame: pd.DataFrame, picture: Picture, bars: Collection[Part]) -> NDArray[np.intp]:
    """Find the rows of a frame that some bars are made of.

    Args:
        frame: The frame the picture is of.
        picture: Its layout.
        bars: Each by its chart's title and its label; those that are not there are passed over.

    Returns:
        Positions in the frame, ascending.
    """
    if picture.axis is None:
        return np.empty(0, dtype=np.intp)
    buckets = buckets_of(frame)
    found = []
    for chart in picture.charts:
        wanted = {label for title, label in bars if title == chart.title}
        bar = [place for place, label in enumerate(picture.labels) if label in wanted]
        if bar:
            found.append(chart.rows[np.isin(picture.axis.bars_of(buckets[chart.rows]), bar)])
    return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.intp)


def picked_bars(
    frame: pd.DataFrame, picture: Picture, marks: NDArray[np.bool_] | None
) -> tuple[tuple[int, ...], ...]:
    """Per chart the numbers of the bars that have a picked row.

    Args:
        frame: The frame the picture is of.
        picture: Its layout.
        marks: Of each row whether it is picked; None if none is.
    """
    axis = picture.axis
    if marks is None or axis is None:
        return tuple(() for _ in picture.charts)
    buckets = buckets_of(frame)
    rows = (chart.rows[marks[chart.rows]] for chart in picture.charts)
    return tuple(tuple(np.unique(axis.bars_of(buckets[some])).tolist()) for some in rows)


def rows_of_lines(picture: SeriesPicture, parts: Collection[Part]) -> NDArray[np.intp]:
    """Positions of the rows of some lines, ascending; each line is named by its title."""
    wanted = {title for title, _ in parts}
    found = [line.rows for line in picture.lines if line.title in wanted]
    return np.sort(np.concatenate(found)) if found and picture.keyed else np.empty(0, dtype=np.intp)


def picked_lines(picture: SeriesPicture, marks: NDArray[np.bool_] | None) -> tuple[bool, ...] | None:
    """Of each line whether a row of it is picked; None if nothing is, or lines are columns."""
    if marks is None or not picture.keyed:
        return None
    return tuple(bool(marks[line.rows].any()) for line in picture.lines)
