"""What is known of a walk's functions: their names and their signatures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ktrace_nb.errors import RemoteError
from ktrace_nb.ir.calls import Traced, Walk
from ktrace_nb.kernel.errors import FactError
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kernel.signatures import Signature, Signatures


def unique_names(functions: Sequence[Traced]) -> list[str]:
    """Names of functions; those that share one are told apart by module, or by address."""
    times = Counter(f.name for f in functions)
    found = [f.name if times[f.name] == 1 else f"{f.name} [{f.module or 'vmlinux'}]" for f in functions]
    times = Counter(found)
    return [
        name if times[name] == 1 else f"{name} {f.address:#x}"
        for name, f in zip(found, functions, strict=True)
    ]


def signatures_of(walk: Walk, facts: KernelFacts) -> list[Signature]:
    """What the kernel's types tell of each function; nothing of one whose types are not there."""
    readers: dict[str, Signatures | None] = {}
    found = []
    for function in walk.functions:
        if function.module not in readers:
            try:
                btf = facts.module_btf(function.module) if function.module else facts.btf
                readers[function.module] = Signatures(btf, facts.machine)
            except (RemoteError, FactError):
                readers[function.module] = None
        reader = readers[function.module]
        found.append(reader.of(function.name) if reader else Signature())
    return found
