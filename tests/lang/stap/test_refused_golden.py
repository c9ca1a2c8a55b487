"""Scripts that are well formed and still mean nothing: what is said of each."""

from __future__ import annotations

import re

import pytest

from ktrace_nb.errors import CellError, KTraceError
from ktrace_nb.lang.stap.script import compile_script
from ktrace_nb.source import Source
from tests.lang.stap.golden import Case, cases
from tests.lang.stap.point_kernel import FACTS

FOLDERS = ("stap/type_ko", "stap/probe_ko")
ALL = [case for folder in FOLDERS for case in cases(folder)]


def refusal(case: Case) -> KTraceError:
    """The error of a case; ``# options: -D NAME=1 -G x=2 -- a b`` in its first line is a command line."""
    line = re.match(r"# options:(.*)\n", case.text)
    options, _, arguments = line[1].partition("--") if line else ("", "", "")
    given = re.findall(r"-([DG]) (\w+)=(\S*)", options)
    with pytest.raises(KTraceError) as raised:
        compile_script(
            Source(case.text),
            FACTS,
            arguments=arguments.split(),
            limits=[(name, int(value)) for which, name, value in given if which == "D"],
            values=[(name, value) for which, name, value in given if which == "G"],
        )
    return raised.value


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.path.parent.name}-{case.path.stem}")
def test_a_script_that_means_nothing_has_this_message(case: Case) -> None:
    def run(case: Case) -> str:
        text = "\n".join(refusal(case).lines())
        # In which line of a file of the tapset something is declared, changes.
        return re.sub(r"^(tapset/\S+?):\d+:\d+$", r"\1", text, flags=re.MULTILINE)

    case.check(run)


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.path.parent.name}-{case.path.stem}")
def test_a_message_begins_small_ends_without_a_stop_and_names_its_place(case: Case) -> None:
    error = refusal(case)
    for problem in error.problems:
        for text in filter(None, (problem.message, problem.hint)):
            assert not text.endswith(".") or text.endswith("..."), text
            assert len(text) < 150, text
        assert problem.message[0].islower() or not problem.message[0].isalpha() or "MAX" in problem.message
    if isinstance(error, CellError):
        assert error.source is not None and error.span is not None


def test_there_are_enough_of_them_and_they_say_different_things() -> None:
    counts = {folder: len(cases(folder)) for folder in FOLDERS}
    assert counts["stap/type_ko"] >= 60 and counts["stap/probe_ko"] >= 25, counts
