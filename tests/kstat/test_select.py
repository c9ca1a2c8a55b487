"""Patterns and selections; globs are held against the C library's fnmatch(3), which is another program."""

from __future__ import annotations

import ctypes
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.errors import OptionError
from ktrace_nb.kstat.model import Id, Kstat, Value
from ktrace_nb.kstat.select import Pattern, PatternError, Selection, everything

LIBC = ctypes.CDLL(None)
LETTERS = st.text("ab1_-.", max_size=6)


def fnmatch(pattern: str, word: str) -> bool:
    """fnmatch(3) without flags: there too a backslash quotes, and ``!`` negates a set."""
    return int(LIBC.fnmatch(pattern.encode(), word.encode(), 0)) == 0


def quoted(char: str) -> str:
    return f"\\{char}" if char in "*?[]\\!^-" else char


members = st.one_of(
    st.sampled_from("ab1_.").map(quoted),
    st.tuples(st.sampled_from("a1"), st.sampled_from("b9")).map(
        lambda ends: f"{min(ends)}-{max(ends)}"  # fnmatch(3) refuses "b-a"; see below for ours
    ),
)
sets = st.tuples(st.sampled_from(["", "!"]), st.lists(members, min_size=1, max_size=3)).map(
    lambda parts: f"[{parts[0]}{''.join(parts[1])}]"
)
globs = st.lists(
    st.one_of(st.just("*"), st.just("?"), st.sampled_from("ab1_-.*?[\\").map(quoted), sets), max_size=7
).map("".join)


