"""The calls of a walk beside what ftrace's own tracer writes of the same workload.

Both run in a lab fresh from the same template, where the first look at a file system
takes the same path every time (``test_lab_material``).
"""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pandas as pd
import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.lab.calls import Caller
from ktrace_nb.lab.image import Image
from ktrace_nb.lab.start import start_machine
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.targets.base import close_targets, get_target
from tests.kernel.conftest import shell
from tests.kernel.function_graph import Call, graph_of
from tests.kernel.trace.kit import KERNELS

pytestmark = pytest.mark.kernel

UNSTEADY = ("ext4_fc_init_inode", "ext4_free_in_core_inode", "ext4_end_*")
"""What prepares new pages for inodes: when they are needed depends on all that was looked at before.
What RCU calls to free one, whenever and in whichever thread a grace period ends. And what a disk's
interrupt calls, in the thread that happens to run."""
ALL = ",".join(("ext4_*", "__ext4_*", *(f"!{name}" for name in UNSTEADY)))
FEW = "ext4_readdir,ext4_lookup,ext4_getattr,ext4_file_getattr,ext4_map_blocks,ext4_dirty_inode"
WARM = "ls -l / >/dev/null"
"""Brings the program and its libraries into memory, and nothing of the lessons' file systems."""
LOOK = "ls -l /mnt/ext3; true"
"""The shell goes on afterwards: ls is a process of its own from fork to exit."""

EXAMPLES = Path(__file__).resolve().parents[3] / "examples/walk"
CASES = [
    *[("lab", means, ALL) for means in ("kprobe_multi", "function_graph")],
    *[("lab", means, FEW) for means in ("fentry", "kprobe")],
    ("lab:lab-6.1", "function_graph", ALL),
    *[("lab:lab-6.1", means, FEW) for means in ("fentry", "kprobe")],
]


def recorded(
    kernel: str,
    pattern: str,
    command: str,
    *,
    means: str = "",
    text: str = "none",
    losses: frozenset[str] = frozenset(),
) -> Session:
    """A walk in a lab of its own that loses nothing but what may be lost."""
    close_targets()
    reply = get_target(kernel).connection.call("exec", argv=["sh", "-c", WARM])
    assert reply.head["status"] == 0
    options = Options(target=kernel, calls=(pattern,), command=command, means=means, text=text)
    session = engine.start(Source(""), options)
    assert session.wait(60) and session.state == "done", session.message
    assert session.losses.keys() <= losses, session.losses
    return session


def of_ftrace(image: Image, functions: list[str], command: str) -> dict[int, list[Call]]:
    """The same command under ftrace's tracer, in another lab."""
    with start_machine(image) as machine, Caller(machine.connect()) as caller:
        shell(caller, WARM)
        return graph_of(lambda text: shell(caller, text), command, " ".join(functions))


def functions_of(session: Session) -> list[str]:
    walk = session.built.program.walk
    assert walk is not None
    return [function.name for function in walk.functions]


