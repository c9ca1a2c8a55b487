from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.ir.format_text import FormatError, arguments_of, parse_format
from ktrace_nb.ir.script import Piece


def test_text_and_conversions_take_turns() -> None:
    assert parse_format("a=%d b=%s\n") == (
        Piece("a="),
        Piece("", "d"),
        Piece(" b="),
        Piece("", "s"),
        Piece("\n"),
    )


def test_a_doubled_percent_sign_is_text() -> None:
    assert parse_format("100%% of %d%%") == (Piece("100% of "), Piece("", "d"), Piece("%"))
    assert parse_format("50%") == (Piece("50%"),)


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("%5d", Piece("", "d", width=5)),
        ("%-20s", Piece("", "s", "-", 20)),
        ("%08x", Piece("", "x", "0", 8)),
        ("%#X", Piece("", "X", "#")),
        ("%.5s", Piece("", "s", precision=5)),
        ("%10.3s", Piece("", "s", width=10, precision=3)),
        ("%*.*s", Piece("", "s", width=-2, precision=-2)),
        ("%ld", Piece("", "d")),
        ("%.s", Piece("", "s")),
        ("%+05d", Piece("", "d", "+", 5)),
        ("%b", Piece("", "b", size=8)),
        ("%1b", Piece("", "b", width=1, size=1)),
        ("%.4b", Piece("", "b", precision=4, size=4)),
        ("%6.2b", Piece("", "b", width=6, precision=2, size=2)),
        ("%.16m", Piece("", "m", precision=16)),
    ],
)
def test_a_conversion_is_read_as_systemtap_reads_it(text: str, piece: Piece) -> None:
    assert parse_format(text) == (piece,)


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("ab %z", "no conversion '%z'", 3),
        ("%d %5", "conversion '%5' without its letter", 3),
        ("%lld", "no conversion '%ll'", 0),
        ("%n", "no conversion '%n'", 0),
        ("%5%", "no conversion '%5%'", 0),
    ],
)
def test_what_is_no_conversion_is_refused_at_its_place(text: str, message: str, offset: int) -> None:
    with pytest.raises(FormatError) as refused:
        parse_format(text)
    assert (str(refused.value), refused.value.offset) == (message, offset)


def test_stars_take_arguments() -> None:
    counts = [arguments_of(piece) for piece in parse_format("x%d%*d%.*s%*.*s")]
    assert counts == [0, 1, 2, 2, 3]


@given(st.text(alphabet="%d5s.*-+# 0lxqb\n"))
def test_any_text_is_read_or_refused_with_an_offset_in_it(text: str) -> None:
    try:
        pieces = parse_format(text)
    except FormatError as error:
        assert text[error.offset] == "%"
    else:
        assert "".join(p.text for p in pieces).count("\n") == text.count("\n")
