"""Lines made of cubic Bézier curves: a point, and three more for each curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from ktrace_nb.widgets.layers import Point

TIP = 13.0
"""How long an arrow head is, pixels."""

_ROUND = 22.0


def rounded(corners: Sequence[Point]) -> tuple[Point, ...]:
    """A line through corners, as cubic curves, with round turns."""
    path: list[Point] = [corners[0]]

    def straight(to: Point) -> None:
        here = path[-1]
        path.extend((between(here, to, 1 / 3), between(here, to, 2 / 3), to))

    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        first, second = math.dist(before, corner), math.dist(corner, after)
        reach = min(_ROUND, first / 2, second / 2)
        straight(between(corner, before, reach / first))
        out = between(corner, after, reach / second)
        path.extend((between(path[-1], corner, 0.55), between(out, corner, 0.55), out))
    straight(corners[-1])
    return tuple(path)


def between(one: Point, other: Point, share: float) -> Point:
    """A point of the straight line from one to another."""
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share


def points_of(path: Sequence[Point], each: int = 12) -> list[Point]:
    """Points along a path."""
    found = [path[0]]
    for first in range(0, len(path) - 3, 3):
        piece = path[first : first + 4]
        found += [at_share(piece, step / each) for step in range(1, each + 1)]
    return found


def at_share(piece: Sequence[Point], share: float) -> Point:
    """A point of a cubic Bézier curve, by de Casteljau's construction."""
    line = list(piece)
    while len(line) > 1:
        line = [between(one, other, share) for one, other in pairwise(line)]
    return line[0]


def shortened(path: Sequence[Point], by: float) -> tuple[Point, ...]:
    """A path without its last ``by`` pixels, where the arrow head is drawn."""
    piece, end = list(path[-4:]), path[-1]
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if math.dist(at_share(piece, middle), end) > by else (low, middle)
    if low == 0.0:
        return tuple(path)
    first, second, third = (between(one, other, low) for one, other in pairwise(piece))
    fourth, fifth = between(first, second, low), between(second, third, low)
    return (*path[:-3], first, fourth, between(fourth, fifth, low))


def tip_of(path: Sequence[Point]) -> str:
    """The head of an arrow at the end of a shortened path, as the ``d`` of an SVG path."""
    (x, y), before = path[-1], next((p for p in reversed(path[:-1]) if math.dist(p, path[-1]) > 0.1), path[0])
    length = math.dist(before, (x, y)) or 1.0
    dx, dy = (x - before[0]) / length, (y - before[1]) / length
    half = TIP * 0.54
    return (
        f"M{x + dx * TIP:.1f},{y + dy * TIP:.1f}L{x - dy * half:.1f},{y + dx * half:.1f}"
        f"L{x + dy * half:.1f},{y - dx * half:.1f}z"
    )


def along(points: Sequence[Point], way: float) -> Point:
    """Where one is who has gone so far along a line."""
    for one, other in pairwise(points):
        step = math.dist(one, other)
        if way <= step:
            return between(one, other, way / step if step else 0.0)
        way -= step
    return points[-1]
