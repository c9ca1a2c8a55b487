"""What the tests of controls share: opening a panel that obeys."""

from __future__ import annotations

from tests.browser import kit
from tests.browser.panels import START
from tests.notebooks import write_notebook

IMPORT = f"{START}\nfrom tests.widgets.controlled import Controlled"


def open_controlled(page: kit.LabPage, path: str, source: str, *more: str) -> None:
    """Show a controlled source in the second cell of a notebook."""
    cells = [IMPORT, f"source = {source}; source.panel = panel = show(source)", *more]
    write_notebook(page.server.root / path, cells)
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(".ktrace-stop")


def begin_cell(page: kit.LabPage, index: int) -> None:
    """Start a cell and wait until it runs."""
    page.run_cell(index, wait=False)
    page.page.wait_for_function(RUNS, arg=index)


RUNS = """(index) => {
    const { model } = jupyterapp.shell.currentWidget.content.widgets[index];
    return model.executionState === 'running';
}"""


def until_notice(page: kit.LabPage, start: str) -> str:
    """Wait for a notice and return it."""
    page.page.wait_for_function(
        "(start) => document.querySelector('.ktrace-notice-text').innerText.startsWith(start)", arg=start
    )
    return str(page.page.locator(".ktrace-notice-text").inner_text())
