"""What a live panel draws."""

from __future__ import annotations

import numpy as np
import pytest

from ktrace_nb.widgets.chart import MOST_BARS, view_picture
from tests.browser import kit
from tests.browser.panels import BUSY, bars, labels, open_panel, texts
from tests.widgets.synthetic import BEYOND_INT32, Synthetic

pytestmark = pytest.mark.browser


def test_bars_are_as_high_as_the_frame_s_counts(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1280, "height": 1500})
    open_panel(page, path, "Synthetic(['latency', 'by cpu', 'by device'], age=40, hertz=0)")
    page.page.wait_for_function("document.querySelectorAll('.ktrace-panel .bqplot').length === 5")
    source = Synthetic(["latency", "by cpu", "by device"], age=40, hertz=0)
    pictures = [view_picture(view) for view in source.view_data()]
    charts = [(picture, chart) for picture in pictures for chart in picture.charts]
    for figure, (picture, chart) in enumerate(charts):
        assert bars(page, figure) == pytest.approx((chart.heights / chart.top).tolist(), abs=1e-6)
        widths = (
            page.page.locator(".ktrace-panel .bqplot")
            .nth(figure)
            .locator(".bar")
            .evaluate_all("(bars) => bars.map(bar => bar.getAttribute('width'))")
        )
        plot = page.page.locator(".ktrace-panel .plotarea_events").nth(figure).get_attribute("width")
        assert float(widths[0]) / float(plot or 0) == pytest.approx(0.94 / len(chart.heights), abs=0.003)
        assert labels(page, figure, "end") == [tick.label for tick in chart.ticks]
        assert labels(page, figure, "middle") == [tick.label for tick in picture.ticks]
    assert page.page.locator(".ktrace-panel .axislabel").first.text_content() == "time"
    titles = page.page.locator(".ktrace-panel .mainheading").all_text_contents()
    assert [title.partition(" · ")[0] for title in titles if title] == [
        "device = sda",
        "device = nvme0n1",
        "device = <b>vda",
    ]
    total = f"{int(np.sum(pictures[0].charts[0].heights)):,}"
    assert texts(page, ".ktrace-histogram .ktrace-title")[0].split() == ["latency", "total", total]
    page.screenshot("histograms", index=1)