@given(globs, LETTERS)
def test_a_glob_matches_what_the_c_library_says(glob: str, word: str) -> None:
    assert Pattern.of(glob).matches(word) == fnmatch(glob, word)


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_several_stars_find_what_there_is_to_find(glob: str, word: str) -> None:
    assert Pattern.of(glob).matches(word) == fnmatch(glob, word)


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("intr*", ["intr", "intrblk"], ["INTR", "xintr", ""]),
        ("", [""], ["a"]),
        ("*", ["", "any thing\n"], []),
        ("a*b?", ["a\nb\n"], ["a\nb"]),
        ("*a*ab", ["aab"], ["ab", "aaba"]),
        ("a[]x]b", ["a]b", "axb"], ["ab"]),
        ("a[!]x]b", ["acb"], ["a]b", "axb"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[-a]", ["a", "-"], ["b"]),
        ("[^a]", ["^", "a"], ["b"]),  # ^ does not negate in gmatch(3GEN)
        ("[b-a]", ["a", "b"], ["-"]),  # of a range that is none its ends are left
        (r"[\]-a]", ["]", "_", "a"], ["\\", "b"]),
        (r"\*", ["*"], ["\\*", "a"]),
        ("a[", [], ["a", "a["]),
        ("a\\", [], ["a", "a\\"]),
        ("*[a", [], ["a", "[a"]),
        ("/", ["/"], ["", "a"]),
        ("/a", ["/a"], ["a"]),
    ],
)
def test_globs_are_those_of_gmatch(glob: str, matching: list[str], others: list[str]) -> None:
    pattern = Pattern.of(glob)
    assert [word for word in [*matching, *others] if pattern.matches(word)] == matching


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """What a signal can end is ended."""

    def give_up(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_glob_of_many_stars_comes_to_an_end() -> None:
    with no_longer_than(60):
        assert not Pattern.of("*a" * 100 + "b").matches("a" * 1000)


def test_a_regular_expression_that_takes_ages_can_be_interrupted() -> None:
    with pytest.raises(TimeoutError), no_longer_than(0.05):
        Pattern.of("/(a+)+$/").matches("a" * 60 + "b")


@pytest.mark.parametrize(
    ("text", "matching", "others"),
    [
        ("/^intr/", ["intr", "intrblk"], ["xintr"]),
        ("/ntr/", ["intr", "intrblk"], ["int"]),
        ("/^avenrun_[0-9]+min$/", ["avenrun_1min", "avenrun_15min"], ["avenrun_min"]),
        ("//", ["", "anything"], []),
        ("/a/b/", ["xa/bx"], ["ab"]),
        ("/[[]a/", ["[a"], ["a"]),
    ],
)
def test_between_slashes_stands_a_regular_expression(
    text: str, matching: list[str], others: list[str]
) -> None:
    pattern = Pattern.of(text)
    assert [word for word in [*matching, *others] if pattern.matches(word)] == matching


@given(st.text("ab(|)*+?[]{}1,\\^$.", max_size=8), LETTERS)
def test_a_regular_expression_is_one_of_python_s_or_refused_with_a_place(body: str, word: str) -> None:
    try:
        expected = re.search(body, word) is not None
    except re.error as error:
        with pytest.raises(PatternError) as caught:
            Pattern.of(f"/{body}/")
        assert caught.value.span.start == 1 + (error.pos or 0)
        assert str(error.msg) in caught.value.message
    else:
        assert Pattern.of(f"/{body}/").matches(word) == expected


def test_a_bad_regular_expression_shows_its_place_in_the_operand() -> None:
    with pytest.raises(PatternError) as caught:
        Selection.of("cpu:0:/x(/")
    assert caught.value.lines() == [
        "PatternError: bad regular expression: missing ), unterminated subpattern",
        "operand:1:9",
        "    cpu:0:/x(/",
        "            ^",
    ]


def test_a_colon_separates_also_within_a_regular_expression() -> None:
    with pytest.raises(OptionError) as caught:
        Selection.of(":::/a:b/")
    assert caught.value.lines() == [
        "OptionError: expected module:instance:name:statistic, found ':::/a:b/'",
        "hint: a colon within a pattern needs -m, -i, -n or -s",
    ]
    assert Selection.of(statistic="/a:b/").statistic("xa:b")


def test_a_class_of_posix_is_refused_with_what_to_write() -> None:
    with pytest.raises(PatternError) as caught:
        Selection.of(statistic="/x[[:digit:]]/")
    assert caught.value.lines() == [
        "PatternError: regular expressions are those of Python, which has no [:digit:]",
        "statistic:1:4",
        "    /x[[:digit:]]/",
        "       ^^^^^^^^^",
        "hint: e.g. 0-9 or \\d for [:digit:], a-z for [:lower:], \\s for [:space:]",
    ]


@pytest.mark.parametrize("body", ["a{99999999999999}", "(" * 5000 + ")" * 5000])
def test_a_regular_expression_that_python_cannot_hold_is_refused(body: str) -> None:
    with pytest.raises(PatternError, match="bad regular expression"):
        Pattern.of(f"/{body}/")


def cpu(number: int) -> Id:
    return Id(module="cpu_stat", instance=number, name=f"cpu_stat{number}")


SYSTEM = Id(module="unix", instance=0, name="system_misc")


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        (everything, [0, 1, 10, "misc"]),
        (Selection.of(), [0, 1, 10, "misc"]),
        (Selection.of(":::"), [0, 1, 10, "misc"]),
        (Selection.of(""), [0, 1, 10, "misc"]),
        (Selection.of("cpu_stat"), [0, 1, 10]),
        (Selection.of("cpu_stat:1"), [1]),
        (Selection.of(":[01]"), [0, 1, "misc"]),
        (Selection.of(":/1/"), [1, 10]),
        (Selection.of("unix:0", "cpu_stat:1?"), [10, "misc"]),
        (Selection.of("cpu_stat::/[01]$/:intr"), [0, 1, 10]),
        (Selection.of(module="cpu*", instance=0), [0]),
        (Selection.of(module="", class_=""), [0, 1, 10, "misc"]),
        (Selection.of(class_="mi?c"), [0, 1, 10, "misc"]),
        (Selection.of("unix", class_="disk"), []),
        (Selection.of("cpu"), []),
    ],
)
def test_a_kstat_is_selected_by_its_name_and_class(selection: Selection, selected: list[object]) -> None:
    ids: dict[object, Id] = {0: cpu(0), 1: cpu(1), 10: cpu(10), "misc": SYSTEM}
    assert [key for key, id in ids.items() if selection.kstat(id, "misc")] == selected


def test_operands_and_patterns_for_parts_exclude_each_other() -> None:
    with pytest.raises(OptionError, match="operands and a pattern for the name: one of them at a time"):
        Selection.of("cpu", name="x", statistic="y")


def test_a_statistic_belongs_to_the_operand_that_selects_its_kstat() -> None:
    data = {name: Value(value=1) for name in ("intr", "idle", "avenrun_1min", "state")}
    kstats = [
        Kstat(id=cpu(0), class_="misc", data=data),
        Kstat(id=SYSTEM, class_="misc", data=data),
        Kstat(id=Id(module="sd", instance=0, name="sd0"), class_="disk", data=data),
    ]
    selection = Selection.of("cpu_stat:::i*", "unix:::/^avenrun/", "::cpu_stat0:state")
    narrowed = selection.narrow(kstats)
    assert [(k.id, list(k.data)) for k in narrowed] == [
        (cpu(0), ["intr", "idle", "state"]),
        (SYSTEM, ["avenrun_1min"]),
    ]
    assert [name for name in data if selection.statistic(name)] == list(data)
    assert not selection.statistic("nothing")
    assert everything.narrow(kstats) == kstats
