"""Scripts and bpftrace watch the same process at the same time, and see the same.

Both run on this machine's kernel, on tracepoints alone, and look at one process of the
test: everything it does is there twice. Where the numbers are known, they are told too.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ktrace_nb.targets.local import privilege
from tests.kernel.trace.kit import Trace

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(privilege() is None, reason="no privilege to trace this machine's kernel"),
    pytest.mark.skipif(shutil.which("bpftrace") is None, reason="no bpftrace"),
]

WORK = r"""
import os, sys, threading, time
sys.stdin.readline()
for _ in range(1009):
    os.getppid()
out = os.open("/dev/null", os.O_WRONLY)
for size in range(1, 301):
    os.write(out, bytes(size * size))
for n in range(7):
    for _ in range(n):
        try:
            os.open("/nowhere/%d" % n, os.O_RDONLY)
        except FileNotFoundError:
            pass
seen = os.open(sys.executable, os.O_RDONLY)
for n in range(101):
    os.lseek(seen, n * 1000, os.SEEK_SET)
    os.read(seen, 10 + n)
for _ in range(13):
    try:
        os.kill(os.getpid(), 0)
        os.kill(1 << 22, 0)
    except ProcessLookupError:
        pass
threads = [threading.Thread(target=lambda: [os.getppid() for _ in range(211)]) for _ in range(3)]
for thread in threads:
    thread.start()
    thread.join()
for _ in range(5):
    if not os.fork():
        os._exit(3)
    os.wait()
