"""The system's own Python: what runs the compiler worker and the local agent."""

from __future__ import annotations

import os
import shutil

_CANDIDATES = ("/usr/bin/python3", "/usr/local/bin/python3")


def system_pythons() -> list[str]:
    """Interpreters outside any virtual environment, best first; KTRACE_NB_PYTHON names the only one."""
    override = os.environ.get("KTRACE_NB_PYTHON")
    return [path for path in ([override] if override else _CANDIDATES) if shutil.which(path)]
