"""A script in JupyterLab: text and histogram come while it runs, the Tab key knows its language."""

from __future__ import annotations

import pytest

from tests.browser import kit
from tests.browser.panels import bars
from tests.notebooks import write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

CELL = """%%ktrace reads --for 60s -c "while :; do ls -lR /usr; done"
global sizes, rounds
probe vfs.read.return { if ($return > 0) sizes <<< $return }
probe timer.s(1) { printf("round %d\\n", ++rounds) }
probe end { print(@hist_log(sizes)) }"""


def test_text_and_histogram_of_a_script_are_live(page: kit.LabPage, path: str) -> None:
    write_notebook(page.server.root / path, ["%load_ext ktrace_nb", CELL])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(".ktrace-panel .bar", timeout=60_000)
    page.page.wait_for_selector(".ktrace-panel :text('round 2')", timeout=20_000)
    count = "print(sum(reads.frame('sizes.hist_log')['count']))"
    before = int(page.ask(count))
    page.screenshot("running-script", index=1)
    page.page.wait_for_selector(".ktrace-panel :text('round 4')", timeout=20_000)
    assert int(page.ask(count)) > before
    assert len(bars(page)) > 1
    page.page.click(".ktrace-stop")
    page.page.wait_for_selector('.ktrace-header[data-state="done"]', timeout=10_000)
    # What the end probe prints is there too.
    page.page.wait_for_selector(".ktrace-panel :text('value |---')", timeout=10_000)
    page.screenshot("finished-script", index=1)


def test_the_tab_key_offers_functions_with_their_signatures(page: kit.LabPage, path: str) -> None:
    cell = "%%ktrace reads --lang stap\nprobe begin { thread_ind"
    write_notebook(page.server.root / path, ["%load_ext ktrace_nb", cell])
    page.open(path)
    page.run_cell(0)
    page.page.locator(".jp-Cell .cm-content").nth(1).click()
    page.page.keyboard.press("Control+End")
    page.page.keyboard.press("Tab")
    page.page.wait_for_selector(".jp-Completer .jp-Completer-match", timeout=10_000)
    page.screenshot("script-completion")
    offered = page.page.locator(".jp-Completer .jp-Completer-match").all_inner_texts()
    assert offered[:2] == ["thread_indent", "thread_indent_depth"]
    (type_, *_) = page.page.locator(".jp-Completer .jp-Completer-typeExtended").all_inner_texts()
    assert type_ == "(delta:long)\N{NO-BREAK SPACE}→\N{NO-BREAK SPACE}string"


def test_a_cell_that_runs_again_replaces_its_piece(page: kit.LabPage, path: str) -> None:
    cells = [
        "%load_ext ktrace_nb",
        "%%ktrace walk --piece\nprobe begin { }",
        "%%ktrace walk --piece\nprobe end { }",
    ]
    write_notebook(page.server.root / path, cells)
    page.open(path)
    for index in (0, 1, 2, 1):
        page.run_cell(index)
    told = [output["text"] for index in (1, 2) for output in page.outputs(index)]
    assert told[0].startswith("walk: piece 1 replaced")
    assert told[1].startswith("walk: piece 2 added")
