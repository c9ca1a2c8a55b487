"""What the panel of a running walk costs: CPU time of the thread that keeps it up to date.

A walk of a million calls to which 50,000 a second are added; a page that draws whatever it is sent
at once. Shares are of one CPU, of what the panel does in Python; taking in the records is not in it
(``python -m benchmarks.pairing`` measures that). ``last`` is the time until the exact last state has
been sent and its picture is made, once the walk is over.

Run from the checkout: ``python -m benchmarks.walk_views [--calls 1000000] [--seconds 20]``.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.ir.calls import RETURN
from ktrace_nb.magics.source import SessionSource
from ktrace_nb.session import Session
from ktrace_nb.stream.calls.records import RECORD
from ktrace_nb.widgets import Panel
from ktrace_nb.widgets.indent import IndentView
from tests.magics.walks import outputs_of, walk_session

FUNCTIONS = [f"ext4_{n}" for n in range(620)]
VIEWS = ("indent", "flame", "callgraph", "table", "text", "auto")
BLOCK = 50_000
PART_S = 0.2
"""So often new records come."""

_CALLEES = 6
_DEEPEST = 12


def block(threads: int = 8, seed: int = 1) -> NDArray[np.void]:
    """Records of complete calls by some threads; of what a function calls, the first the most often."""
    rng = random.Random(seed)
    streams = [_thread(rng, 1000 + n, BLOCK // threads) for n in range(threads)]
    order = np.concatenate([np.sort(np.random.default_rng(n).random(len(s))) for n, s in enumerate(streams)])
    found = np.concatenate(streams)[np.argsort(order, kind="stable")]
    found["at"] = 10**12 + 500 * np.arange(len(found))
    return found


def _thread(rng: random.Random, tid: int, calls: int) -> NDArray[np.void]:
    rows: list[tuple[int, int, int]] = []
    stack: list[tuple[int, int]] = []
    while calls or stack:
        if calls and len(stack) < _DEEPEST and (not stack or rng.random() < 0.5):
            caller = stack[-1][1] if stack else tid % 5
            callee = (7 * caller + int(_CALLEES * rng.random() ** 3)) % len(FUNCTIONS)
            frame = (stack[-1][0] if stack else (tid << 11) + 2040) - 9
            stack.append((frame, callee))
            rows.append((*stack[-1], 0))
            calls -= 1
        else:
            rows.append((*stack.pop(), RETURN))
    found = np.zeros(len(rows), RECORD)
    found["tid"] = tid
    found["frame"], found["function"], found["kind"] = np.array(rows).T
    return found


class Records:
    """What a walk sends, for as long as is wanted."""

    def __init__(self, session: Session) -> None:
        self._outputs = outputs_of(session)
        self._block = block()
        self._span = int(np.ptp(self._block["at"])) + 500
        self._sent = 0

    def add(self, calls: int) -> None:
        """Have so many more calls come, about."""
        left = 2 * calls
        while left > 0:
            turn, first = divmod(self._sent, len(self._block))
            part = self._block[first : first + left].copy()
            part["at"] += np.uint64(turn * self._span)
            with self._outputs._lock:
                self._outputs.store.add(part)
            self._sent += len(part)
            left -= len(part)


class Page:
    """A page that draws at once."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        panel.receive({"view": "page", "hello": True, "direct": True})

    def draw(self) -> None:
        """Say that everything is drawn, and ask the indent view for more."""
        for view, _ in self._panel._views.values():
            if isinstance(view, IndentView) and not view._requests:
                view.receive({"view": "page", "have": view._feed.count(), "names": 0, "tasks": 0})
        self._panel.receive({"view": "page", "ack": 1 << 40, "direct": True})


def measured(view: str, calls: int, per_s: int, seconds: float) -> tuple[float, float, float]:
    """The share of a CPU that a panel takes; seconds until the last state, and between two of its frames."""
    session = walk_session(FUNCTIONS)
    records = Records(session)
    records.add(calls)
    saved: list[dict[str, str]] = []
    panel = Panel(SessionSource(session, view), saved=saved.append)
    assert panel.widget is not None
    page = Page(panel)
    thread = next(t for t in threading.enumerate() if t.name == "ktrace panel")
    assert thread.ident is not None
    clock = time.pthread_getcpuclockid(thread.ident)
    generations: set[Any] = set()
    spent, begun = time.clock_gettime(clock), time.monotonic()
    due = begun
    while (now := time.monotonic()) < begun + seconds:
        records.add(round(per_s * PART_S))
        page.draw()
        generations |= {(name, generation) for name, (_, generation) in panel._views.items()}
        due = max(due + PART_S, now)
        time.sleep(max(0.0, due - time.monotonic()))
    took_s = time.monotonic() - begun
    share = (time.clock_gettime(clock) - spent) / took_s
    outputs_of(session).finish(1)
    session._end("done", "measured")
    ended = time.monotonic()
    panel.finish()
    last_s = time.monotonic() - ended
    if panel.problem is not None:
        raise panel.problem
    assert saved
    frames = len(generations) / max(1, len(panel._views))
    panel.close()
    return share, last_s, took_s / max(1.0, frames)


def main() -> None:
    """Measure each view and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1_000_000, help="calls there are at first")
    parser.add_argument("--rate", type=int, default=50_000, help="calls that come in a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each view")
    parser.add_argument("--views", default=",".join(VIEWS))
    args = parser.parse_args()
    print(f"{args.calls:,} calls and {args.rate:,} more a second")
    print(f"{'--view':12}{'CPU':>8}{'a new one every':>18}{'last':>10}")
    for view in args.views.split(","):
        share, last_s, every_s = measured(view, args.calls, args.rate, args.seconds)
        print(f"{view:12}{share:>8.1%}{every_s:>16.1f} s{last_s:>8.2f} s", flush=True)


if __name__ == "__main__":
    main()
