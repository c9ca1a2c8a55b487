"""The keeper puts files back: ordinary ones here, the kernel's in tests/kernel/trace/test_graph.py."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ktrace_nb.agent import keeper as keepers
from ktrace_nb.agent.keeper import Keeper, write_words

AGENT = """
import sys, time
from ktrace_nb.agent.keeper import Keeper
keeper = Keeper([(sys.argv[1], ["one", "two words", "$three"]), (sys.argv[2], [])], sys.argv[3])
print(keeper.pid, flush=True)
time.sleep(60)
"""


def test_words_become_the_whole_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "filter"
    path.write_text("something longer than the words\n")
    write_words(str(path), ["a", "b"])
    assert path.read_text() == "a\nb\n"
    write_words(str(path), [])
    assert path.read_text() == ""


def test_who_is_dismissed_has_put_everything_back(tmp_path: Path) -> None:
    path, folder = tmp_path / "filter", tmp_path / "instance"
    folder.mkdir()
    path.write_text("changed\n")
    keeper = Keeper([(str(path), ["before"])], str(folder))
    keeper.dismiss()
    assert path.read_text() == "before\n"
    assert not folder.exists()
    path.write_text("of somebody else\n")
    keeper.dismiss()
    assert path.read_text() == "of somebody else\n"


def test_an_error_does_not_keep_the_rest_from_being_put_back(tmp_path: Path) -> None:
    path = tmp_path / "filter"
    path.write_text("changed\n")
    keeper = Keeper([(str(tmp_path / "no" / "such"), ["x"]), (str(path), ["before"])])
    with pytest.raises(FileNotFoundError):
        keeper.dismiss()
    assert path.read_text() == "before\n"


def test_a_keeper_that_tries_on_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "_WAIT_S", 0.1)
    folder = tmp_path / "instance"
    (folder / "busy").mkdir(parents=True)
    keeper = Keeper([], str(folder))
    start = time.monotonic()
    with pytest.raises(OSError, match="not empty"):
        keeper.dismiss()
    assert time.monotonic() - start < 1
    keeper.dismiss()
    (folder / "busy").rmdir()
    assert keeper._process.wait(5) == 0
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_who_dies_undismissed_is_put_back_after(tmp_path: Path, number: int) -> None:
    first, second, folder = tmp_path / "first", tmp_path / "second", tmp_path / "instance"
    folder.mkdir()
    first.write_text("changed\n")
    second.write_text("changed\n")
    with subprocess.Popen(
        [sys.executable, "-c", AGENT, str(first), str(second), str(folder)], stdout=subprocess.PIPE, text=True
    ) as agent:
        assert agent.stdout is not None
        assert int(agent.stdout.readline()) > 0
        time.sleep(0.2)
        assert first.read_text() == "changed\n"
        agent.send_signal(number)
    end = time.monotonic() + 10
    while folder.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert first.read_text() == "one\ntwo words\n$three\n"
    assert second.read_text() == ""
    assert not folder.exists()
