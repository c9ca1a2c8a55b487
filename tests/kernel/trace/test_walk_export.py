"""What was recorded in the lab, as Perfetto and others read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ktrace_nb import compare
from ktrace_nb.errors import OptionError
from ktrace_nb.session import Session
from tests.kernel.trace.kit import KERNELS, Trace
from tests.perfetto import query
from tests.stream.calls.test_chrome import SLICES
from tests.stream.calls.test_export import weights

pytestmark = pytest.mark.kernel

LOOK = "ls -l /mnt/ext3 /mnt/ext3/missing; true"
"""The shell goes on afterwards, and so outlives every call; one file does not exist."""


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def walk(trace: Trace) -> Session:
    return trace("", calls=("ext4_*,vfs_statx",), command=LOOK)


def test_perfetto_shows_a_recorded_walk_call_by_call(walk: Session, tmp_path: Path) -> None:
    calls = walk.frame("calls")
    assert len(calls) > 50
    trace_file = walk.export(tmp_path / "walk.json.gz")
    shown = pd.DataFrame(query(trace_file, SLICES)).set_index("call")
    assert shown.index.tolist() == calls.index.tolist()
    assert shown["name"].tolist() == calls["function"].tolist()
    assert shown["ts"].tolist() == calls["start_ns"].tolist()
    assert shown["depth"].tolist() == calls["depth"].tolist()
    returned = calls["duration_ns"].notna()
    assert returned.sum() > 50
    assert shown["dur"][returned].tolist() == calls["duration_ns"][returned].tolist()
    told = query(trace_file, "select display_value as error from args where key = 'args.error'")
    assert len(told) == calls["error"].notna().sum()
    program = walk.built.program.walk
    assert program is not None
    if program.has_values:
        assert {"error": "ENOENT"} in told


def test_folded_stacks_of_a_walk_add_up_to_its_time(walk: Session, tmp_path: Path) -> None:
    calls = walk.frame("calls")
    lines = walk.export(tmp_path / "walk.folded").read_text().splitlines()
    # A caller whose own return was missed has no self time; what it called has.
    assert sum(weights(lines).values()) == calls["self_ns"].sum()
    if calls["duration_ns"].notna().all():
        assert calls["self_ns"].sum() == calls["duration_ns"][calls["parent"] < 0].sum()


def test_two_runs_of_one_workload_make_the_same_calls(walk: Session, trace: Trace) -> None:
    again = trace("", calls=("ext4_*,vfs_statx",), command=LOOK)
    difference = compare(walk, again)
    listing = difference.loc[["vfs_statx", "ext4_readdir", "ext4_getattr"]]
    assert (listing["status"] == "both").all()
    assert listing["count_change"].tolist() == [0, 0, 0]
    functions = walk.frame("functions")
    there = difference[difference["status"] != "only b"]
    for measure in ("count", "errors", "self_ns", "total_ns"):
        ours = there[f"{measure}_a"].sort_index()
        assert ours.to_dict() == functions[measure].sort_index().to_dict(), measure


def test_a_session_without_calls_says_how_to_get_them(trace: Trace, tmp_path: Path) -> None:
    session = trace("probe begin { exit() }", language="stap")
    with pytest.raises(OptionError, match="recorded no calls"):
        session.export(tmp_path / "walk.json")
    with pytest.raises(OptionError, match="recorded no calls"):
        compare(session, session)


def test_the_command_line_writes_what_it_is_told_to(kernel: str, tmp_path: Path, lab: object) -> None:
    files = [tmp_path / name for name in ("walk.json", "walk.dot", "walk.txt")]
    words = [word for file in files for word in ("--export", str(file))]
    command = [sys.executable, "-m", "ktrace_nb.cli", "run", "--target", kernel, "--calls", "ext4_*"]
    done = subprocess.run([*command, "-q", "-c", LOOK, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {row["name"] for row in query(files[0], "select distinct name from slice")} >= {"ext4_readdir"}
    assert subprocess.run(["dot", "-Tcanon", files[1]], capture_output=True, check=False).returncode == 0
    assert "ext4_readdir" in files[2].read_text()


def test_a_file_name_that_says_no_form_is_refused_before_anything_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ktrace_nb.cli", "run", "--calls", "ext4_*", "--export", "walk.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no form of calls is named 'walk.png'" in done.stderr
