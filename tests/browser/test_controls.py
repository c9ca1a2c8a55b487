"""The controls in the head of a panel, pressed in a real page."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser

from tests.browser import kit
from tests.browser.controlled import RUNS, begin_cell, open_controlled, until_notice
from tests.browser.panels import BUSY, texts

pytestmark = pytest.mark.browser


def until_counted(page: kit.LabPage) -> str:
    """Wait until the page shows the hits of a trace that stands still, and return them."""
    hits = page.ask("print(f'{source.status().hits:,} hits')").strip()
    page.page.wait_for_function(
        "(hits) => document.querySelector('.ktrace-hits').innerText === hits", arg=hits
    )
    return hits


@pytest.mark.parametrize("cell", BUSY.values(), ids=BUSY)
def test_every_control_is_obeyed_while_a_cell_runs(page: kit.LabPage, path: str, cell: str) -> None:
    # The cell ends when the last click has been heard, or after two minutes without it.
    marked = cell.format(s=0.05).replace("\n", "\n    ")
    busy = f"""
deadline = time.time() + 120
while not source.over and time.time() < deadline:
    {marked}
ended = time.time(); print('heard' if source.over else 'not heard')
"""
    open_controlled(page, path, "Controlled(['latency'])", busy)
    begin_cell(page, 2)
    shown = page.page
    shown.click(".ktrace-pause")
    shown.wait_for_selector('.ktrace-header[data-state="paused"]')
    assert texts(page, ".ktrace-state") == ["paused"]
    assert shown.locator(".ktrace-pause").get_attribute("aria-pressed") == "true"
    assert shown.locator(".ktrace-panel.ktrace-paused").count() == 1
    shown.click(".ktrace-pause")
    shown.wait_for_selector('.ktrace-header[data-state="running"]')
    shown.click(".ktrace-reset")
    until_notice(page, "reset at")
    shown.click(".ktrace-probes")
    shown.locator(".ktrace-probes-table input").nth(1).uncheck()
    shown.wait_for_selector(".ktrace-probes-table tr.ktrace-off")
    shown.click(".ktrace-export")
    shown.click('.ktrace-menu [data-form="json"]')
    assert until_notice(page, "wrote") == "wrote trace-latency.json"
    shown.click(".ktrace-snapshot")
    until_notice(page, "kept as")
    assert page.page.evaluate(RUNS, 3), "the cell, now below the snapshot's, still runs"
    shown.click(".ktrace-stop")
    shown.wait_for_selector('.ktrace-header[data-state="done"]')
    assert page.ask("print(source.requests)") == (
        "[('pause', ''), ('resume', ''), ('reset', ''), ('off', 'vfs_write'), ('export', 'json'), "
        "('snapshot', '')]\n"
    )
    assert page.ask("print(all(at < ended for at in source.at.values()), source.over)") == "True True\n"


def test_a_paused_clock_stands_and_frames_too_and_both_go_on(page: kit.LabPage, path: str) -> None:
    open_controlled(page, path, "Controlled(['latency'], hertz=50)")
    shown = page.page
    shown.click(".ktrace-pause")
    shown.wait_for_selector('.ktrace-header[data-state="paused"]')
    shown.wait_for_function("() => document.querySelector('.ktrace-speed').innerText === ''")
    until_counted(page)
    before = [shown.inner_text(".ktrace-clock"), shown.inner_text(".ktrace-hits")]
    shown.wait_for_timeout(2500)
    assert [shown.inner_text(".ktrace-clock"), shown.inner_text(".ktrace-hits")] == before
    assert shown.inner_text(".ktrace-pause") == "Resume"
    shown.click(".ktrace-pause")
    shown.wait_for_function(
        "(hits) => document.querySelector('.ktrace-hits').innerText !== hits", arg=before[1]
    )
    shown.wait_for_function(
        "(clock) => document.querySelector('.ktrace-clock').innerText !== clock", arg=before[0]
    )
    shown.wait_for_function(
        "() => /^[0-9.]+k hits.s$/.test(document.querySelector('.ktrace-speed').innerText)"
    )


def test_only_what_is_offered_can_be_pressed(page: kit.LabPage, path: str) -> None:
    open_controlled(page, path, "Controlled([], actions=['export', 'on', 'off'])")
    assert texts(page, ".ktrace-toolbar button:visible") == ["Export", "Probes 3", "Stop"]
    page.ask("source.actions = frozenset(); source.age += 1")
    page.page.wait_for_selector(".ktrace-export", state="hidden")
    page.page.click(".ktrace-probes")
    page.page.wait_for_selector(".ktrace-probes-table tbody tr")
    assert page.page.locator(".ktrace-probes-table input:not(:disabled)").count() == 0
    page.page.click(".ktrace-stop")
    page.page.wait_for_selector(".ktrace-stop", state="hidden")
    assert texts(page, ".ktrace-toolbar button:visible") == ["Probes 3"]


def test_a_button_shows_that_it_is_being_done_and_gives_up_if_it_is_not(page: kit.LabPage, path: str) -> None:
    open_controlled(page, path, "Controlled([], obeys=False)")
    shown = page.page
    shown.click(".ktrace-pause")
    busy = shown.locator(".ktrace-pause[aria-busy=true]")
    assert busy.inner_text() == "Pausing…"
    shown.click(".ktrace-pause", force=True)  # a second click adds nothing
    shown.click(".ktrace-probes")
    box = shown.locator(".ktrace-probes-table input").first
    box.click()
    assert not box.is_checked()
    shown.wait_for_selector(".ktrace-pause[aria-busy=false]", timeout=10_000)
    assert shown.inner_text(".ktrace-pause") == "Pause"
    assert shown.get_attribute(".ktrace-pause", "aria-pressed") == "false"
    shown.wait_for_function("() => document.querySelector('.ktrace-probes-table input').checked")
    assert page.ask("print(source.requests)") == "[('pause', ''), ('off', 'vfs_read')]\n"


def test_the_list_of_probes_shows_the_source_s_numbers_and_follows_them(page: kit.LabPage, path: str) -> None:
    open_controlled(page, path, "Controlled([], hertz=0, age=2_000_000)")
    page.page.click(".ktrace-probes")
    page.page.wait_for_selector(".ktrace-probes-table tbody tr")
    rows = "(all) => all.map(row => [...row.cells].slice(1).map(cell => cell.innerText))"
    shown = page.page.locator(".ktrace-probes-table tbody tr")
    # A thousand hits a generation, half of them each of two probes; costs as in the source.
    assert shown.evaluate_all(rows) == [
        ["vfs_read", "1,000,000,000", "85.3 ns", "0 %", ""],
        ["vfs_write", "1,000,000,000", "171 ns", "0.4 %", "12,345"],
        ["<b>read\\x1b", "0", "", "0.8 %", "24,690"],
    ]
    assert shown.locator("input").nth(2).is_disabled()
    page.ask("source.age += 1")
    page.page.wait_for_function(
        "() => document.querySelector('.ktrace-probes-table tbody').innerText.includes('1,000,000,500')"
    )
    page.page.click(".ktrace-probes")
    page.page.wait_for_function("() => document.querySelector('.ktrace-probes-list').hidden")
    closed = """