def test_neighbours_of_a_wide_histogram_share_a_bar_and_it_is_said(page: kit.LabPage, path: str) -> None:
    open_panel(page, path, "Synthetic(['by depth'], age=40, hertz=0)")
    page.page.wait_for_selector(".ktrace-panel .bar", state="attached")
    (view,) = Synthetic(["by depth"], age=40, hertz=0).view_data()
    assert len(view.frame) > 5000
    drawn = bars(page, 0)
    assert len(drawn) <= MOST_BARS + 1
    # Bars of 100 depths each, counted here from the frame itself.
    counts = view.frame["count"].groupby(view.frame.index // 100).sum().tolist()
    tallest = max(counts)
    assert [height / max(drawn) for height in drawn] == pytest.approx(
        [count / tallest for count in counts], abs=1e-6
    )
    first = page.page.locator(".ktrace-panel .bar").first
    first.hover()
    assert first.locator("title").text_content() == f"0..99: {counts[0]:,}"
    assert "depth · 100 buckets per bar" in page.page.locator(".ktrace-panel .axislabel").all_text_contents()
    page.screenshot("wide-histogram", index=1)


def test_counts_beyond_31_bits_are_drawn_to_scale(page: kit.LabPage, path: str) -> None:
    open_panel(page, path, "Synthetic(['large'], hertz=0)")
    page.page.wait_for_selector(".ktrace-panel .bar", state="attached")
    wide = page.page.locator(".ktrace-panel .bar").nth(2)
    wide.hover()
    assert wide.locator("title").text_content() == "512..1,023 bytes: 5,000,000,000"
    drawn = [height for height in bars(page) if height]
    assert drawn == pytest.approx([BEYOND_INT32 / 6e9, 2**31 / 6e9])
    assert labels(page, 0, "end") == ["0", "2G", "4G", "6G"]
    assert labels(page, 0, "middle") == ["128", "256", "512", "1K", "2K", "4K", "8K", "16K", "32K"]


def test_a_table_shows_every_digit_if_asked_and_nothing_of_a_name_is_taken_for_html(
    page: kit.LabPage, path: str
) -> None:
    open_panel(page, path, "Synthetic(['by process'], age=3, hertz=0)")
    page.page.wait_for_selector(".ktrace-table tbody tr")
    rows = [row.split("\t") for row in texts(page, ".ktrace-table tbody tr")]
    assert rows[0] == ["<img src=x onerror=alert(1)>", "1039", "16.0 EiB", "58.5 µs"]
    assert rows[1] == ["proc-38", "1038", "109 MiB", "57 µs"]
    page.page.locator(".ktrace-tools button", has_text="exact").click()
    page.page.wait_for_selector(".ktrace-table td:text-is('18,446,744,073,709,551,615')")
    rows = [row.split("\t") for row in texts(page, ".ktrace-table tbody tr")]
    assert rows[0] == ["<img src=x onerror=alert(1)>", "1039", "18,446,744,073,709,551,615", "58.5"]
    assert rows[1] == ["proc-38", "1038", f"{38 * 3 * 1_000_003:,}", "57"]
    assert len(rows) == 20
    assert texts(page, ".ktrace-table .ktrace-foot") == ["40 rows, 20 more rows not shown"]
    assert page.page.locator(".ktrace-table img").count() == 0


def column(page: kit.LabPage, number: int) -> list[str]:
    return texts(page, f".ktrace-table tbody tr td:nth-child({number})")


def test_a_click_on_a_head_sorts_the_whole_frame_even_while_a_cell_runs(page: kit.LabPage, path: str) -> None:
    open_panel(page, path, "Synthetic(['by process'], age=3, hertz=0)", BUSY["python"].format(s=6))
    page.page.wait_for_selector(".ktrace-table tbody tr")
    head = page.page.locator(".ktrace-table th button")
    page.run_cell(2, wait=False)
    head.nth(1).click()
    page.page.wait_for_selector(".ktrace-table th:nth-child(2)[aria-sort=descending]", timeout=3000)
    head.nth(1).click()
    page.page.wait_for_selector(".ktrace-table th:nth-child(2)[aria-sort=ascending]", timeout=3000)
    assert column(page, 2) == [str(1000 + n) for n in range(20)]
    head.nth(0).click()
    page.page.wait_for_selector(".ktrace-table th:nth-child(1)[aria-sort=ascending]", timeout=3000)
    assert column(page, 1)[:2] == ["<img src=x onerror=alert(1)>", "proc-00"]
    assert (
        page.page.evaluate("jupyterapp.shell.currentWidget.content.widgets[2].model.executionState")
        == "running"
    )


def test_console_text_is_appended_and_its_controls_are_seen_not_obeyed(page: kit.LabPage, path: str) -> None:
    open_panel(page, path, "Synthetic(['printed'], age=1200, hertz=5)")
    lines = page.page.locator(".ktrace-text pre > div")
    page.page.wait_for_function("document.querySelectorAll('.ktrace-text pre > div').length === 1000")
    newest = int(lines.last.inner_text().partition(":")[0])
    assert newest >= 1199
    assert "<b>\\x1b[31m" in lines.last.inner_text()
    page.page.wait_for_function(
        "(seen) => parseInt(document.querySelector('.ktrace-text pre').lastChild.textContent) > seen",
        arg=newest,
    )
    assert lines.count() == 1000
    # At one moment: lines go on coming.
    shown, foot = page.page.locator(".ktrace-text").evaluate(
        """(el) => [
            [...el.querySelectorAll('pre > div')].map((line) => line.textContent),
            el.querySelector('.ktrace-foot').textContent,
        ]"""
    )
    numbers = [int(line.partition(":")[0]) for line in shown]
    assert numbers == list(range(numbers[0], numbers[0] + 1000)), "no line twice, none left out"
    assert foot == f"{numbers[0]:,} earlier lines not shown"
    at_end = "(e) => e.scrollHeight - e.scrollTop - e.clientHeight < 4"
    assert page.page.locator(".ktrace-text pre").evaluate(at_end)


def test_keys_in_console_text_are_no_commands_of_the_notebook(page: kit.LabPage, path: str) -> None:
    open_panel(page, path, "Synthetic(['printed'], age=50, hertz=0)")
    page.page.wait_for_function("document.querySelectorAll('.ktrace-text pre > div').length === 50")
    lines = page.page.locator(".ktrace-text pre")
    lines.focus()
    for key in ("a", "b", "x", "d", "d", "m", "Home"):
        page.page.keyboard.press(key)
    # It came after all of them: they have done what they do.
    page.page.wait_for_function("document.querySelector('.ktrace-text pre').scrollTop === 0")
    assert page.page.locator(".jp-Notebook .jp-CodeCell").count() == 2
    assert lines.evaluate("(e) => e === document.activeElement")


def test_losses_are_said_in_red_and_none_in_green(page: kit.LabPage, path: str) -> None:
    open_panel(page, path, "Synthetic(['latency'], losses=(('ring full', 412), ('map <full>', 3)))")
    badge = page.page.locator(".ktrace-loss")
    assert badge.inner_text() == "⚠ 412 lost: ring full, 3 lost: map <full>"
    assert badge.evaluate("(e) => getComputedStyle(e).backgroundColor") == "rgb(179, 38, 30)"
    page.add_cell("source.losses = ()")
    page.run_cell(2)
    page.page.wait_for_function("document.querySelector('.ktrace-loss').innerText === '✓ complete'")


def test_a_panel_looks_right_in_both_themes(page: kit.LabPage, path: str) -> None:
    page.page.set_viewport_size({"width": 1280, "height": 2300})
    open_panel(page, path, "Synthetic(age=400, hertz=20, losses=(('ring full', 412),))")
    page.page.wait_for_selector(".ktrace-panel .bar")
    page.page.wait_for_timeout(1500)
    page.screenshot("panel-light", index=1)
    page.theme("JupyterLab Dark")
    try:
        page.page.wait_for_timeout(800)
        page.screenshot("panel-dark", index=1)
        check_contrast(page)
    finally:
        page.theme("JupyterLab Light")
    check_contrast(page)


def check_contrast(page: kit.LabPage) -> None:
    """Text on paper: at least 4.5 to 1, what WCAG 2 asks of normal text."""
    for selector in (".ktrace-name", ".ktrace-facts", ".ktrace-table td", ".ktrace-text pre", ".axislabel"):
        assert contrast(page, selector) >= 4.5, selector


def contrast(page: kit.LabPage, selector: str) -> float:
    """Contrast of an element's text with what is behind it, after WCAG 2."""
    pixels = page.page.evaluate(
        """(selector) => {
            const element = document.querySelector(`.ktrace-panel ${selector}`);
            const layers = [];
            for (let node = element; node; node = node.parentElement)
                layers.unshift(getComputedStyle(node).backgroundColor);
            const style = getComputedStyle(element);
            layers.push(element instanceof SVGElement ? style.fill : style.color);
            const canvas = document.createElement("canvas").getContext("2d");
            return layers.map((colour) => {
                canvas.fillStyle = colour;
                canvas.fillRect(0, 0, 1, 1);
                return [...canvas.getImageData(0, 0, 1, 1).data];
            });
        }""",
        selector,
    )
    light, dark = sorted(map(luminance, pixels[-2:]), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(pixel: list[int]) -> float:
    """Relative luminance of red, green and blue after WCAG 2."""
    parts = [part / 255 for part in pixel[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))
