"""Kstats as text, in the layouts of kstat(8).

Every layout is a function of kstats and a selection that gives text, nothing else. What is said
and in what order is the same in all of them: for each selector in the order given, its kstats by
module, instance and name, and of each its statistics by name, without regard to case; who is
selected twice appears twice. To its data a kstat adds ``crtime`` and ``snaptime`` (seconds since
boot with nine decimals, or a bare 0), in the layouts for programs also ``class``; patterns for
statistics are asked about these too, and data of such a name take their place. A kstat that could
not be read has no ``snaptime``. Raw kstats without a type to tell their fields are left out.

Source: illumos kstat(8), and the formats of ``usr/src/cmd/stat/kstat/kstat.c`` and ``kstat.h``
(``DFLT_FMT``, ``KS_DFMT``, ``KS_PFMT``). Where they serve nobody these are otherwise here:
control characters are shown as escapes, so that a process's name cannot write lines or colours;
a question mark in JSON is itself, since ``\\?`` is no JSON. Values of type double, which
kstat(8) does not print, are written with as many digits as give them back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ktrace_nb.kstat.model import Kind, Kstat, Scalar
from ktrace_nb.kstat.select import Selection

Layout: TypeAlias = Callable[[Iterable[Kstat], Selection], str]

EMPTY_JSON = "[]\n"
_SECOND_NS = 1e9


def blocks(kstats: Iterable[Kstat], selection: Selection) -> str:
    """For reading: a head for each kstat, a line for each statistic, a blank line behind them."""
    text = []
    for kstat, statistics in _selected(kstats, selection, with_class=False):
        module, name, class_ = _shown(kstat.id.module), _shown(kstat.id.name), _shown(kstat.class_)
        text.append(f"module: {module:<30.30}  instance: {kstat.id.instance:<6d}\n")
        text.append(f"name:   {name:<30.30}  class:    {class_:.30}\n")
        text += [f"\t{_shown(one.name):<30}  {one.text}\n" for one in statistics]
        text.append("\n")
    return "".join(text)


def parsable(kstats: Iterable[Kstat], selection: Selection) -> str:
    """``-p``: a line for each statistic, its value behind a tab."""
    return _lines(kstats, selection, lambda name, value: f"{name}\t{value}")


def colons(kstats: Iterable[Kstat], selection: Selection) -> str:
    """``-C``: the same with a colon."""
    return _lines(kstats, selection, lambda name, value: f"{name}:{value}")


def values(kstats: Iterable[Kstat], selection: Selection) -> str:
    """``-p -V``: only the values."""
    return _lines(kstats, selection, lambda _, value: value)


def names(kstats: Iterable[Kstat], selection: Selection) -> str:
    """``-l``: only the names."""
    return _lines(kstats, selection, lambda name, _: name)


def json_text(kstats: Iterable[Kstat], selection: Selection) -> str:
    """``-j``: a list of objects, one for each kstat."""
    return _json(kstats, selection, with_class=False)


def json_with_class(kstats: Iterable[Kstat], selection: Selection) -> str:
    """``-j`` and one of ``-p``, ``-C``, ``-l``: the data have the class too, as theirs have."""
    return _json(kstats, selection, with_class=True)


@dataclass(frozen=True, slots=True)
class _Statistic:
    name: str
    value: Scalar | None
    """None of times."""

    text: str


def _selected(
    kstats: Iterable[Kstat], selection: Selection, *, with_class: bool
) -> Iterator[tuple[Kstat, list[_Statistic]]]:
    """What appears, in order; only kstats of which something does."""
    known = [
        (kstat, _statistics(kstat, with_class=with_class))
        for kstat in sorted(kstats, key=_order)
        if selection.class_.matches(kstat.class_) and not _is_opaque(kstat)
    ]
    for selector in selection.selectors:
        for kstat, statistics in known:
            if selector.kstat(kstat.id):
                chosen = [one for one in statistics if selector.statistic.matches(one.name)]
                if chosen:
                    yield kstat, chosen


def _order(kstat: Kstat) -> tuple[str, int, str, str, str]:
    id = kstat.id
    return id.module.lower(), id.instance, id.name.lower(), id.module, id.name


def _is_opaque(kstat: Kstat) -> bool:
    return kstat.kind is Kind.RAW and not kstat.data and not kstat.error


def _statistics(kstat: Kstat, *, with_class: bool) -> list[_Statistic]:
    found = {"crtime": _Statistic("crtime", None, seconds(kstat.crtime_ns))}
    if not kstat.error:
        found["snaptime"] = _Statistic("snaptime", None, seconds(kstat.snaptime_ns))
    if with_class:
        found["class"] = _Statistic("class", kstat.class_, _shown(kstat.class_))
    for name, value in kstat.data.items():
        found[name] = _Statistic(name, value.value, _text(value.value))
    return sorted(found.values(), key=lambda one: (one.name.lower(), one.name))


def seconds(time_ns: int) -> str:
    """A time in nanoseconds as seconds with nine decimals; none is ``0``."""
    return f"{time_ns / _SECOND_NS:.9f}" if time_ns else "0"


def _text(value: Scalar) -> str:
    return _shown(value) if isinstance(value, str) else str(value)


def _shown(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _lines(kstats: Iterable[Kstat], selection: Selection, line: Callable[[str, str], str]) -> str:
    text = []
    for kstat, statistics in _selected(kstats, selection, with_class=True):
        head = f"{_shown(kstat.id.module)}:{kstat.id.instance}:{_shown(kstat.id.name)}:"
        text += [line(head + _shown(one.name), one.text) + "\n" for one in statistics]
    return "".join(text)


def _json(kstats: Iterable[Kstat], selection: Selection, *, with_class: bool) -> str:
    objects = []
    for kstat, statistics in _selected(kstats, selection, with_class=with_class):
        data = ",\n".join(f"\t\t{_quoted(one.name)}: {_json_value(one)}" for one in statistics)
        objects.append(
            f'{{\n\t"module": {_quoted(kstat.id.module)},\n'
            f'\t"instance": {kstat.id.instance},\n'
            f'\t"name": {_quoted(kstat.id.name)},\n'
            f'\t"class": {_quoted(kstat.class_)},\n'
            f'\t"type": {kstat.kind.value},\n'
            f'\t"snaptime": {seconds(kstat.snaptime_ns)},\n'
            f'\t"data": {{\n{data}\n\t}}\n}}'
        )
    return "[" + ", ".join(objects) + "]\n" if objects else EMPTY_JSON


def _json_value(statistic: _Statistic) -> str:
    if isinstance(statistic.value, str):
        return _quoted(statistic.value)
    if isinstance(statistic.value, float) and not math.isfinite(statistic.value):
        return "null"  # JSON has no word for it
    return statistic.text


_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def _quoted(text: str) -> str:
    """A JSON string; kstat(8) has four short escapes and all others by number, also of DEL."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_SHORT.get(char) or _numbered(char) for char in text) + '"'


def _numbered(char: str) -> str:
    if " " <= char <= "~":
        return char
    # Beyond the first 65,536 characters it takes two numbers.
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