end = time.monotonic() + 60
while panel._watching and time.monotonic() < end:
    time.sleep(0.05)
print(len(panel._watching))
"""
    assert page.ask(closed) == "0\n"


def test_everything_can_be_done_from_the_keyboard(page: kit.LabPage, path: str) -> None:
    losses = "(('ring full', 412), ('map full', 3), ('strings cut', 1_234_567))"
    open_controlled(page, path, f"Controlled([], losses={losses})")
    shown = page.page
    focused = "document.activeElement.className.split(' ').pop() || document.activeElement.tagName"
    shown.focus(".ktrace-loss")
    shown.keyboard.press("Enter")
    assert shown.locator(".ktrace-losses tbody tr").evaluate_all(
        "(all) => all.map(row => [...row.cells].map(cell => cell.innerText))"
    ) == [["412", "ring full"], ["3", "map full"], ["1,234,567", "strings cut"]]
    assert shown.get_attribute(".ktrace-loss", "aria-expanded") == "true"
    shown.keyboard.press("Escape")
    assert shown.locator(".ktrace-losses").is_hidden()
    shown.keyboard.press("Tab")
    assert shown.evaluate(focused) == "ktrace-pause"
    shown.keyboard.press("Enter")
    shown.wait_for_selector('.ktrace-header[data-state="paused"]')
    visited = []
    for _ in range(6):
        shown.keyboard.press("ArrowRight")
        visited.append(shown.evaluate(focused))
    names = ["reset", "snapshot", "export", "probes", "stop", "pause"]
    assert visited == [f"ktrace-{name}" for name in names]
    shown.keyboard.press(" ")
    shown.wait_for_selector('.ktrace-header[data-state="running"]')
    for _ in range(3):
        shown.keyboard.press("Tab")
    assert shown.evaluate(focused) == "ktrace-export"
    shown.keyboard.press("Enter")
    assert shown.evaluate("document.activeElement.innerText") == "CSV"
    shown.keyboard.press("ArrowRight")
    shown.keyboard.press("ArrowDown")
    shown.keyboard.press("Enter")
    assert until_notice(page, "wrote") == "wrote trace-latency.json"
    assert shown.evaluate(focused) == "ktrace-export"
    shown.keyboard.press("Enter")
    shown.keyboard.press("Escape")
    assert shown.locator(".ktrace-menu").is_hidden()
    assert shown.evaluate(focused) == "ktrace-export"
    shown.keyboard.press("End")
    assert shown.evaluate(focused) == "ktrace-stop"
    shown.keyboard.press("ArrowLeft")
    shown.keyboard.press("Enter")
    shown.wait_for_selector(".ktrace-probes-table input")
    shown.keyboard.press("Tab")
    shown.keyboard.press("Tab")
    shown.keyboard.press(" ")
    shown.wait_for_selector(".ktrace-probes-table tr.ktrace-off")
    shown.keyboard.press("Escape")
    assert shown.evaluate(focused) == "ktrace-probes"
    shown.focus(".ktrace-close")
    shown.keyboard.press("Enter")
    assert shown.locator(".ktrace-notice").is_hidden()
    assert shown.evaluate(focused) == "ktrace-pause"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert shown.evaluate(outline) == "solid"
    assert page.page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length") == 2, "Lab took no key"


def test_no_key_that_is_pressed_in_the_head_is_a_command_of_the_notebook(
    page: kit.LabPage, path: str
) -> None:
    open_controlled(page, path, "Controlled([], hertz=0)")
    page.page.click(".ktrace-probes")
    page.page.wait_for_selector(".ktrace-probes-table input")
    notebook = "jupyterapp.shell.currentWidget"
    cells = f"[{notebook}.content.widgets.length, {notebook}.content.activeCellIndex]"
    for focused in (".ktrace-pause", ".ktrace-probes-table input >> nth=0"):
        page.page.locator(focused).focus()
        # One by one: two add a cell and two delete one.
        for key in ("a", "b", "x", "d", "d", "ArrowDown", "ArrowUp"):
            page.page.keyboard.press(key)
            assert page.page.evaluate(cells) == [2, 1], key
    # What is pressed with Ctrl is.
    assert page.page.evaluate(f"{notebook}.context.model.dirty")
    page.page.keyboard.press("Control+s")
    page.page.wait_for_function(f"!{notebook}.context.model.dirty")


def test_a_snapshot_is_a_new_cell_below_and_is_saved_with_its_picture(
    page: kit.LabPage, path: str, browser: Browser
) -> None:
    open_controlled(page, path, "Controlled(hertz=0, age=40)", "print('after')")
    page.page.wait_for_selector(".ktrace-panel .bar")
    page.page.click(".ktrace-snapshot")
    cells = "jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map(cell => cell.source)"
    page.page.wait_for_function(f"() => {cells}.length === 4")
    sources = page.page.evaluate(cells)
    assert sources[2:] == ["kept = 0  # source.kept[0]", "print('after')"]
    (output,) = page.outputs(2)
    assert "| running |" in "".join(output["data"]["text/plain"])
    assert page.page.locator(".jp-Cell").nth(2).locator("img").first.is_visible()
    page.save()
    saved = json.loads((page.server.root / path).read_text())
    (kept,) = saved["cells"][2]["outputs"]
    assert "40,000 hits" in "".join(kept["data"]["text/plain"])
    assert "<img src=" in "".join(kept["data"]["text/html"])
    page.run_cell(2)
    assert page.ask("print(kept)") == "0\n"
    page.save()
    page.command("kernelmenu:shutdown")
    context = browser.new_context(viewport={"width": 1280, "height": 960})
    try:
        other = kit.LabPage(context.new_page(), page.server)
        other.open(path, kernel=False)
        trusted = "jupyterapp.shell.currentWidget.content.model?.cells.get(2)?.trusted"
        other.page.wait_for_function(f"() => {trusted}")
    finally:
        context.close()


def test_where_cells_cannot_be_inserted_the_notice_says_what_to_type(page: kit.LabPage, path: str) -> None:
    open_controlled(page, path, "Controlled([], hertz=0)")
    page.page.evaluate(
        """() => {
            const { sharedModel } = jupyterapp.shell.currentWidget.content.model;
            Object.defineProperty(sharedModel, 'insertCell', { value: undefined, configurable: true });
        }"""
    )
    page.page.click(".ktrace-snapshot")
    said = until_notice(page, "to see the snapshot")
    assert said == "to see the snapshot, type this in a cell: kept = 0  # source.kept[0]"
    page.page.evaluate(
        "() => { delete jupyterapp.shell.currentWidget.content.model.sharedModel.insertCell; }"
    )


def test_a_notebook_opened_again_while_paused_says_so_live_and_saved(page: kit.LabPage, path: str) -> None:
    open_controlled(page, path, "Controlled(['latency'], hertz=20)")
    page.page.click(".ktrace-pause")
    page.page.wait_for_selector('.ktrace-header[data-state="paused"]')
    page.page.wait_for_function(
        """() => JSON.stringify(jupyterapp.shell.currentWidget.content.widgets[1]
            .model.sharedModel.toJSON().outputs).includes('| paused |')"""
    )
    page.save()
    assert "· paused ·" in json.dumps(
        json.loads((page.server.root / path).read_text())["cells"][1], ensure_ascii=False
    )
    before = until_counted(page)
    page.open(path)
    page.page.wait_for_selector('.ktrace-header[data-state="paused"]')
    page.page.wait_for_function(
        "(hits) => document.querySelector('.ktrace-hits').innerText === hits", arg=before
    )
    assert page.page.inner_text(".ktrace-pause") == "Resume"
    page.page.click(".ktrace-pause")
    page.page.wait_for_selector('.ktrace-header[data-state="running"]')
    page.page.click(".ktrace-pause")
    page.page.wait_for_selector('.ktrace-header[data-state="paused"]')


def test_a_second_view_of_a_panel_stands_news_of_a_list_that_it_has_not_opened(
    page: kit.LabPage, path: str
) -> None:
    open_controlled(page, path, "Controlled([], hertz=0, age=5)")
    page.page.click(".ktrace-probes")
    page.page.wait_for_selector(".ktrace-probes-table tbody tr")
    run = "(code) => window.session.kernel.requestExecute({ code }).done.then(() => 0)"
    page.page.evaluate(
        """() => {
            const { currentWidget } = jupyterapp.shell;
            window.session = currentWidget.context.sessionContext.session;
            currentWidget.content.activeCellIndex = 1;
        }"""
    )
    page.command("notebook:create-output-view")
    page.page.wait_for_function("() => document.querySelectorAll('.ktrace-header').length === 2")
    lists = page.page.locator(".ktrace-probes-list")
    for age, hits in ((6, "6,000 hits"), (7, "7,000 hits")):
        page.page.evaluate(run, f"source.age = {age}")
        page.page.wait_for_function(
            """(hits) => [...document.querySelectorAll('.ktrace-hits')].map(shown => shown.innerText)
                .filter(shown => shown === hits).length === 2""",
            arg=hits,
        )
    opened = page.page.locator(".ktrace-probes-list:not([hidden])")
    assert opened.count() == 1
    assert "3,500" in opened.inner_text()
    assert lists.locator("tbody tr").count() == 3, "only the opened list has rows"
