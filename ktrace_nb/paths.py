"""Where this package keeps things, by the XDG Base Directory Specification.

What is below :func:`cache_home` may be deleted at any time. Nothing is created here.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_home() -> Path:
    """``$XDG_CACHE_HOME/ktrace_nb``, by default below ``~/.cache``."""
    return _home("XDG_CACHE_HOME", ".cache")


def data_home() -> Path:
    """``$XDG_DATA_HOME/ktrace_nb``, by default below ``~/.local/share``."""
    return _home("XDG_DATA_HOME", ".local/share")


def _home(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    # The specification: a relative path is to be ignored.
    return (Path(value) if value.startswith("/") else Path.home() / default) / "ktrace_nb"
