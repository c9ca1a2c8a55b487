"""What was lost, where and why.

Three parties count. The compiled programs count in a per-CPU map of the session
what they tried to send and what the kernel would not take; the kernel counts
runs it skipped; the notebook counts what arrived. For every event stream

    submitted = delivered + lost

holds exactly once the session is over; while it runs, events may be on their way.
It does not for the line of ``calls``: a call whose return was lost is there all the same.
After a reset it holds for what has been counted since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ktrace_nb.wire.bundle import LEDGER_FIELDS

REASONS = {
    "ring_full": "ring full",
    "capped": "over --max-rate",
    "map_full": "map full",
    "no_memory": "no memory for the entry",
    "busy": "map busy (update nested in another)",
    "refused": "refused by the kernel",
    "evicted": "evicted from an LRU map",
    "unread": "record of unknown size",
    "not_kept": "over the notebook's row limit",
    "overwritten": "printed line overwritten before it was read",
    "output_dropped": "bytes of the command's output",
    "missed": "probe missed (nested or no slot)",
    "recursion": "program already running",
    "skipped": "hit skipped by --max-cpu",
    "paused": "while paused",
    "faulted": "read of memory that is not there",
    "truncated": "string cut to its buffer",
    "unmatched": "return whose entry was missed",
    "no_return": "call whose return was missed",
    "too_deep": "call too deep in others to be seen",
}
"""Columns of the ledger that count losses, and what they are called."""


@dataclass
class Entry:
    """One line: an output or a probe."""

    name: str
    kind: str
    """``events``, ``calls``, ``map``, ``probe``, ``text``, ``workload`` or ``session``."""
    submitted: int = 0
    delivered: int = 0
    discarded: int = 0
    losses: dict[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Everything that should be in the frames and is not."""
        return sum(self.losses.values())


def read_counts(data: bytes, stride: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    """The ledger map's rows summed over CPUs, columns as :data:`LEDGER_FIELDS`."""
    width = len(LEDGER_FIELDS)
    table: np.ndarray[tuple[int, int], np.dtype[np.uint64]] = (
        np.frombuffer(data, "<u8").reshape(-1, stride // (8 * width), width).sum(axis=1, dtype=np.uint64)
    )
    return table


def kernel_losses(counts: Mapping[str, int], *, is_stream: bool) -> dict[str, int]:
    """Losses that a program counted for one table."""
    if is_stream:
        return {"ring_full": counts["dropped"], "capped": counts["capped"]}
    names = {"full": "map_full", "no_memory": "no_memory", "busy": "busy", "other": "refused"}
    return {reason: counts[field] for field, reason in names.items()}


def ledger_frame(entries: Sequence[Entry]) -> pd.DataFrame:
    """The ledger as a frame.

    Returns:
        One row per output and probe, one for what programs printed (``printed``),
        one for a ``-c`` command (``command``) and one for what belongs to no
        output (``session``), indexed by ``name`` (str):

        ============== ======= ================================================
        ``kind``        str     ``events``, ``map``, ``probe``, ``text``,
                                ``workload`` or ``session``
        ``submitted``   uint64  events sent, lines printed, hits; 0 for a map
        ``delivered``   uint64  events and lines that are here; runs of the program
        ``discarded``   uint64  events the program reserved and gave up: not sent
        ``lost``        uint64  the sum of the columns that follow
        *reasons*       uint64  one column per entry of :data:`REASONS`
        ============== ======= ================================================
    """
    data: dict[str, object] = {"kind": [e.kind for e in entries]}
    for name in ("submitted", "delivered", "discarded", "lost"):
        data[name] = np.array([getattr(e, name) for e in entries], np.uint64)
    for reason in REASONS:
        data[reason] = np.array([e.losses.get(reason, 0) for e in entries], np.uint64)
    return pd.DataFrame(
        data, index=pd.Index([e.name for e in entries], name="name", dtype=object).astype(str)
    )


def summary(entries: Sequence[Entry]) -> dict[str, int]:
    """Losses by what they are called, most first; empty if everything is there."""
    total: dict[str, int] = {}
    for entry in entries:
        for reason, count in entry.losses.items():
            if count:
                total[REASONS[reason]] = total.get(REASONS[reason], 0) + count
    return dict(sorted(total.items(), key=lambda item: -item[1]))
