"""How the head of a panel looks: what it costs, every width, both themes, big."""

from __future__ import annotations

import pytest

from tests.browser import kit
from tests.browser.controlled import IMPORT, open_controlled, until_notice
from tests.browser.panels import texts
from tests.notebooks import write_notebook

pytestmark = pytest.mark.browser


def test_a_probe_effect_is_told_by_a_bar_and_in_words(page: kit.LabPage, path: str) -> None:
    open_controlled(page, path, "Controlled([], hertz=0, cpu_share=0.0087)")
    meter = page.page.locator(".ktrace-scale")
    assert meter.get_attribute("role") == "meter"
    assert meter.get_attribute("aria-valuenow") == "0.870"
    assert "kernel's own run statistics" in str(meter.get_attribute("aria-valuetext"))
    assert page.page.inner_text(".ktrace-share") == "0.87 % of a CPU, low"
    low = page.page.locator(".ktrace-filled").evaluate("(bar) => getComputedStyle(bar).backgroundColor")
    page.ask("source.cpu_share = 0.02")
    page.page.wait_for_function(
        "() => document.querySelector('.ktrace-share').innerText === '2 % of a CPU, noticeable'"
    )
    page.ask("source.cpu_share = 0.3")
    page.page.wait_for_function(
        "() => document.querySelector('.ktrace-share').innerText === '30 % of a CPU, high'"
    )
    high = page.page.locator(".ktrace-filled").evaluate("(bar) => getComputedStyle(bar).backgroundColor")
    assert low != high
    page.ask("source.cpu_share = None")
    page.page.wait_for_function("() => document.querySelector('.ktrace-scale').hidden")
    assert texts(page, ".ktrace-per-hit") == ["85.3 ns per hit"]


@pytest.mark.parametrize("width", [560, 960, 1280])
def test_the_head_fits_and_can_be_pressed_at_every_width(page: kit.LabPage, path: str, width: int) -> None:
    page.page.set_viewport_size({"width": width + 160, "height": 1400})
    losses = "(('ring full', 412), ('map full', 3), ('strings cut', 1))"
    open_controlled(page, path, f"Controlled(['latency'], hertz=20, age=400, losses={losses})")
    page.page.click(".ktrace-probes")
    page.page.wait_for_selector(".ktrace-probes-table tbody tr")
    page.page.locator(".ktrace-probes-table input").nth(1).click()
    page.page.click(".ktrace-reset")
    until_notice(page, "reset")
    for theme in ("Light", "Dark"):
        page.theme(f"JupyterLab {theme}")
        page.page.wait_for_timeout(400)
        page.screenshot(f"controls-{width}-{theme.lower()}", index=1)
    page.theme("JupyterLab Light")
    outside = page.page.evaluate(
        """() => {
            const head = document.querySelector('.ktrace-header').getBoundingClientRect();
            return [...document.querySelectorAll('.ktrace-header :is(button, input, span)')]
                .filter(part => part.checkVisibility())
                .filter(part => part.getBoundingClientRect().right > head.right + 1)
                .map(part => part.className);
        }"""
    )
    assert outside == []
    sizes = page.page.locator(".ktrace-header :is(button, input):visible").evaluate_all(
        "(all) => all.map(part => part.getBoundingClientRect()).map(box => Math.min(box.width, box.height))"
    )
    assert min(sizes) >= 24


def test_a_big_panel_has_a_head_of_1_6_times_the_size(page: kit.LabPage, path: str) -> None:
    write_notebook(
        page.server.root / path,
        [IMPORT, "source = Controlled(['by process'], hertz=20, cpu_share=0.07); show(source, big=True);"],
    )
    page.open(path)
    page.run_cell(0)
    page.run_cell(1)
    page.page.wait_for_selector(".ktrace-toolbar button")
    stop = page.page.locator(".ktrace-stop").bounding_box()
    assert stop is not None
    assert stop["height"] == pytest.approx(1.6 * 28, abs=0.5)
    page.page.click(".ktrace-probes")
    page.page.wait_for_selector(".ktrace-probes-table tbody tr")
    for theme in ("Light", "Dark"):
        page.theme(f"JupyterLab {theme}")
        page.page.wait_for_timeout(400)
        page.screenshot(f"controls-big-{theme.lower()}", index=1)
    page.theme("JupyterLab Light")
