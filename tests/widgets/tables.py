"""What the tests of tables share."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pandas as pd

from ktrace_nb.widgets.source import ViewData

EVIL = "<img src=x onerror=alert(1)>\x1b[2J\u202e"


def view_of(frame: pd.DataFrame, **more: Any) -> ViewData:
    return ViewData(
        name=more.pop("name", "t"), kind="table", frame=frame, generation=more.pop("generation", 1), **more
    )


class Cells(HTMLParser):
    """The tags of a page, its cells' texts, and their tooltips."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.titles: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.titles += [value or "" for name, value in attrs if name == "title"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
