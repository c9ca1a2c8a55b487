"""Where the ticks of an axis go and what they say.

Bar heights are counts from 0. The value axis of a power-of-two histogram is
logarithmic, base 2: bucket ``n`` spans positions ``n - 1`` to ``n``, so that a
value ``v`` stands at ``log2(v)``; bucket 0 spans -1 to 0. The value axis of a
linear histogram counts bars from its left end, because bucket numbers may need
more digits than a float has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ktrace_nb.stream.histogram import nice_step
from ktrace_nb.stream.text import binary_number

SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "msecs": 1e-3, "usecs": 1e-6}
"""Units of time a histogram may carry, in seconds."""

_TIME_STEPS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_DECIMAL_STEPS = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick of an axis."""

    at: float
    label: str


def count_label(number: float, *, largest: float | None = None) -> str:
    """A count, exact up to 99,999, then with a decimal prefix: ``150k`` is 150,000.

    Args:
        number: The count.
        largest: The largest count of the axis, which decides for all its labels;
            by default the number itself.
    """
    largest = abs(number if largest is None else largest)
    if largest < 100_000:
        return f"{number:,.12g}"
    size, prefix = next(step for step in _DECIMAL_STEPS if largest >= step[0])
    return f"{number / size:.4g}{prefix}" if number else "0"


def time_label(seconds: float) -> str:
    """A duration to three digits in the unit that suits it, e.g. ``1.05 ms``."""
    if seconds == 0:
        return "0"
    size, unit = next((step for step in _TIME_STEPS if abs(seconds) >= step[0] * 0.9995), _TIME_STEPS[-1])
    value = seconds / size
    if abs(value) >= 10_000:  # far beyond any trace: a value that was not a time
        return f"{value:.3g} {unit}".replace("e+0", "e").replace("e+", "e")
    digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{digits} {unit}"


def window_label(window: tuple[float, float]) -> str:
    """A window of time: ``2 s to 5 s``, with as many digits as tell its ends apart.

    Args:
        window: Its ends, seconds since the start.
    """
    width = max(window[1] - window[0], 1e-9)
    # Two digits of its width, as the heat map says it.
    decimals = max(0, min(9, math.ceil(1 - math.log10(width))))
    start, end = (f"{at:,.{decimals}f}" for at in window)
    if decimals:
        start, end = (text.rstrip("0").rstrip(".") for text in (start, end))
    return f"{start} s to {end} s"


