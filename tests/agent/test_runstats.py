"""What measuring now and then says of the whole, against a load that is known."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.agent import runstats
from ktrace_nb.agent.runstats import PERIOD_S, WINDOW_S, RunStats


class Machine:
    """A program that runs at a steady rate, and a kernel that counts it while it is asked to."""

    def __init__(self, per_s: float, ns_per_run: int) -> None:
        self.now = 0.0
        self._per_s = per_s
        self._ns_per_run = ns_per_run
        self._counted_s = 0.0
        self._on_since: float | None = None

    def switch_on(self) -> int:
        self._on_since = self.now
        return os.open("/dev/null", os.O_RDONLY)

    def switched_off(self) -> None:
        if self._on_since is not None:
            self._counted_s += self.now - self._on_since
        self._on_since = None

    def fdinfo(self, _: int) -> runstats.Look:
        on = self.now - self._on_since if self._on_since is not None else 0.0
        runs = round(self._per_s * (self._counted_s + on))
        return runstats.Look(runs, runs * self._ns_per_run, 0)


@given(st.floats(0, 3_000_000), st.integers(20, 5_000), st.integers(0, 30), st.floats(0, PERIOD_S))
def test_a_steady_load_is_told_whole(per_s: float, ns_per_run: int, periods: int, rest_s: float) -> None:
    machine = Machine(per_s, ns_per_run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ktrace_nb.agent.bpf.enable_run_stats", machine.switch_on)
        patch.setattr(runstats, "fdinfo", machine.fdinfo)
        patch.setattr(time, "monotonic", lambda: machine.now)
        stats = RunStats({"p": -1}, always=True)  # no thread: this test is the clock
        machine.now += runstats.FIRST_S
        for _ in range(periods):
            if stats._take_note():
                machine.switched_off()
                machine.now += PERIOD_S - WINDOW_S
                stats._switch_on()
                machine.now += WINDOW_S
            else:
                machine.now += PERIOD_S
        machine.now += rest_s
        expected = per_s * machine.now * ns_per_run
        # A window of few runs tells the rate as exactly as it can.
        slack = 0.01 * expected + ns_per_run * (2 + per_s * machine.now / (per_s * WINDOW_S + 1))
        assert stats.look()["p"].ran_ns == pytest.approx(expected, abs=slack)
        stats.close()
        machine.switched_off()
        machine.now += 10
        assert stats.look()["p"].ran_ns == pytest.approx(expected, abs=slack)
        stats.close()
