"""``ktrace-nb`` as a process, as far as it goes without a kernel."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

CELL = "int kprobe__vfs_read(void *ctx) { return 0; }\n"


def ktrace_nb(*words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    command = ["env", *(f"{name}={value}" for name, value in env.items()), sys.executable, "-m"]
    return subprocess.run(
        [*command, "ktrace_nb.cli", *words], input=stdin, capture_output=True, text=True, check=False
    )


def test_a_good_cell_passes_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "cell.c").write_text(CELL)
    done = ktrace_nb("check", str(tmp_path / "cell.c"), "--stage", "parse")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}/cell.c: parse ok\n", "")


def test_a_bad_cell_fails_with_its_place_on_stderr() -> None:
    done = ktrace_nb("check", "-", "--stage", "parse", stdin="int f(void *ctx) { return 0; }\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("CellError: ")


def test_findings_come_as_json() -> None:
    done = ktrace_nb("check", "-", "--stage", "parse", "--json", stdin="BPF_HASH(h;\n")
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert (found["ok"], found["stage"]) == (False, "parse")
    (problem,) = found["problems"]
    assert problem["kind"] == "CellError"
    assert (problem["line"], problem["column"]) == (1, 1)


SCRIPT = "global n\nprobe vfs.read { n[execname()]++ }\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["run"], "expected a file, -e CODE or --calls PATTERN"),
        (["run", "--depth", "2", "-e", SCRIPT], "--depth is for calls\nhint: --calls 'ext4_*'"),
        (["run", "--calls", "ext4_*", "--depth", "0"], "expected a number of levels, 1 or more"),
        (["run", "--calls", "ext4_*", "--text", "flat"], "invalid choice: 'flat'"),
        (["run", "--calls", "ext4_*", "walk.stp"], "--calls and a program, walk.stp: one of them at a time"),
        (["run", "--calls", "ext4_*", "--export", "a.jsn"], "hint: did you mean .json"),
        (["run", "--calls", "ext4_*", "--export", "/nowhere/a.json"], "there is no folder /nowhere"),
        (["check", "--calls", "ext4_*", "--show", "ast"], "hint: --show facts"),
        (["run", "/nowhere.c"], "cannot read /nowhere.c: No such file or directory"),
        (["run", "-", "--for", "soon"], "expected a duration, found 'soon'"),
        (["run", "-", "--lang", "cobol"], "no language 'cobol'"),
        (["run", "-", "--target", "mars"], "no target 'mars'"),
        (["run", "-", "--", "argument"], "a C cell takes no arguments"),
        (["run", "-", "-c", "ls", "argument"], "a C cell takes no arguments"),
        (["run", "-", "--", "-c"], "a C cell takes no arguments"),
        (["run", "-", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["doctor", "argument"], "unrecognized arguments: argument"),
        (["check", "-", "--show", "ast", "--stage", "parse"], "a C cell has no tree of its own"),
        (["run", "-", "-D", "MAXSTRINGLEN=long"], "-D 'MAXSTRINGLEN=long': expected NAME=NUMBER"),
        (["check", "-", "--stage", "win"], "invalid choice: 'win'"),
        (["dance"], "invalid choice: 'dance'"),
    ],
)
def test_wrong_usage_is_status_2(words: list[str], why: str) -> None:
    done = ktrace_nb(*words, stdin=CELL)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_a_script_is_parsed_without_any_kernel(tmp_path: Path) -> None:
    (tmp_path / "count.stp").write_text(SCRIPT)
    done = ktrace_nb("check", str(tmp_path / "count.stp"), "--stage", "parse", XDG_DATA_HOME=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}/count.stp: parse ok\n", "")


@pytest.mark.parametrize("words", [["-"], ["-e", SCRIPT.replace("}", "")]])
def test_a_text_that_looks_like_a_script_is_one(words: list[str]) -> None:
    done = ktrace_nb("check", *words, "--stage", "parse", "--json", stdin=SCRIPT.replace("}", ""))
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["file"] == words[0]
    assert (found["problems"][0]["line"], found["problems"][0]["column"]) == (2, 16)
    assert "is not closed" in found["problems"][0]["message"]


@pytest.mark.parametrize(
    "words",
    [
        ["-", "1"],
        ["-e", SCRIPT.replace("++", " += $1"), "1"],
        ["-e", "probe begin { exit(); println($1) }", "1"],
    ],
)
def test_arguments_of_a_script_stand_behind_it(words: list[str]) -> None:
    done = ktrace_nb("check", *words, "--stage", "parse", stdin=SCRIPT.replace("++", " += $1"))
    assert (done.returncode, done.stderr) == (0, "")


def test_without_an_image_the_command_that_builds_one_is_named(tmp_path: Path) -> None:
    done = ktrace_nb("run", "-", stdin=CELL, XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "ktrace-nb lab build" in done.stderr


def test_doctor_names_what_is_missing_and_the_command_for_each(tmp_path: Path) -> None:
    done = ktrace_nb("doctor", PATH=str(tmp_path), XDG_DATA_HOME=str(tmp_path), KTRACE_NB_PYTHON="/nowhere")
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    fixes = dict(pairwise(lines))
    fixes = {line[4:].split(":")[0]: fix.strip() for line, fix in fixes.items() if line.startswith("--")}
    assert fixes["compiler"] == "sudo apt-get install python3-bpfcc"
    assert fixes["QEMU"] == "sudo apt-get install qemu-system-x86"
    assert fixes["lab image"] == fixes["lab"] == "ktrace-nb lab build"
