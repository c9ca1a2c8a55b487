"""Walks of workloads that are hard to follow; how many calls there are is known from the workload."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ktrace_nb.session import Session
from tests.kernel.trace.kit import KERNELS, Guest, Trace

pytestmark = pytest.mark.kernel

STAT = "ext4_file_getattr,ext4_getattr"
"""stat(2) of a file calls the first, which calls the second; of a folder the second alone."""

PYTHON = """python3 -I -S - <<'END'
import json, os, signal, threading, time
said = {}
PROGRAM
print(json.dumps(said))
END"""


def walked(trace: Trace, program: str, calls: str, **options: Any) -> tuple[Session, dict[str, Any]]:
    """Record the calls of a Python program; the session, and what the program said."""
    session = trace("", calls=(calls,), command=PYTHON.replace("PROGRAM", program), text="none", **options)
    assert session.workload_status == 0, session.stderr
    return session, json.loads(session.stdout)


def check_nesting(calls: pd.DataFrame) -> None:
    """Every call lies within the one it was made from, of the same thread."""
    inner = calls[calls["parent"] >= 0]
    outer = calls.loc[inner["parent"]]
    assert (outer["tid"].to_numpy() == inner["tid"].to_numpy()).all()
    assert (outer["depth"].to_numpy() + 1 == inner["depth"].to_numpy()).all()
    ends = calls["start_ns"] + calls["duration_ns"].fillna(np.iinfo(np.int64).max // 2)
    assert (calls["start_ns"].loc[inner.index].to_numpy() >= outer["start_ns"].to_numpy()).all()
    assert (ends.loc[inner.index].to_numpy() <= ends.loc[inner["parent"]].to_numpy()).all()
    known = calls[calls["duration_ns"].notna() & calls["self_ns"].notna()]
    assert (known["self_ns"] >= 0).all() and (known["self_ns"] <= known["duration_ns"]).all()


def check_stats(calls: pd.DataFrame, tid: int, count: int, *, exactly: bool = True) -> None:
    """A thread's stat(2) calls are all there, each with the other inside."""
    mine = calls[calls["tid"] == tid]
    outer = mine[mine["function"] == "ext4_file_getattr"]
    inner = mine[(mine["function"] == "ext4_getattr") & (mine["parent"] >= 0)]
    assert len(outer) == count if exactly else len(outer) >= count
    assert sorted(inner["parent"].tolist()) == outer.index.tolist()
    assert (mine["state"] == "returned").all()
    assert (mine["return"] == "0").all()


def test_two_hundred_threads_at_once(trace: Trace) -> None:
    program = """
ready, tids = threading.Barrier(200), []
def work(number):
    ready.wait()
    for _ in range(11):
        os.stat("/mnt/ext3/docs/note%02d.txt" % (number % 40))
    tids.append(threading.get_native_id())
threading.stack_size(1 << 16)
threads = [threading.Thread(target=work, args=(number,)) for number in range(200)]
for thread in threads: thread.start()
for thread in threads: thread.join()
said["tids"], said["pid"] = tids, os.getpid()
"""
    session, said = walked(trace, program, STAT)
    assert not session.losses
    calls = session.frame("calls")
    assert len(set(said["tids"])) == 200
    for tid in said["tids"]:
        check_stats(calls, tid, 11)
    assert set(calls[calls["tid"].isin(said["tids"])]["pid"]) == {said["pid"]}
    check_nesting(calls)


