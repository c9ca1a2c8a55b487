"""Every view as a plain function of a frame, live or not.

What is given back shows itself as what a cell ends with. ``view.update(frame)`` shows
another frame of the same columns, ``view.selected`` are the rows that were picked in
it. In a program without a notebook it prints as text.
"""

from __future__ import annotations

from typing import Literal

import pandas as pd

from ktrace_nb.widgets.alone import FrameView
from ktrace_nb.widgets.board_alone import HealthBoard


def histogram(
    frame: pd.DataFrame,
    *,
    title: str = "",
    scale: Literal["log2", "linear"] = "log2",
    unit: str = "",
    label: str = "",
    big: bool = False,
) -> FrameView:
    """Show a histogram: one chart per key, over one axis.

    Args:
        frame: As :func:`ktrace_nb.stream.histogram.log2_hist` or ``linear_hist``
            returns it: indexed by ``bucket``, with or without keys before it; ``low``,
            ``high`` (or ``low_ns`` and the like) and ``count``.
        title: A heading.
        scale: Which of the two it is.
        unit: Unit of the value where the columns do not name it.
        label: What to write under the axis of values; by default the unit.
        big: Whether it is to be read from the last row of a lecture hall.

    Raises:
        ValueError: The frame is not a histogram.
    """
    options = {"scale": scale, "unit": unit, "label": label}
    return FrameView(frame, "histogram", title=title, options=options, big=big)


def heatmap(
    frame: pd.DataFrame,
    *,
    title: str = "",
    scale: Literal["log2", "linear"] = "log2",
    unit: str = "",
    big: bool = False,
) -> FrameView:
    """Show a histogram over time: time to the right, values upwards, the darker the more.

    Args:
        frame: As ``session.history("latency")`` gives it: a histogram at several
            moments, indexed by ``at_s`` (seconds) and ``bucket``, keys between them;
            ``count`` is what was counted up to then. Keys are added up.
        title: A heading.
        scale: Of the buckets.
        unit: Unit of the value where the columns do not name it.
        big: Whether it is to be read from the last row of a lecture hall.

    Raises:
        ValueError: The frame is not a histogram over time.
    """
    return FrameView(frame, "heatmap", title=title, options={"scale": scale, "unit": unit}, big=big)


def table(frame: pd.DataFrame, *, title: str = "", sort: str = "", big: bool = False) -> FrameView:
    """Show the top rows of a frame: click to sort, type to filter, bars for numbers.

    Args:
        frame: Any frame.
        title: A heading.
        sort: The column it is sorted by at first, largest on top; by default it is not.
        big: Whether it is to be read from the last row of a lecture hall.
    """
    return FrameView(frame, "table", title=title, options={"sort": sort} if sort else {}, big=big)


def series(frame: pd.DataFrame, *, title: str = "", unit: str = "", big: bool = False) -> FrameView:
    """Show numbers over time as lines, with bands from the least to the most where time is condensed.

    Args:
        frame: Indexed by ``at_s`` (seconds, ascending), a line per column of numbers; or by
            ``at_s`` and keys after it, then a line per key of the first column of numbers.
        title: A heading.
        unit: Unit of the numbers, where the columns' names do not end with it.
        big: Whether it is to be read from the last row of a lecture hall.

    Raises:
        ValueError: The frame has no ``at_s`` in its index, or no numbers.
    """
    return FrameView(frame, "series", title=title, options={"unit": unit} if unit else {}, big=big)


def timeline(frame: pd.DataFrame, *, title: str = "", lane: str = "cpu", big: bool = False) -> FrameView:
    """Show what ran when: a lane per CPU or per task, time to the right.

    Args:
        frame: A row per spell, with ``start_ns`` (of a monotonic clock), ``duration_ns`` (missing
            of what has not ended) and ``cpu`` or what else ``lane`` names; ``comm``, ``tid`` or
            ``pid``, ``function`` and ``state`` say who and what.
            :func:`ktrace_nb.stream.spells.spells_of` makes it of scheduler events;
            ``walk.calls`` is one as it stands.
        title: A heading.
        lane: ``cpu``, ``task`` (``comm`` and ``tid`` together), or a column's name.
        big: Whether it is to be read from the last row of a lecture hall.

    Raises:
        ValueError: A column is missing.
    """
    return FrameView(frame, "timeline", title=title, options={"lane": lane}, big=big)


def states(frame: pd.DataFrame, *, title: str = "", machine: str = "", big: bool = False) -> FrameView:
    """Show a state machine as it was measured: states, and transitions by how often they happened.

    Args:
        frame: A row per transition: from which state, to which, ``count`` (by default each row is
            one) and ``mean_ns`` (time spent in the first state before). The two states are columns
            or index levels called ``from`` and ``to``, ``old…`` and ``new…``, or ``prev…`` and ``next…``.
        title: A heading.
        machine: ``tcp`` for the names of TCP's states by number, and its states that were not seen.
        big: Whether it is to be read from the last row of a lecture hall.

    Raises:
        ValueError: A column is missing, or there is no such machine.
    """
    return FrameView(frame, "states", title=title, options={"machine": machine} if machine else {}, big=big)


def health_board(frame: pd.DataFrame, *, title: str = "", big: bool = False) -> FrameView:
    """Show a kernel's health: a lamp for each piece, its level in its band, rate, drift and last minutes.

    Args:
        frame: As :meth:`ktrace_nb.health.Watch.frame` gives it: indexed by ``name`` and ``part``
            (empty for the piece as a whole, whose parts are folded under it), ``level``,
            ``drift``, ``rate``, ``state`` and the other columns there. The line of the last three
            minutes is of the frames given to ``update`` before.
        title: A heading.
        big: Whether it is to be read from the last row of a lecture hall.

    Raises:
        ValueError: A column or a level of the index is missing.
    """
    return HealthBoard(frame, title=title, big=big)
