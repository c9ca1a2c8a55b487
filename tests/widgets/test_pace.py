from __future__ import annotations

import pytest

from ktrace_nb.widgets.pace import (
    BLIND_HZ,
    BLIND_TICKS,
    MOST_BEHIND,
    MOST_HZ,
    PATIENCE_S,
    PROMPT_S,
    Pace,
)


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(clock)


def test_nothing_is_due_before_a_page_says_that_it_shows_the_panel(pace: Pace) -> None:
    assert pace.due_s() is None
    pace.hear("a", None, direct=True)
    assert pace.due_s() == 0


def test_the_next_update_waits_for_the_acknowledgement_and_for_the_rate(pace: Pace, clock: Clock) -> None:
    pace.hear("a", None, direct=True)
    tick = pace.sent().number
    clock.now += 1
    assert pace.due_s() == pytest.approx(PATIENCE_S - 1)
    pace.hear("a", tick, direct=True)
    assert pace.due_s() == 0
    tick = pace.sent().number
    pace.hear("a", tick, direct=True)
    assert pace.due_s() == pytest.approx(1 / MOST_HZ)


def updates(pace: Pace, clock: Clock, *, answer_s: float, count: int) -> list[bool]:
    """Send updates as they fall due to a page that takes so long to answer; which were quiet."""
    quiet = []
    for _ in range(count):
        clock.now += pace.due_s() or 0
        tick = pace.sent()
        quiet.append(tick.quiet)
        if not tick.quiet:
            clock.now += answer_s
            pace.hear("a", tick.number, direct=True)
    return quiet


def asked(*quiet: int) -> list[bool]:
    """Which updates are quiet: so many in a row, each time before one that is not."""
    return [is_quiet for count in quiet for is_quiet in [True] * count + [False]]


def test_a_prompt_page_is_asked_to_acknowledge_every_second_then_third_then_fifth_update(
    pace: Pace, clock: Clock
) -> None:
    pace.hear("a", None, direct=True)
    begun = clock.now
    assert updates(pace, clock, answer_s=PROMPT_S / 2, count=16) == asked(0, 1, 2, 4, 4)
    assert clock.now - begun == pytest.approx(15 / MOST_HZ + PROMPT_S / 2)


def test_the_first_late_answer_has_every_update_acknowledged_again(pace: Pace, clock: Clock) -> None:
    pace.hear("a", None, direct=True)
    assert updates(pace, clock, answer_s=PROMPT_S / 2, count=11) == asked(0, 1, 2, 4)
    assert updates(pace, clock, answer_s=PROMPT_S * 2, count=8) == asked(4, 0, 0, 0)
    assert updates(pace, clock, answer_s=PROMPT_S / 2, count=6) == asked(0, 1, 2)


def test_a_page_that_comes_back_has_to_be_prompt_anew(pace: Pace, clock: Clock) -> None:
    pace.hear("a", None, direct=True)
    updates(pace, clock, answer_s=PROMPT_S / 2, count=12)
    pace.hear("a", None, direct=True)
    assert updates(pace, clock, answer_s=PROMPT_S / 2, count=3) == asked(0, 1)


def test_a_page_that_is_slow_is_asked_to_acknowledge_every_update(pace: Pace, clock: Clock) -> None:
    pace.hear("a", None, direct=True)
    assert not any(updates(pace, clock, answer_s=PROMPT_S * 2, count=9))


@pytest.mark.parametrize(("answers", "more"), [(1, 2), (2, 3), (3, MOST_BEHIND), (9, 5)])
def test_a_prompt_page_that_falls_silent_gets_few_more_updates(
    pace: Pace, clock: Clock, answers: int, more: int
) -> None:
    pace.hear("a", None, direct=True)
    while answers:
        answers -= not updates(pace, clock, answer_s=0.01, count=1)[0]
    sent = 0
    while (due := pace.due_s()) is not None:
        clock.now += due
        if due == 0 and pace.due_s() == 0:
            pace.sent()
            sent += 1
    assert sent == more


