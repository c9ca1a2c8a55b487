"""Records in bulk to columns: no Python call per record."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ktrace_nb.stream import layout as kinds
from ktrace_nb.stream.layout import Column, Layout

Bytes: TypeAlias = NDArray[np.uint8]
Values: TypeAlias = NDArray[Any] | pd.Categorical


def rows_of(data: bytes | memoryview, stride: int) -> Bytes:
    """A buffer of records as a two-dimensional array, one row each, without a copy."""
    return np.frombuffer(data, np.uint8).reshape(-1, stride)


def decode(rows: Bytes, layout: Layout) -> dict[str, Values]:
    """Every column of records.

    Args:
        rows: One record per row; rows may be longer than the layout.
        layout: What a record holds.

    Returns:
        Column names to values: contiguous arrays or categoricals, by kind as
        :mod:`ktrace_nb.stream.layout` lists them.
    """
    return {column.name: finish(read_raw(rows, column), column) for column in layout.columns}


def read_raw(rows: Bytes, column: Column) -> NDArray[Any]:
    """The values of one column as they are stored, contiguous."""
    return np.ascontiguousarray(look_at(rows, column))


def look_at(rows: Bytes, column: Column) -> NDArray[Any]:
    """The values of one column as they are stored; where they lie, if that is possible."""
    if column.kind == kinds.BITS:
        return _read_bits(rows, column)
    dtype = np.dtype(column.dtype)
    values = rows[:, column.offset : column.offset + dtype.itemsize].view(dtype.base)
    if dtype.subdtype:
        return values.reshape(len(rows), *dtype.shape)
    return values[:, 0].astype(dtype.newbyteorder("="), copy=False)


def _read_bits(rows: Bytes, column: Column) -> NDArray[Any]:
    touched = (column.bit + column.bits + 7) // 8
    value = np.zeros(len(rows), np.uint64)
    for i in range(min(touched, 8)):
        value |= rows[:, column.offset + i].astype(np.uint64) << np.uint64(8 * i)
    value >>= np.uint64(column.bit)
    if touched > 8:
        value |= rows[:, column.offset + 8].astype(np.uint64) << np.uint64(64 - column.bit)
    if column.bits < 64:
        value &= np.uint64((1 << column.bits) - 1)
    if column.signed:
        spare = np.int64(64 - column.bits)
        return ((value.view(np.int64) << spare) >> spare).astype(column.dtype)
    return value.astype(column.dtype)


def finish(raw: NDArray[Any], column: Column) -> Values:
    """What :func:`read_raw` gave, as it is shown."""
    finisher = _FINISHERS.get(column.kind)
    return finisher(raw, column) if finisher else raw


def categories(column: Column) -> Callable[[bytes], str] | None:
    """How one distinct stored value of a categorical column is written; None for other columns."""
    if column.kind == kinds.TEXT:
        return lambda value: value.split(b"\0", 1)[0].decode("utf-8", "replace")
    if column.kind == kinds.IPV4:
        return lambda value: str(ipaddress.IPv4Address(value.ljust(4, b"\0")))
    if column.kind == kinds.IPV6:
        return lambda value: str(ipaddress.IPv6Address(value.ljust(16, b"\0")))
    if column.kind == kinds.ENUM:
        names = dict(reversed(column.names))
        signed = column.dtype[1] == "i"
        return lambda value: names.get(number := int.from_bytes(value, "little", signed=signed), str(number))
    return None


def distinct(raw: NDArray[Any]) -> tuple[NDArray[np.int32], list[bytes]]:
    """Number the distinct values of fixed-size items: a code per item, and the values.

    pyarrow's dictionary encoding costs 15 ns per item where pandas' takes 230.
    """
    size = raw.dtype.itemsize
    if not len(raw):
        return np.empty(0, np.int32), []
    items = pa.Array.from_buffers(pa.binary(size), len(raw), [None, pa.py_buffer(np.ascontiguousarray(raw))])
    encoded = items.dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()


def _categorical(raw: NDArray[Any], column: Column) -> pd.Categorical:
    write = categories(column)
    assert write is not None
    codes, values = distinct(raw)
    texts = [write(value) for value in values]
    names = list(dict.fromkeys(texts))
    if len(names) < len(texts):  # garbage behind a NUL made equal strings distinct
        position = {name: i for i, name in enumerate(names)}
        codes = np.array([position[text] for text in texts], np.int32)[codes]
    return pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype=object).astype(str))


def _wide(raw: NDArray[Any], column: Column) -> NDArray[Any]:
    halves = raw.view("<u8").reshape(-1, 2).astype(object)
    values = halves[:, 0] + (halves[:, 1] << 64)
    if column.signed:
        values = np.where(values >= 1 << 127, values - (1 << 128), values)
    result: NDArray[Any] = values.astype(object)
    return result


def _list(raw: NDArray[Any], _: Column) -> NDArray[Any]:
    values = np.empty(len(raw), object)
    for i, item in enumerate(raw):
        values[i] = item.tobytes() if raw.dtype.kind == "V" else item.tolist()
    return values


_FINISHERS: dict[str, Callable[[NDArray[Any], Column], Values]] = {
    kinds.TEXT: _categorical,
    kinds.ENUM: _categorical,
    kinds.IPV4: _categorical,
    kinds.IPV6: _categorical,
    kinds.WIDE: _wide,
    kinds.ARRAY: _list,
}
