"""Where the states and transitions of a machine are drawn.

TCP's diagram has places of its own, much as RFC 9293 and the textbooks draw it: who opens is on the
right, who is called on the left, who closes first goes down the left. Other machines are laid out as
call graphs are. Places depend on names and transitions alone, so they stay while numbers change; what
comes up later gets a place below those of TCP's diagram and leaves the others where they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ktrace_nb.widgets.curves import TIP, along, points_of, rounded, shortened
from ktrace_nb.widgets.graphviz import graphviz_layout
from ktrace_nb.widgets.layers import Layout, Point, layered_layout
from ktrace_nb.widgets.machine import StateGraph

NAME_SIZE, DETAIL_SIZE = 15, 12
"""Pixels of a state's name, and of what is written below it and at transitions."""

HEIGHT = 48.0
LABEL_LETTERS = 16
_LABEL = (88.0, 30.0)
_LEAST_WIDTH = 132.0
_ASIDE = 9.0
"""How far to the right of the line between the middles a transition is that has one back."""

_BOWS = (0.0, 60.0, -60.0, 110.0, -110.0, 170.0, -170.0)
_SHARES = (0.5, 0.45, 0.55, 0.4, 0.6, 0.34, 0.66, 0.28, 0.72, 0.22, 0.78)
"""How far along a path its numbers may be, the best first."""

_ROW = 104.0


@dataclass(frozen=True, slots=True)
class Form:
    """What a layout depends on: as long as it stays, so do the places."""

    machine: str
    names: tuple[str, ...]
    links: tuple[tuple[int, int], ...]


def form_of(graph: StateGraph) -> Form:
    """What the layout of a machine depends on."""
    return Form(
        graph.machine.name,
        tuple(state.name for state in graph.states),
        tuple((link.start, link.end) for link in graph.links),
    )


def sizes(form: Form) -> list[Point]:
    """Width and height of each state, pixels."""
    return [(max(len(name) * NAME_SIZE * 0.7 + 20, _LEAST_WIDTH), HEIGHT) for name in form.names]


def lay_out(form: Form) -> Layout:
    """Find the places; paths end where the arrow heads begin."""
    places = PLACES.get(form.machine)
    if places is not None:
        return _placed(form, places)
    boxes = sizes(form)
    found = graphviz_layout(boxes, form.links, label=(LABEL_LETTERS, 2))
    if found is None:
        found = layered_layout(boxes, form.links, apart=2 * HEIGHT)
    paths = tuple(shortened(path, TIP) for path in found.paths)
    labels = _labels(paths, found.centres, boxes, found.labels)
    return Layout(
        # A label at the right end may be wider than what was asked for.
        width=max([found.width, *(x + _LABEL[0] / 2 for x, _ in labels)]),
        height=found.height,
        centres=found.centres,
        paths=paths,
        labels=labels,
        engine=found.engine,
    )


@dataclass(frozen=True, slots=True)
class Places:
    """A diagram whose places are known."""

    width: float
    height: float
    centres: Mapping[str, Point]
    ways: Mapping[tuple[str, str], tuple[Point, ...]]
    """Corners of those transitions that go around others, from end to end."""


