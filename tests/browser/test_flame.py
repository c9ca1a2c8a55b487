"""The flame view as a page draws it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator

from tests.browser import kit
from tests.browser.calls_page import show
from tests.browser.panels import texts

pytestmark = pytest.mark.browser

# By hand: 1,000 ns in all; read is 600 of them, 100 itself; open is 400, all itself.
SMALL = """
view = flame(frame_of(
    call("read", 600, call("map", 300, call("find", 200)), call("copy", 200, error="EFAULT")),
    call("open", 400),
), title="walk <b>"); view
"""


def small(page: kit.LabPage, path: str) -> Locator:
    show(page, path, SMALL)
    page.page.wait_for_function("document.querySelector('.ktrace-flame canvas')?.dataset.boxes === '6'")
    return page.page.locator(".ktrace-flame canvas")


def told(page: kit.LabPage) -> list[str]:
    return page.page.locator(".ktrace-calls-tell > div").all_inner_texts()


def at(page: kit.LabPage, share: float, level: int) -> None:
    """Point at a share of the width, on a level of the picture; 0 is the bar of everything."""
    canvas = page.page.locator(".ktrace-flame canvas")
    width = canvas.evaluate("(e) => e.clientWidth")
    canvas.hover(position={"x": share * width, "y": level * 20 + 10})


def test_a_call_is_as_wide_as_its_share_of_the_time(page: kit.LabPage, path: str) -> None:
    small(page, path)
    assert texts(page, ".ktrace-flame .ktrace-title") == ["walk <b>"]
    assert texts(page, ".ktrace-flame .ktrace-foot") == ["5 calls, 5 paths, 1 µs"]
    at(page, 0.5, 0)
    assert told(page)[0] == "all: 1 µs"
    for share in (0.01, 0.59):
        at(page, share, 1)
        assert told(page)[0] == "read · 1 call · total 600 ns, 60.0 % · self 100 ns, 10.0 %"
    at(page, 0.61, 1)
    assert told(page)[0] == "open · 1 call · total 400 ns, 40.0 % · self 400 ns, 40.0 %"
    at(page, 0.31, 2)
    assert told(page)[0] == "copy · 1 call (1 with an error) · total 200 ns, 20.0 % · self 200 ns, 20.0 %"
    at(page, 0.19, 3)
    assert told(page) == ["find · 1 call · total 200 ns, 20.0 % · self 200 ns, 20.0 %", "read › map › find"]
    at(page, 0.55, 2)
    assert told(page)[0] == "point at a call, or move with the arrows"


def test_a_click_zooms_in_and_escape_back_out(page: kit.LabPage, path: str) -> None:
    canvas = small(page, path)
    width = canvas.evaluate("(e) => e.clientWidth")
    canvas.click(position={"x": 0.1 * width, "y": 50})  # map
    at(page, 0.99, 2)
    assert told(page)[0].startswith("map · 1 call · total 300 ns, 30.0 %")
    at(page, 0.6, 3)
    assert told(page)[0].startswith("find ·")
    canvas.press("Escape")
    at(page, 0.99, 1)
    assert told(page)[0].startswith("read ·")
    at(page, 0.4, 2)
    assert told(page)[0].startswith("map ·")
    canvas.press("Escape")
    at(page, 0.9, 1)
    assert told(page)[0].startswith("open ·")
    assert page.page.get_by_role("button", name="zoom out").is_disabled()


def test_the_keyboard_reaches_every_call(page: kit.LabPage, path: str) -> None:
    canvas = small(page, path)
    canvas.focus()
    seen = []
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowUp"):
        canvas.press(key)
        seen.append(told(page)[0].partition(" ")[0])
    assert seen == ["all:", "read", "map", "copy", "copy", "copy", "read"]
    canvas.press("Enter")
    assert page.page.locator(".ktrace-flame canvas").get_attribute("data-boxes") == "5"
    canvas.press("Home")
    assert page.page.locator(".ktrace-flame canvas").get_attribute("data-boxes") == "6"
    # None of the keys was a command of the notebook.
    assert page.page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length") == 2


def test_a_search_tells_the_share_of_what_it_found_once(page: kit.LabPage, path: str) -> None:
    canvas = small(page, path)
    canvas.press("/")
    page.page.keyboard.type("F")  # find alone: 200 of 1,000
    found = page.page.locator(".ktrace-flame-found")
    assert found.inner_text() == "1 function, 20.0 %"
    # map, and find inside it, which is counted with map; copy.
    page.page.locator(".ktrace-flame input").fill("p")
    assert found.inner_text() == "3 functions, 90.0 %"  # map 300, copy 200, open 400
    page.page.locator(".ktrace-flame input").fill("a")
    assert found.inner_text() == "2 functions, 60.0 %"  # read 600 has map in it
    page.page.locator(".ktrace-flame input").fill("nowhere")
    assert found.inner_text() == "no function of that name"
    page.page.locator(".ktrace-flame input").press("Escape")
    assert found.inner_text() == ""


def test_another_measure_is_another_width(page: kit.LabPage, path: str) -> None:
    small(page, path)
    page.page.locator(".ktrace-flame select").select_option("count")
    at(page, 0.79, 1)  # read and three calls below it are four of five
    assert told(page)[0].startswith("read ·")
    at(page, 0.81, 1)
    assert told(page)[0].startswith("open ·")
    page.page.locator(".ktrace-flame select").select_option("self")
    order = []
    for share in (0.2, 0.5, 0.7, 0.85, 0.95):  # 400, 200, 200, 100 and 100 of 1,000
        at(page, share, 1)
        order.append(told(page)[0].partition(" ")[0])
    assert order[0] == "open"
    assert set(order[1:3]) == {"find", "copy"}
    assert set(order[3:]) == {"read", "map"}
    at(page, 0.41 if order[1] == "find" else 0.61, 3)
    assert told(page)[1] == "read › map › find"


def test_flipped_the_outermost_calls_are_at_the_bottom(page: kit.LabPage, path: str) -> None:
    canvas = small(page, path)
    page.page.get_by_role("button", name="flip").click()
    at(page, 0.5, 3)
    assert told(page)[0] == "all: 1 µs"
    canvas.focus()
    canvas.press("ArrowUp")
    assert told(page)[0].startswith("read ·")


def test_a_large_tree_is_drawn_with_few_boxes_and_looks_right_in_both_themes(
    page: kit.LabPage, path: str
) -> None:
    show(page, path, "view = flame(frame_of(*workload(3000)), title='ext4'); view")
    page.page.wait_for_function("document.querySelector('.ktrace-flame canvas')?.dataset.boxes > 30")
    canvas = page.page.locator(".ktrace-flame canvas")
    assert 30 < int(canvas.get_attribute("data-boxes") or 0) <= 3000
    at(page, 0.3, 2)
    page.screenshot("flame-light", index=1)
    page.page.locator(".ktrace-flame input").fill("map_blocks")
    page.screenshot("flame-search", index=1)
    page.page.locator(".ktrace-flame input").fill("")
    page.theme("JupyterLab Dark")
    try:
        page.page.wait_for_timeout(500)
        at(page, 0.5, 3)
        page.screenshot("flame-dark", index=1)
    finally:
        page.theme("JupyterLab Light")
    page.page.locator(".ktrace-flame select").select_option("self")
    page.page.get_by_role("button", name="flip").click()
    page.screenshot("flame-self", index=1)


def calls_told(page: kit.LabPage) -> int:
    """How many calls the flame view says it has."""
    foot = page.page.locator(".ktrace-flame .ktrace-foot").inner_text()
    return int(foot.partition(" calls")[0].replace(",", ""))


def test_in_a_panel_both_views_grow_and_what_is_zoomed_stays(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1280, "height": 1600})
    show(page, path, "source = LiveWalk(seconds=30); panel = show(source)")
    page.page.wait_for_selector(".ktrace-flame canvas")
    page.page.wait_for_selector(".ktrace-graph-node")
    page.page.wait_for_function("document.querySelector('.ktrace-flame canvas').dataset.boxes > 20")
    early = calls_told(page)
    page.page.locator(".ktrace-flame input").fill("ext4_readdir")
    canvas = page.page.locator(".ktrace-flame canvas")
    canvas.focus()
    canvas.press("ArrowDown")  # everything
    canvas.press("ArrowDown")
    while not told(page)[0].startswith("ext4_readdir"):
        canvas.press("ArrowRight")
    canvas.press("Enter")
    page.page.wait_for_function(
        "(early) => parseInt(document.querySelector('.ktrace-flame .ktrace-foot')"
        ".textContent.replace(',', '')) > early + 1000",
        arg=early,
    )
    at(page, 0.98, 1)
    assert told(page)[0].startswith("ext4_readdir")
    page.ask("source.request_stop()")
    page.page.wait_for_selector('.ktrace-header[data-state="done"], .ktrace-header [data-state="done"]')
    whole = int(page.ask("print(len(source.whole))"))
    page.page.wait_for_function(
        "(whole) => document.querySelector('.ktrace-flame .ktrace-foot').textContent.startsWith(whole)",
        arg=f"{whole:,} calls",
    )
    edges = page.page.locator(".ktrace-graph .ktrace-foot").inner_text()
    assert edges.startswith("43 functions")
    page.screenshot("walk-panel", index=1)
