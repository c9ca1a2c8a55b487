"""The health of a kernel as a frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ktrace_nb.health.model import Piece
from ktrace_nb.health.reading import Comparison

TOLERANCE = 1e-3
"""Drift as a share of all moves that is no cause for alarm."""

STATES = ("ok", "low", "high", "drift")
"""What a lamp shows: below or above the band, or the accounts differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A part of a piece, compared."""

    piece: Piece
    part: str
    since_start: Comparison
    since_last: Comparison

    @property
    def rate(self) -> float:
        """What was added per second since the last look."""
        seconds = self.since_last.seconds
        return self.since_last.added / seconds if seconds > 0 else 0.0

    @property
    def state(self) -> str:
        """One of :data:`STATES`; where the accounts differ the level may be anything."""
        piece, compared = self.piece, self.since_start
        if abs(compared.relative) >= TOLERANCE:
            return "drift"
        value = self.rate if piece.kind == "counter" else compared.level
        if piece.least is not None and value < piece.least:
            return "low"
        return "high" if piece.most is not None and value > piece.most else "ok"


def health_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Lay rows out.

    Returns:
        Indexed by ``name`` and ``part`` (str, empty for the piece as a whole):

        ============ ======== ==========================================================================
        ``title``    str      the piece in words
        ``unit``     str      of what numbers there are so many
        ``kind``     category ``counter`` or ``level``
        ``level``    int64    the kernel's number at the start and what was counted since
        ``source``   int64    the kernel's number now
        ``drift``    int64    ``level`` less ``source``, as little as it can be; 0 where all is well
        ``relative`` float64  the same as a share of ``moves``
        ``slack``    int64    what ``drift`` is uncertain by
        ``moves``    uint64   everything added and taken away since the start
        ``rate``     float64  what was added per second since the last frame
        ``least``    float64  the band, of the level or of a counter's rate; NaN where it is open
        ``most``     float64
        ``state``    category one of :data:`STATES`
        ============ ======== ==========================================================================
    """
    rows = list(rows)
    compared = [row.since_start for row in rows]

    def numbers(name: str, dtype: str) -> pd.Series:
        return pd.Series([getattr(one, name) for one in compared], dtype=dtype)

    def bounds(name: str) -> pd.Series:
        found = (getattr(row.piece, name) for row in rows)
        return pd.Series([float("nan") if bound is None else bound for bound in found], dtype="float64")

    columns = {
        "title": pd.Series([row.piece.title for row in rows], dtype="str"),
        "unit": pd.Series([row.piece.unit for row in rows], dtype="str"),
        "kind": pd.Categorical([row.piece.kind for row in rows], categories=["counter", "level"]),
        "level": numbers("level", "int64"),
        "source": numbers("told", "int64"),
        "drift": numbers("drift", "int64"),
        "relative": numbers("relative", "float64"),
        "slack": numbers("slack", "int64"),
        "moves": numbers("moves", "uint64"),
        "rate": pd.Series([row.rate for row in rows], dtype="float64"),
        "least": bounds("least"),
        "most": bounds("most"),
        "state": pd.Categorical([row.state for row in rows], categories=list(STATES)),
    }
    frame = pd.DataFrame(columns)
    frame.index = pd.MultiIndex.from_arrays(
        [
            pd.Index([row.piece.name for row in rows], dtype="str"),
            pd.Index([row.part for row in rows], dtype="str"),
        ],
        names=["name", "part"],
    )
    return frame
