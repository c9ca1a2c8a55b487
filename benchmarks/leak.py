"""Whether a page, a kernel or a server grows while panels are updated for a long time.

Every kind of view at full rate in one panel, the tab hidden for the middle half of the time;
then the cell run again twenty times. Every half minute: the page's heap after a collection of
garbage, its nodes and listeners by the browser's own counters, and the resident memory of the
kernel's and the server's process. What counts is the growth from the end of the warm-up to the
end. (bqplot#1600: its charts kept growing the page, most of all in a hidden tab.)

Run from the checkout: ``python -m benchmarks.leak [--minutes 30] [view ...]``.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import astuple, dataclass

from benchmarks.live_frames import FRAMES
from benchmarks.live_kit import load, open_cell, rss_mb
from tests.browser import kit
from tests.browser.tabs import Tab, chromium

SAMPLE_S = 30.0
WARM_SHARE = 0.1
"""Of the time; text views hold their thousand lines and charts their last frames after it."""

HELD = """
import comm, json
print(json.dumps([len(comm.get_comm_manager().comms), len(ipywidgets.widgets.widget._instances)]))
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is held at one moment."""

    minutes: float
    hidden: bool
    updates: int
    heap_mb: float
    nodes: int
    listeners: int
    kernel_mb: float
    server_mb: float


def sample(tab: Tab, begun: float, kernel: int, server: int) -> Sample:
    """Look at the page and at the processes."""
    metrics = tab.metrics()
    return Sample(
        (time.monotonic() - begun) / 60,
        bool(tab.evaluate("document.hidden")),
        int(tab.evaluate("ticks.length")),
        metrics["JSHeapUsedSize"] / 1e6,
        int(metrics["Nodes"]),
        int(metrics["JSEventListeners"]),
        rss_mb(kernel),
        rss_mb(server),
    )


def show(row: Sample) -> None:
    """Print one line of the table."""
    line = f"{row.minutes:>8.1f}{'hidden' if row.hidden else 'shown':>8}{row.updates:>9}{row.heap_mb:>9.2f}"
    line += f"{row.nodes:>8}{row.listeners:>10}{row.kernel_mb:>11.1f}{row.server_mb:>11.1f}"
    print(f"{line}  {load()}", flush=True)


def main() -> None:
    """Watch a panel and print what is held, then the growth."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30, help="how long it is watched")
    parser.add_argument("--reruns", type=int, default=20, help="how often the cell is run again")
    parser.add_argument("views", nargs="*", help=f"which of {', '.join(FRAMES)}; by default all")
    options = parser.parse_args()
    kinds = options.views or list(FRAMES)
    length_s = options.minutes * 60
    every_s = min(SAMPLE_S, length_s / 12)
    samples: list[Sample] = []
    with kit.lab_server() as server, chromium() as browser:
        tab, kernel = open_cell(browser, server, f"source = Live({kinds!r}); panel = show(source)")
        other = browser.tab()
        tab.show()
        heads = ["minutes", "tab", "updates", "heap/MB", "nodes", "listeners", "kernel/MB", "server/MB"]
        widths = (8, 8, 9, 9, 8, 10, 11, 11)
        print("".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True)) + "  load")
        begun = time.monotonic()
        while (passed_s := time.monotonic() - begun) < length_s:
            hide = length_s / 4 <= passed_s < length_s * 3 / 4
            if hide and not tab.evaluate("document.hidden"):
                other.show()
            elif not hide and tab.evaluate("document.hidden"):
                tab.show()
            time.sleep(every_s)
            samples.append(sample(tab, begun, kernel, server.pid))
            show(samples[-1])
        warm = next(row for row in samples if row.minutes >= WARM_SHARE * options.minutes)
        last = samples[-1]
        print("\ngrowth after warm-up, %:")
        for number, name in enumerate(heads[3:], start=3):
            was, now = float(astuple(warm)[number]), float(astuple(last)[number])
            print(f"  {name:<10}{100 * (now / was - 1):>8.1f}")
        before = json.loads(tab.ask(HELD))
        nodes = tab.metrics()
        for _ in range(options.reruns):
            tab.run_cell(1)
        time.sleep(5)
        after = json.loads(tab.ask(HELD))
        again = tab.metrics()
        print(f"\nafter {options.reruns} more runs of the cell: {after[0]} comms (before {before[0]}),")
        print(f"  {after[1]} models (before {before[1]}), heap {again['JSHeapUsedSize'] / 1e6:.2f} MB")
        print(f"  (before {nodes['JSHeapUsedSize'] / 1e6:.2f}), {again['Nodes']:.0f} nodes (before", end=" ")
        print(f"{nodes['Nodes']:.0f}), {again['JSEventListeners']:.0f} listeners", end=" ")
        print(f"(before {nodes['JSEventListeners']:.0f})")


if __name__ == "__main__":
    main()
