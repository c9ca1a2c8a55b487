"""``ktrace-nb`` and the examples, as a user types them."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from ktrace_nb.lab.image import Image
from tests.kernel.trace.kit import WRITES
from tests.notebooks import saved_data, write_notebook

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*/*.toml"))
CELL = """
BPF_HISTOGRAM(sizes);
BPF_RINGBUF_OUTPUT(calls, 8);
int kprobe__vfs_write(struct pt_regs *ctx) {
    u64 size = PT_REGS_PARM3(ctx);
    if (size != 64) return 0;
    sizes.increment(bpf_log2l(size));
    calls.ringbuf_output(&size, sizeof(size), 0);
    bpf_trace_printk("wrote %d\\n", size);
    return 0;
}
"""

READS = """
BPF_HISTOGRAM(sizes);
int kretprobe__vfs_read(struct pt_regs *ctx) {
    sizes.increment(bpf_log2l(PT_REGS_RC(ctx)));
    bpf_trace_printk("some were read\\n");
    return 0;
}
"""


def ktrace_nb(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ktrace_nb.cli", *words],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_run_prints_what_came_and_writes_every_frame(image: Image, tmp_path: Path) -> None:
    done = ktrace_nb("run", "-", "-c", WRITES, "--frames", str(tmp_path / "out"), stdin=CELL)
    assert done.returncode == 0, done.stderr
    assert "sizes  total 1,009" in done.stdout
    assert "calls: 1,009 events" in done.stdout
    assert done.stdout.count("bpf_trace_printk: wrote 64") == 1009
    assert "records out" in done.stderr  # dd's own
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"sizes.parquet", "calls.parquet", "ledger.parquet", "session.json"}
    assert len(pd.read_parquet(tmp_path / "out/calls.parquet")) == 1009
    ledger = pd.read_parquet(tmp_path / "out/ledger.parquet")
    assert (ledger["lost"] == 0).all()
    assert ledger.loc["printed", "delivered"] == 1009
    about = json.loads((tmp_path / "out/session.json").read_text())
    assert (about["state"], about["workload_status"], about["lost"]) == ("done", 0, {})


@pytest.mark.parametrize("command", ["exit 3; #", "kill -9 $$"])
def test_a_workload_that_fails_is_status_1(image: Image, command: str) -> None:
    assert ktrace_nb("run", "-", "-c", command, stdin=CELL).returncode == 1


def test_ctrl_c_ends_a_trace_and_prints_it(image: Image) -> None:
    # A shell without job control starts what it runs with interrupts ignored.
    main = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    main += "from ktrace_nb.cli import main; raise SystemExit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", main, "run", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(READS)
        process.stdin.close()
        assert "some were read" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert "sizes  total " in rest


@pytest.mark.parametrize("stage", ["type", "compile", "load", "attach"])
def test_check_goes_as_far_as_asked_and_reports_in_json(image: Image, stage: str) -> None:
    done = ktrace_nb("check", "-", "--stage", stage, "--json", stdin=CELL)
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (0, True)
    assert found["probes"] == [["kprobe__vfs_write", "kprobe", "vfs_write"]]
    assert ("programs" in found) == (stage != "type")


@pytest.mark.parametrize(
    ("stage", "cell", "kind"),
    [
        ("type", "int kprobe__vfs_reed(void *ctx) { return 0; }", "ProbeNotFoundError"),
        ("compile", "int kprobe__vfs_read(void *ctx) { return x; }", "CompileError"),
        ("load", "int kprobe__vfs_read(void *ctx) { return *(int *)8; }", "VerifierError"),
    ],
)
def test_check_places_each_stage_s_mistakes(image: Image, stage: str, cell: str, kind: str) -> None:
    found = json.loads(ktrace_nb("check", "-", "--stage", stage, "--json", stdin=cell).stdout)
    assert not found["ok"]
    assert (found["problems"][0]["kind"], found["problems"][0]["line"]) == (kind, 1)


@pytest.mark.parametrize("stage", ["c", "ir", "bytecode", "facts"])
def test_every_stage_can_be_shown(image: Image, stage: str) -> None:
    done = ktrace_nb("check", "-", "--show", stage, stdin=CELL)
    assert done.returncode == 0, done.stderr
    telling = {
        "c": "kprobe__vfs_write",
        "ir": "kprobe:vfs_write",
        "bytecode": "call bpf_trace_printk",
        "facts": "pt_regs",
    }
    assert telling[stage] in done.stdout


def test_a_notebook_without_a_page_keeps_the_final_picture(image: Image, tmp_path: Path) -> None:
    cells = ["%load_ext ktrace_nb", f"%%ktrace sizes -c '{WRITES}'\n{CELL}", "sizes.wait()\nsizes"]
    path, saved = write_notebook(tmp_path / "cells.ipynb", cells), tmp_path / "saved.ipynb"
    assert ktrace_nb("notebook", str(path), "-o", str(saved)).returncode == 0
    shown = [data for data in saved_data(saved) if "data:image/svg" in data.get("text/html", "")]
    pictures = [data["text/plain"] for data in shown]
    # Of the cell that ran, and of the one that ends with the session.
    assert len(pictures) == 2
    assert pictures[0] == pictures[1]
    assert "sizes  total 1,009" in pictures[0]
    assert pictures[0].startswith("sizes | done: the command ended with status 0")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_checks_runs_and_its_notebook_too(image: Image, path: Path) -> None:
    about = tomllib.loads(path.read_text())
    assert {"title", "keywords", "level", "needs", "check", "run"} == about.keys()
    for command in (about["check"], about["run"], f"ktrace-nb notebook {path.with_suffix('.ipynb')}"):
        program, *words = shlex.split(command)
        assert program == "ktrace-nb"
        done = ktrace_nb(*words)
        assert done.returncode == 0, done.stderr
        assert done.stdout
