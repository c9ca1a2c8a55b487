"""The timeline as a page draws it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Position, WebSocket

from tests.browser import kit
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser

START = """
import numpy as np, pandas as pd
from ktrace_nb.stream.spells import spells_of
from ktrace_nb.widgets import timeline
from tests.widgets.calls import synthetic_calls
from tests.widgets.made_spells import grow, made_switches, many_spells

def spells(*rows):
    # start and duration in seconds, CPU, thread, name
    columns = ["start_ns", "duration_ns", "cpu", "tid", "comm"]
    frame = pd.DataFrame(rows, columns=columns, index=[f"event {n}" for n in range(len(rows))])
    frame["start_ns"] = (frame["start_ns"] * 1e9).astype("int64")
    frame["duration_ns"] = (frame["duration_ns"] * 1e9).astype("Int64")
    return frame
"""
# By hand: from 100 s to 110 s, so 10 s in all; CPU 0 is busy for 9 of them, CPU 1 for 2.
SMALL = """
frame = spells(
    (100, 4, 0, 11, "ls"), (104, 5, 0, 12, "<b>cat\\x1b"),
    (102, 1, 1, 12, "<b>cat\\x1b"), (109, 1, 1, 13, "cc1"),
)
view = timeline(frame, title="sched <b>"); view
"""
CANVAS = ".ktrace-timeline canvas"
GUTTER, RULER, LANE, BETWEEN = 168, 28, 22, 6


def show(page: kit.LabPage, path: str, source: str, *more: str, timeout_s: float = 30) -> Locator:
    """Open a notebook, show a timeline in its second cell, and wait until it is drawn."""
    write_notebook(page.server.root / path, [START, source, *more])
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_function(
        "document.querySelector('.ktrace-timeline canvas')?.dataset.spells > 0", timeout=timeout_s * 1000
    )
    return page.page.locator(CANVAS)


def drawn(page: kit.LabPage) -> None:
    """Wait until what was asked to be drawn up to now is: that is done once a frame."""
    page.page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def wait(page: kit.LabPage, condition: str, argument: Any = None, *, timeout_s: float = 30) -> None:
    """Wait until a condition holds of the canvas's notes, `now`, and of `told`, `foot` and `x`."""
    page.page.wait_for_function(
        """([condition, x]) => {
            const root = document.querySelector('.ktrace-timeline');
            const now = root.querySelector('canvas').dataset;
            const told = root.querySelector('.ktrace-timeline-tell').innerText;
            const foot = root.querySelector('.ktrace-foot').innerText;
            return new Function('now', 'told', 'foot', 'x', `return ${condition}`)(now, told, foot, x);
        }""",
        arg=[condition, argument],
        timeout=timeout_s * 1000,
    )


def span(page: kit.LabPage) -> tuple[float, float]:
    """The seconds that are looked at."""
    now = page.page.locator(CANVAS).evaluate("(e) => [Number(e.dataset.from), Number(e.dataset.to)]")
    return now[0] / 1e9, now[1] / 1e9


def place(page: kit.LabPage, second: float, lane: int | None) -> Position:
    """Where a moment of a lane is on the canvas, or of the ruler."""
    width = page.page.locator(CANVAS).evaluate("(e) => e.clientWidth")
    first, last = span(page)
    x = GUTTER + (second - first) / (last - first) * (width - GUTTER)
    y = RULER / 2 if lane is None else RULER + BETWEEN + lane * (LANE + BETWEEN) + LANE / 2
    return {"x": x, "y": y}


def told(page: kit.LabPage) -> list[str]:
    return page.page.locator(".ktrace-timeline-tell > div").all_inner_texts()


def answer(page: kit.LabPage, source: str) -> Any:
    return json.loads(page.ask(f"import json; print(json.dumps({source}))"))


def test_pointing_tells_who_ran_where_from_when_to_when(page: kit.LabPage, path: str) -> None:
    canvas = show(page, path, SMALL)
    assert page.page.locator(".ktrace-timeline .ktrace-title").inner_text() == "sched <b>"
    assert page.page.locator(".ktrace-timeline .ktrace-foot").inner_text() == "4 spells · 2 lanes · 10 s"
    canvas.hover(position=place(page, 1, 0))
    wait(page, "told.startsWith('ls (11) · CPU 0 · 4 s')")
    assert told(page)[1] == "0.000000000 s to 4.000000000 s (4,000,000,000 ns)"
    canvas.hover(position=place(page, 8.9, 0))
    wait(page, r"told.startsWith('<b>cat\\x1b (12) · CPU 0 · 5 s')")
    canvas.hover(position=place(page, 2.5, 1))
    wait(page, r"told.startsWith('<b>cat\\x1b (12) · CPU 1 · 1 s')")
    assert told(page)[1] == "2.000000000 s to 3.000000000 s (1,000,000,000 ns)"
    canvas.hover(position=place(page, 6, 1))
    wait(page, "told.startsWith('CPU 1: nothing here')")
    assert canvas.get_attribute("aria-label") == (
        "timeline: 4 spells in 2 lanes, 0.000000000 s to 10.000000000 s"
    )


