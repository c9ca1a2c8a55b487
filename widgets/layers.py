"""Places of nodes and edges in layers, callers above callees.

For machines without Graphviz, and for graphs of some forty nodes: the method of
Sugiyama, Tagawa and Toda (1981). Cycles are opened, each node comes below all its
callers, long edges get a point in every layer they cross, layers are ordered by
barycentres until crossings get no fewer, and each node moves as near to the middle
of its neighbours as the order allows.

Libraries were looked at: grandalf (alpha, no release since 2023, GPL or EPL) and
fast-sugiyama (beta, needs a binary for each machine) are not worth a dependency here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]

LABEL_LETTERS = 6
"""Room for the number at an edge."""

MARGIN = 8.0
"""Pixels around it all."""

SWEEPS = 12
_LABEL_ASIDE = 17.0
_STRAIGHT = 12
"""An edge across several layers holds on to its line so many times more than a node to its place."""

_GAP, _BETWEEN, _LOOP, _ASIDE = 18.0, 52.0, 26.0, 18.0
_BEND = 0.45
"""How far an edge goes straight down before it turns, as a share of its height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything is; pixels, the origin at the top on the left."""

    width: float
    height: float
    centres: tuple[Point, ...]
    """Of each node."""

    paths: tuple[tuple[Point, ...], ...]
    """Of each edge: a point, and three more for each cubic Bézier curve."""

    labels: tuple[Point, ...]
    """The middle of each edge's label."""

    engine: str
    """Whose work it is."""


def layered_layout(
    sizes: Sequence[Point],
    links: Sequence[tuple[int, int]],
    *,
    apart: float = _BETWEEN,
) -> Layout:
    """Lay a graph out.

    Args:
        sizes: Width and height of each node, pixels.
        links: From and to, by number of the node; the same pair at most once.
        apart: Room between layers, pixels.
    """
    if not sizes:
        return Layout(width=0, height=0, centres=(), paths=(), labels=(), engine="layers")
    forward = _without_cycles(len(sizes), links)
    ranks = _ranks(len(sizes), [ends for ends in forward if ends is not None])
    widths = [width for width, _ in sizes]
    chains: list[list[int]] = []
    """Per link the nodes it passes, those without a box too."""

    levels = list(ranks)
    for ends in forward:
        if ends is None:
            chains.append([])
            continue
        start, end = ends
        between = range(ranks[start] + 1, ranks[end])
        passed = [len(levels) + place for place in range(len(between))]
        levels += between
        widths += [4.0] * len(between)
        chains.append([start, *passed, end])
    steps = [pair for chain in chains for pair in pairwise(chain)]
    layers = _ordered(levels, steps)
    across = _across(layers, steps, widths, len(sizes))
    tops, height = _tops(layers, sizes, apart)

    def middle(node: int) -> float:
        return tops[levels[node]][0] + tops[levels[node]][1] / 2

    centres = [(across[node], middle(node)) for node in range(len(sizes))]
    right = max(across[node] + widths[node] / 2 for node in range(len(widths)))
    paths, labels = [], []
    for (start, end), chain in zip(links, chains, strict=True):
        if chain:
            back = (start, end) != (chain[0], chain[-1])
            # A call back may run along the same nodes as the call there: beside it.
            aside = _ASIDE if back else 0.0
            path = _path([(across[node] + aside, *_edge_of(node, sizes, middle)) for node in chain])
            x, y = _between(path) if len(path) == 4 else path[3]
            label = (x + _LABEL_ASIDE, y)
            paths.append(path[::-1] if back else path)
        else:
            path = _loop(centres[start], sizes[start])
            label = (path[3][0] + _LABEL_ASIDE, path[3][1])
            paths.append(path)
        right = max(right, label[0] + _LABEL_ASIDE)
        labels.append(label)
    return Layout(
        width=right + MARGIN,
        height=height,
        centres=tuple(centres),
        paths=tuple(paths),
        labels=tuple(labels),
        engine="layers",
    )


def _without_cycles(count: int, links: Sequence[tuple[int, int]]) -> list[tuple[int, int] | None]:
    """The links with those turned around that close a cycle; None for one to itself."""
    callees: dict[int, list[int]] = {}
    called = set()
    for start, end in links:
        if start != end:
            callees.setdefault(start, []).append(end)
            called.add(end)
    turned: set[tuple[int, int]] = set()
    state = [0] * count  # 1 on the way down, 2 done
    for root in sorted(range(count), key=lambda node: node in called):
        way = [] if state[root] else [(root, iter(callees.get(root, ())))]
        state[root] = state[root] or 1
        while way:
            node, left = way[-1]
            for callee in left:
                if state[callee] == 1:
                    turned.add((node, callee))
                elif not state[callee]:
                    state[callee] = 1
                    way.append((callee, iter(callees.get(callee, ()))))
                    break
            else:
                state[node] = 2
                way.pop()
    return [
        None if start == end else (end, start) if (start, end) in turned else (start, end)
        for start, end in links
    ]


