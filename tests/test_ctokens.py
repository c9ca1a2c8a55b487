from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.ctokens import DIRECTIVE, STRING, arguments, joined, matching, tokenize


def texts(source: str) -> list[str]:
    return [token.text for token in tokenize(source)]


def test_comments_and_blanks_are_dropped_and_operators_kept_whole() -> None:
    assert texts("a->b /* } */ <<= 0x1f; // {\n c") == ["a", "->", "b", "<<=", "0x1f", ";", "c"]


def test_a_directive_is_one_token_with_its_continuation() -> None:
    tokens = tokenize("#define X \\\n  y\nz # w")
    assert tokens[0].kind == DIRECTIVE
    assert tokens[0].text == "#define X \\\n  y"
    assert [t.text for t in tokens[1:]] == ["z", "#", "w"]


def test_brackets_in_strings_do_not_count() -> None:
    tokens = tokenize("f(\"(\", ')', g(1, 2))")
    assert tokens[2].kind == STRING
    assert matching(tokens, 1) == len(tokens) - 1
    assert [joined(a) for a in arguments(tokens, 1)] == ['"("', "')'", "g(1,2)"]


@given(st.text(max_size=80))
def test_any_text_can_be_cut_and_every_token_lies_where_it_says(source: str) -> None:
    end = 0
    for token in tokenize(source):
        assert token.span.start >= end
        assert source[token.span.start : token.span.end] == token.text
        end = token.span.end


@given(st.text(alphabet="(){}[],ab", max_size=30))
def test_unbalanced_brackets_are_survived(source: str) -> None:
    tokens = tokenize(source)
    for index in range(len(tokens)):
        assert matching(tokens, index) <= len(tokens)
        arguments(tokens, index)
