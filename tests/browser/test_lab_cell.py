"""The mission's first row: a cell in JupyterLab, a kernel in the lab, a histogram that moves."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.browser import kit
from tests.browser.panels import BUSY, bars, texts
from tests.notebooks import write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/reads/read-sizes.ipynb"
CELL = """%%ktrace sizes {options}
BPF_HISTOGRAM(bytes);
BPF_HASH(by_pid, u32, u64);
int kretprobe__vfs_read(struct pt_regs *ctx) {{
    int n = PT_REGS_RC(ctx);
    if (n <= 0) return 0;
    bytes.increment(bpf_log2l(n));
    by_pid.increment(bpf_get_current_pid_tgid() >> 32, n);
    return 0;
}}"""
BUSY_READING = '--for 60s -c "while :; do ls -lR /usr; done"'
COUNTS = "import json; print(json.dumps([int(x) for x in sizes.bytes['count']]))"


def open_traced(page: kit.LabPage, path: str, options: str, *more: str) -> None:
    write_notebook(page.server.root / path, ["%load_ext ktrace_nb", CELL.format(options=options), *more])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(".ktrace-panel .bar", timeout=60_000)


def test_the_example_notebook_runs_and_its_bars_are_the_frame(page: kit.LabPage, path: str) -> None:
    shutil.copy(EXAMPLE, page.server.root / path)
    page.open(path)
    page.run_all()
    page.page.wait_for_selector('.ktrace-header[data-state="done"]', timeout=30_000)
    page.page.wait_for_timeout(700)  # the last state is drawn
    # Empty buckets may be drawn at either end, for room.
    counts = [count for count in json.loads(page.ask(COUNTS)) if count]
    heights = [height for height in bars(page) if height]
    assert len(heights) == len(counts) >= 3
    for height, count in zip(heights, counts, strict=True):
        assert height / max(heights) == pytest.approx(count / max(counts), abs=0.01)
    page.screenshot("example-notebook", index=3)


def test_bars_grow_while_the_kernel_works_and_stop_leaves_nothing(page: kit.LabPage, path: str) -> None:
    open_traced(page, path, BUSY_READING)
    totals = []
    for _ in range(4):
        totals.append(int(page.ask("print(sizes.bytes['count'].sum())")))
        time.sleep(0.7)
    assert totals == sorted(set(totals)), "every look shows more"
    assert "complete" in texts(page, ".ktrace-header")[0]
    page.screenshot("running-trace", index=1)
    page.page.click(".ktrace-stop")
    page.page.wait_for_selector('.ktrace-header[data-state="done"]', timeout=5000)
    attached = page.ask(
        "print(sizes.target.connection.call('exec', argv=['cat', '/sys/kernel/debug/kprobes/list']).blob)"
    )
    assert "vfs_read" not in attached
    assert int(page.ask("print(sizes.bytes['count'].sum())")) >= totals[-1]


def test_stop_works_while_another_cell_runs(page: kit.LabPage, path: str) -> None:
    open_traced(page, path, BUSY_READING, "import time\n" + BUSY["python"].format(s=6))
    page.run_cell(2, wait=False)
    page.page.wait_for_timeout(500)
    page.page.click(".ktrace-stop")
    page.page.wait_for_selector('.ktrace-header[data-state="done"]', timeout=3000)
    assert (
        page.page.evaluate("jupyterapp.shell.currentWidget.content.widgets[2].model.executionState")
        == "running"
    )


def test_an_interrupt_gives_the_prompt_back_and_leaves_nothing(page: kit.LabPage, path: str) -> None:
    open_traced(page, path, BUSY_READING, "sizes.wait()")
    page.run_cell(2, wait=False)
    page.page.wait_for_timeout(500)
    started = time.monotonic()
    page.command("notebook:interrupt-kernel")
    page.page.wait_for_function(
        "jupyterapp.shell.currentWidget.content.widgets[2].model.executionState === 'idle'", timeout=3000
    )
    assert time.monotonic() - started < 1.5
    page.page.wait_for_selector('.ktrace-header[data-state="done"]', timeout=3000)
    assert page.ask("print(sizes.state)").strip() == "done"


def test_a_re_run_takes_the_place_of_the_trace_before(page: kit.LabPage, path: str) -> None:
    open_traced(page, path, BUSY_READING)
    page.run_cell(1)
    page.page.wait_for_selector(".ktrace-panel .bar")
    assert page.page.locator(".ktrace-panel").count() == 1
    listed = page.ask("import ktrace_nb.magics.sessions as s; print(len(s.table()), sizes.state)")
    assert listed.strip() == "1 running"


def test_errors_are_short_and_in_their_place(page: kit.LabPage, path: str) -> None:
    cells = ["%load_ext ktrace_nb", "%%ktrace\nint kprobe__vfs_reed(void *ctx) { return 0; }"]
    write_notebook(page.server.root / path, cells)
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    (output,) = page.outputs(1)
    assert output["ename"] == "ProbeNotFoundError"
    assert len(output["traceback"]) == 5
    assert "did you mean vfs_read" in output["traceback"][-1]
    page.screenshot("short-error", index=1)


def test_a_saved_notebook_and_nbconvert_show_the_final_picture(page: kit.LabPage, path: str) -> None:
    open_traced(page, path, '--for 2s -c "while :; do ls -lR /usr; done"')
    page.page.wait_for_selector('.ktrace-header[data-state="done"]', timeout=10_000)
    page.page.wait_for_timeout(1500)
    total = int(page.ask("print(sizes.bytes['count'].sum())"))
    page.save()
    saved = page.server.root / path
    converted = saved.with_suffix(".html")
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output", str(converted), str(saved)]
    subprocess.run(command, check=True, capture_output=True)
    html = converted.read_text()
    assert "data:image/svg+xml;base64," in html
    assert "done" in html
    assert f"{total:,}" in saved.read_text() or f"{total:,}" in html
