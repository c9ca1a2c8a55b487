"""Rows of the streaming table about events: CPU, rates, what the traced call pays, the serial port.

Every comparison takes turns: untraced, ours, theirs, and again; medians are shown.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import nan

from benchmarks.streaming_cells import BPFTRACE_PRINTF, PERF, RING, SLOTS, for_load
from benchmarks.streaming_kit import Bcc, Load, OnDemand, OurCpu, Rivals, median, ours, touch_memory
from ktrace_nb.agent import bpf
from ktrace_nb.session import Session


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. The ratio is how many times better ours is."""

    what: str
    ours: float
    theirs: float
    unit: str
    goal: str = ""
    more_is_better: bool = False

    @property
    def ratio(self) -> float:
        """How many times better ours is; nan if there is nothing to compare with."""
        if not self.ours or not self.theirs:
            return nan
        return self.ours / self.theirs if self.more_is_better else self.theirs / self.ours


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int
    seconds: float
    """Of one flood."""
    largest_map: int


def delivered_of(session: Session) -> int:
    """Events that arrived here, as the ledger has it."""
    return int(session.ledger["delivered"].to_dict()["events"])


def bcc_stream(bcc: Bcc, load: Load, **job: float) -> tuple[dict[str, float], float]:
    """Let bcc take a load's events; its report, and the CPU nanoseconds of a call meanwhile."""
    bcc.ask()
    burst = load.run(**job)  # type: ignore[arg-type]
    return bcc.ask(), burst.ns_per_call


