"""Pieces by name; and what every built-in piece has to be."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from ktrace_nb import health
from ktrace_nb.errors import OptionError
from ktrace_nb.health.model import Piece
from ktrace_nb.health.pieces import PIECES, choose
from ktrace_nb.health.processors import CTXT
from ktrace_nb.health.watching import paths_of

ASKED_FOR = (
    "ctxt interrupts softirqs nmi skb runnable forks pages dirty retransmits block"  # issue 7, point 5
)


def test_every_piece_that_was_asked_for_is_there() -> None:
    assert sorted(PIECES) == sorted(ASKED_FOR.split())


@pytest.mark.parametrize("piece", PIECES.values(), ids=list(PIECES))
def test_a_piece_says_all_there_is_to_say(piece: Piece) -> None:
    assert PIECES[piece.name] is piece
    assert piece.title and piece.unit and piece.changes and piece.account.files
    account = piece.account
    paths = (*account.files, *account.refresh, *account.settle)
    assert all(path.startswith(("/proc/", "/sys/")) for path in paths)


def test_pieces_are_named_by_globs_each_once_and_in_order() -> None:
    assert [piece.name for piece in choose(["forks", "*irqs", "f*"])] == ["forks", "softirqs"]
    assert len(choose(["*"])) == len(PIECES)


def test_pieces_of_ones_own_stand_beside_those_that_are_built_in() -> None:
    own = replace(CTXT, name="mine", most=1000.0)
    assert choose(["ctxt", own]) == (CTXT, own)


def test_two_pieces_of_one_name_are_refused() -> None:
    with pytest.raises(OptionError, match="two pieces 'ctxt'"):
        choose(["ctxt", replace(CTXT, most=5.0)])


def test_a_name_that_no_piece_has_is_answered_with_a_near_one() -> None:
    with pytest.raises(OptionError, match="no piece 'interupts'") as caught:
        choose(["interupts"])
    assert "interrupts" in str(caught.value.hint)
    with pytest.raises(OptionError, match="no piece to watch"):
        choose([])


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, ktrace_nb.health; print(sorted({'pandas', 'numpy', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_the_package_has_not_is_an_attribute_error() -> None:
    assert health.choose is choose
    with pytest.raises(AttributeError, match="no attribute 'lamp'"):
        _ = health.lamp


def test_files_that_have_the_kernel_add_up_others_are_read_before_them() -> None:
    paths = paths_of(choose(["pages", "dirty"]))
    assert sorted(paths) == ["/proc/sys/vm/stat_refresh", "/proc/vmstat"]
    assert paths[0] == "/proc/sys/vm/stat_refresh"


def test_watch_is_the_function_also_after_it_was_used() -> None:
    code = "from ktrace_nb import health; health.watch; health.Watch; print(callable(health.watch))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
