"""The live table in JupyterLab: what it shows, and what clicks and keys do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser

from ktrace_nb.widgets.table_state import Wishes, table_state
from tests.browser import kit
from tests.browser.panels import BUSY, open_panel, texts
from tests.notebooks import write_notebook
from tests.widgets.synthetic import Synthetic

pytestmark = pytest.mark.browser

ROW = ".ktrace-table tbody tr"
SAID = "document.querySelector('.ktrace-table [role=status].ktrace-unseen').textContent"
FRAME = """
import pandas as pd
from ktrace_nb.widgets import table
frame = pd.DataFrame({
    "comm": ["bash", "sshd", "<b>vim", "Bash", "nginx", "cron"],
    "pid": [101, 102, 103, 104, 105, 106],
    "bytes": [2**64 - 1, 5 * 2**20, 1536, 700, 0, 2**30],
    "wait_ns": [1_050_000, -3_200_000, 12, None, 4_000_000_000, 88_000],
    "cpu_share": [0.5, 0.123, 0.0004, 1.0, 0.0, float("nan")],
}, index=pd.Index([f"k{n}" for n in range(6)])).astype({"bytes": "uint64", "wait_ns": "Int64"})
view = table(frame, title="top", sort="bytes")
view
"""


def open_frame(page: kit.LabPage, path: str, *more: str, source: str = FRAME) -> None:
    write_notebook(page.server.root / path, [source, *more])
    page.open(path)
    page.run_cell(0)
    page.page.wait_for_selector(ROW)


def cells(page: kit.LabPage) -> list[list[str]]:
    found = page.page.locator(".ktrace-table table").evaluate(
        "(table) => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return [list(row) for row in found]


def column(page: kit.LabPage, number: int) -> list[str]:
    return [row[number] for row in cells(page)]


def wait_column(page: kit.LabPage, number: int, expected: list[str]) -> None:
    page.page.wait_for_function(
        """([number, expected]) => {
            const rows = [...document.querySelectorAll('.ktrace-table tbody tr')];
            return JSON.stringify(rows.map(row => row.cells[number].textContent)) === expected;
        }""",
        arg=[number, json.dumps(expected, ensure_ascii=False, separators=(",", ":"))],
    )


def picked(page: kit.LabPage) -> list[str]:
    return texts(page, f"{ROW}[aria-selected=true] td:first-child")


def wait_picked(page: kit.LabPage, expected: list[str]) -> None:
    page.page.wait_for_function(
        """(expected) => {
            const first = '.ktrace-table tbody tr[aria-selected=true] td:first-child';
            const names = [...document.querySelectorAll(first)].map(cell => cell.textContent);
            return JSON.stringify(names) === expected;
        }""",
        arg=json.dumps(expected, separators=(",", ":")),
    )


def wait_foot(page: kit.LabPage, text: str) -> None:
    page.page.wait_for_function(
        "(text) => document.querySelector('.ktrace-table .ktrace-foot').textContent === text", arg=text
    )


def test_quantities_are_readable_and_their_exact_numbers_at_hand(page: kit.LabPage, path: str) -> None:
    open_frame(page, path)
    assert cells(page) == [
        ["bash", "101", "16.0 EiB", "1.05 ms", "50.0 %"],
        ["cron", "106", "1.00 GiB", "88 µs", "-"],
        ["sshd", "102", "5.00 MiB", "-3.2 ms", "12.3 %"],
        ["<b>vim", "103", "1.50 KiB", "12 ns", "0.04 %"],
        ["Bash", "104", "700 B", "-", "100 %"],
        ["nginx", "105", "0 B", "4 s", "0 %"],
    ]
    cell = page.page.locator(ROW).nth(0).locator("td").nth(2)
    cell.hover()
    assert cell.get_attribute("title") == "18,446,744,073,709,551,615 bytes"
    page.page.locator(".ktrace-tools button", has_text="exact").click()
    wait_column(page, 2, ["18,446,744,073,709,551,615", "1,073,741,824", "5,242,880", "1,536", "700", "0"])
    assert column(page, 3) == ["1,050,000", "88,000", "-3,200,000", "12", "-", "4,000,000,000"]
    assert page.page.locator(".ktrace-table b").count() == 0
    page.screenshot("table-exact", index=0)


def test_a_bar_is_the_share_of_the_largest_and_of_the_sorted_column_by_default(
    page: kit.LabPage, path: str
) -> None:
    open_panel(page, path, "Synthetic(['by process'], age=3, hertz=0)")
    page.page.wait_for_selector(ROW)
    page.page.locator(".ktrace-table th button", has_text="mean_us").click()
    page.page.wait_for_selector(".ktrace-table th:nth-child(4)[aria-sort=descending]")
    shown = page.page.locator(f"{ROW} td.ktrace-bar").evaluate_all(
        "(cells) => cells.map(cell => cell.style.getPropertyValue('--bar'))"
    )
    frame = Synthetic().view("by process", 3).frame
    largest = frame["mean_us"].nlargest(20)
    assert shown == [f"{round(100 * value / largest.max())}%" for value in largest]
    page.page.locator(".ktrace-tools select[aria-label=bars]").select_option("all")
    page.page.wait_for_function("document.querySelectorAll('.ktrace-table td.ktrace-bar').length === 40")
    page.page.locator(".ktrace-tools select[aria-label=bars]").select_option("none")
    page.page.wait_for_function("document.querySelectorAll('.ktrace-table td.ktrace-bar').length === 0")


def test_the_cells_are_those_of_the_state_python_has(page: kit.LabPage, path: str) -> None:
    open_panel(page, path, "Synthetic(['by process'], age=3, hertz=0)")
    page.page.wait_for_selector(ROW)
    state = table_state(Synthetic().view("by process", 3), Wishes(sort="bytes"))
    assert cells(page) == state["rows"]
    page.page.locator(".ktrace-tools select[aria-label='rows at most']").select_option("50")
    page.page.wait_for_function("document.querySelectorAll('.ktrace-table tbody tr').length === 40")
    wait_foot(page, "40 rows")
    page.page.locator(".ktrace-tools select[aria-label='rows at most']").select_option("10")
    wait_foot(page, "40 rows, 30 more rows not shown")
    assert len(cells(page)) == 10


def test_a_filter_finds_rows_in_the_whole_frame_and_tells_what_it_did_not_understand(
    page: kit.LabPage, path: str
) -> None:
    open_frame(page, path, BUSY["sleep"].format(s=600))
    page.run_cell(1, wait=False)
    box = page.page.locator(".ktrace-filter")
    box.fill("bash")
    wait_column(page, 0, ["bash", "Bash"])
    wait_foot(page, "2 of 6 rows")
    box.fill("bytes>1KiB wait_ns<1ms")
    wait_column(page, 0, ["cron", "sshd", "<b>vim"])
    box.fill("bytes>1KiB colour=red")
    page.page.wait_for_selector(".ktrace-hint:not(:empty)")
    assert "no column 'colour'" in page.page.locator(".ktrace-hint").inner_text()
    assert box.get_attribute("aria-invalid") == "true"
    page.page.wait_for_function(f"{SAID}.startsWith('4 of 6 rows')")
    page.screenshot("table-filter", index=0)
    box.fill("")
    wait_foot(page, "6 rows")
    page.command("notebook:interrupt-kernel")


def test_rows_are_picked_by_mouse_and_by_keyboard(page: kit.LabPage, path: str) -> None:
    open_frame(page, path)
    rows = page.page.locator(ROW)

    def wait(names: list[str]) -> None:
        # The page marks what was clicked at once; below it says what the kernel knows of.
        wait_picked(page, names)
        wait_foot(page, f"6 rows · {len(names)} picked" if names else "6 rows")

    rows.nth(1).click()
    wait(["cron"])
    assert page.ask("print(view.selected['pid'].tolist())").strip() == "[106]"
    rows.nth(3).click(modifiers=["Control"])
    wait(["cron", "<b>vim"])
    rows.nth(5).click(modifiers=["Shift"])
    wait(["<b>vim", "Bash", "nginx"])
    assert page.ask("print(view.selected.index.tolist())").strip() == "['k2', 'k3', 'k4']"
    rows.nth(0).click()
    wait(["bash"])
    rows.nth(0).click(delay=600)
    wait([])
    page.page.keyboard.press("ArrowDown")
    page.page.keyboard.press("Space")
    wait(["cron"])
    page.page.keyboard.press("Shift+ArrowDown")
    wait(["cron", "sshd"])
    page.page.keyboard.press("Shift+ArrowDown")
    wait(["cron", "sshd", "<b>vim"])
    assert page.ask("print(view.selected.index.tolist())").strip() == "['k1', 'k2', 'k5']"
    page.screenshot("table-picked", index=0)
    rows.nth(3).focus()
    page.page.keyboard.press("Escape")
    wait([])
    assert page.ask("print(len(view.selected))").strip() == "0"


def test_keys_in_a_table_are_no_commands_of_the_notebook(page: kit.LabPage, path: str) -> None:
    open_frame(page, path, "1")
    page.page.locator(ROW).nth(0).focus()
    for key in ("a", "b", "x", "d", "d", "m", "ArrowDown"):
        page.page.keyboard.press(key)
    # It came after all of them: they have done what they do.
    assert page.page.evaluate("document.activeElement.rowIndex") == 2
    assert page.page.locator(".jp-Notebook .jp-CodeCell").count() == 2


def test_rows_picked_in_python_are_marked_and_told_if_they_are_not_shown(
    page: kit.LabPage, path: str
) -> None:
    open_frame(page, path, "view.select(['k0', 'k2'])")
    page.run_cell(1)
    wait_picked(page, ["bash", "<b>vim"])
    page.page.locator(".ktrace-filter").fill("comm=bash pid<103")
    wait_foot(page, "1 of 6 rows · 1 picked · 1 picked row not shown")
    # What is added to it keeps the one that is not shown.
    page.page.locator(ROW).nth(0).click(modifiers=["Control"])
    wait_foot(page, "1 of 6 rows · 1 picked row not shown")
    assert page.ask("print(view.selected.index.tolist())").strip() == "['k2']"


def clipboard(page: kit.LabPage) -> list[list[str]]:
    text = page.page.evaluate("navigator.clipboard.readText()")
    return [line.split("\t") for line in str(text).rstrip("\n").split("\n")]


def test_picked_rows_are_copied_exactly(page: kit.LabPage, path: str) -> None:
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_frame(page, path)
    page.page.locator(".ktrace-copy").click()
    page.page.wait_for_selector(".ktrace-copy:text('copied')")
    everything = clipboard(page)
    assert everything[0] == ["comm", "pid", "bytes", "wait_ns", "cpu_share"]
    assert everything[1] == ["bash", "101", "18446744073709551615", "1050000", "0.5"]
    assert everything[2] == ["cron", "106", "1073741824", "88000", ""]
    assert len(everything) == 7
    page.page.locator(ROW).nth(2).click()
    wait_picked(page, ["sshd"])
    wait_foot(page, "6 rows · 1 picked")  # the answer to the click is told first
    page.page.keyboard.press("Control+c")
    page.page.wait_for_function(f"{SAID} === '1 row copied'")
    assert clipboard(page) == [everything[0], ["sshd", "102", "5242880", "-3200000", "0.123"]]


def test_rows_are_copied_without_the_permission_too(page: kit.LabPage, path: str) -> None:
    page.page.context.grant_permissions(["clipboard-read"])
    open_frame(page, path)
    page.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.page.locator(".ktrace-copy").click()
    page.page.wait_for_selector(".ktrace-copy:text('copied')")
    assert clipboard(page)[1][2] == "18446744073709551615"


GROWING = """
import threading, time
import pandas as pd
from ktrace_nb.widgets import table
late, go = threading.Event(), threading.Event()
def made(step, since):
    # A new one every half second from then on: a slow page misses some of them, not all.
    new = [n for n in range((step - since) // 5)][-4:] if since else []
    return pd.DataFrame({"bytes": [1024 * step, 2048 * step, 7] + [10**9 + n for n in new]},
                        index=pd.Index(["a", "b", "c"] + [f"late {n}" for n in new], name="comm"))
view = table(made(0, 0), title="live", sort="bytes")
def grow():
    since = 0
    for step in range(1, 100_000):
        since = since or (step if late.is_set() else 0)
        view.update(made(step, since))
        if go.wait(0.1): break
thread = threading.Thread(target=grow, daemon=True)
thread.start()
view
"""


def test_a_live_table_tells_rates_and_new_rows_until_nothing_comes_any_more(
    page: kit.LabPage, path: str
) -> None:
    open_frame(page, path, "late.set()", "go.set()", source=GROWING)
    rate = f"{ROW} td[data-rate$='KiB/s']"
    page.page.wait_for_selector(rate)
    page.run_cell(1)
    page.page.wait_for_selector(f"{ROW}.ktrace-new td:text-matches('^late')")
    page.screenshot("table-rates", index=0)
    rates = page.page.locator(".ktrace-tools button", has_text="rates")
    rates.click()
    page.page.wait_for_function("!document.querySelector('.ktrace-table td[data-rate]')")
    rates.click()
    page.page.wait_for_selector(rate)
    page.run_cell(2)
    page.page.wait_for_function("!document.querySelector('.ktrace-table :is([data-rate], .ktrace-rated)')")
    assert page.page.locator(f"{ROW}.ktrace-new").count() == 0
    assert page.page.locator(ROW).count() > 3


def test_a_page_that_comes_later_shows_what_the_first_one_does(
    browser: Browser, page: kit.LabPage, path: str
) -> None:
    open_frame(page, path, "go.set(); thread.join()", source=GROWING)
    page.page.wait_for_selector(f"{ROW} td[data-rate]")
    page.command("notebook:create-output-view")
    page.page.wait_for_function("document.querySelectorAll('.ktrace-table').length === 2")
    page.page.wait_for_function(
        """() => {
            const [one, other] = [...document.querySelectorAll('.ktrace-table tbody')];
            return other.rows.length >= 3 && one.textContent === other.textContent;
        }"""
    )
    page.run_cell(1)
    last = page.ask("print(view.frame['bytes'].tolist()[:2])").strip()
    a, b = json.loads(last)
    expected = sorted([a, b, 7], reverse=True)
    assert expected[0] == b
    page.page.wait_for_function("!document.querySelector('.ktrace-table [data-rate]')")
    page.save()
    page.page.reload()
    page.page.wait_for_function(kit.READY)
    page.page.wait_for_selector(ROW)
    page.page.locator(".ktrace-tools button", has_text="exact").click()
    page.page.wait_for_function(
        "(text) => [...document.querySelectorAll('.ktrace-table td')].some(c => c.textContent === text)",
        arg=f"{b:,}",
    )


def test_the_table_is_one_for_whoever_does_not_see_it(page: kit.LabPage, path: str) -> None:
    open_frame(page, path)
    found: dict[str, Any] = page.page.locator(".ktrace-table").evaluate(
        """(el) => ({
            caption: el.querySelector('caption').textContent,
            scopes: [...el.querySelectorAll('th')].map(th => th.scope),
            sorts: [...el.querySelectorAll('th')].map(th => th.getAttribute('aria-sort')),
            stops: [...el.querySelectorAll('tbody tr')].map(tr => tr.tabIndex),
            said: el.querySelector('.ktrace-unseen[role=status]').textContent,
        })"""
    )
    assert found == {
        "caption": "top",
        "scopes": ["col"] * 5,
        "sorts": ["none", "none", "descending", "none", "none"],
        "stops": [0, -1, -1, -1, -1, -1],
        "said": "",
    }
    page.page.locator(".ktrace-table th button").nth(1).press("Enter")
    wait_column(page, 1, ["106", "105", "104", "103", "102", "101"])


def test_the_tools_of_a_narrow_table_keep_their_rows(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 820, "height": 900})
    open_frame(page, path)
    for width in (560, 400, 300):
        page.page.evaluate(
            "(width) => { document.querySelector('.ktrace-panel').style.width = `${width}px`; }", width
        )
        page.page.wait_for_function(
            "(width) => document.querySelector('.ktrace-table').clientWidth <= width", arg=width
        )
        page.screenshot(f"table-narrow-{width}", index=0)
        found = page.page.locator(".ktrace-tools > *").evaluate_all(
            """(all) => {
                const end = document.querySelector('.ktrace-table').getBoundingClientRect().right;
                return all.map((tool) => {
                    const { top, height, right } = tool.getBoundingClientRect();
                    return [top + height / 2, right - end];
                });
            }"""
        )
        assert all(beyond <= 0.5 for _, beyond in found), "nothing is cut off"


def test_a_table_looks_right_in_both_themes_and_big(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1280, "height": 1500})
    open_panel(page, path, "Synthetic(['by process'], age=400, hertz=20)")
    page.page.wait_for_selector(f"{ROW} td[data-rate$='/s']")
    page.page.locator(".ktrace-tools select[aria-label=bars]").select_option("all")
    page.page.wait_for_function("document.querySelectorAll('.ktrace-table td.ktrace-bar').length === 40")
    page.page.locator(ROW).nth(3).click()
    page.page.locator(ROW).nth(5).click(modifiers=["Control"])
    wait_foot(page, "40 rows, 20 more rows not shown · 2 picked")
    page.screenshot("table-light", index=1)
    page.theme("JupyterLab Dark")
    try:
        page.page.wait_for_selector("#jupyterlab-splash", state="detached")
        page.screenshot("table-dark", index=1)
    finally:
        page.theme("JupyterLab Light")
    page.page.evaluate("document.querySelector('.ktrace-panel').style.zoom = 1.6")
    page.screenshot("table-big", index=1)