def test_two_pages_are_asked_for_every_update_if_one_of_them_is_slow(pace: Pace, clock: Clock) -> None:
    pace.hear("a", None, direct=True)
    pace.hear("b", None, direct=True)
    for _ in range(4):
        tick = pace.sent()
        assert not tick.quiet
        pace.hear("a", tick.number, direct=True)
        clock.now += 1
        pace.hear("b", tick.number, direct=True)


def test_a_page_that_fell_silent_is_not_waited_for_and_may_come_back(pace: Pace, clock: Clock) -> None:
    pace.hear("a", None, direct=True)
    tick = pace.sent().number
    clock.now += PATIENCE_S
    assert pace.due_s() is None
    pace.hear("a", tick, direct=True)
    assert pace.due_s() == 0


def test_a_trace_without_news_is_not_silence(pace: Pace, clock: Clock) -> None:
    pace.hear("a", None, direct=True)
    pace.hear("a", pace.sent().number, direct=True)
    clock.now += 3600
    assert pace.due_s() == 0


def test_the_slower_of_two_pages_sets_the_pace_until_it_falls_silent(pace: Pace, clock: Clock) -> None:
    pace.hear("quick", None, direct=True)
    pace.hear("slow", None, direct=True)
    tick = pace.sent().number
    pace.hear("quick", tick, direct=True)
    clock.now += 1
    assert pace.due_s() == pytest.approx(PATIENCE_S - 1)
    clock.now += PATIENCE_S
    assert pace.due_s() == 0


def test_a_page_that_fell_silent_holds_up_the_others_once(pace: Pace, clock: Clock) -> None:
    pace.hear("quick", None, direct=True)
    pace.hear("gone", None, direct=True)
    tick = pace.sent()
    pace.hear("quick", tick.number, direct=True)
    waited = [pace.due_s()]
    for _ in range(20):
        clock.now += pace.due_s() or 0
        tick = pace.sent()
        if not tick.quiet:
            pace.hear("quick", tick.number, direct=True)
        waited.append(pace.due_s())
    assert waited == [pytest.approx(PATIENCE_S), *[pytest.approx(1 / MOST_HZ)] * 20]
    clock.now += 2 * PROMPT_S
    pace.hear("gone", tick.number, direct=True)  # its network is back
    assert not pace.sent().quiet, "it is asked again like any other"


def test_a_closed_view_is_forgotten(pace: Pace) -> None:
    pace.hear("a", None, direct=True)
    pace.sent()
    pace.leave("a")
    pace.leave("never seen")
    assert pace.due_s() is None


def test_a_new_view_of_an_old_panel_owes_nothing(pace: Pace) -> None:
    pace.hear("a", None, direct=True)
    pace.sent()
    pace.leave("a")
    pace.hear("b", None, direct=True)
    assert pace.due_s() == pytest.approx(1 / MOST_HZ, abs=1e-6)


def test_a_late_acknowledgement_does_not_take_back_a_newer_one(pace: Pace, clock: Clock) -> None:
    pace.hear("a", None, direct=True)
    first, second = pace.sent().number, pace.sent().number
    pace.hear("a", second, direct=True)
    pace.hear("a", first, direct=False)
    clock.now += 1
    assert pace.due_s() == 0


def test_a_page_cannot_acknowledge_the_future(pace: Pace, clock: Clock) -> None:
    pace.hear("a", 10**9, direct=True)
    pace.sent()
    clock.now += 1
    assert pace.due_s() == pytest.approx(PATIENCE_S - 1)


def test_a_page_without_the_control_channel_gets_a_bounded_number_of_slow_updates(
    pace: Pace, clock: Clock
) -> None:
    pace.hear("a", None, direct=False)
    sent = 0
    for _ in range(200):
        if pace.due_s() == 0:
            pace.sent()
            sent += 1
        clock.now += 1 / MOST_HZ
    assert sent == BLIND_TICKS
    assert 200 / MOST_HZ > BLIND_TICKS / BLIND_HZ  # there was time for more
    assert pace.due_s() is None