PLACES: Mapping[str, Places] = {
    "tcp": Places(
        width=920,
        height=606,
        centres={
            "CLOSE": (460, 34),
            "LISTEN": (460, 152),
            "SYN_RECV": (210, 234),
            "SYN_SENT": (710, 234),
            "ESTABLISHED": (460, 328),
            "FIN_WAIT1": (210, 434),
            "CLOSING": (460, 434),
            "CLOSE_WAIT": (710, 434),
            "FIN_WAIT2": (210, 542),
            "TIME_WAIT": (460, 542),
            "LAST_ACK": (710, 542),
        },
        ways={
            ("LAST_ACK", "CLOSE"): ((776, 542), (842, 542), (842, 34), (526, 34)),
            ("TIME_WAIT", "CLOSE"): ((526, 550), (610, 550), (610, 590), (878, 590), (878, 22), (526, 22)),
            ("CLOSE_WAIT", "CLOSE"): ((776, 434), (806, 434), (806, 46), (526, 46)),
            ("FIN_WAIT2", "CLOSE"): ((144, 542), (100, 542), (100, 34), (394, 34)),
            ("FIN_WAIT1", "CLOSE"): ((144, 434), (70, 434), (70, 22), (394, 22)),
            ("CLOSING", "CLOSE"): ((526, 442), (570, 442), (570, 590), (40, 590), (40, 12), (394, 12)),
            ("ESTABLISHED", "CLOSE"): ((500, 304), (580, 232), (580, 128), (508, 58)),
            ("CLOSE", "LISTEN"): ((416, 58), (416, 128)),
            ("LISTEN", "CLOSE"): ((486, 128), (486, 58)),
            ("SYN_RECV", "FIN_WAIT1"): ((190, 258), (190, 410)),
            ("LISTEN", "SYN_RECV"): ((394, 144), (232, 210)),
            ("SYN_RECV", "LISTEN"): ((276, 220), (424, 176)),
            ("CLOSE", "SYN_SENT"): ((526, 44), (674, 84), (706, 210)),
            ("SYN_SENT", "CLOSE"): ((676, 210), (646, 120), (526, 55)),
        },
    )
}