def count_ticks(highest: int, *, most: int = 4) -> tuple[float, tuple[Tick, ...]]:
    """The end of a count axis that starts at 0, and its ticks.

    The end is a tick, so that the axis of a growing histogram jumps now and
    then instead of moving with every count.
    """
    step = nice_step(highest, most)
    end = max(1, -(-highest // step)) * step
    return float(end), tuple(Tick(float(at), count_label(at, largest=end)) for at in range(0, end + 1, step))


def log2_ticks(
    first: int, last: int, *, unit: str = "", zero_in_one: bool = True, most: int = 13
) -> tuple[Tick, ...]:
    """Ticks under power-of-two buckets.

    Times get decades (``1 µs``, ``10 µs``) or 1-2-5 steps; anything else gets the
    bounds of the buckets themselves.

    Args:
        first: The first bucket of the axis.
        last: The last bucket of the axis.
        unit: Unit of the value.
        zero_in_one: Bucket 1 means 0 to 1, as bcc fills it.
        most: How many ticks there may be.
    """
    low, high = max(0, first - 1), last
    zero = [Tick(-0.5, "0")] if first == 0 else []
    if unit in SECONDS:
        decades = _decades(low, high, SECONDS[unit], min(most, 9))
        if len(decades) >= 2:
            return tuple(zero + [_zero_edge(tick, zero_in_one) for tick in decades])
    every = next(step for step in (1, 2, 5, 10, 20, 65) if (high - low) / step + 1 <= most)
    places = range(-(-low // every) * every, high + 1, every)
    name = (lambda value: time_label(value * SECONDS[unit])) if unit in SECONDS else binary_number
    edges = [_zero_edge(Tick(float(place), name(1 << place)), zero_in_one) for place in places]
    return tuple(zero + edges)


def _zero_edge(tick: Tick, zero_in_one: bool) -> Tick:
    return Tick(0.0, "0") if zero_in_one and tick.at == 0 else tick


def _decades(low: int, high: int, unit_s: float, most: int) -> list[Tick]:
    """Round times between the values at two positions, fewer per decade the more there are."""
    first = math.floor(math.log10(2.0**low * unit_s))
    last = math.ceil(math.log10(2.0**high * unit_s))
    for factors, every in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3), ((1,), 6)):
        ticks = []
        for decade in range(first - first % every, last + 1, every):
            for factor in factors:
                at = math.log2(factor * 10.0**decade / unit_s)
                if low - 1e-9 <= at <= high + 1e-9:
                    ticks.append(Tick(round(at, 9) + 0.0, time_label(factor * 10.0**decade)))
        if len(ticks) <= most:
            return ticks
    return []


def linear_ticks(count: int, *, lowest: int, step: int, unit: str = "", most: int = 8) -> tuple[Tick, ...]:
    """Ticks under the bars of a linear histogram at round values.

    Args:
        count: How many bars the axis has.
        lowest: The lowest value of the first.
        step: How many values share a bar.
        unit: Unit of the value.
        most: How many ticks there may be.
    """
    end = lowest + count * step
    every = nice_step(end - lowest, most)
    values: Sequence[int] = range(-(-lowest // every) * every, end + 1, every)
    # A bar of a single value is named in its middle, a wider one at its edges.
    shift = 0.5 if step == 1 else 0.0
    if step == 1:
        values = [value for value in values if value < end]
    name = (lambda value: time_label(value * SECONDS[unit])) if unit in SECONDS else count_label
    return tuple(Tick((value - lowest) / step + shift, name(value)) for value in values)


_MOMENT_STEPS = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    86_400,
)


def value_ticks(
    low: float, high: float, *, unit: str = "", most: int = 5
) -> tuple[float, float, tuple[Tick, ...]]:
    """An axis of real numbers: its bottom, its top, and ticks at both and between.

    Args:
        low: The lowest value; the axis begins at 0 unless it is negative.
        high: The highest.
        unit: One of :data:`SECONDS`, ``bytes`` or ``kb`` (with or without ``_per_s``), ``share``;
            anything else is counted.
        most: How many steps there are about.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    size, name = _unit_step(max(-low, high), unit)
    step = _nice_real((high - low) / most / size) * size
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return first * step, last * step, tuple(Tick(n * step, name(n * step)) for n in range(first, last + 1))


def _unit_step(largest: float, unit: str) -> tuple[float, Callable[[float], str]]:
    """What steps are round multiples of, and how a value is written."""
    if unit in SECONDS:
        return 1.0, lambda value: time_label(value * SECONDS[unit])
    what = unit.removesuffix("_per_s")
    if what in ("bytes", "kb"):
        scale = 1024 if what == "kb" else 1
        power = min(6, max(0, int(math.log(max(largest * scale, 1), 1024) + 1e-9)))
        size = 1024.0**power / scale
        prefix = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")[power]
        return size, lambda value: f"{value / size:.4g} {prefix}" if value else "0"
    if unit == "share":
        return 0.01, lambda value: f"{value * 100:.4g} %"
    return 1.0, lambda value: count_label(round(value, 12), largest=largest)


def _nice_real(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below a number; 1 if that is 0."""
    if not least > 1e-300:  # nor so little that steps of it are none
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= least * (1 - 1e-9))


def moment_ticks(first: float, last: float, *, most: int = 9) -> tuple[float, float, tuple[Tick, ...], str]:
    """An axis of time: its beginning, its end, ticks, and what they are written in.

    The end is a tick, so that the axis of a running trace jumps now and then instead of
    moving with every moment.

    Args:
        first: The first moment, seconds since the start.
        last: The last one.
        most: How many steps there may be.
    """
    last = last if last > first else first + 1
    least = max((last - first) / most, 1e-9)
    days = 86_400.0 * math.ceil(least / 86_400)
    step = _nice_real(least) if least <= 1 else next((s for s in _MOMENT_STEPS if s >= least), days)
    begin, end = math.floor(first / step + 1e-9), math.ceil(last / step - 1e-9)
    end = max(end, begin + 1)
    name, unit = _clock(step, end * step)
    ticks = tuple(Tick(float(n * step), name(n * step)) for n in range(begin, end + 1))
    return float(begin * step), float(end * step), ticks, unit


def _clock(step: float, last: float) -> tuple[Callable[[float], str], str]:
    """How moments are written, and what that is called."""

    def parts(at: float) -> tuple[str, int]:
        return "-" if at < 0 else "", abs(int(at))

    def minutes(at: float) -> str:
        sign, whole = parts(at)
        return f"{sign}{whole // 60}:{whole % 60:02}"

    def hours(at: float) -> str:
        sign, whole = parts(at)
        seconds = f":{whole % 60:02}" if step < 60 else ""
        return f"{sign}{whole // 3600}:{whole // 60 % 60:02}{seconds}"

    if step < 1 or last <= 180:
        return lambda at: f"{round(at, 9):.12g}", "seconds"
    if last <= 7200:
        return minutes, "minutes:seconds"
    return hours, "hours:minutes" + (":seconds" if step < 60 else "")
