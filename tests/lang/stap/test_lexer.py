from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.lang.stap.lexer import comments, words
from ktrace_nb.lang.stap.numerals import number_of
from ktrace_nb.lang.stap.tree import text_of_bytes
from ktrace_nb.source import Source


def kinds(text: str, *arguments: str) -> list[tuple[str, str]]:
    return [(word.kind, word.text) for word in words(Source(text), arguments)[:-1]]


def value(text: str) -> str:
    (word,) = words(Source(text))[:-1]
    assert word.kind == "string", word.error
    return word.text


def test_the_longest_operator_is_taken() -> None:
    text = "<<<= >>>= a<<=b ->-- +++ %(%?%:%) %=% =~!~"
    assert [t for _, t in kinds(text)] == [
        "<<<", "=", ">>>", "=", "a", "<<=", "b", "->", "--", "++", "+",
        "%(", "%?", "%:", "%)", "%=", "%", "=~", "!~",
    ]  # fmt: skip


def test_all_three_comments_are_blanks() -> None:
    assert kinds("a # b\nc // d\ne /* f\n g */ h") == [("name", x) for x in "aceh"]


def test_a_comment_ends_no_string_and_a_string_begins_in_no_comment() -> None:
    assert kinds('"# a" /* " */ "// b" # "') == [("string", "# a"), ("string", "// b")]


def test_words_know_where_they_stand_and_what_touches_them() -> None:
    source = Source("ab  *c")
    found = [(w.text, w.start, w.end, w.glued) for w in words(source)]
    assert found == [("ab", 0, 2, False), ("*", 4, 5, False), ("c", 5, 6, True), ("", 6, 6, False)]


def test_dollars_belong_to_names_and_at_begins_operators() -> None:
    assert kinds("$a->b$$ $$parms @count @_x") == [
        ("name", "$a"), ("op", "->"), ("name", "b$$"), ("name", "$$parms"), ("at", "@count"), ("at", "@_x"),
    ]  # fmt: skip


def test_keywords_are_told_from_names() -> None:
    assert kinds("foreach foreachs") == [("keyword", "foreach"), ("name", "foreachs")]


def test_embedded_c_is_one_word() -> None:
    assert kinds("%{ a } % } %}b") == [("embedded", "%{ a } % } %}"), ("name", "b")]


# C11 6.4.4.4, and what SystemTap's lexer says of escapes that C does not have.
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\a\b\t\n\v\f\r", "\x07\x08\x09\x0a\x0b\x0c\x0d"),
        (r"\101\1018\0", "AA8\0"),
        (r"\x41\x1b[", "A\x1b["),
        (r"\"\\", '"\\'),
        (r"\.\d\'\?", ".d'?"),
        ("a\\\nb", "ab"),
    ],
)
def test_escapes_are_those_of_c(written: str, meant: str) -> None:
    assert value(f'"{written}"') == meant


@given(st.text())
def test_text_is_kept_as_its_bytes_in_utf_8(text: str) -> None:
    written = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    found = value(f'"{written}"')
    assert found.encode("latin-1") == text.encode("utf-8")
    assert text_of_bytes(found) == text


@given(st.binary())
def test_any_byte_can_be_written_as_an_octal_escape(data: bytes) -> None:
    assert value('"' + "".join(f"\\{byte:03o}" for byte in data) + '"').encode("latin-1") == data


@given(st.integers(0, 2**64 - 1))
def test_numbers_have_64_bits_in_any_base(number: int) -> None:
    for text in (str(number), hex(number), "0" + oct(number)[2:]):
        (word,) = words(Source(text))[:-1]
        assert number_of(word) % 2**64 == number
        assert -(2**63) <= number_of(word) < 2**63


def test_arguments_stand_for_words_or_for_a_string() -> None:
    assert kinds("$1 @1 $# @#", 'vfs_* "a"') == [
        ("name", "vfs_"), ("op", "*"), ("string", "a"),
        ("string", 'vfs_* "a"'), ("number", "1"), ("string", "1"),
    ]  # fmt: skip


def test_what_an_argument_stands_for_is_where_it_is_named() -> None:
    found = words(Source("x $1 y"), ["a.b"])
    assert [(w.text, w.start, w.end) for w in found[1:4]] == [("a", 2, 4), (".", 2, 4), ("b", 2, 4)]


def test_an_empty_argument_stands_for_nothing() -> None:
    assert kinds("a $1 b @1", "") == [("name", "a"), ("name", "b"), ("string", "")]


def test_an_argument_is_not_read_for_arguments() -> None:
    (word,) = words(Source("$1"), ["$2", "x"])[:-1]
    assert word.kind == "junk"


def test_a_wrong_word_is_no_error_until_it_is_used() -> None:
    found = words(Source('a § "b'))
    assert [w.kind for w in found] == ["name", "junk", "junk", "end"]
    assert all(w.error is not None for w in found[1:3])


def test_half_a_character_is_refused() -> None:
    (word,) = words(Source('"\ud800"'))[:-1]
    assert word.error is not None


def test_comments_are_found_with_their_places() -> None:
    text = 'a # b\n"# c" /* d */ $# // e'
    assert [text[start:end] for start, end in comments(text)] == ["# b", "/* d */", "// e"]
