"""``%health`` in a shell: its words, and what its panel is told."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from ktrace_nb.errors import TargetError
from ktrace_nb.magics.health import EVERY_S, HealthSource, parse_line
from tests.magics.conftest import Shell
from tests.magics.session_kit import traced
from tests.widgets.made_health import health


class Watched:
    """A watch whose frames are made of numbers."""

    def __init__(self) -> None:
        self.session: Any = traced()
        self.reads = 0
        self.begun = 0

    def frame(self) -> pd.DataFrame:
        self.reads += 1
        return health(ctxt=float(self.reads))

    def begin_anew(self) -> None:
        self.begun += 1


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def source() -> tuple[HealthSource, Watched, Clock]:
    watched, clock = Watched(), Clock()
    return HealthSource(watched, clock), watched, clock  # type: ignore[arg-type]  # it has what is used


def test_words_are_read_as_a_shell_reads_them() -> None:
    args = parse_line("ctxt 'i*' --for 60s --target lab:lab-6.1 --big -o seen")
    assert (args.names, args.duration, args.target) == (["ctxt", "i*"], "60s", "lab:lab-6.1")
    assert (args.big, args.variable) == (True, "seen")
    assert (parse_line("").names, parse_line("").variable) == ([], "health_watch")


def test_words_that_make_no_sense_are_told_in_short(shell: Shell) -> None:
    assert "OptionError: expected a duration, found 'soon'" in shell.run("%health --for soon")
    assert "OptionError" in shell.run("%health no_such_piece")
    assert "no closing quotation" in shell.run("%health 'ctxt")
    assert "cannot be the name of a variable" in shell.run("%health -o 1x")
    assert "Traceback" not in shell.run("%health no_such_piece")


def test_the_numbers_are_read_once_a_second_at_most() -> None:
    shown, watched, clock = source()
    first = shown.view_data()[0]
    clock.now = EVERY_S / 2
    again = shown.view_data()[0]
    assert (again.frame is first.frame, again.generation) == (True, first.generation)
    clock.now = EVERY_S
    later = shown.view_data()[0]
    assert (watched.reads, later.generation) == (2, 2)
    assert later.frame.attrs["past"]["at_s"] == [0.0, 1.0]


def test_after_the_end_they_are_read_once_more_and_never_again() -> None:
    shown, watched, clock = source()
    shown.view_data()
    watched.session.state = "done"
    for at in range(1, 10):
        clock.now = at
        shown.view_data()
    assert watched.reads == 2
    assert shown.status().state == "done"
    assert shown.status().actions == frozenset()


def test_reset_compares_anew_at_the_next_look() -> None:
    shown, watched, _ = source()
    shown.view_data()
    shown.request("reset")
    assert watched.begun == 0, "the thread that hears the click must not wait"
    shown.view_data()
    shown.view_data()
    assert (watched.begun, watched.reads) == (1, 2)
    assert shown.status().notice == "compared from now on"


def test_a_target_that_does_not_answer_is_asked_no_more_often() -> None:
    class Gone(Watched):
        def frame(self) -> pd.DataFrame:
            super().frame()
            raise TargetError("the target is out of reach")

    watched, clock = Gone(), Clock()
    shown = HealthSource(watched, clock)  # type: ignore[arg-type]  # it has what is used
    for at in (0.0, 0.2, 0.4, 1.0, 1.2):
        clock.now = at
        with pytest.raises(TargetError, match="out of reach"):
            shown.view_data()
    assert watched.reads == 2
