"""The indent view in JupyterLab, with up to a million lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser

from ktrace_nb.stream.calls.feed import FrameFeed
from tests.browser import kit
from tests.browser.test_views import contrast
from tests.notebooks import write_notebook
from tests.widgets.calls import repeated, synthetic_calls

pytestmark = pytest.mark.browser

START = """
from ktrace_nb.widgets import indent, selected_rows, show
from tests.widgets.calls import Walked, repeated, synthetic_calls
"""
GRID = ".ktrace-grid"
STEP = ".ktrace-step:not([hidden])"
MILLION = "walk = Walked(repeated(synthetic_calls(25_000), 20)); panel = show(walk)"


def open_view(page: kit.LabPage, path: str, source: str, *more: str) -> None:
    """Open a notebook and show an indent view in its second cell."""
    write_notebook(page.server.root / path, [START, source, *more])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(STEP)


def shown(page: kit.LabPage) -> list[str]:
    """The lines on screen, as time, thread, duration and call."""
    script = """(rows) => rows.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
        .map((row) => [...row.children].map((cell) => cell.textContent).join('|'))"""
    return list(page.page.locator(STEP).evaluate_all(script))


def foot(page: kit.LabPage) -> str:
    return page.page.locator(".ktrace-indent > .ktrace-foot").inner_text()


def wait_foot(page: kit.LabPage, text: str) -> None:
    page.page.wait_for_function(
        "(text) => document.querySelector('.ktrace-indent > .ktrace-foot').innerText.includes(text)", arg=text
    )


def answer(page: kit.LabPage, source: str) -> Any:
    return json.loads(page.ask(f"import json; print(json.dumps({source}))"))


def settled(page: kit.LabPage) -> None:
    page.page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def test_a_million_lines_scroll_fold_search_and_answer(page: kit.LabPage, path: str) -> None:
    open_view(page, path, MILLION)
    wait_foot(page, "500,000 calls · 1,000,000 lines")
    assert page.page.locator(GRID).get_attribute("aria-rowcount") == "1000000"
    calls = repeated(synthetic_calls(25_000), 20)
    page.screenshot("indent-light", index=1)

    # To the end and back by keys, anywhere by the scrollbar.
    page.page.focus(GRID)
    page.page.keyboard.press("End")
    settled(page)
    assert page.page.locator(".ktrace-cursor").get_attribute("aria-rowindex") == "1000000"
    page.page.keyboard.press("Home")
    settled(page)
    assert page.page.locator(".ktrace-cursor").get_attribute("aria-rowindex") == "1"
    page.page.evaluate(
        """() => {
            const bar = document.querySelector('.ktrace-scrollbar');
            bar.scrollTop = (bar.scrollHeight - bar.clientHeight) / 2;
        }"""
    )
    settled(page)
    middle = int(page.page.locator(STEP).first.get_attribute("aria-rowindex") or 0)
    assert abs(middle - 500_000) < 100
    assert page.page.locator(STEP).count() <= 26

    # Folding.
    page.page.click("[data-do=collapse]")
    outermost = int((calls["depth"] == 0).sum())
    wait_foot(page, f"{outermost:,} lines")
    page.screenshot("indent-collapsed", index=1)
    page.page.click("[data-do=expand]")
    wait_foot(page, "1,000,000 lines")

    # Searching: hits are counted, and gone to wherever they are.
    page.page.keyboard.press("Home")
    page.page.focus(GRID)
    page.page.keyboard.press("/")
    page.page.keyboard.type("EXT4_LOOK")
    matches = page.page.locator(".ktrace-matches")
    count = int((calls["function"] == "ext4_lookup").sum())
    assert matches.inner_text() == f"{count:,}"
    page.page.keyboard.press("Enter")
    page.page.keyboard.press("Enter")
    assert matches.inner_text() == f"2 of {count:,}"
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("N")
    page.page.keyboard.press("N")
    assert matches.inner_text() == f"{count:,} of {count:,}"
    page.page.keyboard.press("n")
    settled(page)
    assert matches.inner_text() == f"1 of {count:,}"
    assert "ext4_lookup" in page.page.locator(".ktrace-cursor").inner_text()

    # The call the cursor is at is selected in Python, with what is below it.
    first = int(calls.index[calls["function"] == "ext4_lookup"][0])
    page.page.wait_for_function(
        "document.querySelector('.ktrace-detail').innerText.startsWith('ext4_lookup(dir=0xffff8880')"
    )
    assert answer(page, "list(walk.selected)") == [first]
    assert answer(page, "panel.shown('calls').selected") == [first]
    rows = answer(page, "selected_rows(walk.calls, panel.shown('calls')).index.tolist()")
    assert rows[0] == first
    assert all(calls["tid"].iloc[row] == calls["tid"].iloc[first] for row in rows)

    # The slowest call, and errors.
    page.page.click("[data-do=slowest]")
    page.page.wait_for_timeout(300)
    (slowest,) = answer(page, "list(walk.selected)")
    assert calls["duration_ns"].iloc[slowest] == calls["duration_ns"].max()
    page.screenshot("indent-slowest", index=1)
    page.page.click("[data-do=failed]")
    page.page.wait_for_timeout(300)
    (failed,) = answer(page, "list(walk.selected)")
    assert calls["error"].iloc[failed] in ("ENOENT", "EAGAIN")
    assert "✗" in page.page.locator(".ktrace-cursor").inner_text()
    assert f"= -{calls['error'].iloc[failed]}" in page.page.locator(".ktrace-detail").inner_text()


def test_pointing_tells_and_clicking_selects_one_line_or_a_range(page: kit.LabPage, path: str) -> None:
    open_view(page, path, "walk = Walked(synthetic_calls(300)); panel = show(walk)")
    calls = synthetic_calls(300)
    steps = FrameFeed(calls).steps(0, 600)
    rows = page.page.locator(STEP)
    rows.nth(4).hover()
    call = int(steps.call[4])
    detail = page.page.locator(".ktrace-detail")
    page.page.wait_for_function(
        "(text) => document.querySelector('.ktrace-detail').textContent.startsWith(text)",
        arg=f"{calls['function'].iloc[call]}(dir=0xffff8880{call:08x}, flags={call % 7}) = 0",
    )
    assert "µs" in detail.inner_text() or "ns" in detail.inner_text()
    rows.nth(4).click()
    page.page.wait_for_timeout(200)
    assert answer(page, "list(walk.selected)") == [call]
    rows.nth(9).click(modifiers=["Shift"])
    page.page.wait_for_timeout(200)
    assert page.page.locator(f"{STEP}[aria-selected=true]").count() == 6
    assert answer(page, "list(walk.selected)") == sorted({int(c) for c in steps.call[4:10]})
    # What is copied is what is marked, as text.
    copied = page.page.evaluate(
        """() => {
            const data = new DataTransfer();
            const how = { clipboardData: data, bubbles: true, cancelable: true };
            const event = new ClipboardEvent('copy', how);
            document.querySelector('.ktrace-grid').dispatchEvent(event);
            return data.getData('text/plain');
        }"""
    ).splitlines()
    assert len(copied) == 6
    seconds, thread, *_, arrow, name = copied[0].split()
    assert float(seconds) == pytest.approx((int(steps.at[4]) - int(steps.at[0])) / 1e9, abs=1e-6)
    assert thread == calls["comm"].iloc[call]
    assert arrow in ("->", "<-")
    assert name == calls["function"].iloc[call]
    page.page.focus(GRID)  # the cell that answered took it
    page.page.keyboard.press("Escape")
    page.page.wait_for_timeout(200)
    assert answer(page, "list(walk.selected)") == []
    # From Python to the page.
    page.ask("panel.shown('calls').reveal(250)")
    page.page.wait_for_selector(".ktrace-cursor")
    assert str(calls["function"].iloc[250]) in page.page.locator(".ktrace-cursor").inner_text()


def test_keys_fold_and_move_and_jupyterlab_takes_none_of_them(page: kit.LabPage, path: str) -> None:
    open_view(page, path, "walk = Walked(synthetic_calls(300)); panel = show(walk)")
    cells = page.page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length")
    page.page.focus(GRID)
    for key in ("a", "b", "x", "d", "d", "c", "m", "y", "ArrowDown", "ArrowDown"):
        page.page.keyboard.press(key)
    settled(page)
    assert page.page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length") == cells
    assert page.page.evaluate("jupyterapp.shell.currentWidget.content.mode") == "command"
    assert page.page.evaluate("document.activeElement.className") == "ktrace-grid"
    cursor = page.page.locator(".ktrace-cursor")
    assert cursor.get_attribute("aria-rowindex") == "2"
    active = page.page.locator(GRID).get_attribute("aria-activedescendant")
    assert cursor.get_attribute("id") == active
    foldable = page.page.locator(f"{STEP}[aria-expanded=true]").first
    at = foldable.get_attribute("aria-rowindex")
    foldable.click()
    before = shown(page)
    page.page.keyboard.press("Enter")
    settled(page)
    assert cursor.get_attribute("aria-expanded") == "false"
    assert cursor.get_attribute("aria-rowindex") == at
    assert "below" in cursor.inner_text()
    page.page.keyboard.press("ArrowRight")
    settled(page)
    assert shown(page) == before
    page.page.keyboard.press("ArrowRight")
    settled(page)
    level = int(cursor.get_attribute("aria-level") or 0)
    page.page.keyboard.press("ArrowLeft")
    page.page.keyboard.press("ArrowLeft")
    settled(page)
    assert int(cursor.get_attribute("aria-level") or 0) <= level


def test_leaves_threads_and_colours(page: kit.LabPage, path: str) -> None:
    open_view(page, path, "walk = Walked(synthetic_calls(2000)); panel = show(walk)")
    calls = synthetic_calls(2000)
    page.page.check("[data-do=leaves]")
    parents = set(calls["parent"])
    seen_to_end = sum(call not in parents for call in range(2000))
    wait_foot(page, f"{4000 - seen_to_end:,} lines")
    page.page.select_option("[data-do=thread]", label="ls-2 (3402)")
    of_thread = calls[calls["tid"] == 3402]
    leaves = sum(call not in parents for call in of_thread.index)
    wait_foot(page, f"{2 * len(of_thread) - leaves:,} lines")
    assert all("ls-2 (3402)" in line for line in shown(page))
    page.page.select_option("[data-do=thread]", label="all")
    colours = {}
    for colour in ("duration", "error", "thread"):
        page.page.select_option("[data-do=colour]", colour)
        settled(page)
        bars = page.page.locator(f"{STEP} .ktrace-step-took > i")
        colours[colour] = bars.evaluate_all(
            "(all) => all.map((bar) => getComputedStyle(bar).backgroundColor)"
        )
    assert len(set(map(tuple, colours.values()))) == 3
    page.screenshot("indent-threads", index=1)


def test_nothing_of_a_name_is_taken_for_html(page: kit.LabPage, path: str) -> None:
    open_view(page, path, "walk = Walked(synthetic_calls(300)); panel = show(walk)")
    page.page.fill("[data-do=search]", "<img")
    page.page.click("[data-do=next]")
    settled(page)
    assert "<img src=x onerror=alert(1)>" in page.page.locator(".ktrace-cursor").inner_text()
    assert page.page.locator(".ktrace-indent img").count() == 0


def test_a_running_walk_is_followed_until_the_reader_scrolls(page: kit.LabPage, path: str) -> None:
    open_view(
        page, path, "walk = Walked(synthetic_calls(25_000), hertz=3000, begun=2000); panel = show(walk)"
    )
    at_end = """() => {
        const rows = [...document.querySelectorAll('.ktrace-step:not([hidden])')];
        const last = Math.max(...rows.map((row) => Number(row.ariaRowIndex)));
        return [last, Number(document.querySelector('.ktrace-grid').ariaRowCount
            ?? document.querySelector('.ktrace-grid').getAttribute('aria-rowcount'))];
    }"""
    page.page.wait_for_timeout(1500)
    last, total = page.page.evaluate(at_end)
    assert last == total > 2000
    assert page.page.locator("[data-do=follow]").is_checked()
    page.page.hover(GRID)
    page.page.mouse.wheel(0, -400)
    settled(page)
    assert not page.page.locator("[data-do=follow]").is_checked()
    # Of a call that returns meanwhile the line says more.
    stays = [line.split("|")[:2] for line in shown(page)[:5]]
    page.page.wait_for_timeout(1000)
    assert [line.split("|")[:2] for line in shown(page)[:5]] == stays
    assert page.page.evaluate(at_end)[1] > total
    page.page.check("[data-do=follow]")
    page.page.wait_for_timeout(600)
    last, total = page.page.evaluate(at_end)
    assert last == total
    page.page.click(".ktrace-stop")


def test_a_page_that_is_reloaded_gets_everything_again(page: kit.LabPage, path: str) -> None:
    open_view(page, path, "walk = Walked(synthetic_calls(25_000)); panel = show(walk)")
    wait_foot(page, "25,000 calls · 50,000 lines")
    before = shown(page)
    page.save()
    page.open(path)
    page.page.wait_for_selector(STEP)
    wait_foot(page, "25,000 calls · 50,000 lines")
    assert shown(page) == before


def test_where_another_feed_takes_the_place_of_the_first_the_page_starts_afresh(
    page: kit.LabPage, path: str
) -> None:
    open_view(page, path, "walk = Walked(synthetic_calls(300)); panel = show(walk)")
    wait_foot(page, "300 calls · 600 lines")
    page.page.fill("[data-do=search]", "ext4")
    page.page.locator(STEP).nth(2).click()
    page.page.select_option("[data-do=thread]", "0")
    # Other functions have other numbers, and there are fewer threads.
    page.ask(
        "from ktrace_nb.stream.calls.feed import FrameFeed\n"
        "some = walk.calls[walk.calls['tid'] == walk.calls['tid'].iloc[-1]]\n"
        "some = some.assign(function=some['function'].cat.remove_unused_categories())\n"
        "walk.feed = FrameFeed(some)\n"
        "panel.finish()"
    )
    count, thread = answer(page, "[len(some), walk.feed.threads[0]]")
    wait_foot(page, f"{count} calls · {2 * count} lines")
    names, matching = answer(
        page, "[some['function'].tolist(), int(some['function'].str.contains('ext4').sum())]"
    )
    settled(page)
    first = shown(page)[0].split("|")
    assert first[0] == "0.000000"
    assert first[1] == thread
    assert first[3].endswith(names[0])
    assert page.page.locator(".ktrace-matches").inner_text() == f"{matching}"
    assert page.page.locator("[data-do=thread] option").all_inner_texts() == ["all", thread]
    assert page.page.locator(".ktrace-cursor").count() == 0
    lines = shown(page)
    page.page.locator(STEP).nth(0).click()
    page.page.wait_for_timeout(200)
    assert answer(page, "walk.selected") == [answer(page, "int(some.index[0])")]
    page.save()
    page.open(path)  # who comes later does not know that there was another one
    page.page.wait_for_selector(STEP)
    wait_foot(page, f"{count} calls · {2 * count} lines")
    assert shown(page) == lines


def test_a_busy_page_is_not_sent_what_it_cannot_draw(page: kit.LabPage, path: str) -> None:
    open_view(
        page, path, "walk = Walked(synthetic_calls(25_000), hertz=20_000, begun=100); panel = show(walk)"
    )
    page.ask(
        "view = panel.shown('calls'); real, counts = view.send, []\n"
        "def send(content, buffers=None):\n"
        "    if 'start' in content: counts.append(content['count'])\n"
        "    real(content, buffers)\n"
        "view.send = send"
    )
    page.page.evaluate(
        "() => { window.draw = requestAnimationFrame; window.requestAnimationFrame = () => 0; }"
    )
    page.page.wait_for_timeout(1500)
    while_busy = answer(page, "counts")
    page.page.evaluate("() => { window.requestAnimationFrame = window.draw; }")
    assert len(while_busy) <= 8, "only what was under way when the page stopped drawing"


def test_a_frame_alone_can_be_shown_and_answers(page: kit.LabPage, path: str) -> None:
    open_view(page, path, "calls = synthetic_calls(300); view = indent(calls[calls['depth'] < 3]); view")
    page.page.locator(STEP).nth(2).hover()
    page.page.wait_for_function("/\\(dir=0x/.test(document.querySelector('.ktrace-detail').textContent)")
    page.page.locator(STEP).nth(2).click()
    page.page.wait_for_timeout(200)
    (call,) = answer(page, "view.selected")
    assert (
        str(synthetic_calls(300)["function"].iloc[call]) in page.page.locator(".ktrace-cursor").inner_text()
    )
    page.screenshot("indent-frame", index=1)


def test_it_looks_right_in_the_dark_and_on_paper(page: kit.LabPage, path: str) -> None:
    open_view(page, path, "walk = Walked(synthetic_calls(2000)); panel = show(walk)")
    page.page.fill("[data-do=search]", "helper_1")
    page.page.click("[data-do=failed]")
    page.page.wait_for_timeout(400)
    parts = (
        ".ktrace-step-time",
        ".ktrace-step-task",
        ".ktrace-step[data-entry=false] .ktrace-step-name",
        ".ktrace-step[data-ending=failed] .ktrace-step-name",
        ".ktrace-detail",
        ".ktrace-heads",
    )
    page.screenshot("indent-errors-light", index=1)
    assert {part: contrast(page, part) for part in parts if contrast(page, part) < 4.5} == {}
    page.theme("JupyterLab Dark")
    try:
        page.page.wait_for_timeout(400)
        page.screenshot("indent-errors-dark", index=1)
        assert {part: contrast(page, part) for part in parts if contrast(page, part) < 4.5} == {}
    finally:
        page.theme("JupyterLab Light")


def test_a_saved_notebook_keeps_the_first_and_the_last_lines(
    page: kit.LabPage, path: str, browser: Browser
) -> None:
    open_view(page, path, "walk = Walked(synthetic_calls(2000)); panel = show(walk)")
    page.page.wait_for_timeout(500)
    page.save()
    page.command("kernelmenu:shutdown")
    page.page.close()
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    try:
        other = kit.LabPage(context.new_page(), page.server)
        other.open(path, kernel=False)
        other.page.wait_for_selector(".ktrace-static table")
        text = other.page.locator(".ktrace-static").inner_text()
        other.screenshot("indent-saved")
        assert "… 3,960 more lines" in text
        assert "-> vfs_read(dir=0xffff888000000000" in text
        assert other.page.locator(".ktrace-indent").count() == 0
    finally:
        context.close()
