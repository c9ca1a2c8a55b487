"""Units of columns by their names, and quantities as people read them.

A column says in its name what it is measured in: ``wait_ns``, ``bytes``, ``cpu_share``. What is
shown has three digits and a prefix, ``1.05 ms`` or ``1.50 MiB``; whoever shows it keeps the exact
number at hand. Bytes have binary prefixes (IEC 80000-13), everything else decimal ones (SI).

Moments (``at_ns``, ``start_ns``) are not durations: their last digits are what tells them apart,
so they have no unit here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from ktrace_nb.stream.text import IDENTIFIERS, cell, cells, printable
from ktrace_nb.widgets.ticks import SECONDS, time_label

Unit: TypeAlias = Literal[
    "", "ns", "us", "ms", "s", "bytes", "kb", "share", "hz", "khz", "per_s", "bytes_per_s", "count"
]
"""``""`` is a plain number; ``kb`` are the kernel's, 1024 bytes; ``share`` is 1.0 for all of it;
``count`` is never found by a name: whoever wants SI prefixes for counts asks for it."""

MISSING = "-"

_MOMENTS = frozenset({"at", "start", "end", "started", "ended", "begin", "begun", "when", "since", "until"})
_TIMES: dict[str, Unit] = {"ns": "ns", "us": "us", "usecs": "us", "ms": "ms", "msecs": "ms", "s": "s"}
_LAST: dict[str, Unit] = {
    "bytes": "bytes",
    "size": "bytes",
    "kb": "kb",
    "kib": "kb",
    "share": "share",
    "hz": "hz",
    "khz": "khz",
}
_SI = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_IEC = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_LONGEST_S = 10_000.0
"""Above this :func:`~ktrace_nb.widgets.ticks.time_label` takes a number for something else."""


@lru_cache(maxsize=4096)
def unit_of(name: str) -> Unit:
    """The unit a column's name says: ``wait_ns``, ``bytes``, ``rx_bytes_per_s``, ``cpu_share``, ``cpu_hz``.

    ``pages``, identifiers such as ``pid``, and moments are plain numbers.
    """
    words = name.lower().split("_")
    if name in IDENTIFIERS or words[0] in _MOMENTS or (len(words) > 1 and words[-2] == "at"):
        return ""
    if len(words) > 2 and words[-2] == "per":
        what = _TIMES.get(words[-3]) or _LAST.get(words[-3], "")
        if words[-1] != "s":
            return what  # ns_per_hit: of each
        return "bytes_per_s" if what == "bytes" else "" if what else "per_s"
    if words[-1] in _TIMES:
        return _TIMES[words[-1]]
    return _LAST.get(words[-1]) or ("bytes" if words[0] == "bytes" else "")


def format_quantity(value: Any, unit: Unit) -> str:
    """Write a number to three digits with its unit: ``1.05 ms``, ``1.50 MiB``, ``12.3 %``, ``2.4k/s``.

    Args:
        value: In that unit. What is missing is ``-``; without a unit it is written exactly.
        unit: As :func:`unit_of` says it.
    """
    if not unit or isinstance(value, (str, bytes, bool, np.bool_, list, tuple)):
        return cell(value)
    if pd.isna(value):
        return MISSING
    number = float(value)
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    if unit in SECONDS:
        return _time(number * SECONDS[unit])
    if unit == "bytes":
        return _bytes(number)
    if unit == "kb":
        return _bytes(number * 1024)
    if unit == "bytes_per_s":
        return f"{_bytes(number)}/s"
    if unit == "share":
        return f"{_digits(number * 100)} %"
    if unit in ("hz", "khz"):
        return _prefixed(number * (1000 if unit == "khz" else 1), " ") + "Hz"
    return _prefixed(number, "") + ("/s" if unit == "per_s" else "")


def format_column(series: pd.Series[Any], unit: Unit | None = None) -> list[str]:
    """Write every value of a column.

    Args:
        series: Few values: each is written by itself.
        unit: By default what its name says. Without a unit integers keep every digit, and reals
            get the same number of decimals; identifiers have no separators.
    """
    name = "" if series.name is None else str(series.name)
    unit = unit_of(name) if unit is None else unit
    return format_values(series.tolist(), name, unit)


def format_values(values: Sequence[Any], name: str, unit: Unit) -> list[str]:
    """Write the values of a column of that name, see :func:`format_column`."""
    if name in IDENTIFIERS:
        return [MISSING if _is_missing(value) else printable(str(value)) for value in values]
    if unit:
        return [format_quantity(value, unit) for value in values]
    if any(isinstance(value, float) for value in values):
        reals = pd.DataFrame({"": pd.Series(list(values))})
        return [row[0] for row in cells(reals).rows]
    return [cell(value) for value in values]


def format_rate(per_s: float, unit: Unit) -> str:
    """Write how fast a column of that unit changes: ``+1.2k/s``, ``-3.4 MiB/s``; nothing if it does not.

    Args:
        per_s: Change per second, in the column's unit.
        unit: The column's.
    """
    if not per_s or not math.isfinite(per_s):
        return ""
    sign = "+" if per_s > 0 else "-"
    size = abs(per_s)
    if unit in SECONDS:
        return f"{sign}{_time(size * SECONDS[unit])}/s"
    if unit in ("bytes", "kb"):
        return f"{sign}{_bytes(size * (1024 if unit == 'kb' else 1))}/s"
    return f"{sign}{_prefixed(size, '')}/s"


def _is_missing(value: Any) -> bool:
    return not isinstance(value, (list, tuple, np.ndarray)) and bool(pd.isna(value))


def _digits(value: float) -> str:
    """Three digits, or all before the point if those are more: ``1.50``, ``15.0``, ``1,023``."""
    if not value:
        return "0"
    if abs(value) < 0.1:
        return f"{value:.3g}"
    rounded = float(f"{abs(value):.3g}")  # 9.999 is 10.0
    whole = len(str(int(rounded))) if rounded >= 1 else 0
    return f"{value:,.{max(0, 3 - whole)}f}"


def _time(seconds: float) -> str:
    return time_label(seconds) if abs(seconds) < _LONGEST_S else f"{seconds:,.0f} s"


def _bytes(number: float) -> str:
    power = 0
    # 1023.7 KiB would be written 1,024 KiB.
    while abs(number) >= (1024 if power == 0 else 1023.5) and power < len(_IEC) - 1:
        number /= 1024
        power += 1
    if power == 0 and number == int(number):
        return f"{int(number)} B"
    return f"{_digits(number)} {_IEC[power]}"


def _prefixed(number: float, gap: str) -> str:
    size, prefix = next((step for step in _SI if abs(number) >= step[0] * 0.9995), _SI[-1])
    value = number / size
    digits = f"{value:.0f}" if not prefix and value == int(value) else _digits(value)
    return f"{digits}{gap}{prefix}"


_WRITTEN = re.compile(r"([-+]?(?:\d[\d,_]*(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)\s*([a-zµμ%]*)(/s)?", re.IGNORECASE)
_TIME_WORDS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9} | {
    "m": 60 * 10**9,
    "min": 60 * 10**9,
    "h": 3600 * 10**9,
}
# As GNU coreutils reads sizes: M and MiB are 1024 * 1024, MB is 1000 * 1000 ("Block size" in its manual).
_SIZE_WORDS = {"b": 1, "bytes": 1} | {
    f"{prefix}{end}": base ** (power + 1)
    for power, prefix in enumerate("kmgtpe")
    for end, base in (("", 1024), ("ib", 1024), ("b", 1000))
}
_COUNT_WORDS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15, "e": 10**18}
_HERTZ_WORDS = {f"{prefix}hz": size for prefix, size in _COUNT_WORDS.items()} | _COUNT_WORDS


def parse_quantity(text: str, unit: Unit) -> int | float:
    """Read a number that somebody wrote, such as ``5ms``, ``1.5MiB``, ``10k`` or ``12%``.

    Args:
        text: A number alone is in the column's unit.
        unit: The column's.

    Returns:
        The number in the column's unit; an int, with every digit, if it is whole.

    Raises:
        ValueError: It is no number, or of another unit.
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        if text.strip().lower() in ("inf", "+inf", "-inf"):
            return float(text)
        raise ValueError(f"{text!r} is no number")
    number = Fraction(match[1].replace(",", "").replace("_", ""))
    word = match[2].lower()
    if word:
        words, own = _words(unit)
        if word not in words:
            known = ", ".join(dict.fromkeys(w for w in words if w and w != "μs")) or "none"
            raise ValueError(f"{match[2]!r} is no unit for it, known are {known}")
        number = number * words[word] / own
    return int(number) if number.denominator == 1 else float(number)


def _words(unit: Unit) -> tuple[dict[str, int | Fraction], int]:
    """Units that may be written, and the size of the column's own, in the same measure."""
    table: dict[str, int | Fraction]
    if unit in SECONDS:
        table = dict(_TIME_WORDS)
        return table, _TIME_WORDS[unit]
    if unit in ("bytes", "bytes_per_s", "kb"):
        table = dict(_SIZE_WORDS)
        return table, 1024 if unit == "kb" else 1
    if unit == "share":
        table = {"%": Fraction(1, 100)}
        return table, 1
    if unit in ("hz", "khz"):
        table = dict(_HERTZ_WORDS)
        return table, 1000 if unit == "khz" else 1
    table = dict(_COUNT_WORDS)
    return table, 1
