"""The picture of an indent view that stays: its first and its last lines."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ktrace_nb.stream.calls.feed import ENTERED, FAILED, UNSEEN, Feed
from ktrace_nb.stream.text import printable

ENDS = 20
"""So many lines of the beginning, and of the end."""

_LEVEL = 2
_MARKS = {FAILED: "  ✗", UNSEEN: "  ⚠  end not seen"}
_BLANK = "\N{NO-BREAK SPACE}"  # pages that do not trust the notebook drop styles, and browsers blanks


def picture_lines(feed: Feed) -> Iterator[tuple[str, str, str] | int]:
    """The lines to be kept: time in seconds, thread, call; a number stands for so many left out."""
    total = feed.count()
    if not total:
        return
    origin_ns = int(feed.steps(0, 1).at[0])
    parts = [(0, total)] if total <= 2 * ENDS + 1 else [(0, ENDS), (total - ENDS, total)]
    for number, (start, stop) in enumerate(parts):
        if number:
            yield total - 2 * ENDS
        steps = feed.steps(start, stop)
        # A list per column: single numbers of an array are slow to get at.
        columns = (column.tolist() for column in steps)
        for at, function, thread, depth, kind, call in zip(*columns, strict=True):
            entered = kind == ENTERED
            said = feed.tell(call) if entered else f"{feed.functions[function]}{_MARKS.get(kind, '')}"
            arrow = "->" if entered else "<-"
            text = f"{' ' * _LEVEL * depth}{arrow} {said}"
            yield f"{(at - origin_ns) / 1e9:.6f}", printable(feed.threads[thread]), printable(text)


def indent_text(feed: Feed) -> str:
    """The first and the last lines as text; nothing of them is cut."""
    lines = list(picture_lines(feed))
    if not lines:
        return "nothing called yet"
    rows = [line for line in lines if isinstance(line, tuple)]
    time, task = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(
        f"... {_left_out(line)}"
        if isinstance(line, int)
        else f"{line[0]:>{time}}  {line[1]:<{task}}  {line[2]}".rstrip()
        for line in lines
    )


def indent_html(feed: Feed) -> str:
    """The first and the last lines as an HTML table without scripts, styles kept to alignment."""
    lines = list(picture_lines(feed))
    if not lines:
        return "<p>nothing called yet</p>"
    left, right = (f'align="{side}" style="text-align: {side}"' for side in ("left", "right"))
    heads = "".join(
        f"<th {side}>{name}</th>" for side, name in ((right, "seconds"), (left, "thread"), (left, "call"))
    )
    body = "\n".join(
        f'<tr><td {left} colspan="3">… {_left_out(line)}</td></tr>'
        if isinstance(line, int)
        else f"<tr><td {right}>{line[0]}</td><td {left}>{escape(line[1])}</td>"
        f"<td {left}>{_indented(line[2])}</td></tr>"
        for line in lines
    )
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _indented(text: str) -> str:
    bare = text.lstrip(" ")
    # Of the page's own font, in which a blank is half as wide.
    indent = 2 * _BLANK * (len(text) - len(bare))
    return f"{indent}<code>{escape(bare.replace('  ', 2 * _BLANK))}</code>"


def _left_out(count: int) -> str:
    return f"{count:,} more {'line' if count == 1 else 'lines'}"
