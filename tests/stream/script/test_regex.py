from __future__ import annotations

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrace_nb.stream.script.regex import compile_regex

libc = ctypes.CDLL(None)
REG_EXTENDED, REG_NOSUB = 1, 8


def posix_search(pattern: str, text: str) -> bool | None:
    """What the C library finds; None if it refuses the pattern."""
    compiled = ctypes.create_string_buffer(256)  # regex_t of glibc has 64 bytes
    if libc.regcomp(compiled, pattern.encode("latin-1"), REG_EXTENDED | REG_NOSUB):
        return None
    found: bool = libc.regexec(compiled, text.encode("latin-1"), ctypes.c_size_t(0), None, 0) == 0
    libc.regfree(compiled)
    return found


atoms = st.sampled_from(
    (
        *"ab.-",
        "[ab]",
        "[^a]",
        "[]a]",
        "[^]b-]",
        "[a-c]",
        "[[:digit:]]",
        "[[:alpha:]_]",
        "[^[:space:]]",
        "\\.",
        "\\\\",
        "\\*",
        "[+*?]",
        "[.]",
        "[[:punct:]]",
    )
)
unanchored = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(("*", "+", "?", "{2}", "{1,3}", "{2,}"))).map(
            lambda p: f"({p[0]}){p[1]}"
        ),
    ),
    max_leaves=8,
)
# The C library's own mind about anchors within repetitions is not POSIX's.
patterns = st.tuples(st.sampled_from(("", "^")), unanchored, st.sampled_from(("", "$"))).map("".join)


@settings(max_examples=400)
@given(patterns, st.text(alphabet="ab.-1_*+?\\ \n]^", max_size=8))
def test_it_matches_where_the_c_library_does(pattern: str, text: str) -> None:
    assert (compile_regex(pattern).search(text) is not None) is posix_search(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^sys_", "sys_open", True),
        ("open$", "open\n", False),
        ("a.c", "a\nc", True),
        ("x|yz", "ayz", True),
        ("(?:ab)+c", "ababc", True),
        ("a+*", "", True),
        ("a*?b", "aab", True),
        ("[[:d:]]", "7", True),
        (r"\d", "7", False),
        (r"\d", "d", True),
        ("", "anything", True),
        ("a||b", "", True),
        ("[\xe0-\xff]", "\xe9", True),
    ],
)
def test_it_reads_patterns_as_systemtap_does(pattern: str, text: str, found: bool) -> None:
    assert (compile_regex(pattern).search(text) is not None) is found


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("*a", "unexpected '*'"),
        ("a|*", "unexpected '*'"),
        ("(+)", "unexpected '+'"),
        ("^*", "'*' behind an anchor"),
        ("(a", "expected ')', found the end"),
        ("a)", "unbalanced ')'"),
        ("[a", "unclosed character class"),
        ("[]", "unclosed character class"),
        ("[[:foo:]]", "unknown character class 'foo'"),
        ("[b-a]", "inverted character range b-a"),
        ("a{x", "expected a number of repetitions behind '{'"),
        ("a{3,2}", "repetitions from 3 to 2"),
        ("a{20000}", "20000 repetitions, at most 12344"),
        ("a\\", "a backslash at the end"),
        ("(?=a)", "unexpected '(?='"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        compile_regex(pattern)
    assert str(refused.value) == reason