def test_a_click_picks_and_python_and_the_page_agree(page: kit.LabPage, path: str) -> None:
    canvas = show(page, path, SMALL)
    canvas.click(position=place(page, 1, 0))
    wait(page, "now.picked === '1'")
    assert answer(page, "view.selected.index.tolist()") == ["event 0"]
    page.page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex = 0")
    canvas.click(position=place(page, 2.5, 1), modifiers=["Shift"])
    selected = page.page.evaluate("jupyterapp.shell.currentWidget.content.selectedCells.length")
    assert selected == 1, "Shift and a click extend JupyterLab's selection of cells"
    wait(page, "now.picked === '2'")
    assert answer(page, "view.selected.index.tolist()") == ["event 0", "event 2"]
    page.screenshot("timeline-picked", index=1)
    canvas.click(position=place(page, 2.5, 1), modifiers=["Control"])
    wait(page, "now.picked === '1'")
    canvas.click(position=place(page, 1, 0))
    wait(page, "now.picked === '0'")
    assert answer(page, "len(view.selected)") == 0
    page.ask("view.select(['event 3', 'event 1'])")
    wait(page, "now.picked === '2'")
    canvas.press("Escape")
    wait(page, "now.picked === '0'")
    assert answer(page, "len(view.selected)") == 0


def test_dragging_along_the_ruler_sets_the_window_of_time(page: kit.LabPage, path: str) -> None:
    canvas = show(page, path, SMALL)
    bounds = canvas.bounding_box()
    assert bounds
    start, end = place(page, 2, None), place(page, 5, None)
    page.page.mouse.move(bounds["x"] + start["x"], bounds["y"] + start["y"])
    page.page.mouse.down()
    page.page.mouse.move(bounds["x"] + end["x"], bounds["y"] + end["y"], steps=4)
    page.page.mouse.up()
    model = "document.querySelector('.ktrace-timeline')"
    page.page.wait_for_function(f"{model}.dataset.window")
    window = answer(page, "view.window")
    # To the pixel: one is 13 ms here.
    assert window == pytest.approx([2, 5], abs=0.02)
    page.screenshot("timeline-window", index=1)
    page.ask("view.window = (1, 9)")
    page.page.wait_for_function(f"{model}.dataset.window === '1 9'")
    canvas.dblclick(position=place(page, 7, None))
    page.page.wait_for_function(f"!{model}.dataset.window")
    assert answer(page, "view.window") is None


def test_the_keyboard_reaches_every_spell_and_jupyterlab_takes_no_key(page: kit.LabPage, path: str) -> None:
    canvas = show(page, path, SMALL)
    cells = page.page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length")
    canvas.focus()
    # One by one: two add a cell and two delete one.
    for key in ("a", "b", "x", "d", "d"):
        canvas.press(key)
        assert page.page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length") == cells, key
    # But it saves the notebook, else the browser would save the page.
    canvas.press("Control+s")
    page.page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    canvas.press("n")
    wait(page, "told.startsWith('ls (11) · CPU 0')")
    canvas.press("n")
    wait(page, "told.includes('(12) · CPU 0')")
    canvas.press("n")  # there is no other
    canvas.press("N")
    wait(page, "told.startsWith('ls (11) · CPU 0')")
    canvas.press("ArrowDown")
    wait(page, "told.includes('(12) · CPU 1')")
    canvas.press("n")
    wait(page, "told.startsWith('cc1 (13) · CPU 1')")
    canvas.press("Enter")
    wait(page, "now.picked === '1'")
    assert answer(page, "view.selected.index.tolist()") == ["event 3"]
    canvas.press("Escape")
    wait(page, "now.picked === '0'")
    canvas.press("+")
    canvas.press("+")
    wait(page, "now.to - now.from < 4e9")
    first, last = span(page)
    assert last - first == pytest.approx(10 / 1.6**2, rel=1e-6)
    canvas.press("Home")
    wait(page, "now.from === '0'")
    canvas.press("ArrowRight")
    wait(page, "now.from > 0")
    assert span(page)[0] == pytest.approx((last - first) / 8, rel=1e-6)
    canvas.press("End")
    wait(page, "now.to === '10000000000'")
    canvas.press("-")
    canvas.press("0")
    wait(page, "now.from === '0' && now.to === '10000000000'")


