"""The magics in a real shell, as far as they go without a kernel."""

from __future__ import annotations

import pytest

from ktrace_nb.magics import sessions
from tests.magics.conftest import Shell

MISSPELT = "%%ktrace --target nowhere\nint kprobe__f(void *ctx) { return 0; }"


def test_an_error_is_its_own_lines_and_no_traceback(shell: Shell) -> None:
    said = shell.run(MISSPELT)
    assert "OptionError: no target 'nowhere'" in said
    assert "hint: one of lab" in said
    assert "Traceback" not in said


def test_the_full_traceback_is_a_setting_away(shell: Shell) -> None:
    shell.run("%config KTraceMagics.brief_errors = False")
    assert "Traceback" in shell.run(MISSPELT)


def test_a_mistake_in_the_text_names_its_place_before_any_kernel_is_asked(shell: Shell) -> None:
    said = shell.run("%%ktrace\nint f(void *ctx) { return 0; }")
    assert "CellError" in said
    assert "--attach" in said


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "%ktrace nonsense",
            "expected list, stop, targets, doctor, run, pieces, drop, probes, help, --calls or -e CODE",
        ),
        ("%ktrace nonsense", "found 'nonsense'"),
        ("%%ktrace -e 'int x;'\nint y;", "the cell is the program"),
        ("%%ktrace --nonsense\nint y;", "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_use_is_one_line(shell: Shell, line: str, why: str) -> None:
    said = shell.run(line)
    assert said.startswith("UsageError: ")
    assert why in said
    assert len(said.splitlines()) == 1


def test_braces_and_dollars_reach_the_program_as_written(shell: Shell) -> None:
    shell.run("x = 'expanded'")
    said = shell.run("%%ktrace --lang {x}\n$x")
    assert "no language '{x}'" in said


def test_lists_are_empty_before_anything_ran(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other tests of this process may have run cells.
    monkeypatch.setattr(sessions, "_entries", {})
    shell.run("listed = %ktrace list")
    assert shell.shell.user_ns["listed"].empty
    assert "no session 'sizes'" in shell.run("%ktrace stop sizes")


def test_targets_are_listed(shell: Shell) -> None:
    lines = shell.run("%ktrace targets").splitlines()
    # Other tests of this process may use them.
    assert {"local", "lab"} <= {line.split()[0] for line in lines}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%%ktrace --vi", ["%%ktrace --view"]),
        ("%%ktrace --view h", ["%%ktrace --view hist", "%%ktrace --view heatmap"]),
        ("%%ktrace --target lo", ["%%ktrace --target local"]),
        ("%%ktrace --show b", ["%%ktrace --show bytecode"]),
        ("%%ktrace --attach kpr", ["%%ktrace --attach kprobe:"]),
        ("%%ktrace sizes --fo", ["%%ktrace sizes --for", "%%ktrace sizes --follow"]),
        ("%ktrace do", ["%ktrace doctor"]),
    ],
)
def test_tab_offers_what_may_stand_there(shell: Shell, line: str, offered: list[str]) -> None:
    assert shell.complete(line) == offered


def test_a_word_with_colons_is_completed_as_a_whole(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["lab", "lab:lab-6.1", "local"]
    monkeypatch.setattr("ktrace_nb.magics.completion.target_names", lambda: names)
    assert shell.complete("%%ktrace --target lab:la") == ["%%ktrace --target lab:lab-6.1"]