def test_signals_and_busy_neighbours_on_one_processor(trace: Trace) -> None:
    # Handlers make calls of their own between any two instructions of the program; the neighbours
    # take the processor away in the middle of calls.
    program = """
hits = 0
def on_alarm(*_):
    global hits
    hits += 1
    os.stat("/mnt/ext3/docs/note01.txt")
spinners = []
for _ in range(2):
    spinners.append(os.fork())
    while not spinners[-1]: pass
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
for _ in range(1009):
    os.stat("/mnt/ext3/README")
signal.setitimer(signal.ITIMER_REAL, 0)
for pid in spinners:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
said["tid"], said["hits"] = os.getpid(), hits
said["switches"] = [int(line.split()[1]) for line in open("/proc/self/status") if "ctxt_switches" in line]
"""
    session, said = walked(trace, program, f"{STAT},hrtimer_interrupt")
    assert not session.losses
    calls = session.frame("calls")
    mine = calls[calls["tid"] == said["tid"]]
    assert said["hits"] > 5 and sum(said["switches"]) > 5
    # Python itself looks at files as it starts.
    check_stats(
        mine[mine["function"] != "hrtimer_interrupt"], said["tid"], 1009 + said["hits"], exactly=False
    )
    interrupted = mine[(mine["function"] == "hrtimer_interrupt") & (mine["parent"] >= 0)]
    assert set(calls.loc[interrupted["parent"], "function"]) <= {"ext4_file_getattr", "ext4_getattr"}
    assert (mine["state"] == "returned").all()
    # An interrupt may come while the entry of a call is being written: it is the later of the two,
    # and began earlier.
    check_nesting(calls[calls["function"] != "hrtimer_interrupt"])


def test_a_thread_that_ends_in_the_middle_of_a_call(trace: Trace) -> None:
    program = """
def leave():
    os.stat("/mnt/ext3/README")
child = os.fork()
if not child:
    os._exit(7)
killed = os.fork()
if not killed:
    while True: pass
os.kill(killed, 9)
thread = threading.Thread(target=leave)
thread.start()
said["thread"] = thread.native_id
thread.join()
said["children"] = [child, killed]
said["status"] = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in (child, killed)]
"""
    session, said = walked(trace, program, f"{STAT},do_exit,exit_files", means="kprobe_multi")
    assert said["status"] == [7, -9]
    calls = session.frame("calls")
    for tid in (said["thread"], *said["children"]):
        mine = calls[calls["tid"] == tid]
        (last,) = mine.index[mine["function"] == "do_exit"]
        assert (mine.loc[last, "state"], mine.loc[last, "depth"]) == ("thread ended", 0)
        assert pd.isna(mine.loc[last, "duration_ns"])
        below = mine[mine["parent"] == last]
        assert "exit_files" in set(below["function"])
        assert (below["state"] == "returned").all()
    functions = session.frame("functions")
    assert int(functions["count"]["do_exit"]) >= 3
    assert not {"no_return", "unmatched"} & session.losses.keys()
    check_nesting(calls)


def test_a_call_that_returns_twice_is_one_call(trace: Trace) -> None:
    # clone(2) comes back in two processes; kernel_clone returns in one of them.
    program = """
said["children"] = []
for _ in range(5):
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    said["children"].append(child)
said["tid"] = os.getpid()
"""
    session, said = walked(trace, program, "kernel_clone,schedule_tail")
    calls = session.frame("calls")
    forks = calls[(calls["function"] == "kernel_clone") & (calls["tid"] == said["tid"])]
    assert forks["value"].tolist() == said["children"]
    assert (forks["state"] == "returned").all()
    for child in said["children"]:
        assert "kernel_clone" not in set(calls[calls["tid"] == child]["function"])


