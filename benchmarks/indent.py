"""How an indent view of many steps feels: until it is there, scrolling, folding, searching, clicking.

One panel in JupyterLab in headless Chromium (software rendering). Times are
milliseconds, the median of several tries. Bytes are what comes in by the
websocket until every step is there.

Run from the checkout: ``python -m benchmarks.indent [--calls 500000]``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from playwright.sync_api import WebSocket

from tests.browser import kit
from tests.notebooks import write_notebook

TRIES = 9
START = """
import time
from ktrace_nb.widgets import show
from tests.widgets.calls import Walked, repeated, synthetic_calls
walk = Walked(repeated(synthetic_calls(25_000), {times}))
"""
THERE = """(calls) => {
    const said = document.querySelector('.ktrace-indent > .ktrace-foot')?.innerText ?? '';
    return said.startsWith(`${calls} calls · `) && !said.includes('to come');
}"""
PRESS = """(name) => {
    const button = document.querySelector(`[data-do=${name}]`);
    const begun = performance.now();
    button.click();
    return performance.now() - begun;
}"""
SEARCH = """(text) => {
    const field = document.querySelector('[data-do=search]');
    field.value = text;
    const begun = performance.now();
    field.dispatchEvent(new Event('input', { bubbles: true }));
    return performance.now() - begun;
}"""
JUMP = """async (places) => {
    const bar = document.querySelector('.ktrace-scrollbar');
    const frame = () => new Promise(requestAnimationFrame);
    const times = [];
    for (const place of places) {
        const begun = performance.now();
        bar.scrollTop = place * (bar.scrollHeight - bar.clientHeight);
        await frame();  // the scroll event comes at a frame's beginning and is drawn in it
        await frame();
        times.push(performance.now() - begun);
    }
    return times;
}"""
HOVER = """() => new Promise((done) => {
    const detail = document.querySelector('.ktrace-detail');
    const row = document.querySelectorAll('.ktrace-step')[7];
    const begun = performance.now();
    new MutationObserver(() => {
        if (/= /.test(detail.textContent)) done(performance.now() - begun);
    }).observe(detail, { childList: true, characterData: true, subtree: true });
    row.dispatchEvent(new MouseEvent('mousemove', { bubbles: true }));
})"""


def median(measure: Callable[[], float]) -> float:
    """The median of several tries."""
    return statistics.median(measure() for _ in range(TRIES))


def click_ms(page: kit.LabPage, row: int) -> float:
    """From a click on a line to the selection in Python, milliseconds."""
    clicked_ms = page.page.evaluate(
        """(row) => {
            const now = Date.now();
            document.querySelectorAll('.ktrace-step')[row].click();
            return now;
        }""",
        row,
    )
    page.page.wait_for_timeout(150)
    return float(page.ask("print(walk.selected_at)")) * 1000 - float(clicked_ms)


def main() -> None:
    """Measure one view and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=500_000, help="calls; each is two steps")
    times = max(1, parser.parse_args().calls // 25_000)
    received = 0

    def note(frame: str | bytes) -> None:
        nonlocal received
        received += len(frame)

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", note)

    with kit.lab_server() as server, kit.chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 960})
        page = kit.LabPage(context.new_page(), server)
        page.page.on("websocket", listen)
        write_notebook(server.root / "indent.ipynb", [START.format(times=times), "panel = show(walk)"])
        page.open("indent.ipynb")
        page.run_cell(0)
        received, begun = 0, time.monotonic()
        page.run_cell(1, wait=False)
        page.page.wait_for_selector(".ktrace-step")
        first_s = time.monotonic() - begun
        page.page.wait_for_function(THERE, arg=f"{25_000 * times:,}", timeout=120_000)
        all_s = time.monotonic() - begun
        steps = 50_000 * times
        ask = page.page.evaluate
        jumps = ask(JUMP, [(7919 * n % 1000) / 1000 for n in range(60)])
        rows = (
            ("steps", f"{steps:,}"),
            ("bytes a step, as sent", f"{received / steps:.1f}"),
            ("until the first lines, s", f"{first_s:.2f}"),
            ("until all are there, s", f"{all_s:.2f}"),
            ("frame after a jump, median", f"{statistics.median(jumps):.0f}"),
            ("frame after a jump, worst", f"{max(jumps):.0f}"),
            ("search, most calls match", f"{median(lambda: ask(SEARCH, 'e')):.1f}"),
            ("search, some match", f"{median(lambda: ask(SEARCH, 'helper_1')):.1f}"),
            ("next match", f"{median(lambda: ask(PRESS, 'next')):.1f}"),
            ("collapse all", f"{median(lambda: ask(PRESS, 'collapse')):.1f}"),
            ("expand all", f"{median(lambda: ask(PRESS, 'expand')):.1f}"),
            ("fold leaves, or not", f"{median(lambda: ask(PRESS, 'leaves')):.1f}"),
            ("slowest", f"{median(lambda: ask(PRESS, 'slowest')):.1f}"),
            ("next error", f"{median(lambda: ask(PRESS, 'failed')):.1f}"),
            ("pointing to arguments (100 of it waiting)", f"{ask(HOVER):.0f}"),
            (
                "click to Python",
                f"{statistics.median(click_ms(page, row) for row in range(2, 2 + TRIES)):.0f}",
            ),
        )
        for name, value in rows:
            print(f"{name:<44}{value:>12}")
        heap = ask("performance.memory.usedJSHeapSize") / 1e6
        print(f"{'JavaScript heap of the page, MB':<44}{heap:>12.0f}")
        context.close()


if __name__ == "__main__":
    main()
