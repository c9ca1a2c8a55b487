"""A global in the kernel, from bytes of its maps to values and back.

Layouts are those of :mod:`ktrace_nb.ir.script_layout`. A string that is kept as a
number is text on this side; its way back is remembered, because no text tells the
number it was made of.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from ktrace_nb.ir import script_layout as layout
from ktrace_nb.ir.script import HistogramShape, KernelGlobal, Shape, Type
from ktrace_nb.stream.maps import MapSnapshot
from ktrace_nb.stream.script.arrays import Entries
from ktrace_nb.stream.script.records import NameOf, text_in
from ktrace_nb.stream.script.statistics import Statistics
from ktrace_nb.stream.script.values import HIGHEST, LOWEST, Key

Value: TypeAlias = int | str | Statistics

_FIRST = struct.Struct("<4q")
_SCALAR_KEY = struct.pack("<I", 0)


class Codec:
    """One global's keys and values as the kernel keeps them.

    Args:
        kernel_global: The global.
        cpus: Possible CPUs of the target.
        name_of: Makes strings of numbers that stand for them.
    """

    def __init__(self, kernel_global: KernelGlobal, cpus: int, name_of: NameOf) -> None:
        variable = kernel_global.variable
        self.variable = variable
        self.map = layout.map_name(variable)
        self.bucket_maps = tuple(
            layout.buckets_map_name(variable, i)
            for i in range(len(variable.histograms) if variable.keys else 0)
        )
        self._cpus = cpus
        self._key_shapes = kernel_global.keys
        self._value_shape = kernel_global.value
        self._key = struct.Struct("<" + "".join(map(_slot, kernel_global.keys)))
        self._value = struct.Struct("<" + _slot(kernel_global.value))
        self._bucket_key = struct.Struct("<" + "".join(map(_slot, kernel_global.keys)) + "q")
        self._statistics = layout.statistics_layout(variable) if variable.type is Type.STATISTICS else None
        self._name_of = name_of
        self._numbers: dict[tuple[str, str], int] = {}

    @property
    def maps(self) -> tuple[str, ...]:
        """All maps of the global."""
        return (self.map, *self.bucket_maps)

    # --- from the kernel -----------------------------------------------------------------

    def decode(self, snapshots: Mapping[str, MapSnapshot], *, loose: bool = False) -> Entries:
        """The entries in snapshots of the global's maps; a scalar has the key ``()``.

        Args:
            snapshots: By name of the map.
            loose: Give also statistics of which there are buckets and nothing else.
        """
        main = snapshots.get(self.map)
        if main is None:
            return {}
        keys: Iterator[Key] = (
            map(self._read_key, self._key.iter_unpack(main.keys)) if self.variable.keys else iter([()])
        )
        if self._statistics is None:
            values = map(self._read_value, self._value.iter_unpack(main.values))
            return dict(zip(keys, values, strict=False))
        found: Entries = {}
        collected: dict[Key, Statistics] = {}
        for number, key in enumerate(keys):
            at = number * main.stride
            statistics = self._read_statistics(main.values[at : at + main.stride])
            # An entry is made empty and then added to.
            if statistics.count:
                found[key] = collected[key] = statistics
        for name, shape in zip(self.bucket_maps, self.variable.histograms, strict=False):
            self._read_buckets(snapshots.get(name), shape, collected, loose)
        return {**collected} if loose else found

    def _read_key(self, raw: tuple[int | bytes, ...]) -> Key:
        return tuple(self._shown(value, shape) for value, shape in zip(raw, self._key_shapes, strict=False))

    def _read_value(self, raw: tuple[int | bytes]) -> Value:
        return self._shown(raw[0], self._value_shape)

    def _shown(self, raw: int | bytes, shape: Shape) -> int | str:
        if isinstance(raw, bytes):
            return text_in(raw)
        if not shape.symbol:
            return raw
        text = self._name_of(shape.symbol, raw)
        self._numbers[shape.symbol, text] = raw
        return text

    def _read_statistics(self, data: bytes) -> Statistics:
        assert self._statistics is not None
        whole = Statistics(self.variable.histograms)
        step = len(data) // self._cpus if self._cpus else len(data)
        for at in range(0, len(data), max(step, 1)):
            part = Statistics(self.variable.histograms)
            part.count, part.total, part.lowest, part.highest = _FIRST.unpack_from(data, at)
            if not part.count:
                continue
            if self._statistics.squares:
                low, high = struct.unpack_from("<QQ", data, at + self._statistics.squares)
                part.squares = low + (high << 64)
            for offset, shape in zip(self._statistics.histograms, self.variable.histograms, strict=False):
                counts = struct.unpack_from(f"<{layout.bucket_count(shape)}Q", data, at + offset)
                part.buckets[shape] = {bucket: count for bucket, count in enumerate(counts) if count}
            whole.merge(part)
        return whole

    def _read_buckets(
        self,
        snapshot: MapSnapshot | None,
        shape: HistogramShape,
        collected: dict[Key, Statistics],
        loose: bool,
    ) -> None:
        if snapshot is None:
            return
        for number, raw in enumerate(self._bucket_key.iter_unpack(snapshot.keys)):
            key = self._read_key(raw[:-1])
            if loose:
                collected.setdefault(key, Statistics(self.variable.histograms))
            statistics = collected.get(key)
            if statistics is not None:
                at = number * snapshot.stride
                count = sum(struct.unpack_from(f"<{snapshot.stride // 8}Q", snapshot.values, at))
                statistics.buckets[shape][raw[-1]] = count

    # --- to the kernel -----------------------------------------------------------------------

    def encode_key(self, key: Key) -> bytes:
        """A key; of a scalar, the one its map has."""
        if not self.variable.keys:
            return _SCALAR_KEY
        return self._key.pack(*(self._kept(v, s) for v, s in zip(key, self._key_shapes, strict=True)))

    def encode_value(self, value: Value) -> bytes:
        """A value; statistics as if CPU 0 had collected all of them."""
        if isinstance(value, Statistics):
            return self._write_statistics(value)
        return self._value.pack(self._kept(value, self._value_shape))

    def encode_buckets(self, key: Key, value: Statistics, histogram: int) -> list[tuple[bytes, bytes]]:
        """Entries of a bucket map for an array's statistics."""
        raw = [self._kept(v, s) for v, s in zip(key, self._key_shapes, strict=True)]
        counts = value.buckets[self.variable.histograms[histogram]]
        others = bytes(8 * (self._cpus - 1))
        return [(self._bucket_key.pack(*raw, b), struct.pack("<Q", n) + others) for b, n in counts.items()]

    def _kept(self, value: int | str, shape: Shape) -> int | bytes:
        if isinstance(value, int):
            return value
        if shape.symbol:
            return self._numbers.get((shape.symbol, value), 0)
        return value.encode("latin-1", "replace")[: shape.size - 1]

    def _write_statistics(self, value: Statistics) -> bytes:
        plan = self._statistics
        assert plan is not None
        data = bytearray((plan.size + 7) // 8 * 8 * self._cpus)
        if value.count:
            _FIRST.pack_into(data, 0, value.count, value.sum, value.lowest, value.highest)
            if plan.squares:
                mask = (1 << 64) - 1
                struct.pack_into("<QQ", data, plan.squares, value.squares & mask, value.squares >> 64 & mask)
            for offset, shape in zip(plan.histograms, self.variable.histograms, strict=False):
                for bucket, count in value.buckets[shape].items():
                    struct.pack_into("<Q", data, offset + 8 * bucket, count)
        return bytes(data)


def _slot(shape: Shape) -> str:
    return f"{layout.slot_size(shape)}s" if layout.is_text(shape) else "q"


def plus(left: Value | None, right: Value | None) -> Value | None:
    """Two parts of one value put together; a new object if they are statistics."""
    if left is None or right is None:
        return copied(right if left is None else left)
    if isinstance(left, Statistics) and isinstance(right, Statistics):
        whole = copied(left)
        assert isinstance(whole, Statistics)
        _add(whole, right, 1)
        if left.count <= 0:
            whole.lowest, whole.highest = right.lowest, right.highest
        elif right.count > 0:  # what was taken away has no say
            whole.lowest = min(left.lowest, right.lowest)
            whole.highest = max(left.highest, right.highest)
        return whole
    if isinstance(left, int) and isinstance(right, int):
        return _wrapped(left + right)
    return right


def minus(whole: Value | None, part: Value | None) -> Value | None:
    """What is left of a value when a part is taken away.

    Counts, sums and buckets are exact. The least and the greatest of what is left
    cannot be told from those of the whole, which are given.
    """
    if part is None:
        return copied(whole)
    if isinstance(part, Statistics):
        rest = copied(whole) if isinstance(whole, Statistics) else Statistics(part.buckets)
        assert isinstance(rest, Statistics)
        _add(rest, part, -1)
        return rest
    if isinstance(part, int):
        return _wrapped((whole if isinstance(whole, int) else 0) - part)
    return whole


def copied(value: Value | None) -> Value | None:
    """The value, statistics in an object of their own."""
    if not isinstance(value, Statistics):
        return value
    copy = Statistics(value.buckets)
    _add(copy, value, 1)
    copy.lowest, copy.highest = value.lowest, value.highest
    return copy


def is_nothing(value: Value | None) -> bool:
    """Whether adding it changes nothing."""
    if isinstance(value, Statistics):
        return not (value.count or value.total or any(any(c.values()) for c in value.buckets.values()))
    return not value


def _add(to: Statistics, other: Statistics, sign: int) -> None:
    to.count += sign * other.count
    to.total += sign * other.total
    to.squares += sign * other.squares
    for shape, counts in to.buckets.items():
        for bucket, count in other.buckets.get(shape, {}).items():
            counts[bucket] = counts.get(bucket, 0) + sign * count
            if not counts[bucket]:
                del counts[bucket]


def _wrapped(value: int) -> int:
    return value if LOWEST <= value <= HIGHEST else (value - LOWEST) % (1 << 64) + LOWEST
