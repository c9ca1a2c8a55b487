"""Scheduler events and spells without a kernel, made of numbers."""

from __future__ import annotations

import random
import threading
import time

import numpy as np
import pandas as pd

from ktrace_nb.widgets import timeline
from ktrace_nb.widgets.alone import FrameView

START_NS = 1_000_000_000_000
PROGRAMS = (
    "firefox",
    "python3",
    "kworker/2:1",
    "ksoftirqd",
    "Xorg",
    "gcc",
    "make",
    "<b>sh\x1b[31m",
    "postgres",
)


def made_switches(
    count: int, *, cpus: int = 4, tasks: int = 12, seed: int = 1, wakeups: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Events of a scheduler that runs some tasks on some CPUs, in order; and the wakeups.

    A task that leaves with a state other than 0 or 256 is woken before it may run again.
    """
    rng = random.Random(seed)
    runs = [0] * cpus
    ready, asleep = list(range(100, 100 + tasks)), list[int]()
    comm = {100 + n: PROGRAMS[n % len(PROGRAMS)] for n in range(tasks)} | {0: "swapper"}
    now, switches, woken = START_NS, list[tuple[object, ...]](), list[tuple[object, ...]]()
    while len(switches) < count:
        now += int(rng.expovariate(1 / 20_000)) + 50
        if asleep and rng.random() < 0.5:
            task = asleep.pop(rng.randrange(len(asleep)))
            ready.append(task)
            woken.append((now, rng.randrange(cpus), task, comm[task]))
            continue
        cpu = rng.randrange(cpus)
        left = runs[cpu]
        come = ready.pop(rng.randrange(len(ready))) if ready and rng.random() < 0.7 else 0
        if come == left:
            continue
        state = rng.choice([0, 256, 1, 1, 1, 2]) if left else 0
        if left:
            (ready if state in (0, 256) else asleep).append(left)
        runs[cpu] = come
        switches.append((now, cpu, left, comm[left], state, come, comm[come]))
    names = ["ts", "cpu", "prev_pid", "prev_comm", "prev_state", "next_pid", "next_comm"]
    return (
        pd.DataFrame(switches, columns=names),
        pd.DataFrame(woken if wakeups else [], columns=["ts", "target_cpu", "pid", "comm"]),
    )


def many_spells(count: int, *, cpus: int = 8, tasks: int = 60, seed: int = 1) -> pd.DataFrame:
    """So many spells of tasks behind each other on some CPUs, sorted by start."""
    rng = np.random.default_rng(seed)
    cpu = np.arange(count) % cpus
    task = (rng.pareto(0.8, count) * 3).astype(np.int64) % tasks
    length = rng.exponential(60_000, count).astype(np.int64) + 300
    pause = np.where(rng.random(count) < 0.4, rng.exponential(50_000, count), 0).astype(np.int64)
    start = np.empty(count, np.int64)
    for one in range(cpus):
        own = cpu == one
        start[own] = START_NS + np.cumsum(length[own] + pause[own]) - length[own]
    order = np.argsort(start, kind="stable")
    names = [f"{PROGRAMS[n % len(PROGRAMS)]}" for n in range(tasks)]
    return pd.DataFrame(
        {
            "start_ns": start[order],
            "duration_ns": pd.array(length[order], dtype="Int64"),
            "cpu": cpu[order].astype(np.int16),
            "tid": (task[order] + 100).astype(np.int32),
            "comm": pd.Categorical(np.array(names, object)[task[order]]),
            "state": pd.Categorical(["running"] * count),
        },
        index=pd.RangeIndex(10, count + 10, name="event"),
    )


def grow(view: FrameView, frame: pd.DataFrame, *, begun: int, step: int, hertz: float) -> threading.Thread:
    """Show more and more of a frame from a thread."""

    def run() -> None:
        for count in range(begun, len(frame) + step, step):
            view.update(frame.iloc[:count])
            time.sleep(1 / hertz)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


__all__ = ["grow", "made_switches", "many_spells", "timeline"]
