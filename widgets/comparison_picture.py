"""Two runs side by side as HTML and as text, for saved notebooks and terminals.

Bars are letters, because a page that does not trust the notebook drops styles.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import pandas as pd

from ktrace_nb.stream.text import LONGEST_STRING, more_rows, printable
from ktrace_nb.widgets.sides import Side, side_by_side

ROWS = 30
"""A picture has so many."""

BAR = 12
"""Letters of the longest bar."""

MORE, LESS = "#d55e00", "#3182bd"
"""Vermilion and blue, told apart with any colour vision, and by the side they are on."""


def comparison_html(frame: pd.DataFrame) -> str:
    """Write a comparison as an HTML table without scripts or styles that matter.

    Raises:
        ValueError: It is not a comparison.
    """
    side = side_by_side(frame, ROWS)
    groups = "".join(
        _over(group, sum(column.group == group for column in side.columns))
        for group in dict.fromkeys(column.group for column in side.columns)
    )
    heads = "".join(_right("th", column.side) for column in side.columns)
    rows = "\n".join(_rows(side))
    foot = escape("; ".join(_foot(side)))
    return (
        f"<table>\n<thead><tr><th></th><th></th>{_over('self time', 2)}{groups}</tr>\n"
        f"<tr>{_left('th', side.head)}<th></th>{_right('th', 'less')}{_left('th', 'more')}{heads}</tr>"
        "</thead>\n"
        f"<tbody>\n{rows}\n</tbody>\n</table>\n<p>{foot}</p>"
    )


def _rows(side: Side) -> Iterator[str]:
    for name, mark, texts, change in zip(side.names, side.marks, side.texts, side.changes, strict=True):
        said = f"<b>{mark}</b>" if mark else ""
        bar = halves(abs(change), side.longest)
        less = f'<font color="{LESS}">{bar.replace("▌", "▐")[::-1] if change < 0 else ""}</font>'
        more = f'<font color="{MORE}">{bar if change > 0 else ""}</font>'
        yield (
            f"<tr>{_left('td', cut(name))}<td>{said}</td>"
            f'<td align="right" style="text-align: right">{less}</td>'
            f'<td align="left" style="text-align: left">{more}</td>'
            + "".join(_right("td", text) for text in texts)
            + "</tr>"
        )


def _over(group: str, columns: int) -> str:
    return f'<th colspan="{columns}" align="center" style="text-align: center">{group}</th>'


def _left(tag: str, text: str) -> str:
    return f'<{tag} align="left" style="text-align: left">{escape(text)}</{tag}>'


def _right(tag: str, text: str) -> str:
    return f'<{tag} align="right" style="text-align: right">{escape(text)}</{tag}>'


def comparison_text(frame: pd.DataFrame, *, title: str = "") -> str:
    """Write a comparison as text: calls and self time of both runs, and which way it went.

    Raises:
        ValueError: It is not a comparison.
    """
    side = side_by_side(frame, ROWS)
    wanted = [number for number, column in enumerate(side.columns) if column.group in ("calls", "self time")]
    heads = [
        "",
        side.head,
        *(f"{side.columns[number].group} {side.columns[number].side}" for number in wanted),
    ]
    lines = [heads]
    for name, mark, texts in zip(side.names, side.marks, side.texts, strict=True):
        lines.append([mark, cut(name), *(texts[number] for number in wanted)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join(
            text.ljust(width) if place < 2 else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([*([printable(title)] if title else []), *shown, *_foot(side)])


def _foot(side: Side) -> list[str]:
    return [*side.notes, *([f"... {more_rows(side.left)}"] if side.left else [])]


def cut(name: str) -> str:
    """A name of a length that fits; of a path its end, where it differs from others."""
    return name if len(name) <= LONGEST_STRING else f"…{name[1 - LONGEST_STRING :]}"


def halves(part: float, whole: float) -> str:
    """A bar of letters and half letters; what is there at all is seen."""
    if not part or not whole:
        return ""
    size = max(1, round(part / whole * BAR * 2))
    return "█" * (size // 2) + "▌" * (size % 2)
