"""``%kstat`` in a real shell, reading through a real agent that has no privilege."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd
import pytest

from ktrace_nb.agent.package import agent_archive
from ktrace_nb.kstat import chain, provider
from ktrace_nb.system import system_pythons
from ktrace_nb.targets import base
from ktrace_nb.targets.connection import Connection
from ktrace_nb.targets.streams import ProcessStream
from tests.magics.conftest import Shell


class PlainTarget:
    """This machine, as whoever runs the tests sees it."""

    name = "plain"

    def __init__(self, archive: Path) -> None:
        archive.write_bytes(agent_archive())
        stream = ProcessStream([system_pythons()[0], "-I", str(archive)])
        self.connection = Connection(stream, lambda: "the agent ended")
        self.hello = self.connection.hello()

    def fact(self, name: str) -> bytes:
        return bytes(self.connection.call("fact", name=name).blob)

    def formats(self, names: list[str]) -> dict[str, str]:
        return {}

    def workload_user(self) -> None:
        return None

    def diagnose(self) -> str:
        return "the agent does not answer"

    def close(self) -> None:
        self.connection.close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainTarget]:
    target = PlainTarget(tmp_path_factory.mktemp("agent") / "agent.pyz")
    yield target
    target.close()


@pytest.fixture
def plain(shell: Shell, machine: PlainTarget, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell whose default target is this machine."""
    monkeypatch.setitem(base._openers, "plain", (lambda _, __: machine, lambda: ["plain"]))
    monkeypatch.setitem(base._open, "plain", machine)
    shell.run("%config KTraceMagics.target = 'plain'")
    return shell


@pytest.fixture
def lesson() -> Iterator[dict[str, Any]]:
    """A kstat whose data the test sets."""
    data: dict[str, Any] = {"depth": 7, "$": "a {b} c"}

    def queue() -> dict[str, Any]:
        if "error" in data:
            raise OSError(data["error"])
        return data

    entry = provider("lesson", "queue", chain="plain")(queue)
    yield data
    chain("plain").remove(entry)


@pytest.fixture(autouse=True)
def ended_by_alarm() -> Iterator[None]:
    """Whatever does not come to an end is interrupted, as by the user."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_without_a_layout_it_gives_a_frame_of_what_matches(plain: Shell, lesson: dict[str, Any]) -> None:
    plain.run("frame = %kstat lesson:0:queue:d* 'cpu_stat::/[02]$/:/^(intr|idle)$/'")
    frame = plain.shell.user_ns["frame"]
    assert isinstance(frame, pd.DataFrame)
    assert frame.index.names == ["module", "instance", "name", "statistic"]
    assert frame["value"].to_dict()[("lesson", 0, "queue", "depth")] == 7
    cpus = {f"cpu_stat{number}" for number in (os.sched_getaffinity(0) & {0, 2})}
    names = set(frame.index.get_level_values("name"))
    assert cpus <= names <= {"queue", "cpu_stat0", "cpu_stat2"}
    assert set(frame.index.get_level_values("statistic")) == {"depth", "idle", "intr"}


def test_nothing_that_matches_is_an_empty_frame_and_no_word(plain: Shell) -> None:
    assert plain.run("frame = %kstat -m nothing") == ""
    assert plain.shell.user_ns["frame"].empty


@pytest.mark.usefixtures("lesson")
@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("-p lesson:::depth", "lesson:0:queue:depth\t7\n"),
        ("-C lesson:::depth", "lesson:0:queue:depth:7\n"),
        ("-pV lesson:::depth", "7\n"),
        ("-l -m lesson -s 'dept?'", "lesson:0:queue:depth\n"),
        # A shell's quotes, and nothing that IPython would put in.
        (r"-p -m lesson -s '/^[$]$/'", "lesson:0:queue:$\ta {b} c\n"),
        ("-pV 'lesson:::/^.{1}$/'", "a {b} c\n"),
        ("-p nothing", ""),
        ("-j nothing", "[]\n"),
        ("-p lesson:::depth 1 2", "lesson:0:queue:depth\t7\n\nlesson:0:queue:depth\t7\n"),
    ],
)
def test_with_a_layout_it_prints_what_the_command_would(plain: Shell, line: str, text: str) -> None:
    assert plain.run(f"%kstat {line}") == text


def test_quiet_tells_whether_anything_matches(plain: Shell, lesson: dict[str, Any]) -> None:
    assert plain.run("there = %kstat -q lesson\nmissing = %kstat -q lesson:::nothing") == ""
    assert (plain.shell.user_ns["there"], plain.shell.user_ns["missing"]) == (True, False)
    assert "there" in plain.shell.user_ns


def test_prometheus_has_a_form_of_its_own(plain: Shell, lesson: dict[str, Any]) -> None:
    lines = plain.run("%kstat --prometheus lesson:::depth").splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'kstat_lesson_depth{class="misc",instance="0",name="queue"} 7.0'
    ]


@pytest.mark.usefixtures("lesson")
def test_reports_without_a_count_go_on_until_the_cell_is_interrupted(plain: Shell) -> None:
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    text = plain.run("%kstat -p lesson:::depth 1\nprint('the cell goes on')")
    *reports, last = text.split("\n\n")
    assert set(reports) <= {"lesson:0:queue:depth\t7"}
    assert last == "lesson:0:queue:depth\t7\nthe cell goes on\n"


def test_what_cannot_be_read_is_told_and_the_others_are_there(plain: Shell, lesson: dict[str, Any]) -> None:
    lesson["error"] = "it is gone"
    text = plain.run("frame = %kstat lesson cpu_stat:0::intr")
    assert text == "kstat: lesson:0:queue: OSError: it is gone\n"
    assert list(plain.shell.user_ns["frame"].index.get_level_values("statistic")) == ["intr"]
    text = plain.run("%kstat -l lesson")
    assert text.splitlines() == [
        "lesson:0:queue:class",
        "lesson:0:queue:crtime",
        "kstat: lesson:0:queue: OSError: it is gone",
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "-s '/[/'",
            "PatternError: bad regular expression: unterminated character set\n"
            "statistic:1:2\n    /[/\n     ^\n",
        ),
        ("0", "OptionError: interval must be an integer >= 1, not '0'\n"),
        ("1 0", "OptionError: count must be an integer >= 1, not '0'\n"),
        ("-x", "OptionError: option -x not recognized\nhint: -h lists the options\n"),
        ("'a", 'UsageError: %kstat: no closing quotation in "\'a"\n'),
    ],
)
def test_a_line_that_makes_no_sense_is_told_in_short(plain: Shell, line: str, text: str) -> None:
    assert plain.run(f"%kstat {line}") == text


def test_another_target_is_an_option(plain: Shell) -> None:
    text = plain.run("%kstat --target mars")
    assert text.startswith("OptionError: no target 'mars'\nhint: one of ")
    assert "plain" in text
    assert plain.run("%kstat -h").startswith("usage: ktrace-nb kstat ")


def test_live_gives_a_table_that_takes_the_interval_and_what_to_read(plain: Shell) -> None:
    assert plain.run("browser = %kstat --live unix:0:system_misc:ncpus 3") == ""
    browser = plain.shell.user_ns["browser"]
    (view,) = browser.view_data()
    assert view.frame["value"].tolist() == [os.cpu_count()]
    assert browser.name == "kstat plain"


@pytest.mark.parametrize("words", ["-p", "-q", "-T u", "1 5"])
def test_live_refuses_what_makes_reports(plain: Shell, words: str) -> None:
    assert "--live is a table that goes on" in plain.run(f"%kstat --live {words}")
