from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def own_store(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data, cache and runtime folders that belong to one test."""
    for variable, name in (
        ("XDG_DATA_HOME", "data"),
        ("XDG_CACHE_HOME", "cache"),
        ("XDG_RUNTIME_DIR", "run"),
    ):
        (short_path / name).mkdir(mode=0o700)
        monkeypatch.setenv(variable, str(short_path / name))
    return short_path
