"""Durations as users write them: ``10s``, ``500ms``, ``2m``, ``1h``, ``2.5``."""

from __future__ import annotations

import re

from ktrace_nb.errors import OptionError

_UNITS_S = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "m": 60.0, "min": 60.0, "h": 3600.0}
_PATTERN = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*")


def parse_duration(text: str) -> float:
    """Seconds of a duration; a number alone is seconds.

    Raises:
        OptionError: Not a duration, or not longer than nothing.
    """
    match = _PATTERN.fullmatch(text)
    seconds = float(match[1]) * _UNITS_S[match[2]] if match and match[2] in _UNITS_S else 0.0
    if seconds <= 0:
        raise OptionError(f"expected a duration, found {text!r}", hint="e.g. 10s, 500ms, 2m")
    return seconds
