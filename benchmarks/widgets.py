"""What live views cost: CPU of the kernel process and of the browser.

One panel after the other in JupyterLab in headless Chromium (software
rendering), while its source changes faster than the panel may follow or a given
number of times a second. Shares are of one core. On a busy machine compare the
last two columns, CPU per update, and their ratio to a table's.

Run from the checkout: ``python -m benchmarks.widgets [--seconds 10]``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import WebSocket

from tests.browser import kit
from tests.notebooks import write_notebook

CASES = {
    "nothing": [],
    "table, 20 rows": ["by process"],
    "text, 20 lines/s": ["printed"],
    "histogram, 24 bars": ["latency"],
    "3 histograms, 72 bars": ["by device"],
    "all of these": ["latency", "by device", "by process", "printed"],
}
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one panel cost while it was watched."""

    updates_per_s: float
    kernel_share: float
    """CPU seconds of the kernel process per second."""

    browser_share: float
    """CPU seconds of all of Chromium's processes per second."""


def cpu_s(pid: int) -> float:
    """CPU time of a process, seconds (proc(5), fields utime and stime of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def descendants(pid: int) -> Iterator[int]:
    """A process's children and theirs."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from descendants(int(child))


def browser_cpu_s() -> float:
    """CPU time of every Chromium process we started, seconds."""
    total = 0.0
    for pid in descendants(os.getpid()):
        try:
            if "chrom" in Path(f"/proc/{pid}/comm").read_text():
                total += cpu_s(pid)
        except OSError:
            continue  # it ended meanwhile
    return total


def measure(page: kit.LabPage, views: list[str], hertz: float, seconds: float) -> Cost:
    """Show a panel of some views and watch it for a while."""
    updates = 0

    def note(frame: str | bytes) -> None:
        nonlocal updates
        updates += b'"tick"' in (frame if isinstance(frame, bytes) else frame.encode())

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", note)

    page.page.on("websocket", listen)
    show = "panel = show(source)" if views else ""
    write_notebook(
        page.server.root / "benchmark.ipynb",
        [
            "import os\nfrom ktrace_nb.widgets import show\nfrom tests.widgets.synthetic import Synthetic\n"
            f"source = Synthetic({views!r}, hertz={hertz!r}, age=400)\n{show}"
        ],
    )
    page.open("benchmark.ipynb")
    page.run_cell(0)
    if views:
        page.page.wait_for_selector(".ktrace-panel")
    kernel = int(page.ask("print(os.getpid())"))
    page.page.wait_for_timeout(3000)
    before = updates, cpu_s(kernel), browser_cpu_s(), time.monotonic()
    page.page.wait_for_timeout(seconds * 1000)
    after = updates, cpu_s(kernel), browser_cpu_s(), time.monotonic()
    count, kernel_s, browser_s, wall_s = (b - a for a, b in zip(before, after, strict=True))
    return Cost(count / wall_s, kernel_s / wall_s, browser_s / wall_s)


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10, help="how long each panel is watched")
    seconds: float = parser.parse_args().seconds
    runs = [("nothing", 0.0), *((name, 2.0) for name in CASES if name != "nothing")]
    runs += [(name, 50.0) for name in CASES if name != "nothing"]
    heads = ("updates/s", "kernel %", "browser %", "kernel ms", "browser ms", "ratio")
    print(f"{'panel':<24}" + "".join(f"{head:>11}" for head in heads))
    idle = Cost(0, 0, 0)
    unit = 0.0
    with kit.lab_server() as server, kit.chromium() as browser:
        for name, hertz in runs:
            context = browser.new_context(viewport={"width": 1280, "height": 1800})
            cost = measure(kit.LabPage(context.new_page(), server), CASES[name], hertz, seconds)
            context.close()
            line = f"{name:<24}{cost.updates_per_s:>11.1f}"
            line += f"{cost.kernel_share:>11.1%}{cost.browser_share:>11.1%}"
            if not cost.updates_per_s:
                idle = cost
                print(line, flush=True)
                continue
            kernel_ms = (cost.kernel_share - idle.kernel_share) / cost.updates_per_s * 1000
            browser_ms = (cost.browser_share - idle.browser_share) / cost.updates_per_s * 1000
            unit = unit or browser_ms
            print(f"{line}{kernel_ms:>11.1f}{browser_ms:>11.1f}{browser_ms / unit:>11.1f}", flush=True)


if __name__ == "__main__":
    main()
