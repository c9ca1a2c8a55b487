"""The project's signature picture in JupyterLab: a walk of ext4 in the lab, live and afterwards."""

from __future__ import annotations

import pytest

from tests.browser import kit
from tests.notebooks import write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

STEP = ".ktrace-indent .ktrace-step:not([hidden])"
WALK = """%%ktrace walk --calls 'ext4_*' -c "ls /mnt/ext3" """
BUSY = """%%ktrace busy --calls 'ext4_*' --for 60s -c "while :; do lesson-ls; done" """
DONE = '.ktrace-header[data-state="done"]'


def test_what_ls_does_in_ext4_line_by_line(page: kit.LabPage, path: str) -> None:
    write_notebook(page.server.root / path, ["%load_ext ktrace_nb", WALK])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(DONE, timeout=90_000)
    page.page.wait_for_selector(STEP)
    calls = int(page.ask("print(len(walk.calls))"))
    assert calls > 100
    foot = page.page.locator(".ktrace-indent > .ktrace-foot")
    page.page.wait_for_function(
        "(text) => document.querySelector('.ktrace-indent > .ktrace-foot').innerText.includes(text)",
        arg=f"{calls:,} calls",
    )
    assert "complete" in page.page.locator(".ktrace-header").inner_text()
    assert f"{2 * calls:,} lines" in foot.inner_text()
    # The line that is clicked is the row that Python has.
    page.page.locator(".ktrace-grid").focus()
    page.page.keyboard.press("Home")
    page.page.locator(STEP).first.click()
    first = page.ask("print(walk.calls['function'].iloc[0], walk.selected['function'].iloc[0])").split()
    assert first[0] == first[1]
    assert first[0] in page.page.locator(STEP).first.inner_text()
    # The other views of the same calls.
    page.page.wait_for_selector(".ktrace-flame")
    page.page.wait_for_selector(".ktrace-graph-node")
    assert first[0] in page.ask("print(*walk.functions.index)")
    page.page.locator(".ktrace-indent .ktrace-grid").focus()
    page.page.keyboard.press("s")
    page.page.wait_for_function("/self/.test(document.querySelector('.ktrace-detail').textContent)")
    page.page.locator(".ktrace-indent").screenshot(path=kit.artifacts() / "walk-cell.png")


def test_lines_come_while_the_kernel_works_and_stop_leaves_nothing(page: kit.LabPage, path: str) -> None:
    write_notebook(page.server.root / path, ["%load_ext ktrace_nb", BUSY])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(STEP, timeout=90_000)
    rows = "Number(document.querySelector('.ktrace-grid').getAttribute('aria-rowcount'))"
    before = int(page.page.evaluate(rows))
    page.page.wait_for_function(f"(n) => {rows} > n + 200", arg=before, timeout=30_000)
    page.screenshot("walk-live", index=1)
    page.page.click(".ktrace-stop")
    page.page.wait_for_selector(DONE, timeout=20_000)
    assert page.ask("print(busy.running, len(busy.calls) > 200)").split() == ["False", "True"]
