"""Quantities as users write them: ``10s``, ``500ms``, ``2m``; ``10k``; ``5%``."""

from __future__ import annotations

import re

from ktrace_nb.errors import OptionError

_UNITS_S = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "m": 60.0, "min": 60.0, "h": 3600.0}
_PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6}
_NUMBER = r"\s*(\d+(?:\.\d*)?|\.\d+)\s*"


def parse_duration(text: str) -> float:
    """Seconds of a duration; a number alone is seconds.

    Raises:
        OptionError: Not a duration, or not longer than nothing.
    """
    return _parse(text, r"([a-z]*)", _UNITS_S, "a duration", "10s, 500ms, 2m")


def parse_rate(text: str) -> float:
    """Events per second, e.g. ``500``, ``10k``, ``1.5M/s``.

    Raises:
        OptionError: Not a rate, or not more than nothing.
    """
    return _parse(text, r"([kM]?)(?:/s)?", _PREFIXES, "events per second", "500, 10k")


def parse_share(text: str) -> float:
    """A share of one CPU, e.g. ``5%`` or ``0.05``; 1.0 is all of it.

    Raises:
        OptionError: Not a share, or not more than nothing.
    """
    return _parse(text, r"(%?)", {"": 1.0, "%": 0.01}, "a share of a CPU", "5%, 0.05")


def _parse(text: str, unit: str, factors: dict[str, float], what: str, examples: str) -> float:
    match = re.fullmatch(_NUMBER + unit + r"\s*", text)
    value = float(match[1]) * factors[match[2]] if match and match[2] in factors else 0.0
    if value <= 0:
        raise OptionError(f"expected {what}, found {text!r}", hint=f"e.g. {examples}")
    return value
