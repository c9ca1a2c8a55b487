"""What a notebook keeps of a panel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser import kit
from tests.browser.panels import START, open_panel
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("watched", [True, False])
def test_after_a_reload_the_final_picture_still_gets_into_the_notebook(
    page: kit.LabPage, path: str, watched: bool
) -> None:
    ends = "inf" if watched else "4"
    open_panel(page, path, f"Synthetic(['latency', 'by process'], hertz=20, seconds=float('{ends}'))")
    page.page.wait_for_selector(".ktrace-panel .bar")
    page.save()
    if watched:
        page.open(path)
        page.page.wait_for_selector(".ktrace-panel .bar")
        page.page.click(".ktrace-stop")
    else:
        page.page.goto("about:blank")
        page.page.wait_for_timeout(5000)
        page.open(path)
    page.page.wait_for_selector('.ktrace-header[data-state="done"]')
    page.page.wait_for_timeout(1000)
    (saved,) = (output["data"] for output in page.outputs(1) if "text/html" in output["data"])
    assert "| done" in "".join(saved["text/plain"])
    assert page.page.locator(".ktrace-static").is_hidden()
    page.save()
    assert "| done" in (page.server.root / path).read_text()


def reopened(page: kit.LabPage, browser: Browser, path: str, name: str) -> dict[str, Any]:
    """Open a notebook in a new page without running anything; say what its output shows."""
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    try:
        other = kit.LabPage(context.new_page(), page.server)
        other.open(path, kernel=False)
        other.page.wait_for_selector(".ktrace-static img")
        other.page.wait_for_timeout(1500)
        other.screenshot(name)
        return dict(
            other.page.evaluate(
                """() => {
                    const shown = document.querySelector('.ktrace-static');
                    const area = shown.closest('.jp-OutputArea');
                    return {
                        widths: [...shown.querySelectorAll('img')].map(image => image.naturalWidth),
                        visible: shown.getBoundingClientRect().height > 300,
                        text: area.innerText,
                        titles: [...shown.querySelectorAll('td')].map(cell => cell.title),
                        panels: document.querySelectorAll('.ktrace-panel').length,
                    };
                }"""
            )
        )
    finally:
        context.close()


@pytest.mark.parametrize("trusted", [True, False])
def test_a_saved_notebook_without_a_kernel_shows_the_final_picture(
    page: kit.LabPage, path: str, browser: Browser, trusted: bool
) -> None:
    open_panel(page, path, "Synthetic(hertz=20)")
    page.page.wait_for_selector(".ktrace-panel .bar")
    assert page.page.locator(".ktrace-static").is_hidden()
    page.page.click(".ktrace-stop")
    page.page.wait_for_selector('.ktrace-header[data-state="done"]')
    page.page.wait_for_timeout(500)
    page.save()
    page.command("kernelmenu:shutdown")
    page.page.close()
    saved = page.server.root / path
    if not trusted:  # another user's notebook: its signature does not hold here
        notebook = json.loads(saved.read_text())
        notebook["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "theirs"}]
        saved.write_text(json.dumps(notebook))
    shown = reopened(page, browser, path, f"reopened-{'trusted' if trusted else 'untrusted'}")
    assert shown["widths"] == [720, 720]
    assert shown["visible"]
    assert shown["panels"] == 0
    assert "done: stopped" in shown["text"]
    assert "16.0 EiB" in shown["text"]
    assert "18,446,744,073,709,551,615 bytes" in shown["titles"]
    assert "model not found" not in shown["text"]
    assert "Loading widget" not in shown["text"]


def test_a_notebook_executed_and_converted_to_html_shows_the_picture(page: kit.LabPage) -> None:
    source = "Synthetic(['latency', 'by device', 'by process'], age=40, hertz=0, seconds=0)"
    notebook = page.server.root / "executed.ipynb"
    write_notebook(notebook, [START, f"panel = show({source})"])
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", str(notebook)]
    environment = os.environ | {"PYTHONPATH": str(kit.REPOSITORY)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    page.page.route(re.compile("^https?:"), lambda route: route.abort())  # as on a machine without a network
    page.page.goto(notebook.with_suffix(".html").as_uri())
    images = page.page.locator(".ktrace-static img")
    assert images.evaluate_all("(all) => all.map(image => image.naturalWidth)") == [720, 720]
    assert all(image.is_visible() for image in images.all())
    shown = page.page.locator(".ktrace-static").inner_text()
    assert "16.0 EiB" in shown
    assert page.page.locator("td[title='18,446,744,073,709,551,615 bytes']").count() == 1
    assert "done" in shown
