"""``%kstat --live``: what the table of kstats holds, without a page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ktrace_nb.errors import AgentGoneError
from ktrace_nb.kstat import Chain, Id, Kstat, Selection, Value, provider
from ktrace_nb.magics.kstat_browser import KstatBrowser


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def served(count: int, at_s: int) -> list[Kstat]:
    """A counter and a text at one moment."""
    data = {"served": Value(value=count, counter=True), "by": Value(value=7)}
    id = Id(module="lesson", instance=0, name="queue")
    return [Kstat(id=id, class_="misc", snaptime_ns=at_s * 10**9, data=data)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def readings() -> Iterator[list[Kstat]]:
    return iter([served(10, 1), served(40, 3), served(40, 4)])


@pytest.fixture
def browser(clock: Clock, readings: Iterator[list[Kstat]]) -> KstatBrowser:
    return KstatBrowser("here", lambda _: next(readings), Selection.of(), interval_s=2, clock=clock)


ROW = ("lesson", 0, "queue", "served")


def test_counters_have_the_rate_between_the_last_two_readings(browser: KstatBrowser, clock: Clock) -> None:
    (first,) = browser.view_data()
    assert first.frame["rate"].isna().all()
    clock.now += 2
    (second,) = browser.view_data()
    assert second.frame.loc[ROW, "rate"] == (40 - 10) / (3 - 1)
    assert second.frame["rate"].isna().sum() == 1  # what is no counter has none
    assert second.frame["value"].tolist() == [40, 7]
    assert second.generation != first.generation


def test_within_an_interval_nothing_is_read_again(browser: KstatBrowser, clock: Clock) -> None:
    (first,) = browser.view_data()
    clock.now += 1.9
    (second,) = browser.view_data()
    assert second.generation == first.generation
    assert second.frame is first.frame


def test_nothing_is_read_before_somebody_looks_nor_after_the_stop(
    browser: KstatBrowser, clock: Clock, readings: Iterator[list[Kstat]]
) -> None:
    assert browser.status().state == "running"
    assert browser.frame.empty
    browser.view_data()
    browser.stop()
    clock.now += 100
    assert len(browser.view_data()[0].frame) == 2
    status = browser.status()
    assert (status.state, status.elapsed_s) == ("done", 0.0)
    assert next(readings)[0].data["served"].value == 40  # the second reading was left


def test_what_is_picked_is_there_as_it_was_read_last(browser: KstatBrowser, clock: Clock) -> None:
    (view,) = browser.view_data()
    assert browser.selected.empty
    assert view.pick is not None
    view.pick([ROW])
    (marked,) = browser.view_data()
    assert marked.marks is not None
    assert marked.marks.tolist() == [True, False]
    assert marked.generation != view.generation
    clock.now += 2
    browser.view_data()
    assert browser.selected["value"].tolist() == [40]


def test_a_target_that_is_lost_ends_it_with_the_reason_and_what_was_read_stays(clock: Clock) -> None:
    answers = iter([served(10, 1)])

    def read(_: Selection) -> list[Kstat]:
        for answer in answers:
            return answer
        raise AgentGoneError("the agent ended")

    browser = KstatBrowser("here", read, Selection.of(), clock=clock)
    browser.view_data()
    clock.now += 5
    (view,) = browser.view_data()
    assert view.frame["value"].tolist() == [10, 7]
    assert (browser.status().state, browser.status().message) == ("failed", "the agent ended")


def test_a_kstat_that_cannot_be_read_is_named(clock: Clock) -> None:
    own = Chain(None)

    @provider("lesson", "broken", chain=own)
    def broken() -> dict[str, int]:
        raise OSError("no paper")

    browser = KstatBrowser("here", own.read, Selection.of(), clock=clock)
    browser.view_data()
    assert browser.status().message == "cannot be read: lesson:0:broken: OSError: no paper"
    assert browser.status().state == "running"
