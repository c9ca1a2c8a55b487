"""The tree of call paths: which functions led to a call.

A path is what two calls have in common that were made the same way: the same function,
called by the same functions, up to the outermost. Paths are numbered such that a path's
parent has a smaller number, and built level by level with numpy: the number of steps is
the depth of the deepest call, not the number of calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Every path of some calls."""

    labels: tuple[str, ...]
    """Names that :attr:`label` counts in."""
    label: Numbers
    """Of each path, what it ends in; int64."""
    parent: Numbers
    """Of each path, the path it continues, -1 where it begins; int64."""
    of_call: Numbers
    """Of each call, in the frame's order, its path; int64."""

    def __len__(self) -> int:
        return len(self.label)

    def recursive(self) -> NDArray[np.bool_]:
        """Of each path, whether the function it ends in occurs earlier in it as well."""
        found = np.zeros(len(self), dtype=np.bool_)
        ancestor = self.parent.copy()
        while (rest := np.flatnonzero(ancestor >= 0)).size:
            above = ancestor[rest]
            found[rest] |= self.label[above] == self.label[rest]
            ancestor[rest] = self.parent[above]
        return found

    def written(self, labels: Sequence[str] | None = None) -> list[str]:
        """Each path as text, outermost first, with ``;`` between.

        Args:
            labels: What to write in place of :attr:`labels`.
        """
        names = self.labels if labels is None else labels
        texts: list[str] = []
        for label, parent in zip(self.label.tolist(), self.parent.tolist(), strict=True):
            name = names[label]
            texts.append(f"{texts[parent]};{name}" if parent >= 0 else name)
        return texts


def parent_rows(calls: pd.DataFrame) -> Numbers:
    """Where in a calls frame each call's caller is.

    Returns:
        int64 positions; -1 where there is none, or it is not among these calls.
    """
    parents = calls["parent"].to_numpy(np.int64)
    if isinstance(calls.index, pd.RangeIndex) and calls.index.step == 1:
        rows = parents - calls.index.start
        inside = (parents >= 0) & (rows >= 0) & (rows < len(calls))
        return np.where(inside, rows, -1)
    return calls.index.get_indexer(pd.Index(parents)).astype(np.int64)


def codes(column: pd.Series) -> tuple[tuple[str, ...], Numbers]:
    """A column of names as names and numbers; what is missing is the name ``""``."""
    if isinstance(column.dtype, pd.CategoricalDtype) and not column.hasnans:
        names, numbers = column.cat.categories, column.cat.codes.to_numpy()
    else:
        numbers, names = pd.factorize(column.astype(object).where(column.notna(), ""))
    return tuple(str(name) for name in names), numbers.astype(np.int64)


def call_paths(calls: pd.DataFrame, *, commands: bool = False) -> Paths:
    """Find the paths of calls.

    Args:
        calls: With ``function``, ``parent`` and ``depth``; a call whose caller is not among
            them begins a path.
        commands: Whether paths begin with the thread's name, ``comm``, of the outermost call.
    """
    names, function = codes(calls["function"])
    above = parent_rows(calls)
    depth = calls["depth"].to_numpy(np.int64)
    path = np.full(len(calls), -1, dtype=np.int64)
    labels, parents = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    count = 0
    begins = np.full(len(calls), -1, dtype=np.int64)
    if commands:
        comms, comm = codes(calls["comm"])
        used, begins = np.unique(comm, return_inverse=True)
        labels.append(used + len(names))
        parents.append(np.full(len(used), -1, np.int64))
        names, count = names + comms, len(used)
    # A caller is less deep than what it calls, so its path is known when it is asked for.
    order = np.argsort(depth, kind="stable")
    edges = np.flatnonzero(np.diff(depth[order])) + 1
    for rows in np.split(order, edges):
        before = np.where(above[rows] >= 0, path[above[rows]], begins[rows])
        keys, place = np.unique((before + 1) * (len(names) + 1) + function[rows], return_inverse=True)
        path[rows] = count + place
        parents.append(keys // (len(names) + 1) - 1)
        labels.append(keys % (len(names) + 1))
        count += len(keys)
    return _joined(names, np.concatenate(labels), np.concatenate(parents), path)


def _joined(names: tuple[str, ...], label: Numbers, parent: Numbers, path: Numbers) -> Paths:
    """Paths that begin at several depths may have been found once for each: make them one."""
    first: dict[tuple[int, int], int] = {}
    if len(np.unique((parent + 1) * len(names) + label)) == len(label):
        return Paths(names, label, parent, path)
    number = np.empty(len(label), np.int64)
    for at, key in enumerate(zip(label.tolist(), parent.tolist(), strict=True)):
        above = int(number[key[1]]) if key[1] >= 0 else -1
        number[at] = first.setdefault((key[0], above), len(first))
    kept = np.array(list(first), dtype=np.int64).reshape(-1, 2)
    return Paths(names, kept[:, 0], kept[:, 1], number[path])