def _placed(form: Form, places: Places) -> Layout:
    """Known places; unknown states in rows below."""
    boxes = sizes(form)
    others = [name for name in form.names if name not in places.centres]
    across = max(1, int(places.width // 220))
    below = {
        name: (
            places.width / across * (number % across + 0.5),
            places.height + _ROW * (number // across) + HEIGHT,
        )
        for number, name in enumerate(others)
    }
    centres = tuple(places.centres.get(name) or below[name] for name in form.names)
    both = set(form.links)
    found: dict[int, tuple[Point, ...]] = {}
    # Loops last, where there is room.
    for number in sorted(range(len(form.links)), key=lambda n: form.links[n][0] == form.links[n][1]):
        start, end = form.links[number]
        way = places.ways.get((form.names[start], form.names[end]))
        if way:
            path = rounded(way)
        elif start == end:
            path = _loop(centres[start], boxes[start], list(found.values()), places)
        else:
            path = _way(start, end, centres, boxes, _ASIDE if (end, start) in both else 0.0)
        found[number] = shortened(path, TIP)
    paths = [found[number] for number in range(len(form.links))]
    rows = -(-len(others) // across)
    return Layout(
        width=places.width,
        height=places.height + (rows * _ROW if rows else 0),
        centres=centres,
        paths=tuple(paths),
        labels=_labels(paths, centres, boxes),
        engine=form.machine,
    )


def _way(
    start: int, end: int, centres: Sequence[Point], boxes: Sequence[Point], beside: float
) -> tuple[Point, ...]:
    """A line from one box to another, bent as little as leads around the others."""
    (x0, y0), (x1, y1) = centres[start], centres[end]
    length = math.dist((x0, y0), (x1, y1)) or 1.0
    right = (-(y1 - y0) / length, (x1 - x0) / length)
    others = [
        (centre, box)
        for number, (centre, box) in enumerate(zip(centres, boxes, strict=True))
        if number not in (start, end)
    ]

    def bent(bow: float) -> tuple[Point, ...]:
        aside = beside + bow
        middle = ((x0 + x1) / 2 + right[0] * aside, (y0 + y1) / 2 + right[1] * aside)
        shift = (right[0] * beside, right[1] * beside)
        first = _on_edge((x0 + shift[0], y0 + shift[1]), middle, (x0, y0), boxes[start])
        last = _on_edge((x1 + shift[0], y1 + shift[1]), middle, (x1, y1), boxes[end])
        # Where a quadratic curve is drawn to, for its middle to be where it is wanted.
        pull = (2 * middle[0] - (first[0] + last[0]) / 2, 2 * middle[1] - (first[1] + last[1]) / 2)
        return (
            first,
            ((first[0] + 2 * pull[0]) / 3, (first[1] + 2 * pull[1]) / 3),
            ((last[0] + 2 * pull[0]) / 3, (last[1] + 2 * pull[1]) / 3),
            last,
        )

    ways = [bent(bow) for bow in _BOWS]
    return min(ways, key=lambda way: sum(_in_box(point, *box) for box in others for point in points_of(way)))


def _loop(centre: Point, box: Point, others: Sequence[Sequence[Point]], places: Places) -> tuple[Point, ...]:
    """A line from a box back to itself, on the side where least comes near."""
    taken = [point for path in others for point in points_of(path, 24)]
    (x, y), (wide, high) = centre, box
    sides = [
        ((x + sign * wide / 2, y), (sign, 0.0))
        if along_x
        else ((x + share * wide, y + sign * high / 2), (0.0, sign))
        for along_x, sign, share in (
            *((False, -1.0, share) for share in (0.2, -0.2, 0.35, -0.35)),
            *((True, sign, 0.0) for sign in (1.0, -1.0)),
            *((False, 1.0, share) for share in (0.2, -0.2)),
        )
    ]

    def drawn(at: Point, out: Point) -> tuple[Point, ...]:
        return tuple(
            (at[0] + out[0] * far - out[1] * beside, at[1] + out[1] * far + out[0] * beside)
            for beside, far in ((-9, 0), (-22, 44), (22, 44), (9, 0))
        )

    def crowded(loop: tuple[Point, ...]) -> float:
        middle = points_of(loop)[6]
        outside = not (20 < middle[0] < places.width - 20 and 8 < middle[1] < places.height - 8)
        near = sum(max(0.0, 30.0 - math.dist(middle, point)) for point in taken)
        return near + 10_000 * outside

    return min((drawn(at, out) for at, out in sides), key=crowded)


def _on_edge(inside: Point, towards: Point, centre: Point, box: Point) -> Point:
    """Where the line from a point in a box to one outside leaves it."""
    dx, dy = towards[0] - inside[0], towards[1] - inside[1]
    shares = [1.0]
    for step, place, middle, size in ((dx, inside[0], centre[0], box[0]), (dy, inside[1], centre[1], box[1])):
        if step:
            shares.append((middle + math.copysign(size / 2, step) - place) / step)
    share = min(shares)
    return inside[0] + dx * share, inside[1] + dy * share


def _in_box(point: Point, centre: Point, box: Point) -> bool:
    return abs(point[0] - centre[0]) < box[0] / 2 + 6 and abs(point[1] - centre[1]) < box[1] / 2 + 6


def _labels(
    paths: Sequence[Sequence[Point]],
    centres: Sequence[Point],
    boxes: Sequence[Point],
    wished: Sequence[Point] = (),
) -> tuple[Point, ...]:
    """A place for the numbers of each path where they touch no box and no others: as wished, or on it."""
    taken: list[tuple[Point, Point]] = list(zip(centres, boxes, strict=True))
    found: dict[int, Point] = {}
    lines = [points_of(path) for path in paths]
    reaches = [sum(math.dist(one, other) for one, other in pairwise(points)) for points in lines]
    # The shortest first: the long ones have more places to choose from.
    for number in sorted(range(len(paths)), key=lambda number: reaches[number]):
        places = [*wished[number : number + 1]]
        places += [along(lines[number], share * reaches[number]) for share in _SHARES]
        best = min(places, key=lambda place: sum(_overlap(place, _LABEL, *other) for other in taken))
        taken.append((best, _LABEL))
        found[number] = best
    return tuple(found[number] for number in range(len(paths)))


def _overlap(centre: Point, size: Point, other: Point, other_size: Point) -> float:
    """The area two boxes share."""
    wide = (size[0] + other_size[0]) / 2 - abs(centre[0] - other[0])
    high = (size[1] + other_size[1]) / 2 - abs(centre[1] - other[1])
    return max(wide, 0.0) * max(high, 0.0)
