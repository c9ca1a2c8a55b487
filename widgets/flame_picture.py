"""A tree of calls as SVG and as text, for saved notebooks, exports and reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets.calltree import CallTree, TreeBuilder
from ktrace_nb.widgets.drawing import WIDTH, image_html, opening
from ktrace_nb.widgets.ticks import time_label

LEVELS = 16
"""A picture shows so many levels of calls."""

ROW = 19
LINES = 24
"""Text shows so many paths."""

FILLS = ("#e6eef7", "#c6dbef", "#9ecae1", "#6baed6", "#2a74ad", "#08519c")
"""By self time, none to most; told apart by lightness alone, so also without colour vision."""

TEXTS = ("#1b1f24",) * 4 + ("#ffffff",) * 2
"""What is written on them; contrast at least 4.9 (WCAG 2 formula)."""

MERGED = "#9aa3ad"
ERROR = "#d55e00"
"""Vermilion of the palette of Okabe and Ito; it is a stripe, so that it is seen without colour too."""

_LETTER = 6.7
"""Pixels of a letter of 12 px, on average."""


@dataclass(frozen=True, slots=True)
class Box:
    """A node, or neighbours too narrow to be told apart."""

    node: int
    """-1 for neighbours in one."""

    depth: int
    left: float
    """Pixels."""

    width: float


def boxes(tree: CallTree, width: float, levels: int = LEVELS) -> list[Box]:
    """Lay a tree out: each node as wide as its share of its parent's time.

    Siblings keep the order of their first calls. What is narrower than a pixel is
    joined with its neighbours, and nothing is drawn below it.
    """
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(tree.parent.tolist()):
        children.setdefault(parent, []).append(node)
    total = tree.total_ns.tolist()
    found: list[Box] = []
    waiting = [(-1, 0.0, width, 0)]
    for node, start, room, depth in waiting:
        left = start
        inside = children.get(node, []) if depth < levels else []
        sum_ns = sum(total[child] for child in inside)
        whole = max(sum_ns, total[node] if node >= 0 else 0) or 1
        narrow = 0.0
        for child in inside:
            wide = total[child] / whole * room
            if wide >= 1:
                if narrow >= 1:
                    found.append(Box(-1, depth, left - narrow, narrow))
                narrow = 0.0
                found.append(Box(child, depth, left, wide))
                waiting.append((child, left, wide, depth + 1))
            else:
                narrow += wide
            left += wide
        if narrow >= 1:
            found.append(Box(-1, depth, left - narrow, narrow))
    return found


def shades(tree: CallTree) -> list[int]:
    """Which of :data:`FILLS` each node gets: by the root of its self time, so that small ones differ too."""
    own = np.maximum(tree.self_ns, 0)
    most = max(int(own.max(initial=0)), 1)
    return [min(int(step), len(FILLS) - 1) for step in np.sqrt(own / most) * len(FILLS)]


def flame_svg(calls: pd.DataFrame, *, title: str = "") -> str:
    """Draw the top levels of a frame of calls as a stand-alone SVG document.

    Raises:
        ValueError: A column is missing, or a label of the index occurs twice.
    """
    return tree_svg(TreeBuilder().update(calls), title=title)


def flame_text(calls: pd.DataFrame, *, title: str = "") -> str:
    """Write the largest paths of a frame of calls as an indented tree.

    Raises:
        ValueError: A column is missing, or a label of the index occurs twice.
    """
    return tree_text(TreeBuilder().update(calls), title=title)


def flame_html(calls: pd.DataFrame) -> str:
    """Draw a frame of calls into an ``<img>``."""
    return tree_html(TreeBuilder().update(calls))


def tree_svg(tree: CallTree, *, title: str = "") -> str:
    """Draw the top levels of a tree as a stand-alone SVG document."""
    drawn = boxes(tree, WIDTH)
    deepest = 1 + max((box.depth for box in drawn), default=0)
    head = 24 if title else 4
    height = head + deepest * ROW + 24
    lines = [opening(WIDTH, height)]
    if title:
        lines.append(f'<text x="0" y="15" font-size="14" font-weight="600">{escape(printable(title))}</text>')
    shade = shades(tree)
    for box in drawn:
        lines += _box(tree, box, head + box.depth * ROW, shade)
    cut = int(tree.depth.max(initial=0)) + 1 - deepest
    remark = f"; {cut:,} more {'level' if cut == 1 else 'levels'} below" if cut > 0 and drawn else ""
    lines.append(f'<text x="0" y="{height - 7}">{escape(said(tree, 0))}{remark}</text>')
    lines.append("</svg>")
    return "\n".join(lines)


def _box(tree: CallTree, box: Box, y: int, shade: list[int]) -> Iterator[str]:
    place = f'x="{box.left:.1f}" y="{y}" width="{max(box.width - 0.6, 0.6):.1f}"'
    if box.node < 0:
        yield f'<rect {place} height="{ROW - 1}" fill="{MERGED}"><title>narrower ones</title></rect>'
        return
    level = shade[box.node]
    yield (
        f'<rect {place} height="{ROW - 1}" fill="{FILLS[level]}">'
        f"<title>{escape(tell(tree, box.node))}</title></rect>"
    )
    if tree.errors[box.node]:
        wide = max(2.0, (box.width - 0.6) * int(tree.errors[box.node]) / max(int(tree.count[box.node]), 1))
        yield f'<rect x="{box.left:.1f}" y="{y + ROW - 4}" width="{wide:.1f}" height="3" fill="{ERROR}"/>'
    letters = int((box.width - 8) / _LETTER)
    name = printable(tree.names[tree.function[box.node]])
    if letters >= 3:
        name = name if len(name) <= letters else f"{name[: letters - 1]}…"
        yield f'<text x="{box.left + 4:.1f}" y="{y + 13}" fill="{TEXTS[level]}">{escape(name)}</text>'


def tell(tree: CallTree, node: int) -> str:
    """One line about a node: function, calls, total, self, share of all time."""
    count, errors = int(tree.count[node]), int(tree.errors[node])
    total, own = int(tree.total_ns[node]), int(tree.self_ns[node])
    failed = f" ({errors:,} with an error)" if errors else ""
    return (
        f"{printable(tree.names[tree.function[node]])} · {calls_said(count)}{failed} · "
        f"total {time_label(total * 1e-9)}, {share(total, tree.whole_ns)} · "
        f"self {time_label(own * 1e-9)}, {share(own, tree.whole_ns)}"
    )


def calls_said(count: int) -> str:
    """A number of calls in words."""
    return f"{count:,} call" if count == 1 else f"{count:,} calls"


def share(part: int, whole: int) -> str:
    """A part in per cent."""
    return f"{100 * part / whole:.1f} %" if whole else "0.0 %"


def said(tree: CallTree, merged: int) -> str:
    """The foot of a view: how much is in it, and what is not shown singly."""
    if not len(tree):
        return "no calls yet"
    paths = "1 path" if len(tree) == 1 else f"{len(tree):,} paths"
    text = f"{calls_said(int(tree.count.sum()))}, {paths}, {time_label(tree.whole_ns * 1e-9)}"
    return f"{text}; the {merged:,} smallest paths are merged into “…”" if merged else text


def tree_html(tree: CallTree) -> str:
    """The picture as an ``<img>``."""
    return image_html(tree_svg(tree), tree_text(tree))


def tree_text(tree: CallTree, *, title: str = "") -> str:
    """The largest paths as an indented tree, each with its share of all time."""
    lines = [printable(title)] if title else []
    lines.append(f"{'share':>7} {'total':>9} {'self':>9} {'calls':>9}  function")
    largest = np.argsort(-tree.total_ns, kind="stable")[:LINES]
    shown = set(largest.tolist())
    children: dict[int, list[int]] = {}
    for node in np.argsort(-tree.total_ns, kind="stable").tolist():
        if node in shown:
            children.setdefault(int(tree.parent[node]), []).append(node)
    waiting = children.get(-1, [])[::-1]
    while waiting:
        node = waiting.pop()
        total, own = int(tree.total_ns[node]), int(tree.self_ns[node])
        lines.append(
            f"{share(total, tree.whole_ns):>7} {time_label(total * 1e-9):>9} {time_label(own * 1e-9):>9} "
            f"{int(tree.count[node]):>9,}  {'  ' * int(tree.depth[node])}"
            f"{printable(tree.names[tree.function[node]])}"
        )
        waiting += children.get(node, [])[::-1]
    left = len(tree) - len(shown)
    if left:
        lines.append(f"... {left:,} more {'path' if left == 1 else 'paths'}")
    elif not len(tree):
        lines.append("(no calls)")
    return "\n".join(lines)