def sequence(calls: pd.DataFrame, tid: int) -> list[Call]:
    """What a thread did, in the form of the other source."""
    mine = calls[calls["tid"] == tid]
    columns = (mine["function"], mine["depth"], mine["state"] == "returned")
    return [Call(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def thread_with(threads: dict[int, list[Call]], function: str) -> list[Call]:
    """The one thread that made calls of a function."""
    (found,) = [calls for calls in threads.values() if any(call.function == function for call in calls)]
    return found


@pytest.mark.parametrize(("kernel", "means", "pattern"), CASES)
def test_calls_and_nesting_are_those_that_ftrace_sees(
    kernel: str, means: str, pattern: str, image: Image, request: pytest.FixtureRequest
) -> None:
    where = image if kernel == "lab" else request.getfixturevalue("image_61")
    session = recorded(kernel, pattern, LOOK, means=means)
    calls = session.frame("calls")
    ours = {tid: sequence(calls, tid) for tid in calls["tid"].unique()}
    theirs = of_ftrace(where, functions_of(session), LOOK)
    mine, other = thread_with(ours, "ext4_readdir"), thread_with(theirs, "ext4_readdir")
    assert len(other) > 30
    assert mine == other


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_function_that_ftrace_offers_is_recorded_or_left_out_with_a_reason(
    kernel: str, image: Image, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("image" if kernel == "lab" else "image_61")
    # A disk's interrupt may come while a program runs, and what it calls is then not recorded.
    session = recorded(kernel, "ext4_*", "true", losses=frozenset(["program already running"]))
    listed = get_target(kernel).connection.call(
        "exec", argv=["sh", "-c", "cut -d' ' -f1 /sys/kernel/tracing/available_filter_functions"]
    )
    offered = set(fnmatch.filter(listed.blob.decode().split(), "ext4_*"))
    left_out = session.frame("left_out")
    ours = set(functions_of(session))
    assert len(offered) > 600
    assert offered - ours <= set(left_out["function"])
    assert ours <= offered
    assert left_out["reason"].str.len().min() > 10


@pytest.mark.parametrize(("kernel", "means"), [("lab", "kprobe_multi"), ("lab:lab-6.1", "function_graph")])
def test_functions_that_call_themselves_nest(
    kernel: str, means: str, image: Image, request: pytest.FixtureRequest
) -> None:
    # ext3 lists the blocks of a large file in blocks of blocks; they are given back from the
    # top down, by one function that calls itself.
    where = image if kernel == "lab" else request.getfixturevalue("image_61")
    command = "rm /mnt/ext3/big.bin; true"
    session = recorded(kernel, ALL, command, means=means)
    calls = session.frame("calls")
    within = calls["parent"].map(calls["function"].astype(str)).fillna("")
    recursive = calls[(calls["function"] == "ext4_free_branches") & (within == "ext4_free_branches")]
    assert len(recursive) > 1
    ours = {tid: sequence(calls, tid) for tid in calls["tid"].unique()}
    theirs = of_ftrace(where, functions_of(session), command)
    assert thread_with(ours, "ext4_unlink") == thread_with(theirs, "ext4_unlink")
    # Time in all is that of the outermost alone.
    outermost = calls[(calls["function"] == "ext4_free_branches") & (within != "ext4_free_branches")]
    assert session.frame("functions").loc["ext4_free_branches", "total_ns"] == outermost["duration_ns"].sum()
    assert session.frame("functions").loc["ext4_free_branches", "count"] == len(outermost) + len(recursive)


def test_the_text_is_what_the_script_prints(image: Image) -> None:
    """The document's script, in another session of the same start, as the second source."""
    walk = recorded(
        "lab",
        ",".join(('module("ext3").function("*")', *(f"!{name}" for name in UNSTEADY))),
        LOOK,
        text="indent",
    )
    close_targets()
    target = get_target("lab")
    assert target.connection.call("exec", argv=["sh", "-c", WARM]).head["status"] == 0
    script = engine.start(
        Source((EXAMPLES / "ext3-walk.stp").read_text()),
        Options(target="lab", language="stap", command=LOOK),
    )
    assert script.wait(120) and script.state == "done", script.message
    ours, theirs = (lines_of(session) for session in (walk, script))
    assert len(ours) > 600
    assert ours == theirs


def lines_of(session: Session) -> list[str]:
    """What was printed of ls, without times and numbers of threads."""
    found = [
        re.fullmatch(r" *\d+ (\w+)\((\d+)\):( *(?:->|<-) \S+)", line) for line in session.text.splitlines()
    ]
    lines = [match for match in found if match]
    assert len(lines) == len(found)
    (tid,) = {match[2] for match in lines if match[3].endswith(" ext4_readdir")}
    mine = [match[1] + match[3] for match in lines if match[2] == tid]
    return [line for line in mine if not any(fnmatch.fnmatch(line, f"*{name}") for name in UNSTEADY)]
