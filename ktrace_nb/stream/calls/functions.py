"""What a walk's functions are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ktrace_nb.ir.calls import Traced


def unique_names(functions: Sequence[Traced]) -> list[str]:
    """Names of functions; those that share one are told apart by module, or by address."""
    times = Counter(f.name for f in functions)
    found = [f.name if times[f.name] == 1 else f"{f.name} [{f.module or 'vmlinux'}]" for f in functions]
    times = Counter(found)
    return [
        name if times[name] == 1 else f"{name} {f.address:#x}"
        for name, f in zip(found, functions, strict=True)
    ]
