"""Who calls whom, as a graph of a size that can be read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

MOST_NODES = 40
MOST_EDGES = 120

COLUMNS = ("count", "errors", "total_ns", "self_ns")
"""What is read of a frame of edges, besides its index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A function, or all those that have no node of their own."""

    name: str
    count: int
    errors: int
    self_ns: int
    total_ns: int
    """Calls made by the function itself not counted again."""

    merged: int = 0
    """How many functions it stands for, 0 is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Calls made from one node to another."""

    caller: int
    callee: int
    count: int
    errors: int
    total_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallGraph:
    """The functions that matter most and the calls between them."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    hidden: int
    """Edges that are not drawn."""

    functions: int
    """Functions in the frame."""

    whole_ns: int
    """Self time of all functions, nanoseconds."""


def call_graph(edges: pd.DataFrame, *, most: int = MOST_NODES) -> CallGraph:
    """Pick the functions with the largest share of self time or of total time.

    The others become one node, ``… 12 more functions``. Of more than
    ``MOST_EDGES`` edges those that took longest are kept, and of each node the
    one it was mostly called by.

    Args:
        edges: A frame of edges, indexed by ``caller`` (the empty name for outermost
            calls) and ``callee``, with ``count``, ``errors``, ``total_ns`` and
            ``self_ns`` of the callee.
        most: How many functions get a node of their own.

    Raises:
        ValueError: An index level or a column is missing, or ``most`` is below 1.
    """
    if most < 1:
        raise ValueError(f"most is {most}, wanted at least 1 function")
    flat = _flat(edges)
    named = flat[flat["caller"] != ""]
    by_callee = flat.groupby("callee", sort=False)[["count", "errors", "self_ns"]].sum()
    others = flat[flat["caller"] != flat["callee"]]
    total = others.groupby("callee", sort=False)["total_ns"].sum()
    functions = pd.Index([*by_callee.index, *named["caller"]]).unique()
    sums = by_callee.reindex(functions, fill_value=0)
    sums["total_ns"] = total.reindex(functions, fill_value=0)

    shares = sums[["self_ns", "total_ns"]] / sums[["self_ns", "total_ns"]].max().clip(lower=1)
    order = np.argsort(-shares.max(axis=1).to_numpy(), kind="stable")
    kept, rest = functions[order[:most]], functions[order[most:]]
    nodes = [
        Node(name=str(name), **{column: int(value) for column, value in sums.loc[name].items()})
        for name in kept
    ]
    if len(rest):
        left = sums.loc[rest].sum()
        nodes.append(
            Node(
                name=f"… {len(rest):,} more {'function' if len(rest) == 1 else 'functions'}",
                merged=len(rest),
                **{column: int(value) for column, value in left.items()},
            )
        )
    drawn, hidden = _edges(named, kept)
    return CallGraph(
        nodes=tuple(nodes),
        edges=drawn,
        hidden=hidden,
        functions=len(functions),
        whole_ns=int(sums["self_ns"].sum()),
    )


def _flat(edges: pd.DataFrame) -> pd.DataFrame:
    levels = [name for name in ("caller", "callee") if name in edges.index.names]
    flat = edges.reset_index(level=levels) if levels else edges
    for name in ("caller", "callee", *COLUMNS):
        if name not in flat.columns:
            raise ValueError(
                f"no {name!r} in the frame, wanted a frame of edges: caller, callee, {', '.join(COLUMNS)}"
            )
    return flat.astype({"caller": "str", "callee": "str"})


def _edges(named: pd.DataFrame, kept: pd.Index) -> tuple[tuple[Edge, ...], int]:
    """Edges between nodes, the functions left out taken as one node behind the others."""
    number = {name: place for place, name in enumerate(kept)}
    ends = pd.DataFrame(
        {
            "caller": [number.get(name, len(kept)) for name in named["caller"]],
            "callee": [number.get(name, len(kept)) for name in named["callee"]],
            **{name: named[name].to_numpy() for name in ("count", "errors", "total_ns")},
        },
    )
    # What goes on among those left out has no place in the picture.
    ends = ends[(ends["caller"] < len(kept)) | (ends["callee"] < len(kept))]
    sums = ends.groupby(["caller", "callee"], sort=True).sum().reset_index()
    order = sums.sort_values(["total_ns", "count"], ascending=False, kind="stable")
    needed = set(order[order["caller"] != order["callee"]].drop_duplicates("callee").index)
    wanted = set(order.index[:MOST_EDGES]) | needed
    shown = sums[sums.index.isin(wanted)]
    columns = (shown[name].tolist() for name in ("caller", "callee", "count", "errors", "total_ns"))
    drawn = tuple(
        Edge(caller=caller, callee=callee, count=count, errors=errors, total_ns=total_ns)
        for caller, callee, count, errors, total_ns in zip(*columns, strict=True)
    )
    return drawn, len(sums) - len(drawn)
