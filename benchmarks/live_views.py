"""What each kind of view costs while its data change faster than it may follow.

One after the other in JupyterLab in headless Chromium (software rendering), five updates a
second at most, which is what a panel allows itself. Beside them in the same run: the same
frames made at the same rate and shown to nobody ("net" is without that), a panel without
views, a table of 20 rows as the smallest anywidget that does it, and the same rows as
HTML sent whole to ``ipywidgets.HTML``. Shares are of one core: of the kernel's process, of all
of Chromium's, and by the browser's own counters of the page's main thread and of JavaScript in
it. The lag is from when a frame is made in Python to when the page has drawn it; of a panel it
is that of its head, which changes twice a second, after the views of the same update. On a busy
machine compare the ratios.

Run from the checkout: ``python -m benchmarks.live_views [--minutes 0.5] [view ...]``.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.live_frames import FRAMES
from benchmarks.live_kit import load, open_cell, spent
from tests.browser import kit
from tests.browser.tabs import Chromium, chromium

WARM_S = 5.0
LAST_TICK = "ticks.length ? ticks[ticks.length - 1].number : 0"
"""The number of a panel's last update; not each has a message of its own."""

LOOP = """
def change():
    number = 0
    while True:
        number += 1
        made = int(time.time() * 1000)
        frame = table(number).sort_values("bytes", ascending=False).head(20)
        write(made, frame)
        time.sleep(0.2)
threading.Thread(target=change, daemon=True).start()
"""
ANYWIDGET = (
    """
class Rows(anywidget.AnyWidget):
    _esm = '''
    function render({ model, el }) {
        const stamp = document.createElement("p");
        stamp.className = "ktrace-stamp";
        const table = document.createElement("table");
        el.append(stamp, table);
        const show = () => {
            stamp.textContent = model.get("made");
            model.get("rows").forEach((values, index) => {
                const row = table.rows[index] ?? table.insertRow();
                values.forEach((value, column) => {
                    const cell = row.cells[column] ?? row.insertCell();
                    if (cell.textContent !== value) cell.textContent = value;
                });
            });
        };
        model.on("change", show);
        show();
    }
    export default { render };
    '''
    made = traitlets.Int().tag(sync=True)
    rows = traitlets.List().tag(sync=True)
shown = Rows()
display(shown)
def write(made, frame):
    with shown.hold_sync():
        shown.made = made
        shown.rows = [[str(value) for value in row] for row in frame.itertuples(index=False)]
"""
    + LOOP
)
HTML = (
    """
shown = ipywidgets.HTML()
display(shown)
def write(made, frame):
    shown.value = f"<p class='ktrace-stamp'>{made}</p>" + frame.to_html(index=False)
"""
    + LOOP
)
MAKE = """
source = Live([{kind!r}])
def make():
    while True:
        source.status()
        source.view_data()
        time.sleep(0.2)
threading.Thread(target=make, daemon=True).start()
"""
PANEL = "source = Live({kinds!r}); panel = show(source)"
CASES: dict[str, str] = {
    "nothing": "",
    "HTML widget, 20 rows": HTML,
    "bare anywidget, 20 rows": ANYWIDGET,
    "panel without views": PANEL.format(kinds=()),
    **{f"frames of {kind}": MAKE.format(kind=kind) for kind in FRAMES},
    **{kind: PANEL.format(kinds=[kind]) for kind in FRAMES},
    "all of them": PANEL.format(kinds=list(FRAMES)),
}
UNIT = "HTML widget, 20 rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one case cost while it was watched."""

    updates_per_s: float
    kernel: float
    browser: float
    tasks: float
    scripts: float
    lags_ms: tuple[float, float]
    """Half of the updates are drawn within the first, 95 of 100 within the second."""

    heap: float
    """By how much the page's JavaScript heap has grown, 1 is to twice."""


def measure(browser: Chromium, server: kit.LabServer, cell: str, seconds: float) -> Cost:
    """Run a case and watch it for a while."""
    tab, kernel = open_cell(browser, server, cell)
    time.sleep(WARM_S)
    heap = tab.metrics()["JSHeapUsedSize"]
    tab.evaluate("lags.length = 0")
    drawn = tab.evaluate(LAST_TICK)
    before, begun = spent(tab, kernel), time.monotonic()
    time.sleep(seconds)
    wall_s = time.monotonic() - begun
    worked = spent(tab, kernel) - before
    lags = tab.evaluate("lags")
    cost = Cost(
        updates_per_s=(tab.evaluate(LAST_TICK) - drawn or len(lags)) / wall_s,
        kernel=worked.kernel / wall_s,
        browser=worked.browser / wall_s,
        tasks=worked.tasks / wall_s,
        scripts=worked.scripts / wall_s,
        lags_ms=(float(np.percentile(lags, 50)), float(np.percentile(lags, 95))) if lags else (0.0, 0.0),
        heap=tab.metrics()["JSHeapUsedSize"] / heap - 1,
    )
    tab.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown().then(() => 0)")
    tab.send("Page.close")
    return cost


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=0.5, help="how long each is watched")
    parser.add_argument("views", nargs="*", help=f"which of {', '.join(CASES)}; by default all")
    options = parser.parse_args()
    wanted = dict.fromkeys(["nothing", UNIT])
    for case in options.views or CASES:
        wanted |= dict.fromkeys([f"frames of {case}", case] if case in FRAMES else [case])
    heads = ("upd/s", "kernel %", "net %", "browser %", "page %", "script %", "lag p50", "p95 ms", "heap +%")
    print(f"{'':<24}" + "".join(f"{head:>10}" for head in (*heads, "k ratio", "b ratio")) + "  load")
    costs: dict[str, Cost] = {}
    with kit.lab_server() as server, chromium() as browser:
        for name in wanted:
            costs[name] = cost = measure(browser, server, CASES[name], options.minutes * 60)
            line = f"{name:<24}{cost.updates_per_s:>10.1f}"
            made = costs[f"frames of {name}"].kernel if name in FRAMES else 0.0
            line += "".join(
                f"{100 * share:>10.2f}"
                for share in (cost.kernel, cost.kernel - made, cost.browser, cost.tasks, cost.scripts)
            )
            line += f"{cost.lags_ms[0]:>10.0f}{cost.lags_ms[1]:>10.0f}{100 * cost.heap:>10.1f}"
            if name != "nothing" and UNIT in costs:
                idle, unit = costs["nothing"], costs[UNIT]
                for part in ("kernel", "browser"):
                    of_unit = getattr(unit, part) - getattr(idle, part)
                    line += f"{(getattr(cost, part) - getattr(idle, part)) / of_unit:>10.2f}"
            else:
                line += " " * 20
            print(f"{line}  {load()}", flush=True)


if __name__ == "__main__":
    main()
