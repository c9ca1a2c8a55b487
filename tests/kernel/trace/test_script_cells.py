"""Scripts as users run them: cells, pieces, the command line."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Iterator

import pytest

from ktrace_nb import engine
from ktrace_nb.magics import pieces
from ktrace_nb.magics.probes import probes_table
from ktrace_nb.magics.source import SessionSource
from ktrace_nb.report import session_text
from ktrace_nb.session import Session
from tests.kernel.trace.kit import WRITES, Guest, Trace
from tests.kernel.trace.test_command_line import ktrace_nb
from tests.magics.conftest import Shell
from tests.magics.conftest import shell as shell  # the fixture

pytestmark = pytest.mark.kernel

COUNT = """global sizes
probe kernel.function("vfs_write") { if (pid() == target() && $count == 64) sizes <<< $count }
probe end { printf("%d writes of %d bytes\\n", @count(sizes), @max(sizes)) }
"""


@pytest.fixture
def script(trace: Trace) -> Trace:
    """Run a script to its end."""
    return functools.partial(trace, language="stap")


# --- the command line ----------------------------------------------------------------------


def test_a_script_s_text_is_all_that_is_on_standard_output(image: object) -> None:
    done = ktrace_nb("run", "-", "-q", "-c", WRITES, stdin=COUNT)
    assert (done.returncode, done.stdout) == (0, "1009 writes of 64 bytes\n")


def test_globals_that_a_script_never_reads_are_shown_as_tables(image: object) -> None:
    text = (
        'global n, none probe kernel.trace("sched_process_exec") { if (pid() == target()) n[execname()]++ }'
    )
    done = ktrace_nb("run", "-e", text, "-q", "-c", "dd --version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "n: 1 entries\nkey1  value\ndd        1\n"


def test_arguments_globals_and_limits_reach_the_script(image: object) -> None:
    text = """
    global who = "?", n = 1
    probe oneshot { all = sprintf("%s%d", @2, n); println(who, " ", n, " ", $1 + 1, " ", all) }
    """
    words = ("-G", "who=a long name", "-G", "n=7", "-D", "MAXSTRINGLEN=20")
    done = ktrace_nb("run", "-e", text, *words, "41", "x" * 30)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"a long name 7 42 {'x' * 19}\n"


def test_text_comes_while_the_script_runs(script: Trace) -> None:
    session = script('global n\nprobe timer.ms(100) { printf("round %d\\n", ++n) }', wait=False)
    source = SessionSource(session)
    deadline = time.monotonic() + 10
    while not source.view_data() or source.view_data()[0].name != "printed":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert session.running
    assert source.view_data()[0].frame["text"].iloc[0] == "round 1"
    session.stop()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["run", "-e", "probe vfs.raed { }"], 1, "ProbeNotFoundError: no probe point 'vfs.raed'"),
        (["run", "-e", "probe begin { println(1 / 0) }"], 1, "division by 0"),
        (["run", "-e", "probe oneshot { }", "-G", "x=1"], 2, "the script has no global 'x'"),
        (["run", "-e", "probe oneshot { }", "-D", "MAXSTRINGLENGTH=1"], 2, "no limit 'MAXSTRINGLENGTH'"),
        (
            ["check", "-e", "probe vfs.read { $file->f_nothing }", "--stage", "type"],
            1,
            "no member 'f_nothing'",
        ),
    ],
)
def test_what_is_wrong_has_a_status_and_is_said_once(
    image: object, words: list[str], status: int, said: str
) -> None:
    done = ktrace_nb(*words)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.count(said) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("stage", ["type", "compile", "load", "attach"])
def test_check_takes_a_script_as_far_as_asked(image: object, stage: str) -> None:
    done = ktrace_nb("check", "-", "--stage", stage, "--json", stdin=COUNT)
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (0, True)
    assert [probe[1:] for probe in found["probes"]] == [["kprobe", "vfs_write"]]


@pytest.mark.parametrize(
    ("stage", "telling"),
    [
        ("ast", "  if (pid() == target() && $count == 64)\n    sizes <<< $count\n"),
        ("ir", "global sizes: statistics, in the kernel\n"),
        ("c", "probe_0"),
        ("bytecode", "bpf_get_current_pid_tgid"),
    ],
)
def test_every_stage_of_a_script_can_be_shown(image: object, stage: str, telling: str) -> None:
    done = ktrace_nb("check", "-", "--show", stage, stdin=COUNT)
    assert done.returncode == 0, done.stderr
    assert telling in done.stdout


# --- cells -----------------------------------------------------------------------------------


@pytest.fixture
def cells(shell: Shell, lab: object) -> Iterator[Shell]:
    """A notebook with a lab."""
    yield shell
    shell.run("%ktrace stop")
    for name in pieces.names():
        pieces.drop(name)


def session_of(shell: Shell, name: str) -> Session:
    session = shell.shell.user_ns[name]
    assert isinstance(session, Session)
    assert session.wait(60)
    return session


def test_a_cell_that_looks_like_a_script_runs_as_one(cells: Shell) -> None:
    cells.run(f'%%ktrace writes --view none -c "{WRITES}"\n{COUNT}')
    session = session_of(cells, "writes")
    assert session.text == "1009 writes of 64 bytes\n"
    assert session.sizes["count"].tolist() == [1009]


def test_pieces_run_together_and_a_changed_cell_replaces_its_own(cells: Shell) -> None:
    first, second, third = COUNT.splitlines()
    assert "walk: piece 1 added" in cells.run(f"%%ktrace walk --piece\n{first}")
    assert "walk: piece 2 added" in cells.run(f"%%ktrace walk --piece counts\n{second}")
    assert "walk: piece 3 added" in cells.run(f"%%ktrace walk --piece says\n{third}")
    cells.run(f"%ktrace run walk --view none -c '{WRITES}'")
    assert session_of(cells, "walk").text == "1009 writes of 64 bytes\n"
    assert "piece 3 replaced" in cells.run(f"%%ktrace walk --piece says\n{third.replace('writes', 'calls')}")
    cells.run(f"%ktrace run walk --view none -c '{WRITES}'")
    assert session_of(cells, "walk").text == "1009 calls of 64 bytes\n"


def test_remarks_on_a_piece_are_under_its_cell(cells: Shell) -> None:
    cells.run("%%ktrace walk --piece\nglobal begun, spent")
    said = cells.run("%%ktrace walk --piece\nprobe vfs.read { begun[pid()] = gettimeofday_us() }")
    assert "note" not in said
    said = cells.run(
        "%%ktrace walk --piece\nprobe vfs.read.return { spent[pid()] <<< gettimeofday_us() - begun[pid()] }"
    )
    assert "piece 3 added" in said


def test_the_lab_s_probe_points_are_listed_with_types(lab: object) -> None:
    facts = engine.facts_of(lab)  # type: ignore[arg-type]
    types = probes_table('kernel.function("vfs_read").return', facts)["type"].droplevel("probe").to_dict()
    # As in the kernel's fs/read_write.c.
    assert types == {
        "$return": "ssize_t",
        "$file": "struct file *",
        "$buf": "char *",
        "$count": "size_t",
        "$pos": "loff_t *",
    }
    assert len(probes_table('kernel.function("ext4_*")', facts)) > 100
    switch = probes_table('kernel.trace("sched_switch")', facts)["type"].droplevel("probe")
    assert switch["$prev"] == "struct task_struct *"


# --- scripts like those that the project began with ----------------------------------------------


def test_a_call_graph_is_indented_by_thread(script: Trace) -> None:
    session = script(
        """
        probe kernel.function("vfs_write") {
          if (pid() == target()) printf("%s -> %s\\n", thread_indent(1), ppfunc())
        }
        probe kernel.function("vfs_write").return {
          if (pid() == target()) printf("%s <- %s\\n", thread_indent(-1), ppfunc())
        }
        """,
        command="dd if=/dev/zero of=/dev/null bs=64 count=3 status=none",
    )
    lines = session.text.splitlines()
    assert len(lines) == 6
    assert all(re.fullmatch(r" +\d+ dd\(\d+\): -> vfs_write", line) for line in lines[::2])
    assert all(re.fullmatch(r" +\d+ dd\(\d+\): <- vfs_write", line) for line in lines[1::2])


def test_the_busiest_are_printed_every_so_often(script: Trace, guest: Guest) -> None:
    session = script(
        """
        global calls
        probe syscall.* { calls[execname()]++ }
        probe timer.ms(300) {
          foreach (who in calls- limit 1) printf("%s %d\\n", who, calls[who])
          delete calls
        }
        """,
        command=f"{WRITES}; sleep 0.5",
    )
    busiest = [line.split() for line in session.text.splitlines()]
    assert any(who == "dd" and int(count) >= 2018 for who, count in busiest)
    assert session.timer_ms_300["who"].tolist() == [who for who, _ in busiest]


def test_old_names_are_mapped_and_said(script: Trace) -> None:
    session = script(
        'global n\nprobe kernel.function("do_fork") { if (pid() == target()) n++ }', command="(true); (true)"
    )
    assert session.n["value"].tolist() == [2]
    assert any("'do_fork' is 'kernel_clone'" in note for note in session.notes)
    assert "n: 1 entries" in session_text(session)
