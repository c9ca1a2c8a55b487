"""Kernel statistics as Solaris has them, for Linux: ``module:instance:name:statistic``.

    from ktrace_nb import kstat

    kstat.read("cpu_stat:::/^intr/")           # a DataFrame, of the target "lab"
    kstat.read(class_="disk", target="local")

    @kstat.provider("lesson", "queue")         # statistics of one's own
    def queue():
        return {"depth": len(waiting)}

    before = kstat.read(module="cpu_stat")
    kstat.rates(before, kstat.read(module="cpu_stat"))   # counters, per second

What is built in is described in :mod:`ktrace_nb.kstat.builtin`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ktrace_nb.kstat.chain import DEFAULT_TARGET, Chain, chain
from ktrace_nb.kstat.errors import KstatError
from ktrace_nb.kstat.kinds import Intr, Io, Timer
from ktrace_nb.kstat.model import INTR, IO, NAMED, RAW, TIMER, Id, Kind, Kstat, Type, Value
from ktrace_nb.kstat.provider import provider, providers
from ktrace_nb.kstat.select import Selection, everything

if TYPE_CHECKING:
    import pandas as pd

    from ktrace_nb.kstat.disk_account import io_account as io_account
    from ktrace_nb.kstat.frames import frame as frame
    from ktrace_nb.kstat.frames import rates as rates
    from ktrace_nb.kstat.frames import wide as wide
    from ktrace_nb.kstat.prometheus import exposition as exposition
    from ktrace_nb.kstat.published import publish as publish
    from ktrace_nb.kstat.riemann import RiemannQueue as RiemannQueue
    from ktrace_nb.targets.base import Target

# Loaded when asked for: they need pandas or more. No module may have the name of a function in it:
# importing the one would hide the other.
_LAZY = {
    "RiemannQueue": "ktrace_nb.kstat.riemann",
    "exposition": "ktrace_nb.kstat.prometheus",
    "frame": "ktrace_nb.kstat.frames",
    "io_account": "ktrace_nb.kstat.disk_account",
    "publish": "ktrace_nb.kstat.published",
    "rates": "ktrace_nb.kstat.frames",
    "wide": "ktrace_nb.kstat.frames",
}

__all__ = [
    "INTR",
    "IO",
    "NAMED",
    "RAW",
    "TIMER",
    "Chain",
    "Id",
    "Intr",
    "Io",
    "Kind",
    "Kstat",
    "KstatError",
    "RiemannQueue",
    "Selection",
    "Timer",
    "Type",
    "Value",
    "chain",
    "everything",
    "exposition",
    "frame",
    "io_account",
    "provider",
    "providers",
    "publish",
    "rates",
    "read",
    "wide",
]


def read(
    *operands: str,
    module: str | None = None,
    instance: str | int | None = None,
    name: str | None = None,
    statistic: str | None = None,
    class_: str | None = None,
    target: Target | str | Chain = DEFAULT_TARGET,
) -> pd.DataFrame:
    """Read kstats of a target.

    Patterns are globs, or regular expressions between slashes; an empty one is any.

    Args:
        operands: ``module:instance:name:statistic``, alternatives; parts at the end may be left out.
        module: Pattern for the module, instead of operands; this and the next three are ANDed.
        instance: Pattern for the instance, or its number.
        name: Pattern for the name.
        statistic: Pattern for the name of a statistic.
        class_: Pattern for the class; also beside operands.
        target: Which machine: a target, its name or a chain.

    Returns:
        One row per statistic, as :func:`ktrace_nb.kstat.frames.frame` lays them out; no rows if nothing
        matches. ``attrs["kstat"]["boot_id"]`` is the kernel's, by which :func:`rates` knows a reboot.

    Raises:
        OptionError: A pattern or operand that makes no sense.
        TargetError: The target is out of reach.
    """
    from ktrace_nb.kstat.frames import frame

    selection = Selection.of(
        *operands, module=module, instance=instance, name=name, statistic=statistic, class_=class_
    )
    read_from = chain(target)
    found = frame(selection.narrow(read_from.read(selection)))
    found.attrs["kstat"]["boot_id"] = read_from.boot_id
    return found


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
