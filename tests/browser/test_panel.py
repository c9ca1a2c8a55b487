"""How a live panel behaves: pace, Stop, and what becomes of it."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from playwright.sync_api import Browser

from ktrace_nb.widgets.pace import MOST_BEHIND, MOST_HZ
from tests.browser import kit
from tests.browser.panels import BUSY, START, open_panel, texts, ticks_of
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser


def test_updates_come_at_five_a_second_at_most_and_go_on_while_a_cell_runs(
    page: kit.LabPage, path: str
) -> None:
    with ticks_of(page) as ticks:
        open_panel(page, path, "Synthetic(hertz=50)", BUSY["python"].format(s=4))
        page.page.wait_for_selector(".ktrace-panel .bar")
        before = len(ticks)
        page.run_cell(2)  # four seconds
        busy = len(ticks) - before
    gaps = [later - earlier for earlier, later in pairwise(ticks)]
    # Every fifth update at least is to be acknowledged, and a message.
    assert busy >= 3
    # Sent at least 200 ms apart; what the network does to that averages out.
    assert np.mean(gaps) >= 0.95 / MOST_HZ
    leftovers = "document.querySelectorAll('.bqplot .svg-figure g[clip-path] > g:not([class]):empty').length"
    # Four charts leave one each at an update, until the next one that is a message.
    page.page.wait_for_timeout(300)
    assert page.page.evaluate(leftovers) <= 4 * MOST_BEHIND, "bqplot's empty groups are swept"


@pytest.mark.parametrize("cell", BUSY.values(), ids=BUSY)
def test_stop_is_heard_within_a_second_while_a_cell_runs(page: kit.LabPage, path: str, cell: str) -> None:
    open_panel(page, path, "Synthetic(['latency'])", cell.format(s=5))
    page.page.wait_for_selector(".ktrace-panel .bar")
    page.run_cell(2, wait=False)
    page.page.wait_for_timeout(500)
    page.page.evaluate(
        """() => document.querySelector('.ktrace-stop').addEventListener('click',
            () => { window.clickedAt = Date.now(); })"""
    )
    page.page.click(".ktrace-stop")
    # The panel itself says so, still during the cell.
    page.page.wait_for_selector('.ktrace-header[data-state="done"]', timeout=2000)
    shown_s = time.time() - page.page.evaluate("window.clickedAt") / 1000
    assert shown_s < 1.5
    running = "jupyterapp.shell.currentWidget.content.widgets[2].model.executionState"
    assert page.page.evaluate(running) == "running"
    handled_at = float(page.ask("print(source.stopped_at - time.monotonic() + time.time())"))
    assert 0 <= handled_at - page.page.evaluate("window.clickedAt") / 1000 < 1
    assert page.page.locator(".ktrace-stop").is_hidden()
    assert texts(page, ".ktrace-message") == ["stopped"]


def test_a_page_that_cannot_reach_the_control_channel_goes_by_the_widget_s_own_messages(
    page: kit.LabPage, path: str
) -> None:
    with ticks_of(page) as ticks:
        write_notebook(
            page.server.root / path,
            [
                START,
                "source = Synthetic(['latency', 'by process'], hertz=50); panel = show(source)",
                BUSY["sleep"].format(s=5),
            ],
        )
        page.open(path)
        page.page.evaluate(
            """() => {
                const { kernel } = jupyterapp.shell.currentWidget.context.sessionContext.session;
                const send = kernel.sendControlMessage.bind(kernel);
                kernel.sendControlMessage = (message, ...rest) => {
                    if (message.content.target_name === "ktrace_nb") throw new Error("not to be had");
                    return send(message, ...rest);
                };
            }"""
        )
        page.run_cell(0)
        page.run_cell(1)
        page.page.wait_for_selector(".ktrace-panel .bar")
        page.page.wait_for_timeout(2000)
        assert len(ticks) >= 5
        page.run_cell(2, wait=False)
        page.page.wait_for_timeout(500)
        ticks.clear()
        page.page.wait_for_timeout(4000)
        # Whether the kernel hears the page meanwhile depends on where ipykernel
        # takes the message: an update a second if not, and never more than five.
        assert 2 <= len(ticks) <= 4 * MOST_HZ + 1
        page.page.wait_for_function(
            "jupyterapp.shell.currentWidget.content.widgets[2].model.executionState === 'idle'"
        )
        page.page.locator(".ktrace-table th button").nth(1).click()
        page.page.wait_for_selector(".ktrace-table th:nth-child(2)[aria-sort=descending]", timeout=3000)
        page.page.click(".ktrace-stop")
        page.page.wait_for_selector('.ktrace-header[data-state="done"]', timeout=3000)


def test_a_page_that_draws_no_frames_gets_what_is_on_the_way_and_then_nothing(
    page: kit.LabPage, path: str
) -> None:
    with ticks_of(page) as ticks:
        open_panel(page, path, "Synthetic(['latency'], hertz=50)")
        page.page.wait_for_selector(".ktrace-panel .bar")
        # What a browser does to a hidden tab: it asks it for no frames.
        page.page.evaluate(
            "() => { window.draw = requestAnimationFrame; window.requestAnimationFrame = () => 0; }"
        )
        ticks.clear()
        page.page.wait_for_timeout(4000)
        assert len(ticks) <= MOST_BEHIND
        page.page.evaluate("() => { window.requestAnimationFrame = window.draw; }")


def test_a_panel_out_of_sight_gets_no_updates_until_it_is_seen(page: kit.LabPage, path: str) -> None:
    with ticks_of(page) as ticks:
        open_panel(page, path, "Synthetic(['latency'], hertz=50)", *["print('\\n' * 60)"] * 3)
        page.page.wait_for_selector(".ktrace-panel .bar")
        for index in (2, 3, 4):
            page.run_cell(index)
        page.page.evaluate("jupyterapp.shell.currentWidget.content.scrollToItem(4, 'end')")
        page.page.wait_for_timeout(700)
        ticks.clear()
        page.page.wait_for_timeout(6000)  # longer than the publisher's patience: its thread has ended
        assert len(ticks) == 0
        threads = "print([t.name for t in threading.enumerate() if t.name.startswith('ktrace')])"
        assert page.ask(threads) == "[]\n"
        page.page.evaluate("jupyterapp.shell.currentWidget.content.scrollToItem(1, 'start')")
        page.page.wait_for_timeout(1500)
        deadline = time.monotonic() + 30
        while len(ticks) < 3 and time.monotonic() < deadline:
            page.page.wait_for_timeout(100)
        assert len(ticks) >= 3


def test_a_busy_page_is_waited_for(page: kit.LabPage, path: str) -> None:
    with ticks_of(page) as ticks:
        open_panel(page, path, "Synthetic(['latency'], hertz=50)")
        page.page.wait_for_selector(".ktrace-panel .bar")
        page.page.wait_for_timeout(1000)
        ticks.clear()
        page.page.evaluate("() => { const end = Date.now() + 3000; while (Date.now() < end); }")
        assert len(ticks) <= MOST_BEHIND  # of fifteen


def test_a_closed_page_ends_the_publisher_and_the_next_one_goes_on(
    page: kit.LabPage, path: str, browser: Browser
) -> None:
    open_panel(page, path, "Synthetic(['latency', 'printed'], hertz=10)")
    page.page.wait_for_selector(".ktrace-panel .bar")
    page.save()
    page.page.close()
    time.sleep(6)
    context = browser.new_context(viewport={"width": 1280, "height": 960})
    try:
        again = kit.LabPage(context.new_page(), page.server)
        again.open(path)
        again.page.wait_for_selector(".ktrace-panel .bar")
        first = again.page.locator(".ktrace-facts").inner_text()
        again.page.wait_for_function(
            "(first) => document.querySelector('.ktrace-facts').innerText !== first", arg=first
        )
        assert again.page.locator(".ktrace-text pre > div").count() > 50, "earlier lines are there too"
        assert again.page.locator(".ktrace-static").is_hidden()
    finally:
        context.close()


def test_a_rerun_cell_leaves_no_models_behind(page: kit.LabPage, path: str) -> None:
    open_panel(page, path, "Synthetic(hertz=20)")
    count = "import comm; print(len(comm.get_comm_manager().comms))"
    page.page.wait_for_selector(".ktrace-panel .bar")
    before = int(page.ask(count))
    for _ in range(3):
        page.run_cell(1)
        page.page.wait_for_selector(".ktrace-panel .bar")
    assert int(page.ask(count)) == before
    assert page.page.locator(".ktrace-panel").count() == 1
    threads = "print(sum(t.name == 'ktrace panel' for t in threading.enumerate()))"
    assert page.ask(threads) == "1\n"


@pytest.mark.parametrize("end", ["session.kernel.restart()", "shutdown()"])
def test_a_kernel_that_ends_takes_the_panel_s_clock_and_stop_button_along(
    page: kit.LabPage, path: str, end: str
) -> None:
    open_panel(page, path, "Synthetic(['latency'])")
    page.page.wait_for_selector(".ktrace-panel .bar")
    page.page.evaluate(f"jupyterapp.shell.currentWidget.context.sessionContext.{end}")
    page.page.wait_for_selector('.ktrace-header[data-state="gone"]')
    assert texts(page, ".ktrace-state") == ["kernel gone"]
    assert page.page.locator(".ktrace-stop").is_hidden()
    shown = page.page.inner_text(".ktrace-clock")
    page.page.wait_for_timeout(2200)
    assert page.page.inner_text(".ktrace-clock") == shown


def test_a_control_channel_that_failed_is_tried_again_later_and_by_a_click_at_once(
    page: kit.LabPage, path: str
) -> None:
    open_panel(page, path, "Synthetic(['latency'], hertz=50)")
    page.page.wait_for_selector(".ktrace-panel .bar")
    address = page.ask("print(panel.address)").strip()
    page.page.evaluate(
        """(address) => {
            const { kernel } = jupyterapp.shell.currentWidget.context.sessionContext.session;
            const send = kernel.sendControlMessage.bind(kernel);
            window.tries = 0;
            window.fails = true;
            kernel.sendControlMessage = (message, ...rest) => {
                if (message.content.address !== address) return send(message, ...rest);
                window.tries += 1;
                if (window.fails) throw new Error("not to be had");
                return send(message, ...rest);
            };
        }""",
        address,
    )
    changed = "(before) => document.querySelector('.ktrace-facts').innerText !== before"
    # Ten seconds must not pass while it rests: the page's clock goes as told.
    page.page.evaluate(
        """() => {
            const at = performance.now();
            window.later = 0;
            performance.now = () => at + window.later;
        }"""
    )
    page.page.wait_for_function("() => tries >= 3")
    for _ in range(4):
        page.page.wait_for_function(changed, arg=page.page.inner_text(".ktrace-facts"))
    assert page.page.evaluate("tries") == 3, "three failures in a row: the widget's own messages do"
    page.page.evaluate("() => { window.later = 10_001; }")
    page.page.wait_for_function("() => tries >= 4")
    for _ in range(4):
        page.page.wait_for_function(changed, arg=page.page.inner_text(".ktrace-facts"))
    assert page.page.evaluate("tries") == 4
    page.page.evaluate("() => { window.fails = false; }")
    page.page.click(".ktrace-stop")
    page.page.wait_for_function("() => tries >= 5")
    page.page.wait_for_selector('.ktrace-header[data-state="done"]')
