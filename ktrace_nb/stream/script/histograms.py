"""Histograms as text, byte for byte as SystemTap prints ``@hist_log`` and ``@hist_linear``.

How it is laid out, after SystemTap ``runtime/stat-common.c``: rows run from two
buckets before the first that was hit to two behind the last, but a power-of-two
histogram without negative numbers begins at 0, and the outer buckets of a linear one
(``<low``, ``>high``) are only shown if they were hit. A row that is empty and has only
empty rows around it, two on each side, is left out; one ``~`` stands for each run of
those. Bars are at most 50 characters; beyond a count of 50 an ``@`` stands for several.
"""

from __future__ import annotations

from collections.abc import Mapping

from ktrace_nb.ir.script import HistogramShape
from ktrace_nb.stream.script.statistics import LOG_ZERO, Statistics, bucket_count, low_of

_WIDTH = 50
_AROUND = 2


def histogram_text(statistics: Statistics, shape: HistogramShape) -> str:
    """What ``print(@hist_log(x))`` puts out, an empty line at its end included.

    Raises:
        ScriptError: Nothing was added to the statistics.
    """
    statistics.check()
    return layout(statistics.buckets[shape], shape)


def layout(counts: Mapping[int, int], shape: HistogramShape) -> str:
    """The text of a histogram.

    Args:
        counts: The buckets that were hit, at least one.
        shape: What the buckets mean.
    """
    last = bucket_count(shape) - 1
    hit = [bucket for bucket, count in counts.items() if count > 0]
    first_row, last_row = _rows(min(hit), max(hit), counts, shape)
    most = max(counts.values())
    scale = -(-most // _WIDTH) if most > _WIDTH else 1
    count_width = len(str(most))
    names = {0: f"<{shape.low}", last: f">{low_of(last, shape)}"} if not shape.is_log else {}
    name_width = _name_width(first_row, last_row, shape)
    lines = [f"{'value':>{name_width}} |{'-' * _WIDTH} count\n"]
    skipped = False
    for bucket in range(first_row, last_row + 1):
        around = range(max(first_row, bucket - _AROUND), min(last_row, bucket + _AROUND) + 1)
        if not any(counts.get(neighbour, 0) for neighbour in around):
            skipped = True
            continue
        if skipped:
            lines.append(f"{'':>{name_width}} ~\n")
            skipped = False
        count = counts.get(bucket, 0)
        name = names.get(bucket) or str(low_of(bucket, shape))
        bar = "@" * (count // scale)
        lines.append(f"{name:>{name_width}} |{bar}{count:>{_WIDTH - len(bar) + 1 + count_width}}\n")
    return "".join((*lines, "\n"))


def _rows(first: int, last: int, counts: Mapping[int, int], shape: HistogramShape) -> tuple[int, int]:
    """The first and the last bucket to show."""
    end = bucket_count(shape) - 1
    for _ in range(_AROUND):
        if first > 0 and not (shape.is_log and first == LOG_ZERO):
            first -= 1
        last = min(last + 1, end)
    if not shape.is_log:
        first += first == 0 and not counts.get(0)
        last -= last == end and not counts.get(end)
    return first, last


def _name_width(first: int, last: int, shape: HistogramShape) -> int:
    if shape.is_log:
        widths = [len(str(low_of(bucket, shape))) for bucket in (first, last)]
    else:
        end = bucket_count(shape) - 1
        # One more than the name of the last row needs: SystemTap computes it so.
        behind = shape.low + shape.step * last
        widths = [len(str(shape.low)) + (first == 0), len(str(behind)) + (last == end)]
    return max(5, *widths)
