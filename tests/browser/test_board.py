"""The health board in JupyterLab: lamps, folding, keys, and what is sent."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from tests.browser import kit
from tests.browser.panels import texts
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser

BOARD = ".ktrace-board"
ROW = f"{BOARD} tbody tr:not([hidden])"
NAMES = f"{ROW} .ktrace-board-of"
FRAME = """
from ktrace_nb.widgets import health_board
from tests.widgets.made_health import health
view = health_board(health(), title="lab", big={big})
view
"""
ON_END = """
import math, itertools
from ktrace_nb.widgets.board_alone import HealthBoard
clock = itertools.count()
view = HealthBoard(health(), title="lab", clock=lambda: next(clock))
for at in range(100):
    view.update(health(ctxt=12_000 + 8_000 * math.sin(at / 7), skb=9 if at % 20 < 4 else 1))
view
"""


def open_board(page: kit.LabPage, path: str, *more: str, big: bool = False) -> None:
    write_notebook(page.server.root / path, [FRAME.format(big=big), *more])
    page.open(path)
    page.run_cell(0)
    page.page.wait_for_selector(ROW)


def names(page: kit.LabPage) -> list[str]:
    return texts(page, NAMES)


def focused(page: kit.LabPage) -> str:
    found = page.page.evaluate("document.activeElement.querySelector('.ktrace-board-of')?.textContent ?? ''")
    return str(found)


def test_a_row_per_piece_with_lamps_told_apart_by_word_and_shape(page: kit.LabPage, path: str) -> None:
    open_board(page, path, ON_END)
    assert names(page) == ["ctxt", "interrupts", "skb", "runnable", "pages"]
    assert texts(page, f"{ROW} .ktrace-board-lamp") == ["ok", "ok", "low", "high", "drift"]
    shapes = page.page.locator(f"{ROW} .ktrace-lamp path").evaluate_all(
        "(paths) => paths.map((path) => path.getAttribute('d'))"
    )
    assert shapes[0] == shapes[1]
    assert len(set(shapes[1:])) == 4
    cells = page.page.locator(ROW).evaluate_all(
        "(rows) => rows.map((row) => [2, 4, 6].map((cell) => row.cells[cell].textContent))"
    )
    assert cells == [
        ["12.35M", "12.3k/s", "0"],
        ["5,000", "150/s", "0"],
        ["40", "8.50/s", "0"],
        ["9", "30/s", "0"],
        ["1M", "0/s", "+1,000 · 0.200 %"],
    ]
    assert page.page.locator(f"{BOARD} b").count() == 0
    page.run_cell(1)
    page.page.wait_for_function("document.querySelectorAll('.ktrace-board').length === 2")
    page.page.wait_for_timeout(300)
    page.screenshot("health-board", index=1)
    page.theme("JupyterLab Dark")
    page.page.wait_for_timeout(300)
    page.screenshot("health-board-dark", index=1)
    page.theme("JupyterLab Light")


def test_parts_are_folded_under_their_piece_by_click_and_by_key(page: kit.LabPage, path: str) -> None:
    open_board(page, path)
    assert texts(page, f"{ROW} .ktrace-board-parts")[1] == "2 parts: 1 drift"
    page.page.locator(ROW).nth(1).click()
    assert names(page) == ["ctxt", "interrupts", "24", "LOC", "skb", "runnable", "pages"]
    page.screenshot("health-board-open", index=0)
    page.page.keyboard.press("ArrowDown")
    assert focused(page) == "24"
    page.page.keyboard.press("ArrowLeft")
    assert focused(page) == "interrupts"
    page.page.keyboard.press("ArrowLeft")
    assert len(names(page)) == 5
    page.page.keyboard.press("End")
    assert focused(page) == "pages"
    page.page.keyboard.press("n")
    assert focused(page) == "LOC", "from the end on from the beginning, and unfolded"
    assert "drift -3 of 300 moved" in page.page.locator(".ktrace-board-tell").inner_text()
    page.page.keyboard.press("n")
    assert focused(page) == "skb"
    assert page.page.locator(".jp-Notebook .jp-Cell").count() == 1, "JupyterLab took none of the keys"


def test_what_changed_is_written_and_the_line_grows_while_folds_and_focus_stay(
    page: kit.LabPage, path: str
) -> None:
    change = """
