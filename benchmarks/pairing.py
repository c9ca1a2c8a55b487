"""Making calls of records: pairing, tree, frames.

``python -m benchmarks.pairing``. Prints CPU seconds per million calls, and how many times as
long as numpy takes to sort the same records by thread and depth: the least that pairing
them without looking at each can do.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ktrace_nb.ir.calls import RETURN
from ktrace_nb.stream.calls.feed import FrameFeed
from ktrace_nb.stream.calls.frames import calls_frame, edges_frame, functions_frame
from ktrace_nb.stream.calls.records import RECORD
from ktrace_nb.stream.calls.store import CallStore

FUNCTIONS = [f"ext4_{n}" for n in range(620)]
BATCHES = 50
_DEEPEST = 14


def made(calls: int, threads: int, seed: int = 1) -> NDArray[np.void]:
    """Records of threads that call functions at random, mixed as they would be by the scheduler."""
    rng, mix = random.Random(seed), np.random.default_rng(seed)
    streams = [_thread(rng, 1000 + n, calls // threads) for n in range(threads)]
    # A thread runs for a while before the next one does.
    order = np.concatenate([np.sort(mix.random(len(s) // 40 + 1)).repeat(40)[: len(s)] for s in streams])
    found = np.concatenate(streams)[np.argsort(order, kind="stable")]
    found["at"] = 10**12 + np.cumsum(mix.integers(100, 2000, len(found)))
    found["cpu"] = found["tid"] % 4
    return found


def _thread(rng: random.Random, tid: int, calls: int) -> NDArray[np.void]:
    rows: list[tuple[int, int, int]] = []
    stack: list[tuple[int, int]] = []
    while calls or stack:
        if calls and len(stack) < _DEEPEST and (not stack or rng.random() < 0.5):
            frame = (stack[-1][0] if stack else (tid << 11) + 2040) - rng.randrange(5, 30)
            stack.append((frame, rng.randrange(len(FUNCTIONS))))
            rows.append((*stack[-1], 0))
            calls -= 1
        else:
            rows.append((*stack.pop(), RETURN))
    found = np.zeros(len(rows), RECORD)
    found["tid"] = tid
    found["frame"], found["function"], found["kind"] = np.array(rows).T
    return found


def fed(records: NDArray[np.void], batches: int) -> CallStore:
    """A store that was given records in so many batches."""
    store = CallStore(FUNCTIONS)
    for part in np.array_split(records, batches):
        store.add(part)
    store.self_ns()
    return store


def sorted_plainly(records: NDArray[np.void]) -> None:
    """Sort by thread, and by thread and depth: two stable sorts of 16 bits, and taking each column along."""
    thread = records["tid"].astype(np.uint16)
    order = np.argsort(thread, kind="stable")
    level = np.cumsum(np.where(records["kind"][order] == RETURN, -1, 1)).astype(np.uint16)
    order = order[np.argsort(level + thread[order] * np.uint16(64), kind="stable")]
    for name in ("at", "function", "frame", "kind"):
        records[name][order]


def cpu_s(work: Callable[[], object], rounds: int) -> float:
    """The least CPU time of some rounds, in seconds."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    records = made(args.calls, args.threads)
    millions = args.calls / 1e6
    least = cpu_s(lambda: sorted_plainly(records), args.rounds) / millions
    print(
        f"{len(records):,} records, {args.threads} threads; CPU seconds per million calls, ratio to sorting"
    )
    print(f"{'numpy sorts the records':44}{least:8.3f}")

    def row(what: str, work: Callable[[], object]) -> None:
        took = cpu_s(work, args.rounds) / millions
        print(f"{what:44}{took:8.3f}{took / least:8.1f}")

    row("pairing and tree, at once", lambda: fed(records, 1))
    row(f"pairing and tree, {BATCHES} batches", lambda: fed(records, BATCHES))
    rng = np.random.default_rng(2)
    for share in (0.001, 0.05):
        damaged = records[rng.random(len(records)) >= share]
        row(f"the same with {share:.1%} of the records lost", partial(fed, damaged, BATCHES))
    store = fed(records, 1)
    row("frame calls", lambda: calls_frame(store))
    row("frame functions", lambda: functions_frame(store))
    row("frame edges", lambda: edges_frame(store))
    frame = calls_frame(store)
    row("steps of a frame", lambda: FrameFeed(frame))


if __name__ == "__main__":
    main()
