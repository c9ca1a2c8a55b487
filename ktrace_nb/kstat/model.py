"""Kernel statistics as Solaris has them: named by four words, of a kind, of a class, with times.

A :class:`Kstat` is what a provider says at one moment. What Solaris calls ``ks_data`` is
``data`` here: of every kind it is a mapping of named, typed :class:`Value`, so that whoever
reads needs no C structures. The fields of the kinds INTR, TIMER and IO are those of
``kstat_intr_t``, ``kstat_timer_t`` and ``kstat_io_t``.

Source: illumos kstat(9S), kstat_named(9S), kstat_io(9S), kstat_intr(9S), kstat(3KSTAT).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Number: TypeAlias = int | float
Scalar: TypeAlias = int | float | str


class Kind(enum.Enum):
    """Of what kind a kstat's data are, ``ks_type``."""

    RAW = 0
    NAMED = 1
    INTR = 2
    IO = 3
    TIMER = 4


class Type(enum.Enum):
    """Of what type a value is, ``KSTAT_DATA_*``; FLOAT and DOUBLE are as obsolete as there."""

    CHAR = "char"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    DOUBLE = "double"
    STRING = "string"


LIMITS: Final[Mapping[Type, tuple[int, int]]] = {
    Type.INT32: (-(2**31), 2**31 - 1),
    Type.UINT32: (0, 2**32 - 1),
    Type.INT64: (-(2**63), 2**63 - 1),
    Type.UINT64: (0, 2**64 - 1),
}
"""Least and greatest value of the types of integers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One statistic."""

    value: Scalar
    type: Type = Type.UINT64
    counter: bool = False
    """Whether it only grows until it wraps or its kernel starts anew: then it has a rate."""

    unit: str = ""
    """``ns``, ``us``, ``ms``, ``s``, ``bytes``, ``KiB``, ``pages``, ``sectors``, ``percent`` or
    empty for plain numbers; empty also for counts of things, which their name tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Id:
    """The name of a kstat; with the name of a statistic it is the 4-tuple."""

    module: str
    instance: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kstat:
    """What a provider says at one moment."""

    id: Id
    class_: str
    kind: Kind = Kind.NAMED
    crtime_ns: int = 0
    """When it was created, ``CLOCK_MONOTONIC`` of its kernel, nanoseconds; 0 is at boot."""

    snaptime_ns: int = 0
    """When its data were taken, the same clock, nanoseconds."""

    data: Mapping[str, Value] = field(default_factory=dict)
    """In the provider's order; readers sort."""

    error: str = ""
    """Why there are no data; empty if there are."""


BUILT_IN: Final = "builtin"
"""Module of the error of what is built in and failed: whoever reads is told, whatever was selected."""

NAMED, INTR, IO, TIMER, RAW = Kind.NAMED, Kind.INTR, Kind.IO, Kind.TIMER, Kind.RAW
