"""Frames as text for terminals, saved notebooks and logs.

Strings that come from a kernel are untrusted: a process may call itself
anything. Whatever could steer a terminal or reorder text is written as an
escape here, so that everything this module returns may be printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat

import numpy as np
import pandas as pd

from ktrace_nb.stream.histogram import LAST_LOG2_BUCKET, HistColumns, hist_columns, linear_bars

WIDTH = 80
"""Columns of a terminal that everything fits in unless told otherwise."""

LONGEST_STRING = 48
"""A string in a table is cut after this many characters."""

IDENTIFIERS = frozenset(
    {
        "pid",
        "tid",
        "tgid",
        "ppid",
        "pgid",
        "sid",
        "uid",
        "gid",
        "euid",
        "egid",
        "cpu",
        "fd",
        "ino",
        "inode",
        "dev",
        "port",
        "sport",
        "dport",
        "lport",
        "rport",
        "major",
        "minor",
        "irq",
        "vec",
        "mntns",
        "netns",
        "pidns",
        "cgroup",
        "stack_id",
        "skaddr",
        "sk",
        "year",
    }
)
"""Columns of these names hold names that happen to be numbers: no separators."""

_BINARY_PREFIXES = ("", "K", "M", "G", "T", "P", "E")

# Control characters (C0, DEL, C1), line and paragraph separators, marks that
# change the writing direction, the byte order mark, and lone surrogates, which
# is how Python carries bytes that are not UTF-8 and which no encoder takes.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Write everything that does not print as an escape such as ``\x1b``."""
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, see PEP 383
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def binary_number(number: int) -> str:
    """A count with a prefix where it is exact: 4096 is ``4K``, 4095 stays, 1K is 1024."""
    power = 0
    while number and number % 1024 == 0 and power < len(_BINARY_PREFIXES) - 1:
        number //= 1024
        power += 1
    return f"{number:,}{_BINARY_PREFIXES[power]}"


def bounds_label(low: int, high: int) -> str:
    """Name a bucket by its inclusive bounds.

    Below 1024 both bounds are in the bucket, ``512..1023``; from there on the
    upper one is where the next bucket begins, ``1K..2K``.
    """
    if low == high:
        return f"{low:,}"
    if high >= 1023 and low % 1024 == 0 and (high + 1) % 1024 == 0:
        return f"{binary_number(low)}..{binary_number(high + 1)}"
    return f"{low:,}..{high:,}"


@dataclass(frozen=True, slots=True)
class KeyedHist:
    """One histogram of a frame that may hold several."""

    key: str
    """``name = value`` of each key field, printable; empty if there is none."""

    frame: pd.DataFrame
    """Indexed by ``bucket`` alone."""

    total: int


def keyed_hists(frame: pd.DataFrame, most: int | None = None) -> tuple[list[KeyedHist], int]:
    """Split a histogram frame by key.

    Args:
        frame: A histogram with or without keys.
        most: Stop after so many keys; by default all.

    Returns:
        The histograms, the one that counted most first, and how many were left out.
    """
    if frame.index.nlevels == 1:
        return [KeyedHist("", frame, int(frame["count"].sum()))], 0
    names = [str(name) for name in frame.index.names[:-1]]
    group = frame.groupby(level=names, sort=False, observed=True, dropna=False).ngroup().to_numpy()
    totals = np.zeros(group.max() + 1 if len(group) else 0, dtype=np.uint64)
    np.add.at(totals, group, frame["count"].to_numpy())
    # Sorted by what is missing to the largest count: unsigned numbers have no negative.
    order = np.argsort(np.uint64(2**64 - 1) - totals, kind="stable")[:most]
    found = []
    for number in order.tolist():
        part = frame[group == number]
        fields = zip(names, part.index[0], strict=False)  # the bucket comes last
        found.append(KeyedHist(key_label(dict(fields)), part.droplevel(names), int(totals[number])))
    return found, len(totals) - len(found)


def key_label(fields: Mapping[str, object]) -> str:
    """A key by its fields: ``device = sda, cpu = 3``, printable."""
    return ", ".join(
        f"{printable(name)} = {printable(str(value)) if name in IDENTIFIERS else cell(value)}"
        for name, value in fields.items()
    )


def histogram_text(frame: pd.DataFrame, *, title: str = "", width: int = WIDTH, max_keys: int = 20) -> str:
    """Draw a histogram frame with one line per bucket.

    A linear histogram of more than 65 buckets has several in a line, and says so.

    Args:
        frame: As :func:`ktrace_nb.stream.histogram.log2_hist` returns it; one
            with keys is drawn key by key, the one that counted most first.
        title: What was measured.
        width: Columns of the terminal.
        max_keys: How many keys are drawn; the number of others is said.

    Raises:
        ValueError: The frame is not a histogram.
    """
    columns = hist_columns(frame)
    head = ", ".join(part for part in (printable(title), columns.unit) if part)
    if not len(frame):
        return f"{head}: nothing counted yet" if head else "nothing counted yet"
    blocks = []
    hists, left_out = keyed_hists(frame, max_keys)
    for hist in hists:
        name = "  ".join(part for part in (head, hist.key) if part)
        blocks.append("\n".join(_bar_lines(name, hist, columns, width)))
    if left_out:
        blocks.append(f"... {left_out:,} more not drawn")
    return "\n\n".join(blocks)


