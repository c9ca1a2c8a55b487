"""What a panel sends to a page that is hidden, slow, or closed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from ktrace_nb.widgets.pace import MOST_BEHIND
from tests.browser import kit
from tests.browser.panels import START
from tests.browser.tabs import Chromium, Tab, chromium
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser

ENDED = """
def publishes():
    return any(thread.name == 'ktrace panel' for thread in threading.enumerate())
end = time.monotonic() + 60
while time.monotonic() < end and publishes():
    time.sleep(0.05)
print(publishes())
"""
"""Waits until nothing is published any more."""


@pytest.fixture(scope="module")
def tabs() -> Iterator[Chromium]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def tab(tabs: Chromium, lab_server: kit.LabServer) -> Tab:
    """A tab in front that shows a panel whose frames change all the time."""
    name = f"hidden-{time.monotonic_ns()}.ipynb"
    source = "source = Synthetic(['latency', 'by process'], hertz=50); panel = show(source)"
    write_notebook(lab_server.root / name, [START, source])
    tab = tabs.tab()
    tab.open_lab(lab_server, name)
    tab.run_cell(0)
    tab.run_cell(1)
    tab.wait("document.querySelector('.ktrace-panel .bar') && ticks.length > 5")
    return tab


def hidden_again(tabs: Chromium, tab: Tab) -> int:
    """Put another tab in front; how many updates had come by the time the page knew."""
    tab.evaluate("document.addEventListener('visibilitychange', () => { window.ticksSeen = ticks.length; })")
    tabs.tab()
    tab.wait("document.hidden")
    return int(tab.evaluate("ticksSeen"))


def test_a_hidden_tab_gets_nothing_until_it_is_shown_again(tabs: Chromium, tab: Tab) -> None:
    seen = hidden_again(tabs, tab)
    assert tab.ask(ENDED) == "False\n"
    came = tab.evaluate("ticks.length")
    assert came <= seen + MOST_BEHIND, "what was on the way when the page said that it is hidden"
    # Twenty updates' time.
    end = time.monotonic() + 4
    while time.monotonic() < end:
        assert tab.evaluate("ticks.length") == came
        time.sleep(0.2)
    before = json.dumps(tab.evaluate("document.querySelector('.ktrace-facts').textContent"))
    tab.show()
    tab.wait(f"ticks.length > {came + 5}")
    tab.wait(f"document.querySelector('.ktrace-facts').textContent !== {before}")


def test_what_ended_while_the_tab_was_hidden_is_shown_as_ended(tabs: Chromium, tab: Tab) -> None:
    hidden_again(tabs, tab)
    assert tab.ask("source.request_stop(); panel.finish()") == ""
    tab.show()
    tab.wait("document.querySelector('.ktrace-header[data-state=done]')")
    assert tab.ask(ENDED) == "False\n"


def test_a_slow_page_is_never_more_than_five_updates_behind(tab: Tab) -> None:
    tab.send("Emulation.setCPUThrottlingRate", {"rate": 20})
    watch = """
import json
pace, lag = panel._publisher._pace, []
end = time.monotonic() + 8
while time.monotonic() < end:
    lag.append(max(pace._sent - view.acknowledged for view in pace._views.values()))
    time.sleep(0.01)
print(json.dumps([max(lag), pace._sent]))
"""
    most, sent = json.loads(tab.ask(watch))
    tab.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    assert most <= MOST_BEHIND == 5
    # Whatever was sent has arrived at once: nothing waits in the server.
    tab.wait(f"ticks[ticks.length - 1].number >= {sent}")


def test_a_page_that_is_closed_leaves_no_thread(tabs: Chromium, tab: Tab, lab_server: kit.LabServer) -> None:
    name = tab.evaluate("jupyterapp.shell.currentWidget.context.path")
    tab.send("Page.close")
    other = tabs.tab()
    other.open_lab(lab_server, name)
    # The notebook was not saved: no page shows the panel now.
    assert other.ask(ENDED) == "False\n"
