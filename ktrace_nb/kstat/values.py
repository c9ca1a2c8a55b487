"""What a provider gives, checked and typed before anybody sees it."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from ktrace_nb.errors import OptionError
from ktrace_nb.kstat.kinds import FIXED, Intr, Io, Timer
from ktrace_nb.kstat.model import LIMITS, Kind, Number, Scalar, Type, Value
from ktrace_nb.kstat.names import check_statistic

Data: TypeAlias = Mapping[str, Value | Scalar] | Intr | Io | Timer | bytes
"""What an update callback gives: named values, the fields of a fixed kind, or of RAW the bytes."""

MOST_STATISTICS = 10_000
"""Statistics of one kstat."""

LONGEST_CHAR = 16
"""Bytes of a CHAR; illumos ``kstat_named_t`` has room for so many. A STRING may have any number."""


def check_data(data: object, kind: Kind, *, wraps: bool = False) -> dict[str, Value]:
    """The statistics of a kstat, in the provider's order.

    A plain integer becomes an INT64, above 2**63 - 1 a UINT64; a plain float a DOUBLE, a text a STRING.

    Args:
        data: What the provider gave.
        kind: What it said it would give.
        wraps: Whether unsigned counters that have grown too large begin at 0 again, as they do in C.

    Raises:
        OptionError: It is something else, has too many statistics or such that may not be called so,
            or a value is not of its type or out of its range.
    """
    if kind in FIXED:
        if not isinstance(data, FIXED[kind]):
            raise OptionError(
                f"a provider of kind {kind.name} gives {FIXED[kind].__name__}(...), not {_type(data)}"
            )
        items = data.values()
    elif not isinstance(data, Mapping):
        hint = "kind=RAW, raw_type='struct ...' decodes bytes" if isinstance(data, bytes) else None
        raise OptionError(
            f"a provider of kind {kind.name} gives names and values, not {_type(data)}", hint=hint
        )
    else:
        items = iter(data.items())
    found: dict[str, Value] = {}
    for name, value in items:
        check_statistic(name)
        found[name] = check_value(
            name, value if isinstance(value, Value) else plain(name, value), wraps=wraps
        )
        if len(found) > MOST_STATISTICS:
            raise OptionError(f"a kstat has at most {MOST_STATISTICS} statistics")
    return found


def plain(name: str, value: object) -> Value:
    """A plain number or text with the type that suits it.

    Raises:
        OptionError: It is neither.
    """
    if isinstance(value, str):
        return Value(value=value, type=Type.STRING)
    number = _number(value)
    if number is None:
        raise OptionError(f"statistic {name!r} is {_type(value)}, neither a number nor a text")
    if isinstance(number, float):
        return Value(value=number, type=Type.DOUBLE)
    return Value(value=number, type=Type.INT64 if number <= LIMITS[Type.INT64][1] else Type.UINT64)


def check_value(name: str, value: Value, *, wraps: bool = False) -> Value:
    """The value with a plain number or text in it, which its type has room for.

    Raises:
        OptionError: Its type has not.
    """
    if value.type in (Type.CHAR, Type.STRING):
        return _checked_text(name, value)
    number = _number(value.value)
    if value.type is Type.DOUBLE and number is not None:
        return replace(value, value=float(number))
    if not isinstance(number, int):
        raise OptionError(f"statistic {name!r} is {value.value!r}, which is no {value.type.value}")
    low, high = LIMITS[value.type]
    if wraps and value.counter and not low and number > high:
        number %= high + 1
    if not low <= number <= high:
        raise OptionError(f"statistic {name!r} is {number}, out of the range of {value.type.value}")
    return value if number is value.value else replace(value, value=number)


def _checked_text(name: str, value: Value) -> Value:
    text = value.value
    if not isinstance(text, str):
        raise OptionError(f"statistic {name!r} is {text!r}, which is no {value.type.value}")
    if value.counter:
        raise OptionError(f"statistic {name!r} is a text and cannot be a counter")
    size = len(text.encode("utf-8", "replace"))
    if "\0" in text or text != text.encode("utf-8", "replace").decode():
        raise OptionError(f"statistic {name!r} is {text!r}, which is no text")
    if value.type is Type.CHAR and size > LONGEST_CHAR:
        raise OptionError(f"statistic {name!r} has more than the {LONGEST_CHAR} bytes of a char")
    return value


def _number(value: object) -> Number | None:
    """A number as Python's own, also of numpy; None if it is none."""
    try:
        return int(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        pass
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (str, bytes, bytearray)) or not hasattr(value, "__float__"):
        return None
    return float(value)


def _type(value: object) -> str:
    return f"a {type(value).__name__}" if value is not None else "nothing"
