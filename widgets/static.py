"""The picture that stays: what a saved notebook shows without a kernel.

HTML with one ``<img>`` per histogram, because a page that does not trust the
notebook mangles inline ``<svg>``; alignment by attribute, because it drops
styles, and by style, because one that trusts it has a style of its own; and the
same as plain text for everything that shows neither.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape

from ktrace_nb.stream.text import Cells, cells, histogram_text, more_rows, printable, table_text
from ktrace_nb.widgets.callgraph_picture import callgraph_html, callgraph_text
from ktrace_nb.widgets.chart import MOST_CHARTS, view_picture
from ktrace_nb.widgets.flame_picture import flame_html, flame_text
from ktrace_nb.widgets.headline import Headline, headline
from ktrace_nb.widgets.indent_picture import indent_html, indent_text
from ktrace_nb.widgets.rows import top_rows
from ktrace_nb.widgets.source import PanelStatus, ViewData
from ktrace_nb.widgets.svg import picture_svg

TABLE_ROWS = 20
TEXT_LINES = 100
"""A saved notebook keeps this many of the latest lines."""

_ALIGNED = {side: f'align="{side}" style="text-align: {side}"' for side in ("left", "right")}

LOSS = "#e03131"
"""Contrast 4.5 on white and 4.2 on the dark theme's #111 (WCAG 2 formula)."""


def static_bundle(views: Sequence[ViewData], status: PanelStatus, *, name: str = "") -> dict[str, str]:
    """Draw a trace as it stands into a MIME bundle of ``text/html`` and ``text/plain``.

    Args:
        views: Its frames, in order.
        status: How it stands.
        name: What it is called.

    Raises:
        ValueError: A frame is not what its view's kind asks for.
    """
    head = headline(name, status)
    return {"text/html": static_html(head, views), "text/plain": static_text(head, views)}


def static_text(head: Headline, views: Sequence[ViewData]) -> str:
    """The headline and every view as text of 80 columns."""
    return "\n\n".join([head.text, *map(_view_text, views)])


def _view_text(view: ViewData) -> str:
    if view.kind == "histogram":
        return histogram_text(view.frame, title=view.name, max_keys=MOST_CHARTS)
    if view.kind == "indent" and view.feed is not None:
        return f"{printable(view.name)}\n{indent_text(view.feed)}"
    if view.kind == "flame":
        return flame_text(view.frame, title=view.name)
    if view.kind == "callgraph":
        return callgraph_text(view.frame, title=view.name)
    if view.kind == "table":
        rows = top_rows(view.frame, view.options.get("sort", ""), limit=TABLE_ROWS)
        left = len(view.frame) - len(rows)
        more = f"\n... {more_rows(left)}" if left else ""
        return f"{printable(view.name)}\n{table_text(rows, max_rows=TABLE_ROWS)}{more}"
    return f"{printable(view.name)}\n" + "\n".join(last_lines(view, TEXT_LINES))


def last_lines(view: ViewData, most: int) -> list[str]:
    """The latest lines of a text view, printable; tabs become blanks."""
    return [printable(str(line).expandtabs(8)) for line in view.frame["text"].tail(most)]


def saved_html(address: str, head: Headline, views: Sequence[ViewData]) -> str:
    """The picture of a panel, marked so that the panel can hide it while it lives.

    And the other way round: where the panel does not live, JupyterLab shows
    "Loading widget..." or "model not found" in its place. The style hides that
    output; a page that does not trust the notebook drops the style, but there
    the output is empty.
    """
    picture = f'.ktrace-static[data-panel="{address}"]'
    output = ".jp-OutputArea-child"
    dead = f"{output}:not(:has(.ktrace-panel)):has(+ {output} {picture})"
    style = f"<style>{dead} {{ display: none; }}</style>"
    return f'<div class="ktrace-static" data-panel="{address}">\n{style}\n{static_html(head, views)}\n</div>'


def static_html(head: Headline, views: Sequence[ViewData]) -> str:
    """The headline and every view as HTML without scripts or links."""
    parts = [_head_html(head)]
    for view in views:
        parts += _view_html(view)
    return "\n".join(parts)


def _head_html(head: Headline) -> str:
    state = f"{head.state}: {head.message}" if head.message else head.state
    facts = [state, f"{head.elapsed_s:,.1f} s"]
    if head.hits is not None:
        facts.append(f"{head.hits:,} hits")
    if head.cost:
        facts.append(head.cost)
    shown = f"<b>{escape(head.name)}</b> · {escape(' · '.join(facts))} · "
    if head.losses:
        return f'<p>{shown}<font color="{LOSS}"><b>⚠ {escape(head.loss)}</b></font></p>'
    return f"<p>{shown}✓ {head.loss}</p>"


def _view_html(view: ViewData) -> Iterator[str]:
    # The name outside the picture: there it has the page's own colour.
    yield f"<p><b>{escape(printable(view.name))}</b></p>"
    if view.kind == "histogram":
        picture = replace(view_picture(view), name="")
        data = base64.b64encode(picture_svg(picture).encode()).decode()
        text = escape(_view_text(view))
        yield f'<p><img src="data:image/svg+xml;base64,{data}" alt="{text}"></p>'
    elif view.kind == "indent" and view.feed is not None:
        yield indent_html(view.feed)
    elif view.kind == "flame":
        yield flame_html(view.frame)
    elif view.kind == "callgraph":
        yield callgraph_html(view.frame)
    elif view.kind == "table":
        rows = top_rows(view.frame, view.options.get("sort", ""), limit=TABLE_ROWS)
        yield _table_html(cells(rows))
        left = len(view.frame) - len(rows)
        if left:
            yield f"<p>… {more_rows(left)}</p>"
    else:
        yield f"<pre>{escape(chr(10).join(last_lines(view, TEXT_LINES)))}</pre>"


def _table_html(shown: Cells) -> str:
    sides = [_ALIGNED["right" if number else "left"] for number in shown.numeric]
    head = "".join(f"<th {side}>{escape(text)}</th>" for side, text in zip(sides, shown.names, strict=True))
    body = "\n".join(
        "<tr>"
        + "".join(f"<td {side}>{escape(text)}</td>" for side, text in zip(sides, row, strict=True))
        + "</tr>"
        for row in shown.rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
