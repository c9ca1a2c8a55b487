"""The heat map as a page draws it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, WebSocket

from tests.browser import kit
from tests.browser.panels import texts
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser

START = """
from ktrace_nb.widgets import heatmap, show
from tests.widgets.heat import HeatSource, bimodal, history_of
"""
# By hand, per interval: bucket 11 (1,024 to 2,047 ns) 10, 5, 0; bucket 12 3, 0, 4; bucket 13 0, 2, 0.
SMALL = """
frame = history_of({1.0: {11: 10, 12: 3}, 2.0: {11: 15, 12: 3, 13: 2}, 4.0: {11: 15, 12: 7, 13: 2}})
view = heatmap(frame, title="read <b>"); view
"""
LEFT, RIGHT, TOP = 78, 16, 24
ROWS = 8  # from 256 ns on, so that bucket 11 is the third from below
HEIGHT = 168
TELL = ".ktrace-heat-tell"
PICKED = "list(view.selected.index)"


def open_view(page: kit.LabPage, path: str, source: str, columns: int) -> Locator:
    write_notebook(page.server.root / path, [START, source])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    canvas = page.page.locator(f".ktrace-heat-over[data-columns='{columns}']")
    canvas.wait_for()
    return canvas


def small(page: kit.LabPage, path: str) -> Locator:
    return open_view(page, path, SMALL, 3)


def place(canvas: Locator, seconds: float, row: int, end: float = 4.0) -> tuple[float, float]:
    """The middle of a row at a moment, in the page."""
    box = canvas.bounding_box()
    assert box is not None
    zoom = box["width"] / canvas.evaluate("(e) => e.clientWidth")
    x = LEFT + seconds / end * (box["width"] / zoom - LEFT - RIGHT)
    y = TOP + HEIGHT * (1 - (row + 0.5) / ROWS)
    return box["x"] + x * zoom, box["y"] + y * zoom


def drag(page: kit.LabPage, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.page.mouse.move(*start)
    page.page.mouse.down()
    page.page.mouse.move(*end, steps=5)
    page.page.mouse.up()


def told(page: kit.LabPage) -> str:
    return page.page.locator(TELL).inner_text()


def drawn(page: kit.LabPage) -> None:
    """Wait until what was asked to be drawn up to now is: that is done once a frame."""
    page.page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def ask(page: kit.LabPage, source: str) -> Any:
    """The value of an expression in the kernel that JSON can tell; without a cell, that would scroll."""
    text = page.page.evaluate(
        """async (code) => {
            const { kernel } = jupyterapp.shell.currentWidget.context.sessionContext.session;
            let text = '';
            const future = kernel.requestExecute({ code, store_history: false });
            future.onIOPub = ({ content }) => { text += content.text ?? ''; };
            await future.done;
            return text;
        }""",
        f"import json; print(json.dumps({source}))",
    )
    return json.loads(text)


def wait_until(page: kit.LabPage, source: str, expected: object) -> None:
    for _ in range(100):
        found = ask(page, source)
        if found == expected:
            return
        page.page.wait_for_timeout(100)
    raise AssertionError(f"{source} is {found}, wanted {expected}")


def colours(canvas: Locator) -> list[list[list[int]]]:
    """The colour in the middle of each cell: by column, from the lowest row up."""
    found = canvas.evaluate(
        """(over, [columns, rows]) => {
            const cells = over.parentElement.querySelector('.ktrace-heat-cells');
            const context = cells.getContext('2d');
            const at = (x, y) => [...context.getImageData(x * cells.width, y * cells.height, 1, 1).data];
            const column = (x) => Array.from({ length: rows }, (_, row) => at(x, 1 - (row + 0.5) / rows));
            return columns.map(column);
        }""",
        [[0.125, 0.375, 0.75], ROWS],
    )
    return list(found)


def test_a_cell_tells_the_numbers_of_the_frame(page: kit.LabPage, path: str) -> None:
    canvas = small(page, path)
    assert texts(page, ".ktrace-heatmap > .ktrace-title") == ["read <b>"]
    assert texts(page, ".ktrace-heatmap > .ktrace-foot") == ["24 counted in 4 s"]
    expected = {
        (0.5, 2): "0 s to 1 s · 1.02 µs to 2.05 µs (1,024 to 2,047 ns) · 10 counted · 10 per second",
        (1.5, 2): "1 s to 2 s · 1.02 µs to 2.05 µs (1,024 to 2,047 ns) · 5 counted · 5 per second",
        (3.0, 3): "2 s to 4 s · 2.05 µs to 4.1 µs (2,048 to 4,095 ns) · 4 counted · 2 per second",
        (1.5, 4): "1 s to 2 s · 4.1 µs to 8.19 µs (4,096 to 8,191 ns) · 2 counted · 2 per second",
        (3.0, 0): "2 s to 4 s · 256 to 511 ns · 0 counted",
    }
    for (seconds, row), text in expected.items():
        page.page.mouse.move(*place(canvas, seconds, row))
        page.page.locator(TELL, has_text=text).wait_for()
        assert told(page) == text
    label = canvas.get_attribute("aria-label") or ""
    assert label.startswith("read <b>: 24 counted in 4 s; ")
    assert "most 0 s to 1 s · 1.02 µs to 2.05 µs (1,024 to 2,047 ns) · 10 counted · 10 per second" in label


def test_more_per_second_is_darker_and_nothing_has_no_colour(page: kit.LabPage, path: str) -> None:
    canvas = small(page, path)
    cells = colours(canvas)
    counted = {(0, 2): 10.0, (0, 3): 3.0, (1, 2): 5.0, (1, 4): 2.0, (2, 3): 2.0}
    empty = [c for n, column in enumerate(cells) for row, c in enumerate(column) if (n, row) not in counted]
    assert all(colour == [0, 0, 0, 0] for colour in empty)
    lightness = {cell: sum(cells[cell[0]][cell[1]][:3]) for cell in counted}
    ordered = sorted(counted, key=lambda cell: counted[cell])
    assert [lightness[cell] for cell in ordered] == sorted(lightness.values(), reverse=True)
    assert lightness[1, 4] == lightness[2, 3]  # 2 in a second and 4 in two
    page.theme("JupyterLab Dark")
    for _ in range(100):
        if sum(colours(canvas)[0][2][:3]) > lightness[0, 2]:
            break
        page.page.wait_for_timeout(100)
    cells = colours(canvas)
    lightness = {cell: sum(cells[cell[0]][cell[1]][:3]) for cell in counted}
    assert [lightness[cell] for cell in ordered] == sorted(lightness.values())


def test_a_click_picks_the_row_of_the_frame_and_another_one_no_more(page: kit.LabPage, path: str) -> None:
    canvas = small(page, path)
    page.page.mouse.click(*place(canvas, 1.5, 2))
    wait_until(page, PICKED, [[2.0, 11]])
    page.page.wait_for_selector(".ktrace-heat-over[data-picked='1']")
    page.page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex = 0")
    page.page.keyboard.down("Shift")
    page.page.mouse.click(*place(canvas, 3.0, 3))
    page.page.keyboard.up("Shift")
    selected = page.page.evaluate("jupyterapp.shell.currentWidget.content.selectedCells.length")
    assert selected == 1, "Shift and a click extend JupyterLab's selection of cells"
    wait_until(page, PICKED, [[2.0, 11], [4.0, 12]])
    page.page.wait_for_selector(".ktrace-heat-over[data-picked='2']")
    page.page.mouse.click(*place(canvas, 1.5, 2))
    wait_until(page, "len(view.selected)", 0)
    page.page.wait_for_selector(".ktrace-heat-over[data-picked='0']")
    drag(page, place(canvas, 1.2, 2), place(canvas, 3.9, 4))
    wait_until(page, PICKED, [[m, b] for m in (2.0, 4.0) for b in (11, 12, 13)])
    page.page.wait_for_selector(".ktrace-heat-over[data-picked='6']")
    canvas.press("Escape")
    wait_until(page, "len(view.selected)", 0)


def test_a_drag_along_the_time_is_a_window(page: kit.LabPage, path: str) -> None:
    canvas = small(page, path)
    below = (0.0, HEIGHT / ROWS * 0.5 + 20)
    start, end = place(canvas, 1.5, 0), place(canvas, 3.0, 0)
    drag(page, (start[0], start[1] + below[1]), (end[0], end[1] + below[1]))
    # It takes whole intervals.
    wait_until(page, "view.window", [1.0, 4.0])
    page.page.mouse.dblclick(end[0], end[1] + below[1])
    wait_until(page, "view.window", None)
    # And the other way round: what Python sets is drawn.
    before = canvas.evaluate("(e) => e.toDataURL()")
    ask(page, "setattr(view, 'window', (1.0, 2.0))")
    page.page.wait_for_function(
        "(before) => document.querySelector('.ktrace-heat-over').toDataURL() !== before", arg=before
    )


def test_the_keyboard_does_all_that_the_mouse_does(page: kit.LabPage, path: str) -> None:
    canvas = small(page, path)
    canvas.focus()
    canvas.press("ArrowRight")  # to the peak
    drawn(page)
    assert told(page).startswith("0 s to 1 s · 1.02 µs")
    seen = []
    for key in ("ArrowRight", "ArrowUp", "End", "ArrowDown", "Home", "ArrowLeft"):
        canvas.press(key)
        drawn(page)
        seen.append(" · ".join(told(page).split(" · ")[::2]))
    assert seen == [
        "1 s to 2 s · 5 counted",
        "1 s to 2 s · 0 counted",
        "2 s to 4 s · 4 counted",
        "2 s to 4 s · 0 counted",
        "0 s to 1 s · 10 counted",
        "0 s to 1 s · 10 counted",
    ]
    canvas.press(" ")
    wait_until(page, PICKED, [[1.0, 11]])
    canvas.focus()
    canvas.press("Shift+ArrowRight")
    canvas.press("Shift+ArrowUp")
    page.page.locator(TELL, has_text="18 counted").wait_for()
    canvas.press(" ")
    wait_until(page, PICKED, [[m, b] for m in (1.0, 2.0) for b in (11, 12)])
    canvas.focus()
    canvas.press("ArrowRight")
    canvas.press("[")
    wait_until(page, "view.window", [2.0, 4.0])
    canvas.focus()
    canvas.press("ArrowLeft")
    canvas.press("]")
    wait_until(page, "view.window", [0.0, 2.0])
    canvas.focus()
    page.page.wait_for_selector(".ktrace-heat-over[data-picked='4']")
    canvas.press("Escape")
    wait_until(page, "len(view.selected)", 0)
    # Until the page has heard of it, Escape is about what was picked.
    page.page.wait_for_selector(".ktrace-heat-over[data-picked='0']")
    canvas.focus()
    canvas.press("Escape")
    wait_until(page, "view.window", None)
    # None of the keys was a command of the notebook, nor is one that means nothing here.
    for key in ("a", "b", "x", "d", "d"):
        canvas.press(key)
        assert page.page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length") == 2, key


def test_a_new_column_does_not_send_the_others_again(page: kit.LabPage, path: str) -> None:
    sizes: list[int] = []

    def listen(socket: WebSocket) -> None:
        def note(frame: str | bytes) -> None:
            data = frame if isinstance(frame, bytes) else frame.encode()
            if b'"foot"' in data and b"counted in" in data and b'"method"' in data:
                sizes.append(len(data))

        socket.on("framereceived", note)

    page.page.on("websocket", listen)
    open_view(page, path, "source = HeatSource(300, hertz=0); panel = show(source)", 300)
    whole = max(sizes)
    assert whole > 300 * 20 * 8
    sizes.clear()
    index = page.add_cell("source.growing.step(); source._generation += 1; panel.refresh()")
    page.run_cell(index)
    page.page.wait_for_selector(".ktrace-heat-over[data-columns='301']")
    assert sizes
    assert max(sizes) < 2000


def test_a_live_map_grows_and_a_reloaded_page_has_all_of_it(page: kit.LabPage, path: str) -> None:
    write_notebook(page.server.root / path, [START, "source = HeatSource(50); panel = show(source)"])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    more = "Number(document.querySelector('.ktrace-heat-over')?.dataset.columns) >= 52"
    page.page.wait_for_function(more)
    page.save()
    page.open(path)
    page.page.wait_for_function(more)


def test_it_is_crisp_when_it_is_big_and_still_knows_where_the_mouse_is(page: kit.LabPage, path: str) -> None:
    canvas = open_view(page, path, SMALL.replace('"read <b>"', '"read", big=True'), 3)
    page.page.mouse.move(*place(canvas, 3.0, 3))
    page.page.locator(TELL, has_text="2 s to 4 s · 2.05 µs").wait_for()
    scale = canvas.evaluate("(e) => e.width / (e.clientWidth * (e.currentCSSZoom ?? 1) * devicePixelRatio)")
    assert scale == pytest.approx(1, abs=0.01)
    assert canvas.evaluate("(e) => e.currentCSSZoom") > 1
    page.page.mouse.click(*place(canvas, 1.5, 4))
    wait_until(page, PICKED, [[2.0, 13]])


def test_it_fits_when_the_page_becomes_narrow(page: kit.LabPage, path: str) -> None:
    canvas = small(page, path)
    page.page.set_viewport_size({"width": 700, "height": 900})
    page.page.wait_for_function("document.querySelector('.ktrace-heat-over').clientWidth < 620")
    page.page.mouse.move(*place(canvas, 3.0, 3))
    page.page.locator(TELL, has_text="2 s to 4 s · 2.05 µs").wait_for()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_it_looks_as_in_the_pictures(page: kit.LabPage, path: str, theme: str) -> None:
    canvas = open_view(page, path, 'view = heatmap(bimodal(), title="vfs_read"); view', 300)
    page.theme(theme)
    picked = "[at for at in view.frame.index if 90 < at[0] <= 110 and 24 <= at[1] <= 30]"
    ask(page, f"view.select({picked})")
    page.page.wait_for_function("Number(document.querySelector('.ktrace-heat-over').dataset.picked) > 0")
    ask(page, "setattr(view, 'window', (40.0, 190.0))")
    canvas.hover(position={"x": 500, "y": 250})
    page.page.wait_for_timeout(500)
    page.screenshot(f"heatmap-{theme.split()[1].lower()}", index=1)
    assert page.page.locator(".ktrace-heat-legend").inner_text().startswith("count per second")
