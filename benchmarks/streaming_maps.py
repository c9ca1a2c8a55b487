"""Rows of the streaming table about maps, live frames and counting."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from math import nan

import pandas as pd

from benchmarks.streaming_cells import BPFTRACE_COUNT, BY_COMM, GROW, RING, SLOTS, for_load
from benchmarks.streaming_events import Effort, Row
from benchmarks.streaming_kit import Load, OnDemand, OurCpu, Rivals, median, ours, touch_memory
from ktrace_nb.agent import maps
from ktrace_nb.agent.host import possible_cpus
from ktrace_nb.wire.bundle import ARRAY, MapDef

ROWS = 5_000_000


def read_ms(session: OnDemand, name: str) -> tuple[float, float]:
    """CPU and wall milliseconds of one reading, from the kernel's map to the frame."""
    cpu, began = OurCpu(session.target.hello.pid), time.monotonic()
    session.collect(with_maps=True)
    session.frame(name)
    return cpu.stop() / 1e6, 1e3 * (time.monotonic() - began)


def large_maps(load: Load, rivals: Rivals, effort: Effort) -> Iterator[Row]:
    """A hash of many u64 keys and values into a frame.

    CPU of agent and notebook for one reading on demand, against bcc's process reading
    the same kind of map into a list and a frame.
    """
    for keys in (10_000, 100_000, 1_000_000):
        if keys > effort.largest_map:
            continue
        text = for_load(GROW, load.pid, KEYS=keys)
        figures: dict[str, list[float]] = {"ours": [], "wall": [], "items": [], "items_lookup_batch": []}
        session = OnDemand.of(text, "local")
        try:
            load.run(keys // 50, burst=keys // 50)
            session.collect(with_maps=True)
            assert len(session.frame("counts")) == keys
            times = [read_ms(session, "counts") for _ in range(max(3, effort.rounds))]
        finally:
            session.close()
        figures["ours"], figures["wall"] = [cpu for cpu, _ in times], [wall for _, wall in times]
        if rivals.has_bcc:
            with rivals.bcc("maps", text) as bcc:
                load.run(keys // 50, burst=keys // 50)
                for way in ("items", "items_lookup_batch"):
                    for _ in range(max(3, effort.rounds) if keys < 1_000_000 else 1):
                        answer = bcc.ask(f"counts {way}")
                        assert answer["rows"] == keys
                        figures[way].append(answer["cpu_ns"] / 1e6)
        cpu = median(figures["ours"])
        yield Row(f"map of {keys:,} keys, bcc items()", cpu, median(figures["items"]), "ms", ">= 15x")
        yield Row("... items_lookup_batch()", cpu, median(figures["items_lookup_batch"]), "ms", ">= 3x")
        if keys == 100_000:
            yield Row("... wall time", median(figures["wall"]), nan, "ms", "<= 50 ms")


def agent_reads(count: int) -> list[float]:
    """Microseconds of CPU of reading an array by the agent's code, in this process."""
    definition = MapDef(1, "slots", ARRAY, 4, 8, 256)
    fds = maps.create((definition,), 0, possible_cpus())
    array = maps.map_arrays((definition,), fds)[definition.fd]
    try:
        times = []
        for _ in range(count):
            began = time.process_time_ns()
            for _read in range(100):
                array.read()
            times.append((time.process_time_ns() - began) / 100e3)
        return times
    finally:
        array.close()
        os.close(fds[definition.fd])


def slots(load: Load, rivals: Rivals, effort: Effort) -> Iterator[Row]:
    """An array of 256 slots: one reading by the agent's own code, and one through to the frame.

    The first is what the data costs beside the kernel. bcc: ``items()`` into a list and a frame.
    """
    figures: dict[str, list[float]] = {"frame": [], "bcc": []}
    text = for_load(SLOTS, load.pid)
    session = OnDemand.of(text, "local")
    try:
        load.run(1000)
        for _ in range(50 * effort.rounds):
            figures["frame"].append(1e3 * read_ms(session, "slots")[0])
    finally:
        session.close()
    if rivals.has_bcc:
        with rivals.bcc("maps", text) as bcc:
            load.run(1000)
            figures["bcc"] = [bcc.ask("slots items")["cpu_ns"] / 1e3 for _ in range(10 * effort.rounds)]
    theirs = median(figures["bcc"])
    yield Row(
        "256-slot array, the agent's read, bcc items()",
        median(agent_reads(100 * effort.rounds)),
        theirs,
        "us",
        ">= 1,000x",
    )
    yield Row("... through to the frame", median(figures["frame"]), theirs, "us", "beside it")


def live_frame(load: Load, _: Rivals, effort: Effort) -> Iterator[Row]:
    """``session.frame()`` of 5 M rows after new ones came, wall time.

    Beside it ``pd.concat`` of such a frame and a thousand rows.
    """
    times, concat = [], []
    with ours(RING, load.pid) as session:
        touch_memory()
        for _try in range(20):
            load.run(500_000, rate=500_000)
            if len(frame := session.frame("events")) >= ROWS:
                break
        for _round in range(50 * effort.rounds):
            rows = len(frame)
            load.run(1000)
            for _wait in range(100):
                time.sleep(0.02)
                began = time.perf_counter()
                frame = session.frame("events")
                elapsed = time.perf_counter() - began
                if len(frame) > rows:
                    times.append(1e3 * elapsed)
                    break
        for _round in range(effort.rounds):
            began = time.perf_counter()
            pd.concat([frame, frame.iloc[:1000]], ignore_index=True)
            concat.append(1e3 * (time.perf_counter() - began))
        rows = len(frame)
    yield Row(
        f"refresh of a live frame of {rows / 1e6:.1f} M rows, pd.concat",
        median(times),
        median(concat),
        "ms",
        "< 1 ms",
    )


def count_by_comm(load: Load, rivals: Rivals, effort: Effort) -> Iterator[Row]:
    """CPU that counting by name of the process adds to the traced call, over no tracer."""
    # Longer than the half second in which run statistics are on all the time.
    job = {"calls": 4_000_000, "burst": 10_000}
    figures: dict[str, list[float]] = {"ours": [], "bpftrace": []}
    for _ in range(2 * effort.rounds):
        untraced = load.run(**job).ns_per_call
        with ours(BY_COMM, load.pid):
            figures["ours"].append(load.run(**job).ns_per_call - untraced)
        with rivals.bpftrace(BPFTRACE_COUNT, load.pid):
            figures["bpftrace"].append(load.run(**job).ns_per_call - untraced)
    yield Row(
        "count by comm, per call, bpftrace",
        median(figures["ours"]),
        median(figures["bpftrace"]),
        "ns",
        ">= 1.5x",
    )
