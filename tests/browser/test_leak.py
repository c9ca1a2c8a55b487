"""What a page and a kernel hold after so many updates they hold after twice as many.

Counts, not bytes: of the nodes in the page, of its listeners as the browser counts them after
a collection of garbage, and of the kernel's models and comms. The frames go round, so that the
page shows the same at every count. Nodes outside the page are not counted: when the browser
lets go of those is up to it. ``benchmarks/leak.py`` watches them, and the bytes, for longer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from benchmarks.live_frames import FRAMES
from tests.browser import kit
from tests.browser.tabs import Chromium, Tab, chromium
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser

ROUND = 5
UPDATES = 30

NODES = """(() => {
    const walker = document.createTreeWalker(document.querySelector('.ktrace-panel'));
    let nodes = 1;
    while (walker.nextNode()) nodes += 1;
    // What bqplot left behind at the last update is swept at the next one.
    return nodes - document.querySelectorAll('.ktrace-panel g:not([class]):empty').length;
})()"""

HELD = """
import comm, ipywidgets, json, threading
print(json.dumps([len(comm.get_comm_manager().comms), len(ipywidgets.widgets.widget._instances)]))
"""


@pytest.fixture(scope="module")
def tabs() -> Iterator[Chromium]:
    with chromium() as browser:
        yield browser


def opened(tabs: Chromium, server: kit.LabServer, source: str) -> Tab:
    """A tab that shows a source of the benchmarks."""
    name = f"leak-{time.monotonic_ns()}.ipynb"
    setup = "from benchmarks.live_frames import Live\nfrom ktrace_nb.widgets import show"
    write_notebook(server.root / name, [setup, f"source = {source}; panel = show(source)"])
    tab = tabs.tab()
    tab.open_lab(server, name)
    tab.run_cell(0)
    tab.run_cell(1)
    return tab


def counted(tab: Tab, updates: int) -> tuple[float, float]:
    """Let the frames change until there were so many updates; the page's nodes and listeners then."""
    tab.evaluate(
        f"""jupyterapp.shell.currentWidget.context.sessionContext.session.kernel
            .requestExecute({{ code: 'source.steps = {updates}', silent: true }}).done.then(() => 0)"""
    )
    # The last update has come in when the page shows the time at which the frames stood still.
    tab.wait(
        f"""jupyterapp.shell.currentWidget.context.sessionContext.session.kernel
            .requestExecute({{ code: '', silent: true, user_expressions: {{
                still: 'source.generation() == {updates} and source.made_ms' }} }}).done.then((reply) => {{
                    const still = reply.content.user_expressions.still.data['text/plain'];
                    const shown = document.querySelector('.ktrace-facts')?.textContent.match(/[0-9,]+/)[0];
                    return still === shown?.replaceAll(',', '');
                }})""",
        timeout_s=300,
    )
    tab.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(0))))")
    before: tuple[float, float] | None = None
    # What a change has set in motion (transitions, timers) comes to rest.
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        now = tab.evaluate(NODES), tab.metrics()["JSEventListeners"]
        if now == before:
            return now
        before = now
        time.sleep(1)
    raise AssertionError(f"the page does not come to rest: {before}")


@pytest.mark.parametrize("kind", FRAMES)
def test_updates_leave_no_nodes_and_no_listeners_behind(
    tabs: Chromium, lab_server: kit.LabServer, kind: str
) -> None:
    tab = opened(tabs, lab_server, f"Live([{kind!r}], ages={ROUND}, steps={ROUND})")
    warm, after = counted(tab, UPDATES), counted(tab, 2 * UPDATES)
    if any(now - then >= UPDATES for then, now in zip(warm, after, strict=True)):
        # What leaks, does so at every update; what was replaced may not have been collected yet.
        warm, after = after, counted(tab, 4 * UPDATES)
        assert all(now - then < 2 * UPDATES for then, now in zip(warm, after, strict=True)), (warm, after)
    tab.send("Page.close")


def test_a_cell_run_again_leaves_no_models_and_no_panels_behind(
    tabs: Chromium, lab_server: kit.LabServer
) -> None:
    tab = opened(tabs, lab_server, f"Live({list(FRAMES)!r})")
    tab.wait("document.querySelector('.ktrace-panel .bar')")
    before = json.loads(tab.ask(HELD))
    tab.evaluate("void (window.old = [])")
    for _ in range(5):
        tab.evaluate(
            "document.querySelectorAll('.ktrace-panel > *').forEach((part) => old.push(new WeakRef(part)))"
        )
        tab.run_cell(1)
        tab.wait("document.querySelectorAll('.ktrace-panel').length === 1")
        tab.wait("document.querySelector('.ktrace-panel .bar')")
    assert json.loads(tab.ask(HELD)) == before

    deadline = time.monotonic() + 30
    while (left := kept(tab)) and time.monotonic() < deadline:
        time.sleep(1)
    assert not left
    tab.send("Page.close")


def kept(tab: Tab) -> list[str]:
    """The classes of old views that are in memory after a collection of garbage."""
    tab.send("HeapProfiler.collectGarbage")
    return list(tab.evaluate("old.map((part) => part.deref()?.className).filter(Boolean)"))
