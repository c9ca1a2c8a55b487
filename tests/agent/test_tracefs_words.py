"""Files of tracefs as words, with what Linux 6.1 and 6.12 show in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ktrace_nb.agent import tracefs_words
from ktrace_nb.agent.tracer import _mask

OFFERED = "vfs_read\next4_file_open\nvfs_read\nnfs_open [nfs]\n__ftrace_invalid_address___48\n"


@pytest.fixture(autouse=True)
def tracing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the kernel's."""
    (tmp_path / "available_filter_functions").write_text(OFFERED)
    monkeypatch.setattr(tracefs_words, "TRACEFS", str(tmp_path))
    return tmp_path


def test_functions_are_found_by_their_lines() -> None:
    wanted = ["ext4_file_open", "vfs_read", "nfs_open [nfs]", "nfs_open", "vfs_reed"]
    assert tracefs_words.find_lines(wanted) == (["1", "2", "3", "4"], ["nfs_open", "vfs_reed"])
    assert tracefs_words.find_lines([]) == ([], [])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("trace_clock", "local global [mono] boot\n", ["mono"]),
        ("buffer_size_kb", "1408\n", ["1408"]),
        ("buffer_size_kb", "7 (expanded: 1408)\n", ["1408"]),
        ("buffer_size_kb", "X\n", []),
        ("set_ftrace_filter", "#### all functions enabled ####\n", []),
        ("set_ftrace_filter", "vfs_read\nnfs_open [nfs]\nschedule:traceoff:unlimited\n", ["1", "3", "4"]),
        ("set_ftrace_notrace", "#### no functions disabled ####\n", []),
        ("set_ftrace_pid", "no pid\n", []),
        ("set_ftrace_pid", "12\n345\n", ["12", "345"]),
        ("set_graph_function", "#### all functions enabled ####\n", []),
        ("set_graph_function", "vfs_read\nnfs_open [nfs]\n", ["vfs_read", "nfs_open"]),
        ("max_graph_depth", "0\n", ["0"]),
        ("overwrite", "1\n", ["1"]),
    ],
)
def test_a_file_is_made_what_it_was_by_words(tracing: Path, name: str, text: str, words: list[str]) -> None:
    (tracing / name).write_text(text)
    assert tracefs_words.read_words(str(tracing / name)) == words


def test_pages_are_as_large_as_the_kernel_says(tracing: Path) -> None:
    assert tracefs_words.page_size(str(tracing)) in (4096, 16384, 65536)
    (tracing / "buffer_subbuf_size_kb").write_text("8\n")
    assert tracefs_words.page_size(str(tracing)) == 8192


def test_an_instance_that_cannot_be_looked_at_is_removed(tracing: Path) -> None:
    # A folder of an ordinary file system has no files of its own.
    (tracing / "instances").mkdir()
    with pytest.raises(FileNotFoundError):
        tracefs_words.own_instance("function_graph")
    assert list((tracing / "instances").iterdir()) == []


@pytest.mark.parametrize(
    ("cpus", "mask"),
    [
        (range(1), "1"),
        ((0, 1), "3"),
        (range(32), "ffffffff"),
        ((0, 33), "2,00000001"),
        (range(64), "ffffffff,ffffffff"),
    ],
)
def test_cpus_are_named_as_the_kernel_reads_them(cpus: Sequence[int], mask: str) -> None:
    assert _mask(cpus) == mask
