"""When timers are due."""

from __future__ import annotations

from ktrace_nb.ir.script import Event, Handler
from ktrace_nb.stream.script.timers import Timers

MS = 1_000_000


def timer(number: int, period_ms: int, randomize_ms: int = 0) -> Handler:
    return Handler(
        number=number,
        event=Event.TIMER,
        name=f"timer.ms({period_ms})",
        body=(),
        period_ns=period_ms * MS,
        randomize_ns=randomize_ms * MS,
    )


def due(timers: Timers, at_ms: float) -> list[int]:
    return [handler.number for handler in timers.due(round(at_ms * MS))]


def test_periods_are_measured_from_the_start() -> None:
    timers = Timers([timer(1, 100)], 0)
    assert [due(timers, at) for at in (99, 103, 199, 200.5, 299)] == [[], [1], [], [1], []]


def test_periods_that_were_missed_are_not_made_up() -> None:
    timers = Timers([timer(1, 100)], 0)
    assert due(timers, 570) == [1]
    assert due(timers, 571) == []
    assert timers.next_ns == 600 * MS


def test_who_has_been_due_for_longest_goes_first() -> None:
    timers = Timers([timer(1, 100), timer(2, 70), timer(3, 95)], 0)
    assert due(timers, 100) == [2, 3, 1]


def test_random_periods_stay_within_their_bounds() -> None:
    timers = Timers([timer(1, 100, 30)], 0, seed=1009)
    now, periods = 0, []
    for _ in range(200):
        assert timers.next_ns is not None
        periods.append(timers.next_ns - now)
        now = timers.next_ns
        assert due(timers, now / MS) == [1]
    assert 70 * MS <= min(periods) < 75 * MS
    assert 125 * MS < max(periods) <= 130 * MS


def test_without_timers_nothing_is_ever_due() -> None:
    timers = Timers([Handler(number=1, event=Event.BEGIN, name="begin", body=())], 0)
    assert timers.next_ns is None
    assert due(timers, 1e6) == []


def test_timers_that_were_put_off_go_on_where_they_were() -> None:
    timers = Timers([timer(1, 100)], 0)
    assert due(timers, 130) == [1]
    timers.put_off(1000 * MS)
    assert timers.next_ns == 1200 * MS
    assert [due(timers, at) for at in (1199, 1200, 1299, 1300)] == [[], [1], [], [1]]