time.sleep(0.01)
"""
"""Calls whose numbers are known, once it is told to begin."""


@dataclass(frozen=True)
class Pair:
    """A script and a program of bpftrace that ask the same.

    ``{}`` in bpftrace's stands for the process id. The script prints a histogram, or
    lines of a key, which may be missing, and a number.
    """

    script: str
    bpftrace: str
    known: dict[str, int] = field(default_factory=dict)
    """What must be among the answers of both."""


OURS = "if (pid() != target()) next;"
PAIRS = {
    "calls are counted": Pair(
        f"global n probe syscall.getppid {{ {OURS} n++ }} probe end {{ println(n) }}",
        "tracepoint:syscalls:sys_enter_getppid /pid == {}/ {{ @ = count(); }}",
        {"": 1009 + 3 * 211},
    ),
    "results are added up": Pair(
        f"global n probe syscall.write.return {{ {OURS} n += returnval() }} probe end {{ println(n) }}",
        "tracepoint:syscalls:sys_exit_write /pid == {}/ {{ @ = sum(args->ret); }}",
    ),
    "calls are counted by an argument": Pair(
        f"""global n probe syscall.write {{ {OURS} n[count]++ }}
        probe end {{ foreach (k in n) println(k, " ", n[k]) }}""",
        "tracepoint:syscalls:sys_enter_write /pid == {}/ {{ @[args->count] = count(); }}",
        {"90000": 1, "49": 1},
    ),
    "the numbers of all calls are counted": Pair(
        f"""global n probe kernel.trace("sys_enter") {{ {OURS} n[$id]++ }}
        probe end {{ foreach (k in n) println(k, " ", n[k]) }}""",
        "tracepoint:raw_syscalls:sys_enter /pid == {}/ {{ @[args->id] = count(); }}",
        {"110": 1009 + 3 * 211},
    ),
    "statistics have sum, least and largest": Pair(
        f"""global s probe syscall.read.return {{ {OURS} s <<< returnval() }}
        probe end {{ println("count ", @count(s)); println("sum ", @sum(s));
                     println("min ", @min(s)); println("max ", @max(s)); println("avg ", @avg(s)) }}""",
        """tracepoint:syscalls:sys_exit_read /pid == {}/ {{
            @count = count(); @sum = sum(args->ret); @min = min(args->ret);
            @max = max(args->ret); @avg = avg(args->ret); }}""",
    ),
    "powers of two are histograms of both": Pair(
        f"global s probe syscall.write {{ {OURS} s <<< count }} probe end {{ print(@hist_log(s)) }}",
        "tracepoint:syscalls:sys_enter_write /pid == {}/ {{ @ = hist(args->count); }}",
        {"65536": 45, "32768": 74},
    ),
    "errors are told by their names": Pair(
        f"""global n probe syscall.openat.return {{ {OURS} if (returnval() < 0) n[errno_str(returnval())]++ }}
        probe end {{ foreach (k in n) println(k == "ENOENT" ? "-2" : k, " ", n[k]) }}""",
        "tracepoint:syscalls:sys_exit_openat /pid == {} && args->ret < 0/ {{ @[args->ret] = count(); }}",
        {"-2": 21},
    ),
    "names of files are read": Pair(
        f"""global n probe syscall.openat {{ {OURS} n[user_string(@choose_defined($filename, 0))]++ }}
        probe end {{ foreach (k in n) println(k, " ", n[k]) }}""",
        "tracepoint:syscalls:sys_enter_openat /pid == {}/ {{ @[str(args->filename)] = count(); }}",
        {f"/nowhere/{n}": n for n in range(1, 7)} | {"/dev/null": 1},
    ),
    "threads are told apart": Pair(
        f"""global n probe syscall.getppid {{ {OURS} n[tid()]++ }}
        probe end {{ foreach (k in n) println(k, " ", n[k]) }}""",
        "tracepoint:syscalls:sys_enter_getppid /pid == {}/ {{ @[tid] = count(); }}",
    ),
    "an argument is known at the return": Pair(
        f"""global n probe syscall.lseek.return {{ {OURS} n[@entry($whence)] += returnval() }}
        probe end {{ foreach (k in n) println(k, " ", n[k]) }}""",
        """tracepoint:syscalls:sys_enter_lseek /pid == {0}/ {{ @how[tid] = args->whence; }}
        tracepoint:syscalls:sys_exit_lseek /pid == {0}/ {{
            @[@how[tid]] = sum(args->ret); delete(@how[tid]); }}""",
    ),
    "entries and returns are paired": Pair(
        f"""global begun, n
        probe syscall.kill {{ {OURS} begun[tid()] = sig + 1 }}
        probe syscall.kill.return {{ {OURS} if (begun[tid()]) n[returnval()]++; delete begun[tid()] }}
        probe end {{ foreach (k in n) println(k, " ", n[k]) }}""",
        """tracepoint:syscalls:sys_enter_kill /pid == {0}/ {{ @begun[tid] = 1; }}
        tracepoint:syscalls:sys_exit_kill /@begun[tid]/ {{ @[args->ret] = count(); delete(@begun[tid]); }}""",
        {"0": 13, "-3": 13},
    ),
    "children are counted": Pair(
        """global n probe kernel.trace("sched_process_fork") { if ($parent->tgid == target()) n++ }
        probe end { println(n) }""",
        "tracepoint:sched:sched_process_fork /pid == {}/ {{ @ = count(); }}",
        {"": 5 + 3},
    ),
    "names of processes are strings": Pair(
        """global n probe kernel.trace("sched_process_exit") { if ($p->real_parent->tgid == target())
            n[kernel_string($p->comm)]++ }
        probe end { foreach (k in n) println(k, " ", n[k]) }""",
        "tracepoint:sched:sched_process_exit /curtask->real_parent->tgid == {} && pid == tid/ "
        "{{ @[comm] = count(); }}",
    ),
}


class Bpftrace:
    """One bpftrace process."""

    def __init__(self, program: str, folder: Path) -> None:
        # It finds tracepoints where tracefs is mounted: here for itself alone.
        mount = 'mount -t tracefs t /sys/kernel/tracing 2>/dev/null; exec "$@"'
        ready = 'BEGIN { printf("ready\\n"); } '
        command = ["bpftrace", "-f", "json", "-B", "none", "-e", ready + program]
        self._errors = folder / "errors"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", mount, "sh", *command],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout is not None
        line = ""
        while "ready" not in line:
            line = self._process.stdout.readline()
            assert line, self._errors.read_text()
        time.sleep(0.2)  # BEGIN runs before the other probes are there

    def end(self) -> dict[str, int]:
        """What its table ``@`` has, and its tables that are single numbers, by their names."""
        self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate(timeout=30)
        found: dict[Any, Any] = {}
        for message in (json.loads(line) for line in output.splitlines() if line.startswith("{")):
            for table, value in (
                message["data"].items() if message["type"] in ("map", "hist", "stats") else ()
            ):
                if isinstance(value, list):
                    found |= {bucket["min"]: bucket["count"] for bucket in value if bucket["count"]}
                elif not isinstance(value, dict):
                    found[table[1:]] = value
                elif table == "@":
                    found |= value
        return {str(key): int(number) for key, number in found.items()}


def answers(text: str) -> dict[str, int]:
    """The lines that a script printed."""
    if "|---" in text:
        rows = re.findall(r"^ *(-?\d+) \|@* +(\d+)$", text, re.MULTILINE)
        return {low: int(count) for low, count in rows if count != "0"}
    pairs = (line.rpartition(" ") for line in text.splitlines())
    return {key: int(number) for key, _, number in pairs}


@pytest.mark.parametrize("name", PAIRS)
def test_both_see_the_same(name: str, trace: Trace, tmp_path: Path) -> None:
    pair = PAIRS[name]
    process = subprocess.Popen(
        [sys.executable, "-c", WORK], stdin=subprocess.PIPE, env={"PYTHONDONTWRITEBYTECODE": "1"}
    )
    time.sleep(0.3)  # until it waits for its line
    theirs = Bpftrace(pair.bpftrace.format(process.pid), tmp_path)
    try:
        session = trace(pair.script, language="stap", target="local", pid=process.pid, wait=False)
        process.communicate(b"\n", timeout=60)
        session.stop()
    finally:
        wanted = theirs.end()
        process.kill()
    ours = answers(session.text)
    assert ours == wanted
    assert pair.known.items() <= ours.items()
    assert sum(ours.values()) != 0
    assert session.ledger["lost"].sum() == 0
