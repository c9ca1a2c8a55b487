"""A health board as SVG and as text: for saved notebooks and reports."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

import pandas as pd

from ktrace_nb.stream.text import WIDTH as COLUMNS
from ktrace_nb.stream.text import printable
from ktrace_nb.widgets.board_past import SECONDS
from ktrace_nb.widgets.board_rows import Band, Board, BoardRow, board_of
from ktrace_nb.widgets.drawing import INK, WIDTH, image_html, opening
from ktrace_nb.widgets.source import ViewData

LAMPS = {
    "ok": ("#00945f", "M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0 -12Z"),
    "low": ("#1c86cf", "M1.5 3H14.5L8 14.5Z"),
    "high": ("#dd6a10", "M1.5 13H14.5L8 1.5Z"),
    "drift": ("#c25bab", "M8 .8L15.2 8L8 15.2L.8 8Z"),
}
"""Colour and outline of each lamp; contrast at least 3 on white and on the dark theme's #111 (WCAG 2)."""

ROWS = 60
"""A picture shows so many."""

_OFF = "M3 3H13V13H3Z"
_LINE = "#4a8fc7"
_HEIGHT = 26
_TOP = 24
_NAME_X, _LEVEL_X, _BAND_X, _RATE_X, _SPARK_X, _DRIFT_X = 62, 268, 284, 452, 466, WIDTH
_BAND_WIDTH, _SPARK_WIDTH = 60, 120


def health_svg(frame: pd.DataFrame, *, title: str = "") -> str:
    """Draw a health board as a stand-alone SVG document: every piece, and parts that are not ok.

    Raises:
        ValueError: See :func:`ktrace_nb.widgets.health_board`.
    """
    return _svg(board_of(frame), title)


def board_html(view: ViewData) -> str:
    """The picture that stays."""
    board = board_of(view.frame)
    alt = f"health board: {board.foot}. {'. '.join(row.tell for row in _chosen(board))}"
    return image_html(_svg(board, ""), alt)


def board_text(view: ViewData) -> str:
    """A line for each piece and each part that is not ok, headed by the board's name."""
    board = board_of(view.frame)
    rows = [
        (row.state, f"{'  ' if row.under else ''}{row.name}", row.level, row.rate, row.drift)
        for row in _chosen(board)
    ]
    cells = [("state", "piece", "level", "rate", "drift"), *rows]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    widths[1] = min(widths[1], max(5, COLUMNS - sum(widths) + widths[1] - 8))
    lines = []
    for state, name, *numbers in cells:
        shown = name if len(name) <= widths[1] else f"{name[: widths[1] - 1]}…"
        right = "  ".join(text.rjust(width) for text, width in zip(numbers, widths[2:], strict=True))
        lines.append(f"{state.ljust(widths[0])}  {shown.ljust(widths[1])}  {right}")
    return "\n".join([*filter(None, [printable(view.name)]), *lines, board.foot])


def _chosen(board: Board) -> Sequence[BoardRow]:
    """Pieces, and parts that are not ok."""
    return [row for row in board.rows if not row.under or row.state != "ok"][:ROWS]


def _svg(board: Board, title: str) -> str:
    rows = _chosen(board)
    left = sum(not row.under or row.state != "ok" for row in board.rows) - len(rows)
    foot = f"{board.foot}; {left:,} more rows" if left else board.foot
    head = 24 if title else 0
    height = head + _TOP + _HEIGHT * len(rows) + 26
    parts = [opening(WIDTH, height)]
    if title:
        parts.append(f'<text x="0" y="15" font-size="14" font-weight="600">{escape(printable(title))}</text>')
    parts.append(f'<g transform="translate(0 {head})">')
    parts.extend(_heads())
    for place, row in enumerate(rows):
        parts.append(f'<g transform="translate(0 {_TOP + _HEIGHT * place})">')
        parts.extend(_row(row))
        parts.append(_spark(board.at_s, board.past[row.label]))
        parts.append("</g>")
    parts.append(f'<text x="0" y="{_TOP + _HEIGHT * len(rows) + 20}">{escape(foot)}</text></g></svg>')
    return "".join(parts)