frame = health(ctxt=60_000.0)
frame.loc[("ctxt", ""), "state"] = "high"
frame.loc[("ctxt", ""), "level"] = 12_400_000
view.update(frame)
"""
    open_board(page, path, "view.update(health(ctxt=5_000.0))", change)
    page.page.locator(ROW).nth(1).click()
    line = f"{ROW}:first-child .ktrace-spark-line"
    assert page.page.locator(line).get_attribute("d") == ""
    page.run_cell(1)
    page.page.wait_for_function("(line) => document.querySelector(line).getAttribute('d') !== ''", arg=line)
    page.run_cell(2)
    page.page.wait_for_selector(f"{ROW}:first-child [data-state=high]")
    assert texts(page, f"{ROW}:first-child td")[2:5:2] == ["12.4M", "60.0k/s"]
    assert page.page.locator(line).get_attribute("d").count("H") == 2  # type: ignore[union-attr]
    assert page.page.locator(f"{BOARD} [role=status]").text_content() == "ctxt: high"
    assert len(names(page)) == 7
    assert page.page.locator(f"{ROW}:first-child .ktrace-band-out").count() == 1
    page.save()
    saved = (page.server.root / path).read_text()
    assert "data:image/svg+xml;base64," in saved
    assert "ctxt: high" in saved


def test_a_board_for_a_lecture_hall_fits_the_page(page: kit.LabPage, path: str) -> None:
    open_board(page, path, big=True)
    assert page.page.locator(".ktrace-panel.ktrace-big").count() == 1
    frame = page.page.locator(".ktrace-board-frame")
    assert frame.evaluate("(frame) => frame.scrollWidth <= frame.clientWidth"), "no column is cut off"
    page.screenshot("health-board-big", index=0)


@pytest.mark.kernel
def test_the_health_of_a_lab_is_shown_live_and_stop_leaves_nothing(page: kit.LabPage, path: str) -> None:
    cells = ["%load_ext ktrace_nb", "%health ctxt interrupts forks --for 120s"]
    write_notebook(page.server.root / path, cells)
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(ROW, timeout=90_000)
    assert names(page) == ["ctxt", "interrupts", "forks"]
    page.page.wait_for_function(
        "(line) => (document.querySelector(line).getAttribute('d').match(/H/g) ?? []).length >= 4",
        arg=f"{ROW}:first-child .ktrace-spark-line",
        timeout=60_000,
    )
    page.page.locator(ROW).nth(1).click()
    assert len(names(page)) > 3
    page.screenshot("health-lab", index=1)
    page.page.click(".ktrace-stop")
    page.page.wait_for_selector('.ktrace-header[data-state="done"]', timeout=20_000)
    told = page.ask(
        "frame = health_watch.frame()\n"
        "print(health_watch.session.running, *frame.loc[('forks', ''), ['drift', 'state']])"
    )
    assert told.split() == ["False", "0", "ok"]
    assert texts(page, f"{ROW} .ktrace-board-lamp")[0] == "ok"


@pytest.mark.kernel
def test_the_kernel_is_read_once_a_second_by_one_thread_and_not_where_nobody_looks(
    page: kit.LabPage, path: str
) -> None:
    note = """
import json, threading, time
reads, frame_of = [], health_watch.frame
def noted():
    reads.append((time.monotonic(), threading.current_thread().name))
    return frame_of()
health_watch.frame = noted
"""
    cells = ["%load_ext ktrace_nb", "%health forks", note]
    write_notebook(page.server.root / path, cells)
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(ROW, timeout=90_000)
    page.run_cell(2)
    page.page.wait_for_timeout(5000)
    page.page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex = 1")
    page.command("notebook:clear-cell-output")
    page.page.wait_for_selector(BOARD, state="detached")
    page.page.wait_for_timeout(1500)
    before = json.loads(page.ask("print(json.dumps(reads))"))
    page.page.wait_for_timeout(3000)
    after = json.loads(page.ask("print(json.dumps(reads))"))
    assert len(before) >= 2
    assert after == before, "nobody looks"
    assert {name for _, name in before} == {"ktrace panel"}
    moments = [at for at, _ in before]
    assert all(later - at >= 1.0 for at, later in pairwise(moments))
    page.ask("health_watch.stop()")


@pytest.mark.kernel
def test_a_restarted_kernel_leaves_the_board_as_it_was_and_another_can_be_had(
    page: kit.LabPage, path: str
) -> None:
    cells = ["%load_ext ktrace_nb", "%health forks"]
    write_notebook(page.server.root / path, cells)
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(ROW, timeout=90_000)
    page.page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart()")
    page.page.wait_for_selector('.ktrace-header[data-state="gone"]')
    assert names(page) == ["forks"]
    page.page.wait_for_function(kit.READY)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector('.ktrace-header[data-state="running"]', timeout=90_000)
    assert page.ask("print(health_watch.session.running); health_watch.stop()").split() == ["True"]