def test_the_wheel_zooms_where_it_points_and_dragging_pans(page: kit.LabPage, path: str) -> None:
    canvas = show(page, path, SMALL)
    canvas.click(position=place(page, 1, 0))
    canvas.hover(position=place(page, 5, 0))
    page.page.mouse.wheel(0, -300)
    wait(page, "now.to - now.from < 9e9")
    first, last = span(page)
    assert (first + last) / 2 == pytest.approx(5, abs=0.02)
    bounds = canvas.bounding_box()
    assert bounds
    x, y = bounds["x"] + 400, bounds["y"] + 50
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x - 60, y, steps=5)
    page.page.mouse.up()
    drawn(page)
    width = canvas.evaluate("(e) => e.clientWidth") - GUTTER
    assert span(page)[0] == pytest.approx(first + 60 / width * (last - first), rel=1e-3)
    page.page.get_by_role("button", name="everything (0)").click()
    wait(page, "now.from === '0' && now.to === '10000000000'")
    assert answer(page, "view.selected.index.tolist()") == ["event 0"]  # a drag picks nothing


def test_lanes_may_be_tasks_the_one_with_most_time_first(page: kit.LabPage, path: str) -> None:
    canvas = show(page, path, SMALL)
    page.page.locator(".ktrace-timeline-bar select").first.select_option("task")
    wait(page, "now.lanes === '3'")
    canvas.hover(position=place(page, 8, 0))
    wait(page, "told.includes('cat') && told.includes('5 s')")
    canvas.hover(position=place(page, 1, 1))
    wait(page, "told.startsWith('ls (11)')")
    canvas.hover(position=place(page, 9.5, 2))
    wait(page, "told.startsWith('cc1 (13)')")


def test_spells_narrower_than_a_pixel_are_counted_and_picked_together(page: kit.LabPage, path: str) -> None:
    # A thousand of 2 µs, 10 µs apart: all of them in 10 ms, where a pixel is some 12 ms.
    source = """
short = ((2 + n / 1e5, 2e-6, 0, 2, "b") for n in range(1000))
frame = spells((0, 1, 0, 1, "a"), *short, (9, 1, 0, 1, "a"))
view = timeline(frame); view
"""
    canvas = show(page, path, source)
    canvas.hover(position=place(page, 2.005, 0))
    wait(page, "told.includes('spells in this pixel')")
    first, second = told(page)
    count = int(first.split(" · ")[1].split(" ")[0].replace(",", ""))
    begin, end = (float(word) for word in second.split() if word[0].isdigit())
    inside = sum(begin <= 2 + n / 1e5 + 1e-12 and 2 + n / 1e5 + 2e-6 <= end + 1e-12 for n in range(1000))
    assert count == inside > 100
    width = canvas.evaluate("(e) => e.clientWidth") - GUTTER
    busy = float(first.split(", ")[-1].split(" %")[0])
    assert busy == pytest.approx(100 * count * 2e-6 / (10 / width), rel=0.1)
    canvas.click(position=place(page, 2.005, 0))
    wait(page, "now.picked === x", str(count))
    assert answer(page, "len(view.selected)") == count


def test_a_running_trace_is_followed_until_the_reader_zooms(page: kit.LabPage, path: str) -> None:
    sizes: list[int] = []

    def listen(socket: WebSocket) -> None:
        def note(frame: str | bytes) -> None:
            data = frame if isinstance(frame, bytes) else frame.encode()
            # What the page is sent of the spells; pictures that stay are no part of that.
            if b'"method"' in data and b'"number"' in data and b"update_display_data" not in data:
                sizes.append(len(data))

        socket.on("framereceived", note)

    page.page.on("websocket", listen)
    source = "whole = many_spells(30_000); view = timeline(whole.iloc[:5000]); view"
    canvas = show(page, path, source)
    wait(page, "now.spells === '5000'")
    before = sum(sizes)
    page.ask("t = grow(view, whole, begun=5000, step=500, hertz=20)")
    wait(page, "now.spells === '30000'")
    assert (
        page.page.locator(".ktrace-timeline .ktrace-foot").inner_text().startswith("30,000 spells · 8 lanes")
    )
    # 25,000 more at 11 bytes, and what messages cost besides.
    assert sum(sizes) - before > 25_000 * 9
    assert sum(sizes) - before < 25_000 * 13 + 400_000
    end = answer(page, "int((whole.start_ns + whole.duration_ns).max() - whole.start_ns.min())")
    assert span(page)[1] == pytest.approx(end / 1e9)
    canvas.focus()
    canvas.press("+")
    wait(page, "now.follow === ''")
    seen = span(page)
    page.ask("view.update(pd.concat([whole, whole.assign(start_ns=whole.start_ns + 10**9)]))")
    wait(page, "now.spells === '60000'")
    assert span(page) == seen
    # What had not ended ends; nothing else is sent again.
    page.ask("more = whole.copy(); more.loc[more.index[-1], 'duration_ns'] = pd.NA; view.update(more)")
    wait(page, "now.spells === '30000'")
    before = sum(sizes)
    page.ask("view.update(whole)")
    canvas.press("End")
    canvas.press("n")
    last = answer(page, "int(whole.duration_ns.iloc[-1])")
    assert sum(sizes) - before < 100_000
    assert last > 0