def consumer(load: Load, rivals: Rivals, effort: Effort) -> Iterator[Row]:
    """CPU per event from the ring to the frame, everything that arrives counted.

    The load is paced to a rate that bcc can just follow, and the same for all. Ours:
    CPU of the agent and of this process from the first call to the finished frame,
    the end of the session included. bcc: CPU of its process, likewise.
    """
    rate, fast_rate = 300_000, 1_000_000
    calls = round(rate * effort.seconds)
    figures: dict[str, list[float]] = {"ours": [], "fast": [], "agent": [], "event": [], "raw": []}
    for _ in range(effort.rounds):
        for name, speed in (("ours", rate), ("fast", fast_rate)):
            touch_memory()
            with ours(RING, load.pid) as session:
                cpu = OurCpu(session.target.hello.pid)
                load.run(calls * speed // rate, rate=speed)
                session.stop()
                rows = len(session.frame("events"))
                figures[name].append(cpu.stop() / rows)
                if name == "fast":
                    figures["agent"].append(cpu.agent_ns / rows)
        for job in ("ring", "raw") if rivals.has_bcc else ():
            touch_memory()
            with rivals.bcc(job, for_load(RING, load.pid)) as bcc:
                report, _ = bcc_stream(bcc, load, calls=calls, rate=rate)
                figures["event" if job == "ring" else "raw"].append(report["cpu_ns"] / report["delivered"])
    ours_ns, fast = median(figures["ours"]), median(figures["fast"])
    event, raw = median(figures["event"]), median(figures["raw"])
    yield Row(
        f"CPU per event to the frame, {rate:,}/s, bcc event()", ours_ns, event, "ns", ">= 20x, <= 150 ns"
    )
    yield Row("... bcc string_at + numpy", ours_ns, raw, "ns", "beside it")
    yield Row(f"... ours at {fast_rate:,}/s, bcc event() as above", fast, event, "ns", ">= 20x, <= 150 ns")
    yield Row("... of which our agent", median(figures["agent"]), nan, "ns")


def sustained(load: Load, _: Rivals, effort: Effort) -> Iterator[Row]:
    """The highest rate of one producer at which the ledger shows no loss.

    From flat out downwards; each rate has three tries, because the machine is not ours
    alone. The figure is the rate the producer came to.
    """
    calls = round(1_500_000 * effort.seconds)
    best, wanted = nan, 0
    for wanted in (
        0,
        3_000_000,
        2_500_000,
        2_000_000,
        1_500_000,
        1_250_000,
        1_000_000,
        750_000,
        500_000,
        250_000,
    ):
        rates = []
        for _try in range(3):
            with ours(RING, load.pid) as session:
                burst = load.run(calls, rate=wanted)
                session.stop(60)
                if delivered_of(session) == burst.calls:
                    rates.append(burst.calls / burst.wall_s / 1e6)
        if rates:
            best = max(rates)
            break
    how = f"paced to {wanted:,}/s" if wanted else "flat out"
    yield Row(f"sustained, nothing lost ({how})", best, nan, "M/s", ">= 1", more_is_better=True)


def flat_out(load: Load, rivals: Rivals, effort: Effort) -> Iterator[Row]:
    """Events delivered per second while the producer calls as fast as it can.

    The time runs until the last event is in a frame (of bpftrace: as long as the producer),
    so what a large ring still holds when the producer ends is no gain.
    """
    seconds = effort.seconds
    figures: dict[str, list[float]] = {"ours": [], "lost": [], "ring": [], "perf": [], "bpftrace": []}
    for _ in range(effort.rounds):
        with ours(RING, load.pid) as session:
            began = time.monotonic()
            burst = load.run(seconds=seconds)
            session.stop(60)
            session.frame("events")
            elapsed = time.monotonic() - began
            delivered = delivered_of(session)
            figures["ours"].append(delivered / elapsed)
            figures["lost"].append(100 * (1 - delivered / burst.calls))
        for job, text in (("ring", RING), ("perf", PERF)) if rivals.has_bcc else ():
            with rivals.bcc(job, for_load(text, load.pid)) as bcc:
                report, _ns = bcc_stream(bcc, load, seconds=seconds)
                figures[job].append(report["delivered"] / report["wall_s"])
        with rivals.bpftrace(BPFTRACE_PRINTF, load.pid) as bpftrace:
            began = time.monotonic()
            load.run(seconds=seconds)
            elapsed = time.monotonic() - began
            figures["bpftrace"].append(bpftrace.end() / elapsed)
    rate = median(figures["ours"]) / 1e3
    lost = median(figures["lost"])
    for job, what, goal in (
        ("ring", f"delivered flat out ({lost:.0f} % lost), bcc ring", ">= 5x"),
        ("perf", "... bcc perf", ">= 20x"),
        ("bpftrace", "... bpftrace printf", ">= 20x"),
    ):
        yield Row(what, rate, median(figures[job]) / 1e3, "k/s", goal, more_is_better=True)


def slow_down(load: Load, rivals: Rivals, effort: Effort) -> Iterator[Row]:
    """CPU that a streamed event adds to the traced call, over the call without any tracer.

    Paced, so that the other tools can follow and every event really is streamed: what a
    full buffer refuses is cheaper than what it takes.
    """
    job = {"calls": round(20_000 * effort.seconds), "burst": 500, "rate": 20_000}
    figures: dict[str, list[float]] = {"ours": [], "perf": [], "bpftrace": []}
    for _ in range(effort.rounds):
        untraced = load.run(**job).ns_per_call
        with ours(RING, load.pid):
            figures["ours"].append(load.run(**job).ns_per_call - untraced)
        if rivals.has_bcc:
            with rivals.bcc("perf", for_load(PERF, load.pid)) as bcc:
                _report, ns = bcc_stream(bcc, load, **job)
                figures["perf"].append(ns - untraced)
        with rivals.bpftrace(BPFTRACE_PRINTF, load.pid) as bpftrace:
            figures["bpftrace"].append(load.run(**job).ns_per_call - untraced)
            assert bpftrace.end(), "bpftrace traced nothing"
    for name, what in (
        ("perf", "slow-down of the traced call per event, bcc perf"),
        ("bpftrace", "... bpftrace printf"),
    ):
        yield Row(what, median(figures["ours"]), median(figures[name]), "ns", ">= 20x")


def latency(load: Load, _: Rivals, effort: Effort) -> Iterator[Row]:
    """From a single event to its row in the notebook, when nothing else happens."""
    for cell, what in ((RING, "a lone event to its row, ring"), (PERF, "... perf buffer")):
        times = []
        with ours(cell, load.pid) as session:
            stream = session.outputs.streams["events"]
            for _round in range(10 * effort.rounds):
                before = stream.arrived
                load.run(1)
                began = time.monotonic()
                while stream.arrived == before:
                    time.sleep(0.0005)
                times.append(1e3 * (time.monotonic() - began))
                time.sleep(0.15)
        yield Row(what, median(times), nan, "ms")


def run_statistics(load: Load, _: Rivals, effort: Effort) -> Iterator[Row]:
    """CPU that the kernel's run statistics add to a call that one program looks at.

    A session holds them for a tenth of the time once its programs run often; here they
    are also held all the time, and the two are compared.
    """
    job = {"calls": 2_000_000, "burst": 10_000}
    added = []
    for _round in range(effort.rounds):
        with ours(SLOTS, load.pid):
            load.run(**job)
            sampled = load.run(**job).ns_per_call
            held = bpf.enable_run_stats()
            try:
                added.append(load.run(**job).ns_per_call - sampled)
            finally:
                os.close(held)
    yield Row("run statistics on all the time, per call", median(added), nan, "ns")


LAB = """
struct event { u64 at; u64 number; u64 id; u32 pid; u32 cpu; };
BPF_RINGBUF_OUTPUT(events, 2048);
RAW_TRACEPOINT_PROBE(sys_enter) {
    if (ctx->args[1] != __NR_GETPPID) return 0;
    u64 at = bpf_ktime_get_ns(), id = bpf_get_current_pid_tgid();
    u32 cpu = bpf_get_smp_processor_id();
    #pragma unroll
    for (int i = 0; i < 100; i++) {
        struct event *e = events.ringbuf_reserve(sizeof(struct event));
        if (!e) return 0;
        e->at = at; e->number = i; e->id = id; e->pid = id >> 32; e->cpu = cpu;
        events.ringbuf_submit(e, BPF_RB_NO_WAKEUP);
    }
    return 0;
}
"""
LAB_EVENTS = 200_000  # of 40 bytes each, in a ring of 8 MiB


def lab_port(_: Load, __: Rivals, effort: Effort) -> Iterator[Row]:
    """Events from the lab's ring into a frame, through the serial port.

    A program fills the ring, 100 events at each getppid(2), while nothing is collected;
    then it is emptied, so that the guest's one CPU has nothing else to do. The time
    ends with the frame.
    """
    rates = []
    script = f"python3 -c 'import os\nfor i in range({LAB_EVENTS // 100}): os.getppid()'"
    session = OnDemand.of(for_load(LAB, 0), "lab")
    try:
        rows = 0
        for _round in range(3 * effort.rounds):
            session.workload(script)
            began = time.monotonic()
            while session.collect(with_maps=False):
                pass
            frame = session.frame("events")
            elapsed = time.monotonic() - began
            rates.append((len(frame) - rows) / elapsed / 1e6)
            rows = len(frame)
    finally:
        session.close()
    yield Row("lab to frame, 32-byte events", median(rates), nan, "M/s", ">= 2", more_is_better=True)
    yield Row("... the best of them", max(rates), nan, "M/s", ">= 2", more_is_better=True)