def _heads() -> Iterator[str]:
    for x, word in ((0, "state"), (_NAME_X, "piece"), (_BAND_X, "band")):
        yield f'<text x="{x}" y="14" font-weight="600">{word}</text>'
    yield f'<text x="{_SPARK_X}" y="14" font-weight="600">last {SECONDS / 60:.0f} min</text>'
    for x, word in ((_LEVEL_X, "level"), (_RATE_X, "rate"), (_DRIFT_X, "drift")):
        yield f'<text x="{x}" y="14" font-weight="600" text-anchor="end">{word}</text>'
    yield f'<path d="M0 {_TOP - 3.5}H{WIDTH}" stroke="{INK}"/>'


def _row(row: BoardRow) -> Iterator[str]:
    colour, outline = LAMPS.get(row.state, ("none", _OFF))
    stroke = f' stroke="{INK}"' if colour == "none" else ""
    bold = "" if row.state == "ok" else ' font-weight="700"'
    yield f'<path transform="translate(0 5)" d="{outline}" fill="{colour}"{stroke}/>'
    yield f'<text x="21" y="17"{bold}>{escape(_cut(row.state, 6))}</text>'
    name = f"{row.name} · {row.troubled}" if row.troubled else row.name
    yield f'<text x="{_NAME_X + (12 if row.under else 0)}" y="17">{escape(_cut(name, 22))}</text>'
    for x, text in ((_LEVEL_X, row.level), (_RATE_X, row.rate), (_DRIFT_X, row.drift)):
        yield f'<text x="{x}" y="17" text-anchor="end">{escape(text)}</text>'
    if row.band is not None:
        yield from _band(row.band, row.band_text)


def _band(band: Band, text: str) -> Iterator[str]:
    start, end, at = (number * _BAND_WIDTH for number in (band.start, band.end, band.at))
    inside = band.start <= band.at <= band.end
    yield f'<rect x="{_BAND_X}" y="10" width="{_BAND_WIDTH}" height="2" fill="{INK}" opacity=".6"/>'
    yield (
        f'<rect x="{_BAND_X + start:.1f}" y="7" width="{max(2, end - start):.1f}" height="8" rx="2" '
        f'fill="{LAMPS["ok"][0]}" opacity=".35"/>'
    )
    yield (
        f'<rect x="{_BAND_X + at * (1 - 4 / _BAND_WIDTH):.1f}" y="4" width="4" height="14" '
        f'fill="{INK if inside else LAMPS["high"][0]}"><title>{escape(text)}</title></rect>'
    )
    yield f'<text x="{_BAND_X + _BAND_WIDTH + 4}" y="15" font-size="9">{escape(_cut(text, 12))}</text>'


def _spark(at_s: Sequence[float], rates: Sequence[float | None]) -> str:
    """Steps: each rate is the mean since the moment before. The highest fills the height."""
    most = max((rate for rate in rates if rate is not None), default=0.0) or 1.0
    line, drawing = [], False
    for (before, _), (at, rate) in zip(
        zip(at_s, rates, strict=False), zip(at_s[1:], rates[1:], strict=False), strict=False
    ):
        if rate is None or not math.isfinite(rate):
            drawing = False
            continue
        y = 21 - 17 * max(0.0, rate) / most
        x, end = (
            _SPARK_X + max(0.0, _SPARK_WIDTH * (1 - (at_s[-1] - moment) / SECONDS)) for moment in (before, at)
        )
        line.append(f"V{y:.1f}" if drawing else f"M{x:.1f} {y:.1f}")
        line.append(f"H{end:.1f}")
        drawing = True
    ground = f'<path d="M{_SPARK_X} 22.5h{_SPARK_WIDTH}" stroke="{INK}" opacity=".4"/>'
    if not line:
        return ground
    return f'{ground}<path d="{"".join(line)}" fill="none" stroke="{_LINE}" stroke-width="1.5"/>'


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
