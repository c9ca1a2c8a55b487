"""Kstats of kind RAW: the bytes of a C structure, told apart by the types of its kernel.

Solaris leaves such bytes to whoever reads them, which is why it advises against them. Here
the kernel's own description of its types (BTF) comes along: every member becomes a
statistic of the name that C has for it (``mibs[3]``, ``sk.sk_family``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ktrace_nb.errors import OptionError
from ktrace_nb.kstat.model import Type, Value

if TYPE_CHECKING:
    from ktrace_nb.kernel.btf import Btf
    from ktrace_nb.stream.layout import Column

_TYPES: Mapping[str, Type] = {
    "?": Type.UINT32,
    "u1": Type.UINT32,
    "u2": Type.UINT32,
    "u4": Type.UINT32,
    "u8": Type.UINT64,
    "i1": Type.INT32,
    "i2": Type.INT32,
    "i4": Type.INT32,
    "i8": Type.INT64,
    "f4": Type.DOUBLE,
    "f8": Type.DOUBLE,
}


def find_type(btf: Btf, name: str) -> int:
    """The number of a C type such as ``struct tcp_mib`` or a typedef's name.

    Raises:
        OptionError: This kernel has none of that name.
    """
    from ktrace_nb.diagnostics import near_hint
    from ktrace_nb.kernel.btf_format import Kind

    keyword, _, tag = name.strip().rpartition(" ")
    kinds = {"struct": (Kind.STRUCT,), "union": (Kind.UNION,), "": (Kind.TYPEDEF, Kind.INT)}.get(
        keyword.strip()
    )
    found = btf.find(tag, *kinds) if kinds else []
    if not found:
        known = [f"{keyword} {near}".strip() for near in btf.names(*kinds)] if kinds else []
        raise OptionError(f"no type {name!r} in this kernel", hint=near_hint(name, known))
    return found[0]


def decode_raw(data: bytes, btf: Btf, type_name: str) -> dict[str, Value]:
    """The members of a structure as statistics.

    Args:
        data: The structure as it is in memory.
        btf: The types of its kernel.
        type_name: Its type.

    Returns:
        Integers of up to 32 bits as INT32 or UINT32, larger ones and pointers as INT64 or UINT64, floats as
        DOUBLE; texts, names of an enum's constants, addresses of the network and 128-bit integers as STRING,
        bytes that are none of these as STRING in hexadecimal.

    Raises:
        OptionError: No such type, or it has another size.
        FactError: The types are damaged.
    """
    from ktrace_nb.stream.decode import decode, rows_of
    from ktrace_nb.stream.layout import layout_of

    layout = layout_of(btf, find_type(btf, type_name), "value")
    if len(data) != layout.size:
        raise OptionError(
            f"{type_name} has {layout.size} bytes in this kernel, the provider gave {len(data)}"
        )
    decoded = decode(rows_of(bytes(data), layout.size), layout)
    return {
        name: value for column in layout.columns for name, value in _values(column, decoded[column.name][0])
    }


def _values(column: Column, item: Any) -> Iterator[tuple[str, Value]]:
    dtype = column.dtype.rpartition(")")[2].lstrip("<>")  # of an array: "(40,)<u4"
    if isinstance(item, list):
        for number, element in enumerate(item):
            yield f"{column.name}[{number}]", _value(dtype, element)
    else:
        yield column.name, _value(dtype, item)


def _value(dtype: str, item: Any) -> Value:
    if isinstance(item, bytes):
        return Value(value=item.hex(), type=Type.STRING)
    if isinstance(item, str) or dtype not in _TYPES:
        return Value(value=str(item), type=Type.STRING)
    type_ = _TYPES[dtype]
    return Value(value=float(item) if type_ is Type.DOUBLE else int(item), type=type_)
