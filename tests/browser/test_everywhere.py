"""Panels in Notebook 7, in Voilà, and where a front end hides the kernel's connection."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import kit
from tests.browser.front_ends import NotebookPage, VoilaServer, notebook_server, voila_server
from tests.browser.panels import BUSY, START, bars, open_panel, texts
from tests.notebooks import write_notebook
from tests.widgets.synthetic import Synthetic

pytestmark = pytest.mark.browser

VIEWS = "['latency', 'by process', 'printed']"
FACTS = ".ktrace-facts"
ENOUGH = "enough"
BUSY_UNTIL = f"""
from pathlib import Path
deadline = time.time() + 120
while not Path({ENOUGH!r}).exists() and time.time() < deadline:
    end = time.time() + 0.2
    while time.time() < end: pass
"""
"""A cell that computes until a file is written next to its notebook."""


def changes(page: Page) -> None:
    """Wait until the panel's counts, its bars, its table and its text have each changed."""
    for selector in (FACTS, ".ktrace-panel .ktrace-table tbody", ".ktrace-text pre"):
        before = page.locator(selector).first.inner_text()
        page.wait_for_function(
            "([selector, before]) => document.querySelector(selector).innerText !== before",
            arg=[selector, before],
        )


def check_views(page: kit.LabPage) -> None:
    """The histogram is the synthetic one's shape; the table has its processes."""
    frame = Synthetic(["latency"]).view("latency", 1000).frame
    heights = bars(page)
    counts = frame["count"].astype(float)
    assert len(heights) == len(counts)
    # Whatever the age, bars are in proportion to the counts; a pixel of 200 is 0.005.
    assert heights == pytest.approx(list(counts / counts.max() * max(heights)), abs=0.02)
    assert "proc-38" in page.page.locator(".ktrace-panel .ktrace-table").first.inner_text()
    assert page.page.locator("img[src=x]").count() == 0


@pytest.fixture(scope="module")
def notebook_seven() -> Iterator[kit.LabServer]:
    with notebook_server() as server:
        yield server


@pytest.fixture
def seven(browser: Browser, notebook_seven: kit.LabServer) -> Iterator[NotebookPage]:
    context = browser.new_context(viewport={"width": 1280, "height": 1600}, device_scale_factor=1)
    context.set_default_timeout(30_000)
    try:
        yield NotebookPage(context.new_page(), notebook_seven)
    finally:
        context.close()


class Complaints:
    """What a page says went wrong.

    Front ends complain of themselves (a stylesheet from a network that is not there, other
    extensions): what they say of a notebook without a panel is left out.
    """

    def __init__(self, page: Page) -> None:
        self.all: list[str] = []
        self._before: set[str] = set()
        page.on("pageerror", lambda error: self._hear(str(error)))
        page.on("console", lambda said: self._hear(said.text) if said.type == "error" else None)

    def _hear(self, said: str) -> None:
        # Kernels and ports are others each time.
        self.all.append(re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|:[0-9]{4,5}\b", "…", said))

    def leave_out(self) -> None:
        """What was said up to now is nothing new."""
        self._before = set(self.all)

    @property
    def new(self) -> list[str]:
        """What was said only later."""
        return [said for said in self.all if said not in self._before]


@pytest.fixture
def complaints(seven: NotebookPage) -> Iterator[None]:
    """Nothing is wrong in the end that is not of a notebook without a panel."""
    found = Complaints(seven.page)
    write_notebook(seven.server.root / "plain.ipynb", ["import ipywidgets; ipywidgets.Label('plain')"])
    seven.open("plain.ipynb")
    seven.run_cell(0)
    seven.page.wait_for_selector(".widget-label")
    found.leave_out()
    yield
    assert found.new == []


def test_notebook_7_shows_a_panel_that_follows_and_stops_while_a_cell_runs(
    seven: NotebookPage, complaints: None
) -> None:
    (seven.server.root / ENOUGH).unlink(missing_ok=True)
    open_panel(seven, "live.ipynb", f"Synthetic({VIEWS}, hertz=10, age=1000)", BUSY_UNTIL)
    seven.page.wait_for_selector(".ktrace-panel .bar")
    changes(seven.page)
    check_views(seven)
    # Notebook 7 puts long output into a box that scrolls: not a panel.
    area = seven.page.locator(".jp-OutputArea:has(.ktrace-panel)").first
    assert area.evaluate("(area) => area.scrollHeight - area.clientHeight") <= 1
    seven.screenshot("notebook-7")
    seven.run_cell(2, wait=False)
    running = "jupyterapp.shell.currentWidget.content.widgets[2].model.executionState"
    seven.page.wait_for_function(f"{running} === 'running'")
    changes(seven.page)
    seven.page.click(".ktrace-stop")
    seven.page.wait_for_selector('.ktrace-header[data-state="done"]')
    assert seven.page.evaluate(running) == "running"
    seven.page.locator(".ktrace-panel .ktrace-table th button").first.click()
    seven.page.wait_for_selector(".ktrace-panel .ktrace-table th:first-child[aria-sort=ascending]")
    assert seven.page.evaluate(running) == "running"
    (seven.server.root / ENOUGH).write_text("")
    seven.page.wait_for_function(f"{running} === 'idle'")


def test_notebook_7_keeps_the_picture_in_the_notebook(seven: NotebookPage, complaints: None) -> None:
    open_panel(seven, "kept.ipynb", f"Synthetic({VIEWS}, hertz=10, age=1000)")
    seven.page.wait_for_selector(".ktrace-panel .bar")
    assert seven.page.locator(".ktrace-static").is_hidden()
    seven.page.click(".ktrace-stop")
    seven.page.wait_for_selector('.ktrace-header[data-state="done"]')
    seven.page.wait_for_function(
        """() => JSON.stringify(jupyterapp.shell.currentWidget.content.widgets[1]
            .model.sharedModel.toJSON().outputs).includes("stopped")"""
    )
    seven.save()
    saved = (seven.server.root / "kept.ipynb").read_text()
    assert "stopped" in saved
    assert "data:image/" in saved


@pytest.fixture(scope="module")
def voila() -> Iterator[VoilaServer]:
    with voila_server() as server:
        yield server


@pytest.fixture
def dashboard(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1600}, device_scale_factor=1)
    context.set_default_timeout(60_000)
    try:
        yield context.new_page()
    finally:
        context.close()


