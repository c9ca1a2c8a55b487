"""Scripts of several cells, checked against a small kernel by the real compiler of scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ktrace_nb.errors import CellError, OptionError
from ktrace_nb.lang.stap.script import compile_script
from ktrace_nb.magics import pieces
from ktrace_nb.magics.pieces import Piece
from ktrace_nb.source import Source
from tests.lang.stap.point_kernel import FACTS

DECLARES = "global reads\nfunction more(x) { return x + 1 }"
COUNTS = 'probe kernel.function("vfs_read") { reads[execname()] = more(reads[execname()]) }'
PRINTS = 'probe end { foreach (who in reads) printf("%s %d\\n", who, reads[who]) }'


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    for name in pieces.names():
        pieces.drop(name)


def check(whole: Source) -> None:
    compile_script(whole, FACTS)


def add(text: str, key: str = "", name: str = "walk") -> tuple[int, bool]:
    return pieces.add(name, Piece(text, key), check)


def refused(text: str, key: str = "") -> str:
    before = pieces.text("walk")
    with pytest.raises(CellError) as caught:
        add(text, key)
    assert pieces.text("walk") == before
    return str(caught.value)


def test_a_global_of_one_piece_is_used_in_the_next() -> None:
    assert [add(text) for text in (DECLARES, COUNTS, PRINTS)] == [(1, False), (2, False), (3, False)]
    assert pieces.script("walk").text == "\n".join((DECLARES, COUNTS, PRINTS))
    assert {g.name for g in compile_script(pieces.script("walk"), FACTS).tree.globals} == {"reads"}


def test_a_mistake_has_its_place_in_the_cell_and_the_piece_is_not_kept() -> None:
    add(DECLARES)
    said = refused(f"\n{COUNTS.replace('more', 'moar')}")
    assert said.startswith("no function 'moar'\ncell:2:")
    assert "did you mean more?" in said
    assert len(pieces.table("walk")) == 1


def test_what_an_earlier_piece_decided_is_shown_there() -> None:
    add(DECLARES)
    add(COUNTS)
    said = refused('probe end { printf("%s", reads[1]) }')
    assert "cell:1:" in said
    assert "piece 2 of walk:1:" in said


def test_a_brace_that_is_missing_is_not_looked_for_in_the_next_piece() -> None:
    add(DECLARES)
    add(COUNTS, "a")
    add(PRINTS, "b")
    said = refused(COUNTS.removesuffix("}"), "a")
    assert "this '{' is not closed" in said
    assert "cell:1:" in said


def test_a_cell_that_runs_again_replaces_its_piece() -> None:
    add(DECLARES, "a")
    add(COUNTS, "b")
    add(PRINTS, "c")
    assert add(COUNTS.replace("vfs_read", "vfs_write"), "b") == (2, True)
    assert "vfs_write" in pieces.script("walk").text
    assert "vfs_read" not in pieces.script("walk").text


def test_a_change_that_breaks_a_later_piece_is_refused_and_names_it() -> None:
    add(DECLARES, "a")
    add(COUNTS, "b")
    said = refused("global reads", "a")
    assert "no function 'more'" in said
    assert "piece 2 of walk:1:" in said


def test_without_a_key_the_same_text_is_the_same_piece() -> None:
    add(DECLARES)
    add(COUNTS)
    assert add(COUNTS) == (2, True)


def test_without_a_key_a_cell_replaces_the_piece_that_declares_the_same() -> None:
    add(DECLARES)
    add(COUNTS)
    assert add(DECLARES.replace("+ 1", "+ 2")) == (1, True)
    assert len(pieces.table("walk")) == 2


def test_pieces_are_listed_and_dropped() -> None:
    add(DECLARES, "a")
    add(COUNTS)
    add("probe begin { }", name="other")
    rows = pieces.table("walk").reset_index().to_dict("records")
    columns = ["script", "piece", "lines", "declares", "probes", "cell"]
    assert [[row[column] for column in columns] for row in rows] == [
        ["walk", 1, 2, "more, reads", "", "a"],
        ["walk", 2, 1, "", 'kernel.function("vfs_read")', ""],
    ]
    assert len(pieces.table()) == 3
    pieces.drop("walk", 1)
    assert pieces.script("walk").text == COUNTS
    pieces.drop("walk")
    with pytest.raises(OptionError, match="no script 'walk' has pieces"):
        pieces.script("walk")


def test_a_piece_that_is_not_there_cannot_be_dropped() -> None:
    add(DECLARES)
    with pytest.raises(OptionError, match="'walk' has no piece 2"):
        pieces.drop("walk", 2)