def _ranks(count: int, links: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each node: one below the lowest of those it is called by."""
    callees: dict[int, set[int]] = {}
    waits = [0] * count
    for start, end in set(links):
        callees.setdefault(start, set()).add(end)
        waits[end] += 1
    ranks = [0] * count
    ready = [node for node in range(count) if not waits[node]]
    for node in ready:
        for callee in callees.get(node, ()):
            ranks[callee] = max(ranks[callee], ranks[node] + 1)
            waits[callee] -= 1
            if not waits[callee]:
                ready.append(callee)
    return ranks


def _ordered(levels: Sequence[int], steps: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The nodes of each layer from left to right, with few crossings."""
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    for start, end in steps:
        above.setdefault(end, []).append(start)
        below.setdefault(start, []).append(end)
    layers: list[list[int]] = [[] for _ in range(max(levels) + 1)]
    for node, level in enumerate(levels):
        layers[level].append(node)
    best, fewest = [layer[:] for layer in layers], _crossings(layers, below)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for number in range(1, len(layers)) if down else range(len(layers) - 2, -1, -1):
            beside = layers[number - 1 if down else number + 1]
            place = {node: at for at, node in enumerate(beside)}
            own = {node: at for at, node in enumerate(layers[number])}

            def barycentre(node: int) -> float:
                found = [place[other] for other in near.get(node, ())]  # noqa: B023  # used at once
                return sum(found) / len(found) if found else float(own[node])  # noqa: B023

            layers[number].sort(key=barycentre)
        crossings = _crossings(layers, below)
        if crossings < fewest:
            best, fewest = [layer[:] for layer in layers], crossings
    return best


def _crossings(layers: Sequence[Sequence[int]], below: dict[int, list[int]]) -> int:
    count = 0
    for upper, lower in pairwise(layers):
        place = {node: at for at, node in enumerate(lower)}
        ends: list[int] = []
        for node in upper:
            own = sorted(place[other] for other in below.get(node, ()))
            count += sum(earlier > later for later in own for earlier in ends)
            ends += own
    return count


def _across(
    layers: Sequence[Sequence[int]], steps: Sequence[tuple[int, int]], widths: Sequence[float], boxes: int
) -> list[float]:
    """The middle of each node from the left; those from ``boxes`` on are points of long edges."""
    near: dict[int, list[int]] = {}
    for start, end in steps:
        near.setdefault(start, []).append(end)
        near.setdefault(end, []).append(start)
    across = [0.0] * len(widths)
    offsets: list[list[float]] = []
    for layer in layers:
        at, own = 0.0, []
        for node in layer:
            own.append(at + widths[node] / 2)
            at += widths[node] + _GAP
        offsets.append(own)
        for node, offset in zip(layer, own, strict=True):
            across[node] = offset - at / 2
    for sweep in range(SWEEPS):
        order = range(len(layers)) if sweep % 2 == 0 else range(len(layers) - 1, -1, -1)
        for number in order:
            layer = layers[number]
            wishes = []
            for node in layer:
                others = [across[other] for other in near.get(node, ())]
                wishes.append(sum(others) / len(others) if others else across[node])
            weights = [1 if node < boxes else _STRAIGHT for node in layer]
            for node, place in zip(layer, _spread(wishes, offsets[number], weights), strict=True):
                across[node] = place
    left = min(across[node] - widths[node] / 2 for node in range(len(widths)))
    return [place - left + MARGIN for place in across]


def _spread(wishes: Sequence[float], offsets: Sequence[float], weights: Sequence[int]) -> list[float]:
    """Places nearest to the wishes (weighted least squares) that keep order and distances.

    Isotonic regression by pooling of adjacent violators: nodes that would overlap
    become a block, which stands at the mean of their wishes.
    """
    blocks: list[tuple[float, int, int]] = []  # mean wish, weight, size
    for wish, offset, own in zip(wishes, offsets, weights, strict=True):
        mean, weight, size = wish - offset, own, 1
        while blocks and blocks[-1][0] > mean:
            before, more, larger = blocks.pop()
            mean = (mean * weight + before * more) / (weight + more)
            weight, size = weight + more, size + larger
        blocks.append((mean, weight, size))
    bases = [mean for mean, _, size in blocks for _ in range(size)]
    return [base + offset for base, offset in zip(bases, offsets, strict=True)]


def _tops(
    layers: Sequence[Sequence[int]], sizes: Sequence[Point], apart: float
) -> tuple[list[tuple[float, float]], float]:
    """Top and height of each layer, and where the last one ends."""
    found, at = [], MARGIN
    for layer in layers:
        tall = max((sizes[node][1] for node in layer if node < len(sizes)), default=0.0)
        found.append((at, tall))
        at += tall + apart
    return found, at - apart + MARGIN


def _edge_of(node: int, sizes: Sequence[Point], middle: Callable[[int], float]) -> tuple[float, float]:
    """Where lines to a node end and where those from it begin, from the top."""
    half = sizes[node][1] / 2 if node < len(sizes) else 0.0
    return middle(node) - half, middle(node) + half


def _path(points: Sequence[tuple[float, float, float]]) -> tuple[Point, ...]:
    """A smooth line down through (x, top, bottom) of each node it passes."""
    path: list[Point] = [(points[0][0], points[0][2])]
    for (x0, _, y0), (x1, y1, _) in pairwise(points):
        bend = (y1 - y0) * _BEND
        path += [(x0, y0 + bend), (x1, y1 - bend), (x1, y1)]
    return tuple(path)


def _between(path: Sequence[Point]) -> Point:
    """The middle of one cubic Bézier curve."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = path
    return (x0 + 3 * x1 + 3 * x2 + x3) / 8, (y0 + 3 * y1 + 3 * y2 + y3) / 8


def _loop(centre: Point, size: Point) -> tuple[Point, ...]:
    """A line from a node's right side back to it."""
    x, y = centre[0] + size[0] / 2, centre[1]
    out = x + _LOOP
    return (x, y - 8), (x + 12, y - 14), (out, y - 12), (out, y), (out, y + 12), (x + 12, y + 14), (x, y + 8)
