"""Bars that are pointed at and picked, by mouse and by keyboard."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser

from ktrace_nb.stream.histogram import log2_hist
from ktrace_nb.widgets.histogram import HistogramView
from ktrace_nb.widgets.source import ViewData
from tests.browser import kit
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser

START = """
import numpy as np, pandas as pd
from ktrace_nb.stream.histogram import linear_hist, log2_hist
from ktrace_nb.widgets import histogram
"""
LATENCY = """
view = histogram(log2_hist([8, 9, 10, 12, 13], [10, 20, 2**53 + 1, 0, 40], unit="ns"), title="latency")
view
"""
# Buckets 8 to 13 with one on either side, for eight are drawn at least; the value at 2**b is at b.
KEYED = """
devices = ["sda", "sda", "<b>vda", "<b>vda"]
frame = log2_hist([8, 9, 9, 10], [1, 2, 30, 40], unit="bytes", keys={"device": devices})
view = histogram(frame, title="sizes")
view
"""
BAR, PICKED, OTHER = "rgb(49, 130, 189)", "rgb(213, 94, 0)", "rgb(179, 205, 227)"


def open_cells(page: kit.LabPage, path: str, *cells: str) -> None:
    write_notebook(page.server.root / path, [START, *cells])
    page.open(path)
    for number in range(len(cells) + 1):
        page.run_cell(number)
    page.page.wait_for_selector(".ktrace-histogram .bqplot[tabindex='0'] .bar", state="attached")


def column(page: kit.LabPage, bar: int, figure: int = 0, *, down: float = 0.5) -> tuple[float, float]:
    """Where on the page the middle of a bar's column is."""
    x, y = page.page.evaluate(
        """([figure, bar, down]) => {
            const plot = document.querySelectorAll('.ktrace-histogram .bqplot')[figure];
            const box = plot.querySelector('.plotarea_events').getBoundingClientRect();
            const count = plot.querySelectorAll('.bar').length;
            return [box.left + (bar + 0.5) / count * box.width, box.top + down * box.height];
        }""",
        [figure, bar, down],
    )
    return float(x), float(y)


def colours(page: kit.LabPage, figure: int = 0) -> list[str]:
    found: list[str] = page.page.evaluate(
        """(figure) => [...document.querySelectorAll('.ktrace-histogram .bqplot')[figure]
            .querySelectorAll('.bar')].map((bar) => getComputedStyle(bar).fill)""",
        figure,
    )
    return found


def await_colours(page: kit.LabPage, wanted: dict[int, str], other: str, figure: int = 0) -> None:
    """Wait until bars look picked, and until the page knows it, which is another message."""
    page.page.wait_for_function(
        """([figure, wanted, other]) => {
            const plot = document.querySelectorAll('.ktrace-histogram .bqplot')[figure];
            const count = Object.keys(wanted).length;
            const label = plot.getAttribute('aria-label') ?? '';
            const known = count ? label.endsWith(`; ${count} picked`) : !label.endsWith(' picked');
            return known && [...plot.querySelectorAll('.bar')]
                .every((bar, n) => getComputedStyle(bar).fill === (wanted[n] ?? other));
        }""",
        arg=[figure, {str(bar): colour for bar, colour in wanted.items()}, other],
    )


def selected(page: kit.LabPage) -> list[Any]:
    found = json.loads(page.ask("import json; print(json.dumps(view.selected.index.tolist()))"))
    return list(found)


def click(page: kit.LabPage, bar: int, figure: int = 0, *keys: str) -> None:
    page.page.mouse.move(*column(page, bar, figure))
    for key in keys:
        page.page.keyboard.down(key)
    page.page.mouse.down()
    page.page.mouse.up()
    for key in keys:
        page.page.keyboard.up(key)


def test_a_bar_that_is_pointed_at_says_its_bounds_and_exact_count(page: kit.LabPage, path: str) -> None:
    open_cells(page, path, LATENCY)
    labels = page.page.evaluate(
        "[...document.querySelectorAll('.ktrace-histogram .bar')].map((bar) => bar.__data__.x)"
    )
    ten = labels.index(9.5)  # 512 to 1023: the middle between log2(512) and log2(1024)
    page.page.mouse.move(*column(page, ten, down=0.2))
    said = page.page.locator(".ktrace-pointed")
    # 2**53 + 1 is not a float; the share is of 2**53 + 71.
    page.page.wait_for_function("document.querySelector('.ktrace-pointed').textContent !== ''")
    assert said.text_content() == "512..1,023 ns: 9,007,199,254,740,993 (100 %)"
    assert page.page.locator(".ktrace-total").text_content() == f"total {2**53 + 71:,}"
    figure = page.page.locator(".ktrace-histogram .bqplot")
    assert figure.get_attribute("role") == "img"
    assert figure.get_attribute("aria-label") == (
        "latency: total 9,007,199,254,741,063; most in 512..1,023 ns: 9,007,199,254,740,993; "
        "from 128..255 ns to 4K..8K ns"
    )


