"""bcc's side of the streaming benchmarks; run by the system's Python, which has bcc.

    python3 streaming_bcc.py JOB TEXT

Prints "ready" once the program is attached. Every line it reads asks for a result, a
line of JSON: for events, what was delivered and what it cost up to and including the
DataFrame; for maps, the CPU time of one reading into a DataFrame.
"""

from __future__ import annotations

import ctypes
import json
import select
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from bcc import BPF

FIELDS = {"at": "<u8", "number": "<u8", "id": "<u8", "pid": "<u4", "cpu": "<u4"}


def say(result: object) -> None:
    print(json.dumps(result), flush=True)


def events(bpf: Any, *, perf: bool, raw: bool) -> None:
    """Poll until told to end, then make a DataFrame."""
    table = bpf["events"]
    rows: list[Any] = []
    lost = 0

    def on_event(_: object, data: int, __: int) -> None:
        event = table.event(data)
        rows.append((event.at, event.number, event.id, event.pid, event.cpu))

    def on_bytes(_: object, data: int, size: int) -> None:
        rows.append(ctypes.string_at(data, size))

    def on_lost(count: int) -> None:
        nonlocal lost
        lost += count

    if perf:
        table.open_perf_buffer(on_event, lost_cb=on_lost)
        poll: Callable[[int], Any] = bpf.perf_buffer_poll
    else:
        table.open_ring_buffer(on_bytes if raw else on_event)
        poll = bpf.ring_buffer_poll
    say("ready")
    sys.stdin.readline()
    say("go")
    cpu, began = time.process_time_ns(), time.monotonic()
    while not select.select([sys.stdin], [], [], 0)[0]:
        poll(50)
    before = -1
    while before != len(rows):
        before = len(rows)
        poll(0)
    if raw:
        frame = pd.DataFrame(np.frombuffer(b"".join(rows), np.dtype(list(FIELDS.items()))))
    else:
        frame = pd.DataFrame(rows, columns=list(FIELDS))
    cpu, wall = time.process_time_ns() - cpu, time.monotonic() - began
    sys.stdin.readline()
    say({"delivered": len(frame), "lost": lost, "cpu_ns": cpu, "wall_s": wall})


def maps(bpf: Any) -> None:
    """Read the map that is named, in the way that is named."""
    say("ready")
    for line in sys.stdin:
        name, way = line.split()
        table = bpf[name]
        start = time.process_time_ns()
        if way == "items":
            pairs = [(key.value, value.value) for key, value in table.items()]
        else:  # these are plain numbers already
            pairs = list(table.items_lookup_batch())
        frame = pd.DataFrame(pairs, columns=["key", "value"])
        say({"cpu_ns": time.process_time_ns() - start, "rows": len(frame)})


def main() -> None:
    job, text = sys.argv[1:]
    bpf = BPF(text=text)
    if job == "maps":
        maps(bpf)
    else:
        events(bpf, perf=job == "perf", raw=job == "raw")


if __name__ == "__main__":
    main()
