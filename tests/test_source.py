from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.diagnostics import excerpt
from ktrace_nb.source import Edit, Edited, Source, Span, join

TEXT = "int a;\n  b(x, y);\n\nlast"


def test_positions_count_from_one() -> None:
    source = Source(TEXT)
    assert source.position(0) == (1, 1)
    assert source.position(TEXT.index("b(")) == (2, 3)
    assert source.position(len(TEXT)) == (4, 5)
    assert source.line(3) == ""
    assert source.line_count == 4


@given(st.text(alphabet="ab \n", max_size=40), st.integers(0, 40))
def test_offset_undoes_position(text: str, offset: int) -> None:
    source = Source(text)
    offset = min(offset, len(text))
    assert source.offset(*source.position(offset)) == offset


def test_a_token_is_found_where_it_starts() -> None:
    source = Source(TEXT)
    span = source.token_at(2, 3)
    assert TEXT[span.start : span.end] == "b"
    span = source.token_at(1, 1)
    assert TEXT[span.start : span.end] == "int"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.text("xy", max_size=8)), max_size=4))
def test_places_outside_edits_map_back(raw: list[tuple[int, int, str]]) -> None:
    text = "line one of three\nline two\nline three"
    source = Source(text)
    edits, free = [], 0
    for wish, length, new in sorted(raw):
        start = max(wish, free)
        end = min(start + length, len(text))
        if start > len(text) or "\n" in text[start:end]:
            continue
        edits.append(Edit(Span(start, end), new))
        free = end + 1
    edited = Edited(source, edits)
    replaced = {i for e in edits for i in range(e.span.start, e.span.end)}
    for offset in range(len(text)):
        if offset not in replaced and not any(e.span.start == offset for e in edits):
            after = edited.offset_of(offset)
            assert edited.text[after] == text[offset]
            assert edited.original(*edited.position(after)) == source.position(offset)


def test_a_place_inside_a_replacement_is_its_beginning() -> None:
    source = Source("a.increment(k);")
    edited = Edited(source, [Edit(Span(2, 11), "atomic_increment")])
    column = edited.text.index("_increment") + 1
    assert edited.original(1, column) == (1, 3)


def test_edits_keep_lines() -> None:
    source = Source("f(\n  1\n)")
    edited = Edited(source, [Edit(Span(1, 8), "X")])
    assert edited.text == "fX\n\n"
    with pytest.raises(ValueError, match="add lines"):
        Edited(source, [Edit(Span(0, 1), "a\nb")])
    with pytest.raises(ValueError, match="overlap"):
        Edited(source, [Edit(Span(0, 2), "a"), Edit(Span(1, 3), "b")])


def test_a_place_in_joined_texts_is_told_as_it_was_written() -> None:
    first, second = Source("one\ntwo", "a"), Source("three\nfour", "b")
    whole = join([first, second], "both")
    assert whole.text == "one\ntwo\nthree\nfour"
    at = whole.text.index("four")
    assert whole.written(Span(at, at + 4)) == (second, Span(6, 10))
    assert whole.written(Span(0, 3)) == (first, Span(0, 3))
    # What reaches into the next text ends with its own.
    assert whole.written(Span(4, at)) == (first, Span(4, 7))
    assert excerpt(whole, Span(at, at + 4)) == ["b:2:1", "    four", "    ^^^^"]
    assert first.written(Span(1, 2)) == (first, Span(1, 2))