def _bar_lines(name: str, hist: KeyedHist, columns: HistColumns, width: int) -> Iterator[str]:
    labels, counts, remark = _bars(hist.frame, columns)
    numbers = [f"{count:,}" for count in counts]
    label_width = max(map(len, labels))
    number_width = max(len("count"), *map(len, numbers))
    room = max(10, width - label_width - number_width - 6)
    most = max(counts)

    yield "  ".join(part for part in (name, f"total {hist.total:,}", remark) if part)
    for label, number, count in zip(labels, numbers, counts, strict=True):
        length = count * room // most if most else 0
        # One value among millions is still one: it gets a mark of its own.
        bar = "#" * length or (":" if count else "")
        yield f"  {label:>{label_width}}  {number:>{number_width}}  {bar}".rstrip()


def _bars(frame: pd.DataFrame, columns: HistColumns) -> tuple[list[str], list[int], str]:
    """Labels and counts of the lines, and what has to be said of them."""
    most = LAST_LOG2_BUCKET + 1
    if int(frame.index[-1]) - int(frame.index[0]) < most:
        bounds = zip(frame[columns.low].tolist(), frame[columns.high].tolist(), strict=True)
        return [bounds_label(low, high) for low, high in bounds], frame["count"].tolist(), ""
    bars = linear_bars([frame], most)
    counts = bars.counts[0].tolist()
    labels = [bounds_label(*bars.bounds(bars.first + n)) for n in range(len(counts))]
    return labels, counts, f"{bars.merged:,} buckets per line"


@dataclass(frozen=True, slots=True)
class Cells:
    """A frame ready to be shown: every cell as printable text."""

    names: tuple[str, ...]
    numeric: tuple[bool, ...]
    """Numbers are aligned on the right."""

    rows: tuple[tuple[str, ...], ...]


def cells(frame: pd.DataFrame) -> Cells:
    """Format every cell of a frame, named index levels first.

    Integers keep every digit and get thousands separators, except where the
    column is one of :data:`IDENTIFIERS`; reals of one column get the same number
    of decimals.
    """
    series = [
        frame.index.get_level_values(level).to_series(index=frame.index)
        for level, name in enumerate(frame.index.names)
        if name is not None
    ]
    names = [str(name) for name in frame.index.names if name is not None]
    names += [str(name) for name in frame.columns]
    series += [frame.iloc[:, position] for position in range(len(frame.columns))]
    numeric = tuple(is_number(one.dtype) for one in series)
    columns = [
        [printable(str(value)) for value in one.tolist()] if name in IDENTIFIERS else _column(one)
        for name, one in zip(names, series, strict=True)
    ]
    rows = tuple(zip(*columns, strict=True)) if columns else ()
    return Cells(tuple(map(printable, names)), numeric, rows)


def cell(value: object) -> str:
    """Format one value that stands alone."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(cell(item) for item in value)
    if isinstance(value, bytes):
        return value.hex(" ")
    if pd.isna(value):  # type: ignore[call-overload]  # any object may be asked
        return "-"
    if isinstance(value, (float, np.floating)):
        return _real(float(value), _decimals([float(value)]))
    return printable(str(value))


def table_text(frame: pd.DataFrame, max_rows: int = 20) -> str:
    """Lay a frame out as a table; long strings are cut, further rows are counted.

    Args:
        frame: Any frame; named index levels become columns.
        max_rows: How many of its first rows are shown.
    """
    shown = cells(frame.head(max_rows))
    lines = [shown.names, *([_cut(text) for text in row] for row in shown.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [_table_line(line, widths, shown.numeric) for line in lines]
    left = len(frame) - len(shown.rows)
    if left:
        text.append(f"... {more_rows(left)}")
    elif not len(frame):
        text.append("(no rows)")
    return "\n".join(text)


def more_rows(count: int) -> str:
    """Say how many rows are not shown."""
    return f"{count:,} more row" if count == 1 else f"{count:,} more rows"


def _table_line(line: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(line, widths, numeric, strict=True)
    )
    return "  ".join(padded).rstrip()


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_STRING else text[: LONGEST_STRING - 3] + "..."


def is_number(dtype: Any) -> bool:
    """Whether a column's values are integers or reals."""
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def number_columns(frame: pd.DataFrame) -> list[str]:
    """Names of the columns that hold integers or reals, in order."""
    return [str(name) for name in frame.columns if is_number(frame[name].dtype)]


def _column(series: pd.Series[Any]) -> list[str]:
    values: list[Any] = series.tolist()
    if not pd.api.types.is_float_dtype(series.dtype):
        return [cell(value) for value in values]
    known = [float(value) for value in values if not pd.isna(value)]
    decimals = _decimals(known)
    return ["-" if pd.isna(value) else _real(value, decimals) for value in values]


def _decimals(values: Iterable[float]) -> int:
    """Decimals that suit a column of reals: none if all are whole, fewer if they are large."""
    finite = [abs(value) for value in values if np.isfinite(value)]
    if all(value.is_integer() for value in finite):
        return 0
    largest = max(finite)
    return 1 if largest >= 1000 else 2 if largest >= 10 else 3


def _real(value: SupportsFloat, decimals: int) -> str:
    number = float(value)
    if 0 < abs(number) < 10**-decimals / 2:
        return f"{number:.2g}"
    return f"{number:,.{decimals}f}"