def test_a_click_picks_a_bar_a_drag_several_and_shift_adds(page: kit.LabPage, path: str) -> None:
    open_cells(page, path, LATENCY)
    assert set(colours(page)) == {BAR}
    first = int(8 - 0.5 - page.page.evaluate("document.querySelector('.ktrace-histogram .bar').__data__.x"))
    click(page, first)
    await_colours(page, {first: PICKED}, OTHER)
    assert selected(page) == [8]
    click(page, first + 2, 0, "Shift")
    await_colours(page, {first: PICKED, first + 2: PICKED}, OTHER)
    assert selected(page) == [8, 10]
    click(page, first, 0, "Control")
    await_colours(page, {first + 2: PICKED}, OTHER)
    assert selected(page) == [10]
    page.page.mouse.move(*column(page, first + 1))
    page.page.mouse.down()
    page.page.mouse.move(*column(page, first + 5), steps=4)
    page.page.mouse.up()
    # Nothing was counted in 11 and 12: bars without a count are not picked.
    await_colours(page, {first + 1: PICKED, first + 2: PICKED, first + 5: PICKED}, OTHER)
    assert selected(page) == [9, 10, 13]
    click(page, first + 3)
    await_colours(page, {}, BAR)
    assert selected(page) == []
    click(page, first + 1)
    await_colours(page, {first + 1: PICKED}, OTHER)
    click(page, first + 1)
    await_colours(page, {}, BAR)
    assert selected(page) == []


def test_bars_are_picked_by_the_keyboard_alone(page: kit.LabPage, path: str) -> None:
    open_cells(page, path, LATENCY)
    figure = page.page.locator(".ktrace-histogram .bqplot")
    figure.focus()
    told = page.page.locator(".ktrace-spoken")
    # From the highest bar on; 20 and 2**53 + 1 is not a float either.
    page.page.keyboard.press("Shift+ArrowLeft")
    assert told.text_content() == "256..511 ns to 512..1,023 ns: 9,007,199,254,741,013 (100 %)"
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowLeft")
    assert told.text_content() == "256..511 ns: 20 (2e-13 %)"
    page.page.keyboard.press("ArrowLeft")
    page.page.keyboard.press("Shift+ArrowRight")
    assert str(told.text_content()).startswith("128..255 ns to 256..511 ns: 30 (")
    page.page.keyboard.press("Enter")
    page.page.wait_for_function("document.querySelector('.bqplot').ariaLabel?.endsWith('2 picked')")
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("Control+ ")
    page.page.wait_for_function("document.querySelector('.bqplot').ariaLabel?.endsWith('3 picked')")
    page.page.keyboard.press("Escape")
    await_colours(page, {}, BAR)
    page.page.keyboard.press("End")
    page.page.keyboard.press("Home")
    page.page.keyboard.press("ArrowRight")
    assert figure.evaluate("(node) => node === document.activeElement")
    assert page.page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex") == 1
    assert selected(page) == []


def test_no_key_that_is_pressed_in_a_chart_is_a_command_of_the_notebook(page: kit.LabPage, path: str) -> None:
    open_cells(page, path, LATENCY)
    page.page.locator(".ktrace-histogram .bqplot").focus()
    notebook = "jupyterapp.shell.currentWidget"
    cells = f"[{notebook}.content.widgets.length, {notebook}.content.activeCellIndex]"
    # One by one: two add a cell and two delete one.
    for key in ("a", "b", "x", "d", "d", "ArrowDown", "ArrowUp"):
        page.page.keyboard.press(key)
        assert page.page.evaluate(cells) == [2, 1], key
    # What is pressed with Ctrl is.
    assert page.page.evaluate(f"{notebook}.context.model.dirty")
    page.page.keyboard.press("Control+s")
    page.page.wait_for_function(f"!{notebook}.context.model.dirty")


