"""From Shift-Enter to the first row, and beside it bpftrace and bcc doing the same job.

    python benchmarks/first_row.py [--runs N]

The lab and the compiler worker are warm, as they are in a notebook after its
first cell. On the host, the same tracepoint cell runs three ways, restricted to a
process of this benchmark. Figures are medians in seconds; compare ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from math import nan
from pathlib import Path

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.source import Source
from ktrace_nb.targets.base import close_targets, get_target

LAB_CELL = (Path(__file__).parent.parent / "examples/reads/read-sizes.c").read_text()
HOST_CELL = """
BPF_HASH(calls, u32);
TRACEPOINT_PROBE(raw_syscalls, sys_enter) {
    if (bpf_get_current_pid_tgid() >> 32 == PID) calls.increment(PID);
    return 0;
}
"""
BPFTRACE = 'tracepoint:raw_syscalls:sys_enter /pid == PID/ { printf("first\\n"); exit(); }'
BCC = f"""
import sys, time
from bcc import BPF
b = BPF(text='''{HOST_CELL}'''.replace("PID", sys.argv[1]))
while not len(b["calls"]):
    time.sleep(0.005)
print("first", flush=True)
"""
# Neither finds tracepoints where nobody has mounted the tracing files; ours mounts them
# for itself alone, and so does this.
PRIVATE = ["unshare", "-m", "sh", "-c", 'mount -t tracefs t /sys/kernel/tracing 2>/dev/null; exec "$@"', "sh"]


def first_row(cell: str, frame: str, options: Options) -> float:
    started = time.perf_counter()
    session = engine.start(Source(cell), options)
    while not len(session.frame(frame)):
        time.sleep(0.002)
    elapsed = time.perf_counter() - started
    session.stop()
    return elapsed


def in_lab(cell: str) -> float:
    return first_row(cell, "bytes", Options(command="cat /etc/passwd /etc/group"))


def on_host(cell: str, pid: int) -> float:
    return first_row(cell.replace("PID", str(pid)), "calls", Options(target="local"))


def first_output(command: list[str], **environment: str) -> float:
    started = time.perf_counter()
    with subprocess.Popen(
        [*PRIVATE, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    ) as process:
        assert process.stdout is not None
        while b"first" not in (line := process.stdout.readline()):
            assert line or process.poll() is None, f"{command[0]} ended without output"
        elapsed = time.perf_counter() - started
        process.kill()
    return elapsed


def merged_headers(folder: str) -> bool:
    """Lay the installed header packages over each other, as bcc wants them.

    They may be another kernel's: this cell reads nothing of its structures.
    """
    packages = sorted(map(str, Path("/usr/src").glob("linux-headers-*")), key=len)
    for package in packages:
        subprocess.run(["cp", "-rsn", f"{package}/.", folder], check=True)
    return bool(packages)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    get_target("lab")
    in_lab(LAB_CELL)

    def median(job: Callable[[int], float]) -> float:
        return statistics.median(map(job, range(runs)))

    # A comment makes a text that was never seen: headers and bytecode are made anew.
    stamp = time.time_ns()
    unseen = median(lambda i: in_lab(f"{LAB_CELL}// {stamp} {i}"))
    seen = median(lambda i: in_lab(LAB_CELL))
    print(f"lab, cell never seen      {unseen:6.3f} s   (to reach 1.0)")
    print(f"lab, unchanged cell       {seen:6.3f} s   (to reach 0.5)   {unseen / seen:.1f}x faster")

    busy = subprocess.Popen(
        [sys.executable, "-c", "import os, time\nwhile 1: os.getppid(); time.sleep(0.001)"]
    )
    try:
        get_target("local")
        ours = median(lambda i: on_host(f"{HOST_CELL}// {stamp} {i}", busy.pid))
        cached = median(lambda i: on_host(HOST_CELL, busy.pid))
        script = BPFTRACE.replace("PID", str(busy.pid))
        bpftrace = median(lambda i: first_output(["bpftrace", "-B", "none", "-e", script]))
        with tempfile.TemporaryDirectory() as tree:
            bcc = nan
            if merged_headers(tree):
                command = ["/usr/bin/python3", "-c", BCC, str(busy.pid)]
                bcc = median(lambda i: first_output(command, BCC_KERNEL_SOURCE=tree))
    finally:
        busy.kill()
        busy.wait()
    print(f"host, cell never seen     {ours:6.3f} s")
    print(f"host, unchanged cell      {cached:6.3f} s")
    print(f"host, bpftrace            {bpftrace:6.3f} s   {bpftrace / ours:.1f}x ours")
    print(
        f"host, bcc                 {bcc:6.3f} s   {bcc / ours:.1f}x ours (nan: no header packages installed)"
    )


def on_this_kernel(main: Callable[[], None]) -> None:
    """Run a benchmark that traces this machine, and let go of everything after it."""
    if os.geteuid() != 0:
        sys.exit("the comparison on the host needs root")
    try:
        main()
    finally:
        close_targets()
        engine.close()


if __name__ == "__main__":
    on_this_kernel(main)
