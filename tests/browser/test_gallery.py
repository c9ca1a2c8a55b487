"""The gallery: every view of a real kernel, and the controls of a real session."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from tests.browser import kit
from tests.notebooks import write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

GALLERY = Path(__file__).resolve().parents[2] / "examples/views/gallery.ipynb"
READING = """%%ktrace reads --for 120s -c "while :; do ls -lR /usr; done"
BPF_HASH(hits, u32, u64);
int kprobe__vfs_read(struct pt_regs *ctx) { hits.increment(0); return 0; }
int kprobe__vfs_open(struct pt_regs *ctx) { hits.increment(1); return 0; }"""


def cell_with(text: str) -> int:
    """The number of the gallery's cell that holds a text."""
    cells = json.loads(GALLERY.read_text())["cells"]
    (found,) = (number for number, cell in enumerate(cells) if text in "".join(cell["source"]))
    return found


def test_the_gallery_shows_every_view(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1280, "height": 7000})
    shutil.copy(GALLERY, page.server.root / path)
    page.open(path)
    page.run_all()
    page.ask("for session in (reads, sched, tcp): session.wait()")
    ended = '.ktrace-header:not(.ktrace-headless)[data-state="done"]'
    page.page.wait_for_function(f"document.querySelectorAll('{ended}').length === 6")
    for name, text in {
        "histogram": "%%ktrace reads",
        "heatmap": 'view("heatmap")',
        "series": 'view("series"',
        "table": 'view("table"',
        "timeline": "%%ktrace sched",
        "states": "%%ktrace tcp",
        "frame": "made up",
        "big": "two waves",
    }.items():
        page.screenshot(f"gallery-{name}", index=cell_with(text))
    shown = page.page.locator(".jp-Notebook").inner_text()
    assert "cannot be shown" not in shown
    # 40 connections of wget: each is opened actively and passively.
    opened = page.ask(
        "steps = tcp.changes.groupby(['oldstate', 'newstate']).size()\nprint(steps[2, 1], steps[3, 1])"
    )
    assert opened.split() == ["40", "40"]
    assert "ESTABLISHED" in shown


def value(page: kit.LabPage, source: str) -> str:
    return page.ask(f"print({source})").strip()


def wait_until(page: kit.LabPage, source: str) -> None:
    """Ask until something is true; a click is carried out within a fraction of a second."""
    deadline = time.monotonic() + 60
    while value(page, source) != "True":
        assert time.monotonic() < deadline, f"not within a minute: {source}"
        page.page.wait_for_timeout(200)


def open_reading(page: kit.LabPage, path: str, *more: str) -> None:
    write_notebook(page.server.root / path, ["%load_ext ktrace_nb", READING, *more])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(".ktrace-panel tbody td", timeout=60_000)


def test_pause_is_heard_while_a_cell_runs_and_nothing_is_detached(page: kit.LabPage, path: str) -> None:
    busy = "end = time.time() + 60\nwhile not reads.paused and time.time() < end: pass\nprint(reads.paused)"
    open_reading(page, path, f"import time\n{busy}")
    page.run_cell(2, wait=False)
    page.page.get_by_role("button", name="Pause").click()
    page.page.get_by_role("button", name="Resume").wait_for()
    idle = "jupyterapp.shell.currentWidget.content.widgets[2].model.executionState === 'idle'"
    page.page.wait_for_function(idle)
    assert page.outputs(2)[0]["text"] == "True\n"
    before = value(page, "reads.hits['value'].sum()")
    page.page.wait_for_timeout(1000)
    assert value(page, "reads.hits['value'].sum()") == before
    assert value(page, "reads.state") == "running"
    page.page.get_by_role("button", name="Resume").click()
    wait_until(page, f"reads.hits['value'].sum() > {before}")
    assert int(value(page, "reads.losses['while paused']")) > 0


def test_a_probe_is_switched_off_and_the_session_reset_by_clicks(page: kit.LabPage, path: str) -> None:
    open_reading(page, path)
    page.page.get_by_role("button", name="Probes").click()
    page.page.get_by_role("checkbox", name="kprobe__vfs_open").click()
    wait_until(page, "not reads.probes.loc['kprobe__vfs_open', 'on']")
    opens = []
    for _ in range(2):  # what was read before the click is not what counts
        reads = value(page, "reads.hits['value'].get(0)")
        wait_until(page, f"reads.hits['value'].get(0) > {reads}")
        opens.append(value(page, "reads.hits['value'].get(1)"))
    assert opens[0] == opens[1]
    page.page.get_by_role("button", name="Reset").click()
    wait_until(page, "1 not in reads.hits.index")
    wait_until(page, "reads.hits['value'].get(0, 0) > 0")
    page.screenshot("controls-of-a-session", index=1)


def test_a_snapshot_becomes_a_cell_and_an_export_a_file(page: kit.LabPage, path: str) -> None:
    open_reading(page, path)
    page.page.get_by_role("button", name="Snapshot").click()
    page.page.wait_for_function(
        "jupyterapp.shell.currentWidget.content.model.sharedModel.cells.some("
        "(cell) => cell.source === 'reads.snapshots[0]')"
    )
    page.page.get_by_role("button", name="Export").click()
    page.page.get_by_role("menuitem", name="CSV").click()
    exported = page.server.root / "reads-hits.csv"
    wait_until(page, "'reads-hits.csv' in reads.notice")
    assert exported.read_text().startswith("key,value\n")
    page.page.click(".ktrace-stop")
    page.page.wait_for_selector('.ktrace-header[data-state="done"]')
    page.save()
    saved = json.loads((page.server.root / path).read_text())["cells"]
    (cell,) = (cell for cell in saved if "".join(cell["source"]) == "reads.snapshots[0]")
    assert "snapshot 1 at" in "".join(cell["outputs"][0]["data"]["text/plain"])
    index = page.add_cell("reads.snapshots[0]")
    page.run_cell(index)
    assert "snapshot 1 at" in "".join(page.outputs(index)[0]["data"]["text/plain"])
