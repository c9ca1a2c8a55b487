"""Calls merged by path: what a flame view draws.

Two calls are one node of the tree if their functions are the same and the calls
they were made from are one node. So a node is a path of functions, and has the
calls of all threads that took it.

A call without a return (still open, or its return was missed) has no duration: it
is taken to have lasted as long as the calls made from it, so that a node is never
smaller than what is below it. A call whose parent is not in the frame, because
the frame was filtered, starts a tree of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ktrace_nb.stream.calls.durations import summed
from ktrace_nb.stream.calls.paths import parent_rows

COLUMNS = ("function", "depth", "parent", "duration_ns", "self_ns", "error")
"""What is read of a frame of calls."""

SEPARATOR = ";"
"""Between the functions of a path, as in folded stacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTree:
    """Nodes as columns; a node comes after its parent."""

    names: tuple[str, ...]
    """Of functions, by number."""

    function: NDArray[np.int32]
    """Number of the node's function."""

    parent: NDArray[np.int32]
    """-1 is outermost."""

    depth: NDArray[np.int32]
    count: NDArray[np.int64]
    """Calls."""

    errors: NDArray[np.int64]
    """Calls that returned an error."""

    total_ns: NDArray[np.int64]
    self_ns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.parent)

    def below(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sum a column over each node and everything below it."""
        sums = values.copy()
        for level in reversed(self.levels()):
            held = level[self.parent[level] >= 0]
            np.add.at(sums, self.parent[held], sums[held])
        return sums

    def levels(self) -> list[NDArray[np.intp]]:
        """The nodes of each depth, outermost first."""
        if not len(self):
            return []
        order = np.argsort(self.depth, kind="stable")
        ends = np.cumsum(np.bincount(self.depth))
        return np.split(order, ends[:-1])

    @property
    def whole_ns(self) -> int:
        """Time of everything: of the outermost calls together, nanoseconds."""
        return int(self.total_ns[self.parent < 0].sum())


def flame_tree(calls: pd.DataFrame) -> pd.DataFrame:
    """Merge calls by path.

    Args:
        calls: A frame of calls, or any part of its rows. Read are ``function``,
            ``depth``, ``parent`` (a label of the index, -1 none), ``duration_ns``,
            ``self_ns`` (missing: no return was seen) and ``error`` (missing: none).

    Returns:
        One row per path, indexed by ``node`` (int64), a node after its parent:

        ============ ====== =====================================================
        ``path``     str    the functions from the outermost on, ``;`` between
        ``function`` str    the last of them
        ``depth``    int32  0 is outermost
        ``parent``   int32  node, -1 none
        ``total_ns`` int64  from entry to return, all calls together
        ``self_ns``  int64  the same less recorded calls made from them
        ``count``    int64  calls
        ``errors``   int64  calls that returned an error
        ============ ====== =====================================================

    Raises:
        ValueError: A column is missing, or a label of the index occurs twice.
    """
    tree = TreeBuilder().update(calls)
    functions = [tree.names[number] for number in tree.function.tolist()]
    paths: list[str] = []
    for function, parent in zip(functions, tree.parent.tolist(), strict=True):
        paths.append(function if parent < 0 else f"{paths[parent]}{SEPARATOR}{function}")
    return pd.DataFrame(
        {
            "path": pd.Series(paths, dtype="str"),
            "function": pd.Series(functions, dtype="str"),
            "depth": tree.depth,
            "parent": tree.parent,
            "total_ns": tree.total_ns,
            "self_ns": tree.self_ns,
            "count": tree.count,
            "errors": tree.errors,
        },
        index=pd.RangeIndex(len(tree), name="node"),
    )


class TreeBuilder:
    """Merges frames of calls that grow from one look to the next.

    Which node a call belongs to is found once; what is summed up over the nodes is
    summed anew each time, because an open call gets its duration later. A frame
    whose first rows are not those of the last look is merged from its beginning.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._names: dict[str, int] = {}
        self._nodes: dict[tuple[int, int], int] = {}
        self._parents: list[int] = []
        self._functions: list[int] = []
        self._depths: list[int] = []
        self._seen_parent = np.empty(0, dtype=np.int64)
        self._seen_function = np.empty(0, dtype=np.int32)
        self._node = np.empty(0, dtype=np.int32)

    def update(self, calls: pd.DataFrame) -> CallTree:
        """Merge the frame as it stands.

        Raises:
            ValueError: A column is missing, or a label of the index occurs twice.
        """
        missing = [name for name in COLUMNS if name not in calls.columns]
        if missing:
            raise ValueError(
                f"no column {missing[0]!r} in the frame, wanted a frame of calls with {', '.join(COLUMNS)}"
            )
        if not calls.index.is_unique:
            raise ValueError("a label of the index occurs twice, wanted a frame of calls indexed by call")
        parent = parent_rows(calls)
        function = self._numbers(calls["function"])
        seen = len(self._node)
        if (
            len(calls) < seen
            or not np.array_equal(parent[:seen], self._seen_parent)
            or not np.array_equal(function[:seen], self._seen_function)
        ):
            self._forget()
            function, seen = self._numbers(calls["function"]), 0
        self._assign(parent, function, calls["depth"].to_numpy(), seen)
        self._seen_parent, self._seen_function = parent, function
        return self._sums(calls, parent)

    def _numbers(self, functions: pd.Series[Any]) -> NDArray[np.int32]:
        """Each row's function by our own number, which stays when categories are added or sorted."""
        if isinstance(functions.dtype, pd.CategoricalDtype):
            codes, names = functions.cat.codes.to_numpy(), functions.cat.categories
        else:
            codes, names = pd.factorize(functions)
        # One number more, for a missing name, whose code is -1.
        numbers = [self._names.setdefault(str(name), len(self._names)) for name in names]
        if len(codes) and codes.min() < 0:
            numbers.append(self._names.setdefault("?", len(self._names)))
        return np.array(numbers or [0], dtype=np.int32)[codes]

    def _assign(
        self, parent: NDArray[np.int64], function: NDArray[np.int32], depth: NDArray[Any], seen: int
    ) -> None:
        """Find the node of each row from ``seen`` on, level by level."""
        node = np.full(len(parent), -1, dtype=np.int32)
        node[:seen] = self._node
        depth = depth[seen:]
        order = np.argsort(depth, kind="stable") + seen
        ends = np.flatnonzero(np.diff(depth[order - seen])) + 1
        for rows in np.split(order, ends) if len(order) else []:
            above = np.where(parent[rows] >= 0, node[parent[rows]], -1).astype(np.int64)
            codes, keys = pd.factorize((above << 32) | function[rows])
            numbers = [self._number(int(key) >> 32, int(key) & 0xFFFFFFFF) for key in keys.tolist()]
            node[rows] = np.array(numbers, dtype=np.int32)[codes]
        self._node = node

    def _number(self, parent: int, function: int) -> int:
        number = self._nodes.setdefault((parent, function), len(self._nodes))
        if number == len(self._parents):
            self._parents.append(parent)
            self._functions.append(function)
            self._depths.append(self._depths[parent] + 1 if parent >= 0 else 0)
        return number

    def _sums(self, calls: pd.DataFrame, parent: NDArray[np.int64]) -> CallTree:
        node, size = self._node, len(self._parents)
        duration = _nanoseconds(calls["duration_ns"])
        lasted = _with_open(duration, parent, calls["depth"].to_numpy())
        error = node[calls["error"].notna().to_numpy()]
        own = np.nan_to_num(_nanoseconds(calls["self_ns"]))
        return CallTree(
            names=tuple(self._names),
            function=np.array(self._functions, dtype=np.int32),
            parent=np.array(self._parents, dtype=np.int32),
            depth=np.array(self._depths, dtype=np.int32),
            count=np.bincount(node, minlength=size).astype(np.int64),
            errors=np.bincount(error, minlength=size).astype(np.int64),
            total_ns=summed(lasted.astype(np.int64), node, size),
            self_ns=summed(own.astype(np.int64), node, size),
        )


def _nanoseconds(column: pd.Series[Any]) -> NDArray[np.float64]:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _with_open(
    duration: NDArray[np.float64], parent: NDArray[np.int64], depth: NDArray[Any]
) -> NDArray[np.float64]:
    """Durations, of calls without one the sum of those of the calls made from them."""
    opened = np.isnan(duration)
    if not opened.any():
        return duration
    lasted = np.where(opened, 0.0, duration)
    inside = np.flatnonzero((parent >= 0) & opened[parent])
    levels = depth[inside]
    for level in np.unique(levels)[::-1]:
        rows = inside[levels == level]
        np.add.at(lasted, parent[rows], lasted[rows])
    return lasted


def top_nodes(tree: CallTree, most: int) -> tuple[CallTree, int]:
    """Keep the largest nodes; merge the others of each parent into one called ``…``.

    Largest by share of time or by share of calls, each with everything below, so
    that a node is kept only with its parent.

    Args:
        tree: A tree.
        most: Nodes to keep; those called ``…`` come on top, at most one for each.

    Returns:
        The smaller tree, and how many nodes were merged.
    """
    if len(tree) <= most:
        return tree, 0
    calls = tree.below(tree.count)
    of_time = tree.total_ns / max(tree.whole_ns, 1)
    rank = np.maximum(of_time, calls / calls[tree.parent < 0].sum())
    for level in tree.levels()[1:]:  # a part of a frame may say that a call took longer than its parent
        rank[level] = np.minimum(rank[level], rank[tree.parent[level]])
    # Equal ones in order of number, which is parents first.
    chosen = np.zeros(len(tree), dtype=bool)
    chosen[np.argsort(-rank, kind="stable")[:most]] = True
    # What is merged: nodes that were left out below one that was kept, or outermost.
    left = np.flatnonzero(~chosen & ((tree.parent < 0) | chosen[tree.parent]))
    number = np.cumsum(chosen) - 1
    above_left = np.where(tree.parent[left] < 0, -1, number[tree.parent[left]])
    owners, group = np.unique(above_left, return_inverse=True)
    kept = np.flatnonzero(chosen)

    def merged(values: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate([values[kept], summed(whole[left], group, len(owners))])

    above = np.where(tree.parent[kept] < 0, -1, number[tree.parent[kept]])
    depths = np.where(owners < 0, 0, tree.depth[kept][owners] + 1)
    others = np.full(len(owners), len(tree.names))
    return CallTree(
        names=(*tree.names, "…"),
        function=np.concatenate([tree.function[kept], others]).astype(np.int32),
        parent=np.concatenate([above, owners]).astype(np.int32),
        depth=np.concatenate([tree.depth[kept], depths]).astype(np.int32),
        count=merged(tree.count, calls),
        errors=merged(tree.errors, tree.below(tree.errors)),
        total_ns=merged(tree.total_ns, tree.total_ns),
        self_ns=merged(tree.self_ns, tree.below(tree.self_ns)),
    ), len(tree) - len(kept)
