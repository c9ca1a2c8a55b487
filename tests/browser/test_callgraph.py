"""The call graph, two runs side by side, and what stays of views of calls."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import kit
from tests.browser.calls_page import START, show
from tests.browser.panels import texts
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser

GRAPH = """
view = callgraph(edges_of(
    call("<img src=x onerror=alert(1)>", 600, call("map", 300, call("find", 200)), call("copy", 200)),
    call("open", 400),
), title="who"); view
"""


def selects(page: kit.LabPage, name: str) -> bool:
    """Whether Python gets to know soon; a page sends a change when the one before was taken."""
    for _ in range(20):
        if page.ask("print(view.selected)") == f"{name}\n":
            return True
        page.page.wait_for_timeout(100)
    return False


def test_a_function_s_name_in_the_graph_is_text_and_a_click_tells_python(
    page: kit.LabPage, path: str
) -> None:
    show(page, path, GRAPH)
    page.page.wait_for_selector(".ktrace-graph-node")
    assert page.page.locator(".ktrace-graph img").count() == 0
    names = page.page.locator(".ktrace-graph-node > text:nth-of-type(1)").all_text_contents()
    assert set(names) == {"<img src=x onerror=alert(1)>", "map", "find", "copy", "open"}
    assert sorted(page.page.locator(".ktrace-graph-edge > text").all_text_contents()) == ["1", "1", "1"]
    node = page.page.locator(".ktrace-graph-node", has_text="map")
    node.hover()
    assert texts(page, ".ktrace-graph .ktrace-calls-tell") == [
        "map · 1 call · self 100 ns, 10.0 % · total 300 ns"
    ]
    assert page.page.locator(".ktrace-graph-node.ktrace-graph-faded").count() == 2  # copy and open
    node.click()
    assert selects(page, "map")
    page.page.locator(".ktrace-graph svg").focus()
    for key in ("ArrowDown", "Enter"):
        page.page.locator(".ktrace-graph svg").press(key)
    assert selects(page, "find")
    page.page.locator(".ktrace-graph svg").press("Escape")
    assert selects(page, "")


def test_a_graph_of_forty_functions_looks_right_in_both_themes(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1280, "height": 1100})
    show(page, path, "view = callgraph(edges_of(*workload(3000)), title='ext4'); view")
    page.page.wait_for_selector(".ktrace-graph-node")
    page.screenshot("graph-light", index=1)
    for _ in range(2):
        page.page.get_by_role("button", name="larger").click()
    frame = page.page.locator(".ktrace-graph-frame")
    assert frame.evaluate("(e) => e.scrollWidth > e.clientWidth")
    page.page.locator(".ktrace-graph-node", has_text="ext4_ext_map_blocks").hover()
    page.screenshot("graph-pointed", index=1)
    before = frame.evaluate("(e) => e.scrollTop")
    page.page.mouse.down()
    page.page.mouse.move(400, 500, steps=4)
    page.page.mouse.up()
    assert frame.evaluate("(e) => e.scrollTop") != before
    assert page.ask("print(repr(view.selected))") == "''\n"
    page.page.get_by_role("button", name="fit").click()
    assert frame.evaluate("(e) => e.scrollWidth <= e.clientWidth")
    page.theme("JupyterLab Dark")
    try:
        page.page.wait_for_timeout(500)
        page.screenshot("graph-dark", index=1)
    finally:
        page.theme("JupyterLab Light")


def test_the_picture_that_stays_shows_both_views(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1280, "height": 1500})
    source = "panel = show(LiveWalk(seconds=0.01)); panel.finish()"
    show(page, path, source)
    page.page.wait_for_selector(".ktrace-graph-node")
    page.save()
    page.command("kernelmenu:shutdown")  # a page that finds the kernel shows the panel again
    page.page.goto("about:blank")
    page.open(path, kernel=False)
    page.page.wait_for_selector(".ktrace-static img")
    sizes = page.page.locator(".ktrace-static img").evaluate_all("(all) => all.map((e) => e.naturalWidth)")
    assert len(sizes) == 2
    assert min(sizes) >= 700
    page.screenshot("walk-saved", index=1)


COMPARE = """
one = frame_of(*workload(400, 1), call("ext4_old", 200_000))
two = frame_of(*workload(400, 7), call("<b>new", 250_000, call("ext4_inner", 40_000)))
view = comparison(compare(one, two), title="before and after"); view
"""


def test_two_runs_are_sorted_and_picked_side_by_side(page: kit.LabPage, path: str) -> None:
    show(page, path, COMPARE)
    rows = page.page.locator(".ktrace-comparison tbody tr")
    rows.first.wait_for()
    assert rows.count() == 46
    assert texts(page, ".ktrace-comparison-new .ktrace-comparison-name") == ["<b>new", "ext4_inner"]
    assert texts(page, ".ktrace-comparison-gone .ktrace-comparison-name") == ["ext4_old"]
    page.screenshot("comparison-light", index=1)
    page.page.locator(".ktrace-comparison th button").nth(0).click()
    names = texts(page, ".ktrace-comparison-name")
    assert names == sorted(names)
    page.page.locator(".ktrace-comparison th button").nth(3).click()  # change of calls
    changes = [
        int(text.replace("−", "-").replace(",", ""))
        for text in texts(page, ".ktrace-comparison tbody td:nth-child(6)")
    ]
    assert changes == sorted(changes, reverse=True)
    page.page.locator(".ktrace-comparison select").select_option("gone")
    assert texts(page, ".ktrace-comparison-name") == ["ext4_old"]
    page.page.locator(".ktrace-comparison select").select_option("all")
    page.page.locator(".ktrace-comparison input").fill("INNER")
    assert texts(page, ".ktrace-comparison-name") == ["ext4_inner"]
    page.page.locator(".ktrace-comparison input").fill("")
    page.theme("JupyterLab Dark")
    try:
        page.page.wait_for_timeout(500)
        page.screenshot("comparison-dark", index=1)
    finally:
        page.theme("JupyterLab Light")


def test_no_key_that_is_pressed_in_a_comparison_is_a_command_of_the_notebook(
    page: kit.LabPage, path: str
) -> None:
    show(page, path, COMPARE)
    page.page.wait_for_selector(".ktrace-comparison tbody tr")
    notebook = "jupyterapp.shell.currentWidget"
    cells = f"[{notebook}.content.widgets.length, {notebook}.content.activeCellIndex]"
    for focused in ("select", "th button >> nth=0"):
        page.page.locator(f".ktrace-comparison {focused}").focus()
        # One by one: two add a cell and two delete one.
        for key in ("a", "b", "x", "d", "d", "ArrowDown"):
            page.page.keyboard.press(key)
            assert page.page.evaluate(cells) == [2, 1], key
    # What is pressed with Ctrl is.
    assert page.page.evaluate(f"{notebook}.context.model.dirty")
    page.page.keyboard.press("Control+s")
    page.page.wait_for_function(f"!{notebook}.context.model.dirty")


ALONE = (
    "indent(synthetic_calls(50))",
    "flame(frame_of(*workload(50)))",
    "callgraph(edges_of(*workload(50)))",
    "comparison(compare(one, two))",
)


def write_alone(page: kit.LabPage, path: str) -> Path:
    """A notebook with a view of each kind, one to a cell."""
    notebook = page.server.root / path
    runs = "one, two = frame_of(*workload(50)), frame_of(*workload(60, 2))"
    write_notebook(notebook, [f"{START}\n{runs}", *ALONE])
    return notebook


@pytest.mark.parametrize("trusted", [True, False])
def test_a_view_that_stands_alone_leaves_a_picture(
    page: kit.LabPage, path: str, browser: Browser, trusted: bool
) -> None:
    saved = write_alone(page, path)
    page.page.set_viewport_size({"width": 1280, "height": 2600})
    page.open(path)
    page.run_all()
    for view in (
        ".ktrace-indent .ktrace-step",
        ".ktrace-flame canvas",
        ".ktrace-graph-node",
        ".ktrace-comparison tbody tr",
    ):
        page.page.wait_for_selector(view)
    assert page.page.locator(".ktrace-static").count() == len(ALONE)
    assert not any(still.is_visible() for still in page.page.locator(".ktrace-static").all())
    page.save()
    page.command("kernelmenu:shutdown")
    page.page.close()
    if not trusted:  # another user's notebook: its signature does not hold here
        notebook = json.loads(saved.read_text())
        notebook["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "theirs"}]
        saved.write_text(json.dumps(notebook))
    context = browser.new_context(viewport={"width": 1280, "height": 2600})
    try:
        other = kit.LabPage(context.new_page(), page.server)
        other.open(path, kernel=False)
        other.page.wait_for_selector(".ktrace-static table")
        other.page.wait_for_timeout(1500)
        assert other.page.locator(".ktrace-static").count() == len(ALONE)
        assert all(still.is_visible() for still in other.page.locator(".ktrace-static").all())
        seen = other.page.locator(".jp-Notebook").inner_text().lower()
        assert "model not found" not in seen
        assert "loading widget" not in seen
        other.screenshot(f"walk-alone-{'trusted' if trusted else 'untrusted'}")
    finally:
        context.close()


def test_views_in_a_notebook_converted_to_html_are_pictures(page: kit.LabPage) -> None:
    notebook = write_alone(page, "executed.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", str(notebook)]
    environment = os.environ | {"PYTHONPATH": str(kit.REPOSITORY)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    page.page.route(re.compile("^https?:"), lambda route: route.abort())  # as on a machine without a network
    page.page.goto(notebook.with_suffix(".html").as_uri())
    images = page.page.locator(".ktrace-static img")
    assert images.count() == 2
    assert all(image.is_visible() for image in images.all())
    tables = page.page.locator(".ktrace-static table")
    assert tables.count() == 2
    assert all(table.is_visible() for table in tables.all())
