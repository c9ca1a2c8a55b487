"""Lines over time: drawn to scale, pointed at, picked, and a window of time."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from tests.browser import kit
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser

START = """
import json
import numpy as np, pandas as pd
from ktrace_nb.widgets import series
"""
KEYED = """
at = np.repeat(np.arange(10.0), 3)
devices = ["sda", "<b>vda", "nvme0n1"]
frame = pd.DataFrame(
    {"reads_per_s": np.tile([100.0, 400.0, 250.0], 10) + 5 * at},
    index=pd.MultiIndex.from_arrays([at, np.tile(devices, 10)], names=["at_s", "device"]),
)
view = series(frame, title="reads")
view
"""
WIDE = """
at = np.arange(0, 60, 0.05)
wait = np.where((at > 20) & (at < 25), np.nan, 2e6 + 1e6 * np.sin(at / 4) + 4e5 * np.sin(at * 40))
frame = pd.DataFrame({"wait_ns": wait, "run_ns": 8e5 + 1e4 * at}, index=pd.Index(at, name="at_s"))
view = series(frame, title="waiting")
view
"""


def open_cells(page: kit.LabPage, path: str, *cells: str) -> None:
    write_notebook(page.server.root / path, [START, *cells])
    page.open(path)
    for number in range(len(cells) + 1):
        page.run_cell(number)
    page.page.wait_for_selector(".ktrace-series .bqplot[tabindex='0'] .curve", state="attached")
    # bqplot makes the lines first and draws them in a transition.
    page.page.wait_for_function(
        """() => [...document.querySelectorAll('.ktrace-series .curve > .line')]
            .every((line) => line.getAttribute('d'))"""
    )


def lines(page: kit.LabPage) -> list[list[list[tuple[float, float]]]]:
    """Every line's stretches of points, as shares of the plot, upwards."""
    paths, width, height = page.page.evaluate(
        """() => {
            const figure = document.querySelector('.ktrace-series .bqplot');
            const plot = figure.querySelector('.plotarea_events');
            const lines = [...figure.querySelectorAll('.curve > .line')];
            const paths = lines.map((line) => line.getAttribute('d'));
            return [paths, plot.getAttribute('width'), plot.getAttribute('height')];
        }"""
    )
    return [
        [
            [
                (float(x) / float(width), 1 - float(y) / float(height))
                for x, y in re.findall(r"(-?[\d.e-]+),(-?[\d.e-]+)", part)
            ]
            for part in (path or "").split("M")[1:]
        ]
        for path in paths
    ]


def place(page: kit.LabPage, across: float, up: float = 0.5) -> tuple[float, float]:
    """Where on the page a share of the plot is."""
    x, y = page.page.evaluate(
        """([across, up]) => {
            const box = document.querySelector('.ktrace-series .plotarea_events').getBoundingClientRect();
            return [box.left + across * box.width, box.bottom - up * box.height];
        }""",
        [across, up],
    )
    return float(x), float(y)


def asked(page: kit.LabPage, expression: str) -> Any:
    return json.loads(page.ask(f"print(json.dumps({expression}))"))


def pressed(page: kit.LabPage, wanted: list[bool]) -> None:
    page.page.wait_for_function(
        """(wanted) => JSON.stringify([...document.querySelectorAll('.ktrace-entry')]
            .map((entry) => entry.ariaPressed === 'true')) === JSON.stringify(wanted)""",
        arg=wanted,
    )


def test_lines_are_drawn_through_the_frame_s_numbers(page: kit.LabPage, path: str) -> None:
    open_cells(page, path, KEYED)
    # Axes from 0 to 9 s and from 0 to 500, worked out by hand: 445 is the highest.
    for number, base in enumerate((100, 400, 250)):
        (stretch,) = lines(page)[number]
        expected = [(at / 9, (base + 5 * at) / 500) for at in range(10)]
        assert np.array(stretch) == pytest.approx(np.array(expected), abs=1e-3)
    entries = page.page.locator(".ktrace-entry").all_inner_texts()
    assert [entry.split() for entry in entries] == [
        ["device", "=", "sda", "145/s"],
        ["device", "=", "<b>vda", "445/s"],
        ["device", "=", "nvme0n1", "295/s"],
    ]
    assert page.page.locator(".ktrace-series b").count() == 0
    label = page.page.locator(".ktrace-series .bqplot").get_attribute("aria-label")
    assert str(label).startswith("reads: 0 s to 9 s; device = sda: last 145/s, from 100/s to 145/s; ")
    dashes = page.page.locator(".ktrace-series .curve > .line").evaluate_all(
        "(lines) => lines.map((line) => getComputedStyle(line).strokeDasharray)"
    )
    assert len(set(dashes)) == 3, "told apart without colour"


def test_a_line_is_picked_by_its_legend_by_a_click_on_it_and_from_python(
    page: kit.LabPage, path: str
) -> None:
    open_cells(page, path, KEYED)
    chosen = "sorted({label[1] for label in view.selected.index})"
    page.page.locator(".ktrace-entry").nth(1).click()
    pressed(page, [False, True, False])
    assert asked(page, chosen) == ["<b>vda"]
    assert asked(page, "len(view.selected)") == 10
    page.page.locator(".ktrace-entry").nth(2).click(modifiers=["Shift"])
    pressed(page, [False, True, True])
    assert asked(page, chosen) == ["<b>vda", "nvme0n1"]
    # The line of sda: 100 of 500 at the left end.
    page.page.mouse.click(*place(page, 0.5, (100 + 22.5) / 500))
    pressed(page, [True, False, False])
    page.page.wait_for_function(
        """() => [...document.querySelectorAll('.ktrace-series .curve > .line')]
            .map((line) => line.style.opacity).join(' ') === '1 0.25 0.25'"""
    )
    page.page.mouse.click(*place(page, 0.5, 0.98))
    pressed(page, [False, False, False])
    page.ask("view.select([label for label in frame.index if label[1] == 'nvme0n1'])")
    pressed(page, [False, False, True])
    page.page.locator(".ktrace-entry").nth(2).press("Enter")
    pressed(page, [False, False, False])
    assert asked(page, "len(view.selected)") == 0


