"""What the built-in kstats are made with: values, kstats, and the kernel's commonest forms of text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import takewhile

from ktrace_nb.kstat.files import Snapshot
from ktrace_nb.kstat.model import Id, Kind, Kstat, Scalar, Type, Value

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_DECIMAL = re.compile(r"[0-9]{1,15}\.[0-9]{1,6}")


def count(value: int, unit: str = "", type: Type = Type.UINT64) -> Value:
    """A number that only grows, and so has a rate."""
    return Value(value=value, unit=unit, type=type, counter=True)


def amount(value: Scalar, unit: str = "", type: Type = Type.UINT64) -> Value:
    """A number that goes up and down, or stays."""
    return Value(value=value, unit=unit, type=type)


def word(value: str) -> Value:
    """Text."""
    return Value(value=value, type=Type.STRING)


def kstat(
    files: Snapshot,
    module: str,
    instance: int,
    name: str,
    class_: str,
    data: Mapping[str, Value],
    *,
    kind: Kind = Kind.NAMED,
) -> Kstat:
    """A kstat whose data were taken when the files were read."""
    return Kstat(
        id=Id(module=module, instance=instance, name=name),
        class_=class_,
        kind=kind,
        snaptime_ns=files.monotonic_ns,
        data=data,
    )


def numbers(text: str | None) -> dict[str, int]:
    """Lines such as ``pgfault 994155787`` or ``MemFree:  20123460 kB``: name to number, in order.

    Lines of another form are left out: a kernel may have a new one.
    """
    found = {}
    for line in (text or "").splitlines():
        name, _, rest = line.partition(" ")
        value = rest.split()
        if value and is_number(value[0]):
            found[name.removesuffix(":")] = int(value[0])
    return found


def number(text: str | None) -> int | None:
    """The number that a file holds alone; None if it is not there or holds a word, as ``max``."""
    text = (text or "").strip()
    return int(text) if is_number(text) else None


def is_number(text: str) -> bool:
    """Whether it is what the kernel prints for an integer; it has none of more than 64 bits."""
    return _INTEGER.fullmatch(text) is not None


def integers(words: Iterable[str]) -> list[int]:
    """The numbers that a row begins with."""
    return [int(text) for text in takewhile(is_number, words)]


def decimal(text: str) -> float | None:
    """What the kernel prints with a point, such as ``0.23``; None for anything else."""
    return float(text) if _DECIMAL.fullmatch(text) else None


def rows(text: str | None) -> list[list[str]]:
    """The words of each line, empty lines left out."""
    return [words for line in (text or "").splitlines() if (words := line.split())]


def total(numbers: Mapping[str, int], names: Iterable[str]) -> int:
    """The sum of those that are there."""
    return sum(numbers.get(name, 0) for name in names)
