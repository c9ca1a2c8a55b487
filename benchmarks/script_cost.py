"""Rows of the script table about the cost of an event: CPU in the program, by the kernel's run statistics."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

from benchmarks.script_texts import COSTS, LAB_COSTS
from benchmarks.streaming_cells import for_load
from benchmarks.streaming_kit import Load, Rivals, median
from ktrace_nb import engine
from ktrace_nb.agent import bpf
from ktrace_nb.engine import Options
from ktrace_nb.source import Source

CALLS = 1_000_000
LAB_WRITES = 30_000

_RUNS = re.compile(r"^run_time_ns:\s*(\d+)\nrun_cnt:\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; less is better."""

    what: str
    script: float
    c: float = nan
    unit: str = ""
    goal: str = ""

    def text(self) -> str:
        """The line."""
        c = "" if isnan(self.c) else f"{self.c:,.1f}"
        ratio = "" if isnan(self.c) else f"{self.script / self.c:,.2f}x"
        return f"{self.what:<58}{self.script:>11,.1f}{c:>12} {self.unit:<4}{ratio:>8}  {self.goal}"


def runs_of(pid: int) -> tuple[int, int]:
    """Nanoseconds and runs of all programs that a process holds, while the statistics were on."""
    ns = runs = 0
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        for found in _RUNS.findall(file.read_text()):
            ns, runs = ns + int(found[0]), runs + int(found[1])
    return ns, runs


def _per_run(pid: int, load: Load) -> float:
    """Nanoseconds of a run of a process's program while the load calls."""
    load.run(CALLS // 10)
    held = bpf.enable_run_stats()
    try:
        before = runs_of(pid)
        load.run(CALLS)
        after = runs_of(pid)
    finally:
        os.close(held)
    assert after[1] - before[1] >= CALLS
    return (after[0] - before[0]) / (after[1] - before[1])


def on_this_machine(load: Load, rivals: Rivals, rounds: int) -> Iterator[Row]:
    """Raw tracepoints of getppid(2) of one process: the script, the cell, and the cell in bcc itself.

    The statistics' own reading of the clock is in every figure. Runs for the calls of other
    processes, which all texts refuse alike, are few beside those of the load. bcc is
    nan where it cannot run.
    """
    for what, (script, cell) in COSTS.items():
        figures: dict[str, list[float]] = {"stap": [], "c": [], "bcc": []}
        for _ in range(rounds):
            for language, text in (("stap", script), ("c", cell)):
                session = engine.start(
                    Source(for_load(text, load.pid)), Options(target="local", language=language)
                )
                try:
                    figures[language].append(_per_run(session.target.hello.pid, load))
                finally:
                    session.stop()
            with rivals.bcc("maps", for_load(cell, load.pid)) if rivals.has_bcc else nullcontext() as bcc:
                if bcc is not None:
                    figures["bcc"].append(_per_run(bcc.pid, load))
        ours = median(figures["stap"])
        yield Row(f"{what}, a run, C cell", ours, median(figures["c"]), "ns", "<= 1.3x")
        yield Row("... bcc", ours, median(figures["bcc"]), "ns", "<= 1.3x")


def in_the_lab(load: Load, rivals: Rivals, rounds: int) -> Iterator[Row]:
    """Every write of dd, in the lab: the script and the cell."""
    command = f"dd if=/dev/zero of=/dev/null bs=64 count={LAB_WRITES}"
    for what, texts in LAB_COSTS.items():
        figures: dict[str, list[float]] = {"stap": [], "c": []}
        for _ in range(rounds):
            for language, text in zip(figures, texts, strict=True):
                options = Options(target="lab", language=language, command=command)
                session = engine.start(Source(text), options)
                assert session.wait(60) and session.state == "done", session.message
                probes = session.probes
                assert probes["hits"].sum() >= LAB_WRITES
                figures[language].append(float(probes["ns_per_hit"].iloc[0]))
                time.sleep(0.1)
        yield Row(f"{what}, a run in the lab", median(figures["stap"]), median(figures["c"]), "ns", "<= 1.3x")
