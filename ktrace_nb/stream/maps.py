"""Map snapshots as frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.kernel.btf import Btf
from ktrace_nb.stream import layout as kinds
from ktrace_nb.stream.decode import Values, decode, read_raw, rows_of
from ktrace_nb.stream.histogram import is_log2, linear_hist, log2_hist
from ktrace_nb.stream.layout import Column, Layout, layout_of, plain_layout
from ktrace_nb.wire.bundle import PERCPU_TYPES, MapDef

_BUCKET_NAMES = ("slot", "bucket")
_SUMMED = (kinds.INTEGER, kinds.BITS, kinds.BOOL)


@dataclass(frozen=True, slots=True)
class MapSnapshot:
    """All entries of a map at one moment."""

    keys: bytes
    values: bytes
    stride: int
    """Bytes per value; in a per-CPU map of all CPUs together."""
    at_ns: int
    """``CLOCK_MONOTONIC`` on the target, nanoseconds."""


class MapSchema:
    """How the entries of one map become a frame.

    The index is the key: one level named ``key``, or one per member of a
    structure, named as in C. The columns are the value: ``value``, or one per
    member. Values of a per-CPU map are summed; ``per_cpu`` adds the index level
    ``cpu`` instead.
    """

    def __init__(self, definition: MapDef, btf: Btf | None) -> None:
        self.definition = definition
        typed = btf is not None and definition.btf_value != 0
        self.key = (
            layout_of(btf, definition.btf_key, "key")
            if btf is not None and typed and definition.btf_key
            else plain_layout(definition.key_size, "key")
        )
        self.value = (
            layout_of(btf, definition.btf_value, "value")
            if btf is not None and typed
            else plain_layout(definition.value_size, "value")
        )

    def frame(self, snapshot: MapSnapshot, *, per_cpu: bool = False) -> pd.DataFrame:
        """A snapshot as a frame, rows in the kernel's order.

        Raises:
            ValueError: ``per_cpu`` of a map that is not.
        """
        keys = decode(rows_of(snapshot.keys, self.definition.key_size), self.key)
        if self.definition.type not in PERCPU_TYPES:
            if per_cpu:
                raise ValueError(f"{self.definition.name!r} is no per-CPU map")
            values = decode(rows_of(snapshot.values, snapshot.stride), self.value)
            return pd.DataFrame(values, index=_index(keys), copy=False)
        # Each CPU's value is padded to 8 bytes (Linux Documentation/bpf/map_array.rst).
        step = (self.definition.value_size + 7) // 8 * 8
        rows = rows_of(snapshot.values, step)
        cpus = snapshot.stride // step
        if per_cpu:
            values = decode(rows, self.value)
            keys = {name: _repeat(column, cpus) for name, column in keys.items()}
            keys["cpu"] = np.tile(np.arange(cpus, dtype=np.int64), len(rows) // cpus)
            return pd.DataFrame(values, index=_index(keys), copy=False)
        return pd.DataFrame(_summed(rows, cpus, self.value), index=_index(keys), copy=False)

    @property
    def bucket(self) -> Column | None:
        """The part of the key that numbers the buckets of a ``BPF_HISTOGRAM``.

        In a structured key the member ``slot`` or ``bucket``, or else the last;
        None if that is no integer.
        """
        columns = {column.name: column for column in self.key.columns}
        name = next((name for name in _BUCKET_NAMES if name in columns), self.key.columns[-1].name)
        return columns[name] if columns[name].kind == kinds.INTEGER else None

    def histogram(self, snapshot: MapSnapshot, *, log2: bool) -> pd.DataFrame:
        """A snapshot of a ``BPF_HISTOGRAM`` as :func:`log2_hist` or :func:`linear_hist` lays it out.

        The parts of the key that are not the bucket become index levels. Where a
        bucket was hit that no power of two has, the layout is linear whatever
        ``log2`` says: the numbers mean something else.

        Raises:
            ValueError: The key numbers no buckets.
        """
        if self.bucket is None:
            raise ValueError(f"{self.definition.name!r} has no integer in its key to number buckets")
        plain = self.frame(snapshot).reset_index()
        hit = plain[plain["value"] != 0]  # an array has an entry for every bucket
        buckets = hit[self.bucket.name].to_numpy()
        others = {c.name: hit[c.name].array for c in self.key.columns if c.name != self.bucket.name}
        lay_out: Callable[..., pd.DataFrame] = log2_hist if log2 and is_log2(buckets) else linear_hist
        return lay_out(buckets, hit["value"].to_numpy(), keys=others or None)


def _index(keys: dict[str, Values]) -> pd.Index:
    if len(keys) == 1:
        ((name, values),) = keys.items()
        return pd.Index(values, name=name)
    return pd.MultiIndex.from_arrays(list(keys.values()), names=list(keys))


def _repeat(values: Values, times: int) -> Values:
    return values.repeat(times)


def _summed(rows: NDArray[np.uint8], cpus: int, layout: Layout) -> dict[str, Values]:
    """Columns over all CPUs: numbers added up, of anything else the first that is set."""
    decoded: dict[str, Values] = {}
    for column in layout.columns:
        if column.kind in _SUMMED:
            raw = read_raw(rows, column).reshape(-1, cpus)
            wide: Any = raw.dtype if raw.dtype.kind in "iuf" else np.uint64
            decoded[column.name] = raw.sum(axis=1, dtype=_widest(wide))
        else:
            chosen = _first_set(rows, cpus, column.offset, np.dtype(column.dtype).itemsize)
            decoded.update(decode(chosen, Layout("", layout.size, (column,))))
    return decoded


def _widest(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A sum needs more room than its terms."""
    return np.dtype({"i": "i8", "u": "u8", "f": "f8"}[np.dtype(dtype).kind])


def _first_set(rows: NDArray[np.uint8], cpus: int, offset: int, size: int) -> NDArray[np.uint8]:
    by_entry = rows.reshape(-1, cpus, rows.shape[1])
    is_set = by_entry[:, :, offset : offset + size].any(axis=2)
    chosen: NDArray[np.uint8] = by_entry[np.arange(len(by_entry)), is_set.argmax(axis=1)]
    return chosen
