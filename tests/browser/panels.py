"""What the tests of panels share: opening one, and looking at it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import WebSocket

from tests.browser import kit
from tests.notebooks import write_notebook

START = """
import threading, time
from ktrace_nb.widgets import show
from tests.widgets.synthetic import Synthetic
"""
BUSY = {"python": "end = time.time() + {s}\nwhile time.time() < end: pass", "sleep": "time.sleep({s})"}


def open_panel(page: kit.LabPage, path: str, source: str, *more: str) -> None:
    """Open a notebook, show a source in its second cell and wait for the panel."""
    write_notebook(page.server.root / path, [START, f"source = {source}; panel = show(source)", *more])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(".ktrace-header .ktrace-name:text('vfs_read')")


def bars(page: kit.LabPage, figure: int = 0) -> list[float]:
    """Heights of a figure's bars as a share of the plot's height."""
    found = page.page.evaluate(
        """(figure) => {
            const plot = document.querySelectorAll('.ktrace-panel .bqplot')[figure];
            const height = plot.querySelector('.plotarea_events').getAttribute('height');
            return [...plot.querySelectorAll('.bar')].map(bar => bar.getAttribute('height') / height);
        }""",
        figure,
    )
    return list(found)


def texts(page: kit.LabPage, selector: str) -> list[str]:
    """The text of everything that matches."""
    return page.page.locator(selector).all_inner_texts()


def labels(page: kit.LabPage, figure: int, anchor: str) -> list[str]:
    """The tick labels of a figure's axis: anchor ``middle`` for values, ``end`` for counts."""
    return (
        page.page.locator(".ktrace-panel .bqplot")
        .nth(figure)
        .locator(f'.axis[text-anchor="{anchor}"] .tick text')
        .all_text_contents()
    )


@contextmanager
def ticks_of(page: kit.LabPage) -> Iterator[list[float]]:
    """Note when an update of a panel comes in from the network while the block runs."""
    seen: list[float] = []

    def note(frame: str | bytes) -> None:
        data = frame if isinstance(frame, bytes) else frame.encode()
        if b'"tick"' in data:
            seen.append(time.monotonic())

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", note)

    page.page.on("websocket", listen)
    yield seen