def test_voila_shows_a_panel_that_follows_and_can_be_stopped(voila: VoilaServer, dashboard: Page) -> None:
    complaints = Complaints(dashboard)
    write_notebook(voila.root / "plain.ipynb", ["import ipywidgets; ipywidgets.Label('plain')"])
    for _ in range(2):  # the second time it says that it cannot end the kernel of the first
        voila.open(dashboard, "plain.ipynb")
        dashboard.wait_for_selector(".widget-label")
    complaints.leave_out()
    source = f"source = Synthetic({VIEWS}, hertz=10, age=1000); panel = show(source)"
    write_notebook(voila.root / "live.ipynb", [START, source])
    voila.open(dashboard, "live.ipynb")
    dashboard.wait_for_selector(".ktrace-panel .bar")
    changes(dashboard)
    dashboard.locator(".ktrace-panel .ktrace-table th button").first.click()
    dashboard.wait_for_selector(".ktrace-panel .ktrace-table th:first-child[aria-sort=ascending]")
    assert dashboard.locator(".ktrace-static").is_hidden()
    dashboard.screenshot(path=kit.artifacts() / "voila.png")
    dashboard.click(".ktrace-stop")
    dashboard.wait_for_selector('.ktrace-header[data-state="done"]')
    assert dashboard.locator(".ktrace-message").inner_text() == "stopped"
    assert complaints.new == []


# A front end may keep the kernel's connection from what widgets run in the page.
HIDE_KERNEL = """async () => {
    const outputs = jupyterapp.shell.currentWidget.content.widgets.flatMap((cell) =>
        [...cell.outputArea.node.querySelectorAll('*')].length ? [cell.outputArea] : []);
    const find = function* (widget) {
        if (widget._manager?.promise) yield widget._manager.promise;
        for (const child of widget.children?.() ?? widget.widgets ?? []) yield* find(child);
    };
    const manager = await [...outputs.flatMap((area) => [...find(area)])][0];
    const kernel = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(manager), 'kernel').get;
    window.hiddenFrom = 0;
    Object.defineProperty(manager, 'kernel', {
        get() {
            const [, , caller] = new Error().stack.split('\\n');
            if (!caller.includes('blob:')) return kernel.call(this);
            window.hiddenFrom += 1;
            return undefined;
        },
    });
}"""


def test_where_the_kernel_is_hidden_a_panel_follows_and_stops_by_the_widget_s_own_messages(
    page: kit.LabPage, path: str
) -> None:
    write_notebook(
        page.server.root / path,
        [
            START,
            "import ipywidgets; ipywidgets.Label('first')",
            f"source = Synthetic({VIEWS}, hertz=10, age=1000); panel = show(source)",
            BUSY["sleep"].format(s=4),
        ],
    )
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(".widget-label")
    page.page.evaluate(HIDE_KERNEL)
    page.run_cell(2)
    page.page.wait_for_selector(".ktrace-panel .bar")
    changes(page.page)
    check_views(page)
    page.run_cell(3, wait=False)
    page.page.wait_for_timeout(500)
    changes(page.page)  # also while a cell runs, once a second
    page.page.click(".ktrace-stop")
    page.page.wait_for_selector('.ktrace-header[data-state="done"]')  # after the cell at the latest
    assert texts(page, ".ktrace-message") == ["stopped"]
    assert page.page.evaluate("window.hiddenFrom") > 0
