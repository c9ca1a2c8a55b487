"""Walks in both labs: what is chosen of the calls, of whom, by every means, and what is left behind.

The second source of every focus is another session, of all calls of everyone, that ran
beside it: what of its calls is wanted is worked out here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.errors import CellError, LoadError, OptionError, ProbeNotFoundError
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.targets.base import get_target
from tests.kernel.trace.kit import KERNELS, Guest, Trace

pytestmark = pytest.mark.kernel

WORK = "echo $$ >&2; ls -l /mnt/ext3; cat /mnt/ext3/README /nowhere /mnt/ext3/docs/* | wc -c; true"
"""A shell that says its number, and three programs, two of them at once; one file is not there."""
PROGRAMS = ("ls", "cat", "wc")
COMMS = ("sh", *PROGRAMS)

MANY = "vfs_*"
FEW = "vfs_open,vfs_statx,vfs_fstatat,vfs_fstat,vfs_getattr_nosec,vfs_read,do_sys_openat2,vfs_write"
MEANS = [
    ("lab", "kprobe_multi", MANY),
    ("lab", "fentry", FEW),
    ("lab:lab-6.1", "function_graph", FEW),
    ("lab:lab-6.1", "kprobe", FEW),
]
every_means = pytest.mark.parametrize(("kernel", "means", "calls"), MEANS)
both_kernels = pytest.mark.parametrize("kernel", KERNELS)

ROOTS = ("vfs_fstatat",)
BEGUN_BEFORE = "return whose entry was missed"
"""Some calls are under way when recording begins; of a command the one in which it waits to be let go."""


def sequences(calls: pd.DataFrame) -> dict[int, list[str]]:
    """Of each thread the functions in the order of their entries."""
    ordered = calls.sort_values("start_ns", kind="stable")
    return {int(str(tid)): part["function"].astype(str).tolist() for tid, part in ordered.groupby("tid")}


def of_the_command(session: Session, calls: pd.DataFrame) -> pd.DataFrame:
    """What its shell did and what became of its children, of calls of everyone.

    Only where function_graph is in use there is another shell, which puts ftrace back if need be.
    """
    shell = int(session.stderr.split()[0])
    tids = {shell, *calls["tid"][calls["comm"].isin(PROGRAMS)]}
    return calls[calls["tid"].isin(tids) & calls["comm"].isin(COMMS)]


def below(calls: pd.DataFrame) -> pd.Series:
    """Of each call how many levels it is below the outermost call of a root, 0 is that; -1 is elsewhere."""
    level: dict[int, int] = {}
    for call, name, parent in zip(calls.index, calls["function"], calls["parent"], strict=True):
        above = level.get(parent, -1)
        level[call] = above + 1 if above >= 0 else 0 if name in ROOTS else -1
    return pd.Series(level)


def followed(calls: pd.DataFrame, chosen: pd.DataFrame) -> pd.Series:
    """Which calls have the file of the first chosen one among their arguments."""
    first = chosen.sort_values("start_ns").iloc[0]
    assert first["function"] == "vfs_open"
    address = str(first["arguments"]).partition("file=")[2].partition(",")[0]
    assert int(address, 16) > 0xFFFF800000000000
    return pd.Series([f"={address}" in str(text) for text in calls["arguments"]], index=calls.index)


Wanted = Callable[[pd.DataFrame, pd.DataFrame], "pd.Series[bool]"]
FOCUS: list[tuple[dict[str, Any], Wanted]] = [
    ({}, lambda calls, _: calls["depth"] >= 0),
    ({"roots": ROOTS}, lambda calls, _: below(calls) >= 0),
    ({"depth": 1}, lambda calls, _: calls["depth"] == 0),
    ({"roots": ROOTS, "depth": 2}, lambda calls, _: below(calls).between(0, 1)),
]
OF_VALUES: list[tuple[dict[str, Any], Wanted]] = [
    ({"errors": True}, lambda calls, _: calls["error"].notna()),
    ({"follow": "vfs_open:file"}, followed),
]


# --- focus -----------------------------------------------------------------------------------


@every_means
def test_a_focus_chooses_what_is_wanted_of_the_commands_calls(trace: Trace, means: str, calls: str) -> None:
    """Beside a session of all calls of everyone, from which is worked out what each focus should have."""
    cases = FOCUS if means == "function_graph" else FOCUS + OF_VALUES
    # Where trampolines change, calls under way lose their fexit: bpf_tramp_image_put() in Linux
    # kernel/bpf/trampoline.c.
    beside = means if means == "kprobe_multi" else "kprobe"
    every = trace("", calls=(calls,), means=beside, wait=False, text="none")
    chosen = [
        trace("", calls=(calls,), means=means, command=WORK, text="none", **focus) for focus, _ in cases
    ]
    every.stop()
    assert every.losses.keys() <= {BEGUN_BEFORE}, every.losses
    seen = every.calls
    for (focus, wanted), session in zip(cases, chosen, strict=True):
        assert session.losses.keys() <= {BEGUN_BEFORE}, (focus, session.losses)
        found = session.calls
        assert set(found["comm"]) <= set(COMMS), focus
        its = seen[seen["start_ns"].between(session.attached_ns, session.counted_ns)]
        its = of_the_command(session, its)
        expected = its[wanted(its, session.calls)]
        assert len(expected), focus
        mine, theirs = sequences(found), sequences(expected)
        assert mine.keys() == theirs.keys(), focus
        for tid in mine:
            assert mine[tid] == theirs[tid], (focus, tid)
        assert (found["state"] == "returned").all()
    assert set(chosen[0].calls["comm"].dropna()) == set(COMMS)
    assert chosen[0].calls["depth"].max() > 0


@every_means
def test_long_calls_are_those_that_took_long(trace: Trace, means: str, calls: str) -> None:
    command = "(sleep 0.5; echo late) | cat"
    session = trace("", calls=(calls,), means=means, command=command, longer_s=0.3)
    assert not session.losses
    found = session.calls
    # cat waits in the pipe for what the other side writes.
    assert found[["comm", "function"]].astype(str).to_numpy().tolist() == [["cat", "vfs_read"]]
    assert 300_000_000 <= found["duration_ns"].iloc[0] < 20_000_000_000


# --- whose calls -------------------------------------------------------------------------------


@both_kernels
def test_everyone_is_more_than_the_command(trace: Trace, guest: Guest, kernel: str) -> None:
    pid = guest.run("sh", "-c", "(while :; do cat /mnt/ext4/README; done) >/dev/null 2>&1 & echo $!").strip()
    try:
        alone = trace("", calls=(FEW,), command="sleep 0.3")
        assert "cat" not in set(alone.calls["comm"].dropna())
        every = trace("", calls=(FEW,), command="sleep 0.3", everyone=True)
        assert {"cat", "sleep"} <= set(every.calls["comm"].dropna())
    finally:
        guest.run("kill", "-9", pid)


@both_kernels
def test_a_process_that_runs_is_recorded_with_the_children_it_gets(
    trace: Trace, guest: Guest, kernel: str
) -> None:
    loop = "(while :; do cat /mnt/ext4/README; sleep 0.02; done) >/dev/null 2>&1 & echo $!"
    pid, other = (guest.run("sh", "-c", loop).strip() for _ in range(2))
    try:
        session = trace("", calls=(FEW,), pid=int(pid), seconds=1.0)
        assert {"cat", "sleep"} <= set(session.calls["comm"].dropna())
        children = {int(p) for p in session.calls["pid"].dropna()}
        assert int(other) not in children
        assert len(children) > 2
        # Each runs one program of the two, which is half of all where the two loops are mixed up.
        opened = session.calls[(session.calls["function"] == "vfs_open") & (session.calls["comm"] == "cat")]
        assert opened["tid"].nunique() <= len(children)
    finally:
        guest.run("kill", "-9", pid, other)


@every_means
def test_children_that_a_process_has_already_are_recorded_too(
    trace: Trace, guest: Guest, means: str, calls: str
) -> None:
    busy = "while :; do read -r line </mnt/ext4/README; sleep 0.05; done"
    # A shell with a child that has a child: their numbers, and that of a shell beside them.
    inner = f"({busy}) & echo $! >>/tmp/family; {busy}"
    outer = f"echo $$ >/tmp/family; ({inner}) & echo $! >>/tmp/family; wait"
    guest.run("sh", "-c", f"sh -c '{outer}' >/dev/null 2>&1 & sleep 0.5")
    pid, *children = (int(line) for line in guest.run("cat", "/tmp/family").split())
    other = guest.run("sh", "-c", f"({busy}) >/dev/null 2>&1 & echo $!").strip()
    assert len(children) == 2
    try:
        session = trace("", calls=(calls,), means=means, pid=pid, seconds=2.0, text="none")
        found = session.calls
        assert set(children) <= set(found["tid"])
        assert int(other) not in set(found["tid"])
        for child in children:
            assert "vfs_open" in set(found["function"][found["tid"] == child])
        # They were there before, and are known by name.
        assert set(found["comm"][found["tid"].isin(children)]) == {"sh"}
    finally:
        guest.run("kill", "-9", str(pid), other, *map(str, children))


@every_means
def test_a_process_that_does_not_exist_is_refused(trace: Trace, guest: Guest, means: str, calls: str) -> None:
    before = guest.attached()
    with pytest.raises(LoadError, match="there is no process 4000000"):
        trace("", calls=(calls,), means=means, pid=4_000_000)
    assert guest.attached() == before


# --- what it is by, and what it leaves behind ---------------------------------------------------


@every_means
def test_nothing_is_attached_afterwards(trace: Trace, guest: Guest, means: str, calls: str) -> None:
    before = guest.attached()
    session = trace("", calls=(calls,), means=means, command="ls /mnt/ext3")
    assert session.built.program.walk.means == means  # type: ignore[union-attr]
    assert any(means.removesuffix("_multi") in note for note in session.notes)
    assert guest.attached() == before
    tracer = guest.run("sh", "-c", "cat /sys/kernel/tracing/current_tracer; ls /sys/kernel/tracing/instances")
    assert tracer.split() == ["nop"]


@both_kernels
def test_a_walk_of_ls_sees_the_ext4_driver_at_work(trace: Trace, guest: Guest, kernel: str) -> None:
    session = trace("", calls=('module("ext3").function("*")', "!*_es_*"), command="ls /mnt/ext3")
    assert session.stdout == guest.run("ls", "/mnt/ext3")
    counts = session.functions["count"]
    # getdents is asked until it gives nothing more.
    assert counts["ext4_readdir"] == 2
    assert not [name for name in counts.index if "_es_" in name]
    assert not session.losses
    assert session.left_out is not None
    assert session.edges["count"].sum() == len(session.calls)
    ledger = session.ledger.loc["calls"]
    assert ledger["submitted"] == ledger["delivered"] == len(session.calls)


@both_kernels
def test_a_rate_that_is_capped_is_told(trace: Trace, kernel: str) -> None:
    session = trace("", calls=(FEW,), command="ls -lR /mnt /usr/lib >/dev/null", max_rate=200.0)
    records = session.ledger.loc["records"]
    assert records["capped"] > 0
    assert session.losses
    assert records["submitted"] == records["delivered"] + records["discarded"] + records["lost"]


@both_kernels
def test_what_cannot_be_is_refused_and_leaves_nothing(trace: Trace, guest: Guest, kernel: str) -> None:
    before = guest.attached()
    with pytest.raises(ProbeNotFoundError, match="no kernel function 'ext4_lokup'") as caught:
        trace("", calls=("ext4_lokup",))
    assert "ext4_lookup" in str(caught.value.hint)
    with pytest.raises(CellError, match="functions, more than 2,000"):
        trace("", calls=("*",))
    with pytest.raises(OptionError, match="which function_graph does not record"):
        trace("", calls=(MANY,), means="function_graph", errors=True)
    with pytest.raises(OptionError, match="is for calls"):
        trace("int kprobe__vfs_read(void *ctx) { return 0; }", errors=True)
    if kernel != "lab":
        with pytest.raises(OptionError, match="built without fprobe"):
            trace("", calls=(MANY,), means="kprobe_multi")
        with pytest.raises(OptionError, match="functions by single kprobes") as many:
            trace("", calls=("ext4_*",), errors=True)
        assert "--yes insists" in str(many.value.hint)
    assert guest.attached() == before


@both_kernels
def test_functions_that_never_return_are_seen_to_be_entered(trace: Trace, kernel: str) -> None:
    session = trace("", calls=("do_exit",), command="(exit 3); (exit 4); true")
    assert session.built.program.walk.means == "kprobe"  # type: ignore[union-attr]
    calls = session.calls
    # Two children and the shell, which is not reaped before the session is over; a status is in bits 8 to 15.
    assert calls["state"].tolist() == ["thread ended", "thread ended", "open"]
    assert sorted(str(text) for text in calls["arguments"]) == ["code=0", "code=1024", "code=768"]
    assert not session.losses
    with pytest.raises(OptionError, match="'do_exit' never returns"):
        trace("", calls=("do_exit",), means="fentry")


@both_kernels
def test_what_ftrace_does_not_offer_any_more_is_left_out_with_a_reason(trace: Trace, kernel: str) -> None:
    options = Options(target=kernel, calls=(FEW,), means="function_graph", command="cat /mnt/ext3/README")
    program = engine.lower(Source(""), options)
    target = get_target(kernel)
    built = engine.compile_for(target, program, options)
    graph = built.bundle.graph
    assert graph is not None
    # As if the modules of two had gone since the kernel was asked for its functions.
    listed = [
        f"{name} [gone]" if name in ("vfs_read", "vfs_open") else name for name in graph.functions.split()
    ]
    graph = replace(graph, functions="\n".join(listed))
    built = replace(built, bundle=replace(built.bundle, graph=graph))
    session = Session("gone", target, engine.facts_of(target), built, options)
    session.start()
    assert session.wait(30) and session.state == "done"
    told = session.left_out.set_index("function")["reason"]
    assert set(told.index) == {"vfs_read", "vfs_open"}
    assert set(told) == {"ftrace does not offer it to function_graph"}
    assert set(session.functions.index) & {"vfs_fstat", "do_sys_openat2"}
    assert not set(session.functions.index) & set(told.index)


@both_kernels
def test_names_that_the_cell_has_are_patterns_too(trace: Trace, kernel: str) -> None:
    session = trace("# opening\nvfs_open\n!vfs_o*l*\n", calls=("vfs_statx",), command="cat /mnt/ext3/README")
    assert [f.name for f in session.built.program.walk.functions] == ["vfs_open", "vfs_statx"]  # type: ignore[union-attr]
    assert session.functions["count"]["vfs_open"] > 0


def test_text_is_an_indented_line_per_entry_and_return_or_a_tree(trace: Trace) -> None:
    indent = trace("", calls=(FEW,), command="cat /nowhere")
    assert len(indent.text.splitlines()) == 2 * len(indent.calls)
    tree = trace("", calls=(FEW,), command="cat /nowhere", text="tree")
    assert any("-ENOENT" in line and "do_sys_openat2" in line for line in tree.text.splitlines())


def test_selected_rows_are_those_of_the_view(trace: Trace) -> None:
    session: Session = trace("", calls=(FEW,), command="cat /mnt/ext3/README")
    assert session.selected.empty
    session.select([1, 3])
    assert session.selected.index.tolist() == [1, 3]
