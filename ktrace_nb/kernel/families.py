"""Which functions belong to a module that is part of this kernel, and what families are called today.

A kernel built with a driver in it does not say which functions are the driver's, but
its programmers name them after it.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.old_names import MODULES, PREFIXES


def module_name(text: str) -> str:
    """A module's name as the kernel lists it: without a path and ``.ko``, ``-`` as ``_``."""
    return text.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def today(name: str) -> str:
    """A function's name or a pattern of such with its family's name of today: ``ext3_*`` is ``ext4_*``."""
    for old, (new, _) in PREFIXES.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def prefixes_of(module: str) -> tuple[str, ...]:
    """What the names of a built-in module's functions begin with, ``__`` in front of some left aside."""
    return MODULES.get(module, (f"{module}_",))


def built_in_functions(facts: KernelFacts, module: str, pattern: str = "*") -> list[str]:
    """Functions of the kernel itself that are named after a module; once per name they begin with.

    Args:
        facts: The kernel.
        module: As :func:`module_name` gives it.
        pattern: Which of them, by their names of today or of old.
    """
    names: list[str] = []
    for prefix in prefixes_of(module):
        inside = [
            n
            for n in (*facts.functions_matching(f"{prefix}*"), *facts.functions_matching(f"__{prefix}*"))
            if not facts.traceable.get(n)
        ]
        names += [n for n in inside if fnmatchcase(n, pattern) or fnmatchcase(n, today(pattern))]
    return names
