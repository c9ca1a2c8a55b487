"""How a session is kept within its limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.governor import LEAST_ON_NS, Governor, Limits
from ktrace_nb.wire.bundle import PERIOD_NS

STEP_NS = 500_000_000


def run(governor: Governor, demand: float, steps: int) -> list[float]:
    """Shares of CPU per step under a load that would take ``demand`` if it were let."""
    shares = []
    at = ran = 0
    governor.look(at, ran, 0)
    for _ in range(steps):
        share = demand * governor.control.on_ns / PERIOD_NS
        at, ran = at + STEP_NS, ran + round(share * STEP_NS)
        reason = governor.look(at, ran, 0)
        assert not reason, reason
        shares.append(share)
    return shares


@given(st.floats(0.02, 0.9), st.floats(0.0, 8.0))
def test_any_load_comes_below_the_limit_and_uses_most_of_it(most: float, demand: float) -> None:
    if demand * LEAST_ON_NS / PERIOD_NS > most:
        return  # it stops, see below
    shares = run(Governor(Limits(max_cpu=most)), demand, 60)
    assert sum(share > most for share in shares[10:]) <= 10
    if demand > most:
        assert max(shares[10:]) >= 0.6 * most
    elif demand < 0.7 * most:
        assert shares[-1] == demand


def test_what_is_held_back_is_said_and_let_go_again() -> None:
    governor = Governor(Limits(max_cpu=0.1))
    assert governor.remark == ""
    run(governor, 0.4, 1)
    assert governor.control.on_ns == int(PERIOD_NS * 0.1 / 0.4 * 0.9)
    assert governor.remark == "runs 22% of the time to stay below --max-cpu"
    governor.look(10 * STEP_NS, 0, 0)
    for step in range(11, 30):
        governor.look(step * STEP_NS, 0, 0)
    assert governor.remark == ""


def test_stop_means_stop() -> None:
    governor = Governor(Limits(max_cpu=0.05, over="stop"))
    governor.look(0, 0, 0)
    assert governor.look(STEP_NS, STEP_NS // 10, 0) == "over --max-cpu (5% of a CPU): programs took 10%"
    rated = Governor(Limits(max_rate=1000, over="stop"))
    assert rated.look(0, 0, 0) == ""
    assert rated.look(1, 0, 3) == "over --max-rate (1,000 events a second)"


def test_a_load_that_no_sampling_brings_down_stops_the_session() -> None:
    governor = Governor(Limits(max_cpu=0.01))
    governor.look(0, 0, 0)
    reasons = [governor.look(step * STEP_NS, step * STEP_NS, 0) for step in range(1, 5)]
    assert reasons[0] == ""
    assert reasons[-1] == "over --max-cpu (1% of a CPU): programs took 100%"


@pytest.mark.parametrize(("rate", "most"), [(1000.0, 100), (3.0, 1), (None, 2**64 - 1)])
def test_the_rate_is_told_per_tenth_of_a_second(rate: float | None, most: int) -> None:
    assert Governor(Limits(max_rate=rate)).control.most == most


def test_samples_are_dropped_silently_when_that_was_chosen() -> None:
    assert Governor(Limits(max_rate=10)).look(0, 0, 10**6) == ""