@pytest.mark.parametrize("kernel", ["lab", "lab:lab-6.1"])
def test_a_million_records_are_all_accounted_for(trace: Trace, kernel: str) -> None:
    count = 250_000
    program = f"""
stat, path = os.stat, "/mnt/ext3/README"
for _ in range({count}):
    stat(path)
said["tid"] = os.getpid()
"""
    means = "kprobe_multi" if kernel == "lab" else "function_graph"
    session, said = walked(trace, program, STAT, means=means)
    ledger, calls = session.ledger, session.frame("calls")
    row = ledger.loc["calls"]
    if means == "kprobe_multi":
        records = ledger.loc["records"]
        assert records["submitted"] == records["delivered"] + records["ring_full"]
        assert records["submitted"] >= 4 * count
    assert row["submitted"] == row["delivered"] == len(calls)
    states = calls["state"].value_counts()
    assert states.sum() == len(calls)
    assert states.get("no return", 0) == row["no_return"]
    mine = calls[calls["tid"] == said["tid"]]
    lost = sum(session.losses.values())
    got = len(mine[mine["function"].isin(STAT.split(","))])
    assert got + lost >= 2 * count
    if not lost:
        check_stats(calls, said["tid"], count, exactly=False)
        check_nesting(calls)
    functions = session.frame("functions")
    assert functions["count"].sum() == len(calls)
    edges = session.frame("edges")
    assert edges["count"].sum() == len(calls)
    assert edges["self_ns"].sum() == functions["self_ns"].sum()


BUSY = """
import os, threading, time
def work():
    while True:
        for _ in range(20):
            os.stat("/mnt/ext3/README")
        time.sleep(0.01)
for _ in range(7):
    threading.Thread(target=work, daemon=True).start()
work()
"""
EVERY_MEANS = [
    *(("lab", means) for means in ("kprobe_multi", "fentry", "kprobe", "function_graph")),
    *(("lab:lab-6.1", means) for means in ("fentry", "kprobe", "function_graph")),
]


@pytest.fixture
def busy(guest: Guest) -> Iterator[int]:
    """A process of eight threads that call again and again, not so often that a buffer could be full."""
    guest.run("sh", "-c", f"cat >/tmp/busy.py <<'END'\n{BUSY}\nEND")
    pid = guest.run("sh", "-c", "python3 -I -S /tmp/busy.py >/dev/null 2>&1 & echo $!").strip()
    yield int(pid)
    guest.run("kill", "-9", pid)


@pytest.mark.parametrize(("kernel", "means"), EVERY_MEANS)
def test_a_walk_that_begins_and_ends_amid_calls_loses_none(trace: Trace, busy: int, means: str) -> None:
    session = trace("", calls=(STAT,), means=means, pid=busy, seconds=0.7, text="none")
    calls = session.frame("calls")
    # What was under way at the beginning has no entry, and at the end no return; of each thread one pair.
    assert session.losses.keys() <= {"return whose entry was missed"}, session.losses
    assert sum(session.losses.values()) <= 2 * 8
    assert set(calls["state"]) <= {"returned", "open"}
    open_calls = calls[calls["state"] == "open"]
    assert len(open_calls) <= 2 * 8
    for tid, mine in calls.groupby("tid"):
        last = mine.index[mine["depth"] == 0][-1]
        assert set(open_calls.index[open_calls["tid"] == tid]) <= set(mine.index[mine.index >= last])
    assert calls["tid"].nunique() == 8
    check_nesting(calls)


@pytest.mark.parametrize("kernel", KERNELS)
def test_probes_that_are_let_go_amid_calls_see_the_end_of_each_that_they_saw_begin(
    trace: Trace, busy: int
) -> None:
    # Attached in the order of the cell. Nothing says when to stop here; a call that has begun when its
    # probe is taken away has all of the time until those of returns are gone to end.
    cell = """
BPF_HASH(under_way, u32);
BPF_ARRAY(seen, u64, 2);
int kretprobe__ext4_file_getattr(void *ctx) {
    u32 tid = bpf_get_current_pid_tgid(), second = 1;
    if (!under_way.lookup(&tid))
        return 0;
    under_way.delete(&tid);
    seen.atomic_increment(second);
    return 0;
}
int kprobe__ext4_file_getattr(void *ctx) {
    u32 tid = bpf_get_current_pid_tgid(), first = 0;
    u64 one = 1;
    under_way.update(&tid, &one);
    seen.atomic_increment(first);
    return 0;
}
"""
    session = trace(cell, seconds=0.7)
    begun, ended = session["seen"]["value"].tolist()
    assert begun > 100
    assert begun - ended == len(session["under_way"])
    assert begun - ended <= 8
