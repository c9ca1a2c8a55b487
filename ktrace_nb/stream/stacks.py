"""Stack traces as frames, with the kernel's names for its addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from ktrace_nb.stream.maps import MapSnapshot

Symbolizer = Callable[[Sequence[int]], Sequence[str]]


def stacks_frame(snapshot: MapSnapshot, name: Symbolizer) -> pd.DataFrame:
    """A ``BPF_STACK_TRACE`` map as a frame.

    Args:
        snapshot: Its entries: a u32 id, then up to 127 return addresses, the
            innermost first, zero-filled.
        name: Gives a text for each of many addresses.

    Returns:
        One row per stack, indexed by ``stack_id`` (int64):

        ============= ======= =================================================
        ``depth``      int64   number of addresses
        ``frames``     object  tuple of str, innermost first: ``vfs_read+0x91``;
                               user addresses as ``0x7f…``
        ``addresses``  object  array of uint64, likewise
        ============= ======= =================================================
    """
    ids = np.frombuffer(snapshot.keys, "<u4").astype(np.int64)
    table = np.frombuffer(snapshot.values, "<u8").reshape(len(ids), snapshot.stride // 8)
    depths = (table != 0).sum(axis=1)
    unique, where = np.unique(table, return_inverse=True)
    names = np.array(list(name([int(a) for a in unique])), dtype=object)
    where = where.reshape(table.shape)
    frames = [tuple(names[row[:depth]]) for row, depth in zip(where, depths, strict=True)]
    addresses = [row[:depth] for row, depth in zip(table, depths, strict=True)]
    columns = {"depth": depths.astype(np.int64), "frames": _objects(frames), "addresses": _objects(addresses)}
    return pd.DataFrame(columns, index=pd.Index(ids, name="stack_id")).sort_index()


def _objects(items: Sequence[object]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    # np.array() would make a table of sequences that happen to be equally long.
    result = np.empty(len(items), object)
    for i, item in enumerate(items):
        result[i] = item
    return result
