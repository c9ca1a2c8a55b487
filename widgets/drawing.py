"""What the pictures that stay have in common, as parts of SVG written out by hand.

Their background is transparent and the ink a middle grey, so that they can be read
on a light and on a dark page.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from html import escape

WIDTH = 720
INK = "#737b85"
"""Contrast 4.3 on white and 4.4 on the dark theme's #111 (WCAG 2 formula)."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def opening(width: float, height: float, *, font_size: int = 12) -> str:
    """The first tag of a stand-alone document; sizes are pixels."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="{_FONT}" font-size="{font_size}" fill="{INK}">'
    )


def bottom_axis(
    left: int, right: int, y: int, ticks: Iterable[tuple[float, str]], label: str
) -> Iterator[str]:
    """A line from ``left`` to ``right`` with ticks, each a place and its label, and what it measures."""
    yield f'<path d="M{left} {y}H{right}" stroke="{INK}"/>'
    for x, text in ticks:
        yield f'<path d="M{x:.1f} {y}v5" stroke="{INK}"/>'
        yield f'<text x="{x:.1f}" y="{y + 18}" text-anchor="middle">{escape(text)}</text>'
    middle = (left + right) / 2
    yield f'<text x="{middle:.0f}" y="{y + 37}" text-anchor="middle">{escape(label)}</text>'


def image_html(svg: str, alt: str, *, style: str = "") -> str:
    """A document as an ``<img>``: a page that does not trust the notebook mangles inline SVG."""
    data = b64encode(svg.encode()).decode()
    styled = f' style="{style}"' if style else ""
    return f'<p><img src="data:image/svg+xml;base64,{data}"{styled} alt="{escape(alt)}"></p>'