def test_a_drag_picks_a_window_of_time_and_escape_gives_it_up(page: kit.LabPage, path: str) -> None:
    open_cells(page, path, KEYED)
    page.page.mouse.move(*place(page, 0.25, 0.9))
    page.page.mouse.down()
    page.page.mouse.move(*place(page, 0.75, 0.9), steps=5)
    page.page.mouse.up()
    window = page.page.locator(".ktrace-series .ktrace-window")
    window.wait_for(state="attached")
    page.page.wait_for_function("document.querySelector('.bqplot').ariaLabel.includes('window')")
    assert asked(page, "view.window") == pytest.approx([2.25, 6.75], abs=0.05)
    page.page.locator(".ktrace-series .bqplot").press("Escape")
    window.wait_for(state="detached")
    assert asked(page, "view.window") is None
    page.ask("view.window = (3, 6)")
    page.page.wait_for_function("document.querySelector('.bqplot').ariaLabel.includes('window 3 s to 6 s')")
    width = page.page.evaluate(
        """() => document.querySelector('.ktrace-window').getAttribute('width')
            / document.querySelector('.ktrace-series .plotarea_events').getAttribute('width')"""
    )
    assert width == pytest.approx(3 / 9, abs=1e-3)
    page.page.mouse.dblclick(*place(page, 0.9, 0.9))
    window.wait_for(state="detached")
    figure = page.page.locator(".ktrace-series .bqplot")
    figure.press("Home")
    figure.press("ArrowRight")
    spoken = page.page.locator(".ktrace-series .ktrace-spoken").text_content()
    assert spoken == "1 s: device = sda 105/s, device = <b>vda 405/s, device = nvme0n1 255/s"
    figure.press("Shift+ArrowRight")
    figure.press("Enter")
    window.wait_for(state="attached")
    page.page.wait_for_function("document.querySelector('.bqplot').ariaLabel.includes('window 1 s to 2 s')")
    assert asked(page, "view.window") == [1.0, 2.0]


def test_no_key_that_is_pressed_in_a_series_is_a_command_of_the_notebook(
    page: kit.LabPage, path: str
) -> None:
    open_cells(page, path, KEYED)
    notebook = "jupyterapp.shell.currentWidget.content"
    for focused in (".ktrace-series .bqplot", ".ktrace-entry >> nth=0"):
        page.page.locator(focused).focus()
        # One by one: two add a cell and two delete one.
        for key in ("a", "b", "x", "d", "d", "ArrowDown"):
            page.page.keyboard.press(key)
            cells = page.page.evaluate(f"[{notebook}.widgets.length, {notebook}.activeCellIndex]")
            assert cells == [2, 1], key


def test_many_moments_become_means_and_bands_and_gaps_stay(page: kit.LabPage, path: str) -> None:
    open_cells(page, path, WIDE)
    # 1,200 moments of 60 s in steps of 0.2 s: four to each. The first four of run_ns, by hand.
    drawn = lines(page)
    wait, run = drawn[-2], drawn[-1]
    assert len(wait) == 2, "the gap is a gap"
    assert len(run) == 1
    assert run[0][0] == pytest.approx((0.075 / 60, (8e5 + 1e4 * 0.075) / 4e6), abs=1e-3)
    note = page.page.locator(".ktrace-series .ktrace-foot").inner_text()
    assert note == "1,200 moments in 300 steps: mean, and band of least to most"
    areas = page.page.locator(".ktrace-series .curve > .area").evaluate_all(
        """(areas) => areas.filter((area) => area.getAttribute('d')?.length > 100
            && area.style.opacity > 0).length"""
    )
    assert areas == 2
    page.screenshot("series-bands", index=1)


LIVE = """
import threading
view = series(frame.head(600), title="waiting")
def feed():
    for end in range(600, 1201, 20):
        view.update(frame.head(end))
        stop.wait(0.02)
stop = threading.Event()
thread = threading.Thread(target=feed); thread.start()
view
"""


def test_a_series_grows_while_it_is_watched(page: kit.LabPage, path: str) -> None:
    # What is out of sight is sent nothing.
    page.page.set_viewport_size({"width": 1280, "height": 1800})
    open_cells(page, path, WIDE, LIVE)
    page.page.wait_for_function(
        """() => [...document.querySelectorAll('.ktrace-series .ktrace-foot')][1]
            ?.innerText.startsWith('1,200 ')"""
    )
    assert page.ask("thread.join(); print(thread.is_alive())").strip() == "False"


def test_series_look_right_in_both_themes_and_from_afar(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1280, "height": 1500})
    big = "big = series(frame, title='reads by device', big=True)\nbig.window = (2, 4)\nbig"
    open_cells(page, path, KEYED, big)
    page.page.locator(".ktrace-entry").nth(1).click()
    pressed(page, [False, True, False, False, False, False])
    page.page.mouse.move(*place(page, 0.7))
    page.screenshot("series-picked-light", index=1)
    page.page.wait_for_timeout(600)
    page.screenshot("series-big-light", index=2)
    page.theme("JupyterLab Dark")
    try:
        page.screenshot("series-picked-dark", index=1)
        page.screenshot("series-big-dark", index=2)
    finally:
        page.theme("JupyterLab Light")
