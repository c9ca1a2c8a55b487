"""What a cell that ends with a snapshot shows."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from ktrace_nb.snapshots import Snapshot
from ktrace_nb.stream.histogram import hist_columns, is_log2, log2_bounds
from ktrace_nb.stream.text import number_columns, printable
from ktrace_nb.widgets.source import ViewData
from ktrace_nb.widgets.static import static_html, static_text


def snapshot_picture(snapshot: Snapshot) -> dict[str, str]:
    """A snapshot as ``text/html`` and ``text/plain``: its histograms and the tops of its tables."""
    title = f"{printable(snapshot.session)}, snapshot {snapshot.number} at {snapshot.taken_at:%H:%M:%S} UTC"
    views = [_view(name, frame) for name, frame in snapshot.frames.items()]
    return {
        "text/html": f"<p><b>{escape(title)}</b></p>\n{static_html(None, views)}",
        "text/plain": f"{title}\n\n{static_text(None, views)}",
    }


def _view(name: str, frame: pd.DataFrame) -> ViewData:
    if "bucket" in frame.index.names:
        options = {"scale": "log2" if _has_powers(frame) else "linear"}
        return ViewData(name=name, kind="histogram", frame=frame, generation=0, options=options)
    numbers = number_columns(frame)
    options = {"sort": numbers[0]} if numbers else {}
    return ViewData(name=name, kind="table", frame=frame, generation=0, options=options)


def _has_powers(frame: pd.DataFrame) -> bool:
    """Whether buckets are those of powers of two: a snapshot has only the frame."""
    buckets = frame.index.get_level_values("bucket").to_numpy()
    high = frame[hist_columns(frame).high].to_numpy()
    return is_log2(buckets) and np.array_equal(high, log2_bounds(buckets)[1])
