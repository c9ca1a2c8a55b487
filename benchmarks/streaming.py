"""Events and maps at the kernel's pace: ours beside bcc and bpftrace in one run.

    python -m benchmarks.streaming [--quick] [--only WORD ...]

One line per claim: our figure, the other tool's of the same run, how many times
better ours is, and what is to be reached. Costs are CPU time as the kernel accounts
it, because the machine may be busy; rates are by the clock. The traced process is
``load.c``, started here; every program is filtered by its process id. How each figure
comes about is told where it is measured, in ``streaming_events.py`` and
``streaming_maps.py``. nan: the tool cannot run here (bcc needs a kernel's header
packages under /usr/src; any kernel's, these programs use nothing of them).
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from math import isnan

from benchmarks import streaming_events, streaming_maps
from benchmarks.first_row import on_this_kernel
from benchmarks.streaming_events import Effort, Row
from benchmarks.streaming_kit import Load, Rivals

Measure = Callable[[Load, Rivals, Effort], Iterator[Row]]
MEASURES: tuple[Measure, ...] = (
    streaming_events.consumer,
    streaming_events.sustained,
    streaming_events.flat_out,
    streaming_events.slow_down,
    streaming_events.latency,
    streaming_events.run_statistics,
    streaming_maps.large_maps,
    streaming_maps.slots,
    streaming_maps.live_frame,
    streaming_maps.count_by_comm,
    streaming_events.lab_port,
)


def show(row: Row) -> None:
    theirs = "" if isnan(row.theirs) else f"{row.theirs:,.2f}"
    ratio = "" if isnan(row.ratio) else f"{row.ratio:,.1f}x"
    print(f"{row.what:<58}{row.ours:>11,.2f}{theirs:>12} {row.unit:<4}{ratio:>11}  {row.goal}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds, shorter floods, no map of a million keys"
    )
    parser.add_argument("--only", nargs="+", metavar="WORD", help=", ".join(m.__name__ for m in MEASURES))
    options = parser.parse_args()
    effort = Effort(1, 1, 100_000) if options.quick else Effort(3, 3, 1_000_000)
    print(f"{os.cpu_count()} CPUs, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}")
    print(f"{'':<58}{'ours':>11}{'theirs':>12} {'':<4}{'ratio':>11}  to reach")
    with tempfile.TemporaryDirectory() as folder:
        load, rivals = Load(folder), Rivals(folder)
        try:
            for measure in MEASURES:
                if not options.only or measure.__name__ in options.only:
                    for row in measure(load, rivals, effort):
                        show(row)
        finally:
            load.close()


if __name__ == "__main__":
    on_this_kernel(main)
