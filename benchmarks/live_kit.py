"""What the live benchmarks share: a tab with a panel, and what it costs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.browser import kit
from tests.browser.tabs import Chromium, Tab
from tests.notebooks import write_notebook

TICKS_PER_S = os.sysconf("SC_CLK_TCK")

SETUP = """
import os, threading, time
import anywidget, ipywidgets, traitlets
from benchmarks.live_frames import Live, table
from ktrace_nb.widgets import show
"""

# A number that the page shows is the time at which what it shows was made. How late a frame is:
# from then to just after the browser has drawn the frame that follows the change.
WATCH = """(() => {
    window.lags = [];
    const look = (place) => {
        const made = Number((place.textContent.match(/[0-9][0-9,]*/) ?? [''])[0].replaceAll(',', ''));
        if (!made || made === window.madeLast) return;
        window.madeLast = made;
        requestAnimationFrame(() => setTimeout(() => lags.push(Date.now() - made)));
    };
    new MutationObserver(() => {
        const place = document.querySelector('.ktrace-facts, .ktrace-stamp');
        if (place) look(place);
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
})()"""


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU time up to now, seconds."""

    kernel: float
    browser: float
    """All of Chromium's processes."""

    tasks: float
    """What the page's main thread worked."""

    scripts: float
    """What of that was JavaScript."""

    def __sub__(self, other: Spent) -> Spent:
        return Spent(
            self.kernel - other.kernel,
            self.browser - other.browser,
            self.tasks - other.tasks,
            self.scripts - other.scripts,
        )


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


def rss_mb(pid: int) -> float:
    """Resident memory of a process, MB (proc(5), status)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1000


def open_cell(browser: Chromium, server: kit.LabServer, cell: str) -> tuple[Tab, int]:
    """Run a cell in a notebook of its own in a new tab; the tab and the kernel's process."""
    name = f"{len(list(server.root.iterdir()))}.ipynb"
    write_notebook(server.root / name, [SETUP, cell])
    tab = browser.tab()
    tab.open_lab(server, name)
    tab.evaluate(WATCH)
    tab.run_cell(0)
    tab.run_cell(1)
    return tab, int(tab.ask("print(os.getpid())"))


def spent(tab: Tab, kernel: int) -> Spent:
    """What kernel and browser have worked up to now."""
    metrics = tab.metrics()
    return Spent(cpu_s(kernel), browser_cpu_s(), metrics["TaskDuration"], metrics["ScriptDuration"])


def load() -> str:
    """The machine's load, to be printed with every figure."""
    return " ".join(f"{number:.1f}" for number in os.getloadavg())