def test_a_walks_calls_are_nested_in_their_lane(page: kit.LabPage, path: str) -> None:
    canvas = show(page, path, "calls = synthetic_calls(3000); view = timeline(calls, lane='task'); view")
    wait(page, "now.spells === '3000'")
    first = answer(
        page,
        "[(c.function, int(c.start_ns - calls.start_ns.min()), int(c.duration_ns)) "
        "for c in calls[calls.depth == 0].nlargest(1, 'duration_ns').itertuples()][0]",
    )
    name, start, duration = first
    lanes = answer(
        page, "calls[calls.depth == 0].groupby('tid').duration_ns.sum().sort_values().index[::-1].tolist()"
    )
    longest = answer(page, "int(calls[calls.depth == 0].nlargest(1, 'duration_ns').tid.iloc[0])")
    heights = answer(page, "(calls.groupby('tid').depth.max() + 1).to_dict()")
    top = RULER + BETWEEN
    for tid in lanes[: lanes.index(longest)]:
        top += heights[str(tid)] * 17 + BETWEEN
    canvas.hover(position={"x": place(page, (start + duration / 2) / 1e9, 0)["x"], "y": top + 8})
    wait(page, "told.includes(x)", f" · {name} · ")
    page.screenshot("timeline-calls", index=1)


def test_a_million_spells_are_drawn_smoothly(page: kit.LabPage, path: str) -> None:
    canvas = show(
        page,
        path,
        "frame = many_spells(1_000_000); view = timeline(frame, title='a million'); view",
        timeout_s=180,
    )
    wait(page, "now.spells === '1000000'", timeout_s=180)
    canvas.focus()
    times = []
    for key in "++++----++++++++----0":
        canvas.press(key)
        drawn(page)
        times.append(float(canvas.get_attribute("data-paint-ms") or 0))
    print(
        f"paint of a million spells: {sorted(times)[len(times) // 2]:.1f} ms median, {max(times):.1f} ms most"
    )
    canvas.press("n")
    wait(page, "told.includes('CPU 0')")
    page.screenshot("timeline-million", index=1)
    begin = answer(page, "int(frame.start_ns.min())")
    row = answer(page, "[int(x) for x in frame[frame.cpu == 0].iloc[0][['start_ns', 'duration_ns', 'tid']]]")
    assert told(page)[0].startswith(answer(page, "frame[frame.cpu == 0].comm.iloc[0]"))
    assert told(page)[1].endswith(f"({row[1]:,} ns)")
    assert float(told(page)[1].split()[0]) == pytest.approx((row[0] - begin) / 1e9, abs=1e-9)


def test_light_dark_and_big(page: kit.LabPage, path: str) -> None:
    source = """
events, woken = made_switches(900, wakeups=True)
frame = spells_of(events, woken, waiting=True)
view = timeline(frame, title="scheduler", lane="task"); view
"""
    canvas = show(
        page,
        path,
        source,
        "big = timeline(frame, title='from the last row', big=True); big",
        "empty = timeline(frame.iloc[:0], title='empty'); empty",
    )
    page.run_cell(2)
    page.run_cell(3)
    canvas = canvas.first
    for _ in range(4):
        canvas.press("+")
    page.page.locator(".ktrace-timeline-bar select").nth(1).select_option("state")
    page.screenshot("timeline-light", index=1)
    page.theme("JupyterLab Dark")
    drawn(page)
    page.screenshot("timeline-dark", index=1)
    big = page.page.locator(CANVAS).nth(1)
    big.scroll_into_view_if_needed()
    page.page.wait_for_function("document.querySelectorAll('.ktrace-timeline canvas')[1].dataset.spells > 0")
    page.page.wait_for_function(
        """() => {
            const el = document.querySelectorAll('.ktrace-timeline')[1];
            const colour = getComputedStyle(el).getPropertyValue('--kl-faint').trim();
            return el.querySelector('canvas').dataset.faint === colour;
        }"""
    )
    page.screenshot("timeline-big", index=2)
    # As many pixels behind it as the page has, so that text is sharp.
    wide, shown, ratio = big.evaluate("(e) => [e.width, e.clientWidth, e.currentCSSZoom ?? 1]")
    assert ratio > 1
    assert wide == pytest.approx(shown * ratio, abs=1)
    assert page.page.locator(".ktrace-timeline-empty").count() == 1
