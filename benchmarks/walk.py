"""What it takes to watch every call of a file system, beside bcc and bpftrace.

    python -m benchmarks.walk [--quick] [--only WORD ...] [--pattern 'ext4_*']

One line per claim: our figure, the other tool's of the same run, how many times ours goes into
it, and what is to be reached. Everything runs in the labs, under QEMU's translator where there
is no KVM: trust ratios. bcc and bpftrace are this machine's own, taken into the lab on a
disk (``walk_rivals``); nan stands where they are not installed. The lab and the compiler are warm.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isnan, nan

from benchmarks.streaming_kit import median
from benchmarks.walk_rivals import Attached, Rivals, rivals_in
from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.ir.calls import FENTRY, GRAPH, KPROBE, KPROBE_MULTI
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.starting import load
from ktrace_nb.targets.base import close_targets, get_target
from ktrace_nb.targets.lab import LabTarget

LABS = {"lab": (KPROBE_MULTI, GRAPH, KPROBE), "lab:lab-6.1": (GRAPH, KPROBE)}
"""Where, and the means that many functions are attached by there."""

STATS = 20_000
LOAD_FUNCTIONS = "ext4_getattr,ext4_file_getattr"
"""What stat(2) of a file calls: two calls each, one inside the other."""

LOAD = """
import os, sys, time
count = int(sys.argv[1])
for _ in range(1000):
    os.stat("/mnt/ext3/README")
began, cpu = time.monotonic_ns(), time.process_time_ns()
for _ in range(count):
    os.stat("/mnt/ext3/README")
print(time.process_time_ns() - cpu, time.monotonic_ns() - began)
"""
_unseen = (f"-DUNSEEN={time.time_ns()}{n}" for n in itertools.count())


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; less is better, unless the unit is a rate."""

    what: str
    ours: float
    other: float = nan
    unit: str = "s"
    goal: str = ""

    def text(self) -> str:
        """The line."""
        other = "" if isnan(self.other) else f"{self.other:,.2f}"
        ratio = "" if isnan(self.other) else f"{self.other / self.ours:,.1f}x"
        return f"{self.what:<64}{self.ours:>12,.2f}{other:>10} {self.unit:<8}{ratio:>8}  {self.goal}"


@dataclass(frozen=True, slots=True)
class Place:
    """A lab with the other tools in it."""

    target: LabTarget
    rivals: Rivals | None

    def options(self, pattern: str, means: str, command: str | None = None) -> Options:
        """Record every call of a pattern."""
        return Options(target=self.target.name, calls=(pattern,), means=means, command=command, text="none")


def attached(place: Place, pattern: str, means: str) -> Attached:
    """Attach and let go, by one of our means."""
    options = place.options(pattern, means)
    built = engine.compile_for(place.target, engine.lower(Source(""), options), options)
    facts = engine.facts_of(place.target)
    session = Session("benchmark", place.target, facts, built, options, text="none")
    call = place.target.connection.call
    call("open", session=session._id)
    try:
        load(place.target.connection.call, session._id, built)
        began = time.perf_counter()
        session._attach()
        done = time.perf_counter()
        call("detach", session=session._id, timeout_s=300)
        gone = time.perf_counter()
    finally:
        session._let_go()
    assert built.program.walk is not None
    return Attached(len(built.program.walk.functions), done - began, gone - done)


def attaching(place: Place, pattern: str, rounds: int) -> Iterator[Row]:
    """Entry and return of every function of the pattern: attached, and none attached any more."""
    rivals: dict[str, Attached | None] = {
        tool: place.rivals.attach(tool, pattern) if place.rivals else None for tool in ("bcc", "bpftrace")
    }
    for means in LABS[place.target.name]:
        # Hundreds of single probes take seconds, whichever way; once will do.
        runs = [attached(place, pattern, means) for _ in range(1 if means == KPROBE else rounds)]
        goal = {KPROBE_MULTI: "<= 0.5", GRAPH: "<= 2"}.get(means, "")
        for tool, other in rivals.items():
            many = ", all at once" if other and tool == "bpftrace" and other.single == 0 else ""
            for what in ("attach", "detach"):
                ours = median([getattr(run, f"{what}_s") for run in runs])
                theirs = getattr(other, f"{what}_s") if other else nan
                yield Row(
                    f"{what} {runs[0].functions} functions, {means}; {tool}{many}", ours, theirs, goal=goal
                )


