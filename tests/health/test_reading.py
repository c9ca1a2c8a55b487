"""Two accounts of one number: what their readings bound, and what they say where events were missed."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.health.reading import Look, Moves, Reading, compare, together, total


@dataclass
class Machine:
    """A number that changes by events, of which our account may miss some."""

    truth: int
    up: int = 0
    down: int = 0
    at_ns: int = 0

    def happen(self, events: list[int], *, missed: bool = False) -> None:
        for by in events:
            self.at_ns += 1
            self.truth += by
            if not missed:
                self.up += max(by, 0)
                self.down += max(-by, 0)

    def read(self, gaps: tuple[list[int], list[int]]) -> Reading:
        before = Moves(self.up, self.down)
        self.happen(gaps[0])
        told, at_ns = self.truth, self.at_ns
        self.happen(gaps[1])
        return Reading(before=before, after=Moves(self.up, self.down), told=told, at_ns=at_ns)


EVENTS = st.lists(st.integers(-3, 5), max_size=20)
ROUNDS = st.lists(st.tuples(EVENTS, EVENTS), min_size=1, max_size=5)


@given(st.integers(0, 10**6), ROUNDS, EVENTS, ROUNDS)
def test_accounts_that_miss_nothing_do_not_drift(
    base: int,
    first: list[tuple[list[int], list[int]]],
    load: list[int],
    then: list[tuple[list[int], list[int]]],
) -> None:
    machine = Machine(base)
    start = together([machine.read(gaps) for gaps in first])
    assert start.least <= base <= start.most
    machine.happen(load)
    now = together([machine.read(gaps) for gaps in then])
    compared = compare(start, now)
    assert compared.drift == 0
    assert compared.level == now.told
    # So it is by the counters: what they come to is the number, up to what they are uncertain by.
    assert base + now.moves.net - machine.truth == 0


@given(
    st.integers(0, 10**6),
    ROUNDS,
    EVENTS,
    st.lists(st.just(1), max_size=50) | st.lists(st.just(-1), max_size=50),
    ROUNDS,
)
def test_missed_events_are_the_drift_up_to_the_slack(
    base: int,
    first: list[tuple[list[int], list[int]]],
    load: list[int],
    missed: list[int],
    then: list[tuple[list[int], list[int]]],
) -> None:
    machine = Machine(base)
    start = together([machine.read(gaps) for gaps in first])
    machine.happen(load)
    machine.happen(missed, missed=True)
    now = together([machine.read(gaps) for gaps in then])
    compared = compare(start, now)
    lost = -sum(missed)
    assert abs(compared.drift) <= abs(lost)
    assert abs(lost - compared.drift) <= compared.slack
    assert compared.level - compared.told == compared.drift


@given(st.integers(0, 10**6), st.lists(st.integers(0, 40), min_size=2, max_size=6))
def test_of_an_account_that_tells_too_much_the_least_counts(base: int, excess: list[int]) -> None:
    readings = [
        Reading(before=Moves(7, 2), after=Moves(7, 2), told=base + more, at_ns=n)
        for n, more in enumerate(excess)
    ]
    look = together(readings, only_above=True)
    assert look.least == look.most == base + min(excess) - 5


def test_a_comparison_counts_everything_that_moved() -> None:
    start = Look(moves=Moves(10, 4), told=106, at_ns=0, least=100, most=100)
    now = Look(moves=Moves(30, 9), told=121, at_ns=2_000_000_000, least=100, most=100)
    compared = compare(start, now)
    assert (compared.added, compared.moves, compared.level, compared.told) == (20, 25, 121, 121)
    assert (compared.drift, compared.slack, compared.seconds) == (0, 0, 2.0)


def test_a_drift_is_measured_by_what_moved() -> None:
    start = Look(moves=Moves(), told=0, at_ns=0, least=0, most=0)
    behind = Look(moves=Moves(1000, 0), told=1004, at_ns=1, least=4, most=4)
    assert compare(start, behind).drift == -4
    assert compare(start, behind).relative == -0.004
    still = Look(moves=Moves(), told=3, at_ns=1, least=3, most=3)
    assert compare(start, still).relative == -3.0


def test_readings_that_nothing_is_common_to_leave_the_last() -> None:
    first = Reading(before=Moves(5), after=Moves(5), told=100, at_ns=1)
    last = Reading(before=Moves(5), after=Moves(6), told=103, at_ns=2)
    look = together([first, last])
    assert (look.least, look.most) == (97, 98)


def test_the_total_of_parts_has_the_sum_of_their_bounds() -> None:
    parts = [Look(moves=Moves(n, 1), told=10 * n, at_ns=n, least=n, most=2 * n) for n in (1, 2, 3)]
    whole = total(parts)
    assert (whole.moves, whole.told, whole.least, whole.most) == (Moves(6, 3), 60, 6, 12)
