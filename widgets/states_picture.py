"""A state machine as SVG and as text: for the page, saved notebooks and reports."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

import pandas as pd

from ktrace_nb.stream.text import WIDTH, printable
from ktrace_nb.widgets.callgraph_picture import REST_FILL, curve
from ktrace_nb.widgets.curves import tip_of
from ktrace_nb.widgets.drawing import INK, image_html, opening
from ktrace_nb.widgets.flame_picture import FILLS, TEXTS
from ktrace_nb.widgets.layers import Layout
from ktrace_nb.widgets.machine import Link, State, StateGraph, state_graph
from ktrace_nb.widgets.states_places import DETAIL_SIZE, NAME_SIZE, form_of, lay_out, sizes
from ktrace_nb.widgets.ticks import count_label, time_label

LINES = 40
"""Text shows so many transitions."""

UNUSUAL = "#b4519b"
"""Reddish purple of Okabe and Ito, made darker to be read on white; what it marks is dashed as well."""

DASHES = "7 4"
_FAINT = ".32"
_BAR = 20


def long_time(ns: float | None) -> str:
    """A time to three digits, empty if it is not known."""
    return "" if ns is None else time_label(ns * 1e-9)


def times(count: int) -> str:
    """How often something was."""
    return "once" if count == 1 else f"{count:,} times"


def widths(graph: StateGraph) -> list[float]:
    """How wide each transition is drawn, pixels: by the logarithm of its count, 1.4 to 6."""
    most = max((link.count for link in graph.links), default=0)
    # Relative to a power of two, so that the others do not change with every count of the largest.
    scale = math.log1p(1 << most.bit_length())
    return [round(1.4 + 4.6 * (math.log1p(link.count) / scale) ** 2, 1) for link in graph.links]


def shades(values: list[int]) -> list[int]:
    """Which fill each state gets, by the root of its share of the largest; -1 for none at all."""
    most = max(values, default=0) or 1
    last = len(FILLS) - 1
    return [-1 if value <= 0 else min(int(len(FILLS) * math.sqrt(value / most)), last) for value in values]


def detail(state: State) -> str:
    """The second line of a state."""
    if not state.seen:
        return ""
    stay = f" · {long_time(state.mean_ns)}" if state.timed else ""
    return f"{count_label(state.visits)}×{stay}"


def tell_state(state: State) -> str:
    """One line about a state, with every digit."""
    if not state.seen:
        return f"{state.name} · not seen"
    parts = [state.name, f"entered {times(state.entered)}", f"left {times(state.left)}"]
    if state.timed:
        parts.append(f"mean {long_time(state.mean_ns)}, {long_time(state.total_ns)} in all")
    return " · ".join(parts)


def tell_link(graph: StateGraph, link: Link) -> str:
    """One line about a transition, with every digit."""
    start, end = (graph.states[number].name for number in (link.start, link.end))
    parts = [f"{start} → {end}", times(link.count) if link.count else "not seen"]
    if link.timed:
        parts.append(f"mean {long_time(link.mean_ns)} in {start} before")
        if link.timed < link.count:
            parts.append(f"known of {link.timed:,}")
    if link.unusual:
        parts.append(f"not in {graph.machine.diagram}")
    return " · ".join(parts)


def said(graph: StateGraph) -> str:
    """The foot of a view: how much is in it, and what is not drawn."""
    if not graph.total:
        parts = ["no transitions yet"]
    else:
        seen = sum(state.merged or state.seen for state in graph.states)
        parts = [f"{_number(graph.total, 'transition')} between {_number(seen, 'state')}"]
    merged = sum(state.merged for state in graph.states)
    if merged:
        parts.append(f"{merged:,} in one")
    if graph.hidden:
        parts.append(f"{_number(graph.hidden, 'pair')} of states not drawn")
    if any(link.unusual for link in graph.links):
        parts.append(f"dashed: not in {graph.machine.diagram}")
    if graph.nameless:
        parts.append(f"{_number(graph.nameless, 'row')} without a state left out")
    if graph.out_of_order:
        parts.append(f"{_number(graph.out_of_order, 'negative time')} left out")
    return "; ".join(parts)


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def states_svg(frame: pd.DataFrame, *, machine: str = "", title: str = "") -> str:
    """Draw a state machine as a stand-alone SVG document.

    Raises:
        ValueError: See :func:`ktrace_nb.widgets.states`.
    """
    graph = state_graph(frame, machine=machine)
    return machine_svg(graph, lay_out(form_of(graph)), title=title)


def machine_svg(graph: StateGraph, layout: Layout, *, title: str = "", footed: bool = True) -> str:
    """Draw a state machine; ``footed`` says below how much is in it."""
    head, foot = 28 if title else 0, 24 if footed else 0
    width, height = max(layout.width, 300), head + max(layout.height, 4) + foot
    lines = [opening(width, height, font_size=DETAIL_SIZE)]
    if title:
        lines.append(f'<text x="0" y="16" font-size="15" font-weight="600">{escape(printable(title))}</text>')
    lines.append(f'<g transform="translate(0 {head})">')
    lines += _links(graph, layout)
    boxes = sizes(form_of(graph))
    for state, shade, centre, box in zip(
        graph.states, shades([state.visits for state in graph.states]), layout.centres, boxes, strict=True
    ):
        lines += _state(state, shade, centre, box)
    lines.append("</g>")
    if footed:
        lines.append(f'<text x="0" y="{height - 7:.0f}">{escape(said(graph))}</text>')
    lines.append("</svg>")
    return "\n".join(lines)


def _links(graph: StateGraph, layout: Layout) -> Iterator[str]:
    drawn = list(zip(graph.links, layout.paths, layout.labels, widths(graph), strict=True))
    # What was not seen lies below what was.
    drawn.sort(key=lambda one: one[0].count > 0)
    for link, path, _, wide in drawn:
        colour = UNUSUAL if link.unusual else INK
        dashes = f' stroke-dasharray="{DASHES}"' if link.unusual else ""
        faint = "" if link.count else f' opacity="{_FAINT}"'
        yield (
            f'<g{faint}><path d="{curve(path)}" fill="none" stroke="{colour}" stroke-width="{wide}"{dashes}>'
            f"<title>{escape(tell_link(graph, link))}</title></path>"
            f'<path d="{tip_of(path)}" fill="{colour}"/></g>'
        )
    for link, _, (x, y), _ in drawn:
        if link.count:
            lines = [count_label(link.count), *([long_time(link.mean_ns)] if link.timed else [])]
            y0 = y + 4 - 7 * (len(lines) - 1)
            wide = 7.0 * max(map(len, lines)) + 6
            yield (
                f'<rect x="{x - wide / 2:.1f}" y="{y0 - 12:.1f}" width="{wide:.1f}" '
                f'height="{14 * len(lines) + 2}" rx="3" fill="#ffffff" fill-opacity=".88"/>'
            )
            weight = ' font-weight="600"'
            for number, line in enumerate(lines):
                yield (
                    f'<text x="{x:.1f}" y="{y0 + 14 * number:.1f}" text-anchor="middle" fill="#3f464e"'
                    f"{weight if not number else ''}>{escape(line)}</text>"
                )


def _state(state: State, shade: int, centre: tuple[float, float], box: tuple[float, float]) -> Iterator[str]:
    fill, text = (REST_FILL if state.merged else FILLS[shade]), TEXTS[0 if state.merged else shade]
    (x, y), (wide, high) = centre, box
    said_below = detail(state)
    if not state.seen:
        fill, text = "none", INK
    yield f"<g{'' if state.seen else ' opacity=' + chr(34) + '.6' + chr(34)}>"
    dashes = ' stroke-dasharray="4 3"' if state.merged or not state.seen else ""
    yield (
        f'<rect x="{x - wide / 2:.1f}" y="{y - high / 2:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="8" '
        f'fill="{fill}" stroke="{INK}"{dashes}><title>{escape(tell_state(state))}</title></rect>'
    )
    lift = 3 if said_below else -5
    yield (
        f'<text x="{x:.1f}" y="{y - lift:.1f}" text-anchor="middle" font-size="{NAME_SIZE}" '
        f'font-weight="600" fill="{text}">{escape(state.name)}</text>'
    )
    if said_below:
        place = f'x="{x:.1f}" y="{y + 15:.1f}" text-anchor="middle"'
        yield f'<text {place} fill="{text}">{escape(said_below)}</text>'
    yield "</g>"


def machine_html(graph: StateGraph, layout: Layout) -> str:
    """The picture as an ``<img>``, and below it how much is in it."""
    # What is said below stands outside, for a page makes the picture as small as itself.
    drawn = machine_svg(graph, layout, footed=False)
    image = image_html(drawn, machine_text(graph), style="max-width: 100%")
    return f"{image}\n<p>{escape(said(graph))}</p>"


def machine_text(graph: StateGraph, *, title: str = "") -> str:
    """The transitions as text of 80 columns, the most frequent first."""
    lines = [printable(title)] if title else []
    links = sorted((link for link in graph.links if link.count), key=lambda link: -link.count)
    names = [(graph.states[link.start].name, graph.states[link.end].name) for link in links[:LINES]]
    counts = [f"{link.count:,}" for link in links[:LINES]]
    means = [f"mean {long_time(link.mean_ns)}" if link.timed else "" for link in links[:LINES]]
    first, second = (max((len(pair[side]) for pair in names), default=0) for side in (0, 1))
    number, mean = max(map(len, counts), default=0), max(map(len, means), default=0)
    used = first + 4 + second + 2 + number + 2 + (mean + 2 if mean else 0) + 2
    if used > WIDTH - 4:  # names of a length that no state has
        short = max(10, (WIDTH - 4 - (used - first - second)) // 2)
        names = [(_cut(start, short), _cut(end, short)) for start, end in names]
        first, second = min(first, short), min(second, short)
        used = first + 4 + second + 2 + number + 2 + (mean + 2 if mean else 0) + 2
    most = max((link.count for link in links), default=1)
    room = max(0, min(_BAR, WIDTH - used))
    for link, (start, end), count, time in zip(links[:LINES], names, counts, means, strict=True):
        bar = "#" * (link.count * room // most) or ":"
        mark = "*" if link.unusual else " "
        told = f"  {time:<{mean}}" if mean else ""
        lines.append(f"{start:<{first}} -> {end:<{second}} {mark}{count:>{number}}{told}  {bar}".rstrip())
    left = len(links) - LINES
    if left > 0:
        lines.append(f"... {left:,} more")
    foot = said(graph)
    return "\n".join([*lines, foot.replace("dashed:", "*")])


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 3]}..."
