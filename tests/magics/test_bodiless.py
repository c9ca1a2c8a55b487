"""``%%ktrace --calls`` alone in a cell."""

from __future__ import annotations

import pytest

from ktrace_nb.magics.bodiless import with_body
from tests.magics.conftest import Shell


@pytest.mark.parametrize(
    "cell",
    [
        "%%ktrace walk --calls 'ext4_*' --target nowhere",
        "%%ktrace walk --calls 'ext4_*' --target nowhere\n\n",
        "%ktrace walk --calls 'ext4_lookup' -c 'ls /mnt/ext3' --target nowhere",
        "%%ktrace walk --calls 'ext4_*' --show facts --target nowhere",
    ],
)
def test_patterns_on_the_line_need_nothing_below_it(shell: Shell, cell: str) -> None:
    assert "no target 'nowhere'" in shell.run(cell)


def test_patterns_have_no_tree_to_show(shell: Shell) -> None:
    said = shell.run("%%ktrace walk --calls 'ext4_*' --show ast")
    assert said.splitlines()[-2:] == [
        "OptionError: patterns of calls have no tree",
        "hint: --show facts lists what they mean",
    ]


@pytest.mark.parametrize(
    "cell", ["%%ktrace walk --calls 'ext4_*' --piece\nprobe begin { exit() }", "%ktrace run walk --calls 'a'"]
)
def test_pieces_and_patterns_do_not_go_together(shell: Shell, cell: str) -> None:
    (line,) = shell.run(cell).splitlines()
    assert "pieces make a script; --calls needs none" in line


def test_what_is_said_of_calls_needs_patterns(shell: Shell) -> None:
    said = shell.run("%%ktrace walk --depth 2\nprobe begin { exit() }").splitlines()
    assert said == ["OptionError: --depth is for calls", "hint: --calls 'ext4_*' says of which functions"]


@pytest.mark.parametrize("cell", ["%%ktrace walk", "x = 1", "%%ktrace walk --calls 'a'\nvfs_*\n", ""])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    lines = cell.splitlines(keepends=True)
    assert with_body(lines) == lines
