"""Whatever a script says, it is parsed or refused with an error of ours."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from ktrace_nb.errors import KTraceError
from ktrace_nb.lang.stap import unparse
from ktrace_nb.lang.stap.lexer import KEYWORDS, words
from ktrace_nb.lang.stap.macros import Settings
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.source import Source
from tests.lang.stap.scripts import SCRIPTS

WORDS = [
    word.text if word.kind != "string" else f'"{word.text}"'
    for text in SCRIPTS
    for word in words(Source(text))
]
MORE = [
    *KEYWORDS,
    "%{ x %}",
    "%(",
    "%?",
    "%:",
    "%)",
    "@define",
    "$1",
    "@1",
    "$#",
    "begin",
    "\n",
    '"',
    "/*",
    "'",
    "§",
]


def survives(text: str, *, library: bool = False) -> None:
    told = Settings(arguments=("1", "a b"), library=library)
    try:
        script = parse(Source(text), told)
    except KTraceError as error:
        str(error)
        return
    printed = unparse.script(script)
    second = parse(Source(printed), told)
    assert (script.globals, script.functions, script.probes, script.aliases) == (
        second.globals, second.functions, second.probes, second.aliases,
    )  # fmt: skip


@given(st.text())
def test_any_text(text: str) -> None:
    survives(text)


@given(st.lists(st.characters(codec=None), max_size=30).map("".join))
def test_any_text_with_halves_of_characters(text: str) -> None:
    survives(f'probe begin {{ print("{text}") }}')


@settings(max_examples=300)
@given(st.lists(st.sampled_from(WORDS + MORE), max_size=60), st.booleans())
def test_any_words(found: list[str], library: bool) -> None:
    survives(" ".join(found), library=library)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(WORDS + MORE), max_size=25))
def test_any_words_in_a_probe(found: list[str]) -> None:
    survives(f"probe begin {{ {' '.join(found)} }}")


@settings(max_examples=300)
@given(st.sampled_from(SCRIPTS), st.data())
def test_scripts_with_words_taken_out_doubled_and_exchanged(text: str, data: st.DataObject) -> None:
    spans = [(word.start, word.end) for word in words(Source(text))[:-1]]
    parts = [text[start:end] for start, end in spans]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(parts) - 1))
        match data.draw(st.sampled_from(["out", "double", "other", "in"])):
            case "out" if len(parts) > 1:
                del parts[at]
            case "double":
                parts.insert(at, parts[at])
            case "other":
                parts[at] = data.draw(st.sampled_from(WORDS + MORE))
            case _:
                parts.insert(at, data.draw(st.sampled_from(MORE)))
    survives(" ".join(parts))


@given(st.sampled_from(SCRIPTS), st.integers(0, 2000), st.integers(0, 40))
def test_scripts_cut_short_or_with_a_hole(text: str, start: int, length: int) -> None:
    survives(text[:start])
    survives(text[:start] + text[start + length :])


REPEATED = (
    "(", "[", "{", "!", "&", "a[", "f(", "a?", "a.", "a->", "++", "x=", "@entry(", "@defined(", "$x[", "try{",
    "- ", "if (a) ", "if (a) b else ", "while (a) ", "foreach (a in b) ", "%( 1 == 1 %? ", "@define a %( ",
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(REPEATED), st.integers(1, 3000))
def test_what_is_repeated_often_is_refused_in_time_without_an_overflow(part: str, count: int) -> None:
    survives(f"probe begin {{ x = {part * count}")
    survives(f"probe begin {{ {part * count} 1 }}")
    survives(f"probe {part * count} {{ }}")


def test_a_million_characters_take_no_more_than_their_number() -> None:
    for part in ("/*", '"', "%{", "((", "#\n", "a ", "1", "\\", "@a", "§"):
        with contextlib.suppress(KTraceError):
            parse(Source(part * (200_000 // len(part))))
