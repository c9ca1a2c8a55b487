"""Places of nodes and edges, found by Graphviz' ``dot`` where it is installed.

Only numbers go in and only numbers come out: nodes are called ``n0``, ``n1`` ...
with sizes that we know, and the answer is its format ``plain``. So no name of a
function is ever part of a program of ``dot``, and no picture made elsewhere has to
be cleaned before a page shows it.

Format: https://graphviz.org/docs/outputs/plain/, all lengths in inches, the origin
at the bottom on the left.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from ktrace_nb.widgets.layers import LABEL_LETTERS, MARGIN, Layout, Point

PATIENCE_S = 5.0
"""A graph of forty nodes takes 0.1 s."""

_INCH = 72.0


def graphviz_layout(
    sizes: Sequence[Point],
    links: Sequence[tuple[int, int]],
    *,
    label: tuple[int, int] = (LABEL_LETTERS, 1),
) -> Layout | None:
    """Ask ``dot``; None if it is not installed, takes too long or fails.

    Args:
        sizes: Width and height of each node, pixels.
        links: From and to, by number of the node.
        label: Letters and lines to keep room for at each link.
    """
    program = shutil.which("dot")
    if program is None:
        return None
    try:
        answer = subprocess.run(
            [program, "-Tplain"],
            input=_question(sizes, links, label),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return read_plain(answer.stdout, sizes, links)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _question(sizes: Sequence[Point], links: Sequence[tuple[int, int]], label: tuple[int, int]) -> str:
    lines = [
        "digraph {",
        "graph [rankdir=TB, nodesep=0.25, ranksep=0.35]",
        'node [shape=box, fixedsize=true, label=""]',
        # Our arrow heads are drawn on the line, so the line goes up to the node.
        "edge [arrowhead=none, fontsize=10]",
    ]
    lines += [
        f"n{number} [width={width / _INCH:.4f}, height={height / _INCH:.4f}]"
        for number, (width, height) in enumerate(sizes)
    ]
    # Any text as long as the longest label keeps the place of one free.
    text = r"\n".join(["0" * label[0]] * label[1])
    lines += [f'n{start} -> n{end} [label="{text}"]' for start, end in links]
    return "\n".join([*lines, "}"])


def read_plain(text: str, sizes: Sequence[Point], links: Sequence[tuple[int, int]]) -> Layout:
    """Read an answer in the format ``plain``.

    Raises:
        ValueError: It is not one, or not one to this question.
    """
    width = height = 0.0
    centres: dict[int, Point] = {}
    paths: dict[tuple[int, int], tuple[tuple[Point, ...], Point]] = {}

    def point(x: str, y: str) -> Point:
        return MARGIN + float(x) * _INCH, MARGIN + (height - float(y)) * _INCH

    for line in text.splitlines():
        match line.split():
            case ["graph", "1", wide, high]:
                width, height = float(wide), float(high)
            case ["node", name, x, y, *_]:
                centres[int(name[1:])] = point(x, y)
            case ["edge", start, end, count, *rest]:
                numbers = rest[: 2 * int(count)]
                line_points = tuple(point(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True))
                # Behind the points: the label, its place, style and colour.
                label = point(*rest[-4:-2])
                paths[int(start[1:]), int(end[1:])] = line_points, label
    if set(centres) != set(range(len(sizes))) or set(paths) != set(links):
        raise ValueError("not the layout of this graph")
    return Layout(
        width=width * _INCH + 2 * MARGIN,
        height=height * _INCH + 2 * MARGIN,
        centres=tuple(centres[number] for number in range(len(sizes))),
        paths=tuple(paths[link][0] for link in links),
        labels=tuple(paths[link][1] for link in links),
        engine="Graphviz",
    )