def starting(place: Place, pattern: str, rounds: int) -> Iterator[Row]:
    """From Shift-Enter to everything attached."""
    for means in LABS[place.target.name][:1]:
        options = place.options(pattern, means)
        times: dict[str, list[float]] = {"unchanged": [], "never seen": []}
        for _ in range(rounds):
            for what in times:
                cflags = (next(_unseen),) if what == "never seen" else ()
                began = time.perf_counter()
                session = engine.start(Source(""), replace(options, cflags=cflags))
                times[what].append(time.perf_counter() - began)
                session.stop(60)
        for what, found in times.items():
            yield Row(f"from the cell to attached, {means}, {what}", median(found), goal="<= 1")


def _load(count: int) -> str:
    return f"python3 -I -S /tmp/load.py {count}"


def _untraced(place: Place, count: int) -> float:
    """Nanoseconds of CPU of a stat(2) that nobody watches."""
    reply = place.target.connection.call("exec", argv=["sh", "-c", _load(count)])
    return int(reply.blob.split()[0]) / count


def _traced(place: Place, means: str, count: int) -> tuple[float, Session]:
    session = engine.start(Source(""), place.options(LOAD_FUNCTIONS, means, _load(count)))
    assert session.wait(300) and session.state == "done", session.message
    return int(session.stdout.split()[0]) / count, session


def costs(place: Place, pattern: str, rounds: int) -> Iterator[Row]:
    """What a recorded call costs the program that is watched: entry, return and record of both."""
    place.target.connection.call("put", LOAD.encode(), path="/tmp/load.py")
    every = (FENTRY, *LABS[place.target.name])
    found: dict[str, list[float]] = {means: [] for means in ("", *every)}
    rates: dict[str, list[float]] = {means: [] for means in every}
    lost = dict.fromkeys(every, 0)
    for _ in range(rounds):
        found[""].append(_untraced(place, STATS))
        for means in every:
            ns, session = _traced(place, means, STATS)
            found[means].append(ns)
            calls = session.frame("calls")
            assert session.losses or len(calls) >= 2 * (STATS + 1000), len(calls)
            lost[means] += sum(session.losses.values())
            rates[means].append(2 * STATS / (int(session.stdout.split()[1]) / 1e9))
    plain = median(found[""])
    yield Row("a stat(2), untraced", plain / 1e3, unit="µs")
    for means in every:
        cost = (median(found[means]) - plain) / 2
        yield Row(f"a recorded call, {means}; that of single kprobes", cost / 1e3,
                  (median(found[KPROBE]) - plain) / 2e3, "µs")  # fmt: skip
        yield Row(f"... calls recorded in a second; {lost[means]:,} lost", median(rates[means]), unit="/s",
                  goal="0 lost")  # fmt: skip


MEASURES = (attaching, starting, costs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round of each")
    parser.add_argument("--only", nargs="+", metavar="WORD", help=", ".join(m.__name__ for m in MEASURES))
    parser.add_argument("--labs", nargs="+", choices=LABS, default=list(LABS))
    parser.add_argument("--pattern", default="ext4_*", help="default: %(default)s")
    words = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}")
    print(f"{'':<64}{'ours':>12}{'other':>10} {'':<8}{'ratio':>8}  to reach")
    try:
        for name in words.labs:
            target = get_target(name)
            assert isinstance(target, LabTarget)
            print(f"{name}: Linux {target.hello.kernel}, {target.machine.record.accelerator.upper()}")
            with rivals_in(target, target.machine) as rivals:
                place = Place(target, rivals)
                for measure in MEASURES:
                    if not words.only or measure.__name__ in words.only:
                        for row in measure(place, words.pattern, 1 if words.quick else 5):
                            print(row.text(), flush=True)
    finally:
        close_targets()
        engine.close()


if __name__ == "__main__":
    main()
