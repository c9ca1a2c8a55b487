from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ktrace_nb.widgets.console import TextView, console_html, console_text, new_lines
from ktrace_nb.widgets.source import ViewData


def printed(numbers: Sequence[int], begun: str = "0") -> ViewData:
    """Lines that say their number."""
    frame = pd.DataFrame({"text": [f"line {n}" for n in numbers]}, index=np.array(numbers, dtype=np.int64))
    return ViewData(
        name="printed",
        kind="text",
        frame=frame,
        generation=(len(numbers), *numbers[-1:], begun),
        options={"begun": begun},
    )


class Page:
    """A page that keeps lines as ``text.js`` does."""

    def __init__(self, text: TextView) -> None:
        self.text = text
        self.lines: list[str] = []
        self.gone = 0
        self.messages = 0
        text.send = self.take
        text.receive({"resend": True})

    def take(self, message: Mapping[str, Any], buffers: object = None) -> None:
        message = json.loads(json.dumps(message))
        self.messages += 1
        if message["fresh"]:
            self.lines = []
        self.lines = (self.lines + message["lines"])[-self.text.most :]
        self.gone = message["before"] + len(message["lines"]) - len(self.lines)


def test_lines_that_were_shown_are_not_sent_again() -> None:
    frame = pd.DataFrame({"text": ["a", "b\tc", "d\x1b[2J"]}, index=[4, 5, 6])
    assert new_lines(frame, -1) == (["a", "b       c", "d\\x1b[2J"], 6)
    assert new_lines(frame, 5) == (["d\\x1b[2J"], 6)
    assert new_lines(frame, 6) == ([], 6)
    assert new_lines(frame, -1, most=1) == (["d\\x1b[2J"], 6)
    assert new_lines(frame.iloc[:0], 6) == ([], 6)


def test_a_page_has_every_line_once_and_one_that_comes_later_has_them_too() -> None:
    calls: list[int] = []
    text = TextView(printed(range(3)), lambda: calls.append(1))
    page = Page(text)
    assert (calls, text.stale) == ([1], True)
    assert text.update(printed(range(3)))
    assert not text.update(printed(range(3)))
    assert text.update(printed(range(1, 6)))
    assert page.lines == [f"line {n}" for n in range(6)]
    text.receive({"resend": True})
    assert text.update(printed(range(1, 6)))
    assert (page.lines, page.gone) == ([f"line {n}" for n in range(1, 6)], 1)
    text.close()


def test_more_lines_than_a_page_keeps_are_said_not_to_be_shown() -> None:
    text = TextView(printed([]), lambda: None)
    text.most = 4
    page = Page(text)
    text.update(printed(range(3)))
    text.update(printed(range(10)))
    assert (page.lines, page.gone) == ([f"line {n}" for n in range(6, 10)], 6)
    text.close()


def test_after_a_reset_the_old_lines_are_forgotten_though_numbers_go_on() -> None:
    text = TextView(printed(range(3)), lambda: None)
    page = Page(text)
    text.update(printed(range(3)))
    # Five lines more, two of them before the reset.
    assert text.update(printed([5, 6, 7], "17"))
    assert (page.lines, page.gone) == (["line 5", "line 6", "line 7"], 0)
    assert text.update(printed([5, 6, 7, 8], "17"))
    assert (page.lines[-1], page.gone) == ("line 8", 0)
    assert not text.update(printed([5, 6, 7, 8], "17"))
    text.close()


def test_a_reset_that_is_seen_before_the_next_line_empties_the_page() -> None:
    text = TextView(printed(range(3)), lambda: None)
    page = Page(text)
    text.update(printed(range(3)))
    assert text.update(printed([], "17"))
    assert (page.lines, page.gone) == ([], 0)
    assert not text.update(printed([], "17"))
    # A page that comes now asks for all lines, of which there are none.
    text.receive({"resend": True})
    assert text.update(printed([], "17"))
    assert (page.lines, page.gone) == ([], 0)
    assert text.update(printed([4], "17"))
    assert (page.lines, page.gone) == (["line 4"], 0)
    assert text.update(printed([4, 5], "17"))
    assert page.lines == ["line 4", "line 5"]
    text.receive({"resend": True})
    assert text.update(printed([4, 5], "17"))
    assert (page.lines, page.gone) == (["line 4", "line 5"], 0)
    assert text.update(printed([], "18"))
    assert page.lines == []
    text.close()


def test_of_many_lines_after_a_reset_those_before_the_latest_are_counted() -> None:
    text = TextView(printed(range(3)), lambda: None)
    text.most = 2
    page = Page(text)
    text.update(printed(range(3)))
    text.update(printed([7, 8, 9], "17"))
    assert (page.lines, page.gone) == (["line 8", "line 9"], 1)
    text.update(printed([8, 9, 10], "17"))
    assert (page.lines, page.gone) == (["line 9", "line 10"], 2)
    text.close()


def test_the_picture_that_stays_has_the_latest_lines_as_text() -> None:
    view = printed(range(300))
    assert console_text(view).splitlines()[:2] == ["printed", "line 200"]
    frame = pd.DataFrame({"text": ["<b>\x1b[31m"]})
    assert console_html(ViewData(name="t", kind="text", frame=frame, generation=1)) == (
        "<pre>&lt;b&gt;\\x1b[31m</pre>"
    )
