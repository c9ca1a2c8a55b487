"""``%kstat --live`` in JupyterLab: a table of this machine's statistics that goes on."""

from __future__ import annotations

import os

import pytest

from tests.browser import kit
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser

ROW = "[...document.querySelectorAll('.ktrace-table tbody tr')].find((row) => row.textContent.includes('{}'))"


def test_the_table_shows_what_the_kernel_counts_and_how_fast(page: kit.LabPage, path: str) -> None:
    cells = [
        "%load_ext ktrace_nb",
        "browser = %kstat --live --target local linux:0:stat:ctxt unix:0:system_misc:ncpus",
        "browser",
    ]
    write_notebook(page.server.root / path, cells)
    page.open(path)
    for number in range(3):
        page.run_cell(number)
    page.page.wait_for_selector(".ktrace-table tbody tr")
    cells_of = f"[...{ROW.format('ncpus')}.cells].map((cell) => cell.textContent)"
    assert str(os.cpu_count()) in page.page.evaluate(cells_of)
    # The switches of this machine go on, and so does what is shown of them.
    told = f"{ROW.format('ctxt')}.textContent"
    first = page.page.evaluate(told)
    page.page.wait_for_function(f"{told} !== {first!r}")
    page.page.wait_for_function(f"/[0-9]/.test([...{ROW.format('ctxt')}.cells].map((c) => c.textContent)[5])")
    page.screenshot("kstat-browser")

    page.page.click(".ktrace-stop")
    page.page.wait_for_function("document.querySelector('.ktrace-state').textContent === 'done'")
