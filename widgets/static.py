"""The picture that stays: what a saved notebook shows without a kernel.

HTML with one ``<img>`` per histogram, because a page that does not trust the
notebook mangles inline ``<svg>``; alignment by attribute, because it drops
styles, and by style, because one that trusts it has a style of its own; and the
same as plain text for everything that shows neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ktrace_nb.stream.text import printable
from ktrace_nb.widgets.headline import Headline, headline
from ktrace_nb.widgets.kinds import LOOKS
from ktrace_nb.widgets.source import PanelStatus, ViewData

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


def static_text(head: Headline | None, views: Sequence[ViewData]) -> str:
    """The headline, if there is one, and every view as text of 80 columns."""
    return "\n\n".join([*([head.text] if head else []), *(LOOKS[view.kind].text(view) for view in views)])


def saved_html(address: str, head: Headline | None, views: Sequence[ViewData]) -> str:
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


def static_html(head: Headline | None, views: Sequence[ViewData]) -> str:
    """The headline, if there is one, and every view as HTML without scripts or links."""
    parts = [_head_html(head)] if head else []
    for view in views:
        parts += _view_html(view)
    return "\n".join(parts)


def _head_html(head: Headline) -> str:
    state = f"{head.word}: {head.message}" if head.message else head.word
    facts = [state, f"{head.elapsed_s:,.1f} s"]
    if head.hits is not None:
        facts.append(f"{head.hits:,} hits")
    facts += filter(None, (head.cost, head.switched))
    shown = f"<b>{escape(head.name)}</b> · {escape(' · '.join(facts))} · "
    if head.losses:
        return f'<p>{shown}<font color="{LOSS}"><b>⚠ {escape(head.loss)}</b></font></p>'
    return f"<p>{shown}✓ {head.loss}</p>"


def _view_html(view: ViewData) -> Iterator[str]:
    # The name outside the picture: there it has the page's own colour.
    if view.name:
        yield f"<p><b>{escape(printable(view.name))}</b></p>"
    yield LOOKS[view.kind].html(view)