def test_marks_from_python_and_several_keys(page: kit.LabPage, path: str) -> None:
    open_cells(page, path, KEYED)
    headings = page.page.locator(".ktrace-histogram .mainheading")
    page.page.wait_for_function(
        "document.querySelectorAll('.ktrace-histogram .mainheading')[1].textContent.includes('total')"
    )
    assert headings.all_text_contents() == ["device = <b>vda · total 70", "device = sda · total 3"]
    page.ask("view.select([('sda', 9), ('<b>vda', 10)])")
    first = int(9.5 - page.page.evaluate("document.querySelector('.ktrace-histogram .bar').__data__.x"))
    await_colours(page, {first: PICKED}, OTHER, 0)
    await_colours(page, {first - 1: PICKED}, OTHER, 1)
    click(page, first - 2, 1, "Shift")
    await_colours(page, {first - 2: PICKED, first - 1: PICKED}, OTHER, 1)
    assert selected(page) == [["sda", 8], ["sda", 9], ["<b>vda", 10]]
    page.screenshot("histogram-picked", index=1)
    page.page.locator(".ktrace-histogram .bqplot").nth(1).press("Escape")
    await_colours(page, {}, BAR, 1)
    assert selected(page) == []


def test_a_bar_of_several_linear_buckets_picks_all_of_them(page: kit.LabPage, path: str) -> None:
    wide = "view = histogram(linear_hist(range(-300, 700), [1] * 1000, step=2), scale='linear')\nview"
    open_cells(page, path, wide)
    # 1,000 buckets in at most 128 bars: ten in each, the first of -300 to -291.
    click(page, 3)
    await_colours(page, {3: PICKED}, OTHER)
    # Before the kernel is asked: that is a cell of its own, which takes the focus away.
    assert page.page.locator(".ktrace-pointed").text_content() == "-540..-521: 10 (1.0 %)"
    assert selected(page) == list(range(-270, -260))


# What bqplot draws, as far as the heading looks at it.
FIGURE = """
<div class="ktrace-histogram"><div id="head"></div><div class="bqplot"><svg width="800" height="100">
<text class="mainheading">device = sda</text><rect class="plotarea_events" width="800" height="100"/>
</svg></div></div>
"""


def test_a_front_end_that_keeps_its_models_to_itself_is_told_no_false_total(browser: Browser) -> None:
    frame = log2_hist([8, 9], [1, 2], unit="ns", keys={"device": ["sda", "sda"]})
    view = HistogramView(
        ViewData(name="latency", kind="histogram", frame=frame, generation=1), changed=lambda: None
    )
    head = view.children[0]
    state = {name: getattr(head, name) for name in ("layout_of", "exact", "picked", "address")}
    page = browser.new_page(viewport={"width": 900, "height": 300})
    try:
        page.set_content(FIGURE)
        page.evaluate(
            """async ([source, state]) => {
                const address = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
                const { default: head } = await import(address);
                const model = { get: (name) => state[name], on() {}, off() {}, send() {} };
                head.render({ model, el: document.querySelector('#head') });
            }""",
            [str(head._esm), state],
        )
        page.wait_for_selector(".bqplot[aria-label='latency, device = sda']")
        assert page.locator(".mainheading").text_content() == "device = sda"
        assert page.locator(".ktrace-total").text_content() == ""
        box = page.locator(".plotarea_events").bounding_box()
        assert box
        bars = len(state["layout_of"]["labels"])
        bar = state["layout_of"]["labels"].index("256..511")
        page.mouse.move(box["x"] + (bar + 0.5) / bars * box["width"], box["y"] + 50)
        assert page.locator(".ktrace-pointed").text_content() == "device = sda · 256..511 ns"
    finally:
        page.close()
        view.close()


LOOKS = """
buckets = np.arange(8, 28)
bells = 9000 * np.exp(-((buckets - 14) ** 2) / 12) + 2500 * np.exp(-((buckets - 22) ** 2) / 3)
counts = np.floor(bells).astype(int)
big = histogram(log2_hist(np.arange(8, 28), counts, unit="ns"), title="read latency", big=True)
big.select([13, 14, 15])
big
"""


def test_picked_bars_are_seen_in_both_themes_and_from_afar(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1280, "height": 1400})
    open_cells(page, path, KEYED, LOOKS)
    page.ask("view.select([('sda', 9), ('<b>vda', 10)])")
    click(page, 7, 2)
    page.page.wait_for_function(
        "document.querySelectorAll('.ktrace-histogram .bqplot')[2].ariaLabel?.endsWith('1 picked')"
    )
    page.screenshot("histogram-big-light", index=2)
    page.theme("JupyterLab Dark")
    try:
        page.screenshot("histogram-big-dark", index=2)
        page.screenshot("histogram-picked-dark", index=1)
        assert len(set(colours(page, 2))) == 2
    finally:
        page.theme("JupyterLab Light")
